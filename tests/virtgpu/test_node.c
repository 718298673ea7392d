/* The render node as a program sees it: runs under `neep run` with a device that has the fake 3D component. */
#include "support/cmocka.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <sys/ioctl.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "util/macros.h"
#include "virtgpu/render_node.h"

/* ---- paths ---- */

static void node_is_the_only_drm_device(void **state) {
	(void)state;
	DIR *folder = opendir("/dev/dri");
	assert_non_null(folder);
	int count = 0;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		count += entry->d_name[0] != '.';
		assert_true(entry->d_name[0] == '.' || strcmp(entry->d_name, "renderD128") == 0);
	}
	closedir(folder);
	assert_int_equal(count, 1);
	assert_int_equal(open("/dev/dri/card0", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
}

static void check_is_node(const struct stat *st) {
	assert_true(S_ISCHR(st->st_mode));
	assert_int_equal(st->st_rdev, makedev(226, 128));
}

static void node_looks_like_a_character_device(void **state) {
	(void)state;
	struct stat st;
	struct statx stx;
	assert_int_equal(stat(NODE_PATH, &st), 0);
	check_is_node(&st);
	assert_int_equal(lstat(NODE_PATH, &st), 0);
	check_is_node(&st);
	assert_int_equal(statx(AT_FDCWD, NODE_PATH, 0, STATX_BASIC_STATS, &stx), 0);
	assert_true(S_ISCHR(stx.stx_mode));
	assert_int_equal(stx.stx_rdev_major, 226);
	assert_int_equal(access(NODE_PATH, R_OK | W_OK), 0);
	int fd = node_open();
	assert_int_equal(fstat(fd, &st), 0);
	check_is_node(&st);
	assert_int_equal(fstatat(fd, "", &st, AT_EMPTY_PATH), 0);
	check_is_node(&st);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	fd = open(NODE_PATH, O_RDWR);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	close(fd);
}

static void node_opens_relative_to_its_folder(void **state) {
	(void)state;
	struct stat st;
	int folder = open("/dev/dri", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder >= 0);
	assert_int_equal(fstatat(folder, "renderD128", &st, 0), 0);
	check_is_node(&st);
	int fd = openat(folder, "renderD128", O_RDWR | O_CLOEXEC);
	assert_int_equal(node_context_init(fd, NEEP_FAKE_CAPSET, 1), 0);
	close(fd);
	close(folder);
}

static void missing_paths_are_bad_addresses(void **state) {
	(void)state;
	/* The C library's headers promise that there is none, programs do not. */
	int (*volatile open_it)(const char *, int, ...) = open;
	int (*volatile openat_it)(int, const char *, int, ...) = openat;
	assert_int_equal(open_it(NULL, O_RDONLY), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(openat_it(AT_FDCWD, NULL, O_RDONLY), -1);
	assert_int_equal(errno, EFAULT);
}

static void node_is_a_platform_device_in_sys(void **state) {
	(void)state;
	struct stat st;
	char link[256] = { 0 };
	assert_int_equal(stat("/sys/dev/char/226:128/device/drm", &st), 0);
	assert_true(readlink("/sys/dev/char/226:128/device/subsystem", link, sizeof(link) - 1) > 0);
	assert_string_equal(strrchr(link, '/'), "/platform");
	FILE *uevent = fopen("/sys/dev/char/226:128/device/uevent", "re");
	assert_non_null(uevent);
	char line[64];
	assert_non_null(fgets(line, sizeof(line), uevent));
	assert_string_equal(line, "DRIVER=virtio_gpu\n");
	fclose(uevent);
}

/* ---- what the node says of itself ---- */

static void version_is_that_of_the_kernel_driver(void **state) {
	(void)state;
	int fd = node_open();
	char name[64] = { 0 };
	struct drm_version version = { .name_len = 0 };
	assert_int_equal(NODE_IOCTL(fd, VERSION, &version), 0);
	assert_int_equal(version.name_len, strlen("virtio_gpu"));
	version.name = name;
	assert_int_equal(NODE_IOCTL(fd, VERSION, &version), 0);
	assert_string_equal(name, "virtio_gpu");
	assert_int_equal(version.version_major, 0);
	assert_int_equal(version.version_minor, 1);
	close(fd);
}

static int param(int fd, uint64_t param, uint32_t *value) {
	struct neep_drm_getparam getparam = { .param = param, .value = (uintptr_t)value };
	return NODE_IOCTL(fd, GETPARAM, &getparam);
}

static void params_tell_what_the_device_has(void **state) {
	(void)state;
	int fd = node_open();
	uint32_t value[2] = { 7, 7 };
	for (uint64_t i = 1; i <= 8; i++) {
		assert_int_equal(param(fd, i, value), 0);
		uint32_t expected = i == NEEP_DRM_PARAM_SUPPORTED_CAPSET_IDS ? NEEP_FAKE_CAPSET_MASK
				    : i == NEEP_DRM_PARAM_CROSS_DEVICE       ? value[0]
									     : 1;
		assert_int_equal(value[0], expected);
		/* Four bytes are written, not eight. */
		assert_int_equal(value[1], 7);
	}
	assert_int_equal(param(fd, 0, value), -EINVAL);
	assert_int_equal(param(fd, 9, value), -EINVAL);
	assert_int_equal(param(fd, 10, value), -EINVAL);
	close(fd);
}

static int caps(int fd, uint32_t id, uint32_t version, void *data, uint32_t size) {
	struct neep_drm_get_caps caps = {
		.cap_set_id = id,
		.cap_set_ver = version,
		.addr = (uintptr_t)data,
		.size = size,
	};
	return NODE_IOCTL(fd, GET_CAPS, &caps);
}

static void caps_are_cut_to_what_both_have(void **state) {
	(void)state;
	int fd = node_open();
	uint8_t data[NEEP_FAKE_CAPSET_SIZE + 8];
	for (uint32_t version = 0; version <= NEEP_FAKE_CAPSET_VERSION; version++) {
		memset(data, 0xee, sizeof(data));
		assert_int_equal(caps(fd, NEEP_FAKE_CAPSET, version, data, sizeof(data)), 0);
		for (size_t i = 0; i < sizeof(data); i++) {
			assert_int_equal(
				data[i], i < NEEP_FAKE_CAPSET_SIZE ? (uint8_t)(version * 16 + i) : 0xee);
		}
	}
	memset(data, 0xee, sizeof(data));
	assert_int_equal(caps(fd, NEEP_FAKE_CAPSET, 0, data, 4), 0);
	assert_int_equal(data[3], 3);
	assert_int_equal(data[4], 0xee);
	assert_int_equal(caps(fd, NEEP_FAKE_CAPSET, NEEP_FAKE_CAPSET_VERSION + 1, data, 4), -EINVAL);
	assert_int_equal(caps(fd, 3, 0, data, 4), -EINVAL);
	assert_int_equal(caps(fd, NEEP_FAKE_CAPSET, 0, data, 0), -EINVAL);
	close(fd);
}

static void primary_node_ioctls_are_denied(void **state) {
	(void)state;
	int fd = node_open();
	struct drm_auth auth = { 0 };
	assert_int_equal(NODE_IOCTL(fd, GET_MAGIC, &auth), -EACCES);
	assert_int_equal(NODE_IOCTL(fd, AUTH_MAGIC, &auth), -EACCES);
	assert_int_equal(node_ioctl(fd, 0xa0, &auth, sizeof(auth)), -EACCES);
	assert_int_equal(node_ioctl(fd, 0x60, &auth, sizeof(auth)), -EINVAL);
	struct drm_get_cap cap = { .capability = DRM_CAP_PRIME };
	assert_int_equal(NODE_IOCTL(fd, GET_CAP, &cap), 0);
	assert_int_equal(cap.value, 3);
	close(fd);
}

/* ---- contexts ---- */

static void context_init_checks_its_words(void **state) {
	(void)state;
	static const struct {
		struct neep_drm_context_set_param params[5];
		uint32_t count;
	} wrong[] = {
		{ { { NEEP_DRM_CONTEXT_CAPSET_ID, 3 } }, 1 },
		{ { { NEEP_DRM_CONTEXT_CAPSET_ID, 64 } }, 1 },
		{ { { NEEP_DRM_CONTEXT_CAPSET_ID, 6 }, { NEEP_DRM_CONTEXT_CAPSET_ID, 6 } }, 2 },
		{ { { NEEP_DRM_CONTEXT_NUM_RINGS, 65 } }, 1 },
		{ { { NEEP_DRM_CONTEXT_NUM_RINGS, 2 }, { NEEP_DRM_CONTEXT_POLL_RINGS_MASK, 4 } }, 2 },
		{ { { 0, 1 } }, 1 },
		{ { { 5, 1 } }, 1 },
		{ { { NEEP_DRM_CONTEXT_NUM_RINGS, 1 } }, 5 },
	};
	int fd = node_open();
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		struct neep_drm_context_init init = {
			.num_params = wrong[i].count,
			.ctx_set_params = (uintptr_t)wrong[i].params,
		};
		assert_int_equal(NODE_IOCTL(fd, CONTEXT_INIT, &init), -EINVAL);
	}
	assert_int_equal(node_context_init(fd, NEEP_FAKE_CAPSET, 8), 0);
	assert_int_equal(node_context_init(fd, NEEP_FAKE_CAPSET, 8), -EEXIST);
	close(fd);
}

/* ---- blobs ---- */

static void blob_is_the_memory_that_the_device_has(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, 3 * NODE_PAGE, 0x5a, &blob), 0);
	uint8_t *memory = node_map(fd, blob.handle, blob.size);
	assert_non_null(memory);
	assert_int_equal(memory[0], 0x5a);
	assert_int_equal(memory[3 * NODE_PAGE - 1], 0x5a);
	memcpy(memory + NODE_PAGE, "\x78\x56\x34\x12", 4);
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_op(&stream, NEEP_FAKE_OP_POKE, (const uint32_t[]){ blob.resource_id, 8, 0, 77 }, 4);
	struct node_submit submit = { .stream = &stream, .ring = 1, .wants_fence = true, .fence_in = -1 };
	int fence = node_submit(fd, &submit);
	assert_true(node_fence_is_done(fence, (int)AWAIT_MS));
	assert_int_equal(memory[8], 77);
	assert_int_equal(munmap(memory, blob.size), 0);
	assert_int_equal(node_close(fd, blob.handle), 0);
	close(fence);
	close(fd);
}

