/* The guest's handles: 64-bit ids that only this context knows, each checked for type and owner at every use.
 *
 * An id is an index into the context's table and a random tag, so that a guessed, freed or foreign one is not found. An object is
 * counted: the table holds one reference, each child holds one on its parent, and whoever uses it without holding the turn holds
 * one. Destroying takes the id of the object and of all its descendants out of the table at once; the driver's object goes with
 * the last reference, children before parents.
 *
 * Threads: the table has a lock of its own, so any thread may find with a reference (neep_vk_object_get). A pointer from
 * neep_vk_object_find() is good while its caller holds the turn, or is between neep_vk_table_enter() and _leave(): what is
 * destroyed meanwhile lives on until all who were inside have left. */
#ifndef NEEP_VULKAN_OBJECT_H
#define NEEP_VULKAN_OBJECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

/* One per handle type of the wire. */
enum neep_vk_type {
	NEEP_VK_NONE,
	NEEP_VK_INSTANCE,
	NEEP_VK_PHYSICAL_DEVICE,
	NEEP_VK_DEVICE,
	NEEP_VK_QUEUE,
	NEEP_VK_COMMAND_POOL,
	NEEP_VK_COMMAND_BUFFER,
	NEEP_VK_DEVICE_MEMORY,
	NEEP_VK_BUFFER,
	NEEP_VK_BUFFER_VIEW,
	NEEP_VK_IMAGE,
	NEEP_VK_IMAGE_VIEW,
	NEEP_VK_SAMPLER,
	NEEP_VK_SAMPLER_YCBCR_CONVERSION,
	NEEP_VK_SHADER_MODULE,
	NEEP_VK_PIPELINE_CACHE,
	NEEP_VK_PIPELINE_LAYOUT,
	NEEP_VK_PIPELINE,
	NEEP_VK_RENDER_PASS,
	NEEP_VK_FRAMEBUFFER,
	NEEP_VK_DESCRIPTOR_SET_LAYOUT,
	NEEP_VK_DESCRIPTOR_POOL,
	NEEP_VK_DESCRIPTOR_SET,
	NEEP_VK_DESCRIPTOR_UPDATE_TEMPLATE,
	NEEP_VK_FENCE,
	NEEP_VK_SEMAPHORE,
	NEEP_VK_EVENT,
	NEEP_VK_QUERY_POOL,
	NEEP_VK_PRIVATE_DATA_SLOT,
	NEEP_VK_TYPE_COUNT,
};

struct neep_vk_device;

/* Embedded as the first member of structs that know more (device.h), or used as it is. */
struct neep_vk_object {
	uint64_t id;     // the guest's name, for good; 0: never entered
	uint64_t handle; // the driver's
	enum neep_vk_type type;
	atomic_uint refs;
	struct neep_vk_object *parent; // NULL for an instance; a reference
	struct neep_vk_device *device; // NULL for instances and physical devices; an ancestor, or itself
	struct neep_list children;     // neep_vk_object.siblings, oldest first; guarded by the table's lock
	struct neep_list siblings;
	/* Destroys the driver's object, not the struct. NULL: goes with its parent. Called with no lock held. */
	void (*release)(struct neep_vk_object *object);
	/* Frees the struct. NULL: free(). */
	void (*dispose)(struct neep_vk_object *object);
};

struct neep_vk_table;

/* What a look-up sees of a table: its first member. */
struct neep_vk_slots {
	_Atomic(uintptr_t) *at; // each an object, or, with the lowest bit, the next free slot
	uint32_t count;
};

#define NEEP_VK_INDEX_BITS 24
#define NEEP_VK_INDEX_MASK ((UINT64_C(1) << NEEP_VK_INDEX_BITS) - 1)

/* At most `max_objects` at a time, and no more than 16 Mi. NULL for want of memory. */
struct neep_vk_table *neep_vk_table_create(uint32_t max_objects);

/* Destroys what is left, children first. */
void neep_vk_table_destroy(struct neep_vk_table *table);

/* What a new object is. */
struct neep_vk_object_params {
	enum neep_vk_type type;
	uint64_t handle;
	struct neep_vk_object *parent; // NULL for an instance
	void (*release)(struct neep_vk_object *object);
};

/* Enters `object` (allocated by the caller, of a struct that starts with a struct neep_vk_object) into the table under a new id
 * with one reference, the table's. On failure (-ENOMEM: the cap; -ENOENT: the parent was destroyed; -EIO: no random numbers) the
 * caller still owns the struct and the driver's object. */
int neep_vk_object_add(struct neep_vk_table *table, struct neep_vk_object *object,
	const struct neep_vk_object_params *params);

/* Allocates a bare struct neep_vk_object and adds it. On failure calls params->release on it and returns NULL. */
struct neep_vk_object *neep_vk_object_create(
	struct neep_vk_table *table, const struct neep_vk_object_params *params);

/* The object of that id and type, or NULL (also for id 0). Takes no lock. */
static inline struct neep_vk_object *neep_vk_object_find(
	struct neep_vk_table *table, uint64_t id, enum neep_vk_type type) {
	const struct neep_vk_slots *slots = (const struct neep_vk_slots *)(const void *)table;
	uint64_t index = id & NEEP_VK_INDEX_MASK;
	if (index >= slots->count) {
		return NULL;
	}
	uintptr_t slot = atomic_load_explicit(&slots->at[index], memory_order_acquire);
	struct neep_vk_object *object = (struct neep_vk_object *)slot;
	return (slot & 1) == 0 && object != NULL && object->id == id && object->type == type ? object : NULL;
}

/* The same with a reference. */
struct neep_vk_object *neep_vk_object_get(struct neep_vk_table *table, uint64_t id, enum neep_vk_type type);

struct neep_vk_object *neep_vk_object_ref(struct neep_vk_object *object);
/* NULL is fine. */
void neep_vk_object_unref(struct neep_vk_object *object);

/* Ends the guest's use of the object and of all that descends from it. NULL is fine. */
void neep_vk_object_destroy(struct neep_vk_table *table, struct neep_vk_object *object);

/* Destroys the descendants only: for pools that are reset. */
void neep_vk_object_destroy_children(struct neep_vk_table *table, struct neep_vk_object *object);

/* Makes neep_vk_object_find() good for a caller without the turn. What is destroyed meanwhile is kept so long, and who allocates may
 * wait for it: so nothing that waits for others is done inside, but for a recording, whose last commands the guest may still be writing.
 * Returns what neep_vk_table_leave() wants. */
uint32_t neep_vk_table_enter(struct neep_vk_table *table);
void neep_vk_table_leave(struct neep_vk_table *table, uint32_t epoch);

/* Waits until those who were inside have left and what was destroyed until now is released, but for what somebody has a reference to.
 * The caller is not inside, and has the turn, so that nobody enters or destroys meanwhile. Returns false when there was nothing to
 * wait for. */
bool neep_vk_table_settle(struct neep_vk_table *table);

/* The next object of that type after `after` (NULL: the first), in no particular order; NULL at the end. Nobody adds or destroys
 * meanwhile. */
struct neep_vk_object *neep_vk_table_next(
	struct neep_vk_table *table, const struct neep_vk_object *after, enum neep_vk_type type);

/* Objects that have an id. */
uint32_t neep_vk_table_count(struct neep_vk_table *table);

#endif
