#include "wayland_proxy/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "util/fd.h"
#include "util/log.h"

static int listen_at(struct peer *peer) {
	strcpy(peer->folder, "/tmp/neep-peer-XXXXXX");
	assert_non_null(mkdtemp(peer->folder));
	snprintf(peer->path, sizeof(peer->path), "%s/host", peer->folder);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, peer->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static struct neep_wl_host *make_socket_host(void *data, const struct neep_wl_host_listener *listener,
	void *listener_data, struct neep_error *error) {
	struct peer *peer = data;
	int listening = listen_at(peer);
	struct neep_wl_host *host =
		neep_wl_host_socket_create(peer->loop, peer->path, listener, listener_data, error);
	peer->compositor = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	close(listening);
	unlink(peer->path);
	rmdir(peer->folder);
	return host;
}

static void ended(void *data, struct neep_wl_client *client) {
	struct peer *peer = data;
	peer->client = NULL;
	neep_wl_client_destroy(client);
}

static void ignore_line(void *data, enum neep_log_level level, const char *topic, const char *line) {
	(void)data;
	(void)level;
	(void)topic;
	(void)line;
}

void peer_start(struct peer *peer) {
	int fds[2];
	neep_log_set_handler(ignore_line, NULL);
	peer->loop = neep_loop_create();
	peer->compositor = -1;
	peer->policy.hidden = &peer->hidden;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	peer->program = fds[0];
	struct neep_error error = { .code = 0 };
	struct neep_wl_client_params params = {
		.loop = peer->loop,
		.policy = &peer->policy,
		.make_host = peer->make_host != NULL ? peer->make_host : make_socket_host,
		.make_host_data = peer,
		.ended = { .ended = ended, .data = peer },
	};
	peer->client = neep_wl_client_create(fds[1], &params, &error);
}

void peer_stop(struct peer *peer) {
	neep_wl_client_destroy(peer->client);
	neep_close_fd(&peer->program);
	neep_close_fd(&peer->compositor);
	neep_loop_destroy(peer->loop);
	neep_log_set_handler(NULL, NULL);
}

void peer_settle(struct peer *peer) {
	for (int turn = 0; turn < 8; turn++) {
		neep_loop_step(peer->loop, 0);
	}
}

void peer_send(int fd, struct neep_wl_writer *writer, const int *fds, size_t fd_count) {
	int size = neep_wl_writer_end(writer);
	assert_true(size > 0);
	struct neep_send send = {
		.buf = writer->data, .len = (size_t)size, .fds = fds, .fd_count = fd_count
	};
	assert_int_equal(neep_send_all(fd, &send), 0);
}

void peer_send_words(int fd, uint32_t object_id, uint32_t opcode, const uint32_t *words, size_t count) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, object_id, opcode);
	for (size_t i = 0; i < count; i++) {
		neep_wl_writer_word(&writer, words[i]);
	}
	peer_send(fd, &writer, NULL, 0);
}

bool peer_receive(struct peer *peer, int fd, struct peer_message *message) {
	uint32_t header[2];
	struct neep_fds fds = { .count = 0 };
	peer_settle(peer);
	if (neep_recv(fd, header, sizeof(header), &fds) != sizeof(header)) {
		return false;
	}
	message->object_id = header[0];
	message->opcode = header[1] & 0xffff;
	message->size = header[1] >> 16;
	message->fd_count = fds.count;
	assert_true(fds.count <= 4);
	memcpy(message->fds, fds.fd, fds.count * sizeof(int));
	memset(message->words, 0xff, sizeof(message->words));
	size_t len = message->size - sizeof(header);
	for (size_t at = 0; at < len;) {
		int64_t got = neep_recv(fd, (char *)message->words + at, len - at, &fds);
		if (got == -EAGAIN) {
			peer_settle(peer);
			continue;
		}
		assert_true(got > 0);
		at += (size_t)got;
	}
	return true;
}

void peer_expect(
	struct peer *peer, int fd, uint32_t object_id, uint32_t opcode, struct peer_message *message) {
	assert_true(peer_receive(peer, fd, message));
	assert_int_equal(message->object_id, object_id);
	assert_int_equal(message->opcode, opcode);
}

bool peer_is_closed(struct peer *peer, int fd) {
	char byte;
	peer_settle(peer);
	ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
	return got == 0 || (got < 0 && errno == ECONNRESET);
}

void peer_get_registry(struct peer *peer) {
	struct peer_message message;
	peer_send_words(peer->program, 1, 1, (uint32_t[]){ PEER_REGISTRY }, 1);
	peer_expect(peer, peer->compositor, 1, 1, &message);
	assert_int_equal(message.words[0], PEER_REGISTRY);
}

void peer_announce(struct peer *peer, uint32_t name, const char *interface, uint32_t version) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, PEER_REGISTRY, 0);
	neep_wl_writer_word(&writer, name);
	neep_wl_writer_string(&writer, interface);
	neep_wl_writer_word(&writer, version);
	peer_send(peer->compositor, &writer, NULL, 0);
}

void peer_bind(struct peer *peer, uint32_t name, const char *interface, uint32_t version, uint32_t id) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, PEER_REGISTRY, 0);
	neep_wl_writer_word(&writer, name);
	neep_wl_writer_string(&writer, interface);
	neep_wl_writer_word(&writer, version);
	neep_wl_writer_word(&writer, id);
	peer_send(peer->program, &writer, NULL, 0);
}
