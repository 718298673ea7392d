// Guest program: host-visible blobs, contexts and fences through the kernel's virtgpu ioctls, against a back-end with the
// fake 3D component (support/fake_component.h), whose command streams it speaks. What goes wrong is told in a line that
// starts with "neep-draw: error", what was done in one that starts with "neep-blob:".
#include "virtgpu.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kms.h"
#include "support/fake_component.h"

#define BLOBS_MAX   1024
#define PAGE        4096u
#define MAP_CACHED  1u
#define DONE_MS     10000 // a fence that is due comes within this
#define NOT_DONE_MS 300   // one that has not come by then is held

static struct virtgpu_blob blobs[BLOBS_MAX]; // modes with a count keep to it

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...) {
	va_list args;
	va_start(args, format);
	printf("neep-draw: error ");
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static uint32_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

static int open_context(void) {
	int fd = virtgpu_open();
	virtgpu_context_init(fd, NEEP_FAKE_CAPSET);
	return fd;
}

// Blobs

static uint8_t fill_of(uint32_t number) {
	return (uint8_t)(number % 251 + 1);
}

static uint64_t size_of(uint32_t number) {
	static const uint32_t pages[] = { 1, 16, 3, 1, 256, 2, 7 };
	return (uint64_t)pages[number % (sizeof(pages) / sizeof(pages[0]))] * PAGE;
}

// Has the fake make its memory in one call with the blob, or, for odd numbers, in a stream before.
static void create(int fd, uint32_t number, uint64_t size, struct virtgpu_blob *blob) {
	struct virtgpu_stream stream = { .count = 0 };
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_BLOB, number, 0, (uint32_t)size, 0, MAP_CACHED, fill_of(number));
	if (number % 2 == 1) {
		virtgpu_run(fd, &stream);
	}
	virtgpu_blob_create(fd, number % 2 == 1 ? NULL : &stream, number, size, blob);
}

static void map(int fd, struct virtgpu_blob *blob) {
	int error = virtgpu_blob_map(fd, blob);
	if (error != 0) {
		errno = error;
		kms_die("mmap of blob %u", blob->resource_id);
	}
}

static void check_fill(const struct virtgpu_blob *blob, uint32_t number) {
	uint32_t want = fill_of(number) * 0x01010101u;
	uint32_t last = (uint32_t)(blob->size / sizeof(uint32_t)) - 1;
	for (uint32_t at = 0; at <= last; at = at < last && at + 997 > last ? last : at + 997) {
		if (blob->map[at] != want) {
			wrong("blob %u holds %08x at word %u, want %08x", number, blob->map[at], at, want);
		}
	}
}

// Both ways: the fake sees what is written here, and answers in the last word, which a failed CHECK would prevent.
static void check_shared(int fd, struct virtgpu_blob *blob, uint32_t value) {
	uint32_t last = (uint32_t)(blob->size / sizeof(uint32_t)) - 1;
	blob->map[1] = value;
	struct virtgpu_stream stream = { .count = 0 };
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_CHECK, blob->resource_id, 4, 0, value);
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_POKE, blob->resource_id, last * 4, 0, ~value);
	virtgpu_run(fd, &stream);
	if (blob->map[last] != ~value || blob->map[1] != value) {
		wrong("blob of %u bytes: the host says %08x to %08x", (uint32_t)blob->size, blob->map[last],
			value);
	}
}

static void run_cycles(uint32_t count) {
	int fd = open_context();
	uint32_t start = now_ms();
	for (uint32_t i = 0; i < count; i++) {
		struct virtgpu_blob *blob = &blobs[0];
		create(fd, i, size_of(i), blob);
		map(fd, blob);
		check_fill(blob, i);
		check_shared(fd, blob, i * 2654435761u);
		virtgpu_blob_destroy(fd, blob);
	}
	printf("neep-blob: cycles=%u ms=%u\n", count, now_ms() - start);
	close(fd);
}

static void create_many(int fd, uint32_t first, uint32_t count) {
	for (uint32_t i = first; i < first + count; i++) {
		create(fd, i, size_of(i), &blobs[i]);
		map(fd, &blobs[i]);
		check_fill(&blobs[i], i);
	}
}