static void mapping_outlives_handle_and_file(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0x11, &blob), 0);
	uint8_t *memory = node_map(fd, blob.handle, NODE_PAGE);
	assert_non_null(memory);
	assert_int_equal(node_close(fd, blob.handle), 0);
	close(fd);
	memory[0]++;
	assert_int_equal(memory[0], 0x12);
	munmap(memory, NODE_PAGE);
}

static void mmap_wants_a_handle_and_a_length_that_fits(void **state) {
	(void)state;
	int fd = node_open_context();
	int other = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, 2 * NODE_PAGE, 0, &blob), 0);
	assert_null(node_map(fd, blob.handle, 3 * NODE_PAGE));
	assert_int_equal(errno, EINVAL);
	uint8_t *memory = node_map(fd, blob.handle, 100);
	assert_non_null(memory);
	munmap(memory, 100);
	struct neep_drm_map map = { .handle = blob.handle };
	assert_int_equal(NODE_IOCTL(fd, MAP, &map), 0);
	assert_ptr_equal(mmap(NULL, NODE_PAGE, PROT_READ, MAP_SHARED, other, (off_t)map.offset), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(
		mmap(NULL, NODE_PAGE, PROT_READ, MAP_SHARED, fd, (off_t)map.offset + NODE_PAGE), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_null(node_map(fd, 999, NODE_PAGE));
	map.handle = 0;
	assert_int_equal(NODE_IOCTL(fd, MAP, &map), -ENOENT);
	close(other);
	close(fd);
}

static void blob_that_is_wrong_is_refused(void **state) {
	(void)state;
	int fd = node_open_context();
	static const struct neep_drm_create_blob wrong[] = {
		{ .blob_mem = 0, .size = NODE_PAGE },
		{ .blob_mem = 4, .size = NODE_PAGE },
		{ .blob_mem = 2, .blob_flags = 8, .size = NODE_PAGE },
		{ .blob_mem = 2, .blob_flags = 1, .size = 0 },
		{ .blob_mem = 2, .blob_flags = 1, .size = UINT64_MAX },
		{ .blob_mem = 2, .blob_flags = 1, .size = NODE_PAGE, .cmd_size = 3 },
		{ .blob_mem = 1, .blob_flags = 1, .size = NODE_PAGE, .blob_id = 1 },
		/* Nobody made it: the device says so. */
		{ .blob_mem = 2, .blob_flags = 1, .size = NODE_PAGE, .blob_id = 123456 },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		struct neep_drm_create_blob create = wrong[i];
		create.cmd = (uintptr_t)&create;
		assert_int_equal(NODE_IOCTL(fd, RESOURCE_CREATE_BLOB, &create), -EINVAL);
	}
	assert_int_equal(node_close(fd, 1), -EINVAL);
	close(fd);
}

static void guest_blob_is_memory_of_the_program(void **state) {
	(void)state;
	int fd = node_open_context();
	struct neep_drm_create_blob create = { .blob_mem = 1, .blob_flags = 1, .size = 2 * NODE_PAGE };
	assert_int_equal(NODE_IOCTL(fd, RESOURCE_CREATE_BLOB, &create), 0);
	uint8_t *memory = node_map(fd, create.bo_handle, 2 * NODE_PAGE);
	assert_non_null(memory);
	assert_int_equal(memory[2 * NODE_PAGE - 1], 0);
	memset(memory, 0x33, 2 * NODE_PAGE);
	munmap(memory, 2 * NODE_PAGE);
	struct neep_drm_resource_info info = { .bo_handle = create.bo_handle };
	assert_int_equal(NODE_IOCTL(fd, RESOURCE_INFO, &info), 0);
	assert_int_equal(info.res_handle, create.res_handle);
	assert_int_equal(info.size, 2 * NODE_PAGE);
	assert_int_equal(info.blob_mem, 1);
	close(fd);
}

/* ---- classic resources ---- */

static void resource_is_transferred_both_ways(void **state) {
	(void)state;
	int fd = node_open_context();
	struct neep_drm_resource_create create = {
		.target = 2,
		.format = 1,
		.width = 32,
		.height = 32,
		.depth = 1,
		.array_size = 1,
		.size = 32 * 32 * 4,
	};
	assert_int_equal(NODE_IOCTL(fd, RESOURCE_CREATE, &create), 0);
	uint32_t *pixels = node_map(fd, create.bo_handle, 32 * 32 * 4);
	assert_non_null(pixels);
	for (uint32_t i = 0; i < 32 * 32; i++) {
		pixels[i] = i * 77;
	}
	struct neep_drm_transfer transfer = { .bo_handle = create.bo_handle,
		.box = { .w = 32, .h = 32, .d = 1 } };
	assert_int_equal(NODE_IOCTL(fd, TRANSFER_TO_HOST, &transfer), 0);
	assert_int_equal(node_wait(fd, create.bo_handle, false), 0);
	memset(pixels, 0, 32 * 32 * 4);
	assert_int_equal(NODE_IOCTL(fd, TRANSFER_FROM_HOST, &transfer), 0);
	assert_int_equal(node_wait(fd, create.bo_handle, false), 0);
	for (uint32_t i = 0; i < 32 * 32; i++) {
		assert_int_equal(pixels[i], i * 77);
	}
	transfer.stride = 128;
	assert_int_equal(NODE_IOCTL(fd, TRANSFER_TO_HOST, &transfer), -EINVAL);
	transfer.bo_handle = 99;
	assert_int_equal(NODE_IOCTL(fd, TRANSFER_TO_HOST, &transfer), -ENOENT);
	munmap(pixels, 32 * 32 * 4);
	close(fd);
}

/* ---- submits and fences ---- */

static int fence_on(int fd, int ring) {
	struct node_submit submit = { .ring = ring, .wants_fence = true, .fence_in = -1 };
	int fence = node_submit(fd, &submit);
	assert_true(fence >= 0);
	return fence;
}

static void empty_submit_gives_a_fence_that_is_done(void **state) {
	(void)state;
	int fd = node_open_context();
	int fence = fence_on(fd, 0);
	assert_true(node_fence_is_done(fence, (int)AWAIT_MS));
	/* Others that hold it see the same, however often they look. */
	int copy = dup(fence);
	assert_true(node_fence_is_done(copy, 0));
	assert_int_equal(fcntl(fence, F_GETFD), FD_CLOEXEC);
	close(copy);
	close(fence);
	close(fd);
}

static void fences_of_two_rings_are_apart(void **state) {
	(void)state;
	int fd = node_open_context();
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	int first = fence_on(fd, 2);
	int second = fence_on(fd, 2);
	int other = fence_on(fd, 3);
	assert_true(node_fence_is_done(other, (int)AWAIT_MS));
	assert_false(node_fence_is_done(first, 0));
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	assert_true(node_fence_is_done(first, (int)AWAIT_MS));
	assert_false(node_fence_is_done(second, 20));
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, NEEP_FAKE_ALL), 0);
	assert_true(node_fence_is_done(second, (int)AWAIT_MS));
	close(first);
	close(second);
	close(other);
	close(fd);
}

