/* Open files and their contexts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver/gpu.h"
#include "virtgpu/node_internal.h"

static void token_ready(struct neep_source *source, uint32_t events) {
	if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
		neep_node_file_destroy(neep_container_of(source, struct neep_node_file, source));
		return;
	}
	/* Nobody has a reason to write to a token. */
	char byte;
	struct neep_fds fds = { 0 };
	neep_recv(source->fd, &byte, sizeof(byte), &fds);
	neep_fds_finish(&fds);
}

int neep_node_file_open(struct neep_virtgpu_node *node) {
	struct neep_node_file *file = calloc(1, sizeof(*file));
	if (file == NULL) {
		return -ENOMEM;
	}
	if (neep_idmap_init(&file->syncobjs) < 0) {
		free(file);
		return -ENOMEM;
	}
	file->node = node;
	uint64_t id = neep_node_random();
	neep_autoclose int fd = neep_node_token_create(node, NEEP_VIRTGPU_TOKEN_FILE, id, &file->token);
	int result = fd;
	if (fd >= 0) {
		file->source = (struct neep_source){ .fd = file->token, .ready = token_ready };
		result = neep_source_add(node->loop, &file->source, EPOLLIN | EPOLLRDHUP);
		if (result < 0) {
			neep_close_fd(&file->token);
		}
	}
	if (result < 0) {
		neep_idmap_finish(&file->syncobjs);
		free(file);
		return result;
	}
	neep_node_file_events_init(file);
	neep_list_append(&node->files, &file->link);
	neep_idmap_insert(&node->files_by_id, id, &file->by_id);
	node->counts.files++;
	return neep_steal_fd(&fd);
}

struct neep_node_file *neep_node_file_find(struct neep_virtgpu_node *node, uint64_t id) {
	struct neep_idmap_link *link = neep_idmap_find(&node->files_by_id, id);
	return link != NULL ? neep_container_of(link, struct neep_node_file, by_id) : NULL;
}

static void destroy_context(struct neep_node_file *file) {
	struct virtio_gpu_ctx_destroy cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = file->context.ctx_id },
	};
	if (file->context.ctx_id != 0) {
		neep_node_send(file->node, &cmd, sizeof(cmd), NULL, 0);
		file->node->counts.contexts--;
	}
}

/* As in Linux: handles first, then the context. */
void neep_node_file_destroy(struct neep_node_file *file) {
	struct neep_virtgpu_node *node = file->node;
	for (uint32_t i = 0; i < file->handle_count; i++) {
		if (file->handles[i] != NULL) {
			neep_node_handle_destroy(file->handles[i]);
		}
	}
	free(file->handles);
	neep_node_syncobjs_finish(file);
	neep_node_file_events_finish(file);
	destroy_context(file);
	neep_source_remove(&file->source);
	neep_close_fd(&file->token);
	neep_idmap_remove(&node->files_by_id, &file->by_id);
	neep_list_remove(&file->link);
	node->counts.files--;
	free(file);
}

/* ---- contexts ---- */

/* Buffers that were imported before there was a context. */
static void attach_handles(const struct neep_node_file *file) {
	for (uint32_t i = 0; i < file->handle_count; i++) {
		if (file->handles[i] != NULL) {
			neep_node_send_ctx_resource(file->node, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
				file->context.ctx_id, neep_node_bo_resource_id(file->handles[i]->bo));
		}
	}
}

static int create_context(struct neep_node_file *file, uint32_t context_init, const char *name) {
	struct neep_virtgpu_node *node = file->node;
	uint32_t ctx_id = node->next_ctx_id + 1;
	int result = neep_node_result(node, neep_cmd_ctx_create(node->driver, ctx_id, context_init, name));
	if (result == 0) {
		node->next_ctx_id = ctx_id;
		file->context.ctx_id = ctx_id;
		node->counts.contexts++;
		attach_handles(file);
	}
	return result;
}

int neep_node_file_need_context(struct neep_node_file *file, const struct neep_virtgpu_debug_name *name) {
	return file->context.ctx_id != 0 ? 0 : create_context(file, 0, name->text);
}

/* What CONTEXT_INIT's parameters say. */
struct context_words {
	bool has[NEEP_DRM_CONTEXT_DEBUG_NAME + 1];
	uint64_t value[NEEP_DRM_CONTEXT_DEBUG_NAME + 1];
};

static int check_word(const struct neep_virtgpu_node *node, const struct neep_drm_context_set_param *param) {
	switch (param->param) {
	case NEEP_DRM_CONTEXT_CAPSET_ID:
		return param->value < 64 &&
				       (node->params[NEEP_DRM_PARAM_SUPPORTED_CAPSET_IDS] >> param->value &
					       1) != 0
			       ? 0
			       : -EINVAL;
	case NEEP_DRM_CONTEXT_NUM_RINGS:
		return param->value <= NEEP_DRM_RINGS_MAX ? 0 : -EINVAL;
	case NEEP_DRM_CONTEXT_POLL_RINGS_MASK:
	case NEEP_DRM_CONTEXT_DEBUG_NAME:
		return 0;
	default:
		return -EINVAL;
	}
}

static int read_words(const struct neep_virtgpu_node *node, const uint8_t *params, uint32_t count,
	struct context_words *words) {
	for (uint32_t i = 0; i < count; i++) {
		struct neep_drm_context_set_param param;
		memcpy(&param, params + i * sizeof(param), sizeof(param));
		int result = check_word(node, &param);
		if (result < 0 || words->has[param.param]) {
			return -EINVAL;
		}
		words->has[param.param] = true;
		words->value[param.param] = param.value;
	}
	uint64_t rings = words->value[NEEP_DRM_CONTEXT_NUM_RINGS];
	uint64_t valid = rings == 64 ? UINT64_MAX : (UINT64_C(1) << rings) - 1;
	return (words->value[NEEP_DRM_CONTEXT_POLL_RINGS_MASK] & ~valid) == 0 ? 0 : -EINVAL;
}

int neep_node_context_init(struct neep_node_call *call) {
	struct neep_node_file *file = call->file;
	struct neep_drm_context_init init;
	memcpy(&init, call->data, sizeof(init));
	if (!neep_node_has(call->node, NEEP_DRM_PARAM_CONTEXT_INIT) ||
		!neep_node_has(call->node, NEEP_DRM_PARAM_3D_FEATURES) ||
		init.num_params > NEEP_DRM_CONTEXT_PARAMS_MAX) {
		return -EINVAL;
	}
	const uint8_t *params =
		neep_node_call_take(call, init.num_params, sizeof(struct neep_drm_context_set_param));
	const uint8_t *name = neep_node_call_take(call, 1, sizeof(struct neep_virtgpu_debug_name));
	if (params == NULL || name == NULL) {
		return -EFAULT;
	}
	if (file->context.ctx_id != 0) {
		return -EEXIST;
	}
	struct context_words words = { 0 };
	int result = read_words(call->node, params, init.num_params, &words);
	if (result < 0) {
		return result;
	}
	char text[NEEP_DRM_DEBUG_NAME_SIZE] = { 0 };
	memcpy(text, name, sizeof(text) - 1);
	file->context.num_rings = (uint32_t)words.value[NEEP_DRM_CONTEXT_NUM_RINGS];
	file->context.polled_rings = words.value[NEEP_DRM_CONTEXT_POLL_RINGS_MASK];
	return create_context(file, (uint32_t)words.value[NEEP_DRM_CONTEXT_CAPSET_ID], text);
}