static void check_many(int fd, uint32_t count, uint32_t seed) {
	for (uint32_t i = 0; i < count; i++) {
		check_shared(fd, &blobs[i], seed + i);
	}
}

// Frees every third, fills the holes with others, then frees all in another order.
static void run_many(uint32_t count) {
	int fd = open_context();
	uint32_t start = now_ms();
	create_many(fd, 0, count);
	check_many(fd, count, 1000);
	for (uint32_t i = 0; i < count; i += 3) {
		virtgpu_blob_destroy(fd, &blobs[i]);
	}
	for (uint32_t i = 0; i < count; i += 3) {
		create_many(fd, i, 1);
	}
	check_many(fd, count, 5000);
	for (uint32_t i = 0; i < count; i++) {
		virtgpu_blob_destroy(fd, &blobs[count - 1 - i]);
	}
	printf("neep-blob: many=%u ms=%u\n", count, now_ms() - start);
	close(fd);
}

static bool kernel_logged(const char *text) {
	static char log[1 << 20];
	int len = klogctl(3, log, sizeof(log) - 1);
	log[len > 0 ? len : 0] = '\0';
	return strstr(log, text) != NULL;
}

static uint32_t create_until_refused(int fd) {
	for (uint32_t i = 0; i < BLOBS_MAX; i++) {
		create(fd, i, PAGE, &blobs[i]);
		if (virtgpu_blob_map(fd, &blobs[i]) != 0) {
			return i;
		}
		check_fill(&blobs[i], i);
	}
	wrong("the device took %u maps", BLOBS_MAX);
}

// The kernel asks for the unmap only once the device has answered the detach, so a place is free a little later.
static void map_when_there_is_room(int fd, uint32_t number) {
	for (uint32_t start = now_ms(); now_ms() - start < DONE_MS; usleep(20000)) {
		create(fd, number, PAGE, &blobs[number]);
		if (virtgpu_blob_map(fd, &blobs[number]) == 0) {
			check_fill(&blobs[number], number);
			return;
		}
		virtgpu_blob_destroy(fd, &blobs[number]);
	}
	wrong("no blob can be mapped after another was unmapped");
}

// One map too many is refused, the others live on, and a place that becomes free can be used.
static void run_exhaust(uint32_t count) {
	(void)count;
	int fd = open_context();
	uint32_t start = now_ms();
	uint32_t live = create_until_refused(fd);
	if (!kernel_logged("response 0x1201 (command 0x208)")) {
		wrong("the kernel saw no ERR_OUT_OF_MEMORY");
	}
	check_many(fd, live, 77);
	virtgpu_blob_destroy(fd, &blobs[live]);
	virtgpu_blob_destroy(fd, &blobs[0]);
	map_when_there_is_room(fd, 0);
	check_many(fd, live, 99);
	printf("neep-blob: live=%u ms=%u\n", live, now_ms() - start);
	for (uint32_t i = 0; i < live; i++) {
		virtgpu_blob_destroy(fd, &blobs[i]);
	}
	close(fd);
}

static void run_errors(uint32_t count) {
	(void)count;
	int fd = open_context();
	struct virtgpu_stream stream = { .count = 0 };
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_REFUSE, NEEP_FAKE_CALL_CREATE_BLOB, ENOMEM, 1);
	virtgpu_run(fd, &stream);
	create(fd, 1, PAGE, &blobs[0]);
	if (virtgpu_blob_map(fd, &blobs[0]) == 0) {
		wrong("a blob was mapped that the host refused to make");
	}
	virtgpu_blob_destroy(fd, &blobs[0]);
	stream.count = 0;
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_FAIL, EINVAL);
	virtgpu_run(fd, &stream); // its fence is done nevertheless
	create(fd, 2, PAGE, &blobs[0]);
	map(fd, &blobs[0]);
	check_shared(fd, &blobs[0], 4711);
	virtgpu_blob_destroy(fd, &blobs[0]);
	printf("neep-blob: errors\n");
	close(fd);
}

// Parameters and capsets