static void sync_file_calls_tell_and_merge(void **state) {
	(void)state;
	int fd = node_open_context();
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	int held = fence_on(fd, 2);
	int done = fence_on(fd, 0);
	assert_true(node_fence_is_done(done, (int)AWAIT_MS));
	struct sync_file_info info = { 0 };
	assert_int_equal(ioctl(held, SYNC_IOC_FILE_INFO, &info), 0);
	assert_int_equal(info.status, 0);
	assert_int_equal(info.num_fences, 1);
	struct sync_merge_data merge = { .fd2 = done };
	assert_int_equal(ioctl(held, SYNC_IOC_MERGE, &merge), 0);
	assert_false(node_fence_is_done(merge.fence, 20));
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	assert_true(node_fence_is_done(merge.fence, (int)AWAIT_MS));
	struct sync_fence_info fence_info;
	info = (struct sync_file_info){ .num_fences = 1, .sync_fence_info = (uintptr_t)&fence_info };
	assert_int_equal(ioctl(merge.fence, SYNC_IOC_FILE_INFO, &info), 0);
	assert_int_equal(info.status, 1);
	assert_int_equal(fence_info.status, 1);
	merge.fd2 = fd;
	assert_int_equal(ioctl(held, SYNC_IOC_MERGE, &merge), -1);
	assert_int_equal(errno, ENOENT);
	close(merge.fence);
	close(held);
	close(done);
	close(fd);
}

