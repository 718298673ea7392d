/* Theory of operation
 *
 * A fence on the channel ring (of a POLL) is an order for one message. It is parked until the socket, a read pipe or an event
 * has something, which goes into the ring; then the fence completes, and the ring is the guest's until the next fence. While
 * fences are parked, read_fd is watched. It is asked for one ready fd at a time, and the kernel puts that one behind the
 * others, so none of them starves.
 *
 * Fences on the query ring complete at once: replies are written while their command runs. Rings above are for flow control: a
 * fence there completes when the pipe that the context's last WRITE went to has room. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "cross_domain/cross_domain_internal.h"

static const struct neep_context_impl context_impl;

struct neep_xd_context *neep_xd_context_from_base(struct neep_context *base) {
	neep_assert(base->impl == &context_impl);
	return neep_container_of(base, struct neep_xd_context, base);
}

static void tell(struct neep_xd_context *context, const char *format, va_list args) {
	char text[256];
	vsnprintf(text, sizeof(text), format, args);
	neep_core_log(
		context->xd->rutabaga, NEEP_LOG_WARN, "cross-domain context %u: %s", context->ctx_id, text);
}

void neep_xd_tell(struct neep_xd_context *context, const char *format, ...) {
	va_list args;
	va_start(args, format);
	tell(context, format, args);
	va_end(args);
}

void neep_xd_complain(struct neep_xd_context *context, const char *format, ...) {
	if (context->has_complained) {
		return;
	}
	context->has_complained = true;
	va_list args;
	va_start(args, format);
	tell(context, format, args);
	va_end(args);
}

/* What is read */

static int set_read_fd(struct neep_xd_context *context, int op, uint32_t events) {
	struct epoll_event event = {
		.events = events,
		.data.u64 = NEEP_XD_TOKEN(context->ctx_id, NEEP_XD_TOKEN_READ),
	};
	return epoll_ctl(context->xd->epoll_fd, op, context->read_fd, &event) < 0 ? -errno : 0;
}

/* Made for the first thing that can be read: contexts that only make buffers have none. */
static int ensure_read_fd(struct neep_xd_context *context) {
	if (context->read_fd >= 0) {
		return 0;
	}
	if (!neep_xd_take_fds(context->xd, 1)) {
		return -EMFILE;
	}
	context->read_fd = epoll_create1(EPOLL_CLOEXEC);
	int rc = context->read_fd < 0 ? -errno : set_read_fd(context, EPOLL_CTL_ADD, 0);
	if (rc < 0) {
		neep_close_fd(&context->read_fd);
		neep_xd_put_fds(context->xd, 1);
	}
	return rc;
}

static void arm(struct neep_xd_context *context, bool is_armed) {
	if (context->read_fd >= 0 && context->is_armed != is_armed) {
		context->is_armed = set_read_fd(context, EPOLL_CTL_MOD, is_armed ? EPOLLIN : 0) == 0
					    ? is_armed
					    : !is_armed;
	}
}

int neep_xd_context_watch(struct neep_xd_context *context, uint32_t id, int fd) {
	int rc = ensure_read_fd(context);
	if (rc < 0) {
		return rc;
	}
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = id };
	if (epoll_ctl(context->read_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		return -errno;
	}
	/* A fence may have come before there was anything to read. */
	if (!neep_list_is_empty(&context->parked)) {
		arm(context, true);
	}
	return 0;
}

