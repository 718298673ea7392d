/* What the host sends along, and what becomes of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "rig.h"
#include "support/fd_check.h"

#define KEYMAP 5000 // bytes, not whole pages

struct told {
	uint32_t count;
	uint32_t id;
	uint32_t type;
	uint32_t size;
};

static struct told told(struct rig *rig) {
	return (struct told){
		.count = rig_word(rig, 12, 8),
		.id = rig_word(rig, 12, 16),
		.type = rig_word(rig, 12, 128),
		.size = rig_word(rig, 12, 240),
	};
}

/* Sends a fd from the host, which is closed here, and has it told. */
static struct told pass(struct rig *rig, int host, int fd) {
	assert_true(fd >= 0);
	host_send(host, "x", 1, &fd, 1);
	close(fd);
	rig_next(rig, 1);
	struct told result = told(rig);
	assert_int_equal(result.count, 1);
	return result;
}

static int make_file(size_t size, unsigned seals) {
	int fd = memfd_create("host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(i * 13);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
	}
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The same file again, for reading. */
static int read_only(int fd) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void map(struct rig *rig, uint32_t resource_id, struct rutabaga_mapping *mapping) {
	assert_int_equal(rutabaga_resource_map(rig->rutabaga, resource_id, mapping), 0);
}

static void writable_memory_is_shared(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fd = make_file(8192, 0);
	lseek(fd, 77, SEEK_SET);
	struct told item = pass(rig, host, dup(fd));
	assert_int_equal(item.id, 2);
	assert_int_equal(item.type, NEEP_XD_ID_BLOB);
	assert_int_equal(item.size, 8192);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 77);
	assert_int_equal(rig_blob(rig, 1, 100, item.id, 8192), 0);
	struct rutabaga_mapping mapping;
	map(rig, 100, &mapping);
	((uint8_t *)mapping.ptr)[8000] = 0xee;
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, 8000), 1);
	assert_int_equal(byte, 0xee);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 77);
	/* Once only. */
	assert_int_equal(rig_blob(rig, 1, 101, item.id, 8192), -EINVAL);
	close(fd);
	close(host);
}

static void last_page_of_writable_memory_is_whole(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fd = make_file(KEYMAP, 0);
	struct told item = pass(rig, host, dup(fd));
	assert_int_equal(item.size, KEYMAP);
	assert_int_equal(rig_blob(rig, 1, 100, item.id, 12288), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 100, item.id, 8192), 0);
	struct rutabaga_mapping mapping;
	map(rig, 100, &mapping);
	((volatile uint8_t *)mapping.ptr)[8191] = 1;
	assert_int_equal(((uint8_t *)mapping.ptr)[4999], (uint8_t)(4999 * 13));
	close(fd);
	/* Also of one that may not get longer, which stays as long as it is. */
	fd = make_file(KEYMAP, F_SEAL_GROW);
	item = pass(rig, host, dup(fd));
	assert_int_equal(rig_blob(rig, 1, 101, item.id, 12288), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 101, item.id, 8192), 0);
	map(rig, 101, &mapping);
	((volatile uint8_t *)mapping.ptr)[8191] = 1;
	((volatile uint8_t *)mapping.ptr)[4999] = 2;
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, 4999), 1);
	assert_int_equal(byte, 2);
	assert_int_equal(lseek(fd, 0, SEEK_END), KEYMAP);
	close(fd);
	close(host);
}

/* The guest may write to its picture of a keymap, and nobody else sees it. */
static void check_is_private(struct rig *rig, int host, int fd, int sent_fd) {
	static uint32_t resource_id = 100;
	struct told item = pass(rig, host, sent_fd);
	assert_int_equal(item.type, NEEP_XD_ID_BLOB);
	assert_int_equal(item.size, KEYMAP);
	assert_int_equal(rig_blob(rig, 1, resource_id, item.id, 12288), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, resource_id, item.id, 8192), 0);
	struct rutabaga_mapping mapping;
	map(rig, resource_id, &mapping);
	uint8_t *bytes = mapping.ptr;
	for (size_t i = 0; i < KEYMAP; i++) {
		assert_int_equal(bytes[i], (uint8_t)(i * 13));
	}
	assert_int_equal(bytes[8191], 0);
	uint32_t map_info;
	assert_int_equal(rutabaga_resource_map_info(rig->rutabaga, resource_id, &map_info), 0);
	if ((map_info & RUTABAGA_MAP_ACCESS_WRITE) != 0) {
		memset(bytes, 0x55, 8192);
	}
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, 1), 1);
	assert_int_equal(byte, 13);
	resource_id++;
}

static void read_only_memory_is_private(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fd = make_file(KEYMAP, 0);
	check_is_private(rig, host, fd, read_only(fd));
	close(fd);
	close(host);
}

