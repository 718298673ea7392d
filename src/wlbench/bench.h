/* neep-bench-wayland: a plain Wayland program that measures one thing per run. `neep bench wayland` runs it natively and through
 * neep. Results are lines "key value" on stdout. */
#ifndef NEEP_WLBENCH_BENCH_H
#define NEEP_WLBENCH_BENCH_H

#include "wlb.h"

struct wlbench_options {
	const char *load;
	double seconds;
	uint32_t mib; // of a clipboard transfer
};

/* Each ends when the seconds are over. */
void wlbench_run_sync(const struct wlbench_options *options);
void wlbench_run_flood(const struct wlbench_options *options);
void wlbench_run_full(const struct wlbench_options *options);
void wlbench_run_paced(const struct wlbench_options *options);
void wlbench_run_damage(const struct wlbench_options *options);

/* Two clients of this process, one of which pastes what the other one has copied. The compositor must have a seat with a
 * keyboard. */
void wlbench_run_clipboard(const struct wlbench_options *options);

/* True until the seconds that began at `start_ns` are over. */
static inline bool wlbench_has_time(const struct wlbench_options *options, int64_t start_ns) {
	return (double)(wlb_now() - start_ns) < 1e9 * options->seconds;
}

/* Events per second since `start_ns`. */
static inline double wlbench_rate(uint64_t count, int64_t start_ns) {
	return 1e9 * (double)count / (double)(wlb_now() - start_ns);
}

#endif
