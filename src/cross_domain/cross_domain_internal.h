/* What the files of the cross-domain component share.
 *
 * A context is a connection of a guest process to a socket of the host, and what came over it. The component never waits: what
 * a socket or a pipe does not take is queued up to a limit. A context reads from the host only while one of its fences is
 * parked, and answers each fence with one message in its channel ring; so a guest that does not keep up slows down its own
 * connection, and a host that does not read loses its own context.
 *
 * Fds: everything of a context that can be read is in an epoll set of its own, read_fd, which the component watches while a
 * fence is parked. What waits for room to write is in the component's set. Ids there are those of items; 0 is the socket.
 *
 * Trust: command bytes are the guest's. The host's sockets send bytes that nobody here looks at, and fds of any kind. */
#ifndef NEEP_CROSS_DOMAIN_CROSS_DOMAIN_INTERNAL_H
#define NEEP_CROSS_DOMAIN_CROSS_DOMAIN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cross_domain/protocol.h"
#include "cross_domain/queue.h"
#include "rutabaga/component.h"
#include "rutabaga/resource.h"
#include "util/fd.h"
#include "util/idmap.h"
#include "util/list.h"
#include "util/reader.h"

/* Fds that a guest has and has not taken or closed: keymaps, pipes. A desktop program has a handful. */
#define NEEP_XD_ITEMS_MAX 1024
/* Layouts that were asked for and stay: one for each size of a window that was ever drawn, some dozen bytes each. */
#define NEEP_XD_TEMPLATES_MAX 65536
/* One image: a quarter of the usual window of a guest; a screen of 8K has an eighth of it. */
#define NEEP_XD_IMAGE_BYTES_MAX (UINT64_C(1) << 30)
/* All buffers of one context that are alive: what the usual window of a guest holds. */
#define NEEP_XD_CONTEXT_BYTES_MAX (UINT64_C(4) << 30)
/* One dma-buf: an image of 8K with 8 bytes a pixel. Its list of pages is memory of the kernel, of which nobody counts what a
 * guest uses up by sending blobs again and again. */
#define NEEP_XD_DMABUF_BYTES_MAX (UINT64_C(256) << 20)
/* Bytes and fds for a host that does not read: some thousand messages. Then the context is given up. */
#define NEEP_XD_SEND_BYTES_MAX ((size_t)4 << 20)
#define NEEP_XD_SEND_FDS_MAX   1024
/* The same for fds as NEEP_XD_WRITE_LOW is for bytes. */
#define NEEP_XD_SEND_FDS_LOW 256
/* Bytes for a pipe that is not read. Guests that know of no flow control write a whole clipboard at once. */
#define NEEP_XD_WRITE_BYTES_MAX ((size_t)64 << 20)
/* A pipe, or the socket, with less than this takes more: fences of flow control are completed. */
#define NEEP_XD_WRITE_LOW ((size_t)256 << 10)
/* All queues and layouts of all contexts. */
#define NEEP_XD_TOTAL_BYTES_MAX ((size_t)1 << 30)
/* Pipes that still have to be written when their context has ended. */
#define NEEP_XD_LINGERING_MAX 64
/* A read-only file up to this size is copied for the guest. Keymaps and tables of formats have some KiB; the copy takes
 * milliseconds at most. */
#define NEEP_XD_COPY_MAX (UINT64_C(16) << 20)

/* What an event of the component's set is about: an item of a context, or one of these; with ctx_id 0 a lingering pipe. */
#define NEEP_XD_TOKEN(ctx_id, id) ((uint64_t)(ctx_id) << 32 | (id))
#define NEEP_XD_TOKEN_SOCKET      0 // room in the socket; in read_fd: something to be read
#define NEEP_XD_TOKEN_READ        1 // read_fd
#define NEEP_XD_TOKEN_RETRY       0 // the timer: no lingering pipe has this number