static void fence_that_comes_in_is_waited_for(void **state) {
	(void)state;
	int fd = node_open_context();
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	int held = fence_on(fd, 2);
	pid_t child = fork();
	if (child == 0) {
		usleep(50000);
		_exit(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, 1) == 0 ? 0 : 1);
	}
	struct node_submit submit = { .ring = 0, .wants_fence = true, .fence_in = held };
	int fence = node_submit(fd, &submit);
	assert_true(node_fence_is_done(held, 0));
	assert_true(node_fence_is_done(fence, (int)AWAIT_MS));
	submit.fence_in = fd;
	assert_int_equal(node_submit(fd, &submit), -EINVAL);
	close(held);
	close(fence);
	close(fd);
}

static void wait_sees_the_submits_that_use_a_buffer(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0, &blob), 0);
	assert_int_equal(node_wait(fd, blob.handle, false), 0);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	struct node_submit submit = { .handles = &blob.handle, .handle_count = 1, .ring = 2, .fence_in = -1 };
	assert_int_equal(node_submit(fd, &submit), 0);
	assert_int_equal(node_wait(fd, blob.handle, true), -EBUSY);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	assert_int_equal(node_wait(fd, blob.handle, false), 0);
	assert_int_equal(node_wait(fd, blob.handle, true), 0);
	assert_int_equal(node_wait(fd, 99, false), -ENOENT);
	close(fd);
}

