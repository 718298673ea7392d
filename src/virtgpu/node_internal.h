/* What the files of the node share. Room-internal; everything belongs to the loop's thread. */
#ifndef NEEP_VIRTGPU_NODE_INTERNAL_H
#define NEEP_VIRTGPU_NODE_INTERNAL_H

#include <linux/virtio_gpu.h>

#include "util/acceptor.h"
#include "util/fd.h"
#include "util/idmap.h"
#include "util/list.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtgpu/node.h"
#include "virtgpu/protocol.h"

#define TOPIC "virtgpu"

struct neep_node_bo;
struct neep_node_event;
struct neep_node_export;
struct neep_node_fence;
struct neep_node_file;
struct neep_node_handle;
struct neep_node_import;

struct neep_virtgpu_node {
	struct neep_loop *loop;
	struct neep_driver *driver;
	char name[NEEP_VIRTGPU_NAME_LEN + 1];
	bool is_dead;         // the device is gone
	struct neep_task end; // what programs see of that

	int listener;
	struct neep_acceptor acceptor;
	struct neep_list connections; // connection.link
	struct neep_source driver_source;
	struct neep_task sweep;

	int info_fd;
	uint64_t params[NEEP_DRM_PARAM_COUNT];
	bool has_capsets;
	uint64_t window_size;

	struct neep_list files;        // neep_node_file.link
	struct neep_idmap files_by_id; // neep_node_file.by_id
	struct neep_idmap bos;         // neep_node_bo.by_id, by resource id
	uint32_t next_resource_id;     // never reused, as in Linux
	uint32_t next_ctx_id;

	struct neep_idmap syncobjs; // of syncobj.c: their tokens
	struct neep_idmap fences;   // neep_node_fence.by_id, those that have tokens and have not signalled
	struct neep_list submitted; // neep_node_job.link, in order
	struct neep_list signalled; // neep_node_fence.link, whose waiters are to be told
	bool is_telling;            // them
	uint64_t next_fence_id;
	uint32_t next_token_id; // the lower half of a fence token's
	size_t fence_count;
	size_t event_cost; // bytes of memory that an unread event holds
	size_t event_max;  // of a file, unread or to come

	int inotify_fd;
	struct neep_source inotify_source;
	struct neep_list exports;    // neep_node_export.link
	struct neep_timer ask_timer; // until it is sure which of them are open
	int64_t ask_pause_ns;
	struct neep_list imports; // neep_node_import.link
	uint64_t import_bytes;

	struct neep_virtgpu_counts counts;
	struct neep_log_limit log_limit;
	uint8_t message[NEEP_VIRTGPU_MESSAGE_MAX];
};

/* ---- calls, call.c ---- */

/* A call being handled. */
struct neep_node_call {
	struct neep_virtgpu_node *node;
	struct neep_node_file *file; // NULL: of an op that has none
	const struct neep_virtgpu_debug_name *program;

	uint8_t data[NEEP_VIRTGPU_STRUCT_MAX]; // the struct, zero-extended; goes back with the answer
	const uint8_t *arrays;                 // what followed it, borrowed
	size_t arrays_len;
	struct neep_fds fds; // came along; taken or closed afterwards
	bool has_lost_fds;   // there was no room for all that came

	int fd_out; // owned; rides on the answer
	uint32_t flags_out;
};

/* The next `count` elements of `size` bytes of what followed the struct; NULL when they are not there. For a count of 0
 * something that is not NULL. */
const void *neep_node_call_take(struct neep_node_call *call, uint64_t count, uint64_t size);

/* Handles one message. Returns the result for the answer. */
int neep_node_call_ioctl(struct neep_node_call *call, uint32_t nr, uint32_t size);

/* ---- tokens, token.c ---- */

/* A new token of the node's: *near is ours, which polls HUP when the last copy of the one returned is closed. Returns the
 * program's end or a negative errno. */
