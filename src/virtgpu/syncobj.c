/* Syncobjs: boxes for fences, one of them (binary) or one for each point of a timeline. Linux, drm_syncobj.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtgpu/syncobj_internal.h"

/* A fence that covers all points up to this one. */
struct syncobj_point {
	struct neep_list link; // neep_node_syncobj.points
	uint64_t point;
	struct neep_node_fence *fence; // a reference
};

struct syncobj_handle {
	struct neep_idmap_link by_number;  // neep_node_file.syncobjs
	struct neep_node_syncobj *syncobj; // a reference
};

/* ---- life ---- */

static void drop_point(struct syncobj_point *point) {
	neep_list_remove(&point->link);
	neep_node_fence_unref(point->fence);
	free(point);
}

static void drop_points(struct neep_node_syncobj *syncobj) {
	neep_list_for_each_safe (point, &syncobj->points, struct syncobj_point, link) {
		drop_point(point);
	}
}

static struct neep_node_syncobj *syncobj_create(struct neep_virtgpu_node *node) {
	struct neep_node_syncobj *syncobj = calloc(1, sizeof(*syncobj));
	if (syncobj != NULL) {
		syncobj->refs = 1;
		syncobj->node = node;
		neep_list_init(&syncobj->points);
		neep_list_init(&syncobj->watchers);
		neep_list_init(&syncobj->eventfds);
	}
	return syncobj;
}

void neep_node_syncobj_unref(struct neep_node_syncobj *syncobj) {
	if (--syncobj->refs > 0) {
		return;
	}
	neep_node_syncobj_drop_eventfds(syncobj);
	drop_points(syncobj);
	free(syncobj);
}

struct neep_node_syncobj *neep_node_syncobj_find(struct neep_node_file *file, uint32_t number) {
	struct neep_idmap_link *link = neep_idmap_find(&file->syncobjs, number);
	return link != NULL ? neep_container_of(link, struct syncobj_handle, by_number)->syncobj : NULL;
}

bool neep_node_syncobj_exists(struct neep_node_file *file, uint32_t number) {
	return neep_node_syncobj_find(file, number) != NULL;
}

static int add_handle(struct neep_node_file *file, struct neep_node_syncobj *syncobj, uint32_t *number) {
	struct syncobj_handle *handle = calloc(1, sizeof(*handle));
	if (handle == NULL) {
		return -ENOMEM;
	}
	handle->syncobj = syncobj;
	/* More handles than numbers do not fit into memory. */
	do {
		file->next_syncobj = file->next_syncobj == UINT32_MAX ? 1 : file->next_syncobj + 1;
	} while (!neep_idmap_insert(&file->syncobjs, file->next_syncobj, &handle->by_number));
	syncobj->refs++;
	*number = file->next_syncobj;
	return 0;
}

static void drop_handle(struct syncobj_handle *handle) {
	neep_node_syncobj_unref(handle->syncobj);
	free(handle);
}

void neep_node_syncobjs_finish(struct neep_node_file *file) {
	struct neep_idmap_link *link = neep_idmap_take_all(&file->syncobjs);
	while (link != NULL) {
		struct neep_idmap_link *next = link->next;
		drop_handle(neep_container_of(link, struct syncobj_handle, by_number));
		link = next;
	}
	neep_idmap_finish(&file->syncobjs);
}

/* ---- fences in and out ---- */

/* Of the points that have signalled the last one stays: it answers waits for itself and for all before it. */
static void compress(struct neep_node_syncobj *syncobj) {
	neep_list_for_each_safe (point, &syncobj->points, struct syncobj_point, link) {
		if (!point->fence->is_signalled) {
			return;
		}
		syncobj->done_point = point->point;
		if (point->link.prev != &syncobj->points) {
			drop_point(neep_container_of(point->link.prev, struct syncobj_point, link));
		}
	}
}

struct neep_node_fence *neep_node_syncobj_fence(struct neep_node_syncobj *syncobj, uint64_t point) {
	compress(syncobj);
	if (neep_list_is_empty(&syncobj->points)) {
		return NULL;
	}
	if (point == 0) {
		return neep_node_fence_ref(
			neep_container_of(syncobj->points.prev, struct syncobj_point, link)->fence);
	}
	neep_list_for_each (at, &syncobj->points, struct syncobj_point, link) {
		if (at->point >= point) {
			return neep_node_fence_ref(at->fence);
		}
	}
	return NULL;
}

