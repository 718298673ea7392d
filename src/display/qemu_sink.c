#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "display/damage.h"
#include "display/qemu_queries.h"
#include "display/scanout.h"
#include "display/sinks.h"
#include "util/checked.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "vhost_user/gpu_socket.h"

/* Theory of operation
 *
 * Damage goes out as updates that the socket reads straight from the guest's image. While one is being written, later
 * damage gathers in `pending` and goes out afterwards: a slow display sees fewer, never older, frames. When an image is
 * about to change (settle), the socket copies what it has not written of it (and sees to what it has written by
 * reference), and what is pending there moves to a shadow of ours, from where it is sent first.
 *
 * While something is pending the sink is behind, and the device holds back its answers to flushes: a guest that draws
 * faster than the display reads is slowed down instead of drawing frames that nobody sees. A display that does not read
 * for PATIENCE_NS slows nobody down any more, until it reads again.
 *
 * QEMU knows nothing after a new socket: the sizes, the whole of every scanout and the cursors are sent again. */

/* Asked for; the kernel gives what net.core.wmem_max allows. The display reads on while the next transfer runs, and both
 * sides sleep less often: every sleep costs a wake-up. */
#define SEND_BUFFER (1 << 20)

/* As long as Linux waits for a display to take a frame. */
#define PATIENCE_NS (50 * NEEP_NS_PER_MS)

struct qemu_scanout {
	struct neep_scanout base;
	uint32_t sent_width, sent_height; // of the surface at the far side; 0: none
	struct neep_damage pending;       // flushed, not sent; the pixels are in the image
	struct neep_damage saved;         // the same, older; the pixels are in the shadow
	struct neep_image *shadow;        // B8G8R8X8; NULL: not needed yet
	bool is_cursor_sent;              // the far side has the image of the cursor
};

struct qemu_sink {
	struct neep_sink base;
	struct neep_gpu_socket_owner owner;
	struct neep_loop *loop;
	struct neep_gpu_socket *socket; // NULL: none
	bool is_ready;
	bool is_held;  // no update is to be started now
	bool is_stuck; // the display has not read for long
	struct neep_timer patience;
	uint32_t turn; // the scanout to look at first, so that all get their share
	struct qemu_scanout scanouts[NEEP_SCANOUTS_MAX];
	struct neep_image *writing; // what the update being written reads, a reference; NULL: nothing of ours
	uint8_t *converted;         // pixels of the update being written, when they had to be converted
	size_t converted_size;
	struct qemu_queries queries;
};

static struct qemu_sink *qemu_from_base(struct neep_sink *sink) {
	return neep_container_of(sink, struct qemu_sink, base);
}

static struct qemu_sink *qemu_from_owner(struct neep_gpu_socket_owner *owner) {
	return neep_container_of(owner, struct qemu_sink, owner);
}

static void drop_writing(struct qemu_sink *sink) {
	neep_image_unref(sink->writing);
	sink->writing = NULL;
}

static bool has_pending(const struct qemu_scanout *scanout) {
	return !neep_damage_is_empty(&scanout->pending) || !neep_damage_is_empty(&scanout->saved);
}

static void forget_pending(struct qemu_scanout *scanout) {
	neep_damage_clear(&scanout->pending);
	neep_damage_clear(&scanout->saved);
}

static struct qemu_scanout *next_pending(struct qemu_sink *sink) {
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		struct qemu_scanout *scanout = &sink->scanouts[(sink->turn + i) % NEEP_SCANOUTS_MAX];
		if (has_pending(scanout)) {
			sink->turn = (uint32_t)(scanout - sink->scanouts) + 1;
			return scanout;
		}
	}
	return NULL;
}

/* The view's pixels as x8r8g8b8, in the buffer for that; NULL for want of memory. */
static const uint8_t *convert(
	struct qemu_sink *sink, const struct neep_view *view, const struct neep_rect *area) {
	size_t stride = (size_t)area->width * 4;
	size_t size;
	if (!neep_mul(stride, area->height, &size)) {
		return NULL;
	}
	if (size > sink->converted_size) {
		free(sink->converted);
		sink->converted = malloc(size);
		sink->converted_size = sink->converted != NULL ? size : 0;
	}
	if (sink->converted != NULL) {
		neep_view_copy(view, area, sink->converted, stride);
	}
	return sink->converted;
}

