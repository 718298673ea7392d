/* One load on one peer. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/program.h"
#include "bench/vulkan_internal.h"
#include "util/clock.h"
#include "util/macros.h"

#define STARTS      15
#define WORDS_MAX   16
#define KIB_PER_MIB 1024.0

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
	snprintf(words->seconds, sizeof(words->seconds), "%g", session->options->ways.seconds);
	snprintf(words->work, sizeof(words->work), "%u", session->work > 0 ? session->work : 1);
	snprintf(words->mib, sizeof(words->mib), "%u", session->load->mib > 0 ? session->load->mib : 64);
	const char *list[] = { session->options->ways.program, "--seconds", words->seconds, "--work",
		words->work, "--mib", words->mib, session->load->program_load, NULL };
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
		bench_ways_run(&session->options->ways, session->peer, make_words(&words, session), NULL);
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
		struct bench_program *program =
			bench_ways_run(&session->options->ways, session->peer, words, NULL);
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
	const char *slash = strrchr(session->options->ways.program, '/');
	const char *name = slash != NULL ? slash + 1 : session->options->ways.program;
	bool is_native = session->peer == BENCH_NATIVE;
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
		bench_ways_run(&session->options->ways, session->peer, make_words(&words, session), "ready ");
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
	const char *words[] = { session->options->ways.program, "--calibrate", us, scene, NULL };
	session->work = load->work;
	if (load->calibrate_us == 0) {
		return 0;
	}
	snprintf(us, sizeof(us), "%u", load->calibrate_us);
	struct bench_program *program = bench_ways_run(&session->options->ways, BENCH_NATIVE, words, NULL);
	if (program == NULL) {
		return -ECHILD;
	}
	double work = number_said(program, "work");
	session->work = work >= 1 && work <= UINT32_MAX ? (uint32_t)work : 1;
	bench_program_end(program);
	return 0;
}

int vulkan_probe(const struct vulkan_options *options, enum bench_way peer, struct vulkan_results *results) {
	const char *words[] = { options->ways.program, "info", NULL };
	char text[64];
	struct bench_program *program = bench_ways_run(&options->ways, peer, words, NULL);
	if (program == NULL) {
		return -ECHILD;
	}
	if (peer == BENCH_NATIVE) {
		const char *device = bench_program_said(program, "device", text);
		snprintf(results->device, sizeof(results->device), "%s", device != NULL ? device : "unknown");
		results->is_cpu = number_said(program, "cpu") > 0;
	}
	bench_program_end(program);
	return 0;
}