static void sealed_memory_is_private(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int sealed = make_file(KEYMAP, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	check_is_private(rig, host, sealed, dup(sealed));
	check_is_private(rig, host, sealed, read_only(sealed));
	close(sealed);
	int future = make_file(KEYMAP, F_SEAL_FUTURE_WRITE);
	check_is_private(rig, host, future, dup(future));
	close(future);
	close(host);
}

/* Too large to be copied: mapped, but not for writing. */
static void large_read_only_memory_is_mapped_for_reading(void **state) {
	struct rig *rig = *state;
	const uint64_t size = 20 << 20;
	int host = rig_connect(rig, 1);
	int fd = memfd_create("large", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	struct told item = pass(rig, host, read_only(fd));
	assert_int_equal(item.size, size);
	assert_int_equal(rig_blob(rig, 1, 100, item.id, size), 0);
	uint32_t map_info;
	assert_int_equal(rutabaga_resource_map_info(rig->rutabaga, 100, &map_info), 0);
	assert_int_equal(map_info, RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_READ);
	struct rutabaga_mapping mapping;
	map(rig, 100, &mapping);
	assert_int_equal(mprotect(mapping.ptr, mapping.size, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(pwrite(fd, "live", 4, 0), 4);
	assert_memory_equal(mapping.ptr, "live", 4);
	close(fd);
	close(host);
}

/* The size that counts is the one when the blob is made. */
static void file_that_shrank_gives_a_smaller_blob(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fd = make_file(8192, 0);
	struct told item = pass(rig, host, dup(fd));
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(rig_blob(rig, 1, 100, item.id, 8192), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 100, item.id, 4096), 0);
	close(fd);
	close(host);
}

static int one_end(int domain, int type) {
	int ends[2];
	assert_int_equal(socketpair(domain, type | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[1]);
	return ends[0];
}

static int pipe_end(int index) {
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1 - index]);
	return ends[index];
}

static int sparse_file(off_t size, unsigned flags) {
	int fd = memfd_create("sparse", MFD_CLOEXEC | flags);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static void what_cannot_be_passed_is_a_pipe_that_nobody_reads(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fds[] = {
		memfd_create("empty", MFD_CLOEXEC),
		sparse_file((off_t)5 << 30, 0),
		sparse_file((off_t)2 << 20, MFD_HUGETLB | MFD_HUGE_2MB),
		pipe_end(0),
		one_end(AF_UNIX, SOCK_STREAM),
		one_end(AF_UNIX, SOCK_DGRAM),
		one_end(AF_UNIX, SOCK_SEQPACKET),
		open("/dev/null", O_RDWR | O_CLOEXEC),
		open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		open("/", O_PATH | O_CLOEXEC),
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
		epoll_create1(EPOLL_CLOEXEC),
	};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct told item = pass(rig, host, fds[i]);
		assert_int_equal(item.type, NEEP_XD_ID_WRITE_PIPE);
		assert_int_equal(item.size, 0);
		assert_int_equal(rig_write(rig, 1, item.id, false, "lost", 4), 0);
		assert_int_equal(rig_write(rig, 1, item.id, true, NULL, 0), 0);
		assert_int_equal(rig_write(rig, 1, item.id, true, NULL, 0), -EINVAL);
	}
	assert_true(rig_has_message(rig, "an empty file"));
	close(host);
}

static void writing_ends_of_all_kinds_are_written(void **state) {
	struct rig *rig = *state;
	char path[128];
	int host = rig_connect(rig, 1);
	snprintf(path, sizeof(path), "%s/file", rig_host(rig)->folder);
	struct told item = pass(rig, host, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(item.type, NEEP_XD_ID_WRITE_PIPE);
	assert_int_equal(rig_write(rig, 1, item.id, true, "file", 4), 0);
	char buf[8];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, buf, 8), 4);
	close(fd);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	item = pass(rig, host, dup(fd));
	assert_int_equal(item.type, NEEP_XD_ID_WRITE_PIPE);
	assert_int_equal(rig_write(rig, 1, item.id, false, "fifo", 4), 0);
	assert_int_equal(read(fd, buf, 8), 4);
	close(fd);
	unlink(path);
	close(host);
}

static void event_goes_both_ways(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int event = eventfd(3, EFD_CLOEXEC);
	struct told item = pass(rig, host, dup(event));
	assert_int_equal(item.type, NEEP_XD_ID_EVENT);
	assert_int_equal(item.size, 0);
	uint64_t value = 5;
	assert_int_equal(rig_write(rig, 1, item.id, false, &value, 8), 0);
	assert_int_equal(rig_write(rig, 1, item.id, false, &value, 7), -EINVAL);
	value = UINT64_MAX;
	assert_int_equal(rig_write(rig, 1, item.id, false, &value, 8), -EINVAL);
	assert_int_equal(read(event, &value, 8), 8);
	assert_int_equal(value, 8);
	const uint32_t create[] = { 16 << 16 | NEEP_XD_READ_CREATE_EVENT, 0, item.id, 0 };
	assert_int_equal(rig_submit_words(rig, 1, create, 4), 0);
	assert_int_equal(rig_submit_words(rig, 1, create, 4), -EEXIST);
	uint64_t fence = rig_poll(rig, 1);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	assert_int_equal(eventfd_write(event, 42), 0);
	rig_await(rig, fence);
	uint32_t expected[] = { NEEP_XD_READ, 0, item.id, 0, 8, 0, 42, 0 };
	assert_memory_equal(rig_message(rig, 1), expected, sizeof(expected));
	assert_int_equal(rig_write(rig, 1, item.id, true, NULL, 0), 0);
	assert_int_equal(rig_submit_words(rig, 1, create, 4), -EINVAL);
	fence = rig_poll(rig, 1);
	assert_int_equal(eventfd_write(event, 42), 0);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	close(event);
	close(host);
}

static void message_brings_28_fds(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fds[28];
	for (int i = 0; i < 28; i++) {
		fds[i] = make_file((size_t)i + 1, 0);
	}
	host_send(host, "x", 1, fds, 28);
	rig_next(rig, 1);
	assert_int_equal(told(rig).count, 28);
	for (uint32_t i = 0; i < 28; i++) {
		close(fds[i]);
		assert_int_equal(rig_word(rig, 12, 16 + 4 * i), i + 2);
		assert_int_equal(rig_word(rig, 12, 128 + 4 * i), NEEP_XD_ID_BLOB);
		assert_int_equal(rig_word(rig, 12, 240 + 4 * i), i + 1);
	}
	close(host);
}

static void message_with_more_fds_ends_the_connection(void **state) {
	struct rig *rig = *state;
	int fd = make_file(1, 0);
	int fds[32];
	for (size_t i = 0; i < 32; i++) {
		fds[i] = fd;
	}
	for (uint32_t ctx_id = 1; ctx_id <= 2; ctx_id++) {
		int host = rig_connect(rig, ctx_id);
		host_send(host, "x", 1, fds, ctx_id == 1 ? 29 : 32);
		rig_next(rig, ctx_id);
		assert_int_equal(rig_word(rig, rig_channel_ring(ctx_id), 0), NEEP_XD_RECEIVE);
		assert_int_equal(rig_word(rig, rig_channel_ring(ctx_id), 12), 0);
		char byte;
		assert_int_equal(recv(host, &byte, 1, 0), 0);
		close(host);
	}
	close(fd);
}

/* A guest that lets keymaps pile up is given no more of them, until it takes some. */
static void fds_that_nobody_takes_stop_the_channel(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	int fd = make_file(4096, 0);
	uint64_t fence = 0;
	int count = 0;
	for (; count < 2000; count++) {
		host_send(host, "x", 1, &fd, 1);
		fence = rig_poll(rig, 1);
		rig_idle(rig, 0);
		if (!rig_is_done(rig, fence)) {
			rig_idle(rig, 5);
			break;
		}
	}
	assert_false(rig_is_done(rig, fence));
	assert_int_equal(count, 1024 - 28 + 1);
	assert_true(rig_has_message(rig, "no more is read"));
	assert_int_equal(rig_blob(rig, 1, 100, 2, 4096), 0);
	rig_await(rig, fence);
	close(fd);
	close(host);
}

/* As when the device has no fds left. */
static void connection_ends_when_fds_are_used_up(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1), fd = make_file(1, 0);
	int fds[28];
	for (size_t i = 0; i < 28; i++) {
		fds[i] = fd;
	}
	host_send(host, "x", 1, fds, 28);
	struct rlimit limit = fd_limit((rlim_t)fd + 10);
	rig_next(rig, 1);
	fd_limit_restore(limit);
	assert_int_equal(rig_word(rig, 12, 12), 0);
	close(fd);
	close(host);
}

