#include "bench/wayland.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/print.h"
#include "bench/program.h"
#include "bench/words.h"
#include "util/clock.h"
#include "util/macros.h"

#define ROUNDS_MAX 15
#define TIMEOUT_NS (30 * NEEP_NS_PER_S)

enum peer {
	PEER_NATIVE,
	PEER_NEEP,
	PEER_OTHER,
	PEERS,
};

enum target {
	TARGET_NONE,
	TARGET_SHARE,    // at least so much of the native figure
	TARGET_AT_LEAST, // whatever the native figure is
	TARGET_ABOVE,    // at most so much above the native figure
};

/* Targets: the project's own. */
static const struct metric {
	const char *load; // for --only, and of the program
	const char *said; // the key under which the program says it
	const char *title;
	const char *unit;
	enum target target;
	double value;
} metrics[] = {
	{ "sync", "sync_p50", "wl_display.sync, p50", "us", TARGET_ABOVE, 100 },
	{ "sync", "sync_p99", "  p99", "us", TARGET_NONE, 0 },
	{ "paced", "paced_frames", "1080p frames when asked for", "1/s", TARGET_SHARE, 0.9 },
	{ "full", "frames", "1080p frames, as many as go", "1/s", TARGET_NONE, 0 },
	{ "damage", "damage_frames", "64x64 of a 4K surface", "1/s", TARGET_NONE, 0 },
	{ "flood", "messages_mb", "messages of 4096 bytes", "MB/s", TARGET_NONE, 0 },
	{ "clipboard", "clipboard_mb", "clipboard", "MB/s", TARGET_AT_LEAST, 500 },
};
#define METRICS NEEP_ARRAY_LEN(metrics)

struct options {
	const char *program; // neep-bench-wayland
	struct {
		const char *name;
		const char *prefix; // shell words before the program; NULL: not to be run
	} peers[PEERS];
	const char *run; // options of neep run
	uint64_t loads;  // bit per metric: the first one of a load stands for it
	uint32_t rounds;
	double seconds;
	bool is_native;
};

struct results {
	double values[PEERS][METRICS][ROUNDS_MAX];
	uint32_t rounds[PEERS][METRICS];
	uint32_t failures;
};

/* ---- running ---- */

static bool is_first_of_load(size_t metric) {
	return metric == 0 || strcmp(metrics[metric].load, metrics[metric - 1].load) != 0;
}

static bool run_load(const struct options *options, enum peer peer, size_t first, struct results *results) {
	char seconds[32];
	struct neep_error error = { 0 };
	snprintf(seconds, sizeof(seconds), "%g", options->seconds);
	const char *words[] = { options->program, "--seconds", seconds, metrics[first].load, NULL };
	const struct bench_program_params params = {
		.prefix = options->peers[peer].prefix,
		.words = words,
		.timeout_ns = TIMEOUT_NS + (int64_t)(options->seconds * 4 * NEEP_NS_PER_S),
	};
	struct bench_program *program = bench_program_run(&params, &error);
	if (program == NULL) {
		fprintf(stderr, "%s: %s\n", options->peers[peer].name, error.text);
		return false;
	}
	for (size_t i = first; i < METRICS && strcmp(metrics[i].load, metrics[first].load) == 0; i++) {
		char value[64];
		const char *text = bench_program_said(program, metrics[i].said, value);
		if (text != NULL) {
			results->values[peer][i][results->rounds[peer][i]++] = strtod(text, NULL);
		}
	}
	bench_program_end(program);
	return true;
}

/* Native, neep, other, native...: whatever else the machine does meets all. */
static void run_rounds(const struct options *options, size_t first, struct results *results) {
	bool gave_up[PEERS] = { false };
	for (uint32_t round = 0; round < options->rounds; round++) {
		for (size_t peer = 0; peer < PEERS; peer++) {
			if (options->peers[peer].prefix == NULL || gave_up[peer]) {
				continue;
			}
			fprintf(stderr, "%s: %s, round %u of %u\n", metrics[first].load,
				options->peers[peer].name, round + 1, options->rounds);
			gave_up[peer] = !run_load(options, (enum peer)peer, first, results);
			results->failures += gave_up[peer];
		}
	}
}

/* ---- the table ---- */

/* The median, or NAN. */
static double median_of(struct results *results, size_t peer, size_t metric) {
	uint32_t count = results->rounds[peer][metric];
	return count > 0 ? bench_median(results->values[peer][metric], count) : NAN;
}

static void print_value(double value) {
	char text[32] = "-";
	if (!isnan(value)) {
		bench_format_value(text, sizeof(text), value);
	}
	printf(" %9s", text);
}