static void send_update(struct qemu_sink *sink, struct qemu_scanout *scanout) {
	struct neep_view view = scanout->base.shown;
	bool is_saved = !neep_damage_is_empty(&scanout->saved);
	if (is_saved) {
		view = (struct neep_view){ .image = scanout->shadow,
			.rect = neep_scanout_area(&scanout->base) };
	}
	struct neep_rect area = neep_damage_take(is_saved ? &scanout->saved : &scanout->pending);
	struct neep_gpu_update update = {
		.scanout_id = (uint32_t)(scanout - sink->scanouts),
		.x = area.x,
		.y = area.y,
		.width = area.width,
		.height = area.height,
		.pixels = neep_view_at(&view, area.x, area.y),
		.stride = view.image->stride,
		.has_own_pages = view.image->has_own_pages,
	};
	drop_writing(sink);
	if (neep_view_is_xrgb(&view)) {
		sink->writing = neep_image_ref(view.image);
	} else {
		update.pixels = convert(sink, &view, &area);
		update.stride = (size_t)area.width * 4;
		update.has_own_pages = false;
	}
	if (update.pixels != NULL) {
		neep_gpu_socket_update(sink->socket, &update);
	}
}

static bool has_any_pending(const struct qemu_sink *sink) {
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		if (has_pending(&sink->scanouts[i])) {
			return true;
		}
	}
	return false;
}

static bool qemu_is_behind(const struct neep_sink *base) {
	const struct qemu_sink *sink = neep_container_of(base, const struct qemu_sink, base);
	return sink->is_ready && !sink->is_stuck && has_any_pending(sink);
}

static void patience_ends(struct neep_timer *timer) {
	struct qemu_sink *sink = neep_container_of(timer, struct qemu_sink, patience);
	sink->is_stuck = true;
	neep_sink_caught_up(&sink->base);
}

/* After every change of what is pending: keeps the timer running exactly while the sink is behind. */
static void watch_patience(struct qemu_sink *sink) {
	if (qemu_is_behind(&sink->base)) {
		if (sink->patience.loop == NULL) {
			neep_timer_arm(sink->loop, &sink->patience, PATIENCE_NS);
		}
	} else if (sink->patience.loop != NULL) {
		neep_timer_cancel(&sink->patience);
		neep_sink_caught_up(&sink->base);
	}
}

static void send_pending(struct qemu_sink *sink) {
	while (sink->is_ready && !sink->is_held && neep_gpu_socket_can_update(sink->socket)) {
		struct qemu_scanout *scanout = next_pending(sink);
		if (scanout == NULL) {
			drop_writing(sink);
			break;
		}
		send_update(sink, scanout);
	}
	watch_patience(sink);
}

static void send_size(struct qemu_sink *sink, struct qemu_scanout *scanout) {
	uint32_t width = scanout->base.shown.rect.width;
	uint32_t height = scanout->base.shown.rect.height;
	if (!sink->is_ready || (width == scanout->sent_width && height == scanout->sent_height)) {
		return;
	}
	neep_gpu_socket_scanout(sink->socket, (uint32_t)(scanout - sink->scanouts), width, height);
	scanout->sent_width = width;
	scanout->sent_height = height;
}

static void qemu_set_scanout(
	struct neep_sink *base, uint32_t scanout_id, struct neep_image *image, const struct neep_rect *rect) {
	struct qemu_sink *sink = qemu_from_base(base);
	struct qemu_scanout *scanout = &sink->scanouts[scanout_id];
	neep_scanout_set(&scanout->base, image, rect);
	if (scanout->base.shown.image == NULL && scanout->base.next.image == NULL) {
		forget_pending(scanout);
		neep_image_unref(scanout->shadow);
		scanout->shadow = NULL;
		send_size(sink, scanout);
		watch_patience(sink);
	}
}

