/* Sync files: a fence and a semaphore exported, polled, and imported again. */
#include <poll.h>
#include <unistd.h>

#include "hash.h"

#define COUNT (1u << 18)

struct functions {
	PFN_vkGetFenceFdKHR get_fence;
	PFN_vkImportFenceFdKHR import_fence;
	PFN_vkGetSemaphoreFdKHR get_semaphore;
	PFN_vkImportSemaphoreFdKHR import_semaphore;
};

struct work {
	struct vk_buffer words;
	struct hash hash;
	struct functions call;
};

static const char *const extensions[] = { "VK_KHR_external_fence_fd", "VK_KHR_external_semaphore_fd" };

static VkCommandBuffer record(const struct vk *vk, const struct work *work, uint32_t seed) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_barrier(commands);
	hash_record(&work->hash, commands, seed, COUNT);
	vk_barrier(commands);
	vk_ok(vkEndCommandBuffer(commands));
	return commands;
}

/* -1 stands for a fence that was signalled already. */
static void expect_signalled(int fd) {
	if (fd < 0) {
		return;
	}
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	expect(poll(&poll_fd, 1, 10000) == 1);
	expect((poll_fd.revents & POLLIN) != 0);
}

static int export_fence(const struct vk *vk, const struct work *work, VkFence fence) {
	int fd = -2;
	vk_ok(work->call.get_fence(vk->device,
		&(VkFenceGetFdInfoKHR){
			.sType = VK_STRUCTURE_TYPE_FENCE_GET_FD_INFO_KHR,
			.fence = fence,
			.handleType = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT,
		},
		&fd));
	expect(fd >= -1);
	return fd;
}

static void fence(const struct vk *vk, const struct work *work, uint32_t seed) {
	VkFence exported =
		vk_fence_create(vk, &(VkExportFenceCreateInfo){
					    .sType = VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO,
					    .handleTypes = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT,
				    });
	VkFence imported = vk_fence_create(vk, NULL);
	VkCommandBuffer commands = record(vk, work, seed);
	vk_ok(vkQueueSubmit(vk->queue, 1,
		&(VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.commandBufferCount = 1,
			.pCommandBuffers = &commands,
		},
		exported));
	int fd = export_fence(vk, work, exported);
	expect_signalled(fd);
	hash_expect(work->words.map, seed, COUNT);
	vk_ok(work->call.import_fence(
		vk->device, &(VkImportFenceFdInfoKHR){
				    .sType = VK_STRUCTURE_TYPE_IMPORT_FENCE_FD_INFO_KHR,
				    .fence = imported,
				    .flags = VK_FENCE_IMPORT_TEMPORARY_BIT,
				    .handleType = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT,
				    .fd = fd,
			    }));
	vk_ok(vkWaitForFences(vk->device, 1, &imported, VK_TRUE, UINT64_MAX));
	vk_ok(vkQueueWaitIdle(vk->queue));
	vkFreeCommandBuffers(vk->device, vk->pool, 1, &commands);
	vkDestroyFence(vk->device, exported, NULL);
	vkDestroyFence(vk->device, imported, NULL);
}

static int export_semaphore(const struct vk *vk, const struct work *work, VkSemaphore semaphore) {
	int fd = -2;
	vk_ok(work->call.get_semaphore(vk->device,
		&(VkSemaphoreGetFdInfoKHR){
			.sType = VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR,
			.semaphore = semaphore,
			.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
		},
		&fd));
	expect(fd >= -1);
	return fd;
}

