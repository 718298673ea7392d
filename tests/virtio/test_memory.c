#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/list.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/memory.h"
#include "virtio/sigbus.h"

#define PAGE  UINT64_C(0x1000)
#define USER  UINT64_C(0x700000000000)
#define START UINT64_C(0x100000)

struct listening {
	struct neep_memory_listener listener;
	const void *host;
	size_t size;
	int calls;
};

static void on_removed(struct neep_memory_listener *listener, const void *host, size_t size) {
	struct listening *listening = neep_container_of(listener, struct listening, listener);
	listening->host = host;
	listening->size = size;
	listening->calls++;
}

static struct neep_memory_region_info region(uint64_t start, uint64_t size) {
	return (struct neep_memory_region_info){
		.guest_addr = start, .size = size, .user_addr = USER + start
	};
}

/* A memfd that nobody sealed, as front-ends make them. */
static int unsealed_memfd(uint64_t size) {
	int fd = memfd_create("unsealed", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static int add(struct neep_memory *memory, uint64_t start, uint64_t size) {
	struct neep_memory_region_info info = region(start, size);
	return neep_memory_add(memory, &info, unsealed_memfd(size), NULL);
}

static void *translate(struct neep_memory *memory, uint64_t addr) {
	uint64_t len;
	return neep_memory_translate(memory, addr, 1, &len);
}

static void memory_translates_in_both_address_spaces(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	assert_int_equal(add(memory, START, 4 * PAGE), 0);
	assert_int_equal(neep_memory_region_count(memory), 1);
	uint64_t len = 0;
	uint8_t *host = neep_memory_translate(memory, START, 4 * PAGE, &len);
	assert_non_null(host);
	assert_int_equal(len, 4 * PAGE);
	assert_ptr_equal(neep_memory_translate(memory, START + 5, 10, &len), host + 5);
	assert_int_equal(len, 10);
	assert_ptr_equal(neep_memory_translate_user(memory, USER + START + 5, 10), host + 5);
	host[0] = 1;
	host[4 * PAGE - 1] = 1;
	neep_memory_destroy(memory);
}

static void memory_translation_stops_where_regions_stop(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	uint64_t len = 0;
	assert_null(translate(memory, START));
	assert_int_equal(add(memory, START, PAGE), 0);
	assert_non_null(neep_memory_translate(memory, START + PAGE - 1, 100, &len));
	assert_int_equal(len, 1);
	assert_null(neep_memory_translate(memory, START, 0, &len));
	assert_null(translate(memory, START - 1));
	assert_null(translate(memory, START + PAGE));
	assert_null(translate(memory, 0));
	assert_null(translate(memory, UINT64_MAX));
	assert_non_null(neep_memory_translate(memory, START, UINT64_MAX, &len));
	assert_int_equal(len, PAGE);
	assert_null(neep_memory_translate_user(memory, USER + START, PAGE + 1));
	assert_null(neep_memory_translate_user(memory, USER + START + 1, PAGE));
	assert_null(neep_memory_translate_user(memory, USER + START + 1, UINT64_MAX));
	assert_null(neep_memory_translate_user(memory, USER + START, 0));
	assert_null(neep_memory_translate_user(memory, START, 1));
	neep_memory_destroy(memory);
}

static void memory_finds_each_of_many_regions(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	void *host[64];
	for (uint64_t i = 0; i < 64; i++) {
		uint64_t place = (i * 37) % 64; // not in order
		struct neep_memory_region_info info = {
			.guest_addr = START + place * 2 * PAGE, .size = PAGE, .user_addr = USER - place * PAGE
		};
		assert_int_equal(neep_memory_add(memory, &info, unsealed_memfd(PAGE), NULL), 0);
	}
	for (uint64_t i = 0; i < 64; i++) {
		host[i] = translate(memory, START + i * 2 * PAGE);
		assert_non_null(host[i]);
		assert_null(translate(memory, START + i * 2 * PAGE + PAGE));
	}
	for (uint64_t i = 0; i < 64; i++) {
		assert_ptr_equal(neep_memory_translate_user(memory, USER - i * PAGE, PAGE), host[i]);
		assert_ptr_equal(translate(memory, START + i * 2 * PAGE), host[i]);
	}
	neep_memory_destroy(memory);
}

static void memory_refuses_wrong_regions(void **state) {
	(void)state;
	const struct neep_memory_region_info wrong[] = {
		{ START + 16 * PAGE, 0, USER + 16 * PAGE, 0 },
		{ UINT64_MAX - PAGE + 2, PAGE, USER + 16 * PAGE, 0 },
		{ START + 16 * PAGE, PAGE, UINT64_MAX - PAGE + 2, 0 },
		{ START + 16 * PAGE, PAGE, USER + 16 * PAGE, UINT64_MAX - PAGE + 2 },
		{ START + 16 * PAGE, PAGE, USER + 16 * PAGE, INT64_MAX },
		{ START + 16 * PAGE, UINT64_MAX, USER + 16 * PAGE, 0 },
		{ START + 16 * PAGE, 5 * PAGE, USER + 16 * PAGE, 0 },           // file of 4 pages
		{ START + 16 * PAGE, PAGE, USER + 16 * PAGE, 4 * PAGE },        // starts at its end
		{ START + 16 * PAGE, PAGE, USER + 16 * PAGE, 3 * PAGE + 1 },    // one byte too long
		{ START, PAGE, USER + 16 * PAGE, 0 },                           // overlaps as guest
		{ START - 1, 2, USER + 16 * PAGE, 0 },                          // by one byte, from below
		{ START + 4 * PAGE - 1, 2, USER + 16 * PAGE, 0 },               // and above
		{ START - PAGE, 4 * PAGE, USER + 16 * PAGE, 0 },                //
		{ START + 16 * PAGE, PAGE, USER + START, 0 },                   // overlaps as user
		{ START + 16 * PAGE, PAGE, USER + START + 4 * PAGE - 1, 0 },    //
		{ START + 16 * PAGE, 2 * PAGE, USER + START - PAGE - 1 + 2, 0 } //
	};
	struct neep_memory *memory = neep_memory_create();
	assert_int_equal(add(memory, START, 4 * PAGE), 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		struct neep_error error = { 0 };
		int result = neep_memory_add(memory, &wrong[i], unsealed_memfd(4 * PAGE), &error);
		if (result >= 0) {
			print_message("# region %zu\n", i);
		}
		assert_true(result < 0);
		assert_int_equal(result, -error.code);
		assert_int_equal(neep_memory_region_count(memory), 1);
	}
	struct neep_memory_region_info info = region(START + 16 * PAGE, PAGE);
	assert_true(neep_memory_add(memory, &info, -1, NULL) < 0);
	/* Touching is not overlapping. */
	assert_int_equal(add(memory, START + 4 * PAGE, PAGE), 0);
	assert_int_equal(add(memory, START - PAGE, PAGE), 0);
	neep_memory_destroy(memory);
}

static void memory_refuses_too_many_regions(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	for (uint64_t i = 0; i < NEEP_MEMORY_REGIONS_MAX; i++) {
		assert_int_equal(add(memory, START + i * PAGE, PAGE), 0);
	}
	assert_int_equal(add(memory, START + NEEP_MEMORY_REGIONS_MAX * PAGE, PAGE), -ENOSPC);
	neep_memory_destroy(memory);
}

static void memory_maps_odd_offsets_and_sizes(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	int fd = unsealed_memfd(3 * PAGE);
	assert_int_equal(pwrite(fd, "odd", 3, 0x1234), 3);
	struct neep_memory_region_info info = region(START, 0x123);
	info.mmap_offset = 0x1234;
	assert_int_equal(neep_memory_add(memory, &info, fd, NULL), 0);
	assert_memory_equal(translate(memory, START), "odd", 3);
	uint64_t len;
	assert_non_null(neep_memory_translate(memory, START + 0x100, 0x1000, &len));
	assert_int_equal(len, 0x23);
	neep_memory_destroy(memory);
}

static int sealed_memfd(uint64_t size, int seals) {
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void memory_tells_the_file_of_a_region_that_is_all_of_it(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	struct neep_memory_region_info info = region(START, 3 * PAGE + 100);
	int file = sealed_memfd(info.size, F_SEAL_SHRINK);
	assert_int_equal(neep_memory_add(memory, &info, dup(file), NULL), 0);
	uint8_t *host = translate(memory, START);
	struct stat want, st;
	assert_int_equal(fstat(file, &want), 0);
	assert_int_equal(fstat(neep_memory_file(memory, host, info.size), &st), 0);
	assert_int_equal(st.st_ino, want.st_ino);
	assert_int_equal(neep_memory_file(memory, host, info.size - 1), -1);
	assert_int_equal(neep_memory_file(memory, host, info.size + 1), -1);
	assert_int_equal(neep_memory_file(memory, host + 1, info.size - 1), -1);
	assert_int_equal(neep_memory_file(memory, NULL, info.size), -1);
	assert_int_equal(neep_memory_remove(memory, &info), 0);
	assert_int_equal(neep_memory_file(memory, host, info.size), -1);
	close(file);
	neep_memory_destroy(memory);
}

static void check_has_no_file(uint64_t size, uint64_t mmap_offset, int owned_fd) {
	struct neep_memory *memory = neep_memory_create();
	struct neep_memory_region_info info = region(START, size);
	info.mmap_offset = mmap_offset;
	assert_int_equal(neep_memory_add(memory, &info, owned_fd, NULL), 0);
	void *host = translate(memory, START);
	assert_non_null(host);
	assert_int_equal(neep_memory_file(memory, host, size), -1);
	neep_memory_destroy(memory);
}

static void memory_tells_no_file_that_has_more_or_may_shrink(void **state) {
	(void)state;
	check_has_no_file(PAGE, 0, sealed_memfd(2 * PAGE, F_SEAL_SHRINK));
	check_has_no_file(PAGE, PAGE, sealed_memfd(2 * PAGE, F_SEAL_SHRINK));
	check_has_no_file(PAGE, 0, sealed_memfd(PAGE, F_SEAL_GROW));
	check_has_no_file(PAGE, 0, unsealed_memfd(PAGE));
}

static void memory_region_that_cannot_be_mapped_is_no_memory(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	struct neep_memory_region_info info = region(START, PAGE);
	int sockets[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	close(sockets[1]);
	assert_int_equal(neep_memory_add(memory, &info, sockets[0], NULL), 0);
	assert_null(translate(memory, START));
	assert_null(translate(memory, START));
	assert_null(neep_memory_translate_user(memory, USER + START, 1));
	assert_int_equal(neep_memory_remove(memory, &info), 0);
	neep_memory_destroy(memory);
}

static void memory_remove_tells_listeners_of_mapped_regions(void **state) {
	(void)state;
	struct listening heard = { .listener.removed = on_removed };
	struct neep_memory *memory = neep_memory_create();
	neep_memory_add_listener(memory, &heard.listener);
	struct neep_memory_region_info info = region(START, PAGE);
	assert_int_equal(neep_memory_remove(memory, &info), -ENOENT);
	assert_int_equal(add(memory, START, PAGE), 0);
	struct neep_memory_region_info other = info;
	other.size++;
	assert_int_equal(neep_memory_remove(memory, &other), -ENOENT);
	other = info;
	other.user_addr++;
	assert_int_equal(neep_memory_remove(memory, &other), -ENOENT);
	other = info;
	other.guest_addr++;
	assert_int_equal(neep_memory_remove(memory, &other), -ENOENT);
	assert_int_equal(neep_memory_remove(memory, &info), 0);
	assert_int_equal(heard.calls, 0); // never mapped
	assert_int_equal(add(memory, START, PAGE), 0);
	void *host = translate(memory, START);
	info.mmap_offset = 77; // not compared
	assert_int_equal(neep_memory_remove(memory, &info), 0);
	assert_int_equal(heard.calls, 1);
	assert_ptr_equal(heard.host, host);
	assert_int_equal(heard.size, PAGE);
	assert_null(translate(memory, START));
	assert_int_equal(add(memory, START, PAGE), 0);
	translate(memory, START);
	neep_memory_destroy(memory);
	assert_int_equal(heard.calls, 2);
}

static void memory_removed_listener_hears_nothing(void **state) {
	(void)state;
	struct listening heard = { .listener.removed = on_removed };
	struct neep_memory *memory = neep_memory_create();
	neep_memory_add_listener(memory, &heard.listener);
	assert_int_equal(add(memory, START, PAGE), 0);
	translate(memory, START);
	neep_memory_remove_listener(&heard.listener);
	neep_memory_destroy(memory);
	assert_int_equal(heard.calls, 0);
	neep_memory_destroy(NULL);
}

static void memory_replace_keeps_regions_that_are_the_same(void **state) {
	(void)state;
	struct listening heard = { .listener.removed = on_removed };
	struct neep_memory *memory = neep_memory_create();
	neep_memory_add_listener(memory, &heard.listener);
	int file = unsealed_memfd(4 * PAGE);
	struct neep_memory_region_info infos[] = { region(START, 4 * PAGE), region(START + 8 * PAGE, PAGE) };
	int fds[] = { dup(file), unsealed_memfd(PAGE) };
	assert_int_equal(neep_memory_replace(memory, infos, fds, 2, NULL), 0);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[1], -1);
	void *first = translate(memory, START);
	void *second = translate(memory, START + 8 * PAGE);
	fds[0] = dup(file);
	fds[1] = unsealed_memfd(PAGE); // another file at the same place
	assert_int_equal(neep_memory_replace(memory, infos, fds, 2, NULL), 0);
	assert_int_equal(heard.calls, 1);
	assert_ptr_equal(heard.host, second);
	assert_ptr_equal(translate(memory, START), first);
	infos[0].mmap_offset = PAGE;
	infos[0].size = 3 * PAGE;
	fds[0] = file;
	assert_int_equal(neep_memory_replace(memory, infos, fds, 1, NULL), 0);
	assert_int_equal(neep_memory_region_count(memory), 1);
	assert_int_equal(heard.calls, 2); // the second was not mapped this time
	assert_int_equal(neep_memory_replace(memory, NULL, NULL, 0, NULL), 0);
	assert_int_equal(neep_memory_region_count(memory), 0);
	assert_null(translate(memory, START));
	neep_memory_destroy(memory);
}

static void memory_replace_keeps_regions_that_were_never_mapped(void **state) {
	(void)state;
	struct neep_memory *memory = neep_memory_create();
	int file = unsealed_memfd(PAGE);
	struct neep_memory_region_info info = region(START, PAGE);
	for (int i = 0; i < 3; i++) {
		int fd = dup(file);
		assert_int_equal(neep_memory_replace(memory, &info, &fd, 1, NULL), 0);
	}
	close(file);
	assert_non_null(translate(memory, START));
	neep_memory_destroy(memory);
}

static void memory_replace_that_fails_changes_nothing(void **state) {
	(void)state;
	struct listening heard = { .listener.removed = on_removed };
	struct neep_memory *memory = neep_memory_create();
	neep_memory_add_listener(memory, &heard.listener);
	int file = unsealed_memfd(PAGE);
	struct neep_memory_region_info old = region(START, PAGE);
	int fd = dup(file);
	assert_int_equal(neep_memory_replace(memory, &old, &fd, 1, NULL), 0);
	void *host = translate(memory, START);
	const struct neep_memory_region_info wrong[][3] = {
		{ old, region(START + PAGE, PAGE), region(START + PAGE, PAGE) },
		{ old, old, region(START + PAGE, PAGE) },
		{ region(START + PAGE, PAGE), old, region(START + 8 * PAGE, 0) },
		{ region(START + PAGE, 2 * PAGE), old, old },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(wrong); i++) {
		struct neep_error error = { 0 };
		int fds[] = { dup(file), dup(file), dup(file) };
		assert_true(neep_memory_replace(memory, wrong[i], fds, 3, &error) < 0);
		assert_true(error.text[0] != '\0');
		for (int k = 0; k < 3; k++) {
			assert_int_equal(fds[k], -1);
		}
		assert_int_equal(heard.calls, 0);
		assert_int_equal(neep_memory_region_count(memory), 1);
		assert_ptr_equal(translate(memory, START), host);
	}
	/* And the old region can still be kept afterwards. */
	assert_int_equal(neep_memory_replace(memory, &old, &file, 1, NULL), 0);
	assert_int_equal(heard.calls, 0);
	neep_memory_destroy(memory);
}

/* ---- Files that shrink ---- */

/* cmocka puts handlers of its own before each case, so these run in children, and before this process maps anything:
 * the guard is then installed over what the child has. Returns the wait status. */
static int in_child(bool (*what)(void)) {
	pid_t child = fork();
	if (child == 0) {
		_exit(what() ? 0 : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static bool all_are(const volatile uint8_t *bytes, size_t count, uint8_t value) {
	size_t same = 0;
	for (size_t i = 0; i < count; i++) {
		same += bytes[i] == value;
	}
	return same == count;
}

static bool read_and_write_what_is_gone(void) {
	struct neep_memory *memory = neep_memory_create();
	int fd = unsealed_memfd(8 * PAGE);
	struct neep_memory_region_info info = region(START, 8 * PAGE);
	if (neep_memory_add(memory, &info, dup(fd), NULL) < 0) {
		return false;
	}
	volatile uint8_t *host = translate(memory, START);
	memset((void *)host, 0xaa, 8 * PAGE);
	if (ftruncate(fd, 2 * PAGE) < 0 || !all_are(host, 2 * PAGE, 0xaa) ||
		!all_are(host + 2 * PAGE, PAGE, 0)) {
		return false;
	}
	host[5 * PAGE + 7] = 0x55; // a write fault
	if (host[5 * PAGE + 7] != 0x55 || host[5 * PAGE + 8] != 0) {
		return false;
	}
	memset((void *)host, 0x11, 8 * PAGE); // over the edge
	uint8_t byte = 0;
	bool is_file = pread(fd, &byte, 1, 0) == 1 && byte == 0x11; // what is left is still shared
	close(fd);
	neep_memory_destroy(memory);
	return is_file;
}

static void memory_reads_zeros_when_its_file_shrinks(void **state) {
	(void)state;
	assert_int_equal(in_child(read_and_write_what_is_gone), 0);
}

static bool empty_and_map_again(void) {
	bool is_good = true;
	for (int i = 0; i < 3; i++) {
		struct neep_memory *memory = neep_memory_create();
		int fd = unsealed_memfd(PAGE + 1);
		struct neep_memory_region_info info = region(START, PAGE + 1);
		is_good &= neep_memory_add(memory, &info, dup(fd), NULL) == 0;
		volatile uint8_t *host = translate(memory, START);
		is_good &= ftruncate(fd, 0) == 0 && all_are(host, PAGE + 1, 0);
		close(fd);
		neep_memory_destroy(memory);
	}
	return is_good;
}

static void memory_may_be_emptied_and_mapped_again(void **state) {
	(void)state;
	assert_int_equal(in_child(empty_and_map_again), 0);
}

static volatile uint8_t *map_then_truncate(void) {
	int fd = memfd_create("other", MFD_CLOEXEC);
	if (ftruncate(fd, PAGE) < 0) {
		_exit(1);
	}
	uint8_t *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ftruncate(fd, 0) < 0) {
		_exit(1);
	}
	return other;
}

/* The guard is installed, and the default action is behind it. */
static void guard_over_default(void) {
	signal(SIGBUS, SIG_DFL);
	static uint8_t page[PAGE] __attribute__((aligned(4096)));
	if (neep_sigbus_guard(page, sizeof(page), PAGE) < 0) {
		_exit(1);
	}
}

static bool touch_unguarded(void) {
	guard_over_default();
	map_then_truncate()[0] = 1;
	return true;
}

static bool raise_sigbus(void) {
	guard_over_default();
	return raise(SIGBUS) == 0;
}

static bool touch_after_unguard(void) {
	guard_over_default();
	volatile uint8_t *other = map_then_truncate();
	int slot = neep_sigbus_guard((void *)other, PAGE, PAGE);
	neep_sigbus_unguard(slot);
	return other[0] == 0;
}

static void sigbus_elsewhere_is_passed_on(void **state) {
	(void)state;
	bool (*const what[])(void) = { touch_unguarded, raise_sigbus, touch_after_unguard };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(what); i++) {
		int status = in_child(what[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
	}
}

static void exit_at_once(int signal_number) {
	(void)signal_number;
	_exit(42);
}

static bool touch_under_another_handler(void) {
	signal(SIGBUS, exit_at_once);
	static uint8_t page[PAGE] __attribute__((aligned(4096)));
	neep_sigbus_guard(page, sizeof(page), PAGE);
	map_then_truncate()[0] = 1;
	return true;
}

static void sigbus_elsewhere_reaches_the_handler_of_before(void **state) {
	(void)state;
	int status = in_child(touch_under_another_handler);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void sigbus_table_may_be_full(void **state) {
	(void)state;
	int *slots = calloc(NEEP_SIGBUS_RANGES_MAX, sizeof(*slots));
	static uint8_t page[2 * PAGE] __attribute__((aligned(4096)));
	size_t taken = 0;
	int slot;
	while ((slot = neep_sigbus_guard(page, PAGE, PAGE)) >= 0) {
		slots[taken++] = slot;
		assert_true(taken <= NEEP_SIGBUS_RANGES_MAX);
	}
	assert_int_equal(slot, -ENOSPC);
	for (size_t i = 0; i < taken; i++) {
		neep_sigbus_unguard(slots[i]);
	}
	neep_sigbus_unguard(-1);
	slot = neep_sigbus_guard(page, PAGE, PAGE);
	assert_true(slot >= 0);
	neep_sigbus_unguard(slot);
	free(slots);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(memory_reads_zeros_when_its_file_shrinks),
		fd_checked_test(memory_may_be_emptied_and_mapped_again),
		fd_checked_test(sigbus_elsewhere_is_passed_on),
		fd_checked_test(sigbus_elsewhere_reaches_the_handler_of_before),
		fd_checked_test(memory_translates_in_both_address_spaces),
		fd_checked_test(memory_translation_stops_where_regions_stop),
		fd_checked_test(memory_finds_each_of_many_regions),
		fd_checked_test(memory_refuses_wrong_regions),
		fd_checked_test(memory_refuses_too_many_regions),
		fd_checked_test(memory_maps_odd_offsets_and_sizes),
		fd_checked_test(memory_tells_the_file_of_a_region_that_is_all_of_it),
		fd_checked_test(memory_tells_no_file_that_has_more_or_may_shrink),
		fd_checked_test(memory_region_that_cannot_be_mapped_is_no_memory),
		fd_checked_test(memory_remove_tells_listeners_of_mapped_regions),
		fd_checked_test(memory_removed_listener_hears_nothing),
		fd_checked_test(memory_replace_keeps_regions_that_are_the_same),
		fd_checked_test(memory_replace_keeps_regions_that_were_never_mapped),
		fd_checked_test(memory_replace_that_fails_changes_nothing),
		cmocka_unit_test(sigbus_table_may_be_full),
	};
	neep_log_set_level(NEEP_LOG_ERROR);
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
