/* A listening Unix stream socket in the file system, readable and writable by its owner only. Its connections come by
 * util/acceptor.h. */
#ifndef NEEP_DAEMON_LISTENER_H
#define NEEP_DAEMON_LISTENER_H

#include <sys/types.h>

#include "util/error.h"

/* The longest path of a Unix socket, in bytes. */
#define NEEP_SOCKET_PATH_MAX 107

struct neep_listener {
	int fd;     // does not block; -1: not open
	char *path; // ours while fd >= 0
	dev_t dev;  // of the socket file, so that only ours is removed
	ino_t ino;
};

/* Binds and listens at `path`. A socket file that no process listens at any more is replaced; one that is in use, or a
 * file of another kind, is refused. Returns 0 or a negative errno with `error` set and listener->fd -1. */
int neep_listener_open(struct neep_listener *listener, const char *path, struct neep_error *error);

/* Stops listening and removes the socket file. One that is not open is fine. */
void neep_listener_close(struct neep_listener *listener);

#endif
