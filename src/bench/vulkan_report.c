/* The table and the JSON document of `neep bench vulkan`. */
#include <math.h>
#include <string.h>

#include "bench/print.h"
#include "bench/vulkan_internal.h"

/* Targets: the project's own. */
const struct vulkan_metric_info vulkan_metrics[VULKAN_METRICS] = {
	[VULKAN_CLEAR_1MS] = { "clear_1ms", "clear, 1 ms", "1/s", "frames", VULKAN_SHARE, 0.95, 0 },
	[VULKAN_CLEAR_100US] = { "clear_100us", "clear, 100 us", "1/s", "frames", VULKAN_SHARE, 0.6, 0 },
	[VULKAN_MESH_1MS] = { "mesh_1ms", "lit mesh, 1 ms", "1/s", "frames", VULKAN_SHARE, 0.95, 0.97 },
	[VULKAN_MESH_100US] = { "mesh_100us", "lit mesh, 100 us", "1/s", "frames", VULKAN_SHARE, 0.6, 0 },
	[VULKAN_TEXTURED_1MS] = { "textured_1ms", "textured, 1 ms", "1/s", "frames", VULKAN_SHARE, 0.95, 0 },
	[VULKAN_TEXTURED_100US] = { "textured_100us", "textured, 100 us", "1/s", "frames", VULKAN_SHARE, 0.6,
		0 },
	[VULKAN_DRAWS_10000] = { "draws_10000", "10,000 draws", "1/s", "frames", VULKAN_SHARE, 0.95, 0.97 },
	[VULKAN_DRAWS_100US] = { "draws_100us", "draws, 100 us", "1/s", "frames", VULKAN_SHARE, 0.6, 0 },
	[VULKAN_COMPUTE_1MS] = { "compute_1ms", "compute, 1 ms", "1/s", "frames", VULKAN_SHARE, 0.95, 0.97 },
	[VULKAN_COMPUTE_100US] = { "compute_100us", "compute, 100 us", "1/s", "frames", VULKAN_SHARE, 0.6,
		0 },
	[VULKAN_FENCE_P50] = { "fence_status_p50", "vkGetFenceStatus, p50", "us", "fence_status_p50",
		VULKAN_AT_MOST, 12, 0 },
	[VULKAN_FENCE_P99] = { "fence_status_p99", "  p99", "us", "fence_status_p99", VULKAN_ANY, 0, 0 },
	[VULKAN_REQUIREMENTS_P50] = { "requirements_p50", "buffer requirements, p50", "us",
		"requirements_p50", VULKAN_AT_MOST, 12, 0 },
	[VULKAN_REQUIREMENTS_P99] = { "requirements_p99", "  p99", "us", "requirements_p99", VULKAN_ANY, 0,
		0 },
	[VULKAN_SUBMIT_P50] = { "submit_p50", "empty submit and wait, p50", "us", "submit_p50", VULKAN_ABOVE,
		40, 0 },
	[VULKAN_SUBMIT_P99] = { "submit_p99", "  p99", "us", "submit_p99", VULKAN_ANY, 0, 0 },
	[VULKAN_COMMANDS] = { "commands", "vkCmd* recorded", "M/s", "commands", VULKAN_AT_LEAST, 5, 0 },
	[VULKAN_THREADS] = { "threads", "4 threads that submit", "1/s", "submissions", VULKAN_SHARE, 0.8, 0 },
	[VULKAN_UPLOAD_64M] = { "upload_64m", "upload of 64 MiB", "GB/s", "bandwidth", VULKAN_SHARE, 0.9, 0 },
	[VULKAN_UPLOAD_1G] = { "upload_1g", "upload of 1 GiB", "GB/s", "bandwidth", VULKAN_SHARE, 0.9, 0 },
	[VULKAN_START] = { "start", "start and end of true", "ms", NULL, VULKAN_AT_MOST, 40, 0 },
	[VULKAN_MEMORY] = { "memory", "memory of the renderer", "MiB", NULL, VULKAN_ANY, 0, 0 },
	[VULKAN_MEMORY_ABOVE] = { "memory_above", "  above the driver's own", "MiB", NULL, VULKAN_AT_MOST, 12,
		0 },
};