int neep_node_token_create(
	const struct neep_virtgpu_node *node, enum neep_virtgpu_token_kind kind, uint64_t id, int *near);

/* The id of a token of `kind` that a program sent; 0 when it is none. */
uint64_t neep_node_token_id(const struct neep_virtgpu_node *node, enum neep_virtgpu_token_kind kind, int fd);

/* A number that nobody guesses; never 0. */
uint64_t neep_node_random(void);

/* ---- commands to the device, command.c ---- */

/* What a response type, or the negative errno of gpu.h, is as the result of an ioctl. */
int neep_node_result(struct neep_virtgpu_node *node, int response);

/* Sends a command that nobody waits for: what goes wrong is the device's log's. */
void neep_node_send(
	struct neep_virtgpu_node *node, const void *cmd, size_t cmd_len, const void *payload, size_t len);

/* The commands that are nothing but a context and a resource. */
void neep_node_send_ctx_resource(
	struct neep_virtgpu_node *node, uint32_t type, uint32_t ctx_id, uint32_t resource_id);
void neep_node_send_resource(struct neep_virtgpu_node *node, uint32_t type, uint32_t resource_id);

/* Sends with a fence: *fence is a new reference. Flags and ring of the header are the caller's; the fence is filled
 * in. Returns 0 or a negative errno. */
struct neep_node_command {
	struct virtio_gpu_ctrl_hdr *hdr; // begins a command of `len` bytes
	size_t len;
	const void *payload;
	size_t payload_len;
};
int neep_node_send_fenced(struct neep_virtgpu_node *node, const struct neep_node_command *command,
	struct neep_node_fence **fence);

/* Signals the fences of the commands that are done. */
void neep_node_sweep(struct neep_virtgpu_node *node);

/* Lets go of all commands on their way; their fences signal. */
void neep_node_drop_jobs(struct neep_virtgpu_node *node);

/* ---- fences, fence.c ---- */

struct neep_node_fence {
	uint32_t refs;
	bool is_signalled;
	struct neep_list waiters;     // neep_node_waiter.link
	struct neep_list link;        // neep_virtgpu_node.signalled
	struct neep_idmap_link by_id; // neep_virtgpu_node.fences
	struct neep_virtgpu_node *node;
	size_t parts; // of a merged fence: that have not signalled
};

/* Something that happens when a fence signals. Embedded in its owner. */
struct neep_node_waiter {
	struct neep_list link; // neep_node_fence.waiters
	void (*signalled)(struct neep_node_waiter *waiter);
};

/* A fence with one reference; NULL for want of memory. */
struct neep_node_fence *neep_node_fence_create(struct neep_virtgpu_node *node);
/* The same, signalled. */
struct neep_node_fence *neep_node_fence_create_done(struct neep_virtgpu_node *node);
struct neep_node_fence *neep_node_fence_ref(struct neep_node_fence *fence);
void neep_node_fence_unref(struct neep_node_fence *fence); // NULL is fine

/* Waiters hear of it before this returns, but where it is called by one that hears of another fence: then they are next. */
void neep_node_fence_signal(struct neep_node_fence *fence);

/* `waiter` is told at once when the fence has signalled already. It is told once, and is in no list then. */
void neep_node_fence_wait(struct neep_node_fence *fence, struct neep_node_waiter *waiter);

/* A fence that signals when all of them have. NULL for want of memory. */
struct neep_node_fence *neep_node_fence_merge(
	struct neep_virtgpu_node *node, struct neep_node_fence *const *fences, size_t count);

/* A token of the fence for a program, or a negative errno. */
int neep_node_fence_token(struct neep_node_fence *fence);

/* The fence of a token that a program sent: a new reference, or NULL when it is no fence of ours. One that has signalled
 * is a new fence that has. */
struct neep_node_fence *neep_node_fence_of_token(struct neep_virtgpu_node *node, int fd);

/* ---- files, file.c ---- */

