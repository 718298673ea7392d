/* Structs by 64-bit key, for any thread. The map owns nothing. */
#ifndef NEEP_LAYER_MAP_H
#define NEEP_LAYER_MAP_H

#include <pthread.h>
#include <stdint.h>

#define NEEP_LAYER_BUCKETS 256

/* Embedded in what is found. */
struct neep_layer_entry {
	uint64_t key;
	struct neep_layer_entry *next; // guarded by the map's lock
};

struct neep_layer_map {
	pthread_rwlock_t lock;
	struct neep_layer_entry *buckets[NEEP_LAYER_BUCKETS]; // guarded by lock
};

#define NEEP_LAYER_MAP_INIT \
	{ .lock = PTHREAD_RWLOCK_INITIALIZER }

/* For maps that are no static variables. What is left in the map is the caller's. */
void neep_layer_map_init(struct neep_layer_map *map);
void neep_layer_map_finish(struct neep_layer_map *map);

/* The key is in no other entry of the map. */
void neep_layer_map_add(struct neep_layer_map *map, struct neep_layer_entry *entry);

/* NULL: there is none. */
struct neep_layer_entry *neep_layer_map_find(struct neep_layer_map *map, uint64_t key);

/* Takes it out; NULL: there is none. */
struct neep_layer_entry *neep_layer_map_take(struct neep_layer_map *map, uint64_t key);

/* Takes any out; NULL: the map is empty. */
struct neep_layer_entry *neep_layer_map_take_any(struct neep_layer_map *map);

#endif
