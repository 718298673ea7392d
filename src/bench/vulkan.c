/* The loads, their order, the command line. */
#include "bench/vulkan.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/program.h"
#include "bench/vulkan_internal.h"
#include "bench/words.h"
#include "util/macros.h"

/* A scene at two sizes: in frames of 1 ms a program is busy with its GPU, in frames of 100 us with calls. */
const struct vulkan_load vulkan_loads[] = {
	{ .name = "clear-1ms",
		.summary = "render passes that only clear, so many that a native frame takes 1 ms",
		.program_load = "clear",
		.calibrate_us = 1000,
		.first = VULKAN_CLEAR_1MS },
	{ .name = "clear-100us",
		.summary = "the same with 100 us (at least one pass)",
		.program_load = "clear",
		.calibrate_us = 100,
		.first = VULKAN_CLEAR_100US },
	{ .name = "mesh-1ms",
		.summary = "copies of a lit, depth-tested mesh",
		.program_load = "mesh",
		.calibrate_us = 1000,
		.first = VULKAN_MESH_1MS },
	{ .name = "mesh-100us",
		.summary = "the same with 100 us",
		.program_load = "mesh",
		.calibrate_us = 100,
		.first = VULKAN_MESH_100US },
	{ .name = "textured-1ms",
		.summary = "filtered, blended quads",
		.program_load = "textured",
		.calibrate_us = 1000,
		.first = VULKAN_TEXTURED_1MS },
	{ .name = "textured-100us",
		.summary = "the same with 100 us",
		.program_load = "textured",
		.calibrate_us = 100,
		.first = VULKAN_TEXTURED_100US },
	{ .name = "draws-10000",
		.summary = "10,000 draws, with push constants before each",
		.program_load = "draws",
		.work = 10000,
		.first = VULKAN_DRAWS_10000 },
	{ .name = "draws-100us",
		.summary = "as many as take 100 us",
		.program_load = "draws",
		.calibrate_us = 100,
		.first = VULKAN_DRAWS_100US },
	{ .name = "compute-1ms",
		.summary = "rounds of an integer hash",
		.program_load = "compute",
		.calibrate_us = 1000,
		.first = VULKAN_COMPUTE_1MS },
	{ .name = "compute-100us",
		.summary = "the same with 100 us",
		.program_load = "compute",
		.calibrate_us = 100,
		.first = VULKAN_COMPUTE_100US },
	{ .name = "reply",
		.summary = "calls that want an answer: vkGetFenceStatus, vkGetBufferMemoryRequirements2",
		.program_load = "reply",
		.first = VULKAN_FENCE_P50,
		.last = VULKAN_REQUIREMENTS_P99 },
	{ .name = "submit",
		.summary = "an empty vkQueueSubmit and the wait for its fence",
		.program_load = "submit",
		.first = VULKAN_SUBMIT_P50,
		.last = VULKAN_SUBMIT_P99 },
	{ .name = "record",
		.summary = "vkCmd* recorded and handed over with vkQueueSubmit, not executed",
		.program_load = "record",
		.first = VULKAN_COMMANDS },
	{ .name = "threads",
		.summary = "compute work of 250 us, submitted and waited for by 4 threads",
		.program_load = "threads",
		.calibrate_scene = "compute",
		.calibrate_us = 250,
		.first = VULKAN_THREADS },
	{ .name = "upload-64m",
		.summary = "64 MiB written into mapped memory and copied by the device",
		.program_load = "upload",
		.mib = 64,
		.first = VULKAN_UPLOAD_64M },
	{ .name = "upload-1g",
		.summary = "the same with 1 GiB",
		.program_load = "upload",
		.mib = 1024,
		.first = VULKAN_UPLOAD_1G },
	{ .name = "start",
		.summary = "start and end of a program that does nothing",
		.kind = VULKAN_RUN_START,
		.first = VULKAN_START },
	{ .name = "memory",
		.summary = "memory of the process that drives the GPU, with the mesh",
		.kind = VULKAN_RUN_MEMORY,
		.program_load = "memory",
		.work = 20,
		.first = VULKAN_MEMORY,
		.last = VULKAN_MEMORY_ABOVE },
};
const size_t vulkan_load_count = NEEP_ARRAY_LEN(vulkan_loads);

