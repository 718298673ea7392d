#include "bench/wayland.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/print.h"
#include "bench/ways.h"
#include "bench/words.h"
#include "util/macros.h"

/* Targets: the project's own. */
static const struct metric {
	const char *load; // for --only, and of the program
	const char *said; // the key under which the program says it
	const char *title;
	const char *unit;
	enum bench_target target;
	double limit;
} metrics[] = {
	{ "sync", "sync_p50", "wl_display.sync, p50", "us", BENCH_ABOVE, 100 },
	{ "sync", "sync_p99", "  p99", "us", BENCH_ANY, 0 },
	{ "paced", "paced_frames", "1080p frames when asked for", "1/s", BENCH_SHARE, 0.9 },
	{ "full", "frames", "1080p frames, as many as go", "1/s", BENCH_ANY, 0 },
	{ "damage", "damage_frames", "64x64 of a 4K surface", "1/s", BENCH_ANY, 0 },
	{ "flood", "messages_mb", "messages of 4096 bytes", "MB/s", BENCH_ANY, 0 },
	{ "clipboard", "clipboard_mb", "clipboard", "MB/s", BENCH_AT_LEAST, 500 },
};
#define METRICS NEEP_ARRAY_LEN(metrics)

struct options {
	struct bench_ways ways; // of neep-bench-wayland
	uint64_t loads;         // bit per metric: the first one of a load stands for it
};

struct results {
	struct bench_series series[BENCH_WAYS][METRICS];
	uint32_t failures;
};

/* ---- running ---- */

static bool is_first_of_load(size_t metric) {
	return metric == 0 || strcmp(metrics[metric].load, metrics[metric - 1].load) != 0;
}

struct load_turns {
	struct bench_turns base;
	const struct bench_ways *ways;
	size_t first; // metric
	struct results *results;
};

static struct bench_program *run_program(const struct load_turns *turns, enum bench_way way) {
	char seconds[32];
	snprintf(seconds, sizeof(seconds), "%g", turns->ways->seconds);
	const char *words[] = { turns->ways->program, "--seconds", seconds, turns->base.load, NULL };
	return bench_ways_run(turns->ways, way, words, NULL);
}

static bool measure(struct bench_turns *base, size_t peer) {
	struct load_turns *turns = neep_container_of(base, struct load_turns, base);
	struct bench_program *program = run_program(turns, (enum bench_way)peer);
	if (program == NULL) {
		turns->results->failures++;
		return false;
	}
	for (size_t i = turns->first; i < METRICS && strcmp(metrics[i].load, base->load) == 0; i++) {
		char value[64];
		const char *text = bench_program_said(program, metrics[i].said, value);
		bench_series_add(&turns->results->series[peer][i], text != NULL ? strtod(text, NULL) : NAN);
	}
	bench_program_end(program);
	return true;
}

static void run_rounds(const struct bench_ways *ways, size_t first, struct results *results) {
	struct load_turns turns = {
		.base = { metrics[first].load, ways->peers, BENCH_WAYS, ways->rounds, measure },
		.ways = ways,
		.first = first,
		.results = results,
	};
	bench_take_turns(&turns.base);
}

/* ---- the table ---- */

static void print_header(const struct bench_ways *ways) {
	bench_print_machine(stdout);
	printf("median of %u x %g s\n\n%-30s %-5s", ways->rounds, ways->seconds, "", "");
	for (size_t peer = 0; peer < BENCH_WAYS; peer++) {
		if (ways->peers[peer].command != NULL) {
			printf(" %9s", ways->peers[peer].name);
		}
	}
	puts(ways->peers[BENCH_NEEP].command != NULL ? "    ratio" : "");
}

static void print_judgement(const struct metric *metric, double native, double neep) {
	char target[32];
	double ratio = neep / native;
	if (isnan(ratio)) {
		printf(" %8s", "-");
		return;
	}
	printf(" %7.2fx", ratio);
	bench_target_format(metric->target, metric->limit, target);
	if (target[0] != '\0') {
		bool is_met = bench_target_is_met(metric->target, metric->limit, native, neep);
		printf("  %s %s", target, is_met ? "met" : "MISSED");
	}
}