/* The first submission signals what is exported; the second waits for what that became by import. */
static void semaphore(const struct vk *vk, const struct work *work, uint32_t seed) {
	VkSemaphore exported =
		vk_semaphore_create(vk, &(VkExportSemaphoreCreateInfo){
						.sType = VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO,
						.handleTypes = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
					});
	VkSemaphore imported = vk_semaphore_create(vk, NULL);
	VkCommandBuffer commands[] = { record(vk, work, seed), record(vk, work, seed + 1) };
	vk_ok(vkQueueSubmit(vk->queue, 1,
		&(VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.commandBufferCount = 1,
			.pCommandBuffers = &commands[0],
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &exported,
		},
		VK_NULL_HANDLE));
	int fd = export_semaphore(vk, work, exported);
	vk_ok(work->call.import_semaphore(
		vk->device, &(VkImportSemaphoreFdInfoKHR){
				    .sType = VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR,
				    .semaphore = imported,
				    .flags = VK_SEMAPHORE_IMPORT_TEMPORARY_BIT,
				    .handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
				    .fd = fd,
			    }));
	vk_ok(vkQueueSubmit(vk->queue, 1,
		&(VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.waitSemaphoreCount = 1,
			.pWaitSemaphores = &imported,
			.pWaitDstStageMask = &(VkPipelineStageFlags){ VK_PIPELINE_STAGE_ALL_COMMANDS_BIT },
			.commandBufferCount = 1,
			.pCommandBuffers = &commands[1],
		},
		VK_NULL_HANDLE));
	vk_ok(vkQueueWaitIdle(vk->queue));
	hash_expect(work->words.map, seed + 1, COUNT);
	vkFreeCommandBuffers(vk->device, vk->pool, 2, commands);
	vkDestroySemaphore(vk->device, exported, NULL);
	vkDestroySemaphore(vk->device, imported, NULL);
}

static void load(const struct vk *vk, struct functions *call) {
	call->get_fence = (PFN_vkGetFenceFdKHR)vkGetDeviceProcAddr(vk->device, "vkGetFenceFdKHR");
	call->import_fence = (PFN_vkImportFenceFdKHR)vkGetDeviceProcAddr(vk->device, "vkImportFenceFdKHR");
	call->get_semaphore = (PFN_vkGetSemaphoreFdKHR)vkGetDeviceProcAddr(vk->device, "vkGetSemaphoreFdKHR");
	call->import_semaphore =
		(PFN_vkImportSemaphoreFdKHR)vkGetDeviceProcAddr(vk->device, "vkImportSemaphoreFdKHR");
	expect(call->get_fence && call->import_fence && call->get_semaphore && call->import_semaphore);
}

/* The extensions are about more kinds of fds than these: what can be done with which is another question. */
static bool has_fences(const struct vk *vk) {
	VkExternalFenceProperties properties = { .sType = VK_STRUCTURE_TYPE_EXTERNAL_FENCE_PROPERTIES };
	vkGetPhysicalDeviceExternalFenceProperties(vk->physical,
		&(VkPhysicalDeviceExternalFenceInfo){
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_FENCE_INFO,
			.handleType = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT,
		},
		&properties);
	const VkExternalFenceFeatureFlags needed =
		VK_EXTERNAL_FENCE_FEATURE_EXPORTABLE_BIT | VK_EXTERNAL_FENCE_FEATURE_IMPORTABLE_BIT;
	return (properties.externalFenceFeatures & needed) == needed;
}

static bool has_semaphores(const struct vk *vk) {
	VkExternalSemaphoreProperties properties = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES
	};
	vkGetPhysicalDeviceExternalSemaphoreProperties(vk->physical,
		&(VkPhysicalDeviceExternalSemaphoreInfo){
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
			.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
		},
		&properties);
	const VkExternalSemaphoreFeatureFlags needed =
		VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT | VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT;
	return (properties.externalSemaphoreFeatures & needed) == needed;
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	for (uint32_t i = 0; i < VK_COUNT(extensions); i++) {
		if (!vk_has_extension(&vk, extensions[i])) {
			out_skip_all("sync files are not offered");
		}
	}
	if (!has_fences(&vk) || !has_semaphores(&vk)) {
		out_skip_all("fences or semaphores cannot be exchanged as sync files");
	}
	vk_open_device(
		&vk, &(struct vk_wants){ .extensions = extensions, .extension_count = VK_COUNT(extensions) });
	struct work work;
	load(&vk, &work.call);
	vk_buffer_create(&vk, &work.words, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	hash_create(&vk, &work.hash, &work.words);
	for (uint32_t i = 0; i < 8; i++) {
		fence(&vk, &work, 10 * i);
		semaphore(&vk, &work, 1000 + 10 * i);
	}
	hash_destroy(&vk, &work.hash);
	vk_buffer_destroy(&vk, &work.words);
	vk_close(&vk);
}
