/* The DRM render node without a kernel: the half that plays the kernel.
 *
 * A node serves the programs that have libneep-virtgpu.so preloaded: it turns their ioctls into virtio-gpu commands for
 * the device behind `driver`, with the meaning that Linux's virtio-gpu driver gives them. An open file of a program is one
 * context of the device, its handles are the file's own, resources are the node's; whatever a file had goes when its last
 * fd is closed, however its programs ended.
 *
 * One thread, that of the loop, which is also the only one that uses the driver. A call waits for the device only where
 * its result depends on the device (resources, maps): the device answers those at once. Fences are never waited for here:
 * who waits polls a token (protocol.h).
 *
 * Programs are not trusted beyond what the kernel lets them do, but they share one user: other users' connections are
 * closed. */
#ifndef NEEP_VIRTGPU_NODE_H
#define NEEP_VIRTGPU_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "driver/driver.h"
#include "util/error.h"
#include "util/loop.h"

struct neep_virtgpu_node;

/* The driver that a node wants: see node.c. */
struct neep_driver_options neep_virtgpu_driver_options(void);

/* `loop` and `driver`, which is started and has no service thread, are borrowed and outlive the node. NULL with `error`
 * set. */
struct neep_virtgpu_node *neep_virtgpu_node_create(
	struct neep_loop *loop, struct neep_driver *driver, struct neep_error *error);

/* Ends every file and connection. NULL is fine. */
void neep_virtgpu_node_destroy(struct neep_virtgpu_node *node);

/* What programs need in NEEP_VIRTGPU_SOCKET. Borrowed. */
const char *neep_virtgpu_node_name(const struct neep_virtgpu_node *node);

/* What is alive now. */
struct neep_virtgpu_counts {
	size_t connections;
	size_t files;
	size_t contexts;
	size_t bos;
	size_t fences;  // that have not signalled
	size_t exports; // dma-bufs that somebody holds
	size_t imports; // buffers that are files of programs
};
struct neep_virtgpu_counts neep_virtgpu_node_counts(const struct neep_virtgpu_node *node);

#endif
