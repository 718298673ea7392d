#include "util/idmap.h"

#include <errno.h>
#include <stdlib.h>
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

bool neep_idmap_insert(struct neep_idmap *map, uint64_t id, struct neep_idmap_link *link) {
	if (neep_idmap_find(map, id) != NULL) {
		return false;
	}
	if (map->count >= map->bucket_count) {
		grow(map);
	}
	link->id = id;
	put(map, link);
	map->count++;
	return true;
}

void neep_idmap_remove(struct neep_idmap *map, struct neep_idmap_link *link) {
	struct neep_idmap_link **at = &map->buckets[bucket_of(map, link->id)];
	while (*at != link) {
		neep_assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = link->next;
	map->count--;
}

struct neep_idmap_link *neep_idmap_take_all(struct neep_idmap *map) {
	struct neep_idmap_link *all = NULL;
	for (size_t i = 0; i < map->bucket_count; i++) {
		for (struct neep_idmap_link *link = map->buckets[i], *next; link != NULL; link = next) {
			next = link->next;
			link->next = all;
			all = link;
		}
		map->buckets[i] = NULL;
	}
	map->count = 0;
	return all;
}

struct neep_idmap_link *neep_idmap_next(const struct neep_idmap *map, const struct neep_idmap_link *prev) {
	if (prev != NULL && prev->next != NULL) {
		return prev->next;
	}
	size_t bucket = prev == NULL ? 0 : bucket_of(map, prev->id) + 1;
	for (; bucket < map->bucket_count; bucket++) {
		if (map->buckets[bucket] != NULL) {
			return map->buckets[bucket];
		}
	}
	return NULL;
}