struct neep_xd {
	struct neep_component base;
	struct rutabaga *rutabaga;
	const struct rutabaga_channel *channels;
	size_t channel_count;
	int epoll_fd;
	struct neep_idmap contexts;  // neep_xd_context.link
	struct neep_idmap lingering; // neep_xd_pipe.item.link, by a serial number
	uint32_t last_lingering;
	/* Of all contexts: what is queued and what layouts take, and the fds of sockets and items. A guest must not use up the
	 * memory and the fds of the device. */
	struct neep_xd_budget budget;
	struct neep_list connecting;       // neep_xd_context.connecting_link
	int retry_fd;                      // a timer for those
	int udmabuf_fd;                    // of neep_udmabuf_open(); -1: blobs are sent as files
	uint8_t page[NEEP_XD_MESSAGE_MAX]; // the message under construction
};

enum neep_xd_state {
	NEEP_XD_NEW,
	NEEP_XD_READY,
	NEEP_XD_DEAD, // INIT failed, or it was given up: every fence is answered with an end of file
};

/* Host memory of the blobs of a context, which outlive it. */
struct neep_xd_account {
	uint64_t bytes;
	size_t refs;
};

struct neep_xd_context {
	struct neep_context base;
	struct neep_idmap_link link; // neep_xd.contexts
	struct neep_xd *xd;
	uint32_t ctx_id;
	enum neep_xd_state state;
	bool has_complained;   // of something a guest can repeat
	bool knows_extensions; // INIT says so

	struct neep_idmap attachments;      // neep_xd_attachment.link, by resource
	struct neep_resource *query_ring;   // NULL: none
	struct neep_resource *channel_ring; // NULL: none
	size_t message_max;                 // bytes of it that one message may take

	struct neep_list parked; // neep_fence.component_link, of the channel ring, oldest first
	int read_fd;             // -1: there is nothing to read
	bool is_armed;           // read_fd is watched

	int socket;         // -1: none, or the host has closed it
	bool is_throttled;  // not read, for want of room for items
	bool wants_to_send; // waits for room
	struct neep_xd_queue out;
	struct neep_list flowing; // neep_fence.component_link, that wait for the socket to take what was sent
	const char *connecting_path; // NULL: connected, or nothing to connect to
	int64_t connecting_until_ns;
	struct neep_list connecting_link; // neep_xd.connecting

	struct neep_idmap items; // neep_xd_item.link
	size_t held_items;       // but for templates
	uint32_t last_item_id;
	uint32_t last_read_id;
	struct neep_idmap templates; // neep_xd_template.by_size
	size_t template_count;
	uint32_t last_written; // the item of the last WRITE; 0: a SEND came after it
	struct neep_xd_account *account;
};

/* A resource that the context may use. */
struct neep_xd_attachment {
	struct neep_idmap_link link; // neep_xd_context.attachments
	struct neep_resource *resource;
};

enum neep_xd_item_kind {
	NEEP_XD_TEMPLATE,   // struct neep_xd_template
	NEEP_XD_MEMORY,     // struct neep_xd_memory
	NEEP_XD_WRITE_PIPE, // struct neep_xd_pipe, as the next ones
	NEEP_XD_READ_PIPE,
	NEEP_XD_EVENT,
};

/* What an id of the host stands for. */
struct neep_xd_item {
	struct neep_idmap_link link; // neep_xd_context.items
	enum neep_xd_item_kind kind;
};

/* A layout of an image: any number of blobs may be made of it. */
struct neep_xd_layout {
	uint32_t width;
	uint32_t height;
	uint32_t format; // DRM fourcc
	uint32_t strides[4];
	uint32_t offsets[4];
	uint64_t size; // whole pages
};

struct neep_xd_template {
	struct neep_xd_item item;
	struct neep_idmap_link by_size;     // neep_xd_context.templates
	struct neep_xd_template *same_size; // of another format; NULL: the last
	struct neep_xd_layout layout;
};

/* Memory of the host that becomes one blob. */
struct neep_xd_memory {
	struct neep_xd_item item;
	int fd;
	bool is_dmabuf;
	bool is_writable;
};

struct neep_xd_pipe {
	struct neep_xd_item item;
	struct neep_xd *xd;
	struct neep_xd_context *context; // NULL: lingers
	int fd;                          // -1: nobody reads what is written
	bool is_watched;                 // a write pipe: waits for room; others: are read
	struct neep_xd_queue out;
	struct neep_list flowing; // neep_fence.component_link: until there is room
};