static uint64_t last_point(const struct neep_node_syncobj *syncobj) {
	return neep_list_is_empty(&syncobj->points)
		       ? 0
		       : neep_container_of(syncobj->points.prev, struct syncobj_point, link)->point;
}

/* Point 0 makes it binary: what was there is replaced. */
static int put_fence(struct neep_node_syncobj *syncobj, uint64_t number, struct neep_node_fence *fence) {
	struct syncobj_point *point = calloc(1, sizeof(*point));
	struct neep_node_fence *before = number > 0 ? neep_node_syncobj_fence(syncobj, 0) : NULL;
	struct neep_node_fence *both[] = { fence, before };
	if (point != NULL) {
		point->fence = before != NULL ? neep_node_fence_merge(syncobj->node, both, 2)
					      : neep_node_fence_ref(fence);
	}
	neep_node_fence_unref(before);
	if (point == NULL || point->fence == NULL) {
		free(point);
		return -ENOMEM;
	}
	if (number == 0) {
		drop_points(syncobj);
		syncobj->done_point = 0;
	}
	point->point = number > last_point(syncobj) || number == 0 ? number : last_point(syncobj);
	neep_list_append(&syncobj->points, &point->link);
	neep_node_syncobj_changed(syncobj);
	neep_node_syncobj_tell_eventfds(syncobj);
	return 0;
}

int neep_node_syncobjs_reset(struct neep_node_file *file, const struct neep_drm_exec_syncobj *syncobj) {
	struct neep_node_syncobj *found = neep_node_syncobj_find(file, syncobj->handle);
	if (found == NULL) {
		return -ENOENT;
	}
	if ((syncobj->flags & NEEP_DRM_EXEC_SYNCOBJ_RESET) != 0) {
		drop_points(found);
		found->done_point = 0;
	}
	return 0;
}

int neep_node_syncobjs_set(struct neep_node_file *file, const struct neep_drm_exec_syncobj *syncobj,
	struct neep_node_fence *fence) {
	struct neep_node_syncobj *found = neep_node_syncobj_find(file, syncobj->handle);
	return found != NULL ? put_fence(found, syncobj->point, fence) : -ENOENT;
}

/* ---- ioctls ---- */

int neep_node_syncobj_create(struct neep_node_call *call) {
	struct drm_syncobj_create create;
	memcpy(&create, call->data, sizeof(create));
	if ((create.flags & ~(uint32_t)DRM_SYNCOBJ_CREATE_SIGNALED) != 0) {
		return -EINVAL;
	}
	struct neep_node_syncobj *syncobj = syncobj_create(call->node);
	if (syncobj == NULL) {
		return -ENOMEM;
	}
	int result = 0;
	if ((create.flags & DRM_SYNCOBJ_CREATE_SIGNALED) != 0) {
		struct neep_node_fence *fence = neep_node_fence_create_done(call->node);
		result = fence != NULL ? put_fence(syncobj, 0, fence) : -ENOMEM;
		neep_node_fence_unref(fence);
	}
	if (result == 0) {
		result = add_handle(call->file, syncobj, &create.handle);
	}
	neep_node_syncobj_unref(syncobj);
	memcpy(call->data, &create, sizeof(create));
	return result;
}

int neep_node_syncobj_destroy(struct neep_node_call *call) {
	struct drm_syncobj_destroy destroy;
	memcpy(&destroy, call->data, sizeof(destroy));
	struct neep_idmap_link *link = neep_idmap_find(&call->file->syncobjs, destroy.handle);
	if (destroy.pad != 0 || link == NULL) {
		return -EINVAL;
	}
	neep_idmap_remove(&call->file->syncobjs, link);
	drop_handle(neep_container_of(link, struct syncobj_handle, by_number));
	return 0;
}

/* A way to a syncobj that is outside of any file. */
struct token {
	struct neep_idmap_link by_id; // neep_virtgpu_node.syncobjs
	int near;
	struct neep_source source;
	struct neep_node_syncobj *syncobj; // a reference
};

