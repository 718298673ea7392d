#include "virtgpu/render_node.h"

#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int node_ioctl(int fd, uint32_t nr, void *arg, size_t size) {
	return ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'd', nr, size), arg) < 0 ? -errno : 0;
}

int node_open(void) {
	int fd = open(NODE_PATH, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

int node_context_init(int fd, uint64_t capset_id, uint64_t rings) {
	struct neep_drm_context_set_param params[] = {
		{ NEEP_DRM_CONTEXT_NUM_RINGS, rings },
		{ NEEP_DRM_CONTEXT_CAPSET_ID, capset_id },
	};
	struct neep_drm_context_init init = {
		.num_params = 2,
		.ctx_set_params = (uintptr_t)params,
	};
	return NODE_IOCTL(fd, CONTEXT_INIT, &init);
}

int node_open_context(void) {
	int fd = node_open();
	assert_int_equal(node_context_init(fd, NEEP_FAKE_CAPSET, 8), 0);
	return fd;
}

int node_open_polled(uint64_t rings) {
	struct neep_drm_context_set_param params[] = {
		{ NEEP_DRM_CONTEXT_CAPSET_ID, NEEP_FAKE_CAPSET },
		{ NEEP_DRM_CONTEXT_NUM_RINGS, 8 },
		{ NEEP_DRM_CONTEXT_POLL_RINGS_MASK, rings },
	};
	struct neep_drm_context_init init = { .num_params = 3, .ctx_set_params = (uintptr_t)params };
	int fd = node_open();
	assert_int_equal(NODE_IOCTL(fd, CONTEXT_INIT, &init), 0);
	return fd;
}

int node_blob_create_from(int fd, const struct neep_fake_stream *stream, uint64_t blob_id, uint32_t flags,
	struct node_blob *blob) {
	struct neep_drm_create_blob create = {
		.blob_mem = NEEP_DRM_BLOB_MEM_HOST3D,
		.blob_flags = flags,
		.size = blob->size,
		.cmd_size = stream != NULL ? (uint32_t)neep_fake_stream_size(stream) : 0,
		.cmd = stream != NULL ? (uintptr_t)stream->words : 0,
		.blob_id = blob_id,
	};
	int result = NODE_IOCTL(fd, RESOURCE_CREATE_BLOB, &create);
	blob->handle = create.bo_handle;
	blob->resource_id = create.res_handle;
	return result;
}

int node_blob_create(int fd, uint64_t size, uint8_t fill, struct node_blob *blob) {
	static uint64_t blob_id;
	struct neep_fake_stream stream = { .count = 0 };
	blob->size = size;
	neep_fake_stream_blob(&stream, ++blob_id, size, 1, fill);
	return node_blob_create_from(fd, &stream, blob_id, NEEP_DRM_BLOB_FLAG_MAPPABLE, blob);
}

int node_close(int fd, uint32_t handle) {
	struct drm_gem_close close = { .handle = handle };
	return NODE_IOCTL(fd, GEM_CLOSE, &close);
}

void *node_map(int fd, uint32_t handle, size_t size) {
	struct neep_drm_map map = { .handle = handle };
	int result = NODE_IOCTL(fd, MAP, &map);
	if (result < 0) {
		errno = -result;
		return NULL;
	}
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)map.offset);
	return at == MAP_FAILED ? NULL : at;
}

int node_submit(int fd, const struct node_submit *submit) {
	struct neep_drm_execbuffer exec = {
		.flags = (submit->wants_fence ? NEEP_DRM_EXEC_FENCE_FD_OUT : 0) |
			 (submit->ring >= 0 ? NEEP_DRM_EXEC_RING_IDX : 0) |
			 (submit->fence_in >= 0 ? NEEP_DRM_EXEC_FENCE_FD_IN : 0),
		.size = submit->stream != NULL ? (uint32_t)neep_fake_stream_size(submit->stream) : 0,
		.command = submit->stream != NULL ? (uintptr_t)submit->stream->words : 0,
		.bo_handles = (uintptr_t)submit->handles,
		.num_bo_handles = submit->handle_count,
		.fence_fd = submit->fence_in,
		.ring_idx = submit->ring >= 0 ? (uint32_t)submit->ring : 0,
	};
	int result = NODE_IOCTL(fd, EXECBUFFER, &exec);
	return result == 0 && submit->wants_fence ? exec.fence_fd : result;
}

int node_run(int fd, enum neep_fake_op op, const uint32_t *operands, size_t count) {
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_op(&stream, op, operands, count);
	struct node_submit submit = { .stream = &stream, .ring = -1, .fence_in = -1 };
	return node_submit(fd, &submit);
}

int node_wait(int fd, uint32_t handle, bool nowait) {
	struct neep_drm_wait wait = { .handle = handle, .flags = nowait ? NEEP_DRM_WAIT_NOWAIT : 0 };
	return NODE_IOCTL(fd, WAIT, &wait);
}

bool node_fence_is_done(int fence, int timeout_ms) {
	struct pollfd poller = { .fd = fence, .events = POLLIN };
	return poll(&poller, 1, timeout_ms) == 1 && (poller.revents & POLLIN) != 0;
}

int node_export(int fd, uint32_t handle) {
	struct drm_prime_handle prime = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	int result = NODE_IOCTL(fd, PRIME_HANDLE_TO_FD, &prime);
	return result < 0 ? result : prime.fd;
}

int node_import(int fd, int dma_buf, uint32_t *handle) {
	struct drm_prime_handle prime = { .fd = dma_buf };
	int result = NODE_IOCTL(fd, PRIME_FD_TO_HANDLE, &prime);
	*handle = prime.handle;
	return result;
}

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int))];
};

void node_send_fd(int socket, int fd) {
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &msg, 0), 1);
}

int node_receive_fd(int socket) {
	char byte;
	int fd = -1;
	struct iovec iov = { &byte, 1 };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	assert_int_equal(recvmsg(socket, &msg, MSG_CMSG_CLOEXEC), 1);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}
