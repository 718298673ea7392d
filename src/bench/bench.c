#include "bench/bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_internal.h"
#include "bench/program.h"
#include "bench/vulkan.h"
#include "bench/wayland.h"
#include "bench/words.h"
#include "driver/frontend.h"
#include "util/checked.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"

#define COMMAND           "neep bench"
#define DEFAULT_ARGUMENTS "--socket-path {socket} --display qemu"

const struct bench_load bench_loads[] = {
	{ "latency", "round trip of one RESOURCE_FLUSH of a resource that no scanout shows",
		BENCH_LATENCY_P50, BENCH_LATENCY_P99, bench_run_latency },
	{ "pipeline", "the same command with the ring kept full", BENCH_PIPELINE, BENCH_PIPELINE,
		bench_run_pipeline },
	{ "transfer", "TRANSFER_TO_HOST_2D of a whole 4K resource, beside memcpy", BENCH_TRANSFER,
		BENCH_TRANSFER_PAGES_SHARE, bench_run_transfer },
	{ "rect", "the same of a 1920x1080 rectangle inside it", BENCH_RECT, BENCH_RECT_PAGES_SHARE,
		bench_run_rect },
	{ "frames", "4K page flips to a display: transfer, set scanout, flush", BENCH_FRAMES,
		BENCH_FRAMES_SUBMITTED, bench_run_frames },
	{ "damage", "64x64 updates of a 4K screen: transfer, flush", BENCH_DAMAGE, BENCH_DAMAGE_SUBMITTED,
		bench_run_damage },
	{ "resources", "the round trip with one and with 20000 live resources", BENCH_MANY_CREATE,
		BENCH_MANY_RATIO, bench_run_many },
	{ "memory", "memory of the back-end when idle and with 16 resources of 1080p", BENCH_IDLE_RSS,
		BENCH_LOADED_PSS, bench_run_memory },
	{ "idle", "CPU time of an idle back-end with running rings", BENCH_IDLE_CPU, BENCH_IDLE_CPU,
		bench_run_idle },
};
const size_t bench_load_count = NEEP_ARRAY_LEN(bench_loads);

/* ---- running ---- */

static struct neep_driver *open_driver(struct bench_backend *backend, const struct bench_options *options,
	const struct bench_results *results, struct neep_error *error) {
	struct neep_driver_options driver = neep_driver_default_options;
	driver.features &= results->features;
	driver.protocol_features &= results->protocol_features;
	driver.queue_size[NEEP_DRIVER_CONTROLQ] = options->queue_size;
	driver.spin_ns = options->spin_us * NEEP_NS_PER_US;
	driver.has_display = true;
	driver.display_width = 3840;
	driver.display_height = 2160;
	int fd = bench_backend_connect(backend, error);
	if (fd < 0) {
		return NULL;
	}
	struct neep_driver *opened = neep_driver_create(fd, &driver, error);
	if (opened != NULL && neep_driver_start(opened, error) < 0) {
		neep_driver_destroy(opened);
		return NULL;
	}
	return opened;
}

static enum bench_outcome run_on(struct bench_session *session, const struct bench_load *load) {
	char how[64];
	int result = load->run(session);
	if (result == 0) {
		return BENCH_DONE;
	}
	if (neep_driver_is_dead(session->driver)) {
		/* Its exit status may lag a little behind the end of its socket. */
		usleep(20000);
		bool has_ended = bench_backend_has_ended(session->backend, how, sizeof(how));
		fprintf(stderr, "died%s%s\n", has_ended ? ": " : "", how);
		return BENCH_DIED;
	}
	fprintf(stderr, "failed: %s\n", result == -EREMOTEIO ? "error response" : strerror(-result));
	return BENCH_FAILED;
}

/* One load on a fresh back-end: no measurement inherits what another has left behind. */
static enum bench_outcome run_load(const struct bench_options *options, const struct bench_load *load,
	size_t peer, const struct bench_results *results, double *values) {
	struct neep_error error = { 0 };
	enum bench_outcome outcome = BENCH_FAILED;
	struct bench_session session = { .options = options, .values = values };
	session.backend = bench_backend_start(options->peers[peer].command, &error);
	if (session.backend != NULL) {
		session.driver = open_driver(session.backend, options, results, &error);
	}
	if (session.driver != NULL) {
		outcome = run_on(&session, load);
	} else {
		fprintf(stderr, "failed: %s\n", error.text);
	}
	neep_driver_destroy(session.driver);
	bench_backend_stop(session.backend);
	return outcome;
}

