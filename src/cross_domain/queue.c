#include "cross_domain/queue.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct chunk {
	struct neep_list link; // neep_xd_queue.chunks
	struct neep_fds fds;
	size_t len;
	size_t done;
	uint8_t data[];
};

void neep_xd_queue_init(struct neep_xd_queue *queue, const struct neep_xd_queue *limits) {
	*queue = *limits;
	neep_list_init(&queue->chunks);
}

static size_t charge_of(size_t len) {
	return sizeof(struct chunk) + len;
}

static void chunk_free(struct neep_xd_queue *queue, struct chunk *chunk) {
	neep_list_remove(&chunk->link);
	queue->bytes -= charge_of(chunk->len);
	queue->budget->bytes -= charge_of(chunk->len);
	queue->fds -= chunk->fds.count;
	queue->budget->fds -= chunk->fds.count;
	neep_fds_finish(&chunk->fds);
	free(chunk);
}

void neep_xd_queue_finish(struct neep_xd_queue *queue) {
	neep_list_for_each_safe (chunk, &queue->chunks, struct chunk, link) {
		chunk_free(queue, chunk);
	}
}

/* The fds of one message, in the kernel's form. */
union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * NEEP_FDS_MAX)];
};

static void attach(struct msghdr *msg, union control *control, const struct neep_fds *fds) {
	if (fds == NULL || fds->count == 0) {
		return;
	}
	size_t len = sizeof(int) * fds->count;
	memset(control, 0, sizeof(*control));
	msg->msg_control = control->buf;
	msg->msg_controllen = CMSG_SPACE(len);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), fds->fd, len);
}

/* write() that raises no SIGPIPE: what the program around this library does with signals is its own affair. */
static ssize_t write_quietly(int fd, const struct neep_xd_bytes *bytes) {
	sigset_t pipe, old;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	ssize_t done = write(fd, bytes->data, bytes->len);
	int saved = errno;
	if (done < 0 && saved == EPIPE && !sigismember(&old, SIGPIPE)) {
		(void)sigtimedwait(&pipe, NULL, &(struct timespec){ 0 });
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return done;
}

static ssize_t write_once(const struct neep_xd_queue *queue, int fd, const struct neep_xd_bytes *bytes) {
	if (!queue->is_socket) {
		return write_quietly(fd, bytes);
	}
	union control control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes->data, .iov_len = bytes->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	attach(&msg, &control, bytes->fds);
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Writes as much as there is room for, and closes the fds that are gone. Returns the bytes written or a negative errno. */
static int64_t write_some(const struct neep_xd_queue *queue, int fd, const struct neep_xd_bytes *bytes) {
	ssize_t done;
	do {
		done = write_once(queue, fd, bytes);
	} while (done < 0 && errno == EINTR);
	if (done < 0) {
		/* Without a connection yet there is no room either. */
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN ? 0 : -errno;
	}
	if (done > 0 && bytes->fds != NULL) {
		neep_fds_finish(bytes->fds);
	}
	return done;
}

static int push(struct neep_xd_queue *queue, const struct neep_xd_bytes *bytes) {
	struct neep_xd_budget *budget = queue->budget;
	size_t fds = bytes->fds != NULL ? bytes->fds->count : 0;
	size_t charge = charge_of(bytes->len);
	if (charge > queue->bytes_max - queue->bytes || charge > budget->bytes_max - budget->bytes ||
		fds > queue->fds_max - queue->fds || fds > budget->fds_max - budget->fds) {
		return -ENOBUFS;
	}
	struct chunk *chunk = malloc(sizeof(*chunk) + bytes->len);
	if (chunk == NULL) {
		return -ENOMEM;
	}
	chunk->fds.count = 0;
	chunk->len = bytes->len;
	chunk->done = 0;
	memcpy(chunk->data, bytes->data, bytes->len);
	if (bytes->fds != NULL) {
		chunk->fds = *bytes->fds;
		bytes->fds->count = 0;
	}
	neep_list_append(&queue->chunks, &chunk->link);
	queue->bytes += charge;
	budget->bytes += charge;
	queue->fds += fds;
	budget->fds += fds;
	return 0;
}

static int write_or_push(struct neep_xd_queue *queue, int fd, const struct neep_xd_bytes *bytes) {
	int64_t done = 0;
	if (neep_xd_queue_is_empty(queue)) {
		done = write_some(queue, fd, bytes);
	}
	if (done < 0) {
		return (int)done;
	}
	struct neep_xd_bytes rest = *bytes;
	rest.data += done;
	rest.len -= (size_t)done;
	return rest.len > 0 ? push(queue, &rest) : 0;
}

int neep_xd_queue_write(struct neep_xd_queue *queue, int fd, const struct neep_xd_bytes *bytes) {
	int rc = bytes->len > 0 ? write_or_push(queue, fd, bytes) : 0;
	if (bytes->fds != NULL) {
		neep_fds_finish(bytes->fds);
	}
	return rc;
}

int neep_xd_queue_flush(struct neep_xd_queue *queue, int fd) {
	while (!neep_xd_queue_is_empty(queue)) {
		struct chunk *chunk = neep_container_of(queue->chunks.next, struct chunk, link);
		size_t fds = chunk->fds.count;
		struct neep_xd_bytes bytes = {
			.data = chunk->data + chunk->done,
			.len = chunk->len - chunk->done,
			.fds = &chunk->fds,
		};
		int64_t done = write_some(queue, fd, &bytes);
		queue->fds -= fds - chunk->fds.count;
		queue->budget->fds -= fds - chunk->fds.count;
		if (done <= 0) {
			return (int)done;
		}
		chunk->done += (size_t)done;
		if (chunk->done == chunk->len) {
			chunk_free(queue, chunk);
		}
	}
	return 0;
}
