/*
 * A client of a Wayland compositor that synchronizes its dma-bufs itself, with timelines of a virtio-gpu: two pictures in turn. It says
 * "first" when the one is shown, "waiting" when the other is committed but not drawn yet, and draws it when it is sent a
 * line; "second" when that is shown; after another line "other" when a second window is shown while a commit of the first waits, whose
 * picture is not drawn before that is there; after another "both" when it is. After one more line "released" when all that it showed
 * before has been given back, and it keeps the last picture there until its standard input ends.
 */
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "globals.h"
#include "linux-dmabuf-client.h"
#include "linux-drm-syncobj-v1-client.h"
#include "paint.h"

#define SIDE   256
#define STRIDE (SIDE * 4)
#define BYTES  (SIDE * STRIDE)
#define XR24   0x34325258
#define WAIT_S 240

/* Of a DRM file and at the compositor. */
struct timeline {
	uint32_t handle;
	struct wp_linux_drm_syncobj_timeline_v1 *proxy;
};

/* A surface, and what says when its buffers are free. */
struct layer {
	struct wl_surface *surface;
	struct wp_linux_drm_syncobj_surface_v1 *proxy;
	struct timeline release;
};

#define PICTURES 4

struct sync {
	struct wlb_client client;
	struct wlb_window window;
	int drm_fd;
	struct zwp_linux_dmabuf_v1 *dmabuf;
	struct wp_linux_drm_syncobj_manager_v1 *manager;
	struct layer window_layer;
	struct timeline acquire;
	struct timeline late; // of a commit whose picture is drawn behind those of later ones
	struct wlb_memory memory[PICTURES];
	struct wlb_picture pictures[PICTURES];
	uint64_t point; // of the last commit
};

/* ---- the virtio-gpu ---- */

static void call(int fd, unsigned long request, void *arg, const char *what) {
	if (ioctl(fd, request, arg) < 0) {
		wlb_die("%s: %s", what, strerror(errno));
	}
}

static void open_node(struct sync *sync) {
	for (int number = 128; number < 192; number++) {
		char path[32];
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", number);
		sync->drm_fd = open(path, O_RDWR | O_CLOEXEC);
		if (sync->drm_fd >= 0) {
			return;
		}
	}
	wlb_die("there is no render node");
}

/* A file, as dma-bufs of the device are that `neep run` starts. */
static void create_memory(struct wlb_memory *memory) {
	int fd = memfd_create("picture", MFD_CLOEXEC);
	void *data = fd >= 0 && ftruncate(fd, BYTES) == 0
			     ? mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
			     : MAP_FAILED;
	if (data == MAP_FAILED) {
		wlb_die("no memory: %s", strerror(errno));
	}
	*memory = (struct wlb_memory){ .fd = fd, .data = data, .size = BYTES };
}

static void create_timeline(struct sync *sync, struct timeline *timeline) {
	struct drm_syncobj_create create = { 0 };
	call(sync->drm_fd, DRM_IOCTL_SYNCOBJ_CREATE, &create, "SYNCOBJ_CREATE");
	struct drm_syncobj_handle handle = { .handle = create.handle, .fd = -1 };
	call(sync->drm_fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle, "SYNCOBJ_HANDLE_TO_FD");
	timeline->handle = create.handle;
	timeline->proxy = wp_linux_drm_syncobj_manager_v1_import_timeline(sync->manager, handle.fd);
	close(handle.fd);
}

static void signal_drawn(struct sync *sync, const struct timeline *acquire, uint64_t point) {
	struct drm_syncobj_timeline_array array = {
		.handles = (uintptr_t)&acquire->handle,
		.points = (uintptr_t)&point,
		.count_handles = 1,
	};
	call(sync->drm_fd, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &array, "SYNCOBJ_TIMELINE_SIGNAL");
}

static bool is_released(struct sync *sync, const struct layer *layer, uint64_t point, int64_t limit_ns) {
	struct drm_syncobj_timeline_wait wait = {
		.handles = (uintptr_t)&layer->release.handle,
		.points = (uintptr_t)&point,
		.timeout_nsec = limit_ns,
		.count_handles = 1,
		.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
	};
	return ioctl(sync->drm_fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &wait) == 0;
}

static void await_release(struct sync *sync, const struct layer *layer, uint64_t point) {
	if (!is_released(sync, layer, point, wlb_now() + WAIT_S * INT64_C(1000000000))) {
		wlb_die("release point %d was not signalled: %s", (int)point, strerror(errno));
	}
}

/* ---- the pictures ---- */

