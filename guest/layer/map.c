#include "layer/map.h"

#include <stddef.h>

void neep_layer_map_init(struct neep_layer_map *map) {
	*map = (struct neep_layer_map)NEEP_LAYER_MAP_INIT;
}

void neep_layer_map_finish(struct neep_layer_map *map) {
	pthread_rwlock_destroy(&map->lock);
}

// Keys are addresses: the low bits are alike, the next ones differ.
static struct neep_layer_entry **bucket_of(struct neep_layer_map *map, uint64_t key) {
	return &map->buckets[((key >> 4) ^ (key >> 12)) % NEEP_LAYER_BUCKETS];
}

void neep_layer_map_add(struct neep_layer_map *map, struct neep_layer_entry *entry) {
	pthread_rwlock_wrlock(&map->lock);
	struct neep_layer_entry **bucket = bucket_of(map, entry->key);
	entry->next = *bucket;
	*bucket = entry;
	pthread_rwlock_unlock(&map->lock);
}

struct neep_layer_entry *neep_layer_map_find(struct neep_layer_map *map, uint64_t key) {
	pthread_rwlock_rdlock(&map->lock);
	struct neep_layer_entry *entry = *bucket_of(map, key);
	while (entry != NULL && entry->key != key) {
		entry = entry->next;
	}
	pthread_rwlock_unlock(&map->lock);
	return entry;
}

// Caller holds the lock.
static struct neep_layer_entry *unlink_at(struct neep_layer_entry **place) {
	struct neep_layer_entry *entry = *place;
	if (entry != NULL) {
		*place = entry->next;
	}
	return entry;
}

struct neep_layer_entry *neep_layer_map_take(struct neep_layer_map *map, uint64_t key) {
	pthread_rwlock_wrlock(&map->lock);
	struct neep_layer_entry **place = bucket_of(map, key);
	while (*place != NULL && (*place)->key != key) {
		place = &(*place)->next;
	}
	struct neep_layer_entry *entry = unlink_at(place);
	pthread_rwlock_unlock(&map->lock);
	return entry;
}

struct neep_layer_entry *neep_layer_map_take_any(struct neep_layer_map *map) {
	struct neep_layer_entry *entry = NULL;
	pthread_rwlock_wrlock(&map->lock);
	for (size_t i = 0; i < NEEP_LAYER_BUCKETS && entry == NULL; i++) {
		entry = unlink_at(&map->buckets[i]);
	}
	pthread_rwlock_unlock(&map->lock);
	return entry;
}
