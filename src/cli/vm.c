#include "cli/vm.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run.h"
#include "util/child.h"
#include "util/number.h"

static const char help[] =
	"Usage: neep vm [OPTION]... [DISK] [-- QEMU OPTION...]\n"
	"Starts a virtual machine on this host's QEMU with our device, and ends what it started when\n"
	"QEMU ends. DISK is a disk that boots; without one, a small Debian guest is made, once.\n"
	"  --rootfs DIR             make the disk of this folder, which has a Debian and its kernel\n"
	"  --rebuild                make the guest's disk again; what was changed on it is lost\n"
	"  --append WORDS           more words for that guest's kernel\n"
	"  --capset-names A:B       capability sets of the device (default: gfxstream-vulkan, and\n"
	"                           cross-domain where there is a compositor)\n"
	"  --hostmem SIZE           size of the host-visible window, a power of two (default 4G)\n"
	"  --memory SIZE            memory of the guest (default 4G)\n"
	"  --cpus N                 its processors (default: those of this host, 8 at most)\n"
	"  --front-end NAME         auto (default), generic, rutabaga, vga or gpu\n"
	"  --display KIND           QEMU's display, where the front-end has one (gtk,gl=on ...)\n"
	"  --accel kvm|tcg          how the processors run (default: kvm where it runs code)\n"
	"  --qemu PROGRAM           the QEMU to use (default " CLI_QEMU ")\n"
	"  --control PATH           where the device listens for neep screenshot and others\n"
	"  --wayland-socket-path P  the compositor for the guest's windows (default: this session's)\n"
	"  --dry-run                print the commands, and start nothing\n"
	"The exit status is that of QEMU.";

static const struct option known[] = {
	{ "accel", required_argument, NULL, 'a' },
	{ "append", required_argument, NULL, 'p' },
	{ "capset-names", required_argument, NULL, 'c' },
	{ "control", required_argument, NULL, 'o' },
	{ "cpus", required_argument, NULL, 'n' },
	{ "display", required_argument, NULL, 'd' },
	{ "dry-run", no_argument, NULL, 'y' },
	{ "front-end", required_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "hostmem", required_argument, NULL, 'm' },
	{ "memory", required_argument, NULL, 'M' },
	{ "qemu", required_argument, NULL, 'q' },
	{ "rebuild", no_argument, NULL, 'r' },
	{ "rootfs", required_argument, NULL, 'R' },
	{ "wayland-socket-path", required_argument, NULL, 'w' },
	{ 0 },
};

static int set_cpus(struct vm_options *options, const char *command, const char *word) {
	uint64_t count;
	if (!neep_number_parse(word, &count) || count < 1 || count > 255) {
		return cli_usage(command, "--cpus: \"%s\" is not a number from 1 to 255", word);
	}
	options->cpus = (unsigned)count;
	return -1;
}

/* Where each option that is a word goes. */
static const char **place_of(struct vm_options *options, int value) {
	switch (value) {
	case 'a':
		return &options->accel;
	case 'c':
		return &options->capset_names;
	case 'd':
		return &options->display;
	case 'm':
		return &options->hostmem;
	case 'M':
		return &options->memory;
	case 'o':
		return &options->control;
	case 'p':
		return &options->append;
	case 'q':
		return &options->qemu;
	case 'R':
		return &options->rootfs;
	case 'w':
		return &options->wayland_socket_path;
	default:
		return NULL;
	}
}

/* Returns -1 to go on, or an exit code. */
static int set_option(struct vm_options *options, int value, char **argv) {
	const char **place = place_of(options, value);
	if (place != NULL) {
		*place = optarg;
		return -1;
	}
	switch (value) {
	case 'f':
		return vm_front_end_parse(optarg, &options->front_end)
			       ? -1
			       : cli_usage(argv[0],
					 "--front-end: \"%s\" is not one of auto, generic, rutabaga, vga, "
					 "gpu",
					 optarg);
	case 'h':
		puts(help);
		return CLI_OK;
	case 'n':
		return set_cpus(options, argv[0], optarg);
	case 'r':
		options->is_rebuilt = true;
		return -1;
	case 'y':
		options->is_dry_run = true;
		return -1;
	default:
		return cli_bad_option(argv[0], value, argv);
	}
}

static int check_words(const struct vm_options *options, const char *command) {
	if (options->accel != NULL && strcmp(options->accel, "kvm") != 0 &&
		strcmp(options->accel, "tcg") != 0) {
		return cli_usage(command, "--accel: \"%s\" is not one of kvm, tcg", options->accel);
	}
	if (options->disk != NULL && options->rootfs != NULL) {
		return cli_usage(command, "give a disk or --rootfs, not both");
	}
	if (options->disk != NULL && options->append != NULL) {
		return cli_usage(command, "--append: a disk that boots by itself has its own words");
	}
	return -1;
}