struct neep_node_context {
	uint32_t ctx_id; // 0: not created
	uint32_t num_rings;
	uint64_t polled_rings; // a mask: fences of these are told by events
};

struct neep_node_file {
	struct neep_list link; // neep_virtgpu_node.files
	struct neep_idmap_link by_id;
	struct neep_virtgpu_node *node;
	int token; // the near end
	struct neep_source source;
	struct neep_node_context context;
	struct neep_node_handle **handles; // by handle - 1
	uint32_t handle_count;             // slots
	uint32_t first_free;               // no slot below it is free
	struct neep_idmap syncobjs;        // neep_node_syncobj_handle.by_number
	uint32_t next_syncobj;
	struct neep_list events; // neep_node_event.link: that wait for their fence
	size_t event_count;      // of them
};

/* A new file; its token for the program, or a negative errno. */
int neep_node_file_open(struct neep_virtgpu_node *node);
void neep_node_file_destroy(struct neep_node_file *file);
struct neep_node_file *neep_node_file_find(struct neep_virtgpu_node *node, uint64_t id);

/* Makes sure that the file has a context, as every 3D ioctl does. Returns 0 or a negative errno. */
int neep_node_file_need_context(struct neep_node_file *file, const struct neep_virtgpu_debug_name *name);
int neep_node_context_init(struct neep_node_call *call);

/* ---- events, event.c ---- */

/* Learns what events cost. Returns 0 or a negative errno. */
int neep_node_events_init(struct neep_virtgpu_node *node);

/* The device is gone: every render fd is at its end. */
void neep_node_events_end(struct neep_virtgpu_node *node);

void neep_node_file_events_init(struct neep_node_file *file);
void neep_node_file_events_finish(struct neep_node_file *file);

/* Room for one more event of the file; NULL when there is none. Whoever reserves submits. */
struct neep_node_event *neep_node_event_reserve(struct neep_node_file *file);

/* Sends the event when the fence signals; gives its room back where there is no fence. No event is fine. */
void neep_node_event_submit(struct neep_node_event *event, struct neep_node_fence *fence);

/* ---- buffers, bo.c ---- */

struct neep_node_bo {
	uint32_t refs;                // handles, and one while exported
	struct neep_idmap_link by_id; // neep_virtgpu_node.bos
	struct neep_virtgpu_node *node;
	uint64_t size;     // whole pages
	uint32_t blob_mem; // 0: a classic resource
	uint32_t blob_flags;
	struct neep_guest_buffer backing; // of guest memory; holds nothing where there is none
	int memory_fd;                    // of the device, for the next who wants it; -1: to be asked for
	uint64_t memory_offset;           // in memory_fd
	struct neep_list handles;         // neep_node_handle.link
	struct neep_list uses;            // neep_node_use.link: fences that have not signalled
	struct neep_node_export *export;  // NULL: never exported
	struct neep_node_import *import;  // NULL: made here
};

/* A buffer in a file. */
struct neep_node_handle {
	struct neep_list link; // neep_node_bo.handles
	struct neep_node_bo *bo;
	struct neep_node_file *file;
	uint32_t number;
};

static inline uint32_t neep_node_bo_resource_id(const struct neep_node_bo *bo) {
	return (uint32_t)bo->by_id.id;
}

void neep_node_bo_unref(struct neep_node_bo *bo);

/* The buffer of a handle, or NULL. */
struct neep_node_bo *neep_node_bo_find(struct neep_node_file *file, uint32_t number);

/* Gives the file a handle, the one it has if it has one, and its context the resource. Returns 0 or a negative errno. */
int neep_node_handle_create(struct neep_node_file *file, struct neep_node_bo *bo, uint32_t *number);
void neep_node_handle_destroy(struct neep_node_handle *handle);

/* The fence keeps the buffer busy until it signals. Returns 0 or -ENOMEM. */
int neep_node_bo_add_use(struct neep_node_bo *bo, struct neep_node_fence *fence);