static void print_row(const struct bench_ways *ways, struct results *results, size_t metric) {
	double medians[BENCH_WAYS];
	for (size_t peer = 0; peer < BENCH_WAYS; peer++) {
		medians[peer] = bench_series_median(&results->series[peer][metric]);
	}
	if (isnan(medians[BENCH_NATIVE]) && isnan(medians[BENCH_NEEP])) {
		return;
	}
	printf("%-30s %-5s", metrics[metric].title, metrics[metric].unit);
	for (size_t peer = 0; peer < BENCH_WAYS; peer++) {
		char text[32];
		bench_format_value(text, sizeof(text), medians[peer]);
		if (ways->peers[peer].command != NULL) {
			printf(" %9s", text);
		}
	}
	if (ways->peers[BENCH_NEEP].command != NULL) {
		print_judgement(&metrics[metric], medians[BENCH_NATIVE], medians[BENCH_NEEP]);
	}
	putchar('\n');
}

static int run_all(const struct options *options) {
	struct results *results = calloc(1, sizeof(*results));
	if (results == NULL) {
		return 1;
	}
	for (size_t i = 0; i < METRICS; i++) {
		if (is_first_of_load(i) && (options->loads >> i & 1) != 0) {
			run_rounds(&options->ways, i, results);
		}
	}
	print_header(&options->ways);
	for (size_t i = 0; i < METRICS; i++) {
		print_row(&options->ways, results, i);
	}
	int exit_code = results->failures > 0;
	free(results);
	return exit_code;
}

/* ---- options ---- */

static void print_help(void) {
	puts("Usage: neep bench wayland [OPTION]...\n\n"
	     "Measures Wayland through neep beside the same client directly on this session's compositor, "
	     "in\n"
	     "turns. Every measurement is a run of the program neep-bench-wayland. Progress goes to stderr,\n"
	     "the table to stdout. The clipboard wants a compositor with a keyboard.\n\n"
	     "      --native         run natively only\n"
	     "      --guest          in a guest: through its neep-wayland, on the host's compositor; "
	     "natively\n"
	     "                       where the guest has a session of its own\n"
	     "      --run OPTIONS    options for neep run, in one word (default --driver none --wayland)\n"
	     "      --against CMD    run it with CMD before the program too, as scripts/waypipe-run.sh\n"
	     "      --program PATH   the program (default: the one installed with this command)\n"
	     "      --only LIST      these loads only, separated by commas: sync, paced, full, damage, "
	     "flood,\n"
	     "                       clipboard\n"
	     "      --seconds N      length of one measurement (default 1)\n"
	     "      --rounds N       times each is measured, the median counts (default 3)\n"
	     "      --help           print this");
}

static const char *load_name(size_t index) {
	return is_first_of_load(index) ? metrics[index].load : "";
}

/* As bench_words_read(). */
static int read_words(int argc, char **argv, struct options *options) {
	const struct bench_words own = {
		.command = "neep bench wayland",
		.load_name = load_name,
		.load_count = METRICS,
		.print_help = print_help,
	};
	return bench_ways_read(&options->ways, &options->loads, &own, argc, argv);
}

static void choose_compositors(struct bench_ways *ways) {
	ways->peers[BENCH_NATIVE].command = getenv("WAYLAND_DISPLAY") != NULL ? "" : NULL;
	ways->peers[BENCH_NEEP].command = ways->is_native ? NULL : "neep-wayland --";
}

int bench_wayland_main(int argc, char **argv) {
	struct options options = {
		.ways = bench_ways_default(),
		.loads = (UINT64_C(1) << METRICS) - 1,
	};
	options.ways.run = "--driver none --wayland";
	int parsed = read_words(argc, argv, &options);
	if (parsed != 0) {
		return parsed == 1 ? 0 : 2;
	}
	int found = bench_ways_find(&options.ways, "neep-bench-wayland", "wlbench");
	if (options.ways.is_guest) {
		choose_compositors(&options.ways);
	}
	int exit_code = found == 0 ? run_all(&options) : 1;
	bench_ways_finish(&options.ways);
	return exit_code;
}