/* Other rings' fences do not tell when this one's is done. */
static void wait_sees_an_old_submit_behind_many(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0, &blob), 0);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 1, 1), 0);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 2, 1), 0);
	struct node_submit submit = { .handles = &blob.handle, .handle_count = 1, .ring = 1, .fence_in = -1 };
	assert_int_equal(node_submit(fd, &submit), 0);
	submit.ring = 2;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(node_submit(fd, &submit), 0);
	}
	pid_t child = fork();
	if (child == 0) {
		_exit(node_wait(fd, blob.handle, false) == 0 ? 0 : 1);
	}
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, 100), 0);
	usleep(100000);
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 1, 1), 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
}

/* As a query whose answer the device writes there. */
static void wait_sees_the_submits_that_use_guest_memory(void **state) {
	(void)state;
	int fd = node_open_context();
	struct neep_drm_create_blob create = { .blob_mem = 1, .blob_flags = 1, .size = NODE_PAGE };
	assert_int_equal(NODE_IOCTL(fd, RESOURCE_CREATE_BLOB, &create), 0);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 0, 1), 0);
	struct node_submit submit = {
		.handles = &create.bo_handle,
		.handle_count = 1,
		.ring = 0,
		.fence_in = -1,
	};
	assert_int_equal(node_submit(fd, &submit), 0);
	assert_int_equal(node_wait(fd, create.bo_handle, true), -EBUSY);
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 0, 1), 0);
	assert_int_equal(node_wait(fd, create.bo_handle, false), 0);
	close(fd);
}