static int read_words(struct vm_options *options, int argc, char **argv) {
	opterr = 0;
	for (int value; (value = getopt_long(argc, argv, "+:", known, NULL)) >= 0;) {
		int code = set_option(options, value, argv);
		if (code >= 0) {
			return code;
		}
	}
	/* "--" ends the options; the disk may stand before it or be missing. */
	bool is_ended = optind > 0 && strcmp(argv[optind - 1], "--") == 0;
	if (!is_ended && optind < argc) {
		options->disk = argv[optind++];
		is_ended = optind < argc && strcmp(argv[optind], "--") == 0;
		optind += is_ended;
	}
	if (!is_ended && optind < argc) {
		return cli_usage(argv[0], "\"%s\": options come before the disk, those of QEMU behind --",
			argv[optind]);
	}
	options->extra = argv + optind;
	return check_words(options, argv[0]);
}

static void fill_defaults(struct vm_options *options) {
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (options->cpus == 0) {
		options->cpus = cpus < 1 ? 1 : cpus > 8 ? 8 : (unsigned)cpus;
	}
	options->qemu = options->qemu != NULL ? options->qemu : CLI_QEMU;
	options->hostmem = options->hostmem != NULL ? options->hostmem : "4G";
	options->memory = options->memory != NULL ? options->memory : "4G";
}

/* A private folder for this run's sockets; in a dry run only its name. */
static int make_folder(struct vm *vm, struct neep_error *error) {
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	bool has_place = runtime != NULL && runtime[0] == '/' && strlen(runtime) < 32;
	snprintf(vm->folder, sizeof(vm->folder), "%s/neep-vm%s", has_place ? runtime : "/tmp",
		vm->options->is_dry_run ? "" : "-XXXXXX");
	if (!vm->options->is_dry_run && mkdtemp(vm->folder) == NULL) {
		return neep_error_set(error, errno, "cannot make %s", vm->folder);
	}
	snprintf(vm->socket, sizeof(vm->socket), "%s/gpu.sock", vm->folder);
	if (vm->options->control != NULL) {
		snprintf(vm->control, sizeof(vm->control), "%s", vm->options->control);
	} else {
		snprintf(vm->control, sizeof(vm->control), "%s/control.sock", vm->folder);
	}
	return 0;
}

static int prepare(struct vm *vm, struct neep_error *error) {
	const struct vm_options *options = vm->options;
	struct run_options run_options = { .has_wayland = true,
		.wayland_socket = options->wayland_socket_path };
	static struct run_places places;
	int result = cli_qemu_look(options->qemu, &vm->qemu, error);
	if (result == 0) {
		result = run_find_places(&(struct run_options){ 0 }, &places, error);
	}
	if (result < 0) {
		return result;
	}
	snprintf(vm->device, sizeof(vm->device), "%s", places.device);
	/* Without a compositor the guest has no windows here; one that was named must be there. */
	result = run_find_compositor(&run_options, &places, error);
	if (result == 0) {
		snprintf(vm->wayland, sizeof(vm->wayland), "%s", places.compositor);
	} else if (options->wayland_socket_path != NULL) {
		return result;
	}
	result = vm_find_guest(vm, error);
	if (result == 0) {
		vm->has_kvm = vm_has_kvm(vm);
		/* From the folder on there is something to clean up. */
		neep_child_hold_signals(&vm->signals);
		result = make_folder(vm, error);
	}
	return result == 0 ? vm_plan(vm, error) : result;
}

static void print_commands(const struct vm *vm) {
	struct vm_words words = { 0 };
	if (vm_has_device(vm)) {
		printf("mkdir -p %s\n", vm->folder);
		vm_device_words(vm, &words);
		vm_words_print(&words);
		vm_words_finish(&words);
		puts(" &");
		/* QEMU tries to connect once. */
		printf("until [ -S %s ]; do sleep 0.1; done\n", vm->socket);
	}
	vm_qemu_words(vm, &words);
	vm_words_print(&words);
	vm_words_finish(&words);
	putchar('\n');
}

int cli_vm(int argc, char **argv) {
	struct vm_options options = { 0 };
	int code = read_words(&options, argc, argv);
	if (code >= 0) {
		return code;
	}
	fill_defaults(&options);
	static struct vm vm;
	vm = (struct vm){ .options = &options };
	struct neep_error error = { 0 };
	int result = prepare(&vm, &error);
	if (result == 0 && options.is_dry_run) {
		print_commands(&vm);
		return CLI_OK;
	}
	if (result == 0) {
		result = vm_run(&vm, &error);
	} else if (vm.folder[0] != '\0') {
		rmdir(vm.folder);
	}
	return result < 0 ? cli_fail(argv[0], "%s", error.text) : result;
}
