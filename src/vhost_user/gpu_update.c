#include "vhost_user/gpu_update.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/pages.h"

/* Theory of operation
 *
 * The rows of an update are read where the owner has them, by sendmsg(), which copies them into the socket. That copy is
 * as expensive as the one that brought the pixels here, so the bytes of large updates go by reference instead: vmsplice()
 * puts the pages into a pipe, splice() moves them on into the socket, and the front-end's read is the only copy.
 *
 * A page that the socket refers to must not change until it is read. Two rules see to it:
 *
 * - The end of every update is copied, more of it than the socket can hold. A socket takes bytes only while those that
 *   it was charged for and that nobody has read are fewer than its buffer. So when it takes the last piece of the copied
 *   end, the pieces before that one cannot all be unread any more, hence everything before them is read: an update that
 *   is written is referred to by nothing.
 * - Before the pixels change in the middle of an update (settle), the pages that may still be referred to get new ones in
 *   their place, with the same content: the references keep the old ones. SIOCOUTQ says how far back they can be, never
 *   too little: it counts every byte that is not read. What is in the pipe is not sent yet, so it is forgotten with it.
 *   Only memory that consists of own pages can do that; other pixels are always copied. It costs a guest that draws
 *   into the image on display less than the references save it, so such a guest needs no other way.
 *
 * The bytes of the pipe are counted as not sent. So when something does not work (no fds, a limit on pipes, a filter on
 * system calls), the pipe is forgotten, and copying goes on at `sent`, in this update and all later ones. */

#define TOPIC "gpu-socket"
/* From about 0.7 MiB on references cost less than the copy (at 1 MiB three quarters, at 32 MiB a third). */
#define REFERRED_MIN ((size_t)1 << 20)
/* More than a socket's buffer has room for by default, and little of what one user may have in pipes (64 MiB). */
#define PIPE_SIZE (256 << 10)

void neep_gpu_writer_init(struct neep_gpu_writer *writer, int fd) {
	*writer = (struct neep_gpu_writer){ .fd = fd, .pipe = { -1, -1 } };
}

void neep_gpu_writer_finish(struct neep_gpu_writer *writer) {
	neep_gpu_writer_end(writer);
	neep_close_fd(&writer->pipe[0]);
	neep_close_fd(&writer->pipe[1]);
}

/* Forgets what is in the pipe. */
static void pipe_empty(struct neep_gpu_writer *writer) {
	if (writer->piped > writer->sent) {
		neep_close_fd(&writer->pipe[0]);
		neep_close_fd(&writer->pipe[1]);
	}
	writer->piped = 0;
	if (writer->referred_len > writer->sent) {
		writer->referred_len = writer->sent;
	}
}

/* References do not work: `what` failed with `error`. */
static void copy_from_now_on(struct neep_gpu_writer *writer, const char *what, int error) {
	neep_log(TOPIC, NEEP_LOG_DEBUG, "pixels are copied into the display socket: %s: %s", what,
		strerror(error));
	writer->is_copying = true;
	pipe_empty(writer);
}

