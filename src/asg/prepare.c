#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "asg/bell.h"
#include "asg/layout.h"

static int check_size(uint64_t size) {
	return size < NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE ? -EINVAL : 0;
}

static int write_at(int fd, const void *buf, size_t len, uint32_t offset) {
	ssize_t written = pwrite(fd, buf, len, offset);
	if (written < 0) {
		return -errno;
	}
	return (size_t)written == len ? 0 : -EIO;
}

static int write_word(int fd, uint32_t offset, uint32_t value) {
	return write_at(fd, &value, sizeof(value), offset);
}

static int read_word(int fd, uint32_t offset, uint32_t *value) {
	ssize_t got = pread(fd, value, sizeof(*value), offset);
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
	int result = check_size(size);
	for (uint32_t at = 0; at < NEEP_ASG_BUFFER_OFFSET && result == 0; at += (uint32_t)sizeof(page)) {
		result = write_at(fd, page, sizeof(page), at);
	}
	return result < 0 ? result : write_at(fd, config, sizeof(config), NEEP_ASG_CONFIG);
}

/* A ring that nobody serves looks empty: the guest waits for that before it reads, too. */
static int swallow(int fd, uint32_t page) {
	uint32_t write_pos = 0;
	int result = read_word(fd, page + NEEP_ASG_WRITE_POS, &write_pos);
	return result < 0 ? result : write_word(fd, page + NEEP_ASG_READ_POS, write_pos);
}

/* How much is answered at once: more than most replies, and the guest takes it out of the ring in one go. */
#define ANSWER_SIZE UINT32_C(65536)

/* The next ANSWER_SIZE bytes that the guest will take. They lie where it may put its next request, so they are written anew
 * each time; positions need not be multiples of the word. */
static int fill_answer(int fd, uint32_t read_pos, int32_t answer) {
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
		result = write_at(fd, (const uint8_t *)words + phase, len, NEEP_ASG_BUFFER_OFFSET + at);
		done += len;
	}
	return result;
}

static int answer_all(int fd, int32_t answer) {
	const uint32_t page = NEEP_ASG_FROM_HOST_LARGE;
	uint32_t read_pos = 0;
	int result = read_word(fd, page + NEEP_ASG_READ_POS, &read_pos);
	if (result == 0) {
		result = fill_answer(fd, read_pos, answer);
	}
	return result < 0 ? result : write_word(fd, page + NEEP_ASG_WRITE_POS, read_pos + ANSWER_SIZE);
}

static int has_data(int fd, uint32_t page) {
	uint32_t read_pos = 0, write_pos = 0;
	int result = read_word(fd, page + NEEP_ASG_READ_POS, &read_pos);
	if (result == 0) {
		result = read_word(fd, page + NEEP_ASG_WRITE_POS, &write_pos);
	}
	return result < 0 ? result : read_pos != write_pos;
}

/* Whether the guest has sent and taken nothing since the last time, so that a look costs no more than that. */
static bool is_settled(int fd) {
	return has_data(fd, NEEP_ASG_FROM_HOST_LARGE) > 0 && has_data(fd, NEEP_ASG_TO_HOST) == 0 &&
	       has_data(fd, NEEP_ASG_TO_HOST_LARGE) == 0;
}

/* First what has every write from now on bring a wake-up to the device process. */
int neep_asg_fail(int fd, uint64_t size, int32_t answer) {
	int result = check_size(size);
	if (result == 0) {
		result = write_word(fd, NEEP_ASG_HOST_STATE, NEEP_ASG_EXIT);
	}
	if (result == 0) {
		result = write_word(fd, NEEP_ASG_HOST_WAIT, NEEP_ASG_UNSERVED);
	}
	if (result < 0 || is_settled(fd)) {
		return result;
	}
	result = swallow(fd, NEEP_ASG_TO_HOST);
	if (result == 0) {
		result = swallow(fd, NEEP_ASG_TO_HOST_LARGE);
	}
	return result < 0 ? result : answer_all(fd, answer);
}
