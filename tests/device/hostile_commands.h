/* Every command as an honest guest sends it, what its fields mean, and what they are set to by test_hostile.c. */
#ifndef NEEP_TESTS_DEVICE_HOSTILE_COMMANDS_H
#define NEEP_TESTS_DEVICE_HOSTILE_COMMANDS_H

#include <linux/virtio_gpu.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fake_component.h"

#define PAGE   UINT64_C(4096)
#define SIDE   64
#define SIZE   (SIDE * SIDE * 4)
#define WINDOW (UINT64_C(1) << 20)

/* The things of set_up(). */
#define IMAGE   1
#define BLOB    2
#define TEXTURE 3
#define HOST    4
#define FRESH   9
#define CTX     1
#define BLOB_ID 77

/* What a field means, and so what a wrong value of it is answered with. */
enum kind {
	NUMBER,      // BAD_PARAMETER, NO_MEMORY, or nothing wrong with it
	OLD_ID,      // of a resource that there is: BAD_RESOURCE
	OLD_OR_NONE, // the same, and 0 turns something off
	NEW_ID,      // of a resource that there is not: BAD_RESOURCE
	SCANOUT,     // BAD_SCANOUT
	OLD_CTX,     // BAD_CONTEXT
	NEW_CTX,     // BAD_CONTEXT
};

struct field {
	uint8_t offset, width;
	enum kind kind;
};

#define FIELDS_MAX 13

struct command {
	uint32_t type;
	uint32_t len;
	struct field fields[FIELDS_MAX]; // ends with width 0
	union {
		uint8_t bytes[96];
		struct virtio_gpu_ctrl_hdr hdr;
		struct virtio_gpu_resource_create_2d create_2d;
		struct virtio_gpu_resource_unref unref;
		struct virtio_gpu_set_scanout set_scanout;
		struct virtio_gpu_resource_flush flush;
		struct virtio_gpu_transfer_to_host_2d transfer_2d;
		struct virtio_gpu_resource_attach_backing attach;
		struct virtio_gpu_resource_detach_backing detach;
		struct virtio_gpu_get_capset_info capset_info;
		struct virtio_gpu_get_capset capset;
		struct virtio_gpu_cmd_get_edid edid;
		struct virtio_gpu_resource_assign_uuid uuid;
		struct virtio_gpu_resource_create_blob blob;
		struct virtio_gpu_set_scanout_blob scanout_blob;
		struct virtio_gpu_ctx_create ctx_create;
		struct virtio_gpu_ctx_resource ctx_resource;
		struct virtio_gpu_resource_create_3d create_3d;
		struct virtio_gpu_transfer_host_3d transfer_3d;
		struct virtio_gpu_cmd_submit submit;
		struct virtio_gpu_resource_map_blob map;
		struct virtio_gpu_resource_unmap_blob unmap;
	};
};

#define COMMAND(type_, member) .type = VIRTIO_GPU_CMD_##type_, .len = sizeof(((struct command *)0)->member)
#define FIELD(member, kind_)                                                        \
	{                                                                           \
		offsetof(struct command, member) - offsetof(struct command, bytes), \
			sizeof(((struct command *)0)->member), kind_                \
	}
#define RECT(member)                                                                   \
	FIELD(member.x, NUMBER), FIELD(member.y, NUMBER), FIELD(member.width, NUMBER), \
		FIELD(member.height, NUMBER)
#define BOX(member)                                                                                         \
	FIELD(member.x, NUMBER), FIELD(member.y, NUMBER), FIELD(member.z, NUMBER), FIELD(member.w, NUMBER), \
		FIELD(member.h, NUMBER), FIELD(member.d, NUMBER)

