/* vhost-user, front-end side: one connection to one back-end (QEMU's docs/interop/vhost-user).
 *
 * Plays the VMM: negotiates, hands over memory and rings, serves the back-end's own requests. Whoever waits here for an
 * answer of the back-end serves the back-end channel meanwhile, because a back-end may wait for us there; a map that
 * arrives then is acked at once, and its echo as a memory region follows when the exchange on the main socket is over.
 *
 * Not thread safe: the driver's lock guards it. Calls that wait for an answer give up after the timeout with
 * -ETIMEDOUT; -EPIPE: the back-end is gone; -EPROTO: it broke the protocol. All three make the front-end dead, and
 * a dead front-end refuses with -EPIPE. -EIO: the back-end refused this request (a non-zero ack). */
#ifndef NEEP_DRIVER_FRONTEND_H
#define NEEP_DRIVER_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver/memory.h"
#include "driver/queue.h"
#include "driver/window.h"
#include "util/error.h"
#include "util/fd.h"
#include "vhost_user/protocol.h"

struct neep_frontend;

struct neep_frontend_options {
	uint64_t features;          // virtio and vhost-user feature bits wanted; bit 30 is always wanted
	uint64_t protocol_features; // wanted
	bool echo_maps;             // tell the back-end of its own maps as memory regions, as QEMU does
	int64_t timeout_ns;         // the longest wait for one answer
};

/* Connects to a listening socket, trying again for `timeout_ns` while it does not exist or does not listen. Returns the
 * fd, or a negative errno with `error` set. */
int neep_frontend_connect(const char *socket_path, int64_t timeout_ns, struct neep_error *error);

/* Takes the connected stream socket owned_fd in every case and sends nothing yet. NULL with `error` set. */
struct neep_frontend *neep_frontend_create(
	int owned_fd, const struct neep_frontend_options *options, struct neep_error *error);

/* Closes everything; the window goes away. NULL is fine. */
void neep_frontend_destroy(struct neep_frontend *frontend);

/* From GET_FEATURES to GET_SHMEM_CONFIG in the order that QEMU has, "Starting and stopping rings" excluded. Returns 0 or
 * a negative errno with `error` set. */
int neep_frontend_negotiate(struct neep_frontend *frontend, struct neep_error *error);

/* The same connection parameters over a new socket (the back-end was restarted): takes owned_fd in every case, drops the
 * old sockets and forgets what the old back-end was told. Maps in the window stay for the program that uses them.
 * neep_frontend_negotiate() is next. */
void neep_frontend_replace_socket(struct neep_frontend *frontend, int owned_fd);

uint64_t neep_frontend_offered_features(const struct neep_frontend *frontend);
uint64_t neep_frontend_features(const struct neep_frontend *frontend); // negotiated
uint64_t neep_frontend_protocol_features(const struct neep_frontend *frontend);
bool neep_frontend_has_protocol(
	const struct neep_frontend *frontend, enum neep_vhost_user_protocol_feature feature);
uint64_t neep_frontend_queue_count(
	const struct neep_frontend *frontend); // what GET_QUEUE_NUM said, 0: not asked
uint64_t neep_frontend_mem_slots(const struct neep_frontend *frontend); // GET_MAX_MEM_SLOTS, 0: not asked
bool neep_frontend_is_dead(const struct neep_frontend *frontend);

/* SET_FEATURES with what was negotiated. */
int neep_frontend_set_features(struct neep_frontend *frontend);

/* Tells the back-end of the memory: ADD_MEM_REG for what it does not know yet in slot mode, else the whole table.
 * `memory` is borrowed and used for echoes until destroy. */
int neep_frontend_set_memory(struct neep_frontend *frontend, const struct neep_guest_memory *memory);

/* Tells the back-end of a region that is not in that memory, or of its end: ADD_MEM_REG (with `fd`, borrowed) and
 * REM_MEM_REG. -EOPNOTSUPP without CONFIGURE_MEM_SLOTS. */
