/* The table and the JSON document of `neep bench vulkan`. */
#include <math.h>
#include <string.h>

#include "bench/print.h"
#include "bench/vulkan_internal.h"

/* Targets: the project's own. */
const struct vulkan_metric_info vulkan_metrics[VULKAN_METRICS] = {
	[VULKAN_CLEAR_1MS] = { "clear_1ms", "clear, 1 ms", "1/s", "frames", BENCH_SHARE, 0.95, 0 },
	[VULKAN_CLEAR_100US] = { "clear_100us", "clear, 100 us", "1/s", "frames", BENCH_SHARE, 0.6, 0 },
	[VULKAN_MESH_1MS] = { "mesh_1ms", "lit mesh, 1 ms", "1/s", "frames", BENCH_SHARE, 0.95, 0.97 },
	[VULKAN_MESH_100US] = { "mesh_100us", "lit mesh, 100 us", "1/s", "frames", BENCH_SHARE, 0.6, 0 },
	[VULKAN_TEXTURED_1MS] = { "textured_1ms", "textured, 1 ms", "1/s", "frames", BENCH_SHARE, 0.95, 0 },
	[VULKAN_TEXTURED_100US] = { "textured_100us", "textured, 100 us", "1/s", "frames", BENCH_SHARE, 0.6,
		0 },
	[VULKAN_DRAWS_10000] = { "draws_10000", "10,000 draws", "1/s", "frames", BENCH_SHARE, 0.95, 0.97 },
	[VULKAN_DRAWS_100US] = { "draws_100us", "draws, 100 us", "1/s", "frames", BENCH_SHARE, 0.6, 0 },
	[VULKAN_COMPUTE_1MS] = { "compute_1ms", "compute, 1 ms", "1/s", "frames", BENCH_SHARE, 0.95, 0.97 },
	[VULKAN_COMPUTE_100US] = { "compute_100us", "compute, 100 us", "1/s", "frames", BENCH_SHARE, 0.6, 0 },
	[VULKAN_FENCE_P50] = { "fence_status_p50", "vkGetFenceStatus, p50", "us", "fence_status_p50",
		BENCH_AT_MOST, 12, 0 },
	[VULKAN_FENCE_P99] = { "fence_status_p99", "  p99", "us", "fence_status_p99", BENCH_ANY, 0, 0 },
	[VULKAN_REQUIREMENTS_P50] = { "requirements_p50", "buffer requirements, p50", "us",
		"requirements_p50", BENCH_AT_MOST, 12, 0 },
	[VULKAN_REQUIREMENTS_P99] = { "requirements_p99", "  p99", "us", "requirements_p99", BENCH_ANY, 0,
		0 },
	[VULKAN_SUBMIT_P50] = { "submit_p50", "empty submit and wait, p50", "us", "submit_p50", BENCH_ABOVE,
		40, 0 },
	[VULKAN_SUBMIT_P99] = { "submit_p99", "  p99", "us", "submit_p99", BENCH_ANY, 0, 0 },
	[VULKAN_COMMANDS] = { "commands", "vkCmd* recorded", "M/s", "commands", BENCH_AT_LEAST, 5, 0 },
	[VULKAN_THREADS] = { "threads", "4 threads that submit", "1/s", "submissions", BENCH_SHARE, 0.8, 0 },
	[VULKAN_UPLOAD_64M] = { "upload_64m", "upload of 64 MiB", "GB/s", "bandwidth", BENCH_SHARE, 0.9, 0 },
	[VULKAN_UPLOAD_1G] = { "upload_1g", "upload of 1 GiB", "GB/s", "bandwidth", BENCH_SHARE, 0.9, 0 },
	[VULKAN_START] = { "start", "start and end of true", "ms", NULL, BENCH_AT_MOST, 40, 0 },
	[VULKAN_MEMORY] = { "memory", "memory of the renderer", "MiB", NULL, BENCH_ANY, 0, 0 },
	[VULKAN_MEMORY_ABOVE] = { "memory_above", "  above the driver's own", "MiB", NULL, BENCH_AT_MOST, 12,
		0 },
};

/* ---- judging ---- */

/* The median, or NAN. */
static double median_of(struct vulkan_results *results, enum bench_way peer, size_t metric) {
	return results->has_failed[peer][metric] ? NAN : bench_series_median(&results->series[peer][metric]);
}

static double target_value(const struct vulkan_results *results, size_t metric) {
	const struct vulkan_metric_info *info = &vulkan_metrics[metric];
	return !results->is_cpu && info->gpu_value > 0 ? info->gpu_value : info->value;
}

/* ---- the table ---- */

#define CELL_WIDTH   12
#define RATIO_WIDTH  10
#define TARGET_WIDTH 10

static void print_cell(
	FILE *out, const struct vulkan_results *results, enum bench_way peer, size_t metric, double median) {
	char cell[32];
	if (results->has_failed[peer][metric]) {
		snprintf(cell, sizeof(cell), "failed");
	} else if (results->is_different[peer][metric]) {
		snprintf(cell, sizeof(cell), "WRONG");
	} else {
		bench_format_value(cell, sizeof(cell), median);
	}
	fprintf(out, "%*s", CELL_WIDTH, cell);
}

/* A share of the native figure where that says something, else what comes on top of it. */
static void print_ratio(FILE *out, size_t metric, double native, double value) {
	enum bench_target target = vulkan_metrics[metric].target;
	char cell[32] = "";
	if (isnan(native) || isnan(value)) {
		snprintf(cell, sizeof(cell), "-");
	} else if (target == BENCH_SHARE || target == BENCH_AT_LEAST) {
		snprintf(cell, sizeof(cell), "%.2fx", value / native);
	} else if (metric != VULKAN_MEMORY_ABOVE) {
		snprintf(cell, sizeof(cell), "%+.1f", value - native);
	}
	fprintf(out, "%*s", RATIO_WIDTH, cell);
}