enum vulkan_metric vulkan_load_last(const struct vulkan_load *load) {
	return load->last > load->first ? load->last : load->first;
}

/* ---- running ---- */

static void keep_values(struct vulkan_results *results, const struct vulkan_session *session, int result,
	const char *native_checksum) {
	bool is_different = result == 0 && strcmp(session->checksum, native_checksum) != 0;
	if (is_different) {
		fprintf(stderr, "%s: the result is not the native one\n",
			session->options->peers[session->peer].name);
	}
	results->failures += result < 0 || is_different;
	for (size_t metric = session->load->first; metric <= vulkan_load_last(session->load); metric++) {
		uint32_t *rounds = &results->rounds[session->peer][metric];
		results->work[metric] = session->work;
		results->has_failed[session->peer][metric] |= result < 0;
		results->is_different[session->peer][metric] |= is_different;
		if (result == 0 && !isnan(session->values[metric])) {
			results->values[session->peer][metric][(*rounds)++] = session->values[metric];
		}
	}
}

/* Native, neep, other, native...: whatever else the machine does meets all. */
static void run_rounds(const struct vulkan_options *options, const struct vulkan_load *load,
	struct vulkan_results *results) {
	struct vulkan_session session = { .options = options, .load = load };
	bool gave_up[VULKAN_PEERS] = { false };
	char native_checksum[64] = "";
	if (vulkan_calibrate(&session) < 0) {
		keep_values(results, &session, -ECHILD, "");
		return;
	}
	for (uint32_t round = 0; round < options->rounds; round++) {
		for (size_t peer = 0; peer < VULKAN_PEERS; peer++) {
			if (options->peers[peer].prefix == NULL || gave_up[peer]) {
				continue;
			}
			fprintf(stderr, "%s: %s, round %u of %u\n", load->name, options->peers[peer].name,
				round + 1, options->rounds);
			session.peer = (enum vulkan_peer)peer;
			int result = vulkan_run_load(&session);
			if (peer == VULKAN_NATIVE) {
				memcpy(native_checksum, session.checksum, sizeof(native_checksum));
			}
			keep_values(results, &session, result, native_checksum);
			gave_up[peer] = result < 0;
		}
	}
}

static int run_all(const struct vulkan_options *options, struct vulkan_results *results) {
	for (size_t peer = 0; peer < VULKAN_PEERS; peer++) {
		if (options->peers[peer].prefix != NULL &&
			vulkan_probe(options, (enum vulkan_peer)peer, results) < 0) {
			return 1;
		}
	}
	for (size_t i = 0; i < vulkan_load_count; i++) {
		if ((options->loads >> i & 1) != 0) {
			run_rounds(options, &vulkan_loads[i], results);
		}
	}
	vulkan_report(stdout, options, results);
	return results->failures > 0;
}

/* ---- options ---- */

static void print_help(void) {
	printf("Usage: neep bench vulkan [OPTION]...\n\n"
	       "Measures Vulkan through neep beside the same on this machine's own driver, in turns. Every\n"
	       "measurement is a run of the program neep-bench-vulkan, natively and through neep run; the\n"
	       "amount of work in a frame is found natively first, and what came of it has to be the same.\n"
	       "Progress goes to stderr, the table to stdout.\n\n"
	       "      --native         run natively only\n"
	       "      --run OPTIONS    options for neep run, in one word\n"
	       "      --against CMD    run it with CMD before the program too, a command that runs what\n"
	       "                       stands behind it with another Vulkan, as scripts/venus-run.sh does\n"
	       "      --program PATH   the program (default: the one installed with this command)\n"
	       "      --only LIST      these loads only, separated by commas\n"
	       "      --seconds N      length of one measurement (default 1)\n"
	       "      --rounds N       times each is measured, the median counts (default 3)\n"
	       "      --json           print JSON with the values of all rounds\n"
	       "      --help           print this\n\nLoads:\n");
	for (size_t i = 0; i < vulkan_load_count; i++) {
		printf("  %-14s  %s\n", vulkan_loads[i].name, vulkan_loads[i].summary);
	}
}

static int usage(const char *format, const char *value) {
	fputs("neep bench vulkan: ", stderr);
	fprintf(stderr, format, value);
	fputs("; neep bench vulkan --help lists the options\n", stderr);
	return -EINVAL;
}

