/* Messages without pictures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "gauge.h"

#define SAMPLES_MAX   200000
#define FLOOD_BATCH   64   // messages between two looks at the clock
#define MESSAGE_BYTES 4096 // the largest that libwayland sends
/* Of a title, with its length, its zero and the header of the message, rounded to words. */
#define TITLE_BYTES (MESSAGE_BYTES - 8 - 4 - 4)

/* One wl_display.sync and its answer, again and again. */
void wlbench_run_sync(const struct wlbench_options *options) {
	struct wlb_client client;
	int64_t *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	size_t count = 0;
	if (samples == NULL) {
		wlb_die("no memory");
	}
	wlb_client_open(&client);
	for (int64_t start = wlb_now();
		count < SAMPLES_MAX && (count < 16 || wlbench_has_time(options, start));) {
		int64_t before = wlb_now();
		wlb_roundtrip(&client);
		samples[count++] = wlb_now() - before;
	}
	gauge_print_percentiles("sync", samples, count);
	free(samples);
	wlb_client_close(&client);
}

/* The longest titles that fit into a message: a compositor does little with them. */
void wlbench_run_flood(const struct wlbench_options *options) {
	struct wlb_client client;
	struct wlb_window window;
	static char title[TITLE_BYTES];
	uint64_t count = 0;
	memset(title, 'n', sizeof(title) - 1);
	wlb_client_open(&client);
	wlb_window_open(&client, "neep-bench", &window);
	int64_t start = wlb_now();
	do {
		for (int i = 0; i < FLOOD_BATCH; i++) {
			xdg_toplevel_set_title(window.toplevel, title);
			wlb_flush(&client);
		}
		wlb_roundtrip(&client);
		count += FLOOD_BATCH;
	} while (wlbench_has_time(options, start));
	double rate = wlbench_rate(count, start);
	printf("messages %.1f\nmessages_mb %.2f\n", rate, rate * MESSAGE_BYTES / 1e6);
	wlb_client_close(&client);
}