int neep_frontend_add_region(
	struct neep_frontend *frontend, const struct neep_vhost_user_region *region, int fd);
int neep_frontend_remove_region(struct neep_frontend *frontend, const struct neep_vhost_user_region *region);

/* SET_VRING_NUM, _BASE, _ADDR, _ERR, _KICK and _CALL. The eventfds are borrowed. */
int neep_frontend_start_queue(
	struct neep_frontend *frontend, uint32_t index, const struct neep_queue *queue, uint32_t base);
int neep_frontend_enable_queue(struct neep_frontend *frontend, uint32_t index, bool enable);

/* GET_VRING_BASE. */
int neep_frontend_stop_queue(struct neep_frontend *frontend, uint32_t index, uint32_t *base);

/* `len` up to 256. -EPROTO when the answer is not for the bytes that were asked for. */
int neep_frontend_get_config(struct neep_frontend *frontend, uint32_t offset, void *buf, size_t len);
int neep_frontend_set_config(struct neep_frontend *frontend, uint32_t offset, const void *buf, size_t len);

/* GPU_SET_SOCKET; the fd is borrowed. */
int neep_frontend_set_gpu_socket(struct neep_frontend *frontend, int fd);

/* RESET_DEVICE; -EOPNOTSUPP without it. */
int neep_frontend_reset_device(struct neep_frontend *frontend);

/* GET_INFLIGHT_FD once, which is kept over neep_frontend_replace_socket(), then SET_INFLIGHT_FD. Nothing without
 * INFLIGHT_SHMFD. */
int neep_frontend_share_inflight(struct neep_frontend *frontend, uint16_t queue_count, uint16_t queue_size);

/* The next share fetches a fresh area: what is in the old one belongs to rings that are no more. */
void neep_frontend_forget_inflight(struct neep_frontend *frontend);

/* The fds to sleep on: the main socket is readable when the back-end closed it, the channel (-1: none) when it has a
 * request. Borrowed. */
int neep_frontend_socket(const struct neep_frontend *frontend);
int neep_frontend_channel(const struct neep_frontend *frontend);

/* Serves what is there on the back-end channel and notices the end of the main socket; never sleeps but for the rest of
 * a message and for the acks of echoes. Returns 0, or -EPIPE when dead. */
int neep_frontend_serve(struct neep_frontend *frontend);

/* CONFIG_CHANGE_MSGs so far. */
uint64_t neep_frontend_config_changes(const struct neep_frontend *frontend);

/* The window; its size is 0 when the back-end has none. Borrowed. */
struct neep_window *neep_frontend_window(struct neep_frontend *frontend);

/* Forgets all maps, as a VMM does at device reset; the back-end hears of it with the next memory message. */
void neep_frontend_clear_window(struct neep_frontend *frontend);

/* ---- any message, for hostile tests and what has no call above ---- */

struct neep_frontend_message {
	uint32_t request;
	uint32_t flags; // NEED_REPLY and the like; the version is added
	const void *payload;
	size_t payload_len;
	const int *fds; // borrowed
	size_t fd_count;

	void *reply;            // room for reply_size bytes
	size_t reply_size;      // a longer reply is -EPROTO
	size_t reply_len;       // set: bytes that came
	struct neep_fds fds_in; // set: fds that came; finish them
};

/* Sends, and waits for nothing. */
int neep_frontend_send(struct neep_frontend *frontend, const struct neep_frontend_message *message);

/* Waits for the reply to message->request. */
int neep_frontend_receive(struct neep_frontend *frontend, struct neep_frontend_message *message);

/* Sends a message that has a reply of its own and waits for it. */
int neep_frontend_ask(struct neep_frontend *frontend, struct neep_frontend_message *message);

/* Sends a message that has none; with REPLY_ACK it asks for an ack and waits for that. */
int neep_frontend_tell(struct neep_frontend *frontend, const struct neep_frontend_message *message);

/* Sends bytes as they are, with no header of ours. */
int neep_frontend_send_raw(struct neep_frontend *frontend, const void *buf, size_t len);

#endif
