/* What the files of the vhost-user server share: the session, its rings, its back-end channel. */
#ifndef NEEP_VHOST_USER_INTERNAL_H
#define NEEP_VHOST_USER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "util/fd.h"
#include "util/list.h"
#include "util/log.h"
#include "util/loop.h"
#include "vhost_user/protocol.h"
#include "vhost_user/server.h"

#define VU_TOPIC     "vhost-user"
#define VU_BIT(bit_) (UINT64_C(1) << (bit_))

union neep_vhost_user_payload {
	struct neep_vhost_user_u64 number;
	struct neep_vhost_user_vring_state state;
	struct neep_vhost_user_vring_addr addr;
	struct neep_vhost_user_mem_table table;
	struct neep_vhost_user_mem_region region;
	struct neep_vhost_user_config config;
	struct neep_vhost_user_log log;
	struct neep_vhost_user_inflight inflight;
	uint8_t bytes[NEEP_VHOST_USER_PAYLOAD_MAX];
};

/* The request that is being received or handled. */
struct neep_vhost_user_message {
	struct neep_vhost_user_header header;
	union neep_vhost_user_payload payload;
	struct neep_fds fds;
	size_t got;      // bytes of header and payload so far
	bool is_replied; // by its handler
};

/* A reply that the socket did not take whole; while there is one, no request is read. */
struct neep_vhost_user_reply {
	uint8_t buf[sizeof(struct neep_vhost_user_header) + sizeof(struct neep_vhost_user_shmem_config)];
	size_t len;
	size_t sent;
	int fd; // goes with the first byte
};

/* Where a ring is: what tells a pause from a reset. Addresses are the front-end's. */
struct neep_vhost_user_place {
	uint32_t size;
	uint32_t base;
	bool is_packed;
	uint64_t desc, avail, used;
};

struct neep_vhost_user_ring {
	struct neep_vhost_user *server;
	uint32_t index;
	struct neep_vring *vring;
	/* What the front-end said last; it takes effect when the ring goes live. */
	struct neep_vhost_user_place next;
	bool has_addr;
	bool is_started; // from SET_VRING_KICK to GET_VRING_BASE
	bool is_enabled; // SET_VRING_ENABLE
	/* The device works on it: started, enabled, and its memory was found. */
	bool is_live;
	struct neep_vring_config config;      // while live
	struct neep_vhost_user_place running; // while live; .base is where it began
	bool has_last;
	struct neep_vhost_user_place last; // where it was when it went off
	/* The device left buffers waiting: do not look before neep_vhost_user_queue_resume() or a kick. */
	bool is_held;
	bool is_kick_disabled;
	bool is_broken; // and was reported so
	int err_fd;
	struct neep_source kick; // .fd is owned
	struct neep_poller poller;
};

/* A mapping that the front-end has acked. */
struct neep_vhost_user_map {
	struct neep_list link; // neep_vhost_user_channel.maps
	uint64_t shm_offset;
	uint64_t len;
	uint64_t fd_offset;
	dev_t dev;
	ino_t ino;
	bool is_echoed;      // the front-end sent it back as a memory region
	uint64_t guest_addr; // of that region
};

/* The back-end channel; backend_channel.c says how it works. */
struct neep_vhost_user_channel {
	struct neep_source source; // .fd is owned, -1 without a channel
	struct neep_task pump;
	struct neep_timer echo_timer;
	struct neep_list queue; // neep_vhost_user_shmem.link
	struct neep_list maps;  // neep_vhost_user_map.link
	uint32_t map_count;
	bool is_config_changed; // and not told yet
	bool has_echo;          // this front-end sends mappings back as memory regions
	uint32_t awaited;       // request whose ack is outstanding, 0 for none
	struct {
		struct neep_vhost_user_header header;
		struct neep_vhost_user_u64 ack;
	} reply;
	size_t reply_got;
	/* The change that was sent. */
	bool has_change;
	struct neep_vhost_user_shmem *owner; // NULL once cancelled
	bool is_map;
	struct neep_vhost_user_map *map; // map: becomes live; unmap: ends; NULL once forgotten
	bool is_acked;
	bool is_committed; // echoed, or known to be in effect
	int result;
	/* Takes back a map whose owner cancelled it after it was sent. */
	struct neep_vhost_user_shmem undo;
};

