/* What the device can do, asked once: parameters, and every version of every capset. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/gpu.h"
#include "virtgpu/node_internal.h"

/* What a memfd of capsets may hold; those of all known kinds are a few KiB. */
#define CAPSETS_BYTES_MAX (UINT32_C(1) << 20)

struct capsets {
	struct neep_virtgpu_info info;
	uint8_t *data; // what follows the info
	uint32_t len;
};

static int read_versions(struct neep_virtgpu_node *node, struct capsets *capsets,
	const struct neep_virtgpu_info_capset *capset) {
	uint64_t len = (uint64_t)capset->size * (capset->max_version + UINT64_C(1));
	if (len > CAPSETS_BYTES_MAX - capsets->len) {
		return -EFBIG;
	}
	uint8_t *grown = realloc(capsets->data, capsets->len + len + 1);
	if (grown == NULL) {
		return -ENOMEM;
	}
	capsets->data = grown;
	int result = 0;
	for (uint32_t version = 0; result == 0 && version <= capset->max_version; version++) {
		int response = neep_cmd_get_capset(
			node->driver, capset->id, version, grown + capsets->len, capset->size);
		result = neep_node_result(node, response);
		capsets->len += capset->size;
	}
	return result;
}

static int read_capset(struct neep_virtgpu_node *node, struct capsets *capsets, uint32_t index) {
	struct virtio_gpu_resp_capset_info reply;
	int result = neep_node_result(node, neep_cmd_get_capset_info(node->driver, index, &reply));
	if (result < 0 || reply.capset_id >= 64) {
		return result;
	}
	struct neep_virtgpu_info *info = &capsets->info;
	info->capsets[info->capset_count] = (struct neep_virtgpu_info_capset){
		.id = reply.capset_id,
		.max_version = reply.capset_max_version,
		.size = reply.capset_max_size,
		.offset = (uint32_t)sizeof(*info) + capsets->len,
	};
	result = read_versions(node, capsets, &info->capsets[info->capset_count]);
	info->capset_count++;
	info->params[NEEP_DRM_PARAM_SUPPORTED_CAPSET_IDS] |= UINT64_C(1) << reply.capset_id;
	return result;
}

static int read_capsets(struct neep_virtgpu_node *node, struct capsets *capsets) {
	struct virtio_gpu_config config;
	int result = neep_driver_read_config(node->driver, 0, &config, sizeof(config));
	for (uint32_t i = 0; result == 0 && i < config.num_capsets && i < NEEP_VIRTGPU_CAPSETS_MAX; i++) {
		result = read_capset(node, capsets, i);
	}
	return result;
}

static void read_params(struct neep_virtgpu_node *node, uint64_t *params) {
	uint64_t features = neep_driver_features(node->driver);
	neep_driver_window(node->driver, &node->window_size);
	params[NEEP_DRM_PARAM_3D_FEATURES] = features >> VIRTIO_GPU_F_VIRGL & 1;
	params[NEEP_DRM_PARAM_CAPSET_QUERY_FIX] = 1;
	params[NEEP_DRM_PARAM_RESOURCE_BLOB] = features >> VIRTIO_GPU_F_RESOURCE_BLOB & 1;
	params[NEEP_DRM_PARAM_HOST_VISIBLE] = node->window_size > 0;
	params[NEEP_DRM_PARAM_CROSS_DEVICE] = features >> VIRTIO_GPU_F_RESOURCE_UUID & 1;
	params[NEEP_DRM_PARAM_CONTEXT_INIT] = features >> VIRTIO_GPU_F_CONTEXT_INIT & 1;
	params[NEEP_DRM_PARAM_EXPLICIT_DEBUG_NAME] = params[NEEP_DRM_PARAM_CONTEXT_INIT];
}

static int make_file(struct capsets *capsets) {
	struct neep_virtgpu_info *info = &capsets->info;
	info->size = sizeof(*info) + capsets->len;
	neep_autoclose int fd = neep_memfd_create("neep-virtgpu-info", info->size);
	if (fd < 0) {
		return fd;
	}
	if (pwrite(fd, info, sizeof(*info), 0) != (ssize_t)sizeof(*info) ||
		pwrite(fd, capsets->data, capsets->len, sizeof(*info)) != (ssize_t)capsets->len ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		return -EIO;
	}
	return neep_steal_fd(&fd);
}

int neep_node_info_init(struct neep_virtgpu_node *node, struct neep_error *error) {
	struct capsets capsets = { 0 };
	read_params(node, capsets.info.params);
	int result = read_capsets(node, &capsets);
	if (result == 0) {
		memcpy(node->params, capsets.info.params, sizeof(node->params));
		node->has_capsets = capsets.info.capset_count > 0;
		result = node->info_fd = make_file(&capsets);
	}
	free(capsets.data);
	return result < 0 ? neep_error_set(error, -result, "cannot read the capability sets of the device")
			  : 0;
}
