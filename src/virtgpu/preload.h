/* libneep-virtgpu.so: the render node for the programs under `neep run`.
 *
 * It stands between a program and the C library where a path, an ioctl or a mapping may concern the node, and passes on
 * everything else. It keeps no state about fds (see protocol.h). What it does keep: the environment's words, the
 * connection of this process, and the info memfd. It runs before main(), in signal handlers and in children of fork():
 * it allocates nothing, takes one lock with all signals blocked, and a child begins with a connection of its own.
 * Trusts the node. Room-internal; nothing but the names of the C library is exported. */
#ifndef NEEP_VIRTGPU_PRELOAD_H
#define NEEP_VIRTGPU_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "virtgpu/protocol.h"

#define PRELOAD_EXPORT __attribute__((visibility("default")))

/* ---- preload_call.c: the way to the node ---- */

/* Whether there is a node at all: the environment names one. */
bool neep_preload_is_active(void);

/* Whether `fd` is a token of this node; its kind and id. Keeps errno. */
struct neep_preload_token {
	enum neep_virtgpu_token_kind kind;
	uint64_t id;
};
bool neep_preload_token(int fd, struct neep_preload_token *token);

struct neep_preload_exchange {
	struct neep_virtgpu_call call;
	struct iovec *iov; // iov[0] is left free for `call`
	size_t iov_count;  // with iov[0]
	const int *fds;    // borrowed, at most 2
	size_t fd_count;
	bool wants_cloexec; // of the fd that comes back
	struct neep_virtgpu_answer answer;
	uint8_t body[NEEP_VIRTGPU_STRUCT_MAX]; // answer.size bytes of it
	int fd;                                // came back, the caller's; -1: none
};

/* Sends, and waits for the answer unless the call is silent. Returns answer.result, or -ENODEV when there is no node. */
int neep_preload_exchange(struct neep_preload_exchange *exchange);

/* The node's info, mapped once; NULL when there is no node. */
const struct neep_virtgpu_info *neep_preload_info(void);

/* A new file of the node, or a negative errno. */
int neep_preload_open_node(bool cloexec);

/* Whether the node is known to have ended, and with it the device; a look finds it out, and changes errno. */
bool neep_preload_node_is_gone(void);
void neep_preload_look_for_node(void);

/* ---- preload_fence.c ---- */

/* Waits for a fence token up to `timeout_ns` (negative: for ever). Returns what its signal says, or -ETIME. A fence whose
 * node died counts as signalled. */
int64_t neep_preload_fence_wait(int fd, int64_t timeout_ns);

/* A token of a fence that has signalled, or a negative errno. */
int neep_preload_fence_done(void);

/* Answers ioctls of sync files. Returns 0 or a negative errno. */
int neep_preload_sync_ioctl(int fd, unsigned long request, void *arg);

/* ---- preload_drm.c ---- */

/* Answers an ioctl on a file of the node. Returns 0 or a negative errno. */
int neep_preload_drm_ioctl(uint64_t file_id, unsigned long request, void *arg);

/* ---- preload_ring.c: how a thread of Mesa's gfxstream driver waits, and wakes its ring's consumer ---- */

/* The calling thread has submitted these `len` bytes: is it about to map a ring? */
void neep_preload_ring_submitted(const void *commands, uint32_t len);

/* The calling thread is about to submit these `len` bytes, and nobody can wait for it: whether they were a wake-up of its own
 * ring, and it has been done. */
bool neep_preload_ring_wake(const void *commands, uint32_t len);

/* The calling thread has mapped `len` bytes from `offset` of `fd`. */
void neep_preload_ring_mapped(int fd, uint64_t offset, size_t len);

/* ---- preload_path.c ---- */

/* What fstat() says of a file of the node. */
void neep_preload_describe_node(struct stat *st);

#endif
