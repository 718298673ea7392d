/* Device memory against the host's driver. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "vulkan/context.h"
#include "vulkan/handlers_memory.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan_room/rig.h"

#define SIZE UINT64_C(65536)

static VkResult allocate(struct rig *rig, const VkMemoryAllocateInfo *info, struct neep_vk_object **memory) {
	uint64_t id = 0;
	VkResult result = neep_vk_AllocateMemory(rig_call(rig), rig->device, info, &id);
	*memory = id != 0 ? rig_find(rig, id, NEEP_VK_DEVICE_MEMORY) : NULL;
	assert_int_equal(*memory != NULL, result == VK_SUCCESS);
	return result;
}

static VkResult import_resource(
	struct rig *rig, uint32_t resource_id, uint64_t size, struct neep_vk_object **memory) {
	VkImportColorBufferGOOGLE import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_COLOR_BUFFER_GOOGLE,
		.colorBuffer = resource_id,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &import,
		.allocationSize = size,
	};
	return allocate(rig, &info, memory);
}

static void memory_shows_in_published_blob_what_device_wrote(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, SIZE, 7, VK_SUCCESS);
	VkBuffer buffer = rig_bind_buffer(&rig, memory, SIZE);
	assert_int_equal(rig.blob_count, 0);
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_int_equal(rig.blob_count, 1);
	assert_int_equal(rig.blobs[0].blob_id, 7);
	assert_int_equal(rig.blobs[0].size, SIZE);
	assert_true(rig_fd_holds(rig.blobs[0].fd, SIZE, 0));
	rig_fill(&rig, buffer, SIZE, 0xfeedc0de);
	assert_true(rig_fd_holds(rig.blobs[0].fd, SIZE, 0xfeedc0de));
	rig_destroy(&rig);
}

static void memory_reads_what_guest_wrote_into_blob(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, SIZE, 1, VK_SUCCESS);
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	const uint32_t word = 0x01020304;
	assert_int_equal(pwrite(rig.blobs[0].fd, &word, sizeof(word), 4096), sizeof(word));
	assert_memory_equal((char *)neep_vk_memory_from(memory)->ptr + 4096, &word, sizeof(word));
	rig_destroy(&rig);
}

static void memory_is_published_once(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, SIZE, 1, VK_SUCCESS);
	rig.publish_error = -EPIPE;
	assert_int_equal(
		neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_ERROR_MEMORY_MAP_FAILED);
	rig.publish_error = 0;
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_int_equal(rig.blob_count, 1);
	rig_destroy(&rig);
}

static void memory_pages_outlive_freed_memory(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, SIZE, 1, VK_SUCCESS);
	uint64_t id = memory->id;
	VkBuffer buffer = rig_bind_buffer(&rig, memory, SIZE);
	rig_fill(&rig, buffer, SIZE, 5);
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_int_equal(neep_vk_FreeMemorySyncGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_null(neep_vk_object_find(rig.context->table, id, NEEP_VK_DEVICE_MEMORY));
	assert_true(rig_fd_holds(rig.blobs[0].fd, SIZE, 5));
	rig_destroy(&rig);
}

static void memory_has_whole_pages_when_size_is_odd(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, 4097, 1, VK_SUCCESS);
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_int_equal(rig.blobs[0].size, 8192);
	struct stat st;
	assert_int_equal(fstat(rig.blobs[0].fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	// Nobody who has it can make the driver's mapping fault.
	assert_int_equal(ftruncate(rig.blobs[0].fd, 0), -1);
	rig_destroy(&rig);
}

static void memory_of_256_mib_is_host_visible(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	uint64_t size = UINT64_C(256) << 20;
	struct neep_vk_object *memory = rig_allocate_blob(&rig, size, 1, VK_SUCCESS);
	VkBuffer buffer = rig_bind_buffer(&rig, memory, size);
	rig_fill(&rig, buffer, SIZE, 9);
	assert_int_equal(neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_SUCCESS);
	assert_true(rig_fd_holds(rig.blobs[0].fd, SIZE, 9));
	rig_destroy(&rig);
}

static void memory_is_refused_when_size_is_wrong(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	rig_allocate_blob(&rig, 0, 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	rig_allocate_blob(&rig, NEEP_VK_MAX_HOST_VISIBLE + 1, 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	rig_allocate_blob(&rig, UINT64_MAX, 1, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	rig_destroy(&rig);
}

static void memory_is_refused_when_type_does_not_exist(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory;
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = SIZE,
		.memoryTypeIndex = neep_vk_physical_device_from(rig.physical)->memory.memoryTypeCount,
	};
	assert_int_equal(allocate(&rig, &info, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	info.memoryTypeIndex = UINT32_MAX;
	assert_int_equal(allocate(&rig, &info, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	rig_destroy(&rig);
}

static void memory_fails_call_when_blob_has_no_id(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	rig_allocate_blob(&rig, SIZE, 0, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_true(rig.decoder.call.is_failed);
	rig_destroy(&rig);
}

static void memory_counts_against_limit_until_freed(void **state) {
	(void)state;
	struct neep_vk_limits limits = neep_vk_default_limits;
	limits.memory_bytes = 2 * SIZE;
	struct rig rig;
	rig_create(&rig, &limits);
	rig_start_device(&rig);
	struct neep_vk_object *first = rig_allocate_blob(&rig, SIZE, 1, VK_SUCCESS);
	struct neep_vk_object *plain;
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = SIZE,
	};
	assert_int_equal(allocate(&rig, &info, &plain), VK_SUCCESS);
	rig_allocate_blob(&rig, 1, 2, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	struct neep_vk_object *more;
	assert_int_equal(allocate(&rig, &info, &more), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	neep_vk_FreeMemory(rig_call(&rig), rig.device, first);
	neep_vk_FreeMemory(rig_call(&rig), rig.device, plain);
	assert_int_equal(atomic_load(&rig.context->memory_bytes), 0);
	rig_allocate_blob(&rig, 2 * SIZE, 3, VK_SUCCESS);
	rig_destroy(&rig);
}

// What the guest says in these must never reach the driver: it would use our fds and addresses.
static void memory_ignores_fds_and_addresses_of_guest(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	VkImportMemoryHostPointerInfoEXT pointer = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
		.pHostPointer = (void *)(uintptr_t)0x1000,
	};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	VkImportMemoryFdInfoKHR file = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR,
		.pNext = &pointer,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT,
		.fd = fd,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &file,
		.allocationSize = SIZE,
	};
	struct neep_vk_object *memory;
	assert_int_equal(allocate(&rig, &info, &memory), VK_SUCCESS);
	neep_vk_FreeMemory(rig_call(&rig), rig.device, memory);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	rig_destroy(&rig);
}

static void memory_cannot_be_mapped_when_it_is_no_blob(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = SIZE,
	};
	struct neep_vk_object *memory;
	assert_int_equal(allocate(&rig, &info, &memory), VK_SUCCESS);
	assert_int_equal(
		neep_vk_GetBlobGOOGLE(rig_call(&rig), rig.device, memory), VK_ERROR_MEMORY_MAP_FAILED);
	rig_destroy(&rig);
}

static void memory_of_resource_is_shared_by_two_contexts(void **state) {
	(void)state;
	struct rig one, two;
	rig_create(&one, NULL);
	rig_start_device(&one);
	rig_create(&two, NULL);
	rig_start_device(&two);
	int fd = neep_memfd_create("resource", SIZE);
	rig_add_resource(&one, 42, fd, SIZE);
	rig_add_resource(&two, 42, fd, SIZE);
	struct neep_vk_object *first, *second;
	assert_int_equal(import_resource(&one, 42, SIZE, &first), VK_SUCCESS);
	assert_int_equal(import_resource(&two, 42, SIZE - 100, &second), VK_SUCCESS);
	assert_int_equal(neep_vk_memory_from(second)->size, SIZE);
	rig_fill(&one, rig_bind_buffer(&one, first, SIZE), SIZE, 0xabad1dea);
	assert_true(rig_fd_holds(fd, SIZE, 0xabad1dea));
	VkBuffer seen = rig_bind_buffer(&two, second, SIZE);
	rig_fill(&two, seen, SIZE / 2, 3);
	assert_true(rig_fd_holds(fd, SIZE / 2, 3));
	rig_destroy(&one);
	rig_destroy(&two);
	close(fd);
}

static void memory_of_resource_is_refused_when_it_is_unknown_or_too_small(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	int fd = neep_memfd_create("resource", SIZE);
	rig_add_resource(&rig, 42, fd, SIZE);
	rig_add_resource(&rig, 43, fd, 0);
	rig_add_resource(&rig, 44, fd, UINT64_MAX);
	struct neep_vk_object *memory;
	assert_int_equal(import_resource(&rig, 41, SIZE, &memory), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	assert_int_equal(import_resource(&rig, 42, SIZE + 1, &memory), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	assert_int_equal(import_resource(&rig, 42, UINT64_MAX, &memory), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	assert_int_equal(import_resource(&rig, 43, 1, &memory), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	assert_int_equal(import_resource(&rig, 44, 1, &memory), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	close(fd);
	rig_destroy(&rig);
}

static void memory_needs_no_flush_whatever_the_ranges(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_object *memory = rig_allocate_blob(&rig, SIZE, 1, VK_SUCCESS);
	const VkMappedMemoryRange range = {
		.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
		.memory = NEEP_VK_HANDLE(VkDeviceMemory, memory),
		.offset = SIZE,
		.size = SIZE,
	};
	assert_int_equal(neep_vk_FlushMappedMemoryRanges(rig_call(&rig), rig.device, 1, &range), VK_SUCCESS);
	assert_int_equal(
		neep_vk_InvalidateMappedMemoryRanges(rig_call(&rig), rig.device, 1, &range), VK_SUCCESS);
	rig_destroy(&rig);
}

static void memory_survives_many_small_allocations(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	int before = fd_check_count();
	for (uint64_t i = 1; i <= 500; i++) {
		rig_allocate_blob(&rig, 4096, i, VK_SUCCESS);
	}
	// The device goes with all of it.
	rig_destroy(&rig);
	assert_true(fd_check_count() <= before);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(memory_shows_in_published_blob_what_device_wrote),
		fd_checked_test(memory_reads_what_guest_wrote_into_blob),
		fd_checked_test(memory_is_published_once),
		fd_checked_test(memory_pages_outlive_freed_memory),
		fd_checked_test(memory_has_whole_pages_when_size_is_odd),
		fd_checked_test(memory_of_256_mib_is_host_visible),
		fd_checked_test(memory_is_refused_when_size_is_wrong),
		fd_checked_test(memory_is_refused_when_type_does_not_exist),
		fd_checked_test(memory_fails_call_when_blob_has_no_id),
		fd_checked_test(memory_counts_against_limit_until_freed),
		fd_checked_test(memory_ignores_fds_and_addresses_of_guest),
		fd_checked_test(memory_cannot_be_mapped_when_it_is_no_blob),
		fd_checked_test(memory_of_resource_is_shared_by_two_contexts),
		fd_checked_test(memory_of_resource_is_refused_when_it_is_unknown_or_too_small),
		fd_checked_test(memory_needs_no_flush_whatever_the_ranges),
		fd_checked_test(memory_survives_many_small_allocations),
	};
	return host_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