/* splice() has no way to ask for no SIGPIPE. */
static bool is_sigpipe_ignored(void) {
	struct sigaction action;
	return sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static bool pipe_open(struct neep_gpu_writer *writer) {
	if (writer->pipe[0] >= 0) {
		return true;
	}
	if (!is_sigpipe_ignored()) {
		copy_from_now_on(writer, "SIGPIPE is not ignored", EINVAL);
		return false;
	}
	if (pipe2(writer->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		copy_from_now_on(writer, "pipe2", errno);
		return false;
	}
	if (fcntl(writer->pipe[1], F_SETPIPE_SZ, PIPE_SIZE) < 0) {
		copy_from_now_on(writer, "F_SETPIPE_SZ", errno);
		neep_close_fd(&writer->pipe[0]);
		neep_close_fd(&writer->pipe[1]);
		return false;
	}
	return true;
}

/* The bytes at the end of an update that are copied. No piece that the socket takes at once is longer than half of its
 * buffer. */
static size_t copied_end(const struct neep_gpu_writer *writer) {
	int size = 0;
	socklen_t size_len = sizeof(size);
	if (getsockopt(writer->fd, SOL_SOCKET, SO_SNDBUF, &size, &size_len) < 0 || size <= 0) {
		return SIZE_MAX;
	}
	return (size_t)size + (size_t)size / 2;
}

void neep_gpu_writer_begin(struct neep_gpu_writer *writer, const struct neep_gpu_update *update) {
	writer->pixels = update->pixels;
	writer->first = 0;
	writer->count = update->height;
	writer->stride = update->stride;
	writer->row_len = (size_t)update->width * 4;
	writer->sent = 0;
	writer->is_blank = false;
	writer->referred_len = 0;
	writer->piped = 0;
	size_t len = writer->row_len * writer->count;
	if (writer->is_copying || !update->has_own_pages || writer->stride != writer->row_len ||
		len < REFERRED_MIN || !pipe_open(writer)) {
		return;
	}
	size_t copied = copied_end(writer);
	writer->referred_len = copied < len ? len - copied : 0;
}

void neep_gpu_writer_end(struct neep_gpu_writer *writer) {
	pipe_empty(writer);
	free(writer->copy);
	writer->copy = NULL;
	writer->count = 0;
}

int64_t neep_gpu_send(int fd, struct iovec *iov, size_t count) {
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t sent;
	do {
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* What stands for pixels that could not be kept: the message must go on to its announced length. */
static const uint8_t blank[4096];

static size_t gather_blank(size_t left, struct iovec *iov, size_t iov_max) {
	size_t count = 0;
	for (; count < iov_max && left > 0; count++) {
		size_t len = left < sizeof(blank) ? left : sizeof(blank);
		iov[count] = (struct iovec){ .iov_base = (void *)(uintptr_t)blank, .iov_len = len };
		left -= len;
	}
	return count;
}

/* Fills iovecs with the pixels from byte `sent` on, as far as they reach. Returns how many. */
static size_t gather_rows(const struct neep_gpu_writer *writer, struct iovec *iov, size_t iov_max) {
	uint32_t row = (uint32_t)(writer->sent / writer->row_len);
	size_t column = writer->sent % writer->row_len;
	if (writer->stride == writer->row_len) {
		const uint8_t *start = writer->pixels + (row - writer->first) * writer->stride + column;
		size_t left = (writer->count - row) * writer->row_len - column;
		iov[0] = (struct iovec){ .iov_base = (void *)(uintptr_t)start, .iov_len = left };
		return left > 0 ? 1 : 0;
	}
	size_t count = 0;
	for (; count < iov_max && row < writer->count; count++, row++, column = 0) {
		const uint8_t *start = writer->pixels + (row - writer->first) * writer->stride + column;
		iov[count] = (struct iovec){ .iov_base = (void *)(uintptr_t)start,
			.iov_len = writer->row_len - column };
	}
	return count;
}

static int64_t write_copied(struct neep_gpu_writer *writer, const struct iovec *head) {
	struct iovec iov[IOV_MAX];
	size_t count = 0;
	if (head->iov_len > 0) {
		iov[count++] = *head;
	}
	size_t room = IOV_MAX - count;
	size_t left = writer->row_len * writer->count - writer->sent;
	count += writer->is_blank ? gather_blank(left, iov + count, room)
				  : gather_rows(writer, iov + count, room);
	int64_t sent = neep_gpu_send(writer->fd, iov, count);
	if (sent > (int64_t)head->iov_len) {
		writer->sent += (size_t)sent - head->iov_len;
	}
	return sent;
}

/* Puts pages into the empty pipe. Returns false when that does not work. */
static bool pipe_fill(struct neep_gpu_writer *writer) {
	struct iovec iov = { .iov_base = (void *)(uintptr_t)(writer->pixels + writer->sent),
		.iov_len = writer->referred_len - writer->sent };
	ssize_t taken;
	do {
		taken = vmsplice(writer->pipe[1], &iov, 1, SPLICE_F_NONBLOCK);
	} while (taken < 0 && errno == EINTR);
	if (taken <= 0) {
		copy_from_now_on(writer, "vmsplice", errno);
		return false;
	}
	writer->piped = writer->sent + (size_t)taken;
	return true;
}

/* Returns the bytes taken, -EAGAIN, or 0 when they must be copied. */
static int64_t write_referred(struct neep_gpu_writer *writer) {
	if (writer->piped <= writer->sent && !pipe_fill(writer)) {
		return 0;
	}
	ssize_t sent;
	do {
		sent = splice(writer->pipe[0], NULL, writer->fd, NULL, writer->piped - writer->sent,
			SPLICE_F_NONBLOCK);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN) {
		return -EAGAIN;
	}
	if (sent <= 0) {
		copy_from_now_on(writer, "splice", errno);
		return 0;
	}
	writer->sent += (size_t)sent;
	return sent;
}

int64_t neep_gpu_writer_write(struct neep_gpu_writer *writer, const struct iovec *head) {
	if (writer->sent < writer->referred_len) {
		struct iovec iov = *head;
		int64_t sent = iov.iov_len > 0 ? neep_gpu_send(writer->fd, &iov, 1) : write_referred(writer);
		if (sent != 0) {
			return sent;
		}
	}
	return write_copied(writer, head);
}

/* Leaves the pages that the socket may still refer to, for new ones: whole huge pages, so that none is split. */
static void keep_referred(struct neep_gpu_writer *writer) {
	int unread = 0;
	if (ioctl(writer->fd, SIOCOUTQ, &unread) < 0 || unread < 0) {
		unread = INT_MAX;
	}
	size_t start = writer->sent > (size_t)unread ? writer->sent - (size_t)unread : 0;
	if (start >= writer->referred_len) {
		return;
	}
	size_t before = (uintptr_t)(writer->pixels + start) % NEEP_PAGES_HUGE;
	start -= before < start ? before : start;
	size_t after = -(uintptr_t)(writer->pixels + writer->referred_len) % NEEP_PAGES_HUGE;
	size_t left = writer->row_len * writer->count - writer->referred_len;
	size_t end = writer->referred_len + (after < left ? after : left);
	int result = neep_pages_renew(writer->pixels + start, end - start);
	if (result < 0) {
		neep_log(TOPIC, NEEP_LOG_DEBUG, "a frame may be torn: %s", strerror(-result));
	}
}

void neep_gpu_writer_settle(struct neep_gpu_writer *writer) {
	if (writer->count == 0 || writer->copy != NULL || writer->is_blank) {
		return;
	}
	pipe_empty(writer);
	keep_referred(writer);
	uint32_t row = (uint32_t)(writer->sent / writer->row_len);
	writer->copy = malloc((writer->count - row) * writer->row_len);
	writer->is_blank = writer->copy == NULL;
	if (writer->is_blank) {
		return;
	}
	for (uint32_t i = row; i < writer->count; i++) {
		memcpy(writer->copy + (i - row) * writer->row_len,
			writer->pixels + (i - writer->first) * writer->stride, writer->row_len);
	}
	writer->pixels = writer->copy;
	writer->first = row;
	writer->stride = writer->row_len;
}
