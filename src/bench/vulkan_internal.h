/* What the files of `neep bench vulkan` share. Room-internal.
 *
 * The peers are ways to run a program: natively, through `neep run`, or with a command of the user's before it. */
#ifndef NEEP_BENCH_VULKAN_INTERNAL_H
#define NEEP_BENCH_VULKAN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/figures.h"
#include "bench/ways.h"

enum vulkan_metric {
	VULKAN_CLEAR_1MS,
	VULKAN_CLEAR_100US,
	VULKAN_MESH_1MS,
	VULKAN_MESH_100US,
	VULKAN_TEXTURED_1MS,
	VULKAN_TEXTURED_100US,
	VULKAN_DRAWS_10000,
	VULKAN_DRAWS_100US,
	VULKAN_COMPUTE_1MS,
	VULKAN_COMPUTE_100US,
	VULKAN_FENCE_P50,
	VULKAN_FENCE_P99,
	VULKAN_REQUIREMENTS_P50,
	VULKAN_REQUIREMENTS_P99,
	VULKAN_SUBMIT_P50,
	VULKAN_SUBMIT_P99,
	VULKAN_COMMANDS,
	VULKAN_THREADS,
	VULKAN_UPLOAD_64M,
	VULKAN_UPLOAD_1G,
	VULKAN_START,
	VULKAN_MEMORY,
	VULKAN_MEMORY_ABOVE,
	VULKAN_METRICS,
};

struct vulkan_metric_info {
	const char *key;   // in JSON
	const char *title; // in the table
	const char *unit;
	const char *said; // the key under which the program says it; NULL: measured from outside
	enum bench_target target;
	double value;
	double gpu_value; // where the device is no CPU; 0: the same
};
extern const struct vulkan_metric_info vulkan_metrics[VULKAN_METRICS];

enum vulkan_kind {
	VULKAN_RUN_PROGRAM, // to its end; it says the figures
	VULKAN_RUN_START,   // of a program that does nothing
	VULKAN_RUN_MEMORY,  // looked at while it waits
};

struct vulkan_load {
	const char *name; // for --only
	const char *summary;
	enum vulkan_kind kind;
	const char *program_load;
	uint32_t calibrate_us;       // 0: `work` as it is
	const char *calibrate_scene; // NULL: program_load
	uint32_t work;               // 0: of no meaning
	uint32_t mib;                // likewise
	enum vulkan_metric first;
	enum vulkan_metric last; // or 0: one metric
};
extern const struct vulkan_load vulkan_loads[];
extern const size_t vulkan_load_count;
enum vulkan_metric vulkan_load_last(const struct vulkan_load *load);

struct vulkan_options {
	struct bench_ways ways; // of neep-bench-vulkan
	uint64_t loads;         // bit per index of vulkan_loads
	bool is_json;
};

struct vulkan_results {
	char device[256]; // the native one's name
	bool is_cpu;      // that device
	uint32_t failures;
	struct bench_series series[BENCH_WAYS][VULKAN_METRICS];
	bool has_failed[BENCH_WAYS][VULKAN_METRICS];
	bool is_different[BENCH_WAYS][VULKAN_METRICS]; // its result is not the native one
	uint32_t work[VULKAN_METRICS];
};

/* Measures one load on one peer: values by enum vulkan_metric, NAN where there is none. */
struct vulkan_session {
	const struct vulkan_options *options;
	const struct vulkan_load *load;
	enum bench_way peer;
	uint32_t work;
	double driver_mib; // memory of the Vulkan driver in the last native run
	double values[VULKAN_METRICS];
	char checksum[64]; // empty: none
};

/* Returns 0, or a negative errno after it has said on stderr what went wrong. */
int vulkan_run_load(struct vulkan_session *session);

/* The work of a frame that takes the load's time natively. Returns 0 or a negative errno, as above. */
int vulkan_calibrate(struct vulkan_session *session);

/* Asks the peer for its device. Returns 0 or a negative errno, as above. */
int vulkan_probe(const struct vulkan_options *options, enum bench_way peer, struct vulkan_results *results);

/* Prints the table or the JSON document to `out`. */
void vulkan_report(FILE *out, const struct vulkan_options *options, struct vulkan_results *results);

#endif
