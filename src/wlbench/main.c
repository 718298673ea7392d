#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct load {
	const char *name;
	const char *summary;
	void (*run)(const struct wlbench_options *options);
} loads[] = {
	{ "sync", "round trips of wl_display.sync: sync_p50, sync_p99 (us)", wlbench_run_sync },
	{ "full", "pictures of 1920 x 1080, all of each drawn: frames (1/s)", wlbench_run_full },
	{ "paced", "the same when the compositor asks for them: paced_frames (1/s)", wlbench_run_paced },
	{ "damage",
		"64 x 64 pixels of 3840 x 2160 drawn: damage_frames (1/s), damage_bytes (drawn while it was "
		"measured)",
		wlbench_run_damage },
	{ "flood", "messages of 4096 bytes: messages (1/s), messages_mb (MB/s)", wlbench_run_flood },
	{ "clipboard", "from one client to another, which need a keyboard's focus: clipboard_mb (MB/s)",
		wlbench_run_clipboard },
};
#define LOAD_COUNT (sizeof(loads) / sizeof(*loads))

static void print_help(void) {
	printf("Usage: neep-bench-wayland [OPTION]... LOAD\n\n"
	       "Measures one thing of the Wayland compositor that the environment names, and prints lines of "
	       "a\n"
	       "word and a number. neep bench wayland runs it natively and through neep.\n\n"
	       "      --seconds N       length of the measurement (default 1)\n"
	       "      --mib N           size of a transfer by the clipboard (default 64)\n"
	       "      --help            print this\n\nLoads:\n");
	for (size_t i = 0; i < LOAD_COUNT; i++) {
		printf("  %-10s  %s\n", loads[i].name, loads[i].summary);
	}
}

static _Noreturn void usage(const char *word) {
	fprintf(stderr, "neep-bench-wayland: \"%s\" is wrong here; --help tells more\n", word);
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
	{ "mib", required_argument, NULL, 'm' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static struct wlbench_options parse_options(int argc, char **argv) {
	struct wlbench_options options = { .seconds = 1, .mib = 64 };
	int option;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 's':
			options.seconds = number(optarg, 0.001, 60);
			break;
		case 'm':
			options.mib = (uint32_t)number(optarg, 1, 4096);
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
	const struct wlbench_options options = parse_options(argc, argv);
	for (size_t i = 0; i < LOAD_COUNT; i++) {
		if (strcmp(loads[i].name, options.load) == 0) {
			loads[i].run(&options);
			return 0;
		}
	}
	usage(options.load);
}
