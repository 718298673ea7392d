/* Theory of operation. An id is TAG | INDEX: the index picks a slot, the tag is random and another one each time the slot is
 * used. A slot holds a pointer to the object, or, tagged by its lowest bit, the next free slot; so a look-up is one load of the slot
 * and one comparison with object->id, which never changes while anybody may look at it.
 *
 * Look-ups take no lock. What keeps the memory under them is either the turn (only its holder destroys) or an epoch: those
 * without the turn count themselves into the current epoch, and what is destroyed waits in the epoch's limbo. An epoch ends
 * when nobody is left in the one before it; then nobody can see what was put into that one's limbo. */
#include "vulkan/object.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#define RANDOM_TAGS 64

struct neep_vk_table {
	struct neep_vk_slots slots; // first; written under lock; untouched pages cost nothing
	pthread_mutex_t lock;
	uint32_t used;                     // slots that have ever held an object; guarded by lock
	uint32_t free;                     // 1 + the first free slot below `used`, 0: none; guarded by lock
	uint32_t count;                    // guarded by lock
	struct neep_list roots;            // neep_vk_object.siblings; guarded by lock
	uint64_t random_tags[RANDOM_TAGS]; // guarded by lock
	uint32_t random_left;              // guarded by lock
	uint32_t epoch;                    // guarded by lock
	uint32_t inside[2];                // by the epoch's lowest bit; guarded by lock
	struct neep_list limbo[2];         // neep_vk_object.siblings; guarded by lock
	uint32_t dropping; // lists that are out of limbo, but not yet released; guarded by lock
	pthread_cond_t dropped;
};

static uintptr_t free_slot(uint32_t next) {
	return (uintptr_t)next << 1 | 1;
}

static size_t slots_size(const struct neep_vk_table *table) {
	return table->slots.count * sizeof(table->slots.at[0]);
}

struct neep_vk_table *neep_vk_table_create(uint32_t max_objects) {
	struct neep_vk_table *table = calloc(1, sizeof(*table));
	if (table == NULL) {
		return NULL;
	}
	struct neep_vk_slots *slots = &table->slots;
	slots->count = max_objects <= NEEP_VK_INDEX_MASK ? max_objects : (uint32_t)NEEP_VK_INDEX_MASK + 1;
	slots->at = mmap(NULL, slots_size(table), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slots->at == MAP_FAILED) {
		free(table);
		return NULL;
	}
	pthread_mutex_init(&table->lock, NULL);
	pthread_cond_init(&table->dropped, NULL);
	neep_list_init(&table->roots);
	neep_list_init(&table->limbo[0]);
	neep_list_init(&table->limbo[1]);
	return table;
}

void neep_vk_table_destroy(struct neep_vk_table *table) {
	if (table == NULL) {
		return;
	}
	while (!neep_list_is_empty(&table->roots)) {
		neep_vk_object_destroy(
			table, neep_container_of(table->roots.prev, struct neep_vk_object, siblings));
	}
	pthread_cond_destroy(&table->dropped);
	pthread_mutex_destroy(&table->lock);
	munmap(table->slots.at, slots_size(table));
	free(table);
}

static bool next_tag_locked(struct neep_vk_table *table, uint64_t *tag) {
	do {
		if (table->random_left == 0) {
			if (getrandom(table->random_tags, sizeof(table->random_tags), 0) !=
				(ssize_t)sizeof(table->random_tags)) {
				return false;
			}
			table->random_left = RANDOM_TAGS;
		}
		*tag = table->random_tags[--table->random_left] & ~NEEP_VK_INDEX_MASK;
	} while (*tag == 0);
	return true;
}

static bool is_entered_locked(const struct neep_vk_table *table, const struct neep_vk_object *object) {
	uint64_t index = object->id & NEEP_VK_INDEX_MASK;
	return object->id != 0 && index < table->slots.count &&
	       atomic_load_explicit(&table->slots.at[index], memory_order_relaxed) == (uintptr_t)object;
}

static uint32_t take_slot_locked(struct neep_vk_table *table) {
	if (table->free == 0) {
		return table->used++;
	}
	uint32_t index = table->free - 1;
	table->free = (uint32_t)(atomic_load_explicit(&table->slots.at[index], memory_order_relaxed) >> 1);
	return index;
}