static void keep_values(struct bench_results *results, const struct bench_load *load, size_t peer,
	enum bench_outcome outcome, const double *values) {
	for (size_t metric = load->first; metric <= load->last; metric++) {
		results->outcomes[peer][metric] = outcome;
		bench_series_add(&results->series[peer][metric], values[metric]);
	}
}

struct load_turns {
	struct bench_turns base;
	const struct bench_options *options;
	const struct bench_load *load;
	struct bench_results *results;
};

static bool measure(struct bench_turns *base, size_t peer) {
	struct load_turns *turns = neep_container_of(base, struct load_turns, base);
	double values[BENCH_METRIC_COUNT];
	for (size_t i = 0; i < BENCH_METRIC_COUNT; i++) {
		values[i] = NAN;
	}
	enum bench_outcome outcome = run_load(turns->options, turns->load, peer, turns->results, values);
	keep_values(turns->results, turns->load, peer, outcome, values);
	return outcome == BENCH_DONE;
}

static void run_rounds(
	const struct bench_options *options, const struct bench_load *load, struct bench_results *results) {
	struct load_turns turns = {
		.base = { load->name, options->peers, BENCH_BACK_ENDS, options->rounds, measure },
		.options = options,
		.load = load,
		.results = results,
	};
	bench_take_turns(&turns.base);
}

/* Finds out what both ends offer; the loads use what all have in common. */
static int probe(const struct bench_options *options, size_t peer, struct bench_results *results) {
	struct neep_error error = { 0 };
	int result = -ECHILD;
	struct neep_driver *driver = NULL;
	struct bench_backend *backend = bench_backend_start(options->peers[peer].command, &error);
	if (backend != NULL) {
		driver = open_driver(backend, options, results, &error);
	}
	if (driver != NULL) {
		results->features &= neep_driver_features(driver);
		results->protocol_features &= neep_driver_protocol_features(driver);
		result = 0;
	} else {
		fprintf(stderr, "neep bench: %s (%s): %s\n", options->peers[peer].name,
			options->peers[peer].command, error.text);
	}
	neep_driver_destroy(driver);
	bench_backend_stop(backend);
	return result;
}

static int run_all(const struct bench_options *options, struct bench_results *results) {
	results->features = UINT64_MAX;
	results->protocol_features = UINT64_MAX;
	for (size_t peer = 0; peer < BENCH_BACK_ENDS; peer++) {
		if (options->peers[peer].command != NULL && probe(options, peer, results) < 0) {
			return 1;
		}
	}
	for (size_t i = 0; i < bench_load_count; i++) {
		if ((options->loads >> i & 1) != 0) {
			run_rounds(options, &bench_loads[i], results);
		}
	}
	bench_report(stdout, options, results);
	return 0;
}

/* ---- options ---- */

static void print_help(void) {
	printf("Usage: neep bench [OPTION]...\n"
	       "       neep bench vulkan [OPTION]...\n"
	       "       neep bench wayland [OPTION]...\n\n"
	       "Measures a vhost-user-gpu back-end as its driver sees it. Every measurement has a freshly\n"
	       "started back-end, one ring of the same size, the features that all back-ends have in\n"
	       "common, and a display socket. Progress goes to stderr, the table to stdout.\n\n"
	       "      --backend CMD    the back-end to measure; {socket} becomes the path of its socket\n"
	       "                       (default: the vhost-user-neep beside this program, with\n"
	       "                       --socket-path {socket} --display qemu)\n"
	       "      --against CMD    run the same on another back-end, in turns, and print the ratios\n"
	       "      --only LIST      these loads only, separated by commas\n"
	       "      --seconds N      length of one measurement (default 1)\n"
	       "      --rounds N       times each is measured, the median counts (default 3)\n"
	       "      --queue-size N   entries of the control ring, a power of two (default 256)\n"
	       "      --spin US        how long the driver looks at the ring before it sleeps, as a guest\n"
	       "                       with haltpoll does (default 0: it sleeps at once; the pipeline\n"
	       "                       load always looks)\n"
	       "      --json           print JSON with the values of all rounds\n"
	       "      --help           print this\n\nLoads:\n");
	for (size_t i = 0; i < bench_load_count; i++) {
		printf("  %-10s  %s\n", bench_loads[i].name, bench_loads[i].summary);
	}
	printf("\nExample: neep bench --against '/usr/lib/qemu/vhost-user-gpu -s {socket}' --only "
	       "latency,frames\n");
}