static void token_destroy(struct token *token) {
	neep_source_remove(&token->source);
	neep_close_fd(&token->near);
	neep_node_syncobj_unref(token->syncobj);
	free(token);
}

static void token_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	/* Closed; or somebody wrote to it, who has no business to. */
	struct token *token = neep_container_of(source, struct token, source);
	neep_idmap_remove(&token->syncobj->node->syncobjs, &token->by_id);
	token_destroy(token);
}

static int make_token(struct neep_node_syncobj *syncobj) {
	struct neep_virtgpu_node *node = syncobj->node;
	uint64_t id = neep_node_random();
	struct token *token = calloc(1, sizeof(*token));
	if (token == NULL) {
		return -ENOMEM;
	}
	syncobj->refs++;
	token->syncobj = syncobj;
	token->near = -1;
	neep_autoclose int fd = neep_node_token_create(node, NEEP_VIRTGPU_TOKEN_SYNCOBJ, id, &token->near);
	token->source = (struct neep_source){ .fd = token->near, .ready = token_ready };
	int result = fd < 0 ? fd : neep_source_add(node->loop, &token->source, EPOLLIN);
	if (result < 0) {
		token_destroy(token);
		return result;
	}
	neep_idmap_insert(&node->syncobjs, id, &token->by_id);
	return neep_steal_fd(&fd);
}

void neep_node_syncobj_tokens_finish(struct neep_virtgpu_node *node) {
	struct neep_idmap_link *link = neep_idmap_take_all(&node->syncobjs);
	while (link != NULL) {
		struct neep_idmap_link *next = link->next;
		token_destroy(neep_container_of(link, struct token, by_id));
		link = next;
	}
	neep_idmap_finish(&node->syncobjs);
}

static int fence_to_token(struct neep_node_syncobj *syncobj) {
	struct neep_node_fence *fence = neep_node_syncobj_fence(syncobj, 0);
	int fd = fence != NULL ? neep_node_fence_token(fence) : -EINVAL;
	neep_node_fence_unref(fence);
	return fd;
}

int neep_node_syncobj_export(struct neep_node_call *call) {
	struct drm_syncobj_handle handle;
	memcpy(&handle, call->data, sizeof(handle));
	if (handle.pad != 0 ||
		(handle.flags & ~(uint32_t)DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE) != 0) {
		return -EINVAL;
	}
	struct neep_node_syncobj *syncobj = neep_node_syncobj_find(call->file, handle.handle);
	if (syncobj == NULL) {
		return -ENOENT;
	}
	call->fd_out = handle.flags != 0 ? fence_to_token(syncobj) : make_token(syncobj);
	return call->fd_out < 0 ? call->fd_out : 0;
}

static int import_fence(struct neep_node_call *call, const struct drm_syncobj_handle *handle, int fd) {
	struct neep_node_syncobj *syncobj = neep_node_syncobj_find(call->file, handle->handle);
	struct neep_node_fence *fence = neep_node_fence_of_token(call->node, fd);
	int result = fence == NULL ? -EINVAL : syncobj == NULL ? -ENOENT : put_fence(syncobj, 0, fence);
	neep_node_fence_unref(fence);
	return result;
}

int neep_node_syncobj_import(struct neep_node_call *call) {
	struct drm_syncobj_handle handle;
	memcpy(&handle, call->data, sizeof(handle));
	neep_autoclose int fd = neep_fds_take(&call->fds, 0);
	if (handle.pad != 0 || fd < 0 ||
		(handle.flags & ~(uint32_t)DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE) != 0) {
		return -EINVAL;
	}
	if (handle.flags != 0) {
		return import_fence(call, &handle, fd);
	}
	uint64_t id = neep_node_token_id(call->node, NEEP_VIRTGPU_TOKEN_SYNCOBJ, fd);
	struct neep_idmap_link *link = neep_idmap_find(&call->node->syncobjs, id);
	if (id == 0 || link == NULL) {
		return -EINVAL;
	}
	int result =
		add_handle(call->file, neep_container_of(link, struct token, by_id)->syncobj, &handle.handle);
	memcpy(call->data, &handle, sizeof(handle));
	return result;
}

