/* The address space graphics ("ASG") ring: a byte stream each way in one blob of shared memory, between a thread of a guest
 * program and a consumer thread of ours.
 *
 * The layout is that of Mesa's gfxstream guest: three 4 KiB ring pages (to_host, to_host_large, from_host_large), then a data
 * buffer of a power of two bytes that all three share. The guest may rewrite any byte at any moment: every word is loaded once,
 * checked, and what cannot be right ends the ring with -EPROTO. Nothing here knows what the bytes mean.
 *
 * How its ends wake each other: asg/bell.h.
 *
 * Threads: read and write belong to the ring's consumer thread; stop may come from any thread. */
#ifndef NEEP_ASG_RING_H
#define NEEP_ASG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* Offset of the data buffer, and what capset 3 announces as ring size. */
#define NEEP_ASG_BUFFER_OFFSET UINT32_C(12288)
#define NEEP_ASG_BUFFER_SIZE   UINT32_C(1048576)

/* The slots of the data buffer: what is longer goes as a large transfer, which the guest waits for. A guest whose records have
 * taken all slots but one looks for a free one without giving way, for a whole time slice if the consumer needs its processor.
 * Four slots made that happen all the time; more than 16 gain nothing, and each costs a ring its own page. */
#define NEEP_ASG_FLUSH_INTERVAL UINT32_C(65536)

struct neep_asg_ring;

/* Writes the configuration that the guest reads into the blob, whose memory is `size` bytes behind `fd` (borrowed), and zeroes the
 * ring pages. Called once, before the guest learns that its ring exists. Maps nothing. Returns 0 or a negative errno (-EINVAL:
 * too small). */
int neep_asg_prepare(int fd, uint64_t size);

/* The consumer is gone for good: takes what the guest has sent and answers whatever its thread waits for with `answer`, over and
 * over. To be called again at each wake-up of the guest, which has sent or taken more by then. There is a flag for this in the
 * ring (in_error), but a guest thread that waits for a reply does not end by it: it tries again for ever. May be called at any
 * time, also on a ring that a dead process was serving. Returns 0 or a negative errno. */
int neep_asg_fail(int fd, uint64_t size, int32_t answer);

/* The same for who has mapped the ring: NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE bytes that stay. */
void neep_asg_fail_mapped(uint8_t *ring, int32_t answer);

/* A number that changes when the guest sends or takes something, for who has mapped the ring. */
uint64_t neep_asg_guest_progress(uint8_t *ring);

/* How the consumer waits: it looks at the ring for up to spin_ns after the last byte, as long as that pays off, then sleeps until
 * the guest wakes it. NEEP_ASG_SPIN_NS is a good choice. */
#define NEEP_ASG_SPIN_NS INT64_C(100000)
struct neep_asg_options {
	int64_t spin_ns;
	/* Another process served the ring and is gone: what it has not answered is read once more, from the beginning of a
	 * record or of a large transfer. A ring that does not tell what that is cannot be served. */
	bool had_consumer;
};

/* Maps the ring for its consumer. owned_memory_fd (at least `size` bytes, sealed against shrinking) is consumed in
 * every case. NULL with `error` set. */
struct neep_asg_ring *neep_asg_ring_create(
	int owned_memory_fd, uint64_t size, const struct neep_asg_options *options, struct neep_error *error);

/* For a process that wakes consumers of others: maps the page of the ring's bells (asg/bell.h). `fd` is the ring's memory,
 * borrowed. Returns the page, or NULL with errno set. */
uint8_t *neep_asg_bell_map(int fd);

/* NULL is fine. */
void neep_asg_bell_unmap(uint8_t *page);

/* Unmaps and frees. No thread is inside read or write. NULL is fine. */
void neep_asg_ring_destroy(struct neep_asg_ring *ring);

/* Waits until the guest has sent something, copies at least one and at most `len` bytes to `buf` and lets the guest go on.
 * Returns the bytes, or -ECANCELED after stop, or -EPROTO when the guest broke the ring. */
int64_t neep_asg_ring_read(struct neep_asg_ring *ring, void *buf, size_t len);

/* Sends a reply. The guest takes part of a long one before the rest fits: waits for that. Everything that was sent up to the
 * request must have been read. Returns 0, -ECANCELED or -EPROTO. */
int neep_asg_ring_write(struct neep_asg_ring *ring, const void *buf, size_t len);

/* Makes read and write return -ECANCELED, now and from now on: when it returns, nobody sleeps in them. Any thread. */
void neep_asg_ring_stop(struct neep_asg_ring *ring);

#endif
