/* What the preload library and the node say to each other.
 *
 * A program's process has one connection, a SEQPACKET socket to the abstract name in NEEP_VIRTGPU_SOCKET: one message
 * per ioctl, one answer. A render fd, a fence fd and a syncobj fd are sockets too, but only tokens: no program sends
 * through them. Their far end is bound to the name of the node, a letter for the kind and an id: getpeername() tells
 * whoever holds a token, however it came to him, what it is. That is why the library keeps no table, and why dup, fork,
 * exec and the passing of fds need no care.
 *
 * What the node sends: a fence says one message when it signals, then ends. A render fd has a message for each event, so
 * that poll() and read() on it are the kernel's own, with these differences to a kernel: one read() brings one event, and
 * an end of file (and POLLRDHUP) says that the node or its device is gone.
 *
 * A call is struct neep_virtgpu_call, then the ioctl's struct, then the arrays that the struct points to, in the order
 * of the struct. fds ride along. A call too large for a message has all that in a memfd, which is its last fd. */
#ifndef NEEP_VIRTGPU_PROTOCOL_H
#define NEEP_VIRTGPU_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgpu/uapi.h"

#define NEEP_VIRTGPU_ENV_SOCKET "NEEP_VIRTGPU_SOCKET"
#define NEEP_VIRTGPU_ENV_TREE   "NEEP_VIRTGPU_TREE"

/* As on every Linux machine with one render node. */
#define NEEP_VIRTGPU_MAJOR     226
#define NEEP_VIRTGPU_MINOR     128
#define NEEP_VIRTGPU_NODE_NAME "renderD128"

/* ---- tokens ---- */

enum neep_virtgpu_token_kind {
	NEEP_VIRTGPU_TOKEN_FILE = 'd',
	NEEP_VIRTGPU_TOKEN_FENCE = 'f',
	NEEP_VIRTGPU_TOKEN_SYNCOBJ = 's',
};

/* "neep-virtgpu-" and 16 hexadecimal digits; a token's name goes on with its kind and 16 digits of id. */
#define NEEP_VIRTGPU_NAME_PREFIX "neep-virtgpu-"
#define NEEP_VIRTGPU_NAME_LEN    (sizeof(NEEP_VIRTGPU_NAME_PREFIX) - 1 + 16)
#define NEEP_VIRTGPU_TOKEN_LEN   (NEEP_VIRTGPU_NAME_LEN + 1 + 16)

/* A file has no more events than this, those that nobody has read and those to come: the 4096 bytes of Linux. A submit
 * that would need another one is -ENOMEM. */
#define NEEP_VIRTGPU_EVENTS_MAX 512

/* ---- calls ---- */

/* A message is never larger; more goes through a memfd of up to NEEP_VIRTGPU_BULK_MAX bytes. */
#define NEEP_VIRTGPU_MESSAGE_MAX 65536
#define NEEP_VIRTGPU_BULK_MAX    (UINT64_C(128) << 20)
/* No ioctl here has a longer struct. */
#define NEEP_VIRTGPU_STRUCT_MAX 128

enum neep_virtgpu_op {
	NEEP_VIRTGPU_OP_INFO =
		1,             // answer: fd of struct neep_virtgpu_info; the call carries the program's name
	NEEP_VIRTGPU_OP_OPEN,  // answer: fd, a token of a new file
	NEEP_VIRTGPU_OP_IOCTL, // answer: the struct; some have an fd
	NEEP_VIRTGPU_OP_MMAP,  // struct neep_virtgpu_mmap both ways; answer: fd
	NEEP_VIRTGPU_OP_QUERY, // struct neep_virtgpu_query both ways
	NEEP_VIRTGPU_OP_MERGE, // two fence tokens ride along; answer: fd, a token of a new fence
	NEEP_VIRTGPU_OP_DONE,  // answer: fd, a token of a new fence that has signalled
};

#define NEEP_VIRTGPU_CALL_SILENT UINT32_C(1) // no answer
#define NEEP_VIRTGPU_CALL_BULK   UINT32_C(2) // all that follows is in the memfd that rides last

struct neep_virtgpu_call {
	uint32_t op;
	uint32_t flags;
	uint32_t sequence; // comes back in the answer
	uint32_t nr;       // of the ioctl
	uint32_t size;     // bytes of the struct, of the caller's own version of it
	uint32_t pad;
	uint64_t file_id;
};

#define NEEP_VIRTGPU_ANSWER_WAIT UINT32_C(1) // the fd is a fence token: the call is done when it signals

struct neep_virtgpu_answer {
	uint32_t sequence;
	int32_t result; // 0 or a negative errno
	uint32_t flags;
	uint32_t size; // bytes of the struct that follow
};

struct neep_virtgpu_mmap {
	uint64_t offset; // what MAP said
	uint64_t len;
	uint64_t fd_offset; // out: where it lies in the answer's fd
};

/* SYNCOBJ_QUERY in parts: its answer is an array. */
#define NEEP_VIRTGPU_QUERY_MAX 8

struct neep_virtgpu_query {
	uint32_t count;
	uint32_t flags;
	uint32_t handles[NEEP_VIRTGPU_QUERY_MAX];
	uint64_t points[NEEP_VIRTGPU_QUERY_MAX]; // out
};

/* CONTEXT_INIT has this behind its parameters, in place of what DEBUG_NAME points to. */
struct neep_virtgpu_debug_name {
	char text[NEEP_DRM_DEBUG_NAME_SIZE]; // ends with NUL
};

/* Offsets of MAP, which the library makes up itself: handle n of a file has [BASE + n * STEP, BASE + (n + 1) * STEP). No file
 * is as large as BASE. A handle that is none is found at mmap(). */
#define NEEP_VIRTGPU_MAP_BASE (UINT64_C(1) << 60)
#define NEEP_VIRTGPU_MAP_STEP (UINT64_C(1) << 36)

/* A program has this many handles of a file at most. */
#define NEEP_VIRTGPU_HANDLE_MAX (UINT32_C(1) << 20)

/* ---- what does not change, in one sealed memfd that every process maps ---- */

#define NEEP_VIRTGPU_CAPSETS_MAX 64

struct neep_virtgpu_info_capset {
	uint32_t id;
	uint32_t max_version;
	uint32_t size;   // bytes of each version
	uint32_t offset; // of version 0 in the memfd; the others follow
};

struct neep_virtgpu_info {
	uint64_t size; // bytes of the memfd
	uint64_t params[NEEP_DRM_PARAM_COUNT];
	uint32_t capset_count;
	uint32_t pad;
	struct neep_virtgpu_info_capset capsets[NEEP_VIRTGPU_CAPSETS_MAX];
};

/* ---- fences ---- */

/* The one message of a fence token. */
struct neep_virtgpu_signal {
	uint32_t index; // of the first of several that were waited for
};

#endif
