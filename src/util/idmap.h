/* A table from 64-bit ids to objects, with the links inside the objects: one O(1) look-up per id.
 *
 * Drivers hand out small ids without gaps, so ids up to what a table has held find their object in an array. Others are
 * hashed: they are chosen by a guest, so they are mixed with a per-table secret before they pick a bucket. */
#ifndef NEEP_UTIL_IDMAP_H
#define NEEP_UTIL_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

struct neep_idmap_link {
	uint64_t id;
	struct neep_idmap_link *next;
};

struct neep_idmap {
	struct neep_idmap_link **dense; // by id; NULL: no such object
	size_t dense_count;
	struct neep_idmap_link **buckets; // of the ids that `dense` has no place for
	size_t bucket_count;              // power of two
	size_t count;                     // of both
	uint64_t secret;
};

/* Returns 0 or -ENOMEM. */
int neep_idmap_init(struct neep_idmap *map);

/* Frees the table; the objects are the caller's, and must have been removed or be about to be freed. */
void neep_idmap_finish(struct neep_idmap *map);

/* The link of `id`, or NULL. */
struct neep_idmap_link *neep_idmap_find(const struct neep_idmap *map, uint64_t id);

/* Adds `link` under `id`. Returns false, and adds nothing, when the id is in use. Never fails for want of
 * memory: a table that cannot grow gets slower instead. */
bool neep_idmap_insert(struct neep_idmap *map, uint64_t id, struct neep_idmap_link *link);

/* Takes `link`, which is in the table, out of it. */
void neep_idmap_remove(struct neep_idmap *map, struct neep_idmap_link *link);

/* Empties the table and returns its links chained through .next, for the caller to dispose of. O(buckets). */
struct neep_idmap_link *neep_idmap_take_all(struct neep_idmap *map);

/* The link behind `prev` in table order (NULL: the first), or NULL at the end. The table must not change
 * between the calls. */
struct neep_idmap_link *neep_idmap_next(const struct neep_idmap *map, const struct neep_idmap_link *prev);

#define neep_idmap_for_each(link, map)                                                  \
	for (struct neep_idmap_link *link = neep_idmap_next((map), NULL); link != NULL; \
		link = neep_idmap_next((map), link))

#endif