static void print_verdict(const struct metric *metric, double native, double value) {
	bool is_met = false;
	switch (metric->target) {
	case TARGET_SHARE:
		printf("  >= %.2fx", metric->value);
		is_met = value >= metric->value * native;
		break;
	case TARGET_AT_LEAST:
		printf("  >= %g", metric->value);
		is_met = value >= metric->value;
		break;
	case TARGET_ABOVE:
		printf("  <= native + %g", metric->value);
		is_met = value <= native + metric->value;
		break;
	case TARGET_NONE:
		return;
	}
	fputs(isnan(value) ? "" : is_met ? " met" : " MISSED", stdout);
}

static void report(const struct options *options, struct results *results) {
	struct bench_machine machine = bench_find_machine();
	printf("%s, %ld CPUs, Linux %s; median of %u\n\n%-30s %-5s", machine.cpu, machine.cores,
		machine.system.release, options->rounds, "", "");
	for (size_t peer = 0; peer < PEERS; peer++) {
		if (options->peers[peer].prefix != NULL) {
			printf(" %9s", options->peers[peer].name);
		}
	}
	puts("    ratio");
	for (size_t i = 0; i < METRICS; i++) {
		double native = median_of(results, PEER_NATIVE, i), neep = median_of(results, PEER_NEEP, i);
		if (isnan(native) && isnan(neep)) {
			continue;
		}
		printf("%-30s %-5s", metrics[i].title, metrics[i].unit);
		for (size_t peer = 0; peer < PEERS; peer++) {
			if (options->peers[peer].prefix != NULL) {
				print_value(median_of(results, peer, i));
			}
		}
		printf(" %7.2fx", neep / native);
		print_verdict(&metrics[i], native, neep);
		putchar('\n');
	}
}

static int run_all(const struct options *options) {
	struct results *results = calloc(1, sizeof(*results));
	if (results == NULL) {
		return 1;
	}
	for (size_t i = 0; i < METRICS; i++) {
		if (is_first_of_load(i) && (options->loads >> i & 1) != 0) {
			run_rounds(options, i, results);
		}
	}
	report(options, results);
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

static int usage(const char *format, const char *value) {
	fputs("neep bench wayland: ", stderr);
	fprintf(stderr, format, value);
	fputs("; neep bench wayland --help lists the options\n", stderr);
	return -EINVAL;
}

static const char *load_name(size_t index) {
	return is_first_of_load(index) ? metrics[index].load : "";
}

static int set_rounds(struct options *options, const char *value) {
	double rounds;
	if (bench_parse_number(value, 1, ROUNDS_MAX, &rounds) < 0 || rounds != floor(rounds)) {
		return usage("\"%s\" rounds: say 1 to 15", value);
	}
	options->rounds = (uint32_t)rounds;
	return 0;
}

static int apply(struct options *options, int option, const char *value) {
	switch (option) {
	case 'a':
		options->peers[PEER_OTHER].prefix = value;
		return 0;
	case 'n':
		options->is_native = true;
		return 0;
	case 'o':
		return bench_parse_loads(value, load_name, METRICS, &options->loads) == 0
			       ? 0
			       : usage("\"%s\" is no list of loads", value);
	case 'p':
		options->program = value;
		return 0;
	case 'r':
		return set_rounds(options, value);
	case 'R':
		options->run = value;
		return 0;
	case 's':
		return bench_parse_number(value, 0.01, 60, &options->seconds) == 0
			       ? 0
			       : usage("\"%s\" seconds: say 0.01 to 60", value);
	default:
		return usage("%s is not an option here, or wants a value", value);
	}
}

/* Returns 0 to go on, 1 when --help was answered, or a negative errno. */
static int parse_options(int argc, char **argv, struct options *options) {
	static const struct option known[] = {
		{ "against", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "native", no_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'o' },
		{ "program", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "run", required_argument, NULL, 'R' },
		{ "seconds", required_argument, NULL, 's' },
		{ 0 },
	};
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
		if (option == 'h') {
			print_help();
			return 1;
		}
		bool is_bad = option == '?' || option == ':';
		int result = apply(options, is_bad ? 0 : option, is_bad ? argv[optind - 1] : optarg);
		if (result < 0) {
			return result;
		}
	}
	return optind == argc ? 0 : usage("\"%s\" is too much", argv[optind]);
}

int bench_wayland_main(int argc, char **argv) {
	struct options options = {
		.peers = { { "native", "" }, { "neep", NULL }, { "other", NULL } },
		.run = "--driver none --wayland",
		.loads = (UINT64_C(1) << METRICS) - 1,
		.rounds = 3,
		.seconds = 1,
	};
	int parsed = parse_options(argc, argv, &options);
	if (parsed != 0) {
		return parsed == 1 ? 0 : 2;
	}
	char *found = bench_program_find("neep-bench-wayland", "wlbench");
	char *prefix = bench_neep_prefix(options.run);
	options.program = options.program != NULL ? options.program : found;
	options.peers[PEER_NEEP].prefix = options.is_native ? NULL : prefix;
	int exit_code = options.program != NULL && prefix != NULL ? run_all(&options) : 1;
	free(prefix);
	free(found);
	return exit_code;
}