/* cross_domain.c */

/* The path of a socket of this type, or NULL. */
const char *neep_xd_channel_path(const struct neep_xd *xd, uint32_t channel_type);
const char *neep_xd_channel_name(uint32_t channel_type);
/* `count` more fds may be held; neep_xd_put_fds() gives them back. */
bool neep_xd_take_fds(struct neep_xd *xd, size_t count);
void neep_xd_put_fds(struct neep_xd *xd, size_t count);
/* Waits for room to write to an fd of a context (id 0: the socket), or of a lingering pipe (ctx_id 0). Returns 0 or a negative
 * errno. */
int neep_xd_watch_room(struct neep_xd *xd, uint32_t ctx_id, uint32_t id, int fd);
void neep_xd_unwatch_room(struct neep_xd *xd, int fd);

/* context.c */

struct neep_xd_context *neep_xd_context_from_base(struct neep_context *base);
int neep_xd_context_create(
	struct neep_xd *xd, const struct neep_context_params *params, struct neep_context **context);
/* The resource if it is attached, or NULL. */
struct neep_resource *neep_xd_attached(const struct neep_xd_context *context, uint32_t resource_id);
/* Something in read_fd can be read. */
void neep_xd_context_read(struct neep_xd_context *context);
/* The context is given up: fences are answered, items are gone. Whoever calls this must not touch items afterwards. */
void neep_xd_context_kill(struct neep_xd_context *context);
/* Puts an fd into read_fd, and out of it. */
int neep_xd_context_watch(struct neep_xd_context *context, uint32_t id, int fd);
void neep_xd_context_unwatch(struct neep_xd_context *context, int fd);
/* A line for the people who run the VM: of what ends a context, or begins none. */
void neep_xd_tell(struct neep_xd_context *context, const char *format, ...) NEEP_PRINTF(2, 3);
/* The same of what can happen again and again: only the first time. */
void neep_xd_complain(struct neep_xd_context *context, const char *format, ...) NEEP_PRINTF(2, 3);

/* commands.c: as in struct neep_context_impl */
int neep_xd_submit(struct neep_context *base, const uint8_t *commands, size_t size);

/* init.c: INIT, whose size is checked. Returns 0 or a negative errno; then the context is dead. */
int neep_xd_init(struct neep_xd_context *context, struct neep_reader *in, size_t size);

/* ring.c */

/* Writes to the start of a ring. -ENXIO: there is none, or not any more. */
int neep_xd_ring_write(const struct neep_resource *ring, const void *data, size_t len);
/* A page that may be a ring: guest memory of at least NEEP_XD_RING_SIZE. */
bool neep_xd_is_ring(const struct neep_resource *resource);
void neep_xd_put_u32(uint8_t *message, size_t at, uint32_t value);
void neep_xd_put_u64(uint8_t *message, size_t at, uint64_t value);

/* connect.c */

/* Connects to the path, which lives as long as the component. Returns 0, also when it has to be tried again, or a negative
 * errno; the socket is closed with the context then. */
int neep_xd_channel_connect(struct neep_xd_context *context, const char *path);
void neep_xd_channel_stop_connecting(struct neep_xd_context *context);
/* The timer has expired. */
void neep_xd_connect_retry(struct neep_xd *xd);

/* channel.c: the socket */

void neep_xd_channel_close(struct neep_xd_context *context);
/* Sends, or queues, bytes with fds, which are taken. -ENOBUFS: the context was given up; -EPIPE: nobody is there. */
int neep_xd_channel_send(struct neep_xd_context *context, const struct neep_xd_bytes *bytes);
/* Signals a fence when the socket has taken most of what was sent. */
void neep_xd_channel_flow(struct neep_xd_context *context, struct neep_fence *fence);
/* There is room in the socket. */
void neep_xd_channel_flush(struct neep_xd_context *context);
/* Reads one message into the channel ring. Returns whether there is one. */
bool neep_xd_channel_receive(struct neep_xd_context *context);
/* There is room for items again. */
void neep_xd_channel_resume(struct neep_xd_context *context);
/* Writes an end of file to the channel ring, if there is one. */
void neep_xd_channel_tell_end(struct neep_xd_context *context);