/* The memory of a buffer: an fd that the caller owns, and where in it the buffer begins. Returns it or a negative
 * errno. */
int neep_node_bo_memory(struct neep_node_bo *bo, uint64_t *fd_offset);

/* A buffer of guest memory that is a file's: all of its `size` bytes. `fd` is borrowed. NULL with a negative errno in
 * *result; else a reference. */
struct neep_node_bo *neep_node_bo_create_import(
	struct neep_virtgpu_node *node, int fd, uint64_t size, int *result);

int neep_node_bo_create_blob(struct neep_node_call *call);
int neep_node_bo_create_resource(struct neep_node_call *call);
int neep_node_bo_close(struct neep_node_call *call);
int neep_node_bo_mmap(struct neep_node_call *call);
int neep_node_bo_info(struct neep_node_call *call);
int neep_node_bo_wait(struct neep_node_call *call);

/* ---- submits and transfers, exec.c ---- */

int neep_node_execbuffer(struct neep_node_call *call);
int neep_node_transfer_to_host(struct neep_node_call *call);
int neep_node_transfer_from_host(struct neep_node_call *call);

/* What follows a submit that ends the syncobjs which it names: their fence, at their point. Returns 0 or a negative
 * errno. */
int neep_node_syncobjs_reset(struct neep_node_file *file, const struct neep_drm_exec_syncobj *syncobj);
int neep_node_syncobjs_set(struct neep_node_file *file, const struct neep_drm_exec_syncobj *syncobj,
	struct neep_node_fence *fence);
bool neep_node_syncobj_exists(struct neep_node_file *file, uint32_t number);

/* ---- syncobjs, syncobj.c, syncobj_wait.c and syncobj_eventfd.c ---- */

/* The file ends; the node does. */
void neep_node_syncobjs_finish(struct neep_node_file *file);
void neep_node_syncobj_tokens_finish(struct neep_virtgpu_node *node);

int neep_node_syncobj_create(struct neep_node_call *call);
int neep_node_syncobj_destroy(struct neep_node_call *call);
int neep_node_syncobj_export(struct neep_node_call *call);
int neep_node_syncobj_import(struct neep_node_call *call);
int neep_node_syncobj_reset(struct neep_node_call *call);
int neep_node_syncobj_signal(struct neep_node_call *call);
int neep_node_syncobj_timeline_signal(struct neep_node_call *call);
int neep_node_syncobj_transfer(struct neep_node_call *call);
int neep_node_syncobj_query(struct neep_node_call *call);
int neep_node_syncobj_wait(struct neep_node_call *call);
int neep_node_syncobj_timeline_wait(struct neep_node_call *call);
int neep_node_syncobj_eventfd(struct neep_node_call *call);

/* ---- dma-bufs, prime.c ---- */

int neep_node_prime_init(struct neep_virtgpu_node *node);
void neep_node_prime_finish(struct neep_virtgpu_node *node);
int neep_node_prime_export(struct neep_node_call *call);
int neep_node_prime_import(struct neep_node_call *call);

/* ---- files of programs, import.c ---- */

/* A reference to the buffer that is all of the file `fd`, borrowed: the one that there is, or a new one. NULL with a negative
 * errno in *result: -EINVAL for what is no such file, -ENOMEM over a quota. */
struct neep_node_bo *neep_node_import(struct neep_virtgpu_node *node, int fd, int *result);

/* The buffer ends. NULL is fine. */
void neep_node_import_destroy(struct neep_node_import *import);

/* ---- info.c ---- */

/* Asks the device what it can do. Returns 0 or a negative errno with `error` set. */
int neep_node_info_init(struct neep_virtgpu_node *node, struct neep_error *error);

static inline bool neep_node_has(const struct neep_virtgpu_node *node, enum neep_drm_param param) {
	return node->params[param] != 0;
}

#endif