static void print_judgement(
	FILE *out, const struct vulkan_results *results, size_t metric, const double medians[BENCH_WAYS]) {
	char target[32];
	enum bench_target kind = vulkan_metrics[metric].target;
	double limit = target_value(results, metric), value = medians[BENCH_NEEP];
	bench_target_format(kind, limit, target);
	const char *verdict = "";
	if (kind != BENCH_ANY && !isnan(value)) {
		bool is_met = bench_target_is_met(kind, limit, medians[BENCH_NATIVE], value);
		verdict = is_met ? " met" : " MISSED";
	}
	fprintf(out, "%*s%-8s", TARGET_WIDTH, target, verdict);
}

static void print_row(
	FILE *out, const struct vulkan_options *options, struct vulkan_results *results, size_t metric) {
	double medians[BENCH_WAYS];
	fprintf(out, "%-28s%5s", vulkan_metrics[metric].title, vulkan_metrics[metric].unit);
	for (size_t peer = 0; peer < BENCH_WAYS; peer++) {
		medians[peer] = median_of(results, (enum bench_way)peer, metric);
		if (options->ways.peers[peer].command == NULL) {
			continue;
		}
		print_cell(out, results, (enum bench_way)peer, metric, medians[peer]);
		if (peer != BENCH_NATIVE) {
			print_ratio(out, metric, medians[BENCH_NATIVE], medians[peer]);
		}
		if (peer == BENCH_NEEP) {
			print_judgement(out, results, metric, medians);
		}
	}
	fputc('\n', out);
}

static void print_header(
	FILE *out, const struct vulkan_options *options, const struct vulkan_results *results) {
	bench_print_machine(out);
	fprintf(out, "Vulkan: %s\n", results->device);
	for (size_t peer = BENCH_NEEP; peer < BENCH_WAYS; peer++) {
		if (options->ways.peers[peer].command != NULL) {
			fprintf(out, "%s: %s PROGRAM\n", options->ways.peers[peer].name,
				options->ways.peers[peer].command);
		}
	}
	fprintf(out, "median of %u x %g s\n\n%33s%*s", options->ways.rounds, options->ways.seconds, "",
		CELL_WIDTH, options->ways.peers[BENCH_NATIVE].name);
	if (options->ways.peers[BENCH_NEEP].command != NULL) {
		fprintf(out, "%*s%*s%*s%8s", CELL_WIDTH, options->ways.peers[BENCH_NEEP].name, RATIO_WIDTH,
			"", TARGET_WIDTH, "target", "");
	}
	if (options->ways.peers[BENCH_OTHER].command != NULL) {
		fprintf(out, "%*s", CELL_WIDTH, options->ways.peers[BENCH_OTHER].name);
	}
	fputc('\n', out);
}

/* ---- JSON ---- */

static void print_peer_values(
	FILE *out, const struct vulkan_results *results, enum bench_way peer, size_t metric) {
	const char *outcome = results->has_failed[peer][metric]     ? "failed"
			      : results->is_different[peer][metric] ? "wrong"
								    : "done";
	bench_print_series_json(out, outcome, &results->series[peer][metric]);
}

static void print_json_row(FILE *out, const struct vulkan_options *options,
	const struct vulkan_results *results, size_t metric) {
	fprintf(out, "    \"%s\": {\"unit\": \"%s\", \"work\": %u", vulkan_metrics[metric].key,
		vulkan_metrics[metric].unit, results->work[metric]);
	for (size_t peer = 0; peer < BENCH_WAYS; peer++) {
		if (options->ways.peers[peer].command != NULL) {
			fprintf(out, ", \"%s\": ", options->ways.peers[peer].name);
			print_peer_values(out, results, (enum bench_way)peer, metric);
		}
	}
	fputs("}", out);
}

static void print_json_header(
	FILE *out, const struct vulkan_options *options, const struct vulkan_results *results) {
	fputs("{\n  ", out);
	bench_print_machine_json(out);
	fputs(",\n  \"device\": ", out);
	bench_print_string(out, results->device);
	for (size_t peer = BENCH_NEEP; peer < BENCH_WAYS; peer++) {
		if (options->ways.peers[peer].command != NULL) {
			fprintf(out, ",\n  \"%s\": ", options->ways.peers[peer].name);
			bench_print_string(out, options->ways.peers[peer].command);
		}
	}
	fprintf(out, ",\n  \"seconds\": %g,\n  \"metrics\": {", options->ways.seconds);
}

/* ---- both ---- */

void vulkan_report(FILE *out, const struct vulkan_options *options, struct vulkan_results *results) {
	const char *separator = "\n";
	if (options->is_json) {
		print_json_header(out, options, results);
	} else {
		print_header(out, options, results);
	}
	for (size_t i = 0; i < vulkan_load_count; i++) {
		const struct vulkan_load *load = &vulkan_loads[i];
		bool is_wanted = (options->loads >> i & 1) != 0;
		for (size_t metric = load->first; is_wanted && metric <= vulkan_load_last(load); metric++) {
			if (options->is_json) {
				fputs(separator, out);
				print_json_row(out, options, results, metric);
				separator = ",\n";
			} else {
				print_row(out, options, results, metric);
			}
		}
	}
	if (options->is_json) {
		fputs("\n  }\n}\n", out);
	}
}
