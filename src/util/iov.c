#include "util/iov.h"

#include <stdint.h>
#include <string.h>

#include "util/checked.h"

size_t neep_iov_size(const struct iovec *iov, size_t count) {
	size_t total = 0;
	for (size_t i = 0; i < count; i++) {
		if (!neep_add(total, iov[i].iov_len, &total)) {
			return SIZE_MAX;
		}
	}
	return total;
}

/* NULL is a fine address of no iovecs, and the only one that may not be counted on from. */
static const struct iovec *end_of(const struct iovec *iov, size_t count) {
	return count > 0 ? iov + count : iov;
}

/* The next piece of [offset, offset + len) and how long it is; 0 where the iovecs end. */
struct piece {
	const struct iovec *iov;
	const struct iovec *end;
	size_t skip; // bytes of *iov that are behind us
};

static struct piece piece_at(const struct iovec *iov, size_t count, size_t offset) {
	struct piece p = { .iov = iov, .end = end_of(iov, count), .skip = offset };
	while (p.iov < p.end && p.skip >= p.iov->iov_len) {
		p.skip -= p.iov->iov_len;
		p.iov++;
	}
	return p;
}

static size_t piece_next(struct piece *p, size_t want, char **at) {
	while (p->iov < p->end && p->skip == p->iov->iov_len) {
		p->iov++;
		p->skip = 0;
	}
	if (p->iov == p->end) {
		return 0;
	}
	size_t have = p->iov->iov_len - p->skip;
	size_t len = want < have ? want : have;
	*at = (char *)p->iov->iov_base + p->skip;
	p->skip += len;
	return len;
}

size_t neep_iov_read(const struct iovec *iov, size_t count, size_t offset, void *out, size_t len) {
	struct piece p = piece_at(iov, count, offset);
	size_t done = 0;
	char *at;
	for (size_t n; done < len && (n = piece_next(&p, len - done, &at)) > 0; done += n) {
		memcpy((char *)out + done, at, n);
	}
	return done;
}

size_t neep_iov_write(const struct iovec *iov, size_t count, size_t offset, const void *in, size_t len) {
	struct piece p = piece_at(iov, count, offset);
	size_t done = 0;
	char *at;
	for (size_t n; done < len && (n = piece_next(&p, len - done, &at)) > 0; done += n) {
		memcpy(at, (const char *)in + done, n);
	}
	return done;
}

void neep_iov_cursor_init(struct neep_iov_cursor *cursor, const struct iovec *iov, size_t count) {
	*cursor = (struct neep_iov_cursor){ .iov = iov, .end = end_of(iov, count) };
}

size_t neep_iov_cursor_read_at(struct neep_iov_cursor *cursor, size_t offset, void *out, size_t len) {
	while (cursor->iov < cursor->end && offset >= cursor->start &&
		offset - cursor->start >= cursor->iov->iov_len) {
		cursor->start += cursor->iov->iov_len;
		cursor->iov++;
	}
	if (offset < cursor->start) {
		return 0;
	}
	return neep_iov_read(
		cursor->iov, (size_t)(cursor->end - cursor->iov), offset - cursor->start, out, len);
}