struct neep_vhost_user {
	struct neep_loop *loop;
	struct neep_vhost_user_device *device;
	struct neep_vhost_user_options options;
	struct neep_source source; // .fd is owned
	struct neep_vhost_user_message message;
	struct neep_vhost_user_reply reply;
	struct neep_log_limit log_limit;
	bool is_ended;
	bool has_features; // SET_FEATURES came
	uint64_t features;
	uint64_t protocol_features;
	/* The device ran since the last reset, so there may be something to reset. */
	bool has_life;
	/* The driver has read config space since the rings stopped: it probes again, or idles. */
	bool is_config_read;
	struct neep_memory *memory;
	struct neep_memory_listener memory_listener;
	struct neep_vhost_user_ring rings[NEEP_VHOST_USER_QUEUES_MAX];
	struct neep_vhost_user_channel channel;
	struct neep_vhost_user_inflight_area *inflight; // NULL without
};

/* A handler checks the content of its message (sizes and fd counts are checked), takes the fds that it wants, and
 * returns 0 or a negative errno. Those that answer with more than an ack call neep_vhost_user_answer(). */
typedef int (*neep_vhost_user_handler)(
	struct neep_vhost_user *server, struct neep_vhost_user_message *message);

/* server.c */

static inline bool neep_vhost_user_has_protocol(const struct neep_vhost_user *server, unsigned bit) {
	return (server->protocol_features & VU_BIT(bit)) != 0;
}

/* Replies to the message being handled; owned_fd is -1 or goes along. `len` is at most the longest reply. */
void neep_vhost_user_answer(struct neep_vhost_user *server, const void *payload, size_t len, int owned_fd);

/* One sendmsg() that does not block, with `fd` (or -1) on the first byte. Returns the bytes taken or a negative errno. */
int64_t neep_vhost_user_send(int socket, const void *buf, size_t len, int fd);

/* The driver starts anew: everything of the old life goes, in the rings, the channel and the device. */
void neep_vhost_user_reset(struct neep_vhost_user *server);

/* rings.c */

/* Returns 0 or -ENOMEM; finish is right in both cases. */
int neep_vhost_user_rings_init(struct neep_vhost_user *server);
void neep_vhost_user_rings_finish(struct neep_vhost_user *server);
/* Takes every live ring off; none comes back by itself when `disable`. */
void neep_vhost_user_rings_stop(struct neep_vhost_user *server, bool disable);
/* Brings rings up that should be live and are not, because guest memory has changed. */
void neep_vhost_user_rings_retry(struct neep_vhost_user *server);
bool neep_vhost_user_rings_all_live(const struct neep_vhost_user *server);

int neep_vhost_user_set_vring_num(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_vring_addr(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_vring_base(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_get_vring_base(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_vring_kick(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_vring_call(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_vring_err(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_vring_enable(struct neep_vhost_user *server, struct neep_vhost_user_message *message);

/* mem.c */

int neep_vhost_user_set_mem_table(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_get_max_mem_slots(
	struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_add_mem_reg(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_rem_mem_reg(struct neep_vhost_user *server, struct neep_vhost_user_message *message);

/* backend_channel.c */

/* The memory that a front-end's region stands for. */
struct neep_vhost_user_echo {
	struct neep_memory_region_info info;
	dev_t dev;
	ino_t ino;
};

void neep_vhost_user_channel_init(struct neep_vhost_user *server);
/* Fails what is pending with -ECANCELED and closes the channel. */
void neep_vhost_user_channel_finish(struct neep_vhost_user *server);
/* The driver starts anew: pending changes fail with -ECANCELED. Returns whether the window is empty now. */
bool neep_vhost_user_channel_reset(struct neep_vhost_user *server);
/* Rings went on or off: changes may be sent, or must not be. */
void neep_vhost_user_channel_wake(struct neep_vhost_user *server);
void neep_vhost_user_channel_added(struct neep_vhost_user *server, const struct neep_vhost_user_echo *echo);
void neep_vhost_user_channel_removed(
	struct neep_vhost_user *server, const struct neep_memory_region_info *info);
void neep_vhost_user_channel_replaced(
	struct neep_vhost_user *server, const struct neep_vhost_user_echo *echoes, size_t count);
int neep_vhost_user_set_backend_req_fd(
	struct neep_vhost_user *server, struct neep_vhost_user_message *message);

/* inflight.c */

int neep_vhost_user_get_inflight_fd(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
int neep_vhost_user_set_inflight_fd(struct neep_vhost_user *server, struct neep_vhost_user_message *message);
/* The ring is about to start: without tracking if the area is for rings of another format or for smaller ones. */
void neep_vhost_user_inflight_fit(struct neep_vhost_user_ring *ring, const struct neep_vring_config *config);
/* Unmaps the area; the rings must be stopped. NULL is fine. */
void neep_vhost_user_inflight_destroy(struct neep_vhost_user_inflight_area *area);

#endif