static void qemu_damage(struct neep_sink *base, uint32_t scanout_id, const struct neep_rect *damage) {
	struct qemu_sink *sink = qemu_from_base(base);
	struct qemu_scanout *scanout = &sink->scanouts[scanout_id];
	bool is_new = neep_scanout_show(&scanout->base);
	if (!sink->is_ready || scanout->base.shown.image == NULL) {
		return;
	}
	send_size(sink, scanout);
	struct neep_rect area = is_new ? neep_scanout_area(&scanout->base) : *damage;
	if (is_new) {
		forget_pending(scanout);
	}
	neep_damage_drop(&scanout->saved, &area);
	neep_damage_add(&scanout->pending, &area);
	send_pending(sink);
}

static void settle_socket(struct qemu_sink *sink) {
	neep_gpu_socket_settle(sink->socket);
	drop_writing(sink);
}

/* Without memory for a shadow the update shows the image as it becomes. */
static void save_pending(struct qemu_sink *sink, struct qemu_scanout *scanout) {
	if (sink->writing != NULL && sink->writing == scanout->shadow) {
		settle_socket(sink);
	}
	if (!neep_scanout_ensure_shadow(&scanout->base, &scanout->shadow)) {
		return;
	}
	for (size_t i = 0; i < scanout->pending.count; i++) {
		/* What is joined may reach beyond what the shadow holds. */
		struct neep_rect area = neep_damage_add(&scanout->saved, &scanout->pending.rects[i]);
		neep_view_copy_to(&scanout->base.shown, &area, scanout->shadow);
	}
	neep_damage_clear(&scanout->pending);
}

static void qemu_settle(struct neep_sink *base, struct neep_image *image) {
	struct qemu_sink *sink = qemu_from_base(base);
	if (!sink->is_ready) {
		return;
	}
	sink->is_held = true;
	if (sink->writing == image) {
		settle_socket(sink);
	}
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		struct qemu_scanout *scanout = &sink->scanouts[i];
		if (scanout->base.shown.image == image && !neep_damage_is_empty(&scanout->pending)) {
			save_pending(sink, scanout);
		}
	}
	sink->is_held = false;
	send_pending(sink);
}

static void send_cursor(struct qemu_sink *sink, struct qemu_scanout *scanout) {
	const struct neep_cursor *cursor = &scanout->base.cursor;
	struct neep_gpu_cursor message = {
		.scanout_id = (uint32_t)(scanout - sink->scanouts),
		.x = (uint32_t)cursor->x,
		.y = (uint32_t)cursor->y,
		.hot_x = cursor->hot_x,
		.hot_y = cursor->hot_y,
	};
	if (cursor->is_visible && !scanout->is_cursor_sent && scanout->base.cursor_argb != NULL) {
		neep_gpu_socket_cursor_update(sink->socket, &message, scanout->base.cursor_argb);
		scanout->is_cursor_sent = true;
	} else {
		neep_gpu_socket_cursor_move(sink->socket, &message, cursor->is_visible);
	}
}

static void qemu_cursor(
	struct neep_sink *base, uint32_t scanout_id, const struct neep_cursor *cursor, bool image_changed) {
	struct qemu_sink *sink = qemu_from_base(base);
	struct qemu_scanout *scanout = &sink->scanouts[scanout_id];
	neep_scanout_set_cursor(&scanout->base, cursor, image_changed);
	if (image_changed) {
		scanout->is_cursor_sent = false;
	}
	if (sink->is_ready) {
		send_cursor(sink, scanout);
	}
}

static void socket_ready(struct neep_gpu_socket_owner *owner) {
	struct qemu_sink *sink = qemu_from_owner(owner);
	sink->is_ready = true;
	qemu_queries_ready(&sink->queries, sink->socket);
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		struct qemu_scanout *scanout = &sink->scanouts[i];
		scanout->sent_width = 0;
		scanout->sent_height = 0;
		scanout->is_cursor_sent = false;
		if (scanout->base.shown.image != NULL) {
			struct neep_rect all = neep_scanout_area(&scanout->base);
			send_size(sink, scanout);
			neep_damage_add(&scanout->pending, &all);
		}
		if (scanout->base.cursor.is_visible) {
			send_cursor(sink, scanout);
		}
	}
	send_pending(sink);
}