void neep_xd_context_unwatch(struct neep_xd_context *context, int fd) {
	(void)epoll_ctl(context->read_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* Whether a message is in the ring now. */
static bool read_one(struct neep_xd_context *context) {
	struct epoll_event event;
	if (context->read_fd < 0 || epoll_wait(context->read_fd, &event, 1, 0) != 1) {
		return false;
	}
	if (event.data.u64 == NEEP_XD_TOKEN_SOCKET) {
		return neep_xd_channel_receive(context);
	}
	struct neep_xd_item *item = neep_xd_item_find(context, event.data.u64);
	return item != NULL && neep_xd_pipe_read(neep_container_of(item, struct neep_xd_pipe, item));
}

void neep_xd_context_read(struct neep_xd_context *context) {
	if (neep_list_is_empty(&context->parked)) {
		arm(context, false);
		return;
	}
	if (read_one(context)) {
		neep_fence_signal(neep_container_of(context->parked.next, struct neep_fence, component_link));
	}
}

/* Fences */

/* The guest must never wait for a host that is not there. */
static void answer_all(struct neep_xd_context *context) {
	if (!neep_list_is_empty(&context->parked)) {
		neep_xd_channel_tell_end(context);
	}
	neep_list_for_each_safe (fence, &context->parked, struct neep_fence, component_link) {
		neep_fence_signal(fence);
	}
}

static void park(struct neep_xd_context *context, struct neep_fence *fence) {
	neep_list_append(&context->parked, &fence->component_link);
	if (context->state != NEEP_XD_READY) {
		answer_all(context);
		return;
	}
	neep_xd_context_read(context);
	if (!neep_list_is_empty(&context->parked)) {
		arm(context, true);
	}
}

static int context_create_fence(struct neep_context *base, struct neep_fence *fence) {
	struct neep_xd_context *context = neep_xd_context_from_base(base);
	switch (fence->data.ring_idx) {
	case NEEP_XD_QUERY_RING:
		neep_fence_signal(fence);
		break;
	case NEEP_XD_CHANNEL_RING:
		park(context, fence);
		break;
	default:
		if (context->last_written == 0) {
			neep_xd_channel_flow(context, fence);
		} else {
			neep_xd_pipe_flow(context, fence);
		}
	}
	return 0;
}

/* The end */

static void close_all(struct neep_xd_context *context) {
	neep_xd_channel_close(context);
	(void)neep_idmap_take_all(&context->templates);
	neep_xd_items_finish(context);
	if (context->read_fd >= 0) {
		neep_close_fd(&context->read_fd);
		neep_xd_put_fds(context->xd, 1);
		context->is_armed = false;
	}
}

void neep_xd_context_kill(struct neep_xd_context *context) {
	if (context->state == NEEP_XD_DEAD) {
		return;
	}
	context->state = NEEP_XD_DEAD;
	close_all(context);
	answer_all(context);
}

/* Resources */

static struct neep_xd_attachment *find_attachment(
	const struct neep_xd_context *context, uint32_t resource_id) {
	struct neep_idmap_link *link = neep_idmap_find(&context->attachments, resource_id);
	return link == NULL ? NULL : neep_container_of(link, struct neep_xd_attachment, link);
}

struct neep_resource *neep_xd_attached(const struct neep_xd_context *context, uint32_t resource_id) {
	const struct neep_xd_attachment *attachment = find_attachment(context, resource_id);
	return attachment == NULL ? NULL : attachment->resource;
}

static int context_attach(struct neep_context *base, struct neep_resource *resource) {
	struct neep_xd_context *context = neep_xd_context_from_base(base);
	struct neep_xd_attachment *attachment = calloc(1, sizeof(*attachment));
	if (attachment == NULL) {
		return -ENOMEM;
	}
	attachment->resource = resource;
	neep_idmap_insert(&context->attachments, resource->resource_id, &attachment->link);
	return 0;
}

/* Guests let go of their rings before their context, with a fence parked: that is the end of the connection and no mistake. */
static void context_detach(struct neep_context *base, struct neep_resource *resource) {
	struct neep_xd_context *context = neep_xd_context_from_base(base);
	struct neep_xd_attachment *attachment = find_attachment(context, resource->resource_id);
	if (attachment == NULL) {
		return;
	}
	neep_idmap_remove(&context->attachments, &attachment->link);
	free(attachment);
	if (context->query_ring == resource) {
		context->query_ring = NULL;
	}
	if (context->channel_ring == resource) {
		context->channel_ring = NULL;
		neep_xd_context_kill(context);
	}
}

/* Life */

static void context_free(struct neep_xd_context *context) {
	neep_idmap_finish(&context->attachments);
	neep_idmap_finish(&context->items);
	neep_idmap_finish(&context->templates);
	if (context->account != NULL) {
		neep_xd_account_unref(context->account);
	}
	free(context);
}

static void context_destroy(struct neep_context *base) {
	struct neep_xd_context *context = neep_xd_context_from_base(base);
	neep_xd_context_kill(context);
	neep_idmap_remove(&context->xd->contexts, &context->link);
	context_free(context);
}

static void context_describe(struct neep_context *base, struct neep_rutabaga_context_info *info) {
	const struct neep_xd_context *context = neep_xd_context_from_base(base);
	info->renderer = context->state == NEEP_XD_DEAD ? NEEP_RUTABAGA_RENDERER_LOST
			 : context->socket >= 0         ? NEEP_RUTABAGA_RENDERER_RUNNING
							: NEEP_RUTABAGA_RENDERER_NONE;
	info->rings = context->query_ring != NULL ? 1 : 0;
	info->rings += context->channel_ring != NULL ? 1 : 0;
	neep_list_for_each (fence, &context->parked, struct neep_fence, component_link) {
		info->pending_syncs++;
	}
}

static const struct neep_context_impl context_impl = {
	.destroy = context_destroy,
	.submit = neep_xd_submit,
	.create_blob = neep_xd_create_blob,
	.attach = context_attach,
	.detach = context_detach,
	.create_fence = context_create_fence,
	.describe = context_describe,
};

int neep_xd_context_create(
	struct neep_xd *xd, const struct neep_context_params *params, struct neep_context **out) {
	struct neep_xd_context *context = calloc(1, sizeof(*context));
	if (context == NULL) {
		return -ENOMEM;
	}
	context->account = calloc(1, sizeof(*context->account));
	if (context->account == NULL) {
		free(context);
		return -ENOMEM;
	}
	context->account->refs = 1;
	if (neep_idmap_init(&context->attachments) < 0 || neep_idmap_init(&context->items) < 0 ||
		neep_idmap_init(&context->templates) < 0) {
		context_free(context);
		return -ENOMEM;
	}
	context->base.impl = &context_impl;
	context->xd = xd;
	context->ctx_id = params->ctx_id;
	context->read_fd = context->socket = -1;
	context->message_max = NEEP_XD_RING_SIZE;
	context->last_item_id = NEEP_XD_ITEM_ID_BASE;
	context->last_read_id = NEEP_XD_READ_ID_BASE;
	neep_list_init(&context->parked);
	neep_list_init(&context->flowing);
	neep_list_init(&context->connecting_link);
	neep_xd_queue_init(&context->out, &(struct neep_xd_queue){
						  .budget = &xd->budget,
						  .bytes_max = NEEP_XD_SEND_BYTES_MAX,
						  .fds_max = NEEP_XD_SEND_FDS_MAX,
						  .is_socket = true,
					  });
	neep_idmap_insert(&xd->contexts, context->ctx_id, &context->link);
	*out = &context->base;
	return 0;
}
