/* What the device process, the renderer spawner and the renderers say to each other.
 *
 * Two kinds of AF_UNIX SEQPACKET sockets, one message a datagram, each a fixed struct in host byte order with the fds its
 * comment names:
 *
 *	spawner socket   device process <-> `neep-renderer`, which forks a renderer per context
 *	context socket   device process <-> one renderer; its end is the end of the context
 *
 * Messages of one socket are handled in order. Nobody waits for an answer: the device process goes on and is told. A
 * renderer is not trusted: the device process checks every size, fd and id, and drops a renderer that breaks the rules. The
 * device process is trusted by spawner and renderers. */
#ifndef NEEP_WORKER_PROTOCOL_H
#define NEEP_WORKER_PROTOCOL_H

#include <stdint.h>

#define NEEP_WORKER_NAME_SIZE   64
#define NEEP_WORKER_REASON_SIZE 256

/* What a program whose renderer is gone reads from its rings: VK_ERROR_DEVICE_LOST. */
#define NEEP_WORKER_DEVICE_LOST (-4)

/* The spawner finds its socket here. */
#define NEEP_WORKER_SPAWNER_FD 3

enum neep_worker_message_type {
	/* device process -> spawner */
	NEEP_WORKER_SPAWN = 1, // struct neep_worker_spawn, 1 fd: the renderer's end of a context socket
	NEEP_WORKER_KILL,      // struct neep_worker_kill

	/* spawner -> device process */
	NEEP_WORKER_EXITED = 16, // struct neep_worker_exited, once per SPAWN

	/* device process -> renderer */
	NEEP_WORKER_RING_ADD = 32,   // struct neep_worker_ring_add, fd: ring memory
	NEEP_WORKER_RING_REMOVE,     // struct neep_worker_resource_id
	NEEP_WORKER_RESOURCE_ADD,    // struct neep_worker_resource_add, 1 fd: the memory
	NEEP_WORKER_RESOURCE_REMOVE, // struct neep_worker_resource_id
	NEEP_WORKER_SYNC,            // struct neep_worker_sync

	/* renderer -> device process */
	NEEP_WORKER_BLOB = 48, // struct neep_worker_blob, 1 fd: sealed memory of at least `size` bytes
	NEEP_WORKER_SYNC_DONE, // struct neep_worker_sync_done
	NEEP_WORKER_LOST,      // struct neep_worker_lost: the last message of a renderer that gives up
};

/* Every message starts with this. */
struct neep_worker_header {
	uint32_t type; // enum neep_worker_message_type
	uint32_t size; // bytes of the whole struct, to be checked against the datagram
};

/* Starts a renderer. `token` names it in KILL and EXITED; the device process never uses one twice. */
struct neep_worker_spawn {
	struct neep_worker_header header;
	uint64_t token;
	uint32_t ctx_id;  // for messages to people
	uint32_t is_lost; // 1: of a context whose renderer died: drives no GPU, answers that all is lost
	char name[NEEP_WORKER_NAME_SIZE]; // printable, NUL-terminated: what the guest calls the context
};

/* Kills a renderer that does not end by itself after its context socket was closed. Unknown tokens are fine. */
struct neep_worker_kill {
	struct neep_worker_header header;
	uint64_t token;
};

/* The renderer is gone, or could not be started. */
struct neep_worker_exited {
	struct neep_worker_header header;
	uint64_t token;
	int32_t error;       // 0, or the positive errno why it was not started
	int32_t wait_status; // of waitpid()
};

/* Serve the ring in this memory. It is configured (asg/ring.h, neep_asg_prepare()). */
struct neep_worker_ring_add {
	struct neep_worker_header header;
	uint32_t resource_id;
	uint32_t padding;
	uint64_t size; // bytes
};

/* RING_REMOVE: stop serving; RESOURCE_REMOVE: forget. What is unknown is ignored. */
struct neep_worker_resource_id {
	struct neep_worker_header header;
	uint32_t resource_id;
	uint32_t padding;
};

/* Memory of a resource that this context may name in its Vulkan stream: made by another context, or an exportable image
 * or buffer of its own. */
struct neep_worker_resource_add {
	struct neep_worker_header header;
	uint32_t resource_id;
	uint32_t padding;
	uint64_t size; // bytes
};

/* Say SYNC_DONE when the fence is signalled; at once for anything that is not a fence of that device. */
struct neep_worker_sync {
	struct neep_worker_header header;
	uint64_t sync_id;
	uint64_t device; // as the guest names it
	uint64_t fence;
};

/* Memory that the guest will ask for as a blob, sent before the reply that makes it ask. */
struct neep_worker_blob {
	struct neep_worker_header header;
	uint64_t blob_id;
	uint64_t size;     // bytes
	uint32_t map_info; // RUTABAGA_MAP_CACHE_*
	uint32_t padding;
};

struct neep_worker_sync_done {
	struct neep_worker_header header;
	uint64_t sync_id;
};

/* Why the context is lost, for people. */
struct neep_worker_lost {
	struct neep_worker_header header;
	char reason[NEEP_WORKER_REASON_SIZE]; // printable, NUL-terminated
};

#endif
