#include <stdio.h>
#include <string.h>

#include "gauge.h"
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

static struct vkb_options read_words(int argc, char **argv) {
	double seconds = 1, work = 1, calibrate_us = 0, mib = 64;
	const struct gauge_option known[] = {
		{ "seconds", &seconds, 0.001, 60 },
		{ "work", &work, 1, 1e8 },
		{ "calibrate", &calibrate_us, 1, 1e6 },
		{ "mib", &mib, 16, 16384 },
	};
	const char *load = gauge_read_words(argc, argv, known, sizeof(known) / sizeof(*known), print_help);
	return (struct vkb_options){
		.load = load,
		.seconds = seconds,
		.work = (uint32_t)work,
		.mib = (uint32_t)mib / 16 * 16,
		.calibrate_us = (uint32_t)calibrate_us,
	};
}

int main(int argc, char **argv) {
	struct vkb_options options = read_words(argc, argv);
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
		gauge_refuse(options.load);
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
