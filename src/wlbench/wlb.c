#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "wlb.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

void wlb_die(const char *format, ...) {
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

int64_t wlb_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* ---- connection ---- */

static void answer_ping(void *data, struct xdg_wm_base *shell, uint32_t serial) {
	(void)data;
	xdg_wm_base_pong(shell, serial);
}

static const struct xdg_wm_base_listener shell_listener = { .ping = answer_ping };

#define GLOBAL(member, type, version) \
	{ &type##_interface, version, offsetof(struct wlb_client, member) }

static const struct global {
	const struct wl_interface *interface;
	uint32_t version; // the newest that is understood here
	size_t offset;    // of the pointer in struct wlb_client
} globals[] = {
	GLOBAL(compositor, wl_compositor, 4),
	GLOBAL(subcompositor, wl_subcompositor, 1),
	GLOBAL(shm, wl_shm, 1),
	GLOBAL(viewporter, wp_viewporter, 1),
	GLOBAL(shell, xdg_wm_base, 1),
	GLOBAL(seat, wl_seat, 5),
	GLOBAL(data_devices, wl_data_device_manager, 3),
};
#define GLOBAL_COUNT (sizeof(globals) / sizeof(*globals))

static void add_global(
	void *data, struct wl_registry *registry, uint32_t name, const char *interface, uint32_t version) {
	for (size_t i = 0; i < GLOBAL_COUNT; i++) {
		const struct global *global = &globals[i];
		if (strcmp(interface, global->interface->name) == 0) {
			void *proxy = wl_registry_bind(registry, name, global->interface,
				version < global->version ? version : global->version);
			memcpy((char *)data + global->offset, &proxy, sizeof(proxy));
		}
	}
}

static void remove_global(void *data, struct wl_registry *registry, uint32_t name) {
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener registry_listener = { add_global, remove_global };

void wlb_client_open(struct wlb_client *client) {
	*client = (struct wlb_client){ .display = wl_display_connect(NULL) };
	if (client->display == NULL) {
		wlb_die("no compositor: %s", strerror(errno));
	}
	client->registry = wl_display_get_registry(client->display);
	wl_registry_add_listener(client->registry, &registry_listener, client);
	wlb_roundtrip(client);
	if (client->compositor == NULL || client->shm == NULL || client->shell == NULL) {
		wlb_die("the compositor lacks wl_compositor, wl_shm or xdg_wm_base");
	}
	xdg_wm_base_add_listener(client->shell, &shell_listener, client);
}

void wlb_client_close(struct wlb_client *client) {
	wl_display_disconnect(client->display);
	client->display = NULL;
}

static _Noreturn void die_of_connection(struct wlb_client *client) {
	int error = wl_display_get_error(client->display);
	if (error == EPROTO) {
		const struct wl_interface *interface = NULL;
		uint32_t id = 0;
		uint32_t code = wl_display_get_protocol_error(client->display, &interface, &id);
		wlb_die("protocol error %u of %s#%u", code, interface != NULL ? interface->name : "?", id);
	}
	fprintf(stderr, "the connection is lost: %s\n", strerror(error));
	exit(WLB_STATUS_CLOSED);
}

void wlb_dispatch(struct wlb_client *client) {
	if (wl_display_dispatch(client->display) < 0) {
		die_of_connection(client);
	}
}

void wlb_roundtrip(struct wlb_client *client) {
	if (wl_display_roundtrip(client->display) < 0) {
		die_of_connection(client);
	}
}

void wlb_flush(struct wlb_client *client) {
	while (wl_display_flush(client->display) < 0) {
		if (errno != EAGAIN) {
			die_of_connection(client);
		}
		struct pollfd fd = { .fd = wl_display_get_fd(client->display), .events = POLLOUT };
		poll(&fd, 1, -1);
	}
}

static int remaining_ms(int64_t limit_ns) {
	int64_t left = limit_ns - wlb_now();
	return left > 0 ? (int)((left + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* What has arrived is handled, and what is to be sent is; then somebody may read. */
static void prepare_read(struct wlb_client *client) {
	while (wl_display_prepare_read(client->display) != 0) {
		if (wl_display_dispatch_pending(client->display) < 0) {
			die_of_connection(client);
		}
	}
	if (wl_display_flush(client->display) < 0 && errno != EAGAIN) {
		die_of_connection(client);
	}
}

/* All that comes may be for a queue of the Vulkan driver's, so that nothing here waits for what is for this one. */
bool wlb_dispatch_until(struct wlb_client *client, int fd, int timeout_ms) {
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
		{ .fd = wl_display_get_fd(client->display), .events = POLLIN } };
	int64_t limit_ns = wlb_now() + timeout_ms * NS_PER_MS;
	while (true) {
		prepare_read(client);
		int count = poll(fds, 2, timeout_ms < 0 ? -1 : remaining_ms(limit_ns));
		if (count <= 0 || fds[1].revents == 0) {
			wl_display_cancel_read(client->display);
		} else if (wl_display_read_events(client->display) < 0) {
			die_of_connection(client);
		}
		if (count > 0 && fds[0].revents != 0) {
			return true;
		}
		if (count == 0) {
			return false;
		}
	}
}

/* ---- memory and pictures ---- */

static uint8_t *map(int fd, size_t size) {
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED) {
		wlb_die("%zu bytes cannot be mapped: %s", size, strerror(errno));
	}
	return data;
}

void wlb_memory_create_on(struct wlb_client *client, int owned_fd, size_t size, struct wlb_memory *memory) {
	*memory = (struct wlb_memory){
		.fd = owned_fd,
		.data = map(owned_fd, size),
		.size = size,
		.pool = wl_shm_create_pool(client->shm, owned_fd, (int32_t)size),
	};
}

/* Sealed as toolkits do it: GTK 4, Qt 6, weston's clients and libwayland-cursor. */
void wlb_memory_create(struct wlb_client *client, size_t size, struct wlb_memory *memory) {
	int fd = memfd_create("picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
		wlb_die("no memory of %zu bytes: %s", size, strerror(errno));
	}
	wlb_memory_create_on(client, fd, size, memory);
}

void wlb_memory_grow(struct wlb_memory *memory, size_t size) {
	munmap(memory->data, memory->size);
	if (ftruncate(memory->fd, (off_t)size) < 0) {
		wlb_die("no memory of %zu bytes: %s", size, strerror(errno));
	}
	memory->data = map(memory->fd, size);
	memory->size = size;
	wl_shm_pool_resize(memory->pool, (int32_t)size);
}

void wlb_memory_destroy(struct wlb_memory *memory) {
	wl_shm_pool_destroy(memory->pool);
	munmap(memory->data, memory->size);
	close(memory->fd);
	*memory = (struct wlb_memory){ .fd = -1 };
}

static void release_picture(void *data, struct wl_buffer *buffer) {
	struct wlb_picture *picture = data;
	(void)buffer;
	picture->is_busy = false;
}

static const struct wl_buffer_listener picture_listener = { .release = release_picture };

void wlb_picture_create(
	const struct wlb_memory *memory, const struct wlb_shape *shape, struct wlb_picture *picture) {
	*picture = (struct wlb_picture){
		.shape = *shape,
		.buffer = wl_shm_pool_create_buffer(memory->pool, (int32_t)shape->offset, shape->width,
			shape->height, shape->stride, shape->format),
	};
	wl_buffer_add_listener(picture->buffer, &picture_listener, picture);
}

void wlb_picture_destroy(struct wlb_picture *picture) {
	wl_buffer_destroy(picture->buffer);
	picture->buffer = NULL;
}

/* ---- windows ---- */

static void configure_surface(void *data, struct xdg_surface *surface, uint32_t serial) {
	struct wlb_window *window = data;
	xdg_surface_ack_configure(surface, serial);
	/* Compositors hold back what they show until the answer is committed, too. */
	if (window->is_configured) {
		wl_surface_commit(window->surface);
	}
	window->is_configured = true;
}

static const struct xdg_surface_listener surface_listener = { .configure = configure_surface };

static void configure_toplevel(
	void *data, struct xdg_toplevel *toplevel, int32_t width, int32_t height, struct wl_array *states) {
	(void)data;
	(void)toplevel;
	(void)width;
	(void)height;
	(void)states;
}

static void close_toplevel(void *data, struct xdg_toplevel *toplevel) {
	(void)data;
	(void)toplevel;
}

static const struct xdg_toplevel_listener toplevel_listener = {
	.configure = configure_toplevel,
	.close = close_toplevel,
};

void wlb_window_open(struct wlb_client *client, const char *app_id, struct wlb_window *window) {
	*window = (struct wlb_window){ .surface = wl_compositor_create_surface(client->compositor) };
	window->shell_surface = xdg_wm_base_get_xdg_surface(client->shell, window->surface);
	xdg_surface_add_listener(window->shell_surface, &surface_listener, window);
	window->toplevel = xdg_surface_get_toplevel(window->shell_surface);
	xdg_toplevel_add_listener(window->toplevel, &toplevel_listener, window);
	xdg_toplevel_set_app_id(window->toplevel, app_id);
	wl_surface_commit(window->surface);
	while (!window->is_configured) {
		wlb_dispatch(client);
	}
}

void wlb_window_close(struct wlb_window *window) {
	xdg_toplevel_destroy(window->toplevel);
	xdg_surface_destroy(window->shell_surface);
	wl_surface_destroy(window->surface);
	*window = (struct wlb_window){ 0 };
}

void wlb_attach(struct wl_surface *surface, struct wlb_picture *picture) {
	wl_surface_attach(surface, picture->buffer, 0, 0);
	wl_surface_damage_buffer(surface, 0, 0, picture->shape.width, picture->shape.height);
	picture->is_busy = true;
}

static void finish_wait(void *data, struct wl_callback *callback, uint32_t time) {
	bool *is_done = data;
	(void)time;
	wl_callback_destroy(callback);
	*is_done = true;
}

static const struct wl_callback_listener wait_listener = { .done = finish_wait };

void wlb_commit_and_wait(struct wlb_client *client, struct wl_surface *surface) {
	bool is_done = false;
	wl_callback_add_listener(wl_surface_frame(surface), &wait_listener, &is_done);
	wl_surface_commit(surface);
	while (!is_done) {
		wlb_dispatch(client);
	}
}
