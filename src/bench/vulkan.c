/* The loads, their order, the command line. */
#include "bench/vulkan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	/* In a guest two drivers draw, which may round differently. */
	bool is_different = result == 0 && !session->options->ways.is_guest &&
			    strcmp(session->checksum, native_checksum) != 0;
	if (is_different) {
		fprintf(stderr, "%s: the result is not the native one\n",
			session->options->ways.peers[session->peer].name);
	}
	results->failures += result < 0 || is_different;
	for (size_t metric = session->load->first; metric <= vulkan_load_last(session->load); metric++) {
		results->work[metric] = session->work;
		results->has_failed[session->peer][metric] |= result < 0;
		results->is_different[session->peer][metric] |= is_different;
		if (result == 0) {
			bench_series_add(&results->series[session->peer][metric], session->values[metric]);
		}
	}
}

struct load_turns {
	struct bench_turns base;
	struct vulkan_session session;
	struct vulkan_results *results;
	char native_checksum[sizeof(((struct vulkan_session *)NULL)->checksum)];
};

static bool measure(struct bench_turns *base, size_t peer) {
	struct load_turns *turns = neep_container_of(base, struct load_turns, base);
	struct vulkan_session *session = &turns->session;
	session->peer = (enum bench_way)peer;
	int result = vulkan_run_load(session);
	if (peer == BENCH_NATIVE) {
		memcpy(turns->native_checksum, session->checksum, sizeof(session->checksum));
	}
	keep_values(turns->results, session, result, turns->native_checksum);
	return result == 0;
}

static void run_rounds(const struct vulkan_options *options, const struct vulkan_load *load,
	struct vulkan_results *results) {
	const struct bench_ways *ways = &options->ways;
	struct load_turns turns = {
		.base = { load->name, ways->peers, BENCH_WAYS, ways->rounds, measure },
		.session = { .options = options, .load = load },
		.results = results,
	};
	if (vulkan_calibrate(&turns.session) < 0) {
		keep_values(results, &turns.session, -ECHILD, "");
		return;
	}
	bench_take_turns(&turns.base);
}

static int run_all(const struct vulkan_options *options, struct vulkan_results *results) {
	for (size_t peer = 0; peer < BENCH_WAYS; peer++) {
		if (options->ways.peers[peer].command != NULL &&
			vulkan_probe(options, (enum bench_way)peer, results) < 0) {
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
	       "      --guest          in a guest: on its gfxstream driver, beside lavapipe in the guest, "
	       "whose\n"
	       "                       results may differ\n"
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

static const char *load_name(size_t index) {
	return vulkan_loads[index].name;
}

/* As bench_words_read(). */
static int read_words(int argc, char **argv, struct vulkan_options *options) {
	const struct bench_word json = { .name = "json", .flag = &options->is_json };
	const struct bench_words own = {
		.command = "neep bench vulkan",
		.words = &json,
		.count = 1,
		.load_name = load_name,
		.load_count = vulkan_load_count,
		.print_help = print_help,
	};
	return bench_ways_read(&options->ways, &options->loads, &own, argc, argv);
}

/* What differs in a guest is the driver that the loader takes. */
static void choose_drivers(struct bench_ways *ways) {
	static const char ours[] = "env VK_LOADER_DRIVERS_SELECT='*gfxstream*'";
	ways->peers[BENCH_NATIVE] = (struct bench_peer){ "lavapipe", "env VK_LOADER_DRIVERS_SELECT='*lvp*'" };
	ways->peers[BENCH_NEEP].command = ways->is_native ? NULL : ours;
}

int bench_vulkan_main(int argc, char **argv) {
	struct vulkan_options options = {
		.ways = bench_ways_default(),
		.loads = (UINT64_C(1) << vulkan_load_count) - 1,
	};
	int parsed = read_words(argc, argv, &options);
	if (parsed != 0) {
		return parsed == 1 ? 0 : 2;
	}
	struct vulkan_results *results = calloc(1, sizeof(*results));
	bool is_ready = bench_ways_find(&options.ways, "neep-bench-vulkan", "vkbench") == 0;
	if (options.ways.is_guest) {
		choose_drivers(&options.ways);
	}
	int exit_code = results != NULL && is_ready ? run_all(&options, results) : 1;
	bench_ways_finish(&options.ways);
	free(results);
	return exit_code;
}
