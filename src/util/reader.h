/* A bounded cursor over little-endian bytes that somebody else wrote.
 *
 * Failure is sticky: a read past the end sets `failed`, yields zeros and moves nothing; later reads do the
 * same. The caller reads straight through and tests neep_reader_ok() once, before the first side effect. */
#ifndef NEEP_UTIL_READER_H
#define NEEP_UTIL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct neep_reader {
	const uint8_t *cur;
	const uint8_t *end;
	bool failed;
};

/* Reads from [buf, buf + len), which must stay valid and unchanged while the reader is used: bytes that a
 * guest can rewrite are copied first. */
static inline void neep_reader_init(struct neep_reader *r, const void *buf, size_t len) {
	*r = (struct neep_reader){ .cur = buf, .end = (const uint8_t *)buf + len };
}

static inline bool neep_reader_ok(const struct neep_reader *r) {
	return !r->failed;
}

static inline size_t neep_reader_left(const struct neep_reader *r) {
	return (size_t)(r->end - r->cur);
}

/* The next `len` bytes, or NULL (and sticky failure) when there are fewer. */
static inline const void *neep_reader_take(struct neep_reader *r, size_t len) {
	if (r->failed || len > neep_reader_left(r)) {
		r->failed = true;
		return NULL;
	}
	const void *p = r->cur;
	r->cur += len;
	return p;
}

/* Copies the next `len` bytes to `out`; zeros on failure. */
static inline void neep_reader_copy(struct neep_reader *r, void *out, size_t len) {
	const void *p = neep_reader_take(r, len);
	if (p == NULL) {
		memset(out, 0, len);
		return;
	}
	memcpy(out, p, len);
}

/* The host is little-endian (design: big-endian hosts are refused at start). */
static inline uint8_t neep_reader_u8(struct neep_reader *r) {
	uint8_t value;
	neep_reader_copy(r, &value, sizeof(value));
	return value;
}

static inline uint16_t neep_reader_u16(struct neep_reader *r) {
	uint16_t value;
	neep_reader_copy(r, &value, sizeof(value));
	return value;
}

static inline uint32_t neep_reader_u32(struct neep_reader *r) {
	uint32_t value;
	neep_reader_copy(r, &value, sizeof(value));
	return value;
}

static inline uint64_t neep_reader_u64(struct neep_reader *r) {
	uint64_t value;
	neep_reader_copy(r, &value, sizeof(value));
	return value;
}

#endif