static void submit_that_is_wrong_is_refused(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_submit submit = { .ring = 8, .wants_fence = true, .fence_in = -1 };
	assert_int_equal(node_submit(fd, &submit), -EINVAL);
	uint32_t handle = 5;
	submit = (struct node_submit){ .handles = &handle, .handle_count = 1, .ring = -1, .fence_in = -1 };
	assert_int_equal(node_submit(fd, &submit), -ENOENT);
	struct neep_drm_execbuffer exec = { .flags = 0x18 };
	assert_int_equal(NODE_IOCTL(fd, EXECBUFFER, &exec), -EINVAL);
	exec = (struct neep_drm_execbuffer){ .size = 64, .command = 16, .flags = NEEP_DRM_EXEC_FENCE_FD_OUT };
	assert_int_equal(NODE_IOCTL(fd, EXECBUFFER, &exec), -EFAULT);
	exec = (struct neep_drm_execbuffer){ .num_bo_handles = UINT32_MAX, .bo_handles = 16 };
	assert_true(NODE_IOCTL(fd, EXECBUFFER, &exec) < 0);
	close(fd);
}

static void large_submit_is_whole(void **state) {
	(void)state;
	enum { WORDS = 300000 };
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0, &blob), 0);
	uint32_t *memory = node_map(fd, blob.handle, NODE_PAGE);
	uint32_t *words = calloc(WORDS, sizeof(*words)); // NOPs
	memcpy(words + WORDS - 5, (uint32_t[]){ NEEP_FAKE_OP_POKE, blob.resource_id, 0, 0, 4711 }, 20);
	struct neep_drm_execbuffer exec = {
		.size = WORDS * sizeof(*words),
		.command = (uintptr_t)words,
		.bo_handles = (uintptr_t)&blob.handle,
		.num_bo_handles = 1,
	};
	assert_int_equal(NODE_IOCTL(fd, EXECBUFFER, &exec), 0);
	assert_int_equal(node_wait(fd, blob.handle, false), 0);
	assert_int_equal(memory[0], 4711);
	free(words);
	munmap(memory, NODE_PAGE);
	close(fd);
}

static void old_and_new_programs_have_other_structs(void **state) {
	(void)state;
	int fd = node_open_context();
	/* Before rings and syncobjs. */
	struct neep_drm_execbuffer exec = { .flags = NEEP_DRM_EXEC_FENCE_FD_OUT };
	assert_int_equal(node_ioctl(fd, NEEP_DRM_NR_EXECBUFFER, &exec, 32), 0);
	assert_true(node_fence_is_done(exec.fence_fd, (int)AWAIT_MS));
	close(exec.fence_fd);
	struct {
		struct neep_drm_wait wait;
		uint64_t future[20];
	} longer = { .future = { 1, 2 } };
	assert_int_equal(NODE_IOCTL(fd, WAIT, &longer), -ENOENT);
	assert_int_equal(longer.future[1], 2);
	close(fd);
}

/* ---- dma-bufs ---- */

