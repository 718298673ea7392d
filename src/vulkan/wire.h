/* The scalars of the wire: most are little-endian (util/reader.h); presence words, sizes and lengths are big-endian. And the
 * writer of replies.
 *
 * Source: what Mesa's gfxstream guest writes and reads. */
#ifndef NEEP_VULKAN_WIRE_H
#define NEEP_VULKAN_WIRE_H

#include <endian.h>
#include <stdbool.h>

#include "util/reader.h"

static inline uint32_t neep_vk_get_be32(struct neep_reader *in) {
	return be32toh(neep_reader_u32(in));
}

static inline uint64_t neep_vk_get_be64(struct neep_reader *in) {
	return be64toh(neep_reader_u64(in));
}

/* A growing buffer with a cap. Failure is sticky: what does not fit is not written. */
struct neep_vk_reply {
	uint8_t *buf; // owned, kept from packet to packet
	size_t len;
	size_t size;
	size_t limit;
	bool failed;
	/* The command failed: contents are written as zeros, so that nothing half done and no counts get out; the shape stays. */
	bool is_blank;
};

void neep_vk_reply_init(struct neep_vk_reply *reply, size_t limit);
void neep_vk_reply_finish(struct neep_vk_reply *reply);
void neep_vk_reply_reset(struct neep_vk_reply *reply);

/* Makes room for `len` more bytes; false, and sticky failure, when there cannot be. */
bool neep_vk_reply_grow(struct neep_vk_reply *reply, size_t len);

/* Bytes as they are, whatever is_blank. */
static inline void neep_vk_put_raw(struct neep_vk_reply *reply, const void *data, size_t len) {
	if (len == 0 || (len > reply->size - reply->len && !neep_vk_reply_grow(reply, len))) {
		return;
	}
	memcpy(reply->buf + reply->len, data, len);
	reply->len += len;
}

static inline void neep_vk_put_zeros(struct neep_vk_reply *reply, size_t len) {
	if (len == 0 || (len > reply->size - reply->len && !neep_vk_reply_grow(reply, len))) {
		return;
	}
	memset(reply->buf + reply->len, 0, len);
	reply->len += len;
}

static inline void neep_vk_put_raw32(struct neep_vk_reply *reply, uint32_t value) {
	neep_vk_put_raw(reply, &value, sizeof(value));
}

static inline void neep_vk_put_raw_be32(struct neep_vk_reply *reply, uint32_t value) {
	neep_vk_put_raw32(reply, htobe32(value));
}

static inline void neep_vk_put_raw64(struct neep_vk_reply *reply, uint64_t value) {
	neep_vk_put_raw(reply, &value, sizeof(value));
}

/* A presence word: whether the guest gave a pointer. */
static inline void neep_vk_put_presence(struct neep_vk_reply *reply, bool is_present) {
	neep_vk_put_raw64(reply, htobe64(is_present));
}

/* Contents: zeros in a blank reply. */
static inline void neep_vk_put(struct neep_vk_reply *reply, const void *data, size_t len) {
	if (reply->is_blank) {
		neep_vk_put_zeros(reply, len);
	} else {
		neep_vk_put_raw(reply, data, len);
	}
}

static inline void neep_vk_put_u32(struct neep_vk_reply *reply, uint32_t value) {
	neep_vk_put(reply, &value, sizeof(value));
}

static inline void neep_vk_put_u64(struct neep_vk_reply *reply, uint64_t value) {
	neep_vk_put(reply, &value, sizeof(value));
}

static inline void neep_vk_put_be64(struct neep_vk_reply *reply, uint64_t value) {
	neep_vk_put_u64(reply, htobe64(value));
}

/* A count of elements that follow: never more than the guest has room for. Returns what was written. */
static inline uint64_t neep_vk_put_count(struct neep_vk_reply *reply, uint64_t count, uint64_t room) {
	uint64_t told = reply->is_blank ? 0 : count < room ? count : room;
	neep_vk_put_raw32(reply, (uint32_t)told);
	return told;
}

static inline uint64_t neep_vk_put_count_be64(struct neep_vk_reply *reply, uint64_t count, uint64_t room) {
	uint64_t told = reply->is_blank ? 0 : count < room ? count : room;
	neep_vk_put_raw64(reply, htobe64(told));
	return told;
}

#endif
