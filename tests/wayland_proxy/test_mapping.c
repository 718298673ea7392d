#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/mapping.h"

#define SIZE ((size_t)64 << 10)

static int make_file(size_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	uint8_t *data = malloc(size);
	memset(data, 0x5a, size);
	assert_int_equal(write(fd, data, size), size);
	free(data);
	return fd;
}

static void read_copies_rows_and_nothing_between_them(void **state) {
	(void)state;
	int fd = make_file(SIZE);
	struct neep_wl_mapping mapping;
	assert_int_equal(neep_wl_mapping_init(&mapping, fd, SIZE), 0);
	close(fd);
	uint8_t to[300] = { 0 };
	struct neep_wl_rows rows = { .from = 1000, .to = to, .stride = 100, .row_size = 30, .count = 3 };
	assert_true(neep_wl_mapping_read(&mapping, &rows));
	for (int i = 0; i < 300; i++) {
		assert_int_equal(to[i], i % 100 < 30 ? 0x5a : 0);
	}
	neep_wl_mapping_finish(&mapping);
}

static void read_gives_zeros_when_the_file_was_cut(void **state) {
	(void)state;
	int fd = make_file(SIZE);
	struct neep_wl_mapping mapping;
	assert_int_equal(neep_wl_mapping_init(&mapping, fd, SIZE), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	uint8_t *to = malloc(SIZE);
	memset(to, 0xff, SIZE);
	struct neep_wl_rows rows = { .to = to, .stride = SIZE, .row_size = SIZE, .count = 1 };
	assert_false(neep_wl_mapping_read(&mapping, &rows));
	assert_int_equal(to[SIZE - 1], 0);
	assert_false(neep_wl_mapping_read(&mapping, &rows));
	free(to);
	close(fd);
	neep_wl_mapping_finish(&mapping);
}

static void read_goes_on_when_another_mapping_was_cut(void **state) {
	(void)state;
	int cut_fd = make_file(SIZE), fd = make_file(SIZE);
	struct neep_wl_mapping cut, mapping;
	assert_int_equal(neep_wl_mapping_init(&cut, cut_fd, SIZE), 0);
	assert_int_equal(neep_wl_mapping_init(&mapping, fd, SIZE), 0);
	assert_int_equal(ftruncate(cut_fd, 0), 0);
	uint8_t to[16];
	struct neep_wl_rows rows = { .to = to, .stride = 16, .row_size = 16, .count = 1 };
	assert_false(neep_wl_mapping_read(&cut, &rows));
	assert_true(neep_wl_mapping_read(&mapping, &rows));
	assert_int_equal(to[15], 0x5a);
	close(cut_fd);
	close(fd);
	neep_wl_mapping_finish(&cut);
	neep_wl_mapping_finish(&mapping);
}

static void fault_ends_the_process_when_it_is_elsewhere(void **state) {
	(void)state;
	int fd = make_file(SIZE);
	struct neep_wl_mapping mapping;
	assert_int_equal(neep_wl_mapping_init(&mapping, fd, SIZE), 0);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGBUS, SIG_DFL);
		struct neep_wl_mapping mine;
		neep_wl_mapping_init(&mine, fd, SIZE);
		if (ftruncate(fd, 0) == 0) {
			_exit(*(volatile uint8_t *)mine.data);
		}
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	close(fd);
	neep_wl_mapping_finish(&mapping);
}

static void init_fails_when_the_fd_is_no_memory(void **state) {
	(void)state;
	struct neep_wl_mapping mapping;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(neep_wl_mapping_init(&mapping, fds[0], SIZE) < 0);
	assert_true(neep_wl_mapping_init(&mapping, -1, SIZE) < 0);
	int write_only = open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(write_only >= 0);
	assert_int_equal(neep_wl_mapping_init(&mapping, write_only, SIZE), -EACCES);
	assert_null(mapping.data);
	neep_wl_mapping_finish(&mapping);
	close(write_only);
	close(fds[0]);
	close(fds[1]);
}

