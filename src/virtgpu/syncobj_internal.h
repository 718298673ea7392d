/* Syncobjs, shared by syncobj.c (what they hold), syncobj_wait.c (who waits) and syncobj_eventfd.c (who is told). Room-internal. */
#ifndef NEEP_VIRTGPU_SYNCOBJ_INTERNAL_H
#define NEEP_VIRTGPU_SYNCOBJ_INTERNAL_H

#include "virtgpu/node_internal.h"

struct neep_node_syncobj {
	uint32_t refs; // handles, tokens, waits
	struct neep_virtgpu_node *node;
	struct neep_list points;   // syncobj_point.link, ascending; of a binary one: at most one, of point 0
	uint64_t done_point;       // of a timeline: the last that has signalled
	struct neep_list watchers; // of syncobj_wait.c: those who wait for a fence to be put here
	struct neep_list eventfds; // of syncobj_eventfd.c: the same
};

void neep_node_syncobj_unref(struct neep_node_syncobj *syncobj);

/* Borrowed; NULL when there is none. */
struct neep_node_syncobj *neep_node_syncobj_find(struct neep_node_file *file, uint32_t number);

/* The fence of a point (0: of all there is): a new reference; NULL when nobody has put one there. */
struct neep_node_fence *neep_node_syncobj_fence(struct neep_node_syncobj *syncobj, uint64_t point);

/* A fence was put here: who waits for one looks again. */
void neep_node_syncobj_changed(struct neep_node_syncobj *syncobj);

/* The same for eventfds. */
void neep_node_syncobj_tell_eventfds(struct neep_node_syncobj *syncobj);

/* Nobody will put one here any more. */
void neep_node_syncobj_drop_eventfds(struct neep_node_syncobj *syncobj);

#endif
