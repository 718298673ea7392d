/* Fence fds stand in for sync files. */
#include "virtgpu/preload.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/sync_file.h>

#include "util/clock.h"

/* One poll. Returns whether the fence is done; *timeout_ns shrinks by what it took. */
static bool poll_fence(int fd, int64_t *timeout_ns) {
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	struct timespec limit = {
		.tv_sec = *timeout_ns / NEEP_NS_PER_S,
		.tv_nsec = *timeout_ns % NEEP_NS_PER_S,
	};
	int64_t start = neep_clock_ns();
	int ready = (int)syscall(SYS_ppoll, &poller, 1, *timeout_ns < 0 ? NULL : &limit, NULL, 0);
	if (*timeout_ns >= 0) {
		int64_t left = *timeout_ns - (neep_clock_ns() - start);
		*timeout_ns = left > 0 ? left : 0;
	}
	return ready > 0;
}

int64_t neep_preload_fence_wait(int fd, int64_t timeout_ns) {
	int saved = errno;
	bool is_done = poll_fence(fd, &timeout_ns);
	while (!is_done && timeout_ns != 0) {
		is_done = poll_fence(fd, &timeout_ns);
	}
	struct neep_virtgpu_signal signal = { 0 };
	/* Others may hold the token: the message stays for them. */
	syscall(SYS_recvfrom, fd, &signal, sizeof(signal), MSG_DONTWAIT | MSG_PEEK, NULL, NULL);
	errno = saved;
	return is_done ? (int64_t)signal.index : -ETIME;
}

static int file_info(int fd, struct sync_file_info *info) {
	int64_t state = neep_preload_fence_wait(fd, 0);
	if (info->flags != 0 || info->pad != 0) {
		return -EINVAL;
	}
	if (info->num_fences > 0) {
		struct sync_fence_info *fence = (struct sync_fence_info *)(uintptr_t)info->sync_fence_info;
		*fence = (struct sync_fence_info){
			.obj_name = "virtio_gpu",
			.driver_name = "virtio_gpu",
			.status = state >= 0,
		};
	}
	memset(info->name, 0, sizeof(info->name));
	strcpy(info->name, "virtio_gpu");
	info->status = state >= 0;
	info->num_fences = 1;
	return 0;
}

static int merge(int fd, struct sync_merge_data *data) {
	struct neep_preload_token token;
	if (data->flags != 0 || data->pad != 0) {
		return -EINVAL;
	}
	if (!neep_preload_token(data->fd2, &token) || token.kind != NEEP_VIRTGPU_TOKEN_FENCE) {
		return -ENOENT;
	}
	struct iovec iov[1];
	int fds[] = { fd, data->fd2 };
	struct neep_preload_exchange exchange = {
		.call = { .op = NEEP_VIRTGPU_OP_MERGE },
		.iov = iov,
		.iov_count = 1,
		.fds = fds,
		.fd_count = 2,
		.wants_cloexec = true,
	};
	int result = neep_preload_exchange(&exchange);
	if (result == 0) {
		data->fence = exchange.fd;
	}
	return result;
}

int neep_preload_fence_done(void) {
	struct iovec iov[1];
	struct neep_preload_exchange exchange = {
		.call = { .op = NEEP_VIRTGPU_OP_DONE },
		.iov = iov,
		.iov_count = 1,
		.wants_cloexec = true,
	};
	int result = neep_preload_exchange(&exchange);
	return result < 0 ? result : exchange.fd;
}

int neep_preload_sync_ioctl(int fd, unsigned long request, void *arg) {
	if (request == SYNC_IOC_FILE_INFO) {
		return file_info(fd, arg);
	}
	return request == SYNC_IOC_MERGE ? merge(fd, arg) : -ENOTTY;
}
