#include <errno.h>
#include <unistd.h>

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

/* The guest tests in_error only after it got data. Data that is there already would do, but it may be taken before the flag
 * is seen: so one more byte in any case, but in a ring that is full; what is taken out of that is taken after the flag. */
int neep_asg_fail(int fd, uint64_t size) {
	const uint32_t page = NEEP_ASG_FROM_HOST_LARGE;
	uint32_t read_pos = 0, write_pos = 0;
	int result = check_size(size);
	if (result == 0) {
		result = write_word(fd, NEEP_ASG_IN_ERROR, 1);
	}
	if (result == 0) {
		result = write_word(fd, NEEP_ASG_HOST_STATE, NEEP_ASG_EXIT);
	}
	if (result == 0) {
		result = read_word(fd, page + NEEP_ASG_READ_POS, &read_pos);
	}
	if (result == 0) {
		result = read_word(fd, page + NEEP_ASG_WRITE_POS, &write_pos);
	}
	if (result < 0 || write_pos - read_pos == NEEP_ASG_BUFFER_SIZE - 1) {
		return result;
	}
	return write_word(fd, page + NEEP_ASG_WRITE_POS, write_pos + 1);
}