/* The handles of an array ioctl, all of which must be there. NULL with *result set. */
static const uint8_t *take_handles(struct neep_node_call *call, uint32_t count, int *result) {
	const uint8_t *handles = neep_node_call_take(call, count, sizeof(uint32_t));
	*result = handles == NULL ? -EFAULT : count == 0 ? -EINVAL : 0;
	for (uint32_t i = 0; *result == 0 && i < count; i++) {
		uint32_t handle;
		memcpy(&handle, handles + i * sizeof(handle), sizeof(handle));
		*result = neep_node_syncobj_exists(call->file, handle) ? 0 : -ENOENT;
	}
	return *result == 0 ? handles : NULL;
}

static struct neep_node_syncobj *syncobj_at(
	struct neep_node_call *call, const uint8_t *handles, uint32_t index) {
	uint32_t handle;
	memcpy(&handle, handles + index * sizeof(handle), sizeof(handle));
	return neep_node_syncobj_find(call->file, handle);
}

int neep_node_syncobj_reset(struct neep_node_call *call) {
	struct drm_syncobj_array array;
	int result;
	memcpy(&array, call->data, sizeof(array));
	const uint8_t *handles = take_handles(call, array.count_handles, &result);
	for (uint32_t i = 0; result == 0 && i < array.count_handles; i++) {
		struct neep_node_syncobj *syncobj = syncobj_at(call, handles, i);
		drop_points(syncobj);
		syncobj->done_point = 0;
	}
	return result;
}

static int signal_all(struct neep_node_call *call, uint32_t count, bool has_points) {
	int result;
	const uint8_t *handles = take_handles(call, count, &result);
	const uint8_t *points =
		result == 0 && has_points ? neep_node_call_take(call, count, sizeof(uint64_t)) : NULL;
	struct neep_node_fence *fence = neep_node_fence_create_done(call->node);
	if (result == 0 && (fence == NULL || (has_points && points == NULL))) {
		result = fence == NULL ? -ENOMEM : -EFAULT;
	}
	for (uint32_t i = 0; result == 0 && i < count; i++) {
		uint64_t point = 0;
		if (has_points) {
			memcpy(&point, points + i * sizeof(point), sizeof(point));
		}
		result = put_fence(syncobj_at(call, handles, i), point, fence);
	}
	neep_node_fence_unref(fence);
	return result;
}

int neep_node_syncobj_signal(struct neep_node_call *call) {
	struct drm_syncobj_array array;
	memcpy(&array, call->data, sizeof(array));
	return signal_all(call, array.count_handles, false);
}

int neep_node_syncobj_timeline_signal(struct neep_node_call *call) {
	struct drm_syncobj_timeline_array array;
	memcpy(&array, call->data, sizeof(array));
	return array.flags != 0 ? -EINVAL : signal_all(call, array.count_handles, true);
}

int neep_node_syncobj_transfer(struct neep_node_call *call) {
	struct drm_syncobj_transfer transfer;
	memcpy(&transfer, call->data, sizeof(transfer));
	struct neep_node_syncobj *from = neep_node_syncobj_find(call->file, transfer.src_handle);
	struct neep_node_syncobj *to = neep_node_syncobj_find(call->file, transfer.dst_handle);
	if (transfer.pad != 0 || from == NULL || to == NULL) {
		return transfer.pad != 0 ? -EINVAL : -ENOENT;
	}
	struct neep_node_fence *fence = neep_node_syncobj_fence(from, transfer.src_point);
	int result = fence != NULL ? put_fence(to, transfer.dst_point, fence) : -EINVAL;
	neep_node_fence_unref(fence);
	return result;
}

int neep_node_syncobj_query(struct neep_node_call *call) {
	struct neep_virtgpu_query query;
	memcpy(&query, call->data, sizeof(query));
	if (query.count > NEEP_VIRTGPU_QUERY_MAX ||
		(query.flags & ~(uint32_t)DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED) != 0) {
		return -EINVAL;
	}
	for (uint32_t i = 0; i < query.count; i++) {
		struct neep_node_syncobj *syncobj = neep_node_syncobj_find(call->file, query.handles[i]);
		if (syncobj == NULL) {
			return -ENOENT;
		}
		compress(syncobj);
		query.points[i] = query.flags != 0 ? last_point(syncobj) : syncobj->done_point;
	}
	memcpy(call->data, &query, sizeof(query));
	return 0;
}