/* ---- judging ---- */

/* The median, or NAN. */
static double median_of(struct vulkan_results *results, enum vulkan_peer peer, size_t metric) {
	uint32_t count = results->rounds[peer][metric];
	bool is_good = count > 0 && !results->has_failed[peer][metric];
	return is_good ? bench_median(results->values[peer][metric], count) : NAN;
}

static double target_value(const struct vulkan_results *results, size_t metric) {
	const struct vulkan_metric_info *info = &vulkan_metrics[metric];
	return !results->is_cpu && info->gpu_value > 0 ? info->gpu_value : info->value;
}

static bool meets_target(const struct vulkan_results *results, size_t metric, double native, double value) {
	double target = target_value(results, metric);
	switch (vulkan_metrics[metric].target) {
	case VULKAN_SHARE:
		return value >= target * native;
	case VULKAN_AT_LEAST:
		return value >= target;
	case VULKAN_AT_MOST:
		return value <= target;
	case VULKAN_ABOVE:
		return value <= native + target;
	case VULKAN_ANY:
	default:
		return true;
	}
}

static void format_target(const struct vulkan_results *results, size_t metric, char out[32]) {
	double target = target_value(results, metric);
	switch (vulkan_metrics[metric].target) {
	case VULKAN_SHARE:
		snprintf(out, 32, ">= %.2fx", target);
		break;
	case VULKAN_AT_LEAST:
		snprintf(out, 32, ">= %g", target);
		break;
	case VULKAN_AT_MOST:
		snprintf(out, 32, "<= %g", target);
		break;
	case VULKAN_ABOVE:
		snprintf(out, 32, "<= +%g", target);
		break;
	case VULKAN_ANY:
	default:
		out[0] = '\0';
	}
}

/* ---- the table ---- */

#define CELL_WIDTH   12
#define RATIO_WIDTH  10
#define TARGET_WIDTH 10

static void print_cell(FILE *out, const struct vulkan_results *results, enum vulkan_peer peer, size_t metric,
	double median) {
	char cell[32] = "-";
	if (results->has_failed[peer][metric]) {
		snprintf(cell, sizeof(cell), "failed");
	} else if (results->is_different[peer][metric]) {
		snprintf(cell, sizeof(cell), "WRONG");
	} else if (!isnan(median)) {
		bench_format_value(cell, sizeof(cell), median);
	}
	fprintf(out, "%*s", CELL_WIDTH, cell);
}

/* A share of the native figure where that says something, else what comes on top of it. */
static void print_ratio(FILE *out, size_t metric, double native, double value) {
	enum vulkan_target target = vulkan_metrics[metric].target;
	char cell[32] = "";
	if (isnan(native) || isnan(value)) {
		snprintf(cell, sizeof(cell), "-");
	} else if (target == VULKAN_SHARE || target == VULKAN_AT_LEAST) {
		snprintf(cell, sizeof(cell), "%.2fx", value / native);
	} else if (metric != VULKAN_MEMORY_ABOVE) {
		snprintf(cell, sizeof(cell), "%+.1f", value - native);
	}
	fprintf(out, "%*s", RATIO_WIDTH, cell);
}

static void print_judgement(
	FILE *out, const struct vulkan_results *results, size_t metric, const double medians[VULKAN_PEERS]) {
	char target[32];
	format_target(results, metric, target);
	const char *verdict = "";
	if (target[0] != '\0' && !isnan(medians[VULKAN_NEEP])) {
		verdict = meets_target(results, metric, medians[VULKAN_NATIVE], medians[VULKAN_NEEP])
				  ? " met"
				  : " MISSED";
	}
	fprintf(out, "%*s%-8s", TARGET_WIDTH, target, verdict);
}

