/* The monotonic clock. */
#ifndef NEEP_UTIL_CLOCK_H
#define NEEP_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NEEP_NS_PER_S  INT64_C(1000000000)
#define NEEP_NS_PER_MS INT64_C(1000000)
#define NEEP_NS_PER_US INT64_C(1000)

/* Nanoseconds since an arbitrary start; never goes back. */
static inline int64_t neep_clock_ns(void) {
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NEEP_NS_PER_S + ts.tv_nsec;
}

#endif
