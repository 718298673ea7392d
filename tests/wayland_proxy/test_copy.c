#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/copy.h"

static const char text[] = "xkb_keymap { xkb_keycodes { }; };";

static int make_file(const void *data, size_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	return fd;
}

static void assert_is_copy(int fd, size_t size) {
	struct stat stat;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_size, size);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	char read_back[sizeof(text)];
	assert_int_equal(pread(fd, read_back, size, 0), size);
	assert_memory_equal(read_back, text, size);
}

static void copy_is_sealed_and_can_be_mapped_shared(void **state) {
	(void)state;
	int fd = neep_wl_copy_memory(make_file(text, sizeof(text)), sizeof(text));
	assert_is_copy(fd, sizeof(text));
	void *shared = mmap(NULL, sizeof(text), PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	void *private = mmap(NULL, sizeof(text), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(private, MAP_FAILED);
	munmap(shared, sizeof(text));
	munmap(private, sizeof(text));
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	close(fd);
}

static void copy_is_made_of_a_file_that_is_sealed_or_read_only(void **state) {
	(void)state;
	int sealed = make_file(text, sizeof(text));
	assert_int_equal(
		fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	int fd = neep_wl_copy_memory(sealed, sizeof(text));
	assert_is_copy(fd, sizeof(text));
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = neep_wl_copy_memory(open(path, O_RDONLY | O_CLOEXEC), sizeof(text));
	assert_is_copy(again, sizeof(text));
	close(fd);
	close(again);
}

static void copy_has_the_size_that_was_told_when_the_file_is_larger(void **state) {
	(void)state;
	int fd = neep_wl_copy_memory(make_file(text, sizeof(text)), 5);
	assert_is_copy(fd, 5);
	close(fd);
}

static void copy_fails_when_the_file_is_shorter_than_told(void **state) {
	(void)state;
	assert_int_equal(neep_wl_copy_memory(make_file(text, sizeof(text)), 3 * 4096), -EFAULT);
}

static void copy_fails_when_there_is_no_memory_or_too_much(void **state) {
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(neep_wl_copy_memory(fds[0], 10) < 0);
	close(fds[1]);
	assert_true(neep_wl_copy_memory(-1, 10) < 0);
	assert_int_equal(neep_wl_copy_memory(make_file(text, 1), (size_t)NEEP_WL_COPY_MAX + 1), -EFBIG);
	assert_int_equal(neep_wl_copy_memory(make_file(text, 1), UINT32_MAX), -EFBIG);
}

static void copy_of_nothing_is_an_empty_file_whatever_the_fd(void **state) {
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	int fd = neep_wl_copy_memory(fds[0], 0);
	assert_is_copy(fd, 0);
	close(fd);
	close(fds[1]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(copy_is_sealed_and_can_be_mapped_shared),
		fd_checked_test(copy_is_made_of_a_file_that_is_sealed_or_read_only),
		fd_checked_test(copy_has_the_size_that_was_told_when_the_file_is_larger),
		fd_checked_test(copy_fails_when_the_file_is_shorter_than_told),
		fd_checked_test(copy_fails_when_there_is_no_memory_or_too_much),
		fd_checked_test(copy_of_nothing_is_an_empty_file_whatever_the_fd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