static void print_row(
	FILE *out, const struct vulkan_options *options, struct vulkan_results *results, size_t metric) {
	double medians[VULKAN_PEERS];
	fprintf(out, "%-28s%5s", vulkan_metrics[metric].title, vulkan_metrics[metric].unit);
	for (size_t peer = 0; peer < VULKAN_PEERS; peer++) {
		medians[peer] = median_of(results, (enum vulkan_peer)peer, metric);
		if (options->peers[peer].prefix == NULL) {
			continue;
		}
		print_cell(out, results, (enum vulkan_peer)peer, metric, medians[peer]);
		if (peer != VULKAN_NATIVE) {
			print_ratio(out, metric, medians[VULKAN_NATIVE], medians[peer]);
		}
		if (peer == VULKAN_NEEP) {
			print_judgement(out, results, metric, medians);
		}
	}
	fputc('\n', out);
}

static void print_header(
	FILE *out, const struct vulkan_options *options, const struct vulkan_results *results) {
	struct bench_machine machine = bench_find_machine();
	fprintf(out, "%s, %ld cores, %s %s %s\nVulkan: %s\n", machine.cpu, machine.cores,
		machine.system.sysname, machine.system.release, machine.system.machine, results->device);
	for (size_t peer = VULKAN_NEEP; peer < VULKAN_PEERS; peer++) {
		if (options->peers[peer].prefix != NULL) {
			fprintf(out, "%s: %s PROGRAM\n", options->peers[peer].name,
				options->peers[peer].prefix);
		}
	}
	fprintf(out, "median of %u x %g s\n\n%33s%*s", options->rounds, options->seconds, "", CELL_WIDTH,
		options->peers[VULKAN_NATIVE].name);
	if (options->peers[VULKAN_NEEP].prefix != NULL) {
		fprintf(out, "%*s%*s%*s%8s", CELL_WIDTH, options->peers[VULKAN_NEEP].name, RATIO_WIDTH, "",
			TARGET_WIDTH, "target", "");
	}
	if (options->peers[VULKAN_OTHER].prefix != NULL) {
		fprintf(out, "%*s", CELL_WIDTH, options->peers[VULKAN_OTHER].name);
	}
	fputc('\n', out);
}

/* ---- JSON ---- */

static void print_peer_values(
	FILE *out, const struct vulkan_results *results, enum vulkan_peer peer, size_t metric) {
	const char *outcome = results->has_failed[peer][metric]     ? "failed"
			      : results->is_different[peer][metric] ? "wrong"
								    : "done";
	fprintf(out, "{\"outcome\": \"%s\", \"values\": [", outcome);
	for (uint32_t i = 0; i < results->rounds[peer][metric]; i++) {
		fprintf(out, "%s%.6g", i > 0 ? ", " : "", results->values[peer][metric][i]);
	}
	fputs("]}", out);
}

static void print_json_row(FILE *out, const struct vulkan_options *options,
	const struct vulkan_results *results, size_t metric) {
	fprintf(out, "    \"%s\": {\"unit\": \"%s\", \"work\": %u", vulkan_metrics[metric].key,
		vulkan_metrics[metric].unit, results->work[metric]);
	for (size_t peer = 0; peer < VULKAN_PEERS; peer++) {
		if (options->peers[peer].prefix != NULL) {
			fprintf(out, ", \"%s\": ", options->peers[peer].name);
			print_peer_values(out, results, (enum vulkan_peer)peer, metric);
		}
	}
	fputs("}", out);
}

static void print_json_header(
	FILE *out, const struct vulkan_options *options, const struct vulkan_results *results) {
	struct bench_machine machine = bench_find_machine();
	fputs("{\n  \"cpu\": ", out);
	bench_print_string(out, machine.cpu);
	fprintf(out, ",\n  \"cores\": %ld,\n  \"kernel\": ", machine.cores);
	bench_print_string(out, machine.system.release);
	fputs(",\n  \"device\": ", out);
	bench_print_string(out, results->device);
	for (size_t peer = VULKAN_NEEP; peer < VULKAN_PEERS; peer++) {
		if (options->peers[peer].prefix != NULL) {
			fprintf(out, ",\n  \"%s\": ", options->peers[peer].name);
			bench_print_string(out, options->peers[peer].prefix);
		}
	}
	fprintf(out, ",\n  \"seconds\": %g,\n  \"metrics\": {", options->seconds);
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