/* As an honest guest would send them after set_up(); all succeed. */
static const struct command commands[] = {
	{ COMMAND(GET_DISPLAY_INFO, hdr) },
	{ COMMAND(RESOURCE_CREATE_2D, create_2d),
		{ FIELD(create_2d.resource_id, NEW_ID), FIELD(create_2d.format, NUMBER),
			FIELD(create_2d.width, NUMBER), FIELD(create_2d.height, NUMBER) },
		.create_2d = { .resource_id = FRESH, .format = 1, .width = SIDE, .height = SIDE } },
	{ COMMAND(RESOURCE_UNREF, unref), { FIELD(unref.resource_id, OLD_ID) }, .unref.resource_id = IMAGE },
	{ COMMAND(SET_SCANOUT, set_scanout),
		{ RECT(set_scanout.r), FIELD(set_scanout.scanout_id, SCANOUT),
			FIELD(set_scanout.resource_id, OLD_OR_NONE) },
		.set_scanout = { .r = { .width = SIDE, .height = SIDE }, .resource_id = IMAGE } },
	{ COMMAND(RESOURCE_FLUSH, flush), { RECT(flush.r), FIELD(flush.resource_id, OLD_ID) },
		.flush = { .r = { .width = SIDE, .height = SIDE }, .resource_id = IMAGE } },
	{ COMMAND(TRANSFER_TO_HOST_2D, transfer_2d),
		{ RECT(transfer_2d.r), FIELD(transfer_2d.offset, NUMBER),
			FIELD(transfer_2d.resource_id, OLD_ID) },
		.transfer_2d = { .r = { .width = SIDE, .height = SIDE }, .resource_id = IMAGE } },
	{ COMMAND(RESOURCE_ATTACH_BACKING, attach),
		{ FIELD(attach.resource_id, OLD_ID), FIELD(attach.nr_entries, NUMBER) },
		.attach = { .resource_id = TEXTURE, .nr_entries = 1 } },
	{ COMMAND(RESOURCE_DETACH_BACKING, detach), { FIELD(detach.resource_id, OLD_ID) },
		.detach.resource_id = IMAGE },
	{ COMMAND(GET_CAPSET_INFO, capset_info), { FIELD(capset_info.capset_index, NUMBER) } },
	{ COMMAND(GET_CAPSET, capset),
		{ FIELD(capset.capset_id, NUMBER), FIELD(capset.capset_version, NUMBER) },
		.capset.capset_id = NEEP_FAKE_CAPSET },
	{ COMMAND(GET_EDID, edid), { FIELD(edid.scanout, SCANOUT) } },
	{ COMMAND(RESOURCE_ASSIGN_UUID, uuid), { FIELD(uuid.resource_id, OLD_ID) },
		.uuid.resource_id = IMAGE },
	{ COMMAND(RESOURCE_CREATE_BLOB, blob),
		{ FIELD(blob.resource_id, NEW_ID), FIELD(blob.blob_mem, NUMBER),
			FIELD(blob.blob_flags, NUMBER), FIELD(blob.nr_entries, NUMBER),
			FIELD(blob.size, NUMBER) },
		.blob = { .hdr.ctx_id = CTX,
			.resource_id = FRESH,
			.blob_mem = 1,
			.nr_entries = 1,
			.size = PAGE } },
	{ COMMAND(RESOURCE_CREATE_BLOB, blob),
		{ FIELD(blob.hdr.ctx_id, OLD_CTX), FIELD(blob.resource_id, NEW_ID),
			FIELD(blob.blob_flags, NUMBER), FIELD(blob.nr_entries, NUMBER),
			FIELD(blob.blob_id, NUMBER), FIELD(blob.size, NUMBER) },
		.blob = { .hdr.ctx_id = CTX,
			.resource_id = FRESH,
			.blob_mem = 2,
			.blob_id = BLOB_ID,
			.size = PAGE } },
	{ COMMAND(SET_SCANOUT_BLOB, scanout_blob),
		{ RECT(scanout_blob.r), FIELD(scanout_blob.scanout_id, SCANOUT),
			FIELD(scanout_blob.resource_id, OLD_OR_NONE), FIELD(scanout_blob.width, NUMBER),
			FIELD(scanout_blob.height, NUMBER), FIELD(scanout_blob.format, NUMBER),
			FIELD(scanout_blob.strides[0], NUMBER), FIELD(scanout_blob.offsets[0], NUMBER) },
		.scanout_blob = { .r = { .width = SIDE, .height = SIDE },
			.resource_id = BLOB,
			.width = SIDE,
			.height = SIDE,
			.format = 2,
			.strides = { SIDE * 4 } } },
	{ COMMAND(CTX_CREATE, ctx_create),
		{ FIELD(ctx_create.hdr.ctx_id, NEW_CTX), FIELD(ctx_create.nlen, NUMBER),
			FIELD(ctx_create.context_init, NUMBER) },
		.ctx_create = { .hdr.ctx_id = FRESH,
			.nlen = 3,
			.context_init = NEEP_FAKE_CAPSET,
			.debug_name = "ill" } },
	{ COMMAND(CTX_DESTROY, hdr), { FIELD(hdr.ctx_id, OLD_CTX) }, .hdr.ctx_id = CTX },
	{ COMMAND(CTX_ATTACH_RESOURCE, ctx_resource),
		{ FIELD(ctx_resource.hdr.ctx_id, OLD_CTX), FIELD(ctx_resource.resource_id, OLD_ID) },
		.ctx_resource = { .hdr.ctx_id = CTX, .resource_id = TEXTURE } },
	{ COMMAND(CTX_DETACH_RESOURCE, ctx_resource),
		{ FIELD(ctx_resource.hdr.ctx_id, OLD_CTX), FIELD(ctx_resource.resource_id, OLD_ID) },
		.ctx_resource = { .hdr.ctx_id = CTX, .resource_id = TEXTURE } },
	{ COMMAND(RESOURCE_CREATE_3D, create_3d),
		{ FIELD(create_3d.resource_id, NEW_ID), FIELD(create_3d.target, NUMBER),
			FIELD(create_3d.format, NUMBER), FIELD(create_3d.bind, NUMBER),
			FIELD(create_3d.width, NUMBER), FIELD(create_3d.height, NUMBER),
			FIELD(create_3d.depth, NUMBER), FIELD(create_3d.array_size, NUMBER),
			FIELD(create_3d.last_level, NUMBER), FIELD(create_3d.nr_samples, NUMBER),
			FIELD(create_3d.flags, NUMBER) },
		.create_3d = { .resource_id = FRESH,
			.target = 2,
			.format = 2,
			.bind = 2,
			.width = SIDE,
			.height = SIDE,
			.depth = 1,
			.array_size = 1 } },
	{ COMMAND(TRANSFER_TO_HOST_3D, transfer_3d),
		{ BOX(transfer_3d.box), FIELD(transfer_3d.offset, NUMBER),
			FIELD(transfer_3d.resource_id, OLD_ID), FIELD(transfer_3d.level, NUMBER),
			FIELD(transfer_3d.stride, NUMBER), FIELD(transfer_3d.layer_stride, NUMBER) },
		.transfer_3d = { .box = { .w = SIDE, .h = SIDE, .d = 1 }, .resource_id = IMAGE } },
	{ COMMAND(TRANSFER_FROM_HOST_3D, transfer_3d),
		{ BOX(transfer_3d.box), FIELD(transfer_3d.offset, NUMBER),
			FIELD(transfer_3d.resource_id, OLD_ID), FIELD(transfer_3d.level, NUMBER),
			FIELD(transfer_3d.stride, NUMBER), FIELD(transfer_3d.layer_stride, NUMBER) },
		.transfer_3d = { .box = { .w = SIDE, .h = SIDE, .d = 1 }, .resource_id = IMAGE } },
	{ COMMAND(SUBMIT_3D, submit), { FIELD(submit.hdr.ctx_id, OLD_CTX), FIELD(submit.size, NUMBER) },
		.submit.hdr.ctx_id = CTX },
	{ COMMAND(RESOURCE_MAP_BLOB, map), { FIELD(map.resource_id, OLD_ID), FIELD(map.offset, NUMBER) },
		.map.resource_id = HOST },
	{ COMMAND(RESOURCE_UNMAP_BLOB, unmap), { FIELD(unmap.resource_id, OLD_ID) }, .unmap.resource_id = 5 },
};

/* What a field is set to; narrow ones take the low bytes. */
static const uint64_t values[] = { 0, 1, 2, 3, 5, 7, 31, 63, 64, 65, 4095, 4096, 16384, 16385, 65536,
	0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
	0xffffffffffffff00, 0xfffffffffffff000, 0xffffffffffffffff };

#endif
