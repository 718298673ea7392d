/* The index of the device: every command, its sizes, its gate and its handler. */
#include "device/device_internal.h"

#include "util/macros.h"

#define VIRGL (UINT64_C(1) << VIRTIO_GPU_F_VIRGL)
#define EDID  (UINT64_C(1) << VIRTIO_GPU_F_EDID)
#define UUID  (UINT64_C(1) << VIRTIO_GPU_F_RESOURCE_UUID)
#define BLOB  (UINT64_C(1) << VIRTIO_GPU_F_RESOURCE_BLOB)

#define NODATA sizeof(struct virtio_gpu_ctrl_hdr)
#define OP(name, feature, cmd, reply, run) \
	{ #name, feature, sizeof(struct cmd), reply, run }

static const struct neep_op ops_2d[] = {
	OP(GET_DISPLAY_INFO, 0, virtio_gpu_ctrl_hdr, sizeof(struct virtio_gpu_resp_display_info),
		cmd_get_display_info),
	OP(RESOURCE_CREATE_2D, 0, virtio_gpu_resource_create_2d, NODATA, cmd_create_2d),
	OP(RESOURCE_UNREF, 0, virtio_gpu_resource_unref, NODATA, cmd_unref),
	OP(SET_SCANOUT, 0, virtio_gpu_set_scanout, NODATA, cmd_set_scanout),
	OP(RESOURCE_FLUSH, 0, virtio_gpu_resource_flush, NODATA, cmd_flush),
	OP(TRANSFER_TO_HOST_2D, 0, virtio_gpu_transfer_to_host_2d, NODATA, cmd_transfer_2d),
	OP(RESOURCE_ATTACH_BACKING, 0, virtio_gpu_resource_attach_backing, NODATA, cmd_attach_backing),
	OP(RESOURCE_DETACH_BACKING, 0, virtio_gpu_resource_detach_backing, NODATA, cmd_detach_backing),
	OP(GET_CAPSET_INFO, VIRGL, virtio_gpu_get_capset_info, sizeof(struct virtio_gpu_resp_capset_info),
		cmd_get_capset_info),
	/* The reply is longer by the size of the capset: the handler checks that. */
	OP(GET_CAPSET, VIRGL, virtio_gpu_get_capset, sizeof(struct virtio_gpu_resp_capset), cmd_get_capset),
	OP(GET_EDID, EDID, virtio_gpu_cmd_get_edid, sizeof(struct virtio_gpu_resp_edid), cmd_get_edid),
	OP(RESOURCE_ASSIGN_UUID, UUID, virtio_gpu_resource_assign_uuid,
		sizeof(struct virtio_gpu_resp_resource_uuid), cmd_assign_uuid),
	OP(RESOURCE_CREATE_BLOB, BLOB, virtio_gpu_resource_create_blob, NODATA, cmd_create_blob),
	OP(SET_SCANOUT_BLOB, BLOB, virtio_gpu_set_scanout_blob, NODATA, cmd_set_scanout_blob),
};

static const struct neep_op ops_3d[] = {
	OP(CTX_CREATE, VIRGL, virtio_gpu_ctx_create, NODATA, cmd_ctx_create),
	OP(CTX_DESTROY, VIRGL, virtio_gpu_ctx_destroy, NODATA, cmd_ctx_destroy),
	OP(CTX_ATTACH_RESOURCE, VIRGL, virtio_gpu_ctx_resource, NODATA, cmd_ctx_attach),
	OP(CTX_DETACH_RESOURCE, VIRGL, virtio_gpu_ctx_resource, NODATA, cmd_ctx_detach),
	OP(RESOURCE_CREATE_3D, VIRGL, virtio_gpu_resource_create_3d, NODATA, cmd_create_3d),
	OP(TRANSFER_TO_HOST_3D, VIRGL, virtio_gpu_transfer_host_3d, NODATA, cmd_transfer_to_3d),
	OP(TRANSFER_FROM_HOST_3D, VIRGL, virtio_gpu_transfer_host_3d, NODATA, cmd_transfer_from_3d),
	OP(SUBMIT_3D, VIRGL, virtio_gpu_cmd_submit, NODATA, cmd_submit_3d),
	OP(RESOURCE_MAP_BLOB, BLOB, virtio_gpu_resource_map_blob, sizeof(struct virtio_gpu_resp_map_info),
		cmd_map_blob),
	OP(RESOURCE_UNMAP_BLOB, BLOB, virtio_gpu_resource_unmap_blob, NODATA, cmd_unmap_blob),
};

static const struct neep_op ops_cursor[] = {
	OP(UPDATE_CURSOR, 0, virtio_gpu_update_cursor, NODATA, cmd_cursor),
	OP(MOVE_CURSOR, 0, virtio_gpu_update_cursor, NODATA, cmd_cursor),
};

static const struct neep_op *find(const struct neep_op *ops, size_t count, uint32_t first, uint32_t type) {
	return type >= first && type - first < count ? &ops[type - first] : NULL;
}

const struct neep_op *op_find_control(uint32_t type) {
	const struct neep_op *op =
		find(ops_2d, NEEP_ARRAY_LEN(ops_2d), VIRTIO_GPU_CMD_GET_DISPLAY_INFO, type);
	return op != NULL ? op : find(ops_3d, NEEP_ARRAY_LEN(ops_3d), VIRTIO_GPU_CMD_CTX_CREATE, type);
}

const struct neep_op *op_find_cursor(uint32_t type) {
	return find(ops_cursor, NEEP_ARRAY_LEN(ops_cursor), VIRTIO_GPU_CMD_UPDATE_CURSOR, type);
}
