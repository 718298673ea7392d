/* The messages of cross-domain, as bytes. Commands go into EXECBUFFER; the host's messages come in the channel ring, its
 * answer to a query in the query ring. There is no specification: these are the numbers that Sommelier and
 * wayland-proxy-virtwl send and that rutabaga answers. Little-endian.
 *
 * The host is not trusted: what it wrote is copied, then parsed from the copy. */
#ifndef NEEP_WAYLAND_CHANNEL_H
#define NEEP_WAYLAND_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the capset ---- */

#define NEEP_WL_CAPSET_ID   5
#define NEEP_WL_CAPSET_SIZE 20

/* What neep's device has beside what all hosts have. */
enum neep_wl_extension {
	/* A fence on a ring above NEEP_WL_RING_CHANNEL tells that there is room where the last WRITE, or SEND, went. */
	NEEP_WL_EXTENSION_FLOW = 1 << 0,
	/* Messages fill the channel ring, for those that ask for it in INIT. */
	NEEP_WL_EXTENSION_LONG_MESSAGES = 1 << 1,
	/* Blobs that programs here share as dma-bufs are memory files there: wl_shm takes them. */
	NEEP_WL_EXTENSION_FILES = 1 << 2,
	/* What a kernel imports as a guest blob, as a file of its own, can be sent. */
	NEEP_WL_EXTENSION_GUEST_FILES = 1 << 3,
	/* They can be sent as dma-bufs, too. */
	NEEP_WL_EXTENSION_DMABUFS = 1 << 4,
};

/* Whether the host can connect to a Wayland compositor. */
bool neep_wl_capset_has_wayland(const uint8_t capset[static NEEP_WL_CAPSET_SIZE]);
/* Bits of enum neep_wl_extension; the capset is zeros behind what the host wrote. */
uint32_t neep_wl_capset_extensions(const uint8_t capset[static NEEP_WL_CAPSET_SIZE]);

/* ---- commands ---- */

#define NEEP_WL_CHANNEL_WAYLAND UINT32_C(1)

/* The most identifiers of a message: libwayland's most fds. */
#define NEEP_WL_CHANNEL_IDS_MAX 28
/* SEND and RECEIVE: the bytes of the stream stand behind. Hosts take more, other guests send no more. */
#define NEEP_WL_CHANNEL_SEND_HEAD 352
#define NEEP_WL_CHANNEL_SEND_MAX  (4096 - NEEP_WL_CHANNEL_SEND_HEAD)
/* READ and WRITE */
#define NEEP_WL_CHANNEL_WRITE_HEAD 24
/* The size of a command is 16 bits wide, and hosts take what fits. */
#define NEEP_WL_CHANNEL_WRITE_MAX 61440
/* Enough for all commands without bytes behind. */
#define NEEP_WL_CHANNEL_COMMAND_MAX 24

enum neep_wl_channel_id_type {
	NEEP_WL_ID_BLOB = 1,
	NEEP_WL_ID_READ_PIPE = 3,  // SEND: the host writes it, we read
	NEEP_WL_ID_WRITE_PIPE = 4, // RECEIVE: the host reads it, we write
	NEEP_WL_ID_DMABUF = 0x101, // SEND: a blob, as a dma-buf of the host's
};

/* The first id of a read pipe, which guests guess and hosts check. */
#define NEEP_WL_READ_PIPE_FIRST UINT32_C(0x80000001)

struct neep_wl_channel_id {
	uint32_t id;
	uint32_t type; // enum neep_wl_channel_id_type, or what a host says
	uint32_t size; // RECEIVE: of a blob
};

/* Each writes a command and returns its size. */
size_t neep_wl_channel_init(
	uint8_t *out, uint32_t query_ring, uint32_t channel_ring, bool wants_long_messages);
size_t neep_wl_channel_poll(uint8_t *out);
/* Asks for memory of `size` bytes, as an image of one row. */
size_t neep_wl_channel_query(uint8_t *out, uint32_t size);
/* The head of SEND, for `len` bytes behind it. */
size_t neep_wl_channel_send(uint8_t *out, const struct neep_wl_channel_id *ids, size_t count, size_t len);
/* The head of WRITE, for `len` bytes behind it; `hang_up` closes the pipe. */
size_t neep_wl_channel_write(uint8_t *out, uint32_t pipe_id, size_t len, bool hang_up);

/* ---- what the host says ---- */

enum neep_wl_channel_kind {
	NEEP_WL_RECEIVE = 5,
	NEEP_WL_READ = 6,
};

struct neep_wl_channel_message {
	enum neep_wl_channel_kind kind;
	const uint8_t *bytes; // in the copy
	size_t len;
	/* RECEIVE; no ids and no bytes: the compositor has closed the connection. */
	size_t id_count;
	struct neep_wl_channel_id ids[NEEP_WL_CHANNEL_IDS_MAX];
	/* READ */
	uint32_t pipe_id;
	bool hang_up;
};

/* The kind of the message in the ring, as the host has it there now, for a look before the copy. */
uint32_t neep_wl_channel_peek(const uint8_t *ring);

/* Copies the message out of a ring of `size` bytes, which the host may rewrite meanwhile, to `copy` of the same size, and parses it.
 * Returns 0, or -EPROTO: no such message. */
int neep_wl_channel_take(
	const uint8_t *ring, size_t size, uint8_t *copy, struct neep_wl_channel_message *message);

#define NEEP_WL_CHANNEL_ANSWER_SIZE 64

/* What to make memory of. */
struct neep_wl_channel_template {
	uint32_t blob_id;
	uint64_t size;
};
/* Parses the answer to a query, a copy. Returns 0, or -EPROTO: there is none, the host has refused. */
int neep_wl_channel_answer(
	const uint8_t answer[static NEEP_WL_CHANNEL_ANSWER_SIZE], struct neep_wl_channel_template *template);

#endif
