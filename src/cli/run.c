#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/run.h"
#include "util/fd.h"
#include "util/loop.h"
#include "util/number.h"
#include "virtgpu/node.h"

static const char help[] =
	"Usage: neep run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"Runs PROGRAM with a virtio-gpu render node of its own, served by a device process of this\n"
	"machine. No virtual machine, no changes to PROGRAM or its drivers.\n"
	"  --driver gfxstream|none  what PROGRAM's Vulkan runs on (default gfxstream); none leaves\n"
	"                           its environment as it is\n"
	"  --wayland                PROGRAM's windows are shown by this machine's Wayland compositor\n"
	"  --x11[=WIDTHxHEIGHT]     the same for X11 programs, as neep-wayland --x11 does it\n"
	"  --wayland-socket-path PATH  the compositor's socket (default: $WAYLAND_DISPLAY, as for\n"
	"                           every Wayland program)\n"
	"  --capset-names A:B       capability sets of the device (default: what the driver needs)\n"
	"  --hostmem SIZE           size of the host-visible window, a power of two (default 64G)\n"
	"  --control PATH           the device listens there for neep stats and neep contexts\n"
	"  --device-program PATH    the device to start (default: vhost-user-neep of this neep)\n"
	"  --wayland-program PATH   the proxy to start (default: neep-wayland of this neep)\n"
	"  --no-vulkan-layer        PROGRAM sees the gfxstream driver as it is, without null descriptors\n"
	"  --log LEVEL              what is told on stderr: error, warn (default), info or debug\n"
	"The exit status is that of PROGRAM; 128 and the number of the signal that ended it; 126 or\n"
	"127 when it cannot be run.";

static int set_driver(struct run_options *options, const char *command, const char *word) {
	options->has_guest_driver = strcmp(word, "gfxstream") == 0;
	if (!options->has_guest_driver && strcmp(word, "none") != 0) {
		return cli_usage(command, "--driver: \"%s\" is not one of gfxstream, none", word);
	}
	return -1;
}

static int set_log(struct run_options *options, const char *command, const char *word) {
	if (!neep_log_level_parse(word, &options->log_level)) {
		return cli_usage(command, "--log: \"%s\" is not one of error, warn, info, debug", word);
	}
	return -1;
}

static int set_x11(struct run_options *options, const char *command, const char *size) {
	uint32_t width = 0, height = 0;
	if (size != NULL && !neep_mode_parse(size, &width, &height)) {
		return cli_usage(command, "--x11: \"%s\" is no size: WIDTHxHEIGHT", size);
	}
	if (size == NULL) {
		snprintf(options->x11, sizeof(options->x11), "--x11");
	} else {
		snprintf(options->x11, sizeof(options->x11), "--x11=%ux%u", width, height);
	}
	options->has_wayland = true;
	return -1;
}

/* Returns -1 to go on, or an exit code. */
static int set_option(struct run_options *options, int value, char **argv) {
	switch (value) {
	case 'c':
		options->capset_names = optarg;
		return -1;
	case 'n':
		options->has_no_layer = true;
		return -1;
	case 'o':
		options->control = optarg;
		return -1;
	case 'd':
		return set_driver(options, argv[0], optarg);
	case 'h':
		puts(help);
		return CLI_OK;
	case 'l':
		return set_log(options, argv[0], optarg);
	case 'm':
		options->hostmem = optarg;
		return -1;
	case 'p':
		options->device_program = optarg;
		return -1;
	case 's':
		options->wayland_socket = optarg;
		return -1;
	case 'w':
		options->has_wayland = true;
		return -1;
	case 'x':
		return set_x11(options, argv[0], optarg);
	case 'y':
		options->wayland_program = optarg;
		return -1;
	default:
		return cli_bad_option(argv[0], value, argv);
	}
}

static int read_words(struct run_options *options, int argc, char **argv) {
	static const struct option known[] = {
		{ "capset-names", required_argument, NULL, 'c' },
		{ "control", required_argument, NULL, 'o' },
		{ "device-program", required_argument, NULL, 'p' },
		{ "driver", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "hostmem", required_argument, NULL, 'm' },
		{ "log", required_argument, NULL, 'l' },
		{ "no-vulkan-layer", no_argument, NULL, 'n' },
		{ "wayland", no_argument, NULL, 'w' },
		{ "wayland-program", required_argument, NULL, 'y' },
		{ "wayland-socket-path", required_argument, NULL, 's' },
		{ "x11", optional_argument, NULL, 'x' },
		{ 0 },
	};
	opterr = 0;
	for (int value; (value = getopt_long(argc, argv, "+:", known, NULL)) >= 0;) {
		int code = set_option(options, value, argv);
		if (code >= 0) {
			return code;
		}
	}
	options->program = argv + optind;
	return optind < argc ? -1 : cli_usage(argv[0], "name the program to run");
}

/* Kernel and VMM of the program. */
struct machine {
	struct run_device device;
	struct neep_driver *driver;
	struct neep_loop *loop;
	struct neep_virtgpu_node *node;
};

static int machine_start(struct machine *machine, const struct run_options *options,
	const struct run_places *places, struct neep_error *error) {
	struct neep_driver_options wanted = neep_virtgpu_driver_options();
	int result = run_device_start(&machine->device, options, places, error);
	if (result < 0) {
		return result;
	}
	machine->driver = neep_driver_create(neep_steal_fd(&machine->device.fd), &wanted, error);
	if (machine->driver == NULL || neep_driver_start(machine->driver, error) < 0) {
		return -error->code;
	}
	machine->loop = neep_loop_create();
	if (machine->loop == NULL) {
		return neep_error_set(error, ENOMEM, "event loop");
	}
	machine->node = neep_virtgpu_node_create(machine->loop, machine->driver, error);
	return machine->node == NULL ? -error->code : 0;
}

static void machine_stop(struct machine *machine) {
	neep_virtgpu_node_destroy(machine->node);
	neep_loop_destroy(machine->loop);
	if (machine->driver != NULL) {
		/* The device lets go of the rings before they are emptied. */
		neep_driver_stop(machine->driver);
	}
	neep_driver_destroy(machine->driver);
	neep_close_fd(&machine->device.fd);
	run_device_stop(&machine->device);
}

/* Behind the proxy, if that is wanted. Returns its exit status, or a negative errno. */
static int run_under(struct machine *machine, struct run_options *options, const struct run_places *places,
	struct neep_error *error) {
	char **words = NULL;
	if (options->has_wayland) {
		words = run_wayland_words(options, places);
		if (words == NULL) {
			return neep_error_set(error, ENOMEM, "cannot run %s", options->program[0]);
		}
		options->program = words;
	}
	int result =
		run_program(machine->loop, options, places, neep_virtgpu_node_name(machine->node), error);
	free(words);
	return result;
}

int cli_run(int argc, char **argv) {
	struct run_options options = { .has_guest_driver = true, .log_level = NEEP_LOG_WARN };
	int code = read_words(&options, argc, argv);
	if (code >= 0) {
		return code;
	}
	neep_log_set_level(options.log_level);
	if (options.has_wayland) {
		run_wayland_hide_socket();
	}
	static struct run_places places;
	struct machine machine = { .device.fd = -1 };
	struct neep_error error;
	int result = run_find_places(&options, &places, &error);
	if (result == 0) {
		result = run_check_preload(&places, &error);
	}
	if (result == 0) {
		result = machine_start(&machine, &options, &places, &error);
	}
	if (result == 0) {
		result = run_under(&machine, &options, &places, &error);
	}
	machine_stop(&machine);
	return result < 0 ? cli_fail(argv[0], "%s", error.text) : result;
}
