/* Pipes between a client and the compositor: clipboards, drag and drop. The two ends are not one pipe: what comes out of the
 * client's is sent on in WRITE, and what comes in READ is written to the client's.
 *
 * Any number of both at once. Nothing blocks: what the client does not take is queued, and over a bound pumps are full; then the
 * owner asks the host for nothing more. One thread, that of the loop; SIGPIPE is ignored in the process. */
#ifndef NEEP_WAYLAND_PUMP_H
#define NEEP_WAYLAND_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "util/loop.h"

/* What a client may leave unread in one pipe. Its other traffic stands still from there on, so it is more than comes while a
 * client waits for an answer of the compositor before it reads. */
#define NEEP_WL_PUMP_QUEUE_MAX ((size_t)1 << 20)
/* Bytes on their way to the host before it must say that they have left it. */
#define NEEP_WL_PUMP_WINDOW ((size_t)256 << 10)

struct neep_wl_pumps_listener {
	/* Submits a WRITE command of pipe number `lane`, from 0 on. Where `fence_fd` is not NULL it gets an fd that is readable when more may be written, or it
	 * stays -1 where the host tells nothing of that. Returns 0 or a negative errno, then the pump ends. */
	int (*write)(void *data, const uint8_t *command, size_t len, uint32_t lane, int *fence_fd);
	/* They may be no longer full. From the loop. */
	void (*changed)(void *data);
};

struct neep_wl_pumps {
	struct neep_loop *loop;
	const struct neep_wl_pumps_listener *listener;
	void *listener_data;
	struct neep_list to_client; // struct to_client.link
	struct neep_list to_host;   // struct to_host.link
	uint32_t next_read_id;
	uint32_t next_lane;
	size_t full_count;
	uint8_t *buf; // a WRITE command
};

/* The pumps are embedded in their owner. Returns 0 or -ENOMEM. */
int neep_wl_pumps_init(struct neep_wl_pumps *pumps, struct neep_loop *loop,
	const struct neep_wl_pumps_listener *listener, void *listener_data);
/* Closes all pipes, and drops what is queued. */
void neep_wl_pumps_finish(struct neep_wl_pumps *pumps);

/* Whether one of them has more than it may. */
bool neep_wl_pumps_is_full(const struct neep_wl_pumps *pumps);

/* Passes on what clients have left in their pipes, before the pumps are finished: clients write, and go. */
void neep_wl_pumps_drain(struct neep_wl_pumps *pumps);

/* No pump is left. */
bool neep_wl_pumps_is_idle(const struct neep_wl_pumps *pumps);

/* The host is going to write to the client's `owned_fd`, a pipe or a socket, in the next SEND: ids are guessed in the order of the calls.
 * Stores the id. Returns 0 or a negative errno. */
int neep_wl_pumps_add_to_client(struct neep_wl_pumps *pumps, int owned_fd, uint32_t *read_id);

/* READ has come. Nobody knows the id: nothing happens. */
struct neep_wl_pump_read {
	uint32_t id;
	const uint8_t *bytes;
	size_t len;
	bool hang_up;
};
void neep_wl_pumps_read(struct neep_wl_pumps *pumps, const struct neep_wl_pump_read *read);

/* A client is going to write to the host's `write_id`. Returns the fd for the client, its end of a pipe, or a negative errno. */
int neep_wl_pumps_add_to_host(struct neep_wl_pumps *pumps, uint32_t write_id);

#endif
