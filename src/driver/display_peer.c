#include "driver/display_peer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/virtio_gpu.h>

#include "driver/display_edid.h"
#include "util/checked.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"
#include "vhost_user/gpu_protocol.h"

/* Stock QEMU takes more; nothing honest sends it. */
#define SIDE_MAX 16384u

struct surface {
	uint32_t width, height;
	uint32_t *pixels;
};

struct neep_display_peer {
	pthread_t thread;
	bool has_thread;
	int wake_fd; // the thread looks at its orders
	pthread_mutex_t lock;
	/* Guarded by lock from here on. */
	pthread_cond_t changed; // stats, the connection, the orders
	int socket;             // closed by the thread only, and while it does not use it
	int next_socket;        // a connection that the thread shall take up
	bool shall_disconnect;
	bool shall_end;
	bool is_paused;
	struct neep_display_peer_stats stats;
	struct surface surfaces[NEEP_DISPLAY_PEER_OUTPUTS];
	struct virtio_gpu_resp_display_info info;
	struct neep_display_peer_cursor cursor;
};

static void set_mode(struct neep_display_peer *peer, uint32_t scanout_id, uint32_t width, uint32_t height) {
	struct virtio_gpu_display_one *one = &peer->info.pmodes[scanout_id];
	one->r.width = width;
	one->r.height = height;
	one->enabled = width > 0 && height > 0;
}

void neep_display_peer_set_mode(
	struct neep_display_peer *peer, uint32_t scanout_id, uint32_t width, uint32_t height) {
	pthread_mutex_lock(&peer->lock);
	set_mode(peer, scanout_id, width, height);
	pthread_mutex_unlock(&peer->lock);
}

/* ---- reading, on the thread ---- */

/* Why reading ended early: an order, or the far end. */
static bool is_ordered(struct neep_display_peer *peer) {
	return peer->shall_end || peer->shall_disconnect || peer->next_socket >= 0;
}

/* Sleeps until the socket is readable. Returns 0, or -ECANCELED when there are orders. */
static int await_bytes(struct neep_display_peer *peer) {
	for (;;) {
		pthread_mutex_lock(&peer->lock);
		bool leave = is_ordered(peer);
		bool is_paused = peer->is_paused;
		pthread_mutex_unlock(&peer->lock);
		if (leave) {
			return -ECANCELED;
		}
		struct pollfd pollers[] = {
			{ .fd = peer->wake_fd, .events = POLLIN },
			{ .fd = is_paused ? -1 : peer->socket, .events = POLLIN },
		};
		if (poll(pollers, 2, -1) < 0) {
			continue;
		}
		if (pollers[0].revents != 0) {
			neep_eventfd_drain(peer->wake_fd);
		} else if (pollers[1].revents != 0) {
			return 0;
		}
	}
}

/* One receive that does not sleep. Returns bytes > 0, or a negative errno; -EPIPE is the end. */
static int64_t receive_some(struct neep_display_peer *peer, struct iovec *iov, size_t count) {
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t got = recvmsg(peer->socket, &msg, MSG_DONTWAIT);
	if (got == 0) {
		return -EPIPE;
	}
	return got < 0 ? -errno : got;
}

