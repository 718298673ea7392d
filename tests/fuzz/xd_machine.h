/* A library with the cross-domain component, a guest with one connection, and the compositor at its other end. What is made is
 * counted and checked at the end: every fence is told once, no fd is left behind. */
#ifndef NEEP_TESTS_FUZZ_XD_MACHINE_H
#define NEEP_TESTS_FUZZ_XD_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "rutabaga/api.h"

#define XD_CTX          1
#define XD_QUERY_RING   1
#define XD_CHANNEL_RING 2
#define XD_PAGE         4096

struct xd_machine {
	struct rutabaga *rutabaga;
	int host; // the compositor's end; -1: none, or closed
	uint64_t fences_made;
	uint64_t fences_told;
	uint32_t next_resource;
	int lowest_fd;
	uint8_t rings[2][XD_PAGE];
};

/* A context with its rings; connected when asked for. */
void xd_machine_init(struct xd_machine *machine, int is_connected);
void xd_machine_finish(struct xd_machine *machine);

/* One command stream, from a heap block of its own. */
void xd_submit(struct xd_machine *machine, const void *bytes, size_t size);
void xd_fence(struct xd_machine *machine, uint32_t ring_idx);
void xd_poll(struct xd_machine *machine);
/* A host blob, attached; forgotten again when there are many. */
void xd_blob(struct xd_machine *machine, uint64_t blob_id, uint64_t size);
/* The compositor sends. `kinds` are kinds of fds, any number. */
void xd_host_send(
	struct xd_machine *machine, const void *bytes, size_t size, const uint8_t *kinds, size_t count);
/* And reads a bit of what there is. */
void xd_host_read(struct xd_machine *machine, size_t most);

#endif
