/* Tests wait for states, never for times. */
#ifndef NEEP_TESTS_SUPPORT_AWAIT_H
#define NEEP_TESTS_SUPPORT_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

/* What is awaited comes at once where nothing else runs. The limit is for machines with one processor and ten others at work,
 * and for programs under a sanitizer. */
#define AWAIT_MS INT64_C(60000)
#define AWAIT_NS (AWAIT_MS * NEEP_NS_PER_MS)

/* The time at which patience ends. */
static inline int64_t await_end_ns(void) {
	return neep_clock_ns() + AWAIT_NS;
}

/* Fails the case, with the claim, when that time is over; sleeps for a moment otherwise. */
void await_pause(int64_t end_ns, const char *claim, const char *file, int line);

/* The same without the sleep. */
void await_check(int64_t end_ns, const char *claim, const char *file, int line);

/* Asks until the claim is true. */
#define await_true(claim)                                                  \
	for (int64_t await_true_end = await_end_ns(); !(claim);            \
		await_pause(await_true_end, #claim, __FILE__, __LINE__)) { \
	}

/* Asks until the claim is true, with a turn of something in between that may sleep, or not. */
#define await_turning(claim, turn)                                            \
	for (int64_t await_turning_end = await_end_ns(); !(claim);            \
		await_check(await_turning_end, #claim, __FILE__, __LINE__)) { \
		turn;                                                         \
	}

/* Waits until `window_ms` pass in which what `used` tells (processor time, in its own unit) grows by `most` at the most. Who
 * is never idle has no such window; who is may have been at work, or have been charged for somebody else, in the first ones. */
void await_idle(uint64_t (*used)(void *data), void *data, int window_ms, uint64_t most);

#endif
