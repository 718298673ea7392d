/* Connections of a listening socket, each told to the owner of the acceptor, which is embedded there. The loop's thread. */
#ifndef NEEP_UTIL_ACCEPTOR_H
#define NEEP_UTIL_ACCEPTOR_H

#include "util/loop.h"

/* One that is zeroed is stopped. */
struct neep_acceptor {
	struct neep_loop *loop; // borrowed
	struct neep_source source;
	struct neep_timer retry; // while no connection can be had
	/* A connection, non-blocking and close-on-exec. The owner may stop the acceptor here, and close the listening socket. */
	void (*accepted)(struct neep_acceptor *acceptor, int owned_fd);
};

/* Starts to accept from `listening_fd`, which is borrowed and does not block; accepted() is set by the caller. While the process has
 * no fd for who waits there, it is asked again every 50 ms. Returns 0 or a negative errno. */
int neep_acceptor_start(struct neep_loop *loop, struct neep_acceptor *acceptor, int listening_fd);

/* Before the listening socket is closed. One that is stopped is fine. */
void neep_acceptor_stop(struct neep_acceptor *acceptor);

#endif