static void run_params(void) {
	static const struct {
		const char *name;
		enum virtgpu_param param;
	} wanted[] = {
		{ "3d", PARAM_3D },
		{ "capset_fix", PARAM_CAPSET_FIX },
		{ "resource_blob", PARAM_RESOURCE_BLOB },
		{ "host_visible", PARAM_HOST_VISIBLE },
		{ "context_init", PARAM_CONTEXT_INIT },
	};
	int fd = virtgpu_open();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int value = virtgpu_param(fd, wanted[i].param);
		if (value != 1) {
			wrong("parameter %s is %d", wanted[i].name, value);
		}
	}
	close(fd);
}

static void check_capset(int fd, uint32_t capset_id, uint32_t version, const uint8_t *want, uint32_t size) {
	uint8_t got[NEEP_FAKE_CAPSET_SIZE] = { 0 };
	int error = virtgpu_get_caps(fd, capset_id, version, got, size);
	if (error != 0 || memcmp(got, want, size) != 0) {
		wrong("capset %u version %u: error %d, starts with %02x %02x", capset_id, version, error,
			got[0], got[1]);
	}
}

static void run_caps(uint32_t count) {
	(void)count;
	int fd = open_context();
	for (uint8_t version = 0; version <= NEEP_FAKE_CAPSET_VERSION; version++) {
		uint8_t want[NEEP_FAKE_CAPSET_SIZE];
		for (uint8_t i = 0; i < sizeof(want); i++) {
			want[i] = (uint8_t)(version * 16 + i);
		}
		check_capset(fd, NEEP_FAKE_CAPSET, version, want, sizeof(want));
	}
	uint8_t want[NEEP_FAKE_SHORT_CAPSET_SIZE] = { 0 };
	memset(want, 0x5a, NEEP_FAKE_SHORT_CAPSET_WRITTEN);
	check_capset(fd, NEEP_FAKE_SHORT_CAPSET, 0, want, sizeof(want));
	if (virtgpu_get_caps(fd, 2, 0, want, sizeof(want)) == 0) {
		wrong("there is a capset 2");
	}
	printf("neep-blob: caps\n");
	close(fd);
}

// Fences

static void hold(int fd, uint32_t ring, bool on) {
	struct virtgpu_stream stream = { .count = 0 };
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, ring, on);
	virtgpu_run(fd, &stream);
}

static void complete(int fd, uint32_t ring, uint32_t count) {
	struct virtgpu_stream stream = { .count = 0 };
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, ring, count);
	virtgpu_run(fd, &stream);
}

static int fence_on(int fd, uint32_t ring, int in_fence) {
	struct virtgpu_stream stream = { .words = { NEEP_FAKE_OP_NOP }, .count = 1 };
	return virtgpu_submit(fd, &stream, ring, in_fence);
}

static void want_done(int fence, const char *what) {
	if (!virtgpu_fence_wait(fence, DONE_MS)) {
		wrong("not done: %s", what);
	}
	close(fence);
}

static void want_held(int fence, const char *what) {
	if (virtgpu_fence_wait(fence, NOT_DONE_MS)) {
		wrong("done too early: %s", what);
	}
}

static void fences_of_rings(int fd) {
	hold(fd, 1, true);
	int first = fence_on(fd, 1, -1), second = fence_on(fd, 1, -1), third = fence_on(fd, 1, -1);
	for (uint32_t ring = 2; ring < VIRTGPU_RINGS; ring++) {
		want_done(fence_on(fd, ring, -1), "a fence of another ring");
	}
	want_held(first, "first fence of a held ring");
	complete(fd, 1, 1);
	want_done(first, "first fence, completed");
	want_held(second, "second fence, only the first was completed");
	struct virtgpu_stream stream = { .count = 0 };
	VIRTGPU_ADD(&stream, NEEP_FAKE_OP_COMPLETE_LAST, NEEP_FAKE_THIS_CTX, 1);
	virtgpu_run(fd, &stream);
	want_held(third, "third fence, the second is not done");
	complete(fd, 1, NEEP_FAKE_ALL);
	want_done(second, "second fence");
	want_done(third, "third fence");
	hold(fd, 1, false);
	want_done(fence_on(fd, 1, -1), "a fence of the ring that is held no more");
}