static void take_buffer(void *data, struct zwp_linux_buffer_params_v1 *params, struct wl_buffer *buffer) {
	(void)params;
	struct wlb_picture *picture = data;
	picture->buffer = buffer;
}

static void take_failure(void *data, struct zwp_linux_buffer_params_v1 *params) {
	(void)data;
	(void)params;
	wlb_die("no buffer could be made of the dma-buf");
}

static const struct zwp_linux_buffer_params_v1_listener params_listener = { take_buffer, take_failure };

/* Its wl_buffer is the compositor's to name. */
static void create_picture(struct sync *sync, uint32_t index) {
	struct wlb_memory *memory = &sync->memory[index];
	struct wlb_picture *picture = &sync->pictures[index];
	struct zwp_linux_buffer_params_v1 *params = zwp_linux_dmabuf_v1_create_params(sync->dmabuf);
	*picture = (struct wlb_picture){ .shape = { 0, SIDE, SIDE, STRIDE, WL_SHM_FORMAT_XRGB8888 } };
	zwp_linux_buffer_params_v1_add_listener(params, &params_listener, picture);
	zwp_linux_buffer_params_v1_add(params, memory->fd, 0, 0, STRIDE, 0, 0);
	zwp_linux_buffer_params_v1_create(params, SIDE, SIDE, XR24, 0);
	while (picture->buffer == NULL) {
		wlb_dispatch(&sync->client);
	}
	zwp_linux_buffer_params_v1_destroy(params);
}

static void create_layer(struct sync *sync, struct wl_surface *surface, struct layer *layer) {
	layer->surface = surface;
	layer->proxy = wp_linux_drm_syncobj_manager_v1_get_surface(sync->manager, surface);
	create_timeline(sync, &layer->release);
}

static void open_sync(struct sync *sync, const char *app_id) {
	struct wanted wanted[] = { { &zwp_linux_dmabuf_v1_interface, 3, NULL },
		{ &wp_linux_drm_syncobj_manager_v1_interface, 1, NULL } };
	wlb_client_open(&sync->client);
	globals_need(&sync->client, wanted, 2);
	sync->dmabuf = wanted[0].proxy;
	sync->manager = wanted[1].proxy;
	wlb_window_open(&sync->client, app_id, &sync->window);
	open_node(sync);
	create_timeline(sync, &sync->acquire);
	create_timeline(sync, &sync->late);
	create_layer(sync, sync->window.surface, &sync->window_layer);
	for (uint32_t i = 0; i < PICTURES; i++) {
		create_memory(&sync->memory[i]);
		create_picture(sync, i);
	}
}

static void say_done(void *data, struct wl_callback *callback, uint32_t time) {
	(void)time;
	*(bool *)data = true;
	wl_callback_destroy(callback);
}

static const struct wl_callback_listener frame_listener = { .done = say_done };

/* Commits the picture with the next points, the first of them of `acquire`. Returns their number. */
static uint64_t commit_for(
	struct sync *sync, const struct timeline *acquire, const struct layer *layer, uint32_t index) {
	uint32_t point = (uint32_t)++sync->point;
	wp_linux_drm_syncobj_surface_v1_set_acquire_point(layer->proxy, acquire->proxy, 0, point);
	wp_linux_drm_syncobj_surface_v1_set_release_point(layer->proxy, layer->release.proxy, 0, point);
	wlb_attach(layer->surface, &sync->pictures[index]);
	wl_surface_commit(layer->surface);
	wlb_flush(&sync->client);
	return point;
}

static uint64_t commit(struct sync *sync, const struct layer *layer, uint32_t index) {
	return commit_for(sync, &sync->acquire, layer, index);
}

/* *is_shown gets true with the frame of the window's next commit. */
static void request_frame(struct wl_surface *surface, bool *is_shown) {
	*is_shown = false;
	wl_callback_add_listener(wl_surface_frame(surface), &frame_listener, is_shown);
}

static void draw(struct sync *sync, uint32_t index) {
	paint(&sync->memory[index], &sync->pictures[index], index);
	signal_drawn(sync, &sync->acquire, sync->point);
}

static void await_frame(struct sync *sync, const bool *is_shown) {
	while (!*is_shown) {
		wlb_dispatch(&sync->client);
	}
}

static uint64_t show(struct sync *sync, uint32_t index) {
	bool is_shown;
	request_frame(sync->window.surface, &is_shown);
	uint64_t point = commit(sync, &sync->window_layer, index);
	draw(sync, index);
	await_frame(sync, &is_shown);
	return point;
}

