/* The table and the JSON document. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bench/bench_internal.h"
#include "bench/print.h"
#include "util/macros.h"

const struct bench_metric_info bench_metrics[BENCH_METRIC_COUNT] = {
	[BENCH_LATENCY_P50] = { "latency_p50", "command round trip, p50", "us", BENCH_LOWER },
	[BENCH_LATENCY_P99] = { "latency_p99", "command round trip, p99", "us", BENCH_LOWER },
	[BENCH_PIPELINE] = { "pipeline", "pipelined commands", "1/s", BENCH_HIGHER },
	[BENCH_TRANSFER] = { "transfer_4k", "4K transfer, contiguous", "GB/s", BENCH_HIGHER },
	[BENCH_TRANSFER_COPY] = { "transfer_4k_memcpy", "  memcpy of the same", "GB/s", BENCH_REFERENCE },
	[BENCH_TRANSFER_SHARE] = { "transfer_4k_share", "  share of memcpy", "%", BENCH_HIGHER },
	[BENCH_TRANSFER_PAGES] = { "transfer_4k_pages", "4K transfer, 4 KiB pages", "GB/s", BENCH_HIGHER },
	[BENCH_TRANSFER_PAGES_COPY] = { "transfer_4k_pages_memcpy", "  memcpy of the same", "GB/s",
		BENCH_REFERENCE },
	[BENCH_TRANSFER_PAGES_SHARE] = { "transfer_4k_pages_share", "  share of memcpy", "%", BENCH_HIGHER },
	[BENCH_RECT] = { "transfer_rect", "1080p part of 4K, contiguous", "GB/s", BENCH_HIGHER },
	[BENCH_RECT_COPY] = { "transfer_rect_memcpy", "  memcpy of the same", "GB/s", BENCH_REFERENCE },
	[BENCH_RECT_SHARE] = { "transfer_rect_share", "  share of memcpy", "%", BENCH_HIGHER },
	[BENCH_RECT_PAGES] = { "transfer_rect_pages", "1080p part of 4K, 4 KiB pages", "GB/s", BENCH_HIGHER },
	[BENCH_RECT_PAGES_COPY] = { "transfer_rect_pages_memcpy", "  memcpy of the same", "GB/s",
		BENCH_REFERENCE },
	[BENCH_RECT_PAGES_SHARE] = { "transfer_rect_pages_share", "  share of memcpy", "%", BENCH_HIGHER },
	[BENCH_FRAMES] = { "frames_delivered", "4K frames delivered", "1/s", BENCH_HIGHER },
	[BENCH_FRAMES_SUBMITTED] = { "frames_flushed", "  flushes answered", "1/s", BENCH_HIGHER },
	[BENCH_DAMAGE] = { "damage_delivered", "64x64 updates delivered", "1/s", BENCH_HIGHER },
	[BENCH_DAMAGE_SUBMITTED] = { "damage_flushed", "  flushes answered", "1/s", BENCH_HIGHER },
	[BENCH_MANY_CREATE] = { "many_create", "resources created, up to 20000", "1/s", BENCH_HIGHER },
	[BENCH_ONE_P50] = { "one_latency_p50", "polling round trip with 1, p50", "us", BENCH_LOWER },
	[BENCH_ONE_P99] = { "one_latency_p99", "polling round trip with 1, p99", "us", BENCH_LOWER },
	[BENCH_MANY_P50] = { "many_latency_p50", "  with 20000, p50", "us", BENCH_LOWER },
	[BENCH_MANY_P99] = { "many_latency_p99", "  with 20000, p99", "us", BENCH_LOWER },
	[BENCH_MANY_RATIO] = { "many_ratio", "  20000 against 1, p50", "x", BENCH_LOWER },
	[BENCH_IDLE_RSS] = { "idle_rss", "idle Rss without guest memory", "MiB", BENCH_LOWER },
	[BENCH_IDLE_ANON] = { "idle_anon", "  anonymous", "MiB", BENCH_LOWER },
	[BENCH_IDLE_SHMEM] = { "idle_shmem", "  shared memory", "MiB", BENCH_LOWER },
	[BENCH_IDLE_PSS] = { "idle_pss", "idle Pss without guest memory", "MiB", BENCH_LOWER },
	[BENCH_LOADED_RSS] = { "loaded_rss", "loaded Rss without guest memory", "MiB", BENCH_LOWER },
	[BENCH_LOADED_ANON] = { "loaded_anon", "  anonymous", "MiB", BENCH_LOWER },
	[BENCH_LOADED_SHMEM] = { "loaded_shmem", "  shared memory", "MiB", BENCH_LOWER },
	[BENCH_LOADED_PSS] = { "loaded_pss", "loaded Pss without guest memory", "MiB", BENCH_LOWER },
	[BENCH_IDLE_CPU] = { "idle_cpu", "idle CPU time", "us/s", BENCH_LOWER },
};

/* ---- the table ---- */

#define CELL_WIDTH 12

static size_t count_peers(const struct bench_options *options) {
	return options->peers[BENCH_OTHERS].command != NULL ? 2 : 1;
}

