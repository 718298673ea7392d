#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "util/macros.h"

void neep_close_fd(int *fd) {
	if (*fd < 0) {
		return;
	}
	int saved = errno;
	/* Linux frees the descriptor even when close() reports EINTR: never retry. */
	close(*fd);
	*fd = -1;
	errno = saved;
}

int neep_fds_take(struct neep_fds *fds, size_t index) {
	return index < fds->count ? neep_steal_fd(&fds->fd[index]) : -1;
}

int neep_fd_dup(int fd) {
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? -errno : copy;
}

void neep_fds_finish(struct neep_fds *fds) {
	for (size_t i = 0; i < fds->count; i++) {
		neep_close_fd(&fds->fd[i]);
	}
	fds->count = 0;
}

int neep_memfd_create(const char *name, uint64_t size) {
	if (size > INT64_MAX) {
		return -EFBIG;
	}
	neep_autoclose int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		return -errno;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		return -errno;
	}
	return neep_steal_fd(&fd);
}

int neep_eventfd_create(void) {
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

void neep_eventfd_signal(int fd) {
	uint64_t one = 1;
	ssize_t written;
	do {
		written = write(fd, &one, sizeof(one));
	} while (written < 0 && errno == EINTR);
}

void neep_eventfd_drain(int fd) {
	uint64_t count;
	ssize_t got;
	do {
		got = read(fd, &count, sizeof(count));
	} while (got < 0 && errno == EINTR);
}

int neep_fd_set_nonblocking(int fd) {
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		return -errno;
	}
	return 0;
}

void neep_fd_raise_limit(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Room for the fds of one message, aligned as the kernel wants it. */
union fd_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * NEEP_FDS_MAX)];
};

static void attach_fds(struct msghdr *msg, union fd_control *control, const struct neep_send *send) {
	if (send->fd_count == 0) {
		return;
	}
	neep_assert(send->fd_count <= NEEP_FDS_MAX);
	size_t len = sizeof(int) * send->fd_count;
	memset(control, 0, sizeof(*control));
	msg->msg_control = control->buf;
	msg->msg_controllen = CMSG_SPACE(len);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), send->fds, len);
}

int neep_send_all(int socket, const struct neep_send *send) {
	union fd_control control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)send->buf, .iov_len = send->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	attach_fds(&msg, &control, send);
	while (iov.iov_len > 0) {
		ssize_t sent = sendmsg(socket, &msg, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) {
			continue;
		}
		if (sent < 0) {
			return -errno;
		}
		iov.iov_base = (char *)iov.iov_base + sent;
		iov.iov_len -= (size_t)sent;
		/* The fds ride on the first byte; they must not be sent twice. */
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	}
	return 0;
}

static void collect_fds(struct msghdr *msg, struct neep_fds *fds) {
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (fds->count < NEEP_FDS_MAX) {
				fds->fd[fds->count++] = fd;
			} else {
				neep_close_fd(&fd);
			}
		}
	}
}

int64_t neep_recv_in_part(int socket, void *buf, size_t len, struct neep_fds *fds, bool *has_lost_fds) {
	union fd_control control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t got;
	do {
		got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return -errno;
	}
	collect_fds(&msg, fds);
	*has_lost_fds = (msg.msg_flags & MSG_CTRUNC) != 0;
	return got;
}

int64_t neep_recv(int socket, void *buf, size_t len, struct neep_fds *fds) {
	bool has_lost_fds = false;
	int64_t got = neep_recv_in_part(socket, buf, len, fds, &has_lost_fds);
	return got >= 0 && has_lost_fds ? -EPROTO : got;
}
