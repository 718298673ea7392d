// Guest program: host-visible memory that processors write to without pause while it is mapped, unmapped, and its pages
// and its place in the window go to the next blob. The blobs are ring memory of gfxstream contexts, which the host makes
// of fresh, zeroed memory.
//
//	race maps SECONDS WRITERS   through mappings of this process, as any program can
//	race window SECONDS WRITERS through the window itself, as a kernel could; needs root and iomem=relaxed
//
// No blob may ever hold a word that was written to another one. What is wrong is told in a line that starts with
// "neep-race: error", what was done in one that starts with "neep-race:" and the way.
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kms.h"
#include "virtgpu.h"
#include "window.h"
#include "writers.h"

#define CAPSET_GFXSTREAM_VULKAN 3
#define PAGE                    4096u
#define PAGES_MAX               64u // of a blob

struct run {
	int fd;
	unsigned writer_count;
	uint64_t end_ms;
	uint64_t cycles;
};

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...) {
	va_list args;
	va_start(args, format);
	printf("neep-race: error ");
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static uint64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// Every word of the blob is zero or `own`.
static void check_words(const struct virtgpu_blob *blob, uint32_t own, const char *when) {
	const volatile uint32_t *words = blob->map;
	for (size_t i = 0; i < blob->size / sizeof(*words); i++) {
		uint32_t word = words[i];
		if (word != 0 && word != own) {
			wrong("%s: word %zu of the blob holds %08x, its own are %08x", when, i, word, own);
		}
	}
}

static void make_blob(struct run *run, uint64_t pages, void *address, struct virtgpu_blob *blob) {
	virtgpu_blob_create(run->fd, NULL, 0, pages * PAGE, blob);
	int error = virtgpu_blob_map_at(run->fd, blob, address);
	if (error != 0) {
		errno = error;
		kms_die("mmap of a blob of %llu pages", (unsigned long long)pages);
	}
}

/* ---- maps: each blob has addresses of its own for ever, so that a late write of this process meets a hole ---- */

#define LIVE  4u                  // blobs at a time
#define LATE  3u                  // writers also go for so many that are gone
#define LANE  (PAGES_MAX * PAGE)  // bytes of address space for each blob
#define LANES (UINT64_C(1) << 20) // the most blobs of a run
#define MARK  0x40000000u

struct maps {
	uint8_t *lanes;
	_Atomic uint64_t newest; // the number of a blob, from 1 on
	struct virtgpu_blob live[LIVE];
};

static uint64_t pages_of(uint64_t number) {
	static const uint8_t pages[] = { 1, 16, 3, 1, 64, 2, 7, 4, 33 };
	return pages[number % sizeof(pages)];
}

static uint32_t mark_of(uint64_t number) {
	return MARK + (uint32_t)number;
}

static struct writers_job choose_blob(const void *data, uint64_t random) {
	const struct maps *maps = data;
	uint64_t newest = atomic_load(&maps->newest), back = random % (LIVE + LATE);
	if (newest <= back) {
		return (struct writers_job){ 0 };
	}
	uint64_t number = newest - back;
	return (struct writers_job){
		.at = (volatile uint32_t *)(maps->lanes + number * LANE),
		.count = pages_of(number) * PAGE / sizeof(uint32_t),
		.value = mark_of(number),
	};
}

// Nobody of this process can write to the blob when this returns; the device is still on its way.
static void retire(struct run *run, struct virtgpu_blob *blob, uint64_t number) {
	check_words(blob, mark_of(number), "before its end");
	if (mmap(blob->map, blob->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		    -1, 0) == MAP_FAILED) {
		kms_die("mmap of nothing");
	}
	blob->map = NULL;
	virtgpu_blob_destroy(run->fd, blob);
}

static void cycle_map(struct run *run, struct maps *maps, uint64_t number) {
	struct virtgpu_blob *blob = &maps->live[number % LIVE];
	if (number > LIVE) {
		retire(run, blob, number - LIVE);
	}
	make_blob(run, pages_of(number), maps->lanes + number * LANE, blob);
	check_words(blob, 0, "new");
	atomic_store(&maps->newest, number);
}

static void run_maps(struct run *run) {
	static struct maps maps;
	maps.lanes =
		mmap(NULL, (LANES + 1) * LANE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (maps.lanes == MAP_FAILED) {
		kms_die("address space");
	}
	struct writers *writers = writers_start(run->writer_count, choose_blob, &maps);
	uint64_t number = 0;
	while (now_ms() < run->end_ms && number < LANES) {
		cycle_map(run, &maps, ++number);
	}
	writers_settle(writers);
	for (uint64_t left = number > LIVE ? number - LIVE + 1 : 1; left <= number; left++) {
		retire(run, &maps.live[left % LIVE], left);
	}
	writers_settle(writers);
	printf("neep-race: maps cycles=%llu bursts=%llu faults=%llu\n", (unsigned long long)number,
		(unsigned long long)writers_done(writers), (unsigned long long)writers_faults(writers));
	writers_stop(writers);
}

/* ---- window: the place of a blob is written to whether the blob is there or not ---- */

#define REACH      (UINT64_C(256) << 10) // bytes of the window; more are not used
#define FIND       0x5eac4001u           // what tells a blob's place
#define FIND_TRIES 1000
#define HOLE_MS    60000

struct place {
	volatile uint32_t *window;
	_Atomic uint64_t offset;
	_Atomic uint32_t value; // 0: nothing is written
};

// Pages of the two that take turns; something lies between them, so that one does not fit where the other was.
static const uint64_t turns[] = { 4, 9 };

static struct writers_job choose_place(const void *data, uint64_t random) {
	const struct place *place = data;
	(void)random;
	uint32_t value = atomic_load(&place->value);
	return (struct writers_job){
		.at = value != 0 ? place->window + atomic_load(&place->offset) / sizeof(uint32_t) : NULL,
		.count = turns[0] * PAGE / sizeof(uint32_t),
		.value = value,
	};
}

static void start_writing(
	struct place *place, const struct writers *writers, uint64_t offset, uint32_t value) {
	atomic_store(&place->offset, offset);
	atomic_store(&place->value, value);
	writers_settle(writers);
}

static void stop_writing(struct place *place, const struct writers *writers) {
	atomic_store(&place->value, 0);
	writers_settle(writers);
}

// What is written to a hole can be read nowhere.
static void check_hole(const struct place *place) {
	const volatile uint32_t *words = place->window + place->offset / sizeof(uint32_t);
	for (size_t i = 0; i < turns[0] * PAGE / sizeof(uint32_t); i += 61) {
		if (words[i] == place->value) {
			wrong("the window still holds %08x at %llx, where nothing is mapped", place->value,
				(unsigned long long)(place->offset + i * sizeof(uint32_t)));
		}
	}
}

static bool overlaps(uint64_t offset, uint64_t pages, uint64_t other) {
	return offset < other + turns[0] * PAGE && other < offset + pages * PAGE;
}

// Also tells that the kernel's place of the blob is the window's. Writers that go for the same place may be in between.
static uint64_t find_place(const struct place *place, const struct virtgpu_blob *blob) {
	volatile uint32_t *words = blob->map;
	int64_t offset = -1;
	for (unsigned tries = 0; tries < FIND_TRIES && offset < 0; tries++) {
		words[0] = FIND;
		offset = window_search(place->window, REACH, FIND);
	}
	words[0] = 0;
	if (offset < 0) {
		wrong("a blob is not to be seen in the window, though few are there");
	}
	return (uint64_t)offset;
}

// The kernel asks for the unmap a little after the last handle is closed.
static void await_hole(const struct place *place) {
	uint64_t end = now_ms() + HOLE_MS;
	while (place->window[place->offset / sizeof(uint32_t)] == place->value) {
		if (now_ms() > end) {
			wrong("the window still holds what was written to a blob that is gone");
		}
		usleep(500);
	}
}

// The new blob was made elsewhere than at the place that is written to.
static void check_elsewhere(const struct place *place, const struct virtgpu_blob *blob) {
	check_words(blob, 0, "while the last one ends");
	await_hole(place);
	check_hole(place);
	for (int i = 0; i < 3; i++) {
		check_words(blob, 0, "while nothing is where the last one was");
	}
}

// Writes to a blob's place, takes the blob away below it, and looks at the one that comes next.
// Returns whether that one was elsewhere.
static bool cycle_window(
	struct run *run, struct place *place, const struct writers *writers, struct virtgpu_blob *blob) {
	uint64_t offset = find_place(place, blob), pages = turns[++run->cycles % 2];
	uint32_t value = mark_of(run->cycles);
	start_writing(place, writers, offset, value);
	check_words(blob, value, "written through the window");
	virtgpu_blob_destroy(run->fd, blob);
	make_blob(run, pages, NULL, blob);
	/* The first one's place may be free by now. */
	bool is_elsewhere = !overlaps(find_place(place, blob), pages, offset);
	if (is_elsewhere) {
		check_elsewhere(place, blob);
	}
	stop_writing(place, writers);
	check_words(blob, is_elsewhere ? 0 : value, "in the end");
	memset(blob->map, 0, blob->size);
	return is_elsewhere;
}

static void run_window(struct run *run) {
	static struct place place;
	struct virtgpu_blob blob, between;
	uint64_t elsewhere = 0;
	struct window window;
	window_find(&window);
	/* Before the driver maps anything: the first mapping of a page decides how it is cached. */
	place.window = window_map(&window, REACH);
	make_blob(run, turns[0], NULL, &blob);
	make_blob(run, 1, NULL, &between);
	struct writers *writers = writers_start(run->writer_count, choose_place, &place);
	while (now_ms() < run->end_ms) {
		elsewhere += cycle_window(run, &place, writers, &blob);
		check_words(&between, 0, "between the others");
	}
	printf("neep-race: window cycles=%llu elsewhere=%llu bursts=%llu faults=%llu\n",
		(unsigned long long)run->cycles, (unsigned long long)elsewhere,
		(unsigned long long)writers_done(writers), (unsigned long long)writers_faults(writers));
	writers_stop(writers);
	virtgpu_blob_destroy(run->fd, &blob);
	virtgpu_blob_destroy(run->fd, &between);
}

int main(int argc, char **argv) {
	bool is_maps = argc == 4 && strcmp(argv[1], "maps") == 0;
	if (!is_maps && (argc != 4 || strcmp(argv[1], "window") != 0)) {
		printf("usage: race maps|window SECONDS WRITERS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct run run = {
		.fd = virtgpu_open(),
		.writer_count = (unsigned)strtoul(argv[3], NULL, 10),
		.end_ms = now_ms() + strtoul(argv[2], NULL, 10) * 1000,
	};
	virtgpu_context_init(run.fd, CAPSET_GFXSTREAM_VULKAN);
	(is_maps ? run_maps : run_window)(&run);
	close(run.fd);
	return 0;
}
