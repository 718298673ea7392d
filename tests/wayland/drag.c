/*
 * A client of a Wayland compositor that something is dragged from, or dropped on.
 *
 * source APP_ID SIZE  starts a drag of SIZE bytes when a button is pressed on it
 * target APP_ID       takes what is dropped on it
 *
 * Both say what happens, a line each, until their standard input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "paint.h"

#define MIME "application/x-neep-test"
#define SIDE 300

struct drag {
	struct wlb_client client;
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture picture;
	struct wl_data_device *device;
	struct wl_data_offer *offer; // what is over the window
	bool has_mime;
	size_t size; // of what is dragged; 0: this is the target
};

static uint8_t byte_at(size_t place) {
	return (uint8_t)(place * 2654435761u >> 13);
}

/* ---- the source ---- */

static void answer_target(void *data, struct wl_data_source *source, const char *mime) {
	(void)data;
	(void)source;
	(void)mime;
}

static void send_data(void *data, struct wl_data_source *source, const char *mime, int32_t fd) {
	const struct drag *drag = data;
	uint8_t bytes[4096];
	size_t done = 0;
	(void)source;
	printf("send %s\n", mime);
	while (done < drag->size) {
		size_t count = drag->size - done < sizeof(bytes) ? drag->size - done : sizeof(bytes);
		for (size_t i = 0; i < count; i++) {
			bytes[i] = byte_at(done + i);
		}
		ssize_t written = write(fd, bytes, count);
		if (written < 0) {
			wlb_die("the target takes no more: %s", strerror(errno));
		}
		done += (size_t)written;
	}
	close(fd);
}

static void say_cancelled(void *data, struct wl_data_source *source) {
	(void)data;
	(void)source;
	printf("cancelled\n");
}

static void say_performed(void *data, struct wl_data_source *source) {
	(void)data;
	(void)source;
	printf("performed\n");
}

static void say_finished(void *data, struct wl_data_source *source) {
	(void)data;
	wl_data_source_destroy(source);
	printf("finished\n");
}

/* Once the target has accepted: what is let go before that is cancelled. */
static void say_action(void *data, struct wl_data_source *source, uint32_t action) {
	(void)data;
	(void)source;
	printf("action %u\n", action);
}

static const struct wl_data_source_listener source_listener = {
	answer_target,
	send_data,
	say_cancelled,
	say_performed,
	say_finished,
	say_action,
};

static void start_drag(struct drag *drag, uint32_t serial) {
	struct wl_data_source *source = wl_data_device_manager_create_data_source(drag->client.data_devices);
	wl_data_source_add_listener(source, &source_listener, drag);
	wl_data_source_offer(source, "text/plain");
	wl_data_source_offer(source, MIME);
	wl_data_source_set_actions(source, WL_DATA_DEVICE_MANAGER_DND_ACTION_COPY);
	wl_data_device_start_drag(drag->device, source, drag->window.surface, NULL, serial);
	printf("dragging\n");
}

/* ---- the target ---- */

static void add_mime(void *data, struct wl_data_offer *offer, const char *mime) {
	struct drag *drag = data;
	(void)offer;
	drag->has_mime = drag->has_mime || strcmp(mime, MIME) == 0;
}

static void note_actions(void *data, struct wl_data_offer *offer, uint32_t actions) {
	(void)data;
	(void)offer;
	(void)actions;
}

static const struct wl_data_offer_listener offer_listener = { add_mime, note_actions, note_actions };

static void add_offer(void *data, struct wl_data_device *device, struct wl_data_offer *offer) {
	struct drag *drag = data;
	(void)device;
	drag->has_mime = false;
	wl_data_offer_add_listener(offer, &offer_listener, drag);
}

static void accept(void *data, struct wl_data_device *device, uint32_t serial, struct wl_surface *surface,
	wl_fixed_t x, wl_fixed_t y, struct wl_data_offer *offer) {
	struct drag *drag = data;
	(void)device;
	(void)surface;
	(void)x;
	(void)y;
	drag->offer = offer;
	if (offer != NULL && drag->size == 0) {
		printf("over %s\n", drag->has_mime ? MIME : "something else");
		wl_data_offer_accept(offer, serial, MIME);
		wl_data_offer_set_actions(offer, WL_DATA_DEVICE_MANAGER_DND_ACTION_COPY,
			WL_DATA_DEVICE_MANAGER_DND_ACTION_COPY);
	}
}

static void forget(void *data, struct wl_data_device *device) {
	struct drag *drag = data;
	(void)device;
	if (drag->offer != NULL) {
		wl_data_offer_destroy(drag->offer);
		drag->offer = NULL;
	}
}

static void ignore_motion(
	void *data, struct wl_data_device *device, uint32_t time, wl_fixed_t x, wl_fixed_t y) {
	(void)data;
	(void)device;
	(void)time;
	(void)x;
	(void)y;
}

/* Reads to the end, and says how much there was and whether each byte was right. */
static void read_data(struct drag *drag, int fd) {
	uint8_t bytes[16384];
	size_t size = 0, wrong = 0;
	ssize_t count;
	while (wlb_dispatch_until(&drag->client, fd, 10000) && (count = read(fd, bytes, sizeof(bytes))) > 0) {
		for (size_t i = 0; i < (size_t)count; i++) {
			wrong += bytes[i] != byte_at(size + i);
		}
		size += (size_t)count;
	}
	printf("dropped %zu, %zu wrong\n", size, wrong);
}