/* The cell's text; *median gets the number, NAN where there is none. */
static void format_cell(
	struct bench_results *results, size_t peer, size_t metric, char out[32], double *median) {
	*median = bench_series_median(&results->series[peer][metric]);
	switch (results->outcomes[peer][metric]) {
	case BENCH_DIED:
		snprintf(out, 32, "died");
		*median = NAN;
		break;
	case BENCH_FAILED:
		snprintf(out, 32, "failed");
		*median = NAN;
		break;
	case BENCH_NOT_RUN:
	case BENCH_DONE:
		bench_format_value(out, 32, *median);
	}
}

static void print_ratio(FILE *out, size_t metric, const double medians[BENCH_BACK_ENDS]) {
	enum bench_direction direction = bench_metrics[metric].direction;
	double ours = medians[BENCH_OURS], others = medians[BENCH_OTHERS];
	if (direction == BENCH_REFERENCE || isnan(ours) || isnan(others)) {
		return;
	}
	double ratio = direction == BENCH_HIGHER ? ours / others : others / ours;
	if (isfinite(ratio)) {
		fprintf(out, "%10.2fx", ratio);
	}
}

static void print_row(
	FILE *out, const struct bench_options *options, struct bench_results *results, size_t metric) {
	double medians[BENCH_BACK_ENDS] = { NAN, NAN };
	fprintf(out, "%-34s%6s", bench_metrics[metric].title, bench_metrics[metric].unit);
	for (size_t peer = 0; peer < count_peers(options); peer++) {
		char cell[32];
		format_cell(results, peer, metric, cell, &medians[peer]);
		fprintf(out, "%*s", CELL_WIDTH, cell);
	}
	print_ratio(out, metric, medians);
	fputc('\n', out);
}

static void print_header(
	FILE *out, const struct bench_options *options, const struct bench_results *results) {
	bench_print_machine(out);
	for (size_t peer = 0; peer < count_peers(options); peer++) {
		fprintf(out, "%s: %s\n", options->peers[peer].name, options->peers[peer].command);
	}
	fprintf(out,
		"ring of %u, driver spins %u us, features 0x%" PRIx64 ", protocol 0x%" PRIx64
		", median of %u x %g s\n\n",
		options->queue_size, options->spin_us, results->features, results->protocol_features,
		options->rounds, options->seconds);
	fprintf(out, "%-40s", "");
	for (size_t peer = 0; peer < count_peers(options); peer++) {
		fprintf(out, "%*s", CELL_WIDTH, options->peers[peer].name);
	}
	fputs(count_peers(options) > 1 ? "     ratio (above 1: neep is better)\n" : "\n", out);
}

static void print_table(FILE *out, const struct bench_options *options, struct bench_results *results) {
	print_header(out, options, results);
	for (size_t i = 0; i < bench_load_count; i++) {
		const struct bench_load *load = &bench_loads[i];
		for (size_t metric = load->first; (options->loads >> i & 1) != 0 && metric <= load->last;
			metric++) {
			print_row(out, options, results, metric);
		}
	}
}

/* ---- JSON ---- */

static void print_peer_values(FILE *out, const struct bench_results *results, size_t peer, size_t metric) {
	static const char *const outcomes[] = {
		[BENCH_NOT_RUN] = "not run",
		[BENCH_DONE] = "done",
		[BENCH_DIED] = "died",
		[BENCH_FAILED] = "failed",
	};
	bench_print_series_json(
		out, outcomes[results->outcomes[peer][metric]], &results->series[peer][metric]);
}

static void print_json_metrics(
	FILE *out, const struct bench_options *options, const struct bench_results *results) {
	const char *separator = "\n";
	for (size_t i = 0; i < bench_load_count; i++) {
		const struct bench_load *load = &bench_loads[i];
		for (size_t metric = load->first; (options->loads >> i & 1) != 0 && metric <= load->last;
			metric++) {
			fprintf(out, "%s    \"%s\": {\"unit\": \"%s\"", separator, bench_metrics[metric].key,
				bench_metrics[metric].unit);
			for (size_t peer = 0; peer < count_peers(options); peer++) {
				fprintf(out, ", \"%s\": ", options->peers[peer].name);
				print_peer_values(out, results, peer, metric);
			}
			fputs("}", out);
			separator = ",\n";
		}
	}
}

static void print_json(FILE *out, const struct bench_options *options, const struct bench_results *results) {
	fputs("{\n  ", out);
	bench_print_machine_json(out);
	for (size_t peer = 0; peer < count_peers(options); peer++) {
		fprintf(out, ",\n  \"%s\": ", options->peers[peer].name);
		bench_print_string(out, options->peers[peer].command);
	}
	fprintf(out,
		",\n  \"queue_size\": %u,\n  \"seconds\": %g,\n  \"features\": %" PRIu64
		",\n  \"protocol_features\": %" PRIu64 ",\n  \"metrics\": {",
		options->queue_size, options->seconds, results->features, results->protocol_features);
	print_json_metrics(out, options, results);
	fputs("\n  }\n}\n", out);
}

void bench_report(FILE *out, const struct bench_options *options, struct bench_results *results) {
	if (options->is_json) {
		print_json(out, options, results);
	} else {
		print_table(out, options, results);
	}
}
