// The kernel's virtgpu ioctls for the guest programs: a render node with a context on the fake 3D component, host blobs,
// command streams, fences. As in kms.h, a call that fails ends the program with a message.
#ifndef NEEP_TESTS_VM_VIRTGPU_H
#define NEEP_TESTS_VM_VIRTGPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTGPU_RINGS 8

// Parameters of GETPARAM.
enum virtgpu_param {
	PARAM_3D = 1,
	PARAM_CAPSET_FIX = 2,
	PARAM_RESOURCE_BLOB = 3,
	PARAM_HOST_VISIBLE = 4,
	PARAM_CROSS_DEVICE = 5,
	PARAM_CONTEXT_INIT = 6,
};

struct virtgpu_blob {
	uint32_t handle;
	uint32_t resource_id;
	uint64_t size;
	uint32_t *map; // NULL: not mapped
};

// A command stream for the fake (support/fake_component.h).
struct virtgpu_stream {
	uint32_t words[64];
	uint32_t count;
};

// Opens the first render node.
int virtgpu_open(void);

// Gives the file a context of this capset with VIRTGPU_RINGS rings.
void virtgpu_context_init(int fd, uint32_t capset_id);

// The value of a parameter; -1 where the kernel does not know it.
int virtgpu_param(int fd, enum virtgpu_param param);

// Reads size bytes of a capset. Returns 0 or an errno.
int virtgpu_get_caps(int fd, uint32_t capset_id, uint32_t version, void *data, uint32_t size);

// Appends an opcode and its operands.
void virtgpu_stream_add(struct virtgpu_stream *stream, const uint32_t *words, uint32_t count);
#define VIRTGPU_ADD(stream, ...)                                        \
	virtgpu_stream_add((stream), (const uint32_t[]){ __VA_ARGS__ }, \
		sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

// Runs the stream on a ring. in_fence -1: waits for none. Returns the fd of its fence.
int virtgpu_submit(int fd, const struct virtgpu_stream *stream, uint32_t ring, int in_fence);

// Runs the stream on ring 0 and waits until it is done.
void virtgpu_run(int fd, const struct virtgpu_stream *stream);

// Waits up to timeout_ms for the fence; tells whether it is done.
bool virtgpu_fence_wait(int fence, int timeout_ms);

// Makes a mappable host blob of what the fake made under blob_id; a stream, if any, is run just before.
void virtgpu_blob_create(int fd, const struct virtgpu_stream *stream, uint64_t blob_id, uint64_t size,
	struct virtgpu_blob *blob);

// Maps the blob. Returns 0 or the errno: EINVAL when the device refused.
int virtgpu_blob_map(int fd, struct virtgpu_blob *blob);

// The same at `address`, in place of what is mapped there; NULL: anywhere.
int virtgpu_blob_map_at(int fd, struct virtgpu_blob *blob, void *address);

// Unmaps and closes.
void virtgpu_blob_destroy(int fd, struct virtgpu_blob *blob);

#endif
