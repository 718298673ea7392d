#include "wayland/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "util/number.h"

#define EXIT_USAGE 2

/* What fits on most hosts' screens with a panel, and what X11's coordinates take. */
#define X11_WIDTH    1280
#define X11_HEIGHT   800
#define X11_SIZE_MIN 32
#define X11_SIZE_MAX 32767

static const char help[] =
	"Usage: neep-wayland [OPTION]... [[--] PROGRAM [ARGUMENT]...]\n"
	"Shows the windows of this machine on the compositor of its host, through a virtio-gpu with\n"
	"the capability set cross-domain. With PROGRAM: for it, until it ends; without: until a signal.\n"
	"  --socket NAME|PATH      where clients connect (default: the first free wayland-N)\n"
	"  --device PATH           render node to use (default: the first that offers cross-domain)\n"
	"  --host-socket PATH      no virtio-gpu: the compositor listens at this socket\n"
	"  --allow NAME[,NAME...]  show clients these globals too, which are hidden by default\n"
	"  --deny NAME[,NAME...]   hide these globals\n"
	"  --title-prefix TEXT     put before the titles of windows\n"
	"  --app-id-prefix TEXT    put before the application ids of windows\n"
	"  --x11[=WIDTHxHEIGHT]    serve X11 programs too: by xwayland-satellite, or in one window of\n"
	"                          Xwayland, of this size (default 1280x800)\n"
	"  --copy-buffers          copy clients' buffers even where they could be passed on: for tests\n"
	"  --log LEVEL             what is told on stderr: error, warn (default), info or debug\n"
	"  --help                  print this\n"
	"  --version               print the version\n"
	"The exit status is that of PROGRAM; 128 and the number of the signal that ended it; 126 or\n"
	"127 when it cannot be run.\n";

NEEP_PRINTF(1, 2) static int usage(const char *format, ...) {
	va_list args;
	va_start(args, format);
	fputs("neep-wayland: ", stderr);
	vfprintf(stderr, format, args);
	fputs("; see neep-wayland --help\n", stderr);
	va_end(args);
	return EXIT_USAGE;
}

static void print_help(void) {
	size_t count;
	const struct neep_wl_known *known = neep_wl_policy_table(&count);
	fputs(help, stdout);
	fputs("Globals that clients see, with the newest version; a star: hidden unless allowed:\n", stdout);
	for (size_t i = 0; i < count; i++) {
		printf("  %s %u%s\n", known[i].interface->name, neep_wl_known_version(&known[i]),
			known[i].is_privileged ? " *" : "");
	}
}

static int set_x11(struct neep_wl_options *options, const char *size) {
	uint32_t *width = &options->x11_width, *height = &options->x11_height;
	options->has_x11 = true;
	if (size != NULL &&
		(!neep_mode_parse(size, width, height) || *width < X11_SIZE_MIN || *height < X11_SIZE_MIN ||
			*width > X11_SIZE_MAX || *height > X11_SIZE_MAX)) {
		return usage("--x11: \"%s\" is no size: WIDTHxHEIGHT, each %d to %d", size, X11_SIZE_MIN,
			X11_SIZE_MAX);
	}
	return -1;
}

/* Returns -1 to go on, or an exit code. */
static int set_option(struct neep_wl_options *options, int value, char **argv) {
	switch (value) {
	case 'a':
		options->policy.allow = optarg;
		return -1;
	case 'c':
		options->copies_all = true;
		return -1;
	case 'd':
		options->policy.deny = optarg;
		return -1;
	case 'g':
		options->device = optarg;
		return -1;
	case 'h':
		print_help();
		return EXIT_SUCCESS;
	case 'i':
		options->policy.app_id_prefix = optarg;
		return -1;
	case 'l':
		return neep_log_level_parse(optarg, &options->log_level)
			       ? -1
			       : usage("--log: \"%s\" is not one of error, warn, info, debug", optarg);
	case 'o':
		options->host_socket = optarg;
		return -1;
	case 's':
		options->socket = optarg;
		return -1;
	case 't':
		options->policy.title_prefix = optarg;
		return -1;
	case 'v':
		puts("neep-wayland " NEEP_VERSION);
		return EXIT_SUCCESS;
	case 'x':
		return set_x11(options, optarg);
	case ':':
		return usage("%s needs a value", argv[optind - 1]);
	default:
		return usage("%s is no option", argv[optind - 1]);
	}
}

static int check(const struct neep_wl_options *options) {
	const char *unknown = neep_wl_policy_unknown_name(&options->policy);
	if (unknown != NULL) {
		return usage("--allow, --deny: there is no global \"%s\"", unknown);
	}
	if (options->host_socket != NULL && options->device != NULL) {
		return usage("--device and --host-socket exclude each other");
	}
	return -1;
}

int neep_wl_options_parse(struct neep_wl_options *options, int argc, char **argv) {
	static const struct option known[] = {
		{ "allow", required_argument, NULL, 'a' },
		{ "app-id-prefix", required_argument, NULL, 'i' },
		{ "copy-buffers", no_argument, NULL, 'c' },
		{ "deny", required_argument, NULL, 'd' },
		{ "device", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ "host-socket", required_argument, NULL, 'o' },
		{ "log", required_argument, NULL, 'l' },
		{ "socket", required_argument, NULL, 's' },
		{ "title-prefix", required_argument, NULL, 't' },
		{ "version", no_argument, NULL, 'v' },
		{ "x11", optional_argument, NULL, 'x' },
		{ 0 },
	};
	*options = (struct neep_wl_options){
		.log_level = NEEP_LOG_WARN, .x11_width = X11_WIDTH, .x11_height = X11_HEIGHT
	};
	opterr = 0;
	optind = 0;
	for (int value; (value = getopt_long(argc, argv, "+:", known, NULL)) >= 0;) {
		int code = set_option(options, value, argv);
		if (code >= 0) {
			return code;
		}
	}
	options->program = optind < argc ? argv + optind : NULL;
	return check(options);
}
