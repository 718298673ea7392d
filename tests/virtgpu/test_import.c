/* Memory files of a program as buffers. Runs under `neep run` with a device that has the fake 3D component. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/driver.h"
#include "support/await.h"
#include "support/fd_check.h"
#include "virtgpu/render_node.h"

#define BYTES_MAX (UINT64_C(64) << 30)

static int file_of(uint64_t size, int seals) {
	int file = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, (off_t)size), 0);
	assert_int_equal(fcntl(file, F_ADD_SEALS, seals), 0);
	return file;
}

static struct neep_drm_resource_info info_of(int fd, uint32_t handle) {
	struct neep_drm_resource_info info = { .bo_handle = handle };
	assert_int_equal(NODE_IOCTL(fd, RESOURCE_INFO, &info), 0);
	return info;
}

static void sealed_file_is_a_buffer(void **state) {
	(void)state;
	int fd = node_open_context();
	int file = file_of(2 * NODE_PAGE, F_SEAL_SHRINK);
	uint32_t handle;
	assert_int_equal(node_import(fd, file, &handle), 0);
	struct neep_drm_resource_info info = info_of(fd, handle);
	assert_int_equal(info.blob_mem, NEEP_DRM_BLOB_MEM_GUEST);
	assert_int_equal(info.size, 2 * NODE_PAGE);
	uint8_t *memory = node_map(fd, handle, 2 * NODE_PAGE);
	assert_non_null(memory);
	memory[NODE_PAGE] = 0x5a;
	uint8_t byte = 0;
	assert_int_equal(pread(file, &byte, 1, NODE_PAGE), 1);
	assert_int_equal(byte, 0x5a);
	munmap(memory, 2 * NODE_PAGE);
	close(file);
	close(fd);
}

static void buffer_is_the_same_each_time_while_it_lives(void **state) {
	(void)state;
	int fd = node_open_context(), other = node_open_context();
	int file = file_of(NODE_PAGE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	uint32_t first, second, third;
	assert_int_equal(node_import(fd, file, &first), 0);
	assert_int_equal(node_import(fd, file, &second), 0);
	assert_int_equal(node_import(other, file, &third), 0);
	assert_int_equal(first, second);
	uint32_t resource = info_of(fd, first).res_handle;
	assert_int_equal(info_of(other, third).res_handle, resource);
	assert_int_equal(node_close(fd, first), 0);
	assert_int_equal(info_of(other, third).res_handle, resource);
	assert_int_equal(node_close(other, third), 0);
	assert_int_equal(node_import(fd, file, &first), 0);
	assert_true(info_of(fd, first).res_handle > resource);
	close(file);
	close(other);
	close(fd);
}

static void file_of_no_whole_pages_is_a_buffer(void **state) {
	(void)state;
	int fd = node_open_context();
	int file = file_of(250000, F_SEAL_SHRINK);
	uint32_t handle;
	assert_int_equal(node_import(fd, file, &handle), 0);
	assert_int_equal(info_of(fd, handle).size, 253952);
	close(file);
	close(fd);
}

static void file_that_has_grown_is_another_buffer(void **state) {
	(void)state;
	int fd = node_open_context();
	int file = file_of(NODE_PAGE, F_SEAL_SHRINK);
	uint32_t first, second;
	assert_int_equal(node_import(fd, file, &first), 0);
	assert_int_equal(ftruncate(file, 3 * NODE_PAGE), 0);
	assert_int_equal(node_import(fd, file, &second), 0);
	assert_true(first != second);
	assert_int_equal(info_of(fd, first).size, NODE_PAGE);
	assert_int_equal(info_of(fd, second).size, 3 * NODE_PAGE);
	close(file);
	close(fd);
}

static int reopened(int file, int flags) {
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	int again = open(path, flags | O_CLOEXEC);
	assert_true(again >= 0);
	return again;
}

static void check_refused(int fd, int owned_file) {
	uint32_t handle;
	assert_int_equal(node_import(fd, owned_file, &handle), -EINVAL);
	close(owned_file);
}

static void other_files_are_refused(void **state) {
	(void)state;
	int fd = node_open_context();
	int good = file_of(NODE_PAGE, F_SEAL_SHRINK);
	char path[] = "/tmp/neep-test-XXXXXX";
	int named = mkostemp(path, O_CLOEXEC);
	unlink(path);
	assert_int_equal(ftruncate(named, NODE_PAGE), 0);
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	check_refused(fd, file_of(NODE_PAGE, 0));
	check_refused(fd, file_of(NODE_PAGE, F_SEAL_GROW));
	check_refused(fd, file_of(0, F_SEAL_SHRINK));
	check_refused(fd, file_of(NODE_PAGE, F_SEAL_SHRINK | F_SEAL_WRITE));
	check_refused(fd, file_of(NODE_PAGE, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE));
	check_refused(fd, file_of(NEEP_DRIVER_IMPORT_SIZE_MAX + 1, F_SEAL_SHRINK));
	check_refused(fd, reopened(good, O_RDONLY));
	check_refused(fd, reopened(good, O_WRONLY));
	check_refused(fd, reopened(good, O_PATH));
	check_refused(fd, named);
	check_refused(fd, ends[0]);
	check_refused(fd, ends[1]);
	uint32_t handle;
	int huge = file_of(UINT64_C(1) << 60, F_SEAL_SHRINK);
	assert_int_equal(node_import(fd, huge, &handle), -ENOMEM);
	close(huge);
	assert_int_equal(node_import(fd, good, &handle), 0);
	assert_int_equal(node_export(fd, handle), -EOPNOTSUPP);
	close(good);
	close(fd);
}

/* Imports as many as there may be. Returns the handle of the first. */
static uint32_t import_many(int fd, int files[static NEEP_DRIVER_IMPORTS_MAX]) {
	uint32_t first = 0, handle;
	for (size_t i = 0; i < NEEP_DRIVER_IMPORTS_MAX; i++) {
		files[i] = file_of(NODE_PAGE, F_SEAL_SHRINK);
		/* What a render fd had goes a little later than its close(). */
		await_true(node_import(fd, files[i], &handle) == 0);
		first = i == 0 ? handle : first;
	}
	return first;
}

