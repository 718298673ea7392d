#include <errno.h>
#include <stdlib.h>

#include "cross_domain/cross_domain_internal.h"

static struct neep_xd_item *item_from_link(struct neep_idmap_link *link) {
	return neep_container_of(link, struct neep_xd_item, link);
}

struct neep_xd_item *neep_xd_item_find(const struct neep_xd_context *context, uint64_t id) {
	struct neep_idmap_link *link = neep_idmap_find(&context->items, id);
	return link == NULL ? NULL : item_from_link(link);
}

struct neep_xd_item *neep_xd_item_of(
	const struct neep_xd_context *context, uint64_t id, enum neep_xd_item_kind kind) {
	struct neep_xd_item *item = neep_xd_item_find(context, id);
	return item != NULL && item->kind == kind ? item : NULL;
}

uint32_t neep_xd_item_add(struct neep_xd_context *context, struct neep_xd_item *item) {
	/* Read pipes are counted by the guest too; a guest that used up their ids has to connect anew. */
	if (item->kind == NEEP_XD_READ_PIPE) {
		bool fits = context->last_read_id < UINT32_MAX &&
			    neep_idmap_insert(&context->items, context->last_read_id + 1, &item->link);
		return fits ? ++context->last_read_id : 0;
	}
	/* There are far fewer items than ids, so this ends. */
	do {
		bool is_last = context->last_item_id == NEEP_XD_READ_ID_BASE - 1;
		context->last_item_id = is_last ? NEEP_XD_ITEM_ID_BASE + 1 : context->last_item_id + 1;
	} while (!neep_idmap_insert(&context->items, context->last_item_id, &item->link));
	return context->last_item_id;
}

static void memory_free(struct neep_xd_context *context, struct neep_xd_memory *memory) {
	neep_close_fd(&memory->fd);
	neep_xd_put_fds(context->xd, 1);
	context->held_items--;
	free(memory);
}

/* The item is in no table any more. */
static void item_free(struct neep_xd_context *context, struct neep_xd_item *item) {
	switch (item->kind) {
	case NEEP_XD_TEMPLATE:
		neep_xd_template_free(context, neep_container_of(item, struct neep_xd_template, item));
		break;
	case NEEP_XD_MEMORY:
		memory_free(context, neep_container_of(item, struct neep_xd_memory, item));
		break;
	default:
		neep_xd_pipe_destroy(neep_container_of(item, struct neep_xd_pipe, item));
	}
}

void neep_xd_item_destroy(struct neep_xd_context *context, struct neep_xd_item *item) {
	neep_idmap_remove(&context->items, &item->link);
	item_free(context, item);
	neep_xd_channel_resume(context);
}

void neep_xd_items_finish(struct neep_xd_context *context) {
	struct neep_idmap_link *link = neep_idmap_take_all(&context->items);
	while (link != NULL) {
		struct neep_idmap_link *next = link->next;
		item_free(context, item_from_link(link));
		link = next;
	}
}

/* Consumes the fd. */
static struct neep_xd_item *memory_create(
	struct neep_xd_context *context, int owned_fd, const struct neep_xd_class *class) {
	neep_autoclose int fd = owned_fd;
	struct neep_xd_memory *memory = neep_xd_take_fds(context->xd, 1) ? malloc(sizeof(*memory)) : NULL;
	if (memory == NULL) {
		return NULL;
	}
	*memory = (struct neep_xd_memory){
		.item.kind = NEEP_XD_MEMORY,
		.fd = neep_steal_fd(&fd),
		.is_dmabuf = class->is_dmabuf,
		.is_writable = class->is_writable,
	};
	context->held_items++;
	return &memory->item;
}

/* Consumes the fd. An fd that cannot be made not to block is written to by nobody. */
static struct neep_xd_item *pipe_create(
	struct neep_xd_context *context, int owned_fd, const struct neep_xd_class *class) {
	neep_autoclose int fd = owned_fd;
	bool is_event = class->kind == NEEP_XD_FD_EVENT;
	if (class->kind == NEEP_XD_FD_UNSUPPORTED) {
		neep_xd_complain(
			context, "the host sent %s: the guest gets a pipe that nobody reads", class->name);
		neep_close_fd(&fd);
	} else if (neep_fd_set_nonblocking(fd) < 0) {
		neep_close_fd(&fd);
	}
	struct neep_xd_pipe *pipe = neep_xd_pipe_create(
		context, is_event ? NEEP_XD_EVENT : NEEP_XD_WRITE_PIPE, neep_steal_fd(&fd));
	return pipe == NULL ? NULL : &pipe->item;
}

bool neep_xd_item_import(struct neep_xd_context *context, int owned_fd, struct neep_xd_told *told) {
	static const uint32_t types[] = {
		[NEEP_XD_FD_UNSUPPORTED] = NEEP_XD_ID_WRITE_PIPE,
		[NEEP_XD_FD_MEMORY] = NEEP_XD_ID_BLOB,
		[NEEP_XD_FD_WRITE_PIPE] = NEEP_XD_ID_WRITE_PIPE,
		[NEEP_XD_FD_EVENT] = NEEP_XD_ID_EVENT,
	};
	struct neep_xd_class class = neep_xd_classify(owned_fd);
	struct neep_xd_item *item = class.kind == NEEP_XD_FD_MEMORY ? memory_create(context, owned_fd, &class)
								    : pipe_create(context, owned_fd, &class);
	if (item == NULL) {
		return false;
	}
	*told = (struct neep_xd_told){
		.id = neep_xd_item_add(context, item),
		.type = types[class.kind],
		.size = (uint32_t) class.size,
	};
	return true;
}
