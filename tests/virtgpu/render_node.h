/* A program's side of the render node: raw ioctls, and command streams for the fake 3D component. Returns of the calls that
 * are no claims are 0 or a negative errno. */
#ifndef NEEP_TESTS_VIRTGPU_RENDER_NODE_H
#define NEEP_TESTS_VIRTGPU_RENDER_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fake_component.h"
#include "virtgpu/uapi.h"

#define NODE_PATH "/dev/dri/renderD128"
#define NODE_PAGE 4096

int node_ioctl(int fd, uint32_t nr, void *arg, size_t size);
#define NODE_IOCTL(fd, nr, arg) node_ioctl((fd), NEEP_DRM_NR_##nr, (arg), sizeof(*(arg)))

/* Opens the node; fails the test when it cannot. */
int node_open(void);

/* Opens it and gives it a context of the fake with 8 rings. */
int node_open_context(void);
/* The same; fences of the rings in the mask are told by events. */
int node_open_polled(uint64_t rings);
int node_context_init(int fd, uint64_t capset_id, uint64_t rings);

struct node_blob {
	uint32_t handle;
	uint32_t resource_id;
	uint64_t size;
};

/* A mappable host blob whose bytes are `fill`. */
int node_blob_create(int fd, uint64_t size, uint8_t fill, struct node_blob *blob);
/* Of a blob that the stream has made; flags of NEEP_DRM_BLOB_FLAG_*. */
int node_blob_create_from(int fd, const struct neep_fake_stream *stream, uint64_t blob_id, uint32_t flags,
	struct node_blob *blob);
int node_close(int fd, uint32_t handle);

/* The memory of a buffer; NULL with errno set. */
void *node_map(int fd, uint32_t handle, size_t size);

struct node_submit {
	const struct neep_fake_stream *stream; // NULL: empty
	const uint32_t *handles;
	uint32_t handle_count;
	int ring; // -1: none
	bool wants_fence;
	int fence_in; // -1: none
};
/* Returns the fence if one is wanted. */
int node_submit(int fd, const struct node_submit *submit);

/* Runs one operation of the fake, without a fence. */
int node_run(int fd, enum neep_fake_op op, const uint32_t *operands, size_t count);
#define NODE_RUN(fd, op, ...)                                   \
	node_run((fd), (op), (const uint32_t[]){ __VA_ARGS__ }, \
		sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

int node_wait(int fd, uint32_t handle, bool nowait);
bool node_fence_is_done(int fence, int timeout_ms);

/* dma-bufs. */
int node_export(int fd, uint32_t handle);
int node_import(int fd, int dma_buf, uint32_t *handle);

/* Passes an fd through a socket. */
void node_send_fd(int socket, int fd);
int node_receive_fd(int socket);

#endif