static int read_exactly(struct neep_display_peer *peer, void *buf, size_t len) {
	size_t done = 0;
	while (done < len) {
		int result = await_bytes(peer);
		if (result < 0) {
			return result;
		}
		struct iovec iov = { .iov_base = (char *)buf + done, .iov_len = len - done };
		int64_t got = receive_some(peer, &iov, 1);
		if (got < 0 && got != -EAGAIN && got != -EINTR) {
			return (int)got;
		}
		done += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static int skip(struct neep_display_peer *peer, uint64_t len) {
	char waste[16384];
	int result = 0;
	while (result == 0 && len > 0) {
		size_t part = len < sizeof(waste) ? (size_t)len : sizeof(waste);
		result = read_exactly(peer, waste, part);
		len -= part;
	}
	return result;
}

static int refuse(struct neep_display_peer *peer, uint64_t payload_left) {
	pthread_mutex_lock(&peer->lock);
	peer->stats.errors++;
	pthread_mutex_unlock(&peer->lock);
	return skip(peer, payload_left);
}

static int reply(struct neep_display_peer *peer, uint32_t request, const void *payload, size_t len) {
	char buf[sizeof(struct neep_gpu_header) + NEEP_GPU_EDID_SIZE];
	struct neep_gpu_header header = {
		.request = request,
		.flags = NEEP_GPU_FLAG_REPLY,
		.size = (uint32_t)len,
	};
	memcpy(buf, &header, sizeof(header));
	memcpy(buf + sizeof(header), payload, len);
	struct neep_send send = { .buf = buf, .len = sizeof(header) + len };
	pthread_mutex_lock(&peer->lock);
	peer->stats.queries++;
	pthread_mutex_unlock(&peer->lock);
	return neep_send_all(peer->socket, &send);
}

/* ---- messages ---- */

static int on_get_features(struct neep_display_peer *peer) {
	uint64_t features = UINT64_C(1) << NEEP_GPU_PROTOCOL_F_EDID;
	return reply(peer, NEEP_GPU_GET_PROTOCOL_FEATURES, &features, sizeof(features));
}

static int on_display_info(struct neep_display_peer *peer) {
	pthread_mutex_lock(&peer->lock);
	struct virtio_gpu_resp_display_info info = peer->info;
	pthread_mutex_unlock(&peer->lock);
	info.hdr.type = VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
	return reply(peer, NEEP_GPU_GET_DISPLAY_INFO, &info, sizeof(info));
}

static int on_edid(struct neep_display_peer *peer, uint32_t size) {
	struct neep_gpu_edid_request request;
	if (size != sizeof(request)) {
		return refuse(peer, size);
	}
	int result = read_exactly(peer, &request, sizeof(request));
	if (result < 0) {
		return result;
	}
	if (request.scanout_id >= NEEP_DISPLAY_PEER_OUTPUTS) {
		/* QEMU does not answer this either. */
		return refuse(peer, 0);
	}
	pthread_mutex_lock(&peer->lock);
	struct virtio_gpu_rect mode = peer->info.pmodes[request.scanout_id].r;
	pthread_mutex_unlock(&peer->lock);
	struct virtio_gpu_resp_edid edid = {
		.hdr.type = VIRTIO_GPU_RESP_OK_EDID,
		.size = sizeof(edid.edid),
	};
	neep_display_edid_fill(edid.edid, mode.width, mode.height);
	return reply(peer, NEEP_GPU_GET_EDID, &edid, sizeof(edid));
}

static bool resize(struct surface *surface, uint32_t width, uint32_t height) {
	if (surface->width == width && surface->height == height) {
		return true;
	}
	free(surface->pixels);
	*surface = (struct surface){ 0 };
	if (width == 0) {
		return true;
	}
	surface->pixels = calloc((size_t)width * height, sizeof(*surface->pixels));
	if (surface->pixels == NULL) {
		return false;
	}
	surface->width = width;
	surface->height = height;
	return true;
}

static int on_scanout(struct neep_display_peer *peer, uint32_t size) {
	struct neep_gpu_scanout scanout;
	if (size != sizeof(scanout)) {
		return refuse(peer, size);
	}
	int result = read_exactly(peer, &scanout, sizeof(scanout));
	if (result < 0) {
		return result;
	}
	pthread_mutex_lock(&peer->lock);
	bool is_good = scanout.scanout_id < NEEP_DISPLAY_PEER_OUTPUTS && scanout.width <= SIDE_MAX &&
		       scanout.height <= SIDE_MAX && (scanout.width == 0) == (scanout.height == 0) &&
		       resize(&peer->surfaces[scanout.scanout_id], scanout.width, scanout.height);
	peer->stats.scanouts++;
	peer->stats.errors += !is_good;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

/* Where the next pixels of an update go. */
struct span {
	struct surface *surface;
	struct neep_gpu_update_header rect;
	uint64_t done; // bytes
};

#define SPAN_ROWS 256
static size_t span_iovecs(const struct span *span, struct iovec iov[static SPAN_ROWS]) {
	size_t row_len = span->rect.width * sizeof(uint32_t);
	uint64_t row = span->done / row_len;
	size_t skipped = span->done % row_len;
	size_t count = 0;
	while (count < SPAN_ROWS && row < span->rect.height) {
		uint32_t *start =
			span->surface->pixels + (span->rect.y + row) * span->surface->width + span->rect.x;
		iov[count++] = (struct iovec){
			.iov_base = (char *)start + skipped,
			.iov_len = row_len - skipped,
		};
		skipped = 0;
		row++;
	}
	return count;
}

/* Straight into the surface. The lock is held over receives that do not sleep, so that readers see whole words. */
static int read_pixels(struct neep_display_peer *peer, struct span *span) {
	uint64_t len = (uint64_t)span->rect.width * span->rect.height * sizeof(uint32_t);
	while (span->done < len) {
		int result = await_bytes(peer);
		if (result < 0) {
			return result;
		}
		struct iovec iov[SPAN_ROWS];
		pthread_mutex_lock(&peer->lock);
		int64_t got = receive_some(peer, iov, span_iovecs(span, iov));
		pthread_mutex_unlock(&peer->lock);
		if (got < 0 && got != -EAGAIN && got != -EINTR) {
			return (int)got;
		}
		span->done += got > 0 ? (uint64_t)got : 0;
	}
	return 0;
}

static bool is_inside(const struct surface *surface, const struct neep_gpu_update_header *rect) {
	return rect->width > 0 && rect->height > 0 &&
	       neep_range_within(rect->x, rect->width, surface->width) &&
	       neep_range_within(rect->y, rect->height, surface->height);
}

static int on_update(struct neep_display_peer *peer, uint32_t size) {
	struct span span = { 0 };
	if (size < sizeof(span.rect)) {
		return refuse(peer, size);
	}
	int result = read_exactly(peer, &span.rect, sizeof(span.rect));
	if (result < 0) {
		return result;
	}
	uint64_t payload = size - sizeof(span.rect);
	if (span.rect.scanout_id >= NEEP_DISPLAY_PEER_OUTPUTS) {
		return refuse(peer, payload);
	}
	/* Only this thread changes surfaces. */
	span.surface = &peer->surfaces[span.rect.scanout_id];
	uint64_t pixels = (uint64_t)span.rect.width * span.rect.height;
	if (!is_inside(span.surface, &span.rect) || payload != pixels * sizeof(uint32_t)) {
		return refuse(peer, payload);
	}
	result = read_pixels(peer, &span);
	if (result < 0) {
		return result;
	}
	pthread_mutex_lock(&peer->lock);
	peer->stats.updates++;
	peer->stats.update_pixels += pixels;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

static int on_cursor_pos(struct neep_display_peer *peer, uint32_t size, bool is_visible) {
	struct neep_gpu_cursor_pos pos;
	if (size != sizeof(pos)) {
		return refuse(peer, size);
	}
	int result = read_exactly(peer, &pos, sizeof(pos));
	if (result < 0) {
		return result;
	}
	pthread_mutex_lock(&peer->lock);
	peer->cursor.scanout_id = pos.scanout_id;
	peer->cursor.x = pos.x;
	peer->cursor.y = pos.y;
	peer->cursor.is_visible = is_visible;
	peer->stats.cursor_moves++;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

static int on_cursor_update(struct neep_display_peer *peer, uint32_t size) {
	struct neep_gpu_cursor_update update;
	if (size != sizeof(update)) {
		return refuse(peer, size);
	}
	int result = read_exactly(peer, &update, sizeof(update));
	if (result < 0) {
		return result;
	}
	pthread_mutex_lock(&peer->lock);
	peer->cursor.scanout_id = update.pos.scanout_id;
	peer->cursor.x = update.pos.x;
	peer->cursor.y = update.pos.y;
	peer->cursor.hot_x = update.hot_x;
	peer->cursor.hot_y = update.hot_y;
	peer->cursor.is_visible = true;
	memcpy(peer->cursor.argb, update.argb, sizeof(update.argb));
	peer->stats.cursor_updates++;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

/* DMABUF2 is not offered, but DMABUF_SCANOUT needs no leave: its fds are dropped by the kernel, as nobody asks for them. */
static int on_dmabuf(struct neep_display_peer *peer, const struct neep_gpu_header *header) {
	pthread_mutex_lock(&peer->lock);
	peer->stats.dmabuf_messages++;
	pthread_mutex_unlock(&peer->lock);
	int result = skip(peer, header->size);
	if (result < 0 || header->request != NEEP_GPU_DMABUF_UPDATE) {
		return result;
	}
	return reply(peer, NEEP_GPU_DMABUF_UPDATE, "", 0);
}

static int dispatch(struct neep_display_peer *peer, const struct neep_gpu_header *header) {
	switch (header->request) {
	case NEEP_GPU_GET_PROTOCOL_FEATURES:
		return header->size == 0 ? on_get_features(peer) : refuse(peer, header->size);
	case NEEP_GPU_SET_PROTOCOL_FEATURES:
		return skip(peer, header->size);
	case NEEP_GPU_GET_DISPLAY_INFO:
		return header->size == 0 ? on_display_info(peer) : refuse(peer, header->size);
	case NEEP_GPU_GET_EDID:
		return on_edid(peer, header->size);
	case NEEP_GPU_SCANOUT:
		return on_scanout(peer, header->size);
	case NEEP_GPU_UPDATE:
		return on_update(peer, header->size);
	case NEEP_GPU_CURSOR_POS:
	case NEEP_GPU_CURSOR_POS_HIDE:
		return on_cursor_pos(peer, header->size, header->request == NEEP_GPU_CURSOR_POS);
	case NEEP_GPU_CURSOR_UPDATE:
		return on_cursor_update(peer, header->size);
	case NEEP_GPU_DMABUF_SCANOUT:
	case NEEP_GPU_DMABUF_SCANOUT2:
	case NEEP_GPU_DMABUF_UPDATE:
		return on_dmabuf(peer, header);
	default:
		return refuse(peer, header->size);
	}
}

/* ---- the thread ---- */

static int serve_message(struct neep_display_peer *peer) {
	struct neep_gpu_header header;
	int result = read_exactly(peer, &header, sizeof(header));
	return result < 0 ? result : dispatch(peer, &header);
}

static void drop_connection(struct neep_display_peer *peer) {
	neep_close_fd(&peer->socket);
	for (size_t i = 0; i < NEEP_DISPLAY_PEER_OUTPUTS; i++) {
		resize(&peer->surfaces[i], 0, 0);
	}
}

/* Obeys what was ordered. Returns false to end. */
static bool obey(struct neep_display_peer *peer) {
	pthread_mutex_lock(&peer->lock);
	if (is_ordered(peer)) {
		drop_connection(peer);
	}
	peer->shall_disconnect = false;
	if (peer->next_socket >= 0) {
		peer->socket = neep_steal_fd(&peer->next_socket);
	}
	bool goes_on = !peer->shall_end;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	return goes_on;
}

static void *run(void *data) {
	struct neep_display_peer *peer = data;
	while (obey(peer)) {
		/* Without a socket this sleeps until there are orders. */
		int result = serve_message(peer);
		if (result < 0 && result != -ECANCELED) {
			pthread_mutex_lock(&peer->lock);
			drop_connection(peer);
			pthread_cond_broadcast(&peer->changed);
			pthread_mutex_unlock(&peer->lock);
		}
	}
	return NULL;
}

static void init_lock(struct neep_display_peer *peer) {
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&peer->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&peer->lock, NULL);
}

struct neep_display_peer *neep_display_peer_create(
	uint32_t width, uint32_t height, struct neep_error *error) {
	struct neep_display_peer *peer = calloc(1, sizeof(*peer));
	if (peer == NULL) {
		neep_error_set(error, ENOMEM, "display peer");
		return NULL;
	}
	peer->socket = -1;
	peer->next_socket = -1;
	init_lock(peer);
	set_mode(peer, 0, width, height);
	peer->wake_fd = neep_eventfd_create();
	int result = peer->wake_fd < 0 ? -peer->wake_fd : pthread_create(&peer->thread, NULL, run, peer);
	peer->has_thread = result == 0;
	if (result != 0) {
		neep_error_set(error, result, "display peer");
		neep_display_peer_destroy(peer);
		return NULL;
	}
	return peer;
}

static void end_thread(struct neep_display_peer *peer) {
	if (!peer->has_thread) {
		return;
	}
	pthread_mutex_lock(&peer->lock);
	peer->shall_end = true;
	pthread_mutex_unlock(&peer->lock);
	neep_eventfd_signal(peer->wake_fd);
	pthread_join(peer->thread, NULL);
}

void neep_display_peer_destroy(struct neep_display_peer *peer) {
	if (peer == NULL) {
		return;
	}
	end_thread(peer);
	drop_connection(peer);
	neep_close_fd(&peer->next_socket);
	neep_close_fd(&peer->wake_fd);
	pthread_cond_destroy(&peer->changed);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

int neep_display_peer_connect(struct neep_display_peer *peer) {
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	pthread_mutex_lock(&peer->lock);
	peer->next_socket = pair[0];
	neep_eventfd_signal(peer->wake_fd);
	while (peer->next_socket >= 0) {
		pthread_cond_wait(&peer->changed, &peer->lock);
	}
	pthread_mutex_unlock(&peer->lock);
	return pair[1];
}

void neep_display_peer_disconnect(struct neep_display_peer *peer) {
	pthread_mutex_lock(&peer->lock);
	peer->shall_disconnect = true;
	neep_eventfd_signal(peer->wake_fd);
	while (peer->shall_disconnect) {
		pthread_cond_wait(&peer->changed, &peer->lock);
	}
	pthread_mutex_unlock(&peer->lock);
}

void neep_display_peer_pause(struct neep_display_peer *peer, bool pause) {
	pthread_mutex_lock(&peer->lock);
	peer->is_paused = pause;
	pthread_mutex_unlock(&peer->lock);
	neep_eventfd_signal(peer->wake_fd);
}

/* ---- looking ---- */

struct neep_display_peer_stats neep_display_peer_stats(struct neep_display_peer *peer) {
	pthread_mutex_lock(&peer->lock);
	struct neep_display_peer_stats stats = peer->stats;
	pthread_mutex_unlock(&peer->lock);
	return stats;
}

int neep_display_peer_wait_updates(struct neep_display_peer *peer, uint64_t updates, int64_t timeout_ns) {
	int64_t deadline = neep_clock_ns() + timeout_ns;
	struct timespec until = { .tv_sec = deadline / NEEP_NS_PER_S, .tv_nsec = deadline % NEEP_NS_PER_S };
	int result = 0;
	pthread_mutex_lock(&peer->lock);
	while (result == 0 && peer->stats.updates < updates) {
		result = peer->socket < 0 ? EPIPE
					  : pthread_cond_timedwait(&peer->changed, &peer->lock, &until);
	}
	pthread_mutex_unlock(&peer->lock);
	return -result;
}

void neep_display_peer_surface_size(
	struct neep_display_peer *peer, uint32_t scanout_id, uint32_t *width, uint32_t *height) {
	pthread_mutex_lock(&peer->lock);
	*width = peer->surfaces[scanout_id].width;
	*height = peer->surfaces[scanout_id].height;
	pthread_mutex_unlock(&peer->lock);
}

uint32_t neep_display_peer_pixel(
	struct neep_display_peer *peer, uint32_t scanout_id, uint32_t x, uint32_t y) {
	pthread_mutex_lock(&peer->lock);
	const struct surface *surface = &peer->surfaces[scanout_id];
	bool is_there = x < surface->width && y < surface->height;
	uint32_t pixel = is_there ? surface->pixels[(size_t)y * surface->width + x] : 0;
	pthread_mutex_unlock(&peer->lock);
	return pixel;
}

int64_t neep_display_peer_read(struct neep_display_peer *peer, uint32_t scanout_id, void *out, size_t len) {
	pthread_mutex_lock(&peer->lock);
	const struct surface *surface = &peer->surfaces[scanout_id];
	size_t size = (size_t)surface->width * surface->height * sizeof(uint32_t);
	int64_t result = size == 0 ? -ENOENT : size > len ? -ENOSPC : (int64_t)size;
	if (result > 0) {
		memcpy(out, surface->pixels, size);
	}
	pthread_mutex_unlock(&peer->lock);
	return result;
}

void neep_display_peer_get_cursor(struct neep_display_peer *peer, struct neep_display_peer_cursor *cursor) {
	pthread_mutex_lock(&peer->lock);
	*cursor = peer->cursor;
	pthread_mutex_unlock(&peer->lock);
}