/* Until the tester has looked at the screen. */
static void await_line(struct sync *sync) {
	char line[16];
	wlb_dispatch_until(&sync->client, STDIN_FILENO, -1);
	if (read(STDIN_FILENO, line, sizeof(line)) <= 0) {
		wlb_die("nobody waits any more");
	}
}

static void show_late(struct sync *sync, uint32_t index) {
	bool is_shown;
	request_frame(sync->window.surface, &is_shown);
	commit(sync, &sync->window_layer, index);
	printf("waiting\n");
	await_line(sync);
	if (is_shown) {
		wlb_die("a frame came before its picture");
	}
	draw(sync, index);
	await_frame(sync, &is_shown);
}

/* A window that waits for its picture holds up neither another one nor answers: it is drawn when they are there. */
static void show_other(struct sync *sync, const char *app_id) {
	struct wlb_window window;
	struct layer other = { 0 };
	bool is_shown, is_other_shown;
	wlb_window_open(&sync->client, app_id, &window);
	create_layer(sync, window.surface, &other);
	request_frame(sync->window.surface, &is_shown);
	uint64_t late = commit_for(sync, &sync->late, &sync->window_layer, 2);
	request_frame(window.surface, &is_other_shown);
	uint64_t early = commit(sync, &other, 3);
	draw(sync, 3);
	await_frame(sync, &is_other_shown);
	wlb_roundtrip(&sync->client);
	printf("other\n");
	await_line(sync);
	if (is_shown) {
		wlb_die("a frame came before its picture");
	}
	paint(&sync->memory[2], &sync->pictures[2], 2);
	signal_drawn(sync, &sync->late, late);
	await_frame(sync, &is_shown);
	printf("both\n");
	await_line(sync);
	wp_linux_drm_syncobj_surface_v1_destroy(other.proxy);
	wlb_window_close(&window);
	wlb_flush(&sync->client);
	await_release(sync, &other, early);
	show(sync, 1);
	await_release(sync, &sync->window_layer, late);
	wp_linux_drm_syncobj_timeline_v1_destroy(other.release.proxy);
}

/* A child's picture waits for its parent's commit: another that comes before that takes its place. */
static void show_child(struct sync *sync) {
	struct layer child = { 0 };
	bool is_shown;
	create_layer(sync, wl_compositor_create_surface(sync->client.compositor), &child);
	struct wl_subsurface *subsurface = wl_subcompositor_get_subsurface(
		sync->client.subcompositor, child.surface, sync->window.surface);
	uint64_t first = commit(sync, &child, 2);
	draw(sync, 2);
	uint64_t second = commit(sync, &child, 3);
	draw(sync, 3);
	await_release(sync, &child, first);
	request_frame(sync->window.surface, &is_shown);
	wl_surface_commit(sync->window.surface);
	await_frame(sync, &is_shown);
	if (is_released(sync, &child, second, 0)) {
		wlb_die("the child's buffer was released while it is on the screen");
	}
	wl_subsurface_destroy(subsurface);
	wl_surface_destroy(child.surface);
	wlb_flush(&sync->client);
	await_release(sync, &child, second);
	wp_linux_drm_syncobj_surface_v1_destroy(child.proxy);
	wp_linux_drm_syncobj_timeline_v1_destroy(child.release.proxy);
}

/* The wl_buffer may go before the compositor is done with what it stands for, and another have its id. */
static void destroy_early(struct sync *sync) {
	const struct layer *layer = &sync->window_layer;
	uint64_t early = show(sync, 0);
	wl_buffer_destroy(sync->pictures[0].buffer);
	create_picture(sync, 0);
	if (is_released(sync, layer, early, 0)) {
		wlb_die("a buffer was released that is on the screen");
	}
	show(sync, 1);
	await_release(sync, layer, early);
}

int main(int argc, char **argv) {
	static struct sync sync;
	const struct layer *layer = &sync.window_layer;
	setvbuf(stdout, NULL, _IOLBF, 0);
	const char *app_id = argc > 1 ? argv[1] : "neep-test-1";
	open_sync(&sync, app_id);
	uint64_t first = show(&sync, 0);
	printf("first\n");
	show_late(&sync, 1);
	printf("second\n");
	await_line(&sync);
	await_release(&sync, layer, first);
	show_other(&sync, app_id);
	show_child(&sync);
	destroy_early(&sync);
	uint64_t last = show(&sync, 0);
	show(&sync, 1);
	await_release(&sync, layer, last);
	printf("released\n");
	wlb_dispatch_until(&sync.client, STDIN_FILENO, -1);
	return 0;
}
