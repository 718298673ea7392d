#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "gauge.h"

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

static struct wlbench_options read_words(int argc, char **argv) {
	double seconds = 1, mib = 64;
	const struct gauge_option known[] = {
		{ "seconds", &seconds, 0.001, 60 },
		{ "mib", &mib, 1, 4096 },
	};
	const char *load = gauge_read_words(argc, argv, known, sizeof(known) / sizeof(*known), print_help);
	return (struct wlbench_options){ .load = load, .seconds = seconds, .mib = (uint32_t)mib };
}

int main(int argc, char **argv) {
	const struct wlbench_options options = read_words(argc, argv);
	for (size_t i = 0; i < LOAD_COUNT; i++) {
		if (strcmp(loads[i].name, options.load) == 0) {
			loads[i].run(&options);
			return 0;
		}
	}
	gauge_refuse(options.load);
}