// A submit on another ring waits in the kernel for its in-fence.
static void fence_in(int fd) {
	hold(fd, 3, true);
	int held = fence_on(fd, 3, -1);
	int done[2];
	if (pipe(done) < 0) {
		kms_die("pipe");
	}
	pid_t child = fork();
	if (child == 0) {
		int fence = fence_on(fd, 4, held);
		want_done(fence, "a fence after its in-fence");
		_exit(write(done[1], "x", 1) == 1 ? 0 : 1);
	}
	want_held(done[0], "a submit whose in-fence is held");
	complete(fd, 3, 1);
	want_done(done[0], "a submit whose in-fence is done");
	want_done(held, "the in-fence");
	int status;
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		wrong("the child that waits for a fence failed");
	}
	close(done[1]);
}

// The fake signals the held fences of an ending context's even rings and forgets the others: both must come.
static void fences_of_a_context_that_ends(void) {
	int fd = open_context();
	hold(fd, 1, true);
	hold(fd, 2, true);
	int odd = fence_on(fd, 1, -1), even = fence_on(fd, 2, -1);
	want_held(odd, "a held fence before its context ends");
	close(fd);
	want_done(odd, "a fence of an odd ring whose context ended");
	want_done(even, "a fence of an even ring whose context ended");
}

static void run_fences(uint32_t count) {
	(void)count;
	int fd = open_context();
	fences_of_rings(fd);
	fence_in(fd);
	fences_of_a_context_that_ends();
	printf("neep-blob: fences\n");
	close(fd);
}

// Live blobs while something happens to the machine

static void run_die(uint32_t count) {
	int fd = open_context();
	create_many(fd, 0, count);
	hold(fd, 1, true);
	(void)fence_on(fd, 1, -1);
	raise(SIGKILL);
}

// Holds blobs and a fence until a line comes in, then shows that they still work.
static void run_keep(uint32_t count) {
	int fd = open_context();
	create_many(fd, 0, count);
	check_many(fd, count, 31);
	hold(fd, 1, true);
	int fence = fence_on(fd, 1, -1);
	printf("neep-blob: kept=%u\n", count);
	char line[64];
	if (fgets(line, sizeof(line), stdin) == NULL) {
		kms_die("standard input ended");
	}
	want_held(fence, "a held fence");
	check_many(fd, count, 62);
	complete(fd, 1, 1);
	want_done(fence, "the held fence");
	for (uint32_t i = 0; i < count; i++) {
		virtgpu_blob_destroy(fd, &blobs[i]);
	}
	close(fd);
}

// As keep, in a process of its own that stays until it is killed.
static void run_leave(uint32_t count) {
	int ready[2];
	if (pipe(ready) < 0) {
		kms_die("pipe");
	}
	pid_t child = fork();
	if (child == 0) {
		int fd = open_context();
		create_many(fd, 0, count);
		hold(fd, 1, true);
		(void)fence_on(fd, 1, -1);
		if (write(ready[1], "x", 1) == 1) {
			pause();
		}
		_exit(1);
	}
	char byte;
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1) {
		wrong("no blobs in the background");
	}
	printf("neep-blob: left=%u pid=%d\n", count, (int)child);
}

static const struct {
	const char *name;
	void (*run)(uint32_t count);
} modes[] = {
	{ "caps", run_caps },
	{ "cycles", run_cycles },
	{ "many", run_many },
	{ "exhaust", run_exhaust },
	{ "errors", run_errors },
	{ "fences", run_fences },
	{ "die", run_die },
	{ "keep", run_keep },
	{ "leave", run_leave },
};

int main(int argc, char **argv) {
	setvbuf(stdout, NULL, _IOLBF, 0);
	uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	if (count > BLOBS_MAX && strcmp(argv[1], "cycles") != 0) {
		count = BLOBS_MAX;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) == 0) {
			run_params();
			modes[i].run(count);
			return 0;
		}
	}
	printf("usage: blob caps|cycles|many|exhaust|errors|fences|die|keep|leave [COUNT]\n");
	return 2;
}
