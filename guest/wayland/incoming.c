#include "wayland/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/fd.h"

/* For what a client would not know what to do with, and the host should not have sent: a pipe that nobody reads. */
static int dead_pipe(void) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0) {
		return -errno;
	}
	neep_close_fd(&ends[0]);
	return ends[1];
}

static int fd_of_blob(struct neep_wl_virtgpu *gpu, const struct neep_wl_channel_id *id) {
	struct neep_wl_bo bo;
	/* What has no size cannot be a buffer: devices, which stand for "nothing". */
	if (id->size == 0) {
		return neep_memfd_create("wayland-empty", 0);
	}
	int result = neep_wl_virtgpu_create(gpu, id->id, neep_wl_virtgpu_round(gpu, id->size), &bo);
	if (result == 0) {
		result = neep_wl_virtgpu_export(gpu, &bo);
		neep_wl_virtgpu_release(gpu, &bo);
	}
	return result;
}

int neep_wl_incoming_fd(
	struct neep_wl_virtgpu *gpu, struct neep_wl_pumps *pumps, const struct neep_wl_channel_id *id) {
	switch (id->type) {
	case NEEP_WL_ID_BLOB:
		return fd_of_blob(gpu, id);
	case NEEP_WL_ID_WRITE_PIPE:
		return neep_wl_pumps_add_to_host(pumps, id->id);
	default:
		return dead_pipe();
	}
}
