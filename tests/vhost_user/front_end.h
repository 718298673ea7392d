/* A scripted front-end with a device behind the server under test, all in one thread: what waits steps the loop. */
#ifndef NEEP_TESTS_VHOST_USER_FRONT_END_H
#define NEEP_TESTS_VHOST_USER_FRONT_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"
#include "vhost_user/protocol.h"
#include "vhost_user/server.h"

#define FE_QUEUES      2
#define FE_RING_SIZE   16
#define FE_RAM_SIZE    0x100000u
#define FE_RAM_USER    UINT64_C(0x7f0000000000)
#define FE_WINDOW_SIZE UINT64_C(0x100000)
/* Where the front-end's guest sees the window. */
#define FE_WINDOW_GPA UINT64_C(0xe0000000)

#define FE_PROTOCOL_QEMU \
	(1u << 0 | 1u << 3 | 1u << 5 | 1u << 9 | 1u << 10 | 1u << 13 | 1u << 15 | 1u << 18 | 1u << 22)
#define FE_PROTOCOL_CROSVM (1u << 0 | 1u << 3 | 1u << 5 | 1u << 9 | 1u << 22)
#define FE_FEATURES        (UINT64_C(1) << 32 | 1u << 30 | 1u << 1)

struct fe {
	struct neep_vhost_user_device device;
	struct neep_vhost_user_options options;
	struct neep_loop *loop;
	struct neep_vhost_user *server;
	int fd;      // the front-end's end
	int channel; // the front-end's end of the back-end channel
	int ram_fd;
	uint8_t *ram;
	uint64_t user_addr; // of ram
	int call[FE_QUEUES], kick[FE_QUEUES], err[FE_QUEUES];
	uint16_t avail[FE_QUEUES];     // driver's next avail index
	uint64_t ring_base[FE_QUEUES]; // offset of the ring in ram

	/* What the device saw. */
	uint64_t offered;
	uint64_t features;
	unsigned features_calls, resets, closed, runs[FE_QUEUES], handled[FE_QUEUES], stops[FE_QUEUES];
	bool window_is_empty;
	struct neep_vring *rings[FE_QUEUES];
	bool is_paused; // run_queue() takes nothing
	struct neep_vring_element *kept;
	bool keeps; // run_queue() pops one and keeps it
	int gpu_fd;
	uint8_t config[32];
	void (*on_reset)(struct fe *fe);
};

/* Creates a loop, a server and its other end. The server waits for echoes of maps as long as the test likes. */
void fe_open(struct fe *fe);
/* It waits for them as long as it does for QEMU's. */
void fe_open_impatient(struct fe *fe);
/* As above with other options than the usual (two queues, window, slots). */
void fe_open_with(struct fe *fe, const struct neep_vhost_user_options *options);
void fe_close(struct fe *fe);

/* Steps the loop until it has nothing to do. */
void fe_settle(struct fe *fe);

struct fe_message {
	uint32_t request;
	uint32_t flags;
	const void *payload;
	size_t len;
	const int *fds;
	size_t fd_count;
};
void fe_send(struct fe *fe, const struct fe_message *message);

/* Waits for a reply (on the channel: a request) and returns the bytes of its payload, or -1 when none comes or the
 * socket ends. *fd (may be NULL) becomes the fd that came along or -1. */
struct fe_reply {
	struct neep_vhost_user_header header;
	uint8_t payload[4096];
};
int fe_recv(struct fe *fe, int socket, struct fe_reply *reply, int *fd);
/* Whether nothing comes. */
bool fe_is_silent(struct fe *fe, int socket);

/* Sends with NEED_REPLY and returns the ack; fails the test when the reply is not one. */
uint64_t fe_ack(struct fe *fe, const struct fe_message *message);
#define FE_ACK(fe, ...)  fe_ack((fe), &(struct fe_message){ __VA_ARGS__ })
#define FE_SEND(fe, ...) fe_send((fe), &(struct fe_message){ __VA_ARGS__ })
/* Sends a request without payload and returns the number that answers it. */
uint64_t fe_get(struct fe *fe, uint32_t request);

/* Steps of the usual start. */
void fe_negotiate(struct fe *fe, uint64_t protocol_features);
void fe_give_channel(struct fe *fe);
void fe_set_features(struct fe *fe, uint64_t features);
uint64_t fe_add_ram(struct fe *fe);
uint64_t fe_set_table(
	struct fe *fe, const struct neep_vhost_user_region *more, const int *more_fds, size_t count);
void fe_describe_ring(struct fe *fe, uint32_t index, uint16_t base);
uint64_t fe_kick_fd(struct fe *fe, uint32_t index);
uint64_t fe_call_fd(struct fe *fe, uint32_t index);
uint64_t fe_enable(struct fe *fe, uint32_t index, uint32_t enable);
/* Returns the base, or -1 for an empty reply. */
int64_t fe_get_base(struct fe *fe, uint32_t index);
/* All of the above: memory by slots, both rings running. */
void fe_start(struct fe *fe);
/* Opens, and starts. */
void fe_open_started(struct fe *fe);
/* Opens, negotiates as QEMU does, and gives the server its memory; the rings are the caller's. */
void fe_open_with_ram(struct fe *fe);
/* Disables and stops both rings. */
void fe_stop(struct fe *fe, uint16_t bases[FE_QUEUES]);
/* Describes, kicks and enables both rings. */
void fe_start_rings(struct fe *fe, const uint16_t bases[FE_QUEUES]);
/* A new driver: rings zeroed. */
void fe_clear_rings(struct fe *fe);

/* Makes one buffer available; kicks when `kick`. */
void fe_submit(struct fe *fe, uint32_t index, bool kick);
uint16_t fe_used(const struct fe *fe, uint32_t index);

#endif