static void more_than_there_are_regions_are_refused(void **state) {
	(void)state;
	int files[NEEP_DRIVER_IMPORTS_MAX];
	uint32_t handle;
	for (int round = 0; round < 2; round++) {
		int fd = node_open_context();
		uint32_t first = import_many(fd, files);
		int one_more = file_of(NODE_PAGE, F_SEAL_SHRINK);
		assert_int_equal(node_import(fd, one_more, &handle), -ENOMEM);
		assert_int_equal(node_import(fd, files[0], &handle), 0);
		assert_int_equal(node_close(fd, first), 0);
		assert_int_equal(node_import(fd, one_more, &handle), 0);
		close(one_more);
		for (size_t i = 0; i < NEEP_DRIVER_IMPORTS_MAX; i++) {
			close(files[i]);
		}
		/* All of them go with it. */
		close(fd);
	}
}

static void more_bytes_than_there_may_be_are_refused(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t handle, last = 0;
	for (uint64_t bytes = 0; bytes < BYTES_MAX; bytes += NEEP_DRIVER_IMPORT_SIZE_MAX) {
		int file = file_of(NEEP_DRIVER_IMPORT_SIZE_MAX, F_SEAL_SHRINK);
		await_true(node_import(fd, file, &last) == 0);
		close(file);
	}
	int file = file_of(NODE_PAGE, F_SEAL_SHRINK);
	assert_int_equal(node_import(fd, file, &handle), -ENOMEM);
	assert_int_equal(node_close(fd, last), 0);
	assert_int_equal(node_import(fd, file, &handle), 0);
	close(file);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(sealed_file_is_a_buffer),
		fd_checked_test(buffer_is_the_same_each_time_while_it_lives),
		fd_checked_test(file_of_no_whole_pages_is_a_buffer),
		fd_checked_test(file_that_has_grown_is_another_buffer),
		fd_checked_test(other_files_are_refused),
		fd_checked_test(more_than_there_are_regions_are_refused),
		fd_checked_test(more_bytes_than_there_may_be_are_refused),
	};
	/* The connection to the node and the info stay open: made before the fds are counted. */
	close(node_open());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
