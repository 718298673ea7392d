#include "rutabaga/backing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"

/* Whether `next` begins where `segment` ends. */
static bool touches(const struct iovec *segment, const struct iovec *next) {
	return (const uint8_t *)segment->iov_base + segment->iov_len == (const uint8_t *)next->iov_base;
}

/* Joins into `segments` (NULL: only counts). Returns the number of segments. */
static size_t join(const struct iovec *iov, size_t count, struct iovec *segments) {
	size_t used = 0;
	struct iovec last = { .iov_len = 0 };
	for (size_t i = 0; i < count; i++) {
		if (iov[i].iov_len == 0) {
			continue;
		}
		if (used > 0 && touches(&last, &iov[i])) {
			last.iov_len += iov[i].iov_len;
		} else {
			last = iov[i];
			used++;
		}
		if (segments != NULL) {
			segments[used - 1] = last;
		}
	}
	return used;
}

static int check(const struct iovec *iov, size_t count, uint64_t *size) {
	*size = 0;
	for (size_t i = 0; i < count; i++) {
		uintptr_t end;
		if (iov[i].iov_len == 0) {
			continue;
		}
		if (iov[i].iov_base == NULL || !neep_add((uintptr_t)iov[i].iov_base, iov[i].iov_len, &end)) {
			return -EINVAL;
		}
		if (!neep_add(*size, iov[i].iov_len, size)) {
			return -EOVERFLOW;
		}
	}
	return 0;
}

int neep_backing_init(struct neep_backing *backing, const struct iovec *iov, size_t count, size_t max_count) {
	*backing = (struct neep_backing){ .count = 0 };
	uint64_t size;
	int rc = check(iov, count, &size);
	if (rc < 0) {
		return rc;
	}
	size_t used = join(iov, count, NULL);
	if (used == 0) {
		return 0;
	}
	struct iovec *segments = used <= max_count ? calloc(used, sizeof(*segments)) : NULL;
	uint64_t *starts = used <= max_count ? calloc(used, sizeof(*starts)) : NULL;
	if (segments == NULL || starts == NULL) {
		free(segments);
		free(starts);
		return -ENOMEM;
	}
	join(iov, count, segments);
	for (size_t i = 1; i < used; i++) {
		starts[i] = starts[i - 1] + segments[i - 1].iov_len;
	}
	*backing =
		(struct neep_backing){ .segments = segments, .starts = starts, .count = used, .size = size };
	return 0;
}

void neep_backing_finish(struct neep_backing *backing) {
	free((void *)backing->segments);
	free((void *)backing->starts);
	*backing = (struct neep_backing){ .count = 0 };
}

void neep_backing_buffer_init(struct neep_backing_buffer *buffer, const struct iovec *iov) {
	buffer->segment = *iov;
	buffer->start = 0;
	buffer->backing = (struct neep_backing){
		.segments = &buffer->segment,
		.starts = &buffer->start,
		.count = iov->iov_len > 0 ? 1 : 0,
		.size = iov->iov_len,
	};
}

/* A place in a backing; walks forward only. `left` is what the segment still has, 0 only at the very end. */
struct cursor {
	const struct iovec *segment;
	uint8_t *at;
	size_t left;
};

static struct cursor seek(const struct neep_backing *backing, uint64_t offset) {
	size_t low = 0, high = backing->count;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (backing->starts[mid] <= offset) {
			low = mid;
		} else {
			high = mid;
		}
	}
	const struct iovec *segment = &backing->segments[low];
	size_t skip = (size_t)(offset - backing->starts[low]);
	return (struct cursor){ segment, (uint8_t *)segment->iov_base + skip, segment->iov_len - skip };
}

static void next_segment(struct cursor *c) {
	c->segment++;
	c->at = c->segment->iov_base;
	c->left = c->segment->iov_len;
}

/* One run of bytes, to or from `image`. Stops at the last byte without looking at the segment behind it: there
 * may be none. */
static inline void copy_run(struct cursor *c, uint8_t *image, size_t len, bool is_write) {
	for (;;) {
		size_t n = len < c->left ? len : c->left;
		if (is_write) {
			memcpy(c->at, image, n);
		} else {
			memcpy(image, c->at, n);
		}
		c->at += n;
		c->left -= n;
		len -= n;
		if (len == 0) {
			return;
		}
		image += n;
		next_segment(c);
	}
}

static inline void skip(struct cursor *c, uint64_t len) {
	while (len > c->left) {
		len -= c->left;
		next_segment(c);
	}
	c->at += len;
	c->left -= (size_t)len;
}

static bool is_inside(const struct neep_backing *backing, const struct neep_rows *rows) {
	uint64_t span;
	return (rows->stride >= rows->len || rows->count == 1) &&
	       neep_mul(rows->stride, rows->count - 1, &span) && neep_add(span, rows->len, &span) &&
	       neep_range_within(rows->offset, span, backing->size);
}

static inline int copy_rows(const struct neep_backing *backing, const struct neep_rows *rows, bool is_write) {
	if (rows->count == 0 || rows->len == 0) {
		return 0;
	}
	if (!is_inside(backing, rows)) {
		return -EINVAL;
	}
	struct cursor c = seek(backing, rows->offset);
	/* Rows that lie end to end on both sides are one long row. */
	if (rows->stride == rows->len && rows->image_stride == rows->len) {
		copy_run(&c, rows->image, rows->len * rows->count, is_write);
		return 0;
	}
	copy_run(&c, rows->image, rows->len, is_write);
	for (size_t i = 1; i < rows->count; i++) {
		skip(&c, rows->stride - rows->len);
		copy_run(&c, rows->image + i * rows->image_stride, rows->len, is_write);
	}
	return 0;
}

int neep_backing_read(const struct neep_backing *backing, const struct neep_rows *rows) {
	return copy_rows(backing, rows, false);
}

int neep_backing_write(const struct neep_backing *backing, const struct neep_rows *rows) {
	return copy_rows(backing, rows, true);
}