/* send.c: SEND, which is read behind its header. */
int neep_xd_send(struct neep_xd_context *context, struct neep_reader *in);

/* items.c */

/* NULL when there is none. */
struct neep_xd_item *neep_xd_item_find(const struct neep_xd_context *context, uint64_t id);
/* As above, only of this kind. */
struct neep_xd_item *neep_xd_item_of(
	const struct neep_xd_context *context, uint64_t id, enum neep_xd_item_kind kind);
/* Gives the item the next id and returns that; 0: they are used up. */
uint32_t neep_xd_item_add(struct neep_xd_context *context, struct neep_xd_item *item);
/* Takes the item out and frees it. */
void neep_xd_item_destroy(struct neep_xd_context *context, struct neep_xd_item *item);
void neep_xd_items_finish(struct neep_xd_context *context);
/* Makes an item of an fd of the host, whatever it is; what cannot be passed on becomes a pipe that nobody reads. Stores what
 * the guest is told. False for want of memory or fds. */
struct neep_xd_told {
	uint32_t id;
	uint32_t type;
	uint32_t size;
};
bool neep_xd_item_import(struct neep_xd_context *context, int owned_fd, struct neep_xd_told *told);

/* classify.c */
enum neep_xd_fd_kind {
	NEEP_XD_FD_UNSUPPORTED,
	NEEP_XD_FD_MEMORY,
	NEEP_XD_FD_WRITE_PIPE,
	NEEP_XD_FD_EVENT,
};
struct neep_xd_class {
	enum neep_xd_fd_kind kind;
	const char *name; // of what it is, for messages
	bool is_dmabuf;   // memory
	bool is_writable; // memory: by its mode and its seals
	uint64_t size;    // memory
};
struct neep_xd_class neep_xd_classify(int fd);

/* pipes.c */

/* Consumes the fd, -1 for a pipe that nobody reads. NULL for want of memory. */
struct neep_xd_pipe *neep_xd_pipe_create(
	struct neep_xd_context *context, enum neep_xd_item_kind kind, int owned_fd);
/* The pipe, which is no item any more, ends; but one that still has something to write lingers until that is done. */
void neep_xd_pipe_destroy(struct neep_xd_pipe *pipe);
void neep_xd_lingering_finish(struct neep_xd *xd);
/* There is room. Ends a pipe that lingers and has nothing left. */
void neep_xd_pipe_flush(struct neep_xd_pipe *pipe);
/* A fence that completes when the pipe that was written last has room. */
void neep_xd_pipe_flow(struct neep_xd_context *context, struct neep_fence *fence);
/* Reads from a pipe or an event into the channel ring. Returns whether there was something. */
bool neep_xd_pipe_read(struct neep_xd_pipe *pipe);
/* WRITE, and READ_CREATE_EVENT, behind their headers. */
int neep_xd_write(struct neep_xd_context *context, struct neep_reader *in);
int neep_xd_read_event(struct neep_xd_context *context, struct neep_reader *in);

/* image.c */

/* The layout of width, height and format, which are filled in. -ENOTSUP: no such format; -EFBIG. */
int neep_xd_layout_compute(struct neep_xd_layout *layout);
/* GET_IMAGE_REQUIREMENTS behind its header. */
int neep_xd_requirements(struct neep_xd_context *context, struct neep_reader *in);
void neep_xd_template_free(struct neep_xd_context *context, struct neep_xd_template *template);

/* memory.c */

int neep_xd_create_blob(
	struct neep_context *base, const struct rutabaga_create_blob *create, struct neep_blob *blob);
/* Whether it was made by neep_xd_create_blob(). */
bool neep_xd_is_own_blob(const struct neep_resource *resource);
void neep_xd_account_unref(struct neep_xd_account *account);
/* Bytes up to the next page; false when that is no size. */
bool neep_xd_round_to_pages(uint64_t size, uint64_t *rounded);

#endif
