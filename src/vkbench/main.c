#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkb.h"

static const struct load {
	const char *name;
	const char *summary;
	void (*run)(struct vkb *vkb, const struct vkb_options *options);
} loads[] = {
	{ "info", "the name of the device", vkb_run_info },
	{ "reply", "calls that want an answer: vkGetFenceStatus, vkGetBufferMemoryRequirements2",
		vkb_run_reply },
	{ "submit", "an empty vkQueueSubmit and the wait for its fence", vkb_run_submit },
	{ "record", "vkCmd* recorded and handed over per second", vkb_run_record },
	{ "threads", "compute submissions of four threads per second", vkb_run_threads },
	{ "upload", "writing mapped memory and copying it, GB/s", vkb_run_upload },
};
#define LOAD_COUNT (sizeof(loads) / sizeof(*loads))

static void print_help(void) {
	printf("Usage: neep-bench-vulkan [OPTION]... LOAD\n\n"
	       "Measures one thing through Vulkan. neep bench vulkan runs it natively and through neep.\n\n"
	       "      --seconds N       length of the measurement (default 1)\n"
	       "      --work N          units of work in a frame (default 1)\n"
	       "      --calibrate US    print how many units make a frame of that many microseconds\n"
	       "      --mib N           size of an upload (default 64)\n"
	       "      --help            print this\n\nLoads:\n");
	vkb_scene_print_list();
	for (size_t i = 0; i < LOAD_COUNT; i++) {
		printf("  %-10s  %s\n", loads[i].name, loads[i].summary);
	}
	printf("  %-10s  %s\n", "memory",
		"prints its memory after a frame of the mesh, waits for the end of stdin");
}

static _Noreturn void usage(const char *word) {
	fprintf(stderr, "neep-bench-vulkan: \"%s\" is wrong here; --help tells more\n", word);
	exit(2);
}

static double number(const char *text, double min, double max) {
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= min && value <= max)) {
		usage(text);
	}
	return value;
}

static const struct option long_options[] = {
	{ "seconds", required_argument, NULL, 's' },
	{ "work", required_argument, NULL, 'w' },
	{ "calibrate", required_argument, NULL, 'c' },
	{ "mib", required_argument, NULL, 'm' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static struct vkb_options parse_options(int argc, char **argv) {
	struct vkb_options options = { .seconds = 1, .work = 1, .mib = 64 };
	int option;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 's':
			options.seconds = number(optarg, 0.001, 60);
			break;
		case 'w':
			options.work = (uint32_t)number(optarg, 1, 1e8);
			break;
		case 'c':
			options.calibrate_us = (uint32_t)number(optarg, 1, 1e6);
			break;
		case 'm':
			options.mib = (uint32_t)number(optarg, 16, 16384) / 16 * 16;
			break;
		case 'h':
			print_help();
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind + 1 != argc) {
		usage(optind < argc ? argv[optind + 1] : "no load");
	}
	options.load = argv[optind];
	return options;
}

int main(int argc, char **argv) {
	struct vkb_options options = parse_options(argc, argv);
	const struct vkb_scene_impl *scene = vkb_scene_find(options.load);
	size_t i = 0;
	while (i < LOAD_COUNT && strcmp(loads[i].name, options.load) != 0) {
		i++;
	}
	if (strcmp(options.load, "memory") == 0) {
		vkb_run_memory(&options);
		return 0;
	}
	if (scene == NULL && i == LOAD_COUNT) {
		usage(options.load);
	}
	struct vkb vkb;
	vkb_open(&vkb);
	if (scene != NULL) {
		vkb_run_scene(&vkb, scene, &options);
	} else {
		loads[i].run(&vkb, &options);
	}
	vkb_close(&vkb);
	return 0;
}
