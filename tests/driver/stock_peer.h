/* Starts a back-end program as a child for a test: QEMU's vhost-user-gpu, or the one that NEEP_TEST_BACKEND names. */
#ifndef NEEP_TESTS_DRIVER_STOCK_PEER_H
#define NEEP_TESTS_DRIVER_STOCK_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct stock_peer {
	pid_t pid;
	char folder[64];
	char socket_path[96];
};

/* Whether the program is installed. */
bool stock_peer_exists(void);

/* Starts it on a socket in a folder of its own. */
void stock_peer_start(struct stock_peer *peer);

/* Kills it if it still runs, and cleans up. Returns its wait status. */
int stock_peer_stop(struct stock_peer *peer);

#endif
