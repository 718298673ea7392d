#include <errno.h>
#include <string.h>

#include "cross_domain/cross_domain_internal.h"

static bool has_taken_most(const struct neep_xd_context *context) {
	return context->out.bytes < NEEP_XD_WRITE_LOW && context->out.fds < NEEP_XD_SEND_FDS_LOW;
}

static void let_flow(struct neep_xd_context *context) {
	neep_list_for_each_safe (fence, &context->flowing, struct neep_fence, component_link) {
		neep_fence_signal(fence);
	}
}

void neep_xd_channel_flow(struct neep_xd_context *context, struct neep_fence *fence) {
	if (has_taken_most(context)) {
		neep_fence_signal(fence);
		return;
	}
	neep_list_append(&context->flowing, &fence->component_link);
}

/* Nothing can be sent any more; what the host sent can still be read. */
static void stop_sending(struct neep_xd_context *context) {
	if (context->wants_to_send) {
		context->wants_to_send = false;
		neep_xd_unwatch_room(context->xd, context->socket);
	}
	neep_xd_queue_finish(&context->out);
	let_flow(context);
}

void neep_xd_channel_close(struct neep_xd_context *context) {
	stop_sending(context);
	neep_xd_channel_stop_connecting(context);
	if (context->socket >= 0 && !context->is_throttled) {
		neep_xd_context_unwatch(context, context->socket);
	}
	context->is_throttled = false;
	if (context->socket >= 0) {
		neep_close_fd(&context->socket);
		neep_xd_put_fds(context->xd, 1);
	}
}

static bool is_gone(int rc) {
	return rc == -EPIPE || rc == -ECONNRESET;
}

static int after_send(struct neep_xd_context *context, int rc) {
	bool has_more = rc == 0 && !neep_xd_queue_is_empty(&context->out);
	if (has_more && context->connecting_path != NULL) {
		return 0;
	}
	if (has_more && !context->wants_to_send) {
		rc = neep_xd_watch_room(context->xd, context->ctx_id, NEEP_XD_TOKEN_SOCKET, context->socket);
		context->wants_to_send = rc == 0;
	}
	if (rc < 0 || !has_more) {
		stop_sending(context);
	} else if (has_taken_most(context)) {
		let_flow(context);
	}
	if (rc < 0 && !is_gone(rc)) {
		neep_xd_tell(context, "the host does not take what is sent, the connection is given up: %s",
			strerror(-rc));
		neep_xd_context_kill(context);
	}
	return rc;
}

int neep_xd_channel_send(struct neep_xd_context *context, const struct neep_xd_bytes *bytes) {
	return after_send(context, neep_xd_queue_write(&context->out, context->socket, bytes));
}

void neep_xd_channel_flush(struct neep_xd_context *context) {
	if (context->socket >= 0) {
		(void)after_send(context, neep_xd_queue_flush(&context->out, context->socket));
	}
}

static uint8_t *start_message(struct neep_xd_context *context) {
	uint8_t *page = context->xd->page;
	memset(page, 0, NEEP_XD_TRANSFER_SIZE);
	neep_xd_put_u32(page, 0, NEEP_XD_RECEIVE);
	return page;
}

void neep_xd_channel_tell_end(struct neep_xd_context *context) {
	(void)neep_xd_ring_write(context->channel_ring, start_message(context), NEEP_XD_TRANSFER_SIZE);
}

/* A message may bring as many fds as fit in one: without room for them it stays where it is. */
static bool has_room(const struct neep_xd_context *context) {
	return context->held_items + NEEP_XD_IDS_MAX <= NEEP_XD_ITEMS_MAX;
}

static void throttle(struct neep_xd_context *context) {
	neep_xd_context_unwatch(context, context->socket);
	context->is_throttled = true;
	neep_xd_complain(context,
		"the guest holds %zu things of the host: no more is read until it lets go of some",
		context->held_items);
}

void neep_xd_channel_resume(struct neep_xd_context *context) {
	if (context->is_throttled && has_room(context)) {
		context->is_throttled =
			neep_xd_context_watch(context, NEEP_XD_TOKEN_SOCKET, context->socket) < 0;
	}
}

/* Makes items of all fds. False when one cannot be had. */
static bool import_fds(struct neep_xd_context *context, struct neep_fds *fds, uint8_t *page) {
	size_t count = fds->count;
	for (size_t i = 0; i < count; i++) {
		struct neep_xd_told told;
		if (!neep_xd_item_import(context, neep_fds_take(fds, i), &told)) {
			return false;
		}
		neep_xd_put_u32(page, NEEP_XD_TRANSFER_IDS + 4 * i, told.id);
		neep_xd_put_u32(page, NEEP_XD_TRANSFER_TYPES + 4 * i, told.type);
		neep_xd_put_u32(page, NEEP_XD_TRANSFER_SIZES + 4 * i, told.size);
	}
	neep_xd_put_u32(page, NEEP_XD_TRANSFER_COUNT, (uint32_t)count);
	return true;
}

static bool give_up(struct neep_xd_context *context, struct neep_fds *fds, const char *why) {
	neep_fds_finish(fds);
	neep_xd_tell(context, "%s: the connection is given up", why);
	neep_xd_context_kill(context);
	return false;
}

static bool hang_up(struct neep_xd_context *context) {
	neep_xd_channel_close(context);
	neep_xd_channel_tell_end(context);
	return true;
}

bool neep_xd_channel_receive(struct neep_xd_context *context) {
	if (!has_room(context)) {
		throttle(context);
		return false;
	}
	struct neep_fds fds = { .count = 0 };
	uint8_t *page = start_message(context);
	int64_t got = neep_recv(context->socket, page + NEEP_XD_TRANSFER_SIZE,
		context->message_max - NEEP_XD_TRANSFER_SIZE, &fds);
	if (got == -EAGAIN) {
		return false;
	}
	if (got == -EPROTO || fds.count > NEEP_XD_IDS_MAX) {
		return give_up(context, &fds, "a message of the host has more fds than can be passed on");
	}
	if (got <= 0) {
		neep_fds_finish(&fds);
		return hang_up(context);
	}
	neep_xd_put_u32(page, NEEP_XD_TRANSFER_LEN, (uint32_t)got);
	if (!import_fds(context, &fds, page)) {
		return give_up(context, &fds, "no memory or fds for what the host sent");
	}
	if (neep_xd_ring_write(context->channel_ring, page, NEEP_XD_TRANSFER_SIZE + (size_t)got) < 0) {
		return give_up(context, &fds, "the ring of the guest is gone");
	}
	return true;
}
