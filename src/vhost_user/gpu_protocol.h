/* The wire format of the vhost-user-gpu display socket, which GPU_SET_SOCKET hands over.
 * QEMU docs/interop/vhost-user-gpu. Native endian, which is little-endian here.
 *
 * The back-end sends requests, the front-end answers three of them (GET_*) and DMABUF_UPDATE. */
#ifndef NEEP_VHOST_USER_GPU_PROTOCOL_H
#define NEEP_VHOST_USER_GPU_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define NEEP_GPU_PACKED __attribute__((packed))

/* header.flags: no version bits here. */
#define NEEP_GPU_FLAG_REPLY 0x4u

struct NEEP_GPU_PACKED neep_gpu_header {
	uint32_t request; // enum neep_gpu_request
	uint32_t flags;
	uint32_t size; // bytes of payload
};
static_assert(sizeof(struct neep_gpu_header) == 12, "wire format");

enum neep_gpu_request {
	NEEP_GPU_GET_PROTOCOL_FEATURES = 1,
	NEEP_GPU_SET_PROTOCOL_FEATURES = 2,
	NEEP_GPU_GET_DISPLAY_INFO = 3,
	NEEP_GPU_CURSOR_POS = 4,
	NEEP_GPU_CURSOR_POS_HIDE = 5,
	NEEP_GPU_CURSOR_UPDATE = 6,
	NEEP_GPU_SCANOUT = 7,
	NEEP_GPU_UPDATE = 8,
	NEEP_GPU_DMABUF_SCANOUT = 9,
	NEEP_GPU_DMABUF_UPDATE = 10,
	NEEP_GPU_GET_EDID = 11,
	NEEP_GPU_DMABUF_SCANOUT2 = 12,
};

/* Bits of GET_PROTOCOL_FEATURES and SET_PROTOCOL_FEATURES (a u64). */
#define NEEP_GPU_PROTOCOL_F_EDID    0
#define NEEP_GPU_PROTOCOL_F_DMABUF2 1

struct NEEP_GPU_PACKED neep_gpu_cursor_pos {
	uint32_t scanout_id;
	uint32_t x, y; // two's complement where negative
};
static_assert(sizeof(struct neep_gpu_cursor_pos) == 12, "wire format");

#define NEEP_GPU_CURSOR_PIXELS (64 * 64)
struct NEEP_GPU_PACKED neep_gpu_cursor_update {
	struct neep_gpu_cursor_pos pos;
	uint32_t hot_x, hot_y;
	uint32_t argb[NEEP_GPU_CURSOR_PIXELS]; // a8r8g8b8
};
static_assert(sizeof(struct neep_gpu_cursor_update) == 16404, "wire format");

/* 0 x 0 turns the output off. */
struct NEEP_GPU_PACKED neep_gpu_scanout {
	uint32_t scanout_id;
	uint32_t width, height; // pixels
};
static_assert(sizeof(struct neep_gpu_scanout) == 12, "wire format");

/* Followed by width * height pixels, x8r8g8b8. */
struct NEEP_GPU_PACKED neep_gpu_update_header {
	uint32_t scanout_id;
	uint32_t x, y, width, height; // pixels
};
static_assert(sizeof(struct neep_gpu_update_header) == 20, "wire format");

struct NEEP_GPU_PACKED neep_gpu_edid_request {
	uint32_t scanout_id;
};
static_assert(sizeof(struct neep_gpu_edid_request) == 4, "wire format");

/* Replies are the structures of <linux/virtio_gpu.h>: virtio_gpu_resp_display_info, virtio_gpu_resp_edid. */
#define NEEP_GPU_DISPLAY_INFO_SIZE 408
#define NEEP_GPU_EDID_SIZE         1056

#endif