static const char *load_name(size_t index) {
	return vulkan_loads[index].name;
}

enum vulkan_option {
	OPTION_AGAINST = 1000,
	OPTION_HELP,
	OPTION_JSON,
	OPTION_NATIVE,
	OPTION_ONLY,
	OPTION_PROGRAM,
	OPTION_ROUNDS,
	OPTION_RUN,
	OPTION_SECONDS,
};

static const struct option long_options[] = {
	{ "against", required_argument, NULL, OPTION_AGAINST },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "native", no_argument, NULL, OPTION_NATIVE },
	{ "only", required_argument, NULL, OPTION_ONLY },
	{ "program", required_argument, NULL, OPTION_PROGRAM },
	{ "rounds", required_argument, NULL, OPTION_ROUNDS },
	{ "run", required_argument, NULL, OPTION_RUN },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ 0 },
};

/* The command line, as given. */
struct arguments {
	struct vulkan_options *options;
	bool is_native;
	const char *program;
	const char *run;
};

static int set_rounds(struct vulkan_options *options, const char *value) {
	double rounds;
	if (bench_parse_number(value, 1, VULKAN_ROUNDS_MAX, &rounds) < 0 || rounds != floor(rounds)) {
		return usage("\"%s\" rounds: say 1 to 15", value);
	}
	options->rounds = (uint32_t)rounds;
	return 0;
}

static int apply(struct arguments *arguments, int option, const char *value) {
	struct vulkan_options *options = arguments->options;
	switch (option) {
	case OPTION_AGAINST:
		options->peers[VULKAN_OTHER].prefix = value;
		return 0;
	case OPTION_JSON:
		options->is_json = true;
		return 0;
	case OPTION_NATIVE:
		arguments->is_native = true;
		return 0;
	case OPTION_ONLY:
		return bench_parse_loads(value, load_name, vulkan_load_count, &options->loads) == 0
			       ? 0
			       : usage("\"%s\" is no list of loads", value);
	case OPTION_PROGRAM:
		arguments->program = value;
		return 0;
	case OPTION_ROUNDS:
		return set_rounds(options, value);
	case OPTION_RUN:
		arguments->run = value;
		return 0;
	case OPTION_SECONDS:
		return bench_parse_number(value, 0.01, 60, &options->seconds) == 0
			       ? 0
			       : usage("\"%s\" seconds: say 0.01 to 60", value);
	default:
		return usage("%s is not an option here, or wants a value", value);
	}
}

/* Returns 0 to go on, 1 when --help was answered, or a negative errno. */
static int parse_options(int argc, char **argv, struct arguments *arguments) {
	int option;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_help();
			return 1;
		}
		bool is_bad = option == '?' || option == ':';
		int result = apply(arguments, option, is_bad ? argv[optind - 1] : optarg);
		if (result < 0) {
			return result;
		}
	}
	return optind == argc ? 0 : usage("\"%s\" is too much", argv[optind]);
}

static int run_with(const struct arguments *arguments) {
	struct vulkan_options *options = arguments->options;
	char *found = arguments->program == NULL ? bench_program_find("neep-bench-vulkan", "vkbench") : NULL;
	char *prefix = bench_neep_prefix(arguments->run);
	struct vulkan_results *results = calloc(1, sizeof(*results));
	options->program = arguments->program != NULL ? arguments->program : found;
	options->peers[VULKAN_NEEP].prefix = arguments->is_native ? NULL : prefix;
	int exit_code = 1;
	if (results != NULL && prefix != NULL && options->program != NULL) {
		exit_code = run_all(options, results);
	}
	free(results);
	free(prefix);
	free(found);
	return exit_code;
}

int bench_vulkan_main(int argc, char **argv) {
	struct vulkan_options options = {
		.peers = { { "native", "" }, { "neep", NULL }, { "other", NULL } },
		.loads = (UINT64_C(1) << vulkan_load_count) - 1,
		.rounds = 3,
		.seconds = 1,
	};
	struct arguments arguments = { .options = &options, .run = "" };
	int parsed = parse_options(argc, argv, &arguments);
	if (parsed != 0) {
		return parsed == 1 ? 0 : 2;
	}
	return run_with(&arguments);
}
