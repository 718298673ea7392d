/* How the two ends of an ASG ring sleep and wake each other: on futex words in the from_host_large page, where the protocol
 * leaves room. Also for libneep-virtgpu.so, which links nothing: hence functions in a header.
 *
 * The guest's end. Mesa's guest waits in a loop around sched_yield(), which takes a processor from whatever it waits for. Our own
 * guest side (libneep-virtgpu.so) makes it sleep: it says so (SLEEPER: 1) and waits for BELL to change. The consumer rings it
 * when it has taken or sent something, and takes the SLEEPER back. A guest in a virtual machine leaves both zero.
 *
 * The host's end. The consumer says in HOST_WAIT what it does, and sleeps until HOST_BELL changes. Our own guest side rings that
 * itself instead of sending the guest's wake-up to the device process, which rings it for all other guests. Where nobody
 * serves the ring, the device process must hear of wake-ups.
 *
 * READING and the next words are for a consumer that takes the place of one that died: whether the last request has been answered,
 * and where it can be read again.
 *
 * Whoever shares the page may write anything there at any time: that wakes a thread for nothing, or not at all. */
#ifndef NEEP_ASG_BELL_H
#define NEEP_ASG_BELL_H

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

/* Offsets in bytes from the start of the blob. */
#define NEEP_ASG_BELL_PAGE      UINT32_C(0x2000)
#define NEEP_ASG_BELL_PAGE_SIZE ((size_t)4096)
#define NEEP_ASG_SLEEPER        (NEEP_ASG_BELL_PAGE + 16)
#define NEEP_ASG_BELL           (NEEP_ASG_BELL_PAGE + 20)
#define NEEP_ASG_HOST_WAIT      (NEEP_ASG_BELL_PAGE + 24) // enum neep_asg_host_wait
#define NEEP_ASG_HOST_BELL      (NEEP_ASG_BELL_PAGE + 28)
/* In a cache line that nobody else uses. */
#define NEEP_ASG_READING (NEEP_ASG_BELL_PAGE + 128) // enum neep_asg_reading
#define NEEP_ASG_REPLIED (NEEP_ASG_BELL_PAGE + 132) // the position of replies when that was read
/* Of the last large transfer of which something was taken. */
#define NEEP_ASG_LARGE_START (NEEP_ASG_BELL_PAGE + 136) // its position
#define NEEP_ASG_LARGE_SIZE  (NEEP_ASG_BELL_PAGE + 140)

/* What the consumer has taken last. */
enum neep_asg_reading {
	NEEP_ASG_READ_NOTHING = 0,
	NEEP_ASG_READ_RECORD = 1,
	NEEP_ASG_READ_LARGE = 2,
	NEEP_ASG_REPLYING = 3, // it has sent a part of a long reply
};

enum neep_asg_host_wait {
	NEEP_ASG_UNSERVED = 0, // no consumer, or none yet
	NEEP_ASG_ASLEEP = 1,
	NEEP_ASG_AWAKE = 2, // it will look at the ring before it sleeps
};

/* A word of the page, by its offset from the start of the blob. */
static inline _Atomic uint32_t *neep_asg_bell_word(uint8_t *page, uint32_t offset) {
	return (_Atomic uint32_t *)(void *)(page + (offset - NEEP_ASG_BELL_PAGE));
}

/* Sleeps until the bell is rung, unless it is not `value` any more, or for `limit` (NULL: no limit). May return early. Returns
 * true when the limit has passed. */
static inline bool neep_asg_bell_wait(_Atomic uint32_t *bell, uint32_t value, const struct timespec *limit) {
	return syscall(SYS_futex, bell, FUTEX_WAIT, value, limit, NULL, 0) < 0 && errno == ETIMEDOUT;
}

/* Wakes all who sleep at the bell, of any process. */
static inline void neep_asg_bell_ring(_Atomic uint32_t *bell) {
	atomic_fetch_add(bell, 1);
	syscall(SYS_futex, bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* What a guest's wake-up asks for. Returns false when it is the device process that must hear of it. */
static inline bool neep_asg_host_wake(uint8_t *page) {
	uint32_t was = NEEP_ASG_ASLEEP;
	if (!atomic_compare_exchange_strong(
		    neep_asg_bell_word(page, NEEP_ASG_HOST_WAIT), &was, NEEP_ASG_AWAKE)) {
		return was == NEEP_ASG_AWAKE;
	}
	neep_asg_bell_ring(neep_asg_bell_word(page, NEEP_ASG_HOST_BELL));
	return true;
}

#endif
