/* Requests of a client that makes buffers by zwp_linux_dmabuf_v1, in a rig of compositor.h. */
#ifndef NEEP_TESTS_WAYLAND_PROXY_DMABUFS_H
#define NEEP_TESTS_WAYLAND_PROXY_DMABUFS_H

#include <drm_fourcc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "wayland/offer.h"
#include "wayland_proxy/compositor.h"

#define SIZE   65536
#define DEVICE UINT64_C(0xe280)
#define WIDTH  64
#define HEIGHT 32
#define STRIDE (WIDTH * 4)

enum dmabuf_request { DESTROY, CREATE_PARAMS, GET_DEFAULT_FEEDBACK, GET_SURFACE_FEEDBACK };
enum params_request { PARAMS_DESTROY, ADD, CREATE, CREATE_IMMED };

static inline void bind_dmabuf_as(struct rig *rig, const char *interface, uint32_t version, uint32_t id) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, REGISTRY, 0);
	neep_wl_writer_word(&writer, NEEP_WL_OFFER_NAME);
	neep_wl_writer_string(&writer, interface);
	neep_wl_writer_word(&writer, version);
	neep_wl_writer_word(&writer, id);
	int size = neep_wl_writer_end(&writer);
	assert_int_equal(write(rig->socket, writer.data, (size_t)size), size);
}

static inline uint32_t bind_dmabuf(struct rig *rig, uint32_t version) {
	uint32_t id = rig->next_id++;
	bind_dmabuf_as(rig, "zwp_linux_dmabuf_v1", version, id);
	return id;
}

struct plane {
	int fd;
	uint32_t index, offset, stride;
	uint64_t modifier;
};

static inline int make_memory(size_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static inline uint32_t create_params(struct rig *rig) {
	uint32_t dmabuf = bind_dmabuf(rig, 4), id = rig->next_id++;
	rig_send(rig, dmabuf, CREATE_PARAMS, id);
	return id;
}

static inline void add(struct rig *rig, uint32_t params, const struct plane *plane) {
	rig_send_fd(rig, plane->fd, params, ADD, 5,
		(uint32_t[]){ plane->index, plane->offset, plane->stride, (uint32_t)(plane->modifier >> 32),
			(uint32_t)plane->modifier });
}

static inline uint32_t create_immed(struct rig *rig, uint32_t params, int32_t width, int32_t height) {
	uint32_t id = rig->next_id++;
	rig_send(rig, params, CREATE_IMMED, id, (uint32_t)width, (uint32_t)height, DRM_FORMAT_XRGB8888, 0);
	return id;
}

/* A buffer in the memory `fd`, which is borrowed. */
static inline uint32_t create_buffer(struct rig *rig, int fd, uint32_t offset) {
	uint32_t params = create_params(rig);
	add(rig, params, &(struct plane){ .fd = fd, .offset = offset, .stride = STRIDE });
	uint32_t buffer = create_immed(rig, params, WIDTH, HEIGHT);
	rig_destroy(rig, params, PARAMS_DESTROY);
	rig_settle(rig);
	assert_false(rig->has_ended);
	assert_int_equal(rig_deleted(rig, params), 1);
	return buffer;
}

static inline void show(struct rig *rig, uint32_t surface, uint32_t buffer) {
	rig_attach(rig, surface, buffer);
	rig_damage_buffer(rig, surface, 0, 0, WIDTH, HEIGHT);
	rig_commit(rig, surface);
	rig_settle(rig);
}

#endif
