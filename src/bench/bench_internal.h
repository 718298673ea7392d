/* What the files of the bench share. Room-internal. */
#ifndef NEEP_BENCH_INTERNAL_H
#define NEEP_BENCH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/backend.h"
#include "bench/figures.h"
#include "bench/ways.h"
#include "driver/driver.h"
#include "util/error.h"

enum bench_back_end {
	BENCH_OURS,
	BENCH_OTHERS,
	BENCH_BACK_ENDS,
};

enum bench_metric {
	BENCH_LATENCY_P50,
	BENCH_LATENCY_P99,
	BENCH_PIPELINE,
	BENCH_TRANSFER,
	BENCH_TRANSFER_COPY,
	BENCH_TRANSFER_SHARE,
	BENCH_TRANSFER_PAGES,
	BENCH_TRANSFER_PAGES_COPY,
	BENCH_TRANSFER_PAGES_SHARE,
	BENCH_RECT,
	BENCH_RECT_COPY,
	BENCH_RECT_SHARE,
	BENCH_RECT_PAGES,
	BENCH_RECT_PAGES_COPY,
	BENCH_RECT_PAGES_SHARE,
	BENCH_FRAMES,
	BENCH_FRAMES_SUBMITTED,
	BENCH_DAMAGE,
	BENCH_DAMAGE_SUBMITTED,
	BENCH_MANY_CREATE,
	BENCH_ONE_P50,
	BENCH_ONE_P99,
	BENCH_MANY_P50,
	BENCH_MANY_P99,
	BENCH_MANY_RATIO,
	BENCH_IDLE_RSS,
	BENCH_IDLE_ANON,
	BENCH_IDLE_SHMEM,
	BENCH_IDLE_PSS,
	BENCH_LOADED_RSS,
	BENCH_LOADED_ANON,
	BENCH_LOADED_SHMEM,
	BENCH_LOADED_PSS,
	BENCH_IDLE_CPU,
	BENCH_METRIC_COUNT,
};

/* What a number means. */
enum bench_direction {
	BENCH_HIGHER,    // is better
	BENCH_LOWER,     // is better
	BENCH_REFERENCE, // measures the machine, not the back-end
};

struct bench_metric_info {
	const char *key;   // in JSON
	const char *title; // in the table
	const char *unit;
	enum bench_direction direction;
};
extern const struct bench_metric_info bench_metrics[BENCH_METRIC_COUNT];

struct bench_options {
	struct bench_peer peers[BENCH_BACK_ENDS]; // their commands with {socket}
	uint64_t loads;                           // bit per index of bench_loads
	uint32_t rounds;
	uint32_t queue_size;
	uint32_t spin_us; // of the driver
	double seconds;   // of one measurement
	bool is_json;
};

/* One load on one freshly started back-end. */
struct bench_session {
	const struct bench_options *options;
	struct bench_backend *backend;
	struct neep_driver *driver;
	double *values; // by enum bench_metric; the load fills its own
};

struct bench_load {
	const char *name; // for --only
	const char *summary;
	enum bench_metric first;
	enum bench_metric last;
	/* Returns 0 or a negative errno. */
	int (*run)(struct bench_session *session);
};
extern const struct bench_load bench_loads[];
extern const size_t bench_load_count;

int bench_run_latency(struct bench_session *session);
int bench_run_pipeline(struct bench_session *session);
int bench_run_transfer(struct bench_session *session);
int bench_run_rect(struct bench_session *session);
int bench_run_frames(struct bench_session *session);
int bench_run_damage(struct bench_session *session);
int bench_run_many(struct bench_session *session);
int bench_run_memory(struct bench_session *session);
int bench_run_idle(struct bench_session *session);

/* What came of one load on one peer. */
enum bench_outcome {
	BENCH_NOT_RUN,
	BENCH_DONE,
	BENCH_DIED,   // the back-end
	BENCH_FAILED, // it refused, or we could not measure
};

struct bench_results {
	struct bench_series series[BENCH_BACK_ENDS][BENCH_METRIC_COUNT];
	enum bench_outcome outcomes[BENCH_BACK_ENDS][BENCH_METRIC_COUNT];
	uint64_t features; // negotiated with every peer
	uint64_t protocol_features;
};

/* Prints the table or the JSON document to `out`. */
void bench_report(FILE *out, const struct bench_options *options, struct bench_results *results);

#endif
