#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "worker/worker_internal.h"

/* Messages that a socket had no room for. A renderer takes one in microseconds, so this is some seconds of not looking. */
#define QUEUE_MAX 1024
/* The most fds of any message. */
#define PACKET_FDS 2

struct packet {
	struct neep_list link; // neep_worker_channel.queue
	struct neep_fds fds;
	size_t size;
	uint8_t bytes[];
};

static void packet_free(struct packet *packet) {
	neep_list_remove(&packet->link);
	neep_fds_finish(&packet->fds);
	free(packet);
}

int neep_worker_channel_pair(int *ours, int *theirs) {
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		return -errno;
	}
	*ours = ends[0];
	*theirs = ends[1];
	return neep_fd_set_nonblocking(*ours);
}

void neep_worker_channel_init(struct neep_worker_channel *channel, int owned_fd) {
	*channel = (struct neep_worker_channel){ .fd = owned_fd };
	neep_list_init(&channel->queue);
}

void neep_worker_channel_close(struct neep_worker_channel *channel) {
	neep_list_for_each_safe (packet, &channel->queue, struct packet, link) {
		packet_free(packet);
	}
	channel->queued = 0;
	neep_close_fd(&channel->fd);
}

/* The borrowed fds may be closed before the peer reads. */
static int enqueue(struct neep_worker_channel *channel, const struct neep_send *send) {
	if (channel->queued >= QUEUE_MAX) {
		return -ENOBUFS;
	}
	struct packet *packet = malloc(sizeof(*packet) + send->len);
	if (packet == NULL) {
		return -ENOMEM;
	}
	packet->fds.count = 0;
	packet->size = send->len;
	memcpy(packet->bytes, send->buf, send->len);
	neep_list_append(&channel->queue, &packet->link);
	for (size_t i = 0; i < send->fd_count; i++) {
		int fd = fcntl(send->fds[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			int rc = -errno;
			packet_free(packet);
			return rc;
		}
		packet->fds.fd[packet->fds.count++] = fd;
	}
	channel->queued++;
	return 0;
}

int neep_worker_channel_send(
	struct neep_worker_channel *channel, const void *message, const int *fds, size_t fd_count) {
	neep_assert(fd_count <= PACKET_FDS);
	const struct neep_worker_header *header = message;
	struct neep_send send = { .buf = message, .len = header->size, .fds = fds, .fd_count = fd_count };
	if (channel->fd < 0) {
		return -EBADF;
	}
	if (channel->queued > 0) {
		return enqueue(channel, &send);
	}
	int rc = neep_send_all(channel->fd, &send);
	return rc == -EAGAIN ? enqueue(channel, &send) : rc;
}

int neep_worker_channel_flush(struct neep_worker_channel *channel) {
	neep_list_for_each_safe (packet, &channel->queue, struct packet, link) {
		struct neep_send send = { .buf = packet->bytes,
			.len = packet->size,
			.fds = packet->fds.fd,
			.fd_count = packet->fds.count };
		int rc = neep_send_all(channel->fd, &send);
		if (rc < 0) {
			return rc == -EAGAIN ? 0 : rc;
		}
		packet_free(packet);
		channel->queued--;
	}
	return 0;
}

int neep_worker_channel_receive(
	struct neep_worker_channel *channel, union neep_worker_incoming *message, struct neep_fds *fds) {
	/* One byte more than any message has shows one that is too long. */
	uint8_t buf[sizeof(*message) + 1];
	int64_t got = neep_recv(channel->fd, buf, sizeof(buf), fds);
	if (got == -ECONNRESET) {
		/* Told once, of a peer that closed without having read all, and before what that said last. */
		got = neep_recv(channel->fd, buf, sizeof(buf), fds);
	}
	if (got == -EAGAIN) {
		return 0;
	}
	if (got == 0 || got == -ECONNRESET) {
		return -EPIPE;
	}
	if (got < (int64_t)sizeof(message->header) || got > (int64_t)sizeof(*message)) {
		return -EPROTO;
	}
	memcpy(message, buf, (size_t)got);
	return message->header.size == (uint64_t)got ? 1 : -EPROTO;
}