static void dma_buf_leads_to_the_same_buffer(void **state) {
	(void)state;
	int fd = node_open_context();
	int other = node_open_context();
	struct node_blob blob;
	uint32_t handle, again;
	assert_int_equal(node_blob_create(fd, 2 * NODE_PAGE, 0x21, &blob), 0);
	int dma_buf = node_export(fd, blob.handle);
	assert_true(dma_buf >= 0);
	assert_int_equal(lseek(dma_buf, 0, SEEK_END), 2 * NODE_PAGE);
	assert_int_equal(node_import(fd, dma_buf, &handle), 0);
	assert_int_equal(handle, blob.handle);
	assert_int_equal(node_import(other, dma_buf, &handle), 0);
	assert_int_equal(node_import(other, dma_buf, &again), 0);
	assert_int_equal(handle, again);
	struct neep_drm_resource_info info = { .bo_handle = handle };
	assert_int_equal(NODE_IOCTL(other, RESOURCE_INFO, &info), 0);
	assert_int_equal(info.res_handle, blob.resource_id);
	uint8_t *memory = node_map(other, handle, NODE_PAGE);
	assert_non_null(memory);
	assert_int_equal(memory[5], 0x21);
	uint8_t *direct = mmap(NULL, NODE_PAGE, PROT_READ, MAP_SHARED, dma_buf, 0);
	memory[5] = 0x22;
	assert_int_equal(direct[5], 0x22);
	/* The context that imports it has it attached. */
	assert_int_equal(NODE_RUN(other, NEEP_FAKE_OP_POKE, blob.resource_id, 4, 0, 9), 0);
	assert_int_equal(node_close(other, handle), 0);
	assert_int_equal(node_close(other, handle), -EINVAL);
	munmap(direct, NODE_PAGE);
	munmap(memory, NODE_PAGE);
	close(dma_buf);
	close(other);
	close(fd);
}

/* As it may on Linux, where the context has what it is made of later. */
static void dma_buf_may_come_before_the_context(void **state) {
	(void)state;
	int fd = node_open_context();
	int other = node_open();
	struct node_blob blob;
	uint32_t handle;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0, &blob), 0);
	int dma_buf = node_export(fd, blob.handle);
	assert_int_equal(node_import(other, dma_buf, &handle), 0);
	assert_int_equal(node_context_init(other, NEEP_FAKE_CAPSET, 1), 0);
	uint8_t *memory = node_map(other, handle, NODE_PAGE);
	assert_non_null(memory);
	assert_int_equal(NODE_RUN(other, NEEP_FAKE_OP_POKE, blob.resource_id, 4, 0, 9), 0);
	struct node_submit submit = { .ring = -1, .fence_in = -1, .wants_fence = true };
	int fence = node_submit(other, &submit);
	assert_true(node_fence_is_done(fence, (int)AWAIT_MS));
	assert_int_equal(memory[4], 9);
	munmap(memory, NODE_PAGE);
	close(fence);
	close(dma_buf);
	close(other);
	close(fd);
}

static void dma_buf_keeps_the_buffer_alone(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	uint32_t handle;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0x44, &blob), 0);
	int dma_buf = node_export(fd, blob.handle);
	assert_int_equal(node_close(fd, blob.handle), 0);
	close(fd);
	fd = node_open_context();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(node_import(fd, dma_buf, &handle), 0);
		uint8_t *memory = node_map(fd, handle, NODE_PAGE);
		assert_non_null(memory);
		assert_int_equal(memory[0], 0x44);
		munmap(memory, NODE_PAGE);
		assert_int_equal(node_close(fd, handle), 0);
	}
	close(dma_buf);
	close(fd);
}

static void foreign_fd_is_no_dma_buf(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t handle;
	int memory = memfd_create("foreign", MFD_CLOEXEC);
	assert_int_equal(node_import(fd, memory, &handle), -EINVAL);
	assert_int_equal(node_import(fd, 999, &handle), -EBADF);
	assert_int_equal(node_export(fd, 1), -ENOENT);
	close(memory);
	close(fd);
}

static int export_for_reading(int fd, uint32_t handle) {
	struct drm_prime_handle prime = { .handle = handle, .flags = DRM_CLOEXEC, .fd = -1 };
	assert_int_equal(NODE_IOCTL(fd, PRIME_HANDLE_TO_FD, &prime), 0);
	return prime.fd;
}

