#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "asg/bell.h"
#include "asg/layout.h"

static int check_size(uint64_t size) {
	return size < NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE ? -EINVAL : 0;
}

/* The memory of a ring, by an fd or mapped. */
struct ring_memory {
	uint8_t *mapped; // NULL: use the fd
	int fd;
};

static int write_at(const struct ring_memory *memory, const void *buf, size_t len, uint32_t offset) {
	if (memory->mapped != NULL) {
		memcpy(memory->mapped + offset, buf, len);
		return 0;
	}
	ssize_t written = pwrite(memory->fd, buf, len, offset);
	if (written < 0) {
		return -errno;
	}
	return (size_t)written == len ? 0 : -EIO;
}

static _Atomic uint32_t *word_at(const struct ring_memory *memory, uint32_t offset) {
	return (_Atomic uint32_t *)(void *)(memory->mapped + offset);
}

static int write_word(const struct ring_memory *memory, uint32_t offset, uint32_t value) {
	if (memory->mapped != NULL) {
		atomic_store(word_at(memory, offset), value);
		return 0;
	}
	return write_at(memory, &value, sizeof(value), offset);
}

static int read_word(const struct ring_memory *memory, uint32_t offset, uint32_t *value) {
	if (memory->mapped != NULL) {
		*value = atomic_load(word_at(memory, offset));
		return 0;
	}
	ssize_t got = pread(memory->fd, value, sizeof(*value), offset);
	if (got < 0) {
		return -errno;
	}
	return got == (ssize_t)sizeof(*value) ? 0 : -EIO;
}

int neep_asg_prepare(int fd, uint64_t size) {
	static const uint8_t page[4096];
	static const uint32_t config[NEEP_ASG_CONFIG_WORDS] = {
		[(NEEP_ASG_CONFIG_BUFFER_SIZE - NEEP_ASG_CONFIG) / 4] = NEEP_ASG_BUFFER_SIZE,
		[(NEEP_ASG_CONFIG_FLUSH - NEEP_ASG_CONFIG) / 4] = NEEP_ASG_FLUSH_INTERVAL,
		[(NEEP_ASG_TRANSFER_MODE - NEEP_ASG_CONFIG) / 4] = NEEP_ASG_TRANSFER_RECORDS,
	};
	const struct ring_memory memory = { .fd = fd };
	int result = check_size(size);
	for (uint32_t at = 0; at < NEEP_ASG_BUFFER_OFFSET && result == 0; at += (uint32_t)sizeof(page)) {
		result = write_at(&memory, page, sizeof(page), at);
	}
	return result < 0 ? result : write_at(&memory, config, sizeof(config), NEEP_ASG_CONFIG);
}

/* A ring that nobody serves looks empty: the guest waits for that before it reads, too. */
static int swallow(const struct ring_memory *memory, uint32_t page) {
	uint32_t write_pos = 0;
	int result = read_word(memory, page + NEEP_ASG_WRITE_POS, &write_pos);
	return result < 0 ? result : write_word(memory, page + NEEP_ASG_READ_POS, write_pos);
}

/* How much is answered at once: more than most replies, and the guest takes it out of the ring in one go. */
#define ANSWER_SIZE UINT32_C(65536)

/* The next ANSWER_SIZE bytes that the guest will take. They lie where it may put its next request, so they are written anew
 * each time; positions need not be multiples of the word. */
static int fill_answer(const struct ring_memory *memory, uint32_t read_pos, int32_t answer) {
	static const uint32_t mask = NEEP_ASG_BUFFER_SIZE - 1;
	int32_t words[1024];
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		words[i] = answer;
	}
	uint32_t start = read_pos & mask;
	int result = 0;
	for (uint32_t done = 0; done < ANSWER_SIZE && result == 0;) {
		uint32_t at = (start + done) & mask;
		uint32_t room = NEEP_ASG_BUFFER_SIZE - at;
		/* A word may be cut in two by the end of the buffer. */
		uint32_t phase = done % sizeof(words[0]);
		uint32_t left = (uint32_t)sizeof(words) - phase;
		uint32_t len = room < left ? room : left;
		result = write_at(memory, (const uint8_t *)words + phase, len, NEEP_ASG_BUFFER_OFFSET + at);
		done += len;
	}
	return result;
}

static int answer_all(const struct ring_memory *memory, int32_t answer) {
	const uint32_t page = NEEP_ASG_FROM_HOST_LARGE;
	uint32_t read_pos = 0;
	int result = read_word(memory, page + NEEP_ASG_READ_POS, &read_pos);
	if (result == 0) {
		result = fill_answer(memory, read_pos, answer);
	}
	return result < 0 ? result : write_word(memory, page + NEEP_ASG_WRITE_POS, read_pos + ANSWER_SIZE);
}

static int has_data(const struct ring_memory *memory, uint32_t page) {
	uint32_t read_pos = 0, write_pos = 0;
	int result = read_word(memory, page + NEEP_ASG_READ_POS, &read_pos);
	if (result == 0) {
		result = read_word(memory, page + NEEP_ASG_WRITE_POS, &write_pos);
	}
	return result < 0 ? result : read_pos != write_pos;
}

/* Whether the guest has sent and taken nothing since the last time, so that a look costs no more than that. */
static bool is_settled(const struct ring_memory *memory) {
	return has_data(memory, NEEP_ASG_FROM_HOST_LARGE) > 0 && has_data(memory, NEEP_ASG_TO_HOST) == 0 &&
	       has_data(memory, NEEP_ASG_TO_HOST_LARGE) == 0;
}

/* First what has every write from now on bring a wake-up to the device process. */
static int fail(const struct ring_memory *memory, int32_t answer) {
	int result = write_word(memory, NEEP_ASG_HOST_STATE, NEEP_ASG_EXIT);
	if (result == 0) {
		result = write_word(memory, NEEP_ASG_HOST_WAIT, NEEP_ASG_UNSERVED);
	}
	if (result < 0 || is_settled(memory)) {
		return result;
	}
	result = swallow(memory, NEEP_ASG_TO_HOST);
	if (result == 0) {
		result = swallow(memory, NEEP_ASG_TO_HOST_LARGE);
	}
	return result < 0 ? result : answer_all(memory, answer);
}

int neep_asg_fail(int fd, uint64_t size, int32_t answer) {
	const struct ring_memory memory = { .fd = fd };
	int result = check_size(size);
	return result < 0 ? result : fail(&memory, answer);
}

void neep_asg_fail_mapped(uint8_t *ring, int32_t answer) {
	const struct ring_memory memory = { .mapped = ring, .fd = -1 };
	(void)fail(&memory, answer);
}

uint64_t neep_asg_guest_progress(uint8_t *ring) {
	const struct ring_memory memory = { .mapped = ring, .fd = -1 };
	uint32_t records = atomic_load(word_at(&memory, NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS));
	uint32_t large = atomic_load(word_at(&memory, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS));
	uint32_t taken = atomic_load(word_at(&memory, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS));
	return ((uint64_t)(records + large) << 32) + taken;
}