static void socket_update_done(struct neep_gpu_socket_owner *owner) {
	struct qemu_sink *sink = qemu_from_owner(owner);
	/* It reads: patience starts anew for what comes next. */
	sink->is_stuck = false;
	neep_timer_cancel(&sink->patience);
	send_pending(sink);
	if (!qemu_is_behind(&sink->base)) {
		neep_sink_caught_up(&sink->base);
	}
}

static void stop_showing(struct qemu_sink *sink) {
	sink->is_ready = false;
	qemu_queries_lost(&sink->queries);
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		forget_pending(&sink->scanouts[i]);
	}
	sink->is_stuck = false;
	watch_patience(sink);
}

static void drop_socket(struct qemu_sink *sink) {
	stop_showing(sink);
	neep_gpu_socket_destroy(sink->socket);
	sink->socket = NULL;
	drop_writing(sink);
}

static void socket_closed(struct neep_gpu_socket_owner *owner) {
	neep_log("display", NEEP_LOG_INFO, "the display socket was closed by its other end");
	drop_socket(qemu_from_owner(owner));
}

static const struct neep_gpu_socket_impl qemu_socket_impl = {
	.ready = socket_ready,
	.update_done = socket_update_done,
	.closed = socket_closed,
};

static void qemu_set_socket(struct neep_sink *base, int owned_fd) {
	struct qemu_sink *sink = qemu_from_base(base);
	const int send_buffer = SEND_BUFFER;
	drop_socket(sink);
	/* A smaller buffer works as well. */
	(void)setsockopt(owned_fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
	sink->socket = neep_gpu_socket_create(sink->loop, owned_fd, &sink->owner);
	if (sink->socket == NULL) {
		neep_log("display", NEEP_LOG_ERROR, "no memory for the display socket");
		return;
	}
	qemu_queries_expect(&sink->queries);
}

static void qemu_query(struct neep_sink *base, struct neep_sink_query *query) {
	qemu_queries_ask(&qemu_from_base(base)->queries, query);
}

static void qemu_query_cancel(struct neep_sink *base, struct neep_sink_query *query) {
	(void)base;
	qemu_queries_cancel(query);
}

/* From the image as it is now: QEMU has the frame, and a second copy here would be for this alone. */
static struct neep_image *qemu_snapshot(
	struct neep_sink *base, uint32_t scanout_id, bool with_cursor, struct neep_error *error) {
	struct neep_scanout *scanout = &qemu_from_base(base)->scanouts[scanout_id].base;
	return neep_scanout_snapshot(scanout, &scanout->shown, with_cursor, error);
}

static void qemu_output(const struct neep_sink *base, uint32_t scanout_id, struct neep_output_info *info) {
	const struct qemu_sink *sink = neep_container_of(base, const struct qemu_sink, base);
	neep_scanout_output(&sink->scanouts[scanout_id].base, info);
}

static void qemu_destroy(struct neep_sink *base) {
	struct qemu_sink *sink = qemu_from_base(base);
	drop_socket(sink);
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		neep_scanout_finish(&sink->scanouts[i].base);
		neep_image_unref(sink->scanouts[i].shadow);
	}
	free(sink->converted);
	free(sink);
}

static const struct neep_sink_impl qemu_impl = {
	.name = "qemu",
	.destroy = qemu_destroy,
	.set_scanout = qemu_set_scanout,
	.damage = qemu_damage,
	.settle = qemu_settle,
	.cursor = qemu_cursor,
	.query = qemu_query,
	.query_cancel = qemu_query_cancel,
	.set_socket = qemu_set_socket,
	.snapshot = qemu_snapshot,
	.is_behind = qemu_is_behind,
	.output = qemu_output,
};

struct neep_sink *neep_qemu_sink_create(struct neep_loop *loop) {
	struct qemu_sink *sink = calloc(1, sizeof(*sink));
	if (sink == NULL) {
		return NULL;
	}
	sink->base.impl = &qemu_impl;
	sink->owner.impl = &qemu_socket_impl;
	sink->loop = loop;
	sink->patience.fire = patience_ends;
	qemu_queries_init(&sink->queries, loop);
	return &sink->base;
}