static int add_locked(struct neep_vk_table *table, struct neep_vk_object *object) {
	if (table->count == table->slots.count) {
		return -ENOMEM;
	}
	if (object->parent != NULL && !is_entered_locked(table, object->parent)) {
		return -ENOENT;
	}
	uint64_t tag;
	if (!next_tag_locked(table, &tag)) {
		return -EIO;
	}
	uint32_t index = take_slot_locked(table);
	object->id = tag | index;
	if (object->parent != NULL) {
		neep_vk_object_ref(object->parent);
	}
	neep_list_append(
		object->parent != NULL ? &object->parent->children : &table->roots, &object->siblings);
	table->count++;
	atomic_store_explicit(&table->slots.at[index], (uintptr_t)object, memory_order_release);
	return 0;
}

static void fill(struct neep_vk_object *object, const struct neep_vk_object_params *params) {
	object->id = 0;
	object->handle = params->handle;
	object->type = params->type;
	atomic_init(&object->refs, 1);
	object->parent = params->parent;
	object->device = params->parent != NULL ? params->parent->device : NULL;
	if (params->type == NEEP_VK_DEVICE) {
		object->device = (struct neep_vk_device *)object; // of which it is the first member
	}
	neep_list_init(&object->children);
	neep_list_init(&object->siblings);
	object->release = params->release;
}

int neep_vk_object_add(struct neep_vk_table *table, struct neep_vk_object *object,
	const struct neep_vk_object_params *params) {
	fill(object, params);
	pthread_mutex_lock(&table->lock);
	int ret = add_locked(table, object);
	pthread_mutex_unlock(&table->lock);
	return ret;
}

struct neep_vk_object *neep_vk_object_create(
	struct neep_vk_table *table, const struct neep_vk_object_params *params) {
	struct neep_vk_object *object = calloc(1, sizeof(*object));
	if (object != NULL && neep_vk_object_add(table, object, params) == 0) {
		return object;
	}
	free(object);
	if (params->release != NULL) {
		struct neep_vk_object unborn = { 0 };
		fill(&unborn, params);
		params->release(&unborn);
	}
	return NULL;
}

static struct neep_vk_object *in_slot(struct neep_vk_table *table, uint64_t index) {
	uintptr_t slot = atomic_load_explicit(&table->slots.at[index], memory_order_acquire);
	return (slot & 1) != 0 ? NULL : (struct neep_vk_object *)slot;
}

struct neep_vk_object *neep_vk_object_get(struct neep_vk_table *table, uint64_t id, enum neep_vk_type type) {
	pthread_mutex_lock(&table->lock);
	struct neep_vk_object *object = neep_vk_object_find(table, id, type);
	if (object != NULL) {
		neep_vk_object_ref(object);
	}
	pthread_mutex_unlock(&table->lock);
	return object;
}

struct neep_vk_object *neep_vk_object_ref(struct neep_vk_object *object) {
	atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
	return object;
}

void neep_vk_object_unref(struct neep_vk_object *object) {
	while (object != NULL && atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) == 1) {
		struct neep_vk_object *parent = object->parent;
		if (object->release != NULL) {
			object->release(object);
		}
		if (object->dispose != NULL) {
			object->dispose(object);
		} else {
			free(object);
		}
		object = parent;
	}
}

static void leave_slot_locked(struct neep_vk_table *table, const struct neep_vk_object *object) {
	uint32_t index = (uint32_t)(object->id & NEEP_VK_INDEX_MASK);
	atomic_store_explicit(&table->slots.at[index], free_slot(table->free), memory_order_relaxed);
	table->free = index + 1;
	table->count--;
}

static struct neep_vk_object *youngest_leaf(struct neep_vk_object *object) {
	while (!neep_list_is_empty(&object->children)) {
		object = neep_container_of(object->children.prev, struct neep_vk_object, siblings);
	}
	return object;
}

/* Moves all below `top`, and itself if `is_inclusive`, from the table to `dead`: children before parents, the youngest first. */
static void take_out_locked(
	struct neep_vk_table *table, struct neep_vk_object *top, bool is_inclusive, struct neep_list *dead) {
	struct neep_vk_object *object;
	do {
		object = youngest_leaf(top);
		if (object != top || is_inclusive) {
			leave_slot_locked(table, object);
			neep_list_remove(&object->siblings);
			neep_list_append(dead, &object->siblings);
		}
	} while (object != top);
}

