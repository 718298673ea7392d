/* A client of the proxy whose program and whose compositor are the test. */
#ifndef NEEP_TESTS_WAYLAND_PROXY_PEER_H
#define NEEP_TESTS_WAYLAND_PROXY_PEER_H

#include "wayland/client.h"
#include "wayland/conn.h"
#include "wayland/policy.h"

struct peer {
	struct neep_loop *loop;
	struct neep_wl_client *client; // NULL once it has ended
	int program;                   // its end of the client's connection; -1: closed
	int compositor;                // ... and of the host's
	struct neep_wl_policy policy;
	struct neep_wl_hidden hidden;
	char folder[32], path[64];
	/* Set before peer_start(): in place of the socket. */
	struct neep_wl_host *(*make_host)(void *data, const struct neep_wl_host_listener *listener,
		void *listener_data, struct neep_error *error);
};

void peer_start(struct peer *peer);
void peer_stop(struct peer *peer);

/* Runs the loop until nothing more happens. */
void peer_settle(struct peer *peer);

/* A message that one end has got. */
struct peer_message {
	uint32_t object_id, opcode, size;
	uint32_t words[16384]; // the arguments
	int fds[4];
	size_t fd_count;
};

/* Sends what the writer holds, with fds (borrowed). */
void peer_send(int fd, struct neep_wl_writer *writer, const int *fds, size_t fd_count);
/* A message of plain words. */
void peer_send_words(int fd, uint32_t object_id, uint32_t opcode, const uint32_t *words, size_t count);

/* Lets the loop run, and takes one message. False: there is none. Whoever gets fds closes them. */
bool peer_receive(struct peer *peer, int fd, struct peer_message *message);

/* The same, and checks what it is. */
void peer_expect(
	struct peer *peer, int fd, uint32_t object_id, uint32_t opcode, struct peer_message *message);

/* Whether the end is at its end: no bytes and closed. */
bool peer_is_closed(struct peer *peer, int fd);

/* Gets a registry (2 on both sides) and has the compositor announce this global as `name`. */
void peer_announce(struct peer *peer, uint32_t name, const char *interface, uint32_t version);
void peer_get_registry(struct peer *peer);
/* Binds; the message is taken from the compositor's end. */
void peer_bind(struct peer *peer, uint32_t name, const char *interface, uint32_t version, uint32_t id);

#define PEER_REGISTRY 2

#endif