static void dma_buf_has_the_rights_that_were_asked_for(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	uint32_t handle;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0x31, &blob), 0);
	int reader = export_for_reading(fd, blob.handle);
	int writer = node_export(fd, blob.handle);
	assert_int_equal(fcntl(reader, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(writer, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_true(mmap(NULL, NODE_PAGE, PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED);
	/* The one that reads keeps the buffer as the other does. */
	assert_int_equal(node_close(fd, blob.handle), 0);
	close(writer);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(node_import(fd, reader, &handle), 0);
		assert_int_equal(node_close(fd, handle), 0);
		usleep(1000);
	}
	close(reader);
	close(fd);
}

static void memory_of_the_guest_is_no_dma_buf(void **state) {
	(void)state;
	int fd = node_open_context();
	struct neep_drm_create_blob create = {
		.blob_mem = NEEP_DRM_BLOB_MEM_GUEST,
		.blob_flags = NEEP_DRM_BLOB_FLAG_MAPPABLE | NEEP_DRM_BLOB_FLAG_SHAREABLE,
		.size = NODE_PAGE,
	};
	assert_int_equal(NODE_IOCTL(fd, RESOURCE_CREATE_BLOB, &create), 0);
	assert_int_equal(node_export(fd, create.bo_handle), -EOPNOTSUPP);
	assert_int_equal(node_export(fd, create.bo_handle), -EOPNOTSUPP);
	close(fd);
}

static void dma_buf_takes_and_gives_sync_files(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 0, &blob), 0);
	int dma_buf = node_export(fd, blob.handle);
	struct dma_buf_export_sync_file export = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	assert_int_equal(ioctl(dma_buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export), 0);
	assert_true(node_fence_is_done(export.fd, 0));
	struct dma_buf_import_sync_file import = { .flags = DMA_BUF_SYNC_WRITE, .fd = export.fd };
	assert_int_equal(ioctl(dma_buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	import.fd = dma_buf;
	assert_int_equal(ioctl(dma_buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), -1);
	assert_int_equal(errno, EINVAL);
	import = (struct dma_buf_import_sync_file){ .flags = 0, .fd = export.fd };
	assert_int_equal(ioctl(dma_buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), -1);
	export.flags = 0x100;
	assert_int_equal(ioctl(dma_buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export), -1);
	assert_int_equal(errno, EINVAL);
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_READ | DMA_BUF_SYNC_START };
	assert_int_equal(ioctl(dma_buf, DMA_BUF_IOCTL_SYNC, &sync), 0);
	close(import.fd);
	close(dma_buf);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(node_is_the_only_drm_device),
		fd_checked_test(node_looks_like_a_character_device),
		fd_checked_test(node_opens_relative_to_its_folder),
		fd_checked_test(missing_paths_are_bad_addresses),
		fd_checked_test(node_is_a_platform_device_in_sys),
		fd_checked_test(version_is_that_of_the_kernel_driver),
		fd_checked_test(params_tell_what_the_device_has),
		fd_checked_test(caps_are_cut_to_what_both_have),
		fd_checked_test(primary_node_ioctls_are_denied),
		fd_checked_test(context_init_checks_its_words),
		fd_checked_test(blob_is_the_memory_that_the_device_has),
		fd_checked_test(mapping_outlives_handle_and_file),
		fd_checked_test(mmap_wants_a_handle_and_a_length_that_fits),
		fd_checked_test(blob_that_is_wrong_is_refused),
		fd_checked_test(guest_blob_is_memory_of_the_program),
		fd_checked_test(resource_is_transferred_both_ways),
		fd_checked_test(empty_submit_gives_a_fence_that_is_done),
		fd_checked_test(fences_of_two_rings_are_apart),
		fd_checked_test(sync_file_calls_tell_and_merge),
		fd_checked_test(fence_that_comes_in_is_waited_for),
		fd_checked_test(wait_sees_the_submits_that_use_a_buffer),
		fd_checked_test(wait_sees_an_old_submit_behind_many),
		fd_checked_test(wait_sees_the_submits_that_use_guest_memory),
		fd_checked_test(submit_that_is_wrong_is_refused),
		fd_checked_test(large_submit_is_whole),
		fd_checked_test(old_and_new_programs_have_other_structs),
		fd_checked_test(dma_buf_leads_to_the_same_buffer),
		fd_checked_test(dma_buf_may_come_before_the_context),
		fd_checked_test(dma_buf_keeps_the_buffer_alone),
		fd_checked_test(foreign_fd_is_no_dma_buf),
		fd_checked_test(dma_buf_has_the_rights_that_were_asked_for),
		fd_checked_test(memory_of_the_guest_is_no_dma_buf),
		fd_checked_test(dma_buf_takes_and_gives_sync_files),
	};
	/* The connection to the node and the info stay open: made before the fds are counted. */
	close(node_open());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
