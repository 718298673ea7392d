#include "util/idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define INITIAL_BUCKETS 64

int neep_idmap_init(struct neep_idmap *map) {
	*map = (struct neep_idmap){ .bucket_count = INITIAL_BUCKETS };
	map->buckets = calloc(INITIAL_BUCKETS, sizeof(struct neep_idmap_link *));
	if (map->buckets == NULL) {
		return -ENOMEM;
	}
	/* Without entropy the table still works; only a flooding guest could then choose collisions. */
	if (getrandom(&map->secret, sizeof(map->secret), GRND_NONBLOCK) < 0) {
		map->secret = (uintptr_t)map->buckets;
	}
	return 0;
}

void neep_idmap_finish(struct neep_idmap *map) {
	free(map->dense);
	free(map->buckets);
	*map = (struct neep_idmap){ .buckets = NULL };
}

/* The finaliser of splitmix64 (public domain constants): every input bit reaches every bucket bit. */
static size_t bucket_of(const struct neep_idmap *map, uint64_t id) {
	uint64_t x = id ^ map->secret;
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)(x ^ (x >> 31)) & (map->bucket_count - 1);
}

struct neep_idmap_link *neep_idmap_find(const struct neep_idmap *map, uint64_t id) {
	if (id < map->dense_count) {
		return map->dense[id];
	}
	struct neep_idmap_link *link = map->buckets[bucket_of(map, id)];
	while (link != NULL && link->id != id) {
		link = link->next;
	}
	return link;
}

static void put(struct neep_idmap *map, struct neep_idmap_link *link) {
	struct neep_idmap_link **bucket = &map->buckets[bucket_of(map, link->id)];
	link->next = *bucket;
	*bucket = link;
}

static void grow(struct neep_idmap *map) {
	size_t old_count = map->bucket_count;
	struct neep_idmap_link **old = map->buckets;
	struct neep_idmap_link **bigger = calloc(old_count * 2, sizeof(struct neep_idmap_link *));
	if (bigger == NULL) {
		return;
	}
	map->buckets = bigger;
	map->bucket_count = old_count * 2;
	for (size_t i = 0; i < old_count; i++) {
		for (struct neep_idmap_link *link = old[i], *next; link != NULL; link = next) {
			next = link->next;
			put(map, link);
		}
	}
	free(old);
}

/* Ids that were too large for the array move into it. */
static void adopt_dense(struct neep_idmap *map, size_t old_count) {
	for (size_t id = old_count; id < map->dense_count; id++) {
		struct neep_idmap_link **at = &map->buckets[bucket_of(map, id)];
		while (*at != NULL && (*at)->id != id) {
			at = &(*at)->next;
		}
		map->dense[id] = *at;
		if (*at != NULL) {
			*at = (*at)->next;
			map->dense[id]->next = NULL;
		}
	}
}

/* The array grows with the number of objects, never with the value of an id. */
static void grow_dense(struct neep_idmap *map, uint64_t id) {
	size_t old_count = map->dense_count;
	size_t count = old_count == 0 ? INITIAL_BUCKETS : old_count * 2;
	if (id < old_count || id >= count || map->count < old_count / 2) {
		return;
	}
	struct neep_idmap_link **bigger = realloc(map->dense, count * sizeof(struct neep_idmap_link *));
	if (bigger == NULL) {
		return;
	}
	map->dense = bigger;
	map->dense_count = count;
	adopt_dense(map, old_count);
}

bool neep_idmap_insert(struct neep_idmap *map, uint64_t id, struct neep_idmap_link *link) {
	if (neep_idmap_find(map, id) != NULL) {
		return false;
	}
	grow_dense(map, id);
	link->id = id;
	link->next = NULL;
	map->count++;
	if (id < map->dense_count) {
		map->dense[id] = link;
		return true;
	}
	if (map->count > map->bucket_count) {
		grow(map);
	}
	put(map, link);
	return true;
}

void neep_idmap_remove(struct neep_idmap *map, struct neep_idmap_link *link) {
	map->count--;
	if (link->id < map->dense_count) {
		neep_assert(map->dense[link->id] == link);
		map->dense[link->id] = NULL;
		return;
	}
	struct neep_idmap_link **at = &map->buckets[bucket_of(map, link->id)];
	while (*at != link) {
		neep_assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = link->next;
}

struct neep_idmap_link *neep_idmap_take_all(struct neep_idmap *map) {
	struct neep_idmap_link *all = NULL;
	for (struct neep_idmap_link *link = neep_idmap_next(map, NULL), *next; link != NULL; link = next) {
		next = neep_idmap_next(map, link);
		link->next = all;
		all = link;
	}
	for (size_t id = 0; id < map->dense_count; id++) {
		map->dense[id] = NULL;
	}
	memset(map->buckets, 0, map->bucket_count * sizeof(map->buckets[0]));
	map->count = 0;
	return all;
}

static struct neep_idmap_link *first_in_buckets(const struct neep_idmap *map, size_t bucket) {
	for (; bucket < map->bucket_count; bucket++) {
		if (map->buckets[bucket] != NULL) {
			return map->buckets[bucket];
		}
	}
	return NULL;
}

struct neep_idmap_link *neep_idmap_next(const struct neep_idmap *map, const struct neep_idmap_link *prev) {
	if (prev != NULL && prev->id >= map->dense_count) {
		return prev->next != NULL ? prev->next : first_in_buckets(map, bucket_of(map, prev->id) + 1);
	}
	for (size_t id = prev == NULL ? 0 : prev->id + 1; id < map->dense_count; id++) {
		if (map->dense[id] != NULL) {
			return map->dense[id];
		}
	}
	return first_in_buckets(map, 0);
}