/* A message that is not sent must not be followed by others. */
static void connection_ends_when_there_is_no_fd_to_send(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	assert_int_equal(rig_query(rig, 1, 4096, 1, "R8  "), 0);
	uint32_t blob_id = rig_word(rig, rig_query_ring(1), NEEP_XD_REPLY_BLOB_ID);
	assert_int_equal(rig_blob(rig, 1, 100, blob_id, 4096), 0);
	struct rlimit limit = fd_limit_all();
	const struct rig_id id = { 100, NEEP_XD_ID_BLOB };
	assert_int_equal(rig_send(rig, 1, &id, 1, "lost"), -EMFILE);
	fd_limit_restore(limit);
	assert_int_equal(rig_send(rig, 1, NULL, 0, "next"), -EIO);
	char byte;
	assert_int_equal(recv(host, &byte, 1, 0), 0);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 0);
	close(host);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(writable_memory_is_shared),
		rig_test(last_page_of_writable_memory_is_whole),
		rig_test(read_only_memory_is_private),
		rig_test(sealed_memory_is_private),
		rig_test(large_read_only_memory_is_mapped_for_reading),
		rig_test(file_that_shrank_gives_a_smaller_blob),
		rig_test(what_cannot_be_passed_is_a_pipe_that_nobody_reads),
		rig_test(writing_ends_of_all_kinds_are_written),
		rig_test(event_goes_both_ways),
		rig_test(message_brings_28_fds),
		rig_test(message_with_more_fds_ends_the_connection),
		rig_test(fds_that_nobody_takes_stop_the_channel),
		rig_test(connection_ends_when_fds_are_used_up),
		rig_test(connection_ends_when_there_is_no_fd_to_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