static const char *load_name(size_t index) {
	return bench_loads[index].name;
}

static int check_back_end(const struct bench_peer *peer) {
	if (peer->command == NULL || strstr(peer->command, "{socket}") != NULL) {
		return 0;
	}
	return bench_words_refuse(COMMAND, "\"%s\" has no {socket}", peer->command);
}

static int check_queue(uint32_t size) {
	char text[16];
	snprintf(text, sizeof(text), "%u", size);
	return neep_is_power_of_two(size)
		       ? 0
		       : bench_words_refuse(COMMAND, "--queue-size: \"%s\" is not a power of two", text);
}

/* As bench_words_read(). */
static int read_words(int argc, char **argv, struct bench_options *options) {
	const struct bench_word known[] = {
		{ .name = "against", .text = &options->peers[BENCH_OTHERS].command },
		{ .name = "backend", .text = &options->peers[BENCH_OURS].command },
		{ .name = "json", .flag = &options->is_json },
		{ .name = "only", .loads = &options->loads },
		{ .name = "queue-size", .count = &options->queue_size, .min = 2, .max = 32768 },
		{ .name = "rounds", .count = &options->rounds, .min = 1, .max = BENCH_ROUNDS_MAX },
		{ .name = "seconds", .number = &options->seconds, .min = 0.01, .max = 60 },
		{ .name = "spin", .count = &options->spin_us, .min = 0, .max = 1000 },
	};
	const struct bench_words words = {
		.command = COMMAND,
		.words = known,
		.count = NEEP_ARRAY_LEN(known),
		.load_name = load_name,
		.load_count = bench_load_count,
		.print_help = print_help,
	};
	int result = bench_words_read(&words, argc, argv);
	for (size_t peer = 0; result == 0 && peer < BENCH_BACK_ENDS; peer++) {
		result = check_back_end(&options->peers[peer]);
	}
	return result == 0 ? check_queue(options->queue_size) : result;
}

/* Our device. To be freed; NULL for want of memory. */
static char *default_command(void) {
	char *command = NULL;
	char *path = bench_program_find("vhost-user-neep", "daemon");
	if (path != NULL && asprintf(&command, "'%s' " DEFAULT_ARGUMENTS, path) < 0) {
		command = NULL;
	}
	free(path);
	return command;
}

int neep_bench_main(int argc, char **argv) {
	if (argc > 1 && strcmp(argv[1], "vulkan") == 0) {
		return bench_vulkan_main(argc - 1, argv + 1);
	}
	if (argc > 1 && strcmp(argv[1], "wayland") == 0) {
		return bench_wayland_main(argc - 1, argv + 1);
	}
	char *command = default_command();
	struct bench_options options = {
		.peers = { { "neep", command }, { "other", NULL } },
		.loads = (UINT64_C(1) << bench_load_count) - 1,
		.rounds = 3,
		.queue_size = neep_driver_default_options.queue_size[NEEP_DRIVER_CONTROLQ],
		.seconds = 1,
	};
	int parsed = command == NULL ? -ENOMEM : read_words(argc, argv, &options);
	int exit_code = parsed == 1 ? 0 : 2;
	struct bench_results *results = calloc(1, sizeof(*results));
	if (parsed == 0 && results != NULL) {
		/* Some back-ends keep an fd per resource: the usual soft limit would decide what is measured. */
		neep_fd_raise_limit();
		exit_code = run_all(&options, results);
	}
	free(results);
	free(command);
	return exit_code;
}