/* Moves the elements of `from` to the end of `to`. */
static void append_all(struct neep_list *to, struct neep_list *from) {
	while (!neep_list_is_empty(from)) {
		struct neep_list *link = from->next;
		neep_list_remove(link);
		neep_list_append(to, link);
	}
}

/* Ends epochs that nobody holds up and moves to `dead` what nobody can see any more: after two ends, all. */
static void reap_locked(struct neep_vk_table *table, struct neep_list *dead) {
	for (int ends = 0; ends < 2 && table->inside[(table->epoch & 1) ^ 1] == 0; ends++) {
		append_all(dead, &table->limbo[(table->epoch & 1) ^ 1]);
		table->epoch++;
	}
	table->dropping += !neep_list_is_empty(dead);
}

/* What reap_locked() found, without the lock. */
static void drop(struct neep_vk_table *table, struct neep_list *dead) {
	if (neep_list_is_empty(dead)) {
		return;
	}
	neep_list_for_each_safe (object, dead, struct neep_vk_object, siblings) {
		neep_list_remove(&object->siblings);
		neep_vk_object_unref(object);
	}
	pthread_mutex_lock(&table->lock);
	table->dropping--;
	pthread_cond_broadcast(&table->dropped);
	pthread_mutex_unlock(&table->lock);
}

static void destroy(struct neep_vk_table *table, struct neep_vk_object *object, bool is_inclusive) {
	struct neep_list dead; // neep_vk_object.siblings
	neep_list_init(&dead);
	pthread_mutex_lock(&table->lock);
	if (is_entered_locked(table, object)) {
		take_out_locked(table, object, is_inclusive, &table->limbo[table->epoch & 1]);
		reap_locked(table, &dead);
	}
	pthread_mutex_unlock(&table->lock);
	drop(table, &dead);
}

void neep_vk_object_destroy(struct neep_vk_table *table, struct neep_vk_object *object) {
	if (object != NULL) {
		destroy(table, object, true);
	}
}

void neep_vk_object_destroy_children(struct neep_vk_table *table, struct neep_vk_object *object) {
	destroy(table, object, false);
}

uint32_t neep_vk_table_enter(struct neep_vk_table *table) {
	pthread_mutex_lock(&table->lock);
	uint32_t epoch = table->epoch;
	table->inside[epoch & 1]++;
	pthread_mutex_unlock(&table->lock);
	return epoch;
}

void neep_vk_table_leave(struct neep_vk_table *table, uint32_t epoch) {
	struct neep_list dead; // neep_vk_object.siblings
	neep_list_init(&dead);
	pthread_mutex_lock(&table->lock);
	table->inside[epoch & 1]--;
	reap_locked(table, &dead);
	pthread_mutex_unlock(&table->lock);
	drop(table, &dead);
}

static bool is_settled_locked(const struct neep_vk_table *table) {
	return neep_list_is_empty(&table->limbo[0]) && neep_list_is_empty(&table->limbo[1]) &&
	       table->dropping == 0;
}

bool neep_vk_table_settle(struct neep_vk_table *table) {
	bool has_waited = false;
	pthread_mutex_lock(&table->lock);
	while (!is_settled_locked(table)) {
		pthread_cond_wait(&table->dropped, &table->lock);
		has_waited = true;
	}
	pthread_mutex_unlock(&table->lock);
	return has_waited;
}

struct neep_vk_object *neep_vk_table_next(
	struct neep_vk_table *table, const struct neep_vk_object *after, enum neep_vk_type type) {
	uint64_t index = after != NULL ? (after->id & NEEP_VK_INDEX_MASK) + 1 : 0;
	for (; index < table->used; index++) {
		struct neep_vk_object *object = in_slot(table, index);
		if (object != NULL && object->type == type) {
			return object;
		}
	}
	return NULL;
}

uint32_t neep_vk_table_count(struct neep_vk_table *table) {
	pthread_mutex_lock(&table->lock);
	uint32_t count = table->count;
	pthread_mutex_unlock(&table->lock);
	return count;
}