static void grow_shows_what_the_file_has_gained(void **state) {
	(void)state;
	int fd = make_file(SIZE);
	struct neep_wl_mapping mapping;
	assert_int_equal(neep_wl_mapping_init(&mapping, fd, SIZE), 0);
	assert_int_equal(ftruncate(fd, 2 * SIZE), 0);
	assert_int_equal(pwrite(fd, "x", 1, 2 * SIZE - 1), 1);
	assert_int_equal(neep_wl_mapping_grow(&mapping, 2 * SIZE), 0);
	uint8_t to;
	struct neep_wl_rows rows = {
		.from = 2 * SIZE - 1, .to = &to, .stride = 1, .row_size = 1, .count = 1
	};
	assert_true(neep_wl_mapping_read(&mapping, &rows));
	assert_int_equal(to, 'x');
	assert_true(neep_wl_mapping_grow(&mapping, SIZE_MAX / 2) < 0);
	assert_int_equal(mapping.size, 2 * SIZE);
	close(fd);
	neep_wl_mapping_finish(&mapping);
}

#define HUGE_PAGE ((size_t)2 << 20)

/* -1: the machine has no huge pages. */
static int make_huge_file(void) {
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	void *data = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, HUGE_PAGE) == 0) {
		data = mmap(NULL, HUGE_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	}
	if (data == MAP_FAILED) {
		close(fd);
		return -1;
	}
	munmap(data, HUGE_PAGE);
	return fd;
}

/* `SIZE` bytes of a file of huge pages are mapped, which takes one such page; on a machine without any, of a file that is mapped so
 * far by us. Returns the file. */
static int map_part_of_huge_page(struct neep_wl_mapping *mapping) {
	int fd = make_huge_file();
	if (fd >= 0) {
		assert_int_equal(neep_wl_mapping_init(mapping, fd, SIZE), 0);
		assert_int_equal(mapping->page_size, HUGE_PAGE);
		return fd;
	}
	fd = make_file(HUGE_PAGE);
	assert_int_equal(neep_wl_mapping_init(mapping, fd, HUGE_PAGE), 0);
	mapping->size = SIZE;
	mapping->page_size = HUGE_PAGE;
	return fd;
}

static void part_of_a_huge_page_is_unmapped(void **state) {
	(void)state;
	struct neep_wl_mapping mapping;
	int fd = map_part_of_huge_page(&mapping);
	uint8_t *data = mapping.data;
	neep_wl_mapping_finish(&mapping);
	for (size_t at = 0; at < HUGE_PAGE; at += HUGE_PAGE - 4096) {
		assert_int_equal(msync(data + at, 4096, MS_ASYNC), -1);
		assert_int_equal(errno, ENOMEM);
	}
	close(fd);
}

static void read_gives_zeros_when_huge_pages_were_cut(void **state) {
	(void)state;
	struct neep_wl_mapping mapping;
	int fd = map_part_of_huge_page(&mapping);
	assert_int_equal(ftruncate(fd, 0), 0);
	uint8_t to[16] = { 0xff };
	struct neep_wl_rows rows = { .to = to, .stride = 16, .row_size = 16, .count = 1 };
	assert_false(neep_wl_mapping_read(&mapping, &rows));
	assert_int_equal(to[0], 0);
	/* All of the page is there again. */
	assert_int_equal(((volatile uint8_t *)mapping.data)[HUGE_PAGE - 1], 0);
	assert_int_equal(neep_wl_mapping_grow(&mapping, 2 * SIZE), 0);
	neep_wl_mapping_finish(&mapping);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(read_copies_rows_and_nothing_between_them),
		fd_checked_test(read_gives_zeros_when_the_file_was_cut),
		fd_checked_test(read_goes_on_when_another_mapping_was_cut),
		fd_checked_test(fault_ends_the_process_when_it_is_elsewhere),
		fd_checked_test(init_fails_when_the_fd_is_no_memory),
		fd_checked_test(grow_shows_what_the_file_has_gained),
		fd_checked_test(part_of_a_huge_page_is_unmapped),
		fd_checked_test(read_gives_zeros_when_huge_pages_were_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
