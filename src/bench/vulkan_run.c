/* One load on one peer. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/print.h"
#include "bench/program.h"
#include "bench/vulkan_internal.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/macros.h"

#define TIMEOUT_NS  (30 * NEEP_NS_PER_S)
#define STARTS      15
#define WORDS_MAX   16
#define KIB_PER_MIB 1024.0

static struct bench_program *run(
	const struct vulkan_options *options, enum vulkan_peer peer, const char **words, const char *until) {
	struct neep_error error = { 0 };
	const struct bench_program_params params = {
		.prefix = options->peers[peer].prefix,
		.words = words,
		.timeout_ns = TIMEOUT_NS + (int64_t)(options->seconds * 4 * NEEP_NS_PER_S),
		.until = until,
	};
	struct bench_program *program = bench_program_run(&params, &error);
	if (program == NULL) {
		fprintf(stderr, "%s: %s\n", options->peers[peer].name, error.text);
	}
	return program;
}

static double number_said(const struct bench_program *program, const char *key) {
	char value[64];
	const char *text = bench_program_said(program, key, value);
	return text != NULL ? strtod(text, NULL) : NAN;
}

/* ---- what the program measures ---- */

struct words {
	char seconds[32];
	char work[32];
	char mib[32];
	const char *list[WORDS_MAX];
};

static const char **make_words(struct words *words, const struct vulkan_session *session) {
	snprintf(words->seconds, sizeof(words->seconds), "%g", session->options->seconds);
	snprintf(words->work, sizeof(words->work), "%u", session->work > 0 ? session->work : 1);
	snprintf(words->mib, sizeof(words->mib), "%u", session->load->mib > 0 ? session->load->mib : 64);
	const char *list[] = { session->options->program, "--seconds", words->seconds, "--work", words->work,
		"--mib", words->mib, session->load->program_load, NULL };
	memcpy(words->list, list, sizeof(list));
	return words->list;
}

static void keep_checksum(struct vulkan_session *session, const struct bench_program *program) {
	const char *checksum = bench_program_said(program, "checksum", session->checksum);
	if (checksum == NULL) {
		session->checksum[0] = '\0';
	}
}

static int run_program(struct vulkan_session *session) {
	struct words words;
	struct bench_program *program =
		run(session->options, session->peer, make_words(&words, session), NULL);
	if (program == NULL) {
		return -ECHILD;
	}
	for (size_t i = session->load->first; i <= vulkan_load_last(session->load); i++) {
		session->values[i] = number_said(program, vulkan_metrics[i].said);
	}
	keep_checksum(session, program);
	bench_program_end(program);
	return 0;
}

/* ---- what is measured from outside ---- */

static int run_start(struct vulkan_session *session) {
	const char *words[] = { "true", NULL };
	double times[STARTS];
	for (size_t i = 0; i < STARTS; i++) {
		int64_t start = neep_clock_ns();
		struct bench_program *program = run(session->options, session->peer, words, NULL);
		times[i] = (double)(neep_clock_ns() - start) / NEEP_NS_PER_MS;
		if (program == NULL) {
			return -ECHILD;
		}
		bench_program_end(program);
	}
	session->values[VULKAN_START] = bench_median(times, STARTS);
	return 0;
}

/* Natively the driver lives in the program, else in the largest of the other processes, if there is one. */
static void measure_memory(struct vulkan_session *session, const struct bench_program *program) {
	const char *slash = strrchr(session->options->program, '/');
	const char *name = slash != NULL ? slash + 1 : session->options->program;
	bool is_native = session->peer == VULKAN_NATIVE;
	double mib = (double)bench_program_rss(program, is_native ? NULL : name) / KIB_PER_MIB / KIB_PER_MIB;
	if (is_native) {
		session->driver_mib = mib - number_said(program, "before_kib") / KIB_PER_MIB;
	}
	if (mib > 0) {
		session->values[VULKAN_MEMORY] = mib;
		session->values[VULKAN_MEMORY_ABOVE] = mib - session->driver_mib;
	}
}

static int run_memory(struct vulkan_session *session) {
	struct words words;
	struct bench_program *program =
		run(session->options, session->peer, make_words(&words, session), "ready ");
	if (program == NULL) {
		return -ECHILD;
	}
	measure_memory(session, program);
	keep_checksum(session, program);
	bench_program_end(program);
	return 0;
}

int vulkan_run_load(struct vulkan_session *session) {
	for (size_t i = 0; i < VULKAN_METRICS; i++) {
		session->values[i] = NAN;
	}
	session->checksum[0] = '\0';
	switch (session->load->kind) {
	case VULKAN_RUN_START:
		return run_start(session);
	case VULKAN_RUN_MEMORY:
		return run_memory(session);
	case VULKAN_RUN_PROGRAM:
	default:
		return run_program(session);
	}
}

/* ---- before the loads ---- */

int vulkan_calibrate(struct vulkan_session *session) {
	const struct vulkan_load *load = session->load;
	const char *scene = load->calibrate_scene != NULL ? load->calibrate_scene : load->program_load;
	char us[32];
	const char *words[] = { session->options->program, "--calibrate", us, scene, NULL };
	session->work = load->work;
	if (load->calibrate_us == 0) {
		return 0;
	}
	snprintf(us, sizeof(us), "%u", load->calibrate_us);
	struct bench_program *program = run(session->options, VULKAN_NATIVE, words, NULL);
	if (program == NULL) {
		return -ECHILD;
	}
	double work = number_said(program, "work");
	session->work = work >= 1 && work <= UINT32_MAX ? (uint32_t)work : 1;
	bench_program_end(program);
	return 0;
}

int vulkan_probe(
	const struct vulkan_options *options, enum vulkan_peer peer, struct vulkan_results *results) {
	const char *words[] = { options->program, "info", NULL };
	char text[64];
	struct bench_program *program = run(options, peer, words, NULL);
	if (program == NULL) {
		return -ECHILD;
	}
	if (peer == VULKAN_NATIVE) {
		const char *device = bench_program_said(program, "device", text);
		snprintf(results->device, sizeof(results->device), "%s", device != NULL ? device : "unknown");
		results->is_cpu = number_said(program, "cpu") > 0;
	}
	bench_program_end(program);
	return 0;
}
