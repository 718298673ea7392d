/* What a plain Wayland client needs: a connection with its globals, shared memory, pictures in it, windows. It knows nothing of
 * neep: neep-bench-wayland and the programs of tests/wayland are made of it, which run natively and through neep.
 *
 * Whatever goes wrong ends the program with a line on stderr: a result of a half-failed run is worth nothing. One thread. */
#ifndef NEEP_WLBENCH_WLB_H
#define NEEP_WLBENCH_WLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wayland-client.h>

#include "viewporter-client.h"
#include "xdg-shell-client.h"

#define WLB_STATUS_CLOSED 3 // exit status when the compositor has closed the connection

/* Ends the program with a message and status 1. */
_Noreturn void wlb_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t wlb_now(void);

/* ---- connection ---- */

/* Globals that the compositor lacks are NULL. */
struct wlb_client {
	struct wl_display *display;
	struct wl_registry *registry;
	struct wl_compositor *compositor;
	struct wl_subcompositor *subcompositor;
	struct wl_shm *shm;
	struct wp_viewporter *viewporter;
	struct xdg_wm_base *shell;
	struct wl_seat *seat;
	struct wl_data_device_manager *data_devices;
};

/* Connects as libwayland's environment says. */
void wlb_client_open(struct wlb_client *client);
void wlb_client_close(struct wlb_client *client);

/* Each ends the program when the connection is lost, with WLB_STATUS_CLOSED where the compositor has closed it. */
void wlb_dispatch(struct wlb_client *client);
void wlb_roundtrip(struct wlb_client *client);

/* Returns when all requests are in the socket. libwayland ends programs that pile up more than it holds. */
void wlb_flush(struct wlb_client *client);

/* Dispatches until `fd` can be read or has ended; -1 as timeout_ms is no limit. Returns false when time is up. */
bool wlb_dispatch_until(struct wlb_client *client, int fd, int timeout_ms);

/* ---- memory and pictures ---- */

/* A pool of shared memory, on both sides. */
struct wlb_memory {
	int fd;
	uint8_t *data;
	size_t size; // bytes
	struct wl_shm_pool *pool;
};

void wlb_memory_create(struct wlb_client *client, size_t size, struct wlb_memory *memory);

/* The same, on a file of the caller's, of at least `size` bytes. Takes owned_fd. */
void wlb_memory_create_on(struct wlb_client *client, int owned_fd, size_t size, struct wlb_memory *memory);

/* To a larger size; pictures in it are to be looked up anew with wlb_picture_data. */
void wlb_memory_grow(struct wlb_memory *memory, size_t size);

/* Pictures in it may live on, but cannot be drawn any more. */
void wlb_memory_destroy(struct wlb_memory *memory);

struct wlb_shape {
	size_t offset; // into the memory, bytes
	int32_t width; // pixels
	int32_t height;
	int32_t stride; // bytes
	enum wl_shm_format format;
};

struct wlb_picture {
	struct wlb_shape shape;
	struct wl_buffer *buffer;
	bool is_busy; // attached, and not released yet: what attaches it says so
};

void wlb_picture_create(
	const struct wlb_memory *memory, const struct wlb_shape *shape, struct wlb_picture *picture);
void wlb_picture_destroy(struct wlb_picture *picture);

static inline uint8_t *wlb_picture_data(const struct wlb_memory *memory, const struct wlb_picture *picture) {
	return memory->data + picture->shape.offset;
}

/* ---- windows ---- */

struct wlb_window {
	struct wl_surface *surface;
	struct xdg_surface *shell_surface;
	struct xdg_toplevel *toplevel;
	bool is_configured;
};

/* A top-level window, ready for its first buffer. It keeps its size, whatever the compositor wishes. What was requested of its
 * surface may be committed whenever events are dispatched. */
void wlb_window_open(struct wlb_client *client, const char *app_id, struct wlb_window *window);
void wlb_window_close(struct wlb_window *window);

/* Attaches the picture at the window's place, damaged as a whole, without a commit. */
void wlb_attach(struct wl_surface *surface, struct wlb_picture *picture);

/* Commits, and returns when the compositor asks for the next frame. */
void wlb_commit_and_wait(struct wlb_client *client, struct wl_surface *surface);

#endif