static void take_drop(void *data, struct wl_data_device *device) {
	struct drag *drag = data;
	int ends[2];
	(void)device;
	if (drag->offer == NULL || drag->size != 0) {
		return;
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		wlb_die("no pipe");
	}
	struct wl_data_offer *offer = drag->offer;
	drag->offer = NULL;
	wl_data_offer_receive(offer, MIME, ends[1]);
	close(ends[1]);
	read_data(drag, ends[0]);
	close(ends[0]);
	wl_data_offer_finish(offer);
	wl_data_offer_destroy(offer);
}

static void ignore_selection(void *data, struct wl_data_device *device, struct wl_data_offer *offer) {
	(void)data;
	(void)device;
	if (offer != NULL) {
		wl_data_offer_destroy(offer);
	}
}

static const struct wl_data_device_listener device_listener = {
	add_offer,
	accept,
	forget,
	ignore_motion,
	take_drop,
	ignore_selection,
};

/* ---- the pointer ---- */

static void enter(void *data, struct wl_pointer *pointer, uint32_t serial, struct wl_surface *surface,
	wl_fixed_t x, wl_fixed_t y) {
	(void)data;
	(void)pointer;
	(void)serial;
	(void)surface;
	printf("pointer %d %d\n", wl_fixed_to_int(x), wl_fixed_to_int(y));
}

static void leave(void *data, struct wl_pointer *pointer, uint32_t serial, struct wl_surface *surface) {
	(void)data;
	(void)pointer;
	(void)serial;
	(void)surface;
}

static void motion(void *data, struct wl_pointer *pointer, uint32_t time, wl_fixed_t x, wl_fixed_t y) {
	(void)data;
	(void)pointer;
	(void)time;
	(void)x;
	(void)y;
}

static void button(void *data, struct wl_pointer *pointer, uint32_t serial, uint32_t time, uint32_t code,
	uint32_t state) {
	struct drag *drag = data;
	(void)pointer;
	(void)time;
	(void)code;
	if (state == WL_POINTER_BUTTON_STATE_PRESSED && drag->size > 0) {
		start_drag(drag, serial);
	}
}

static void axis(void *data, struct wl_pointer *pointer, uint32_t time, uint32_t which, wl_fixed_t value) {
	(void)data;
	(void)pointer;
	(void)time;
	(void)which;
	(void)value;
}

static void frame(void *data, struct wl_pointer *pointer) {
	(void)data;
	(void)pointer;
}

static void axis_source(void *data, struct wl_pointer *pointer, uint32_t source) {
	(void)data;
	(void)pointer;
	(void)source;
}

static void axis_stop(void *data, struct wl_pointer *pointer, uint32_t time, uint32_t which) {
	(void)data;
	(void)pointer;
	(void)time;
	(void)which;
}

static void axis_discrete(void *data, struct wl_pointer *pointer, uint32_t which, int32_t steps) {
	(void)data;
	(void)pointer;
	(void)which;
	(void)steps;
}

static const struct wl_pointer_listener pointer_listener = { .enter = enter,
	.leave = leave,
	.motion = motion,
	.button = button,
	.axis = axis,
	.frame = frame,
	.axis_source = axis_source,
	.axis_stop = axis_stop,
	.axis_discrete = axis_discrete };

static void open_drag(struct drag *drag, const char *app_id) {
	const struct wlb_shape shape = { 0, SIDE, SIDE, SIDE * 4, WL_SHM_FORMAT_XRGB8888 };
	wlb_client_open(&drag->client);
	if (drag->client.seat == NULL || drag->client.data_devices == NULL) {
		wlb_die("the compositor has no seat or no data devices");
	}
	drag->device = wl_data_device_manager_get_data_device(drag->client.data_devices, drag->client.seat);
	wl_data_device_add_listener(drag->device, &device_listener, drag);
	wl_pointer_add_listener(wl_seat_get_pointer(drag->client.seat), &pointer_listener, drag);
	wlb_window_open(&drag->client, app_id, &drag->window);
	wlb_memory_create(&drag->client, (size_t)SIDE * SIDE * 4, &drag->memory);
	wlb_picture_create(&drag->memory, &shape, &drag->picture);
	paint(&drag->memory, &drag->picture, drag->size > 0 ? 1 : 2);
	wlb_attach(drag->window.surface, &drag->picture);
	wlb_commit_and_wait(&drag->client, drag->window.surface);
}

int main(int argc, char **argv) {
	static struct drag drag;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "source") == 0) {
		drag.size = strtoul(argv[3], NULL, 10);
	} else if (argc != 3 || strcmp(argv[1], "target") != 0) {
		wlb_die("usage: wl-drag source APP_ID SIZE | target APP_ID");
	}
	open_drag(&drag, argv[2]);
	printf("shown\n");
	wlb_dispatch_until(&drag.client, 0, -1);
	wlb_client_close(&drag.client);
	return 0;
}
