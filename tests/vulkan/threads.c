/* Four threads of one device record and submit at once; each result is known. */
#include <pthread.h>

#include "hash.h"

#define THREADS 4
#define ROUNDS  50
#define COUNT   (1u << 14)

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;

struct worker {
	struct vk vk; // the common device, with a command pool of the thread's own
	uint32_t index;
	pthread_t thread;
};

static void submit(const struct vk *vk, VkCommandBuffer commands, VkFence fence) {
	pthread_mutex_lock(&queue_lock);
	VkResult result = vkQueueSubmit(vk->queue, 1,
		&(VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.commandBufferCount = 1,
			.pCommandBuffers = &commands,
		},
		fence);
	pthread_mutex_unlock(&queue_lock);
	vk_ok(result);
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vk_ok(vkResetFences(vk->device, 1, &fence));
}

static void one_round(const struct vk *vk, VkFence fence, uint32_t seed) {
	struct vk_buffer words;
	vk_buffer_create(vk, &words, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, seed, COUNT);
	vk_barrier(commands);
	vk_ok(vkEndCommandBuffer(commands));
	submit(vk, commands, fence);
	hash_expect(words.map, seed, COUNT);
	vkFreeCommandBuffers(vk->device, vk->pool, 1, &commands);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
}

static void *work(void *data) {
	struct worker *worker = data;
	struct vk *vk = &worker->vk;
	vk_ok(vkCreateCommandPool(vk->device,
		&(VkCommandPoolCreateInfo){
			.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
			.queueFamilyIndex = vk->queue_family,
		},
		NULL, &vk->pool));
	VkFence fence = vk_fence_create(vk, NULL);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		one_round(vk, fence, worker->index * 1000003 + i);
	}
	vkDestroyFence(vk->device, fence, NULL);
	vkDestroyCommandPool(vk->device, vk->pool, NULL);
	return NULL;
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct worker workers[THREADS];
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .vk = vk, .index = i };
		expect(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		expect(pthread_join(workers[i].thread, NULL) == 0);
	}
	vk_close(&vk);
}
