/* The device process's end of neep-renderer, whose Vulkan is the stand-in of echo_vulkan.c. All calls assert that they work. */
#ifndef NEEP_TESTS_RENDERER_HARNESS_H
#define NEEP_TESTS_RENDERER_HARNESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "asg/guest.h"
#include "renderer/echo.h"
#include "util/fd.h"
#include "worker/protocol.h"

/* The run-time of a sanitizer needs more memory, and more system calls, than what is tested. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* A guest that is told nothing is given up. A second of CPU time takes a while on a machine with ten others at work. */
#define HARNESS_WAIT_MS 60000

struct harness {
	int socket;
	pid_t pid;
	uint64_t next_token;
};

/* Starts the spawner; `argument` may be NULL. */
void harness_start(struct harness *harness, const char *argument);
/* The same, where clone() makes no namespaces. */
void harness_start_without_namespaces(struct harness *harness);
/* Closes its socket, and waits for its end, which must be in order. */
void harness_finish(struct harness *harness);

struct harness_context {
	struct harness *harness;
	uint64_t token;
	int socket;
};

void harness_context_start(struct harness *harness, struct harness_context *context);
/* Its renderer has died: this one answers that all is lost. */
void harness_successor_start(struct harness *harness, struct harness_context *context);
/* Closes the socket. */
void harness_context_close(struct harness_context *context);
/* Waits for the spawner's word that this one ended. */
struct neep_worker_exited harness_context_wait(struct harness_context *context);

/* Has a new ring served. */
struct asg_guest *harness_ring_add(struct harness_context *context, uint32_t resource_id);
/* Has that ring served. */
void harness_ring_give(struct harness_context *context, uint32_t resource_id, const struct asg_guest *guest);
void harness_ring_remove(struct harness_context *context, uint32_t resource_id);
void harness_sync(struct harness_context *context, uint64_t sync_id, uint64_t fence);
void harness_send(int socket, const void *message, size_t size, const int *fds, size_t fd_count);

/* Receives a message of at most `size` bytes. Returns its size; 0 at the end of the socket. */
size_t harness_receive(int socket, void *message, size_t size, struct neep_fds *fds);
/* Whether nothing comes for a while. */
bool harness_is_silent(int socket);

/* A request that gets no reply. */
void harness_tell(struct asg_guest *guest, enum echo_op op, uint32_t argument);
/* A request on a ring. False when the ring is in error. */
bool harness_request(struct asg_guest *guest, enum echo_op op, uint32_t argument, uint32_t *reply);
/* The reply, which must come. */
uint32_t harness_ask(struct asg_guest *guest, enum echo_op op, uint32_t argument);

/* The pid, in our eyes, of the only process whose parent is `pid`; -1 for none. */
pid_t harness_child_of(pid_t pid);
/* CPU time, in clock ticks; resident memory, in KiB. */
uint64_t harness_cpu_ticks(pid_t pid);
uint64_t harness_resident_kib(pid_t pid);

#endif
