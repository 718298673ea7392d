/* A guest that rewrites the control words of its ring at any moment, while the consumer reads and replies. The input is what
 * it writes: {word, value} pairs. The data buffer holds one byte value only, and so do the replies: whatever else is
 * read, or is found in a place where nothing is to be written, came from outside. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "asg/layout.h"
#include "fuzz/fuzz.h"
#include "util/fd.h"
#include "util/macros.h"
#include "util/reader.h"

#define RING_SIZE (NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE)
#define FILL      0xa5
#define WORDS_MAX 4096

static const uint32_t words[] = {
	NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS,
	NEEP_ASG_TO_HOST + NEEP_ASG_READ_POS,
	NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS,
	NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS,
	NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS,
	NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS,
	NEEP_ASG_RECORDS,
	NEEP_ASG_RECORDS + 4,
	NEEP_ASG_RECORDS + 8,
	NEEP_ASG_RECORDS + 12,
	NEEP_ASG_RECORDS + NEEP_ASG_RECORDS_SIZE - 8,
	NEEP_ASG_RECORDS + NEEP_ASG_RECORDS_SIZE - 4,
	NEEP_ASG_HOST_STATE,
	NEEP_ASG_CONFIG_BUFFER_SIZE,
	NEEP_ASG_TRANSFER_MODE,
	NEEP_ASG_TRANSFER_SIZE,
};

struct hostile {
	struct neep_asg_ring *ring;
	struct neep_reader in;
};

static uint8_t *base;
static int memory_fd = -1;

static void map_once(void) {
	if (base != NULL) {
		return;
	}
	memory_fd = neep_memfd_create("fuzz", RING_SIZE);
	base = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	neep_assert(base != MAP_FAILED);
	memset(base + NEEP_ASG_BUFFER_OFFSET, FILL, NEEP_ASG_BUFFER_SIZE);
}

/* Half of the values are near those that make sense. */
static uint32_t value_of(uint8_t op, uint32_t raw, uint32_t now) {
	switch (op >> 5) {
	case 0:
		return now + 8;
	case 1:
		return now + raw % 64;
	case 2:
		return NEEP_ASG_BUFFER_SIZE - raw % 64;
	case 3:
		return raw % NEEP_ASG_BUFFER_SIZE;
	default:
		return raw;
	}
}

static void *rewrite(void *data) {
	struct hostile *hostile = data;
	for (int i = 0; i < WORDS_MAX && neep_reader_left(&hostile->in) > 0; i++) {
		uint8_t op = neep_reader_u8(&hostile->in);
		uint32_t raw = neep_reader_u32(&hostile->in);
		_Atomic uint32_t *word =
			(_Atomic uint32_t *)(void *)(base + words[op % NEEP_ARRAY_LEN(words)]);
		atomic_store(word, value_of(op, raw, atomic_load(word)));
		if (op % 3 == 0) {
			sched_yield();
		}
	}
	neep_asg_ring_stop(hostile->ring);
	return NULL;
}

static void check_is_fill(const uint8_t *buf, size_t len) {
	for (size_t i = 0; i < len; i++) {
		neep_assert(buf[i] == FILL);
	}
}

/* Between the configuration and the end of each page. */
static void check_nothing_strayed(void) {
	for (uint32_t page = 0; page < NEEP_ASG_BUFFER_OFFSET; page += 0x1000) {
		for (uint32_t at = 2308; at < 0x1000; at++) {
			neep_assert(base[page + at] == 0);
		}
	}
}

static void consume(struct neep_asg_ring *ring) {
	static uint8_t buf[4096], reply[512];
	memset(reply, FILL, sizeof(reply));
	int64_t got;
	for (size_t turn = 1; (got = neep_asg_ring_read(ring, buf, turn % sizeof(buf) + 1)) != -ECANCELED;
		turn++) {
		neep_assert(got == -EPROTO || (got > 0 && (size_t)got <= turn % sizeof(buf) + 1));
		check_is_fill(buf, got > 0 ? (size_t)got : 0);
		if (turn % 4 == 0) {
			neep_asg_ring_write(ring, reply, turn % sizeof(reply));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct neep_asg_options options = { .spin_ns = 1000 };
	map_once();
	neep_assert(neep_asg_prepare(memory_fd, RING_SIZE) == 0);
	struct hostile hostile;
	hostile.ring = neep_asg_ring_create(fcntl(memory_fd, F_DUPFD_CLOEXEC, 0), RING_SIZE, &options, NULL);
	neep_assert(hostile.ring != NULL);
	neep_reader_init(&hostile.in, data, size);
	pthread_t thread;
	neep_assert(pthread_create(&thread, NULL, rewrite, &hostile) == 0);
	consume(hostile.ring);
	pthread_join(thread, NULL);
	neep_asg_ring_destroy(hostile.ring);
	check_nothing_strayed();
	return 0;
}
