/* What the generated readers and writers are made of. For generated code only.
 *
 * Readers fail through neep_vk_call_fail(), which also fails the reader, so that they read straight through; everything they allocate
 * is zeroed. Counts are checked against what the packet can hold before anything is allocated. */
#ifndef NEEP_VULKAN_MARSHAL_H
#define NEEP_VULKAN_MARSHAL_H

#include "vulkan/decoder.h"
#include "vulkan/device.h"

/* Whether a place for a handle may be without one. */
enum neep_vk_need {
	NEEP_VK_REQUIRED, // neither 0 nor unknown: else the command is refused
	NEEP_VK_OPTIONAL, // 0 is fine
	NEEP_VK_LENIENT, // so is what is gone: Vulkan ignores the handle in some cases, where the guest sends a stale one
};

/* The values of an enum that the build's registry knows, as ranges {first, number - 1}; the most common range is the first. */
struct neep_vk_enum {
	const char *name;
	int32_t refusal;
	uint32_t count;
	const uint32_t (*ranges)[2];
};

/* For places that are null only where the device has null descriptors. */
enum neep_vk_need neep_vk_null_need(const struct neep_vk_decoder *d);

/* A struct that may stand in a pNext chain. */
struct neep_vk_link {
	uint32_t s_type;
	uint32_t size; // of the C struct
	uint16_t
		flat; // bytes behind pNext that the wire and C have alike; 0: `read`, `shape` and `put` do it
	bool is_bools;           // flat, and made of VkBool32
	bool is_hidden;          // not for the driver: not in its headers, or with pointers of the guest
	bool may_repeat;         // in one chain
	const uint16_t *parents; // roots of chains that it may extend; ends with 0
	const char *name;
	/* Members behind pNext. `room` keeps the counts of the request's arrays. NULL: never read, or never written. */
	void (*read)(struct neep_vk_decoder *d, void *value);
	void (*shape)(struct neep_vk_decoder *d, void *value, uint64_t *room);
	void (*put)(struct neep_vk_reply *reply, const void *value, const uint64_t *room);
};

/* Generated: sorted by s_type. */
extern const struct neep_vk_link neep_vk_links[];
extern const uint32_t neep_vk_link_count;

/* The chain of an output struct, as the request had it: the reply has the same. */
struct neep_vk_out {
	uint32_t count;
	struct neep_vk_out_link *links;
	uint64_t room[2];
};

struct neep_vk_out_link {
	const struct neep_vk_link *link;
	void *value;
	uint64_t room[2];
};

static inline uint32_t neep_vk_load32(const uint8_t *p) {
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

static inline uint64_t neep_vk_load64(const uint8_t *p) {
	uint64_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

static inline uint16_t neep_vk_load16(const uint8_t *p) {
	uint16_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

static inline float neep_vk_load_float(const uint8_t *p) {
	float value;
	memcpy(&value, p, sizeof(value));
	return value;
}

/* The next `len` bytes, or NULL. */
static inline const uint8_t *neep_vk_take(struct neep_vk_decoder *d, size_t len) {
	return neep_reader_take(&d->in, len);
}

/* A presence word. */
static inline bool neep_vk_present(struct neep_vk_decoder *d) {
	return neep_reader_u64(&d->in) != 0;
}

/* The word of pAllocator, which is always 0: what would follow is of no use to anyone. */
void neep_vk_get_allocator(struct neep_vk_decoder *d);

/* Zeroed memory; NULL with the call failed. */
void *neep_vk_alloc(struct neep_vk_decoder *d, size_t size);

/* Zeroed memory for `count` elements that take at least `wire_size` bytes each in the packet; NULL with the call failed. */
void *neep_vk_get_array(struct neep_vk_decoder *d, uint64_t count, size_t size, size_t wire_size);

/* `count` elements of `size` bytes that C has like the wire: in the packet if they are aligned there, else copied. What is rare, here
 * and below, is not in line. */
const void *neep_vk_rare_flat(struct neep_vk_decoder *d, uint64_t count, size_t size, size_t align);
static inline const void *neep_vk_get_flat(
	struct neep_vk_decoder *d, uint64_t count, size_t size, size_t align) {
	bool fits = count <= neep_reader_left(&d->in) / size;
	bool is_aligned = ((uintptr_t)d->in.cur & (align - 1)) == 0;
	return fits && is_aligned ? neep_vk_take(d, count * size) : neep_vk_rare_flat(d, count, size, align);
}

/* The same, always copied, for what the driver writes to. */
void *neep_vk_get_copy(struct neep_vk_decoder *d, uint64_t count, size_t size);

/* Passes over `count` elements of an output, `wire_size` bytes each, and returns zeroed memory for them. */
void *neep_vk_get_room(struct neep_vk_decoder *d, uint64_t count, size_t size, size_t wire_size);

/* VkBool32s, each 0 or 1. */
const uint32_t *neep_vk_get_bools(struct neep_vk_decoder *d, uint64_t count);
const uint32_t *neep_vk_get_enums(struct neep_vk_decoder *d, uint64_t count, const struct neep_vk_enum *e);

/* Bytes that are only looked at while the packet is there. */
static inline const uint8_t *neep_vk_get_bytes(struct neep_vk_decoder *d, uint64_t count) {
	return neep_vk_get_flat(d, count, 1, 1);
}

char *neep_vk_get_string(struct neep_vk_decoder *d);
/* `count` is that of the member before; the array's own must agree. */
const char *const *neep_vk_get_strings(struct neep_vk_decoder *d, uint32_t count);

struct neep_vk_object *neep_vk_rare_object(
	struct neep_vk_decoder *d, uint64_t id, enum neep_vk_type type, enum neep_vk_need need);
static inline struct neep_vk_object *neep_vk_object(
	struct neep_vk_decoder *d, uint64_t id, enum neep_vk_type type, enum neep_vk_need need) {
	struct neep_vk_object *object = neep_vk_object_find(d->table, id, type);
	bool is_usual = object != NULL && object->device == d->call.device && d->command_buffer != NULL;
	return is_usual ? object : neep_vk_rare_object(d, id, type, need);
}
/* Of an object that stands for a null one: 0, refused where one is needed. */
uint64_t neep_vk_null_handle(struct neep_vk_decoder *d, uint64_t id, enum neep_vk_need need);
/* The driver's handle, or 0. */
static inline uint64_t neep_vk_handle(
	struct neep_vk_decoder *d, uint64_t id, enum neep_vk_type type, enum neep_vk_need need) {
	struct neep_vk_object *object = neep_vk_object(d, id, type, need);
	if (object == NULL) {
		return 0;
	}
	return object->handle != 0 ? object->handle : neep_vk_null_handle(d, id, need);
}
const void *neep_vk_get_handles(
	struct neep_vk_decoder *d, uint64_t count, enum neep_vk_type type, enum neep_vk_need need);
struct neep_vk_object *const *neep_vk_get_objects(
	struct neep_vk_decoder *d, uint64_t count, enum neep_vk_type type, enum neep_vk_need need);

/* The first handle of a command, which says whose the others must be. */
struct neep_vk_object *neep_vk_first(struct neep_vk_decoder *d, uint64_t id, enum neep_vk_type type);

/* Refuses the command, unless it is already. */
void neep_vk_refuse(struct neep_vk_decoder *d, int32_t result, const char *format, ...) NEEP_PRINTF(3, 4);

uint32_t neep_vk_rare_enum(struct neep_vk_decoder *d, uint32_t value, const struct neep_vk_enum *e);
static inline uint32_t neep_vk_enum(struct neep_vk_decoder *d, uint32_t value, const struct neep_vk_enum *e) {
	return value - e->ranges[0][0] <= e->ranges[0][1] ? value : neep_vk_rare_enum(d, value, e);
}

/* For members that Vulkan ignores in some cases: 0 instead of what is unknown. */
uint32_t neep_vk_enum_or_zero(uint32_t value, const struct neep_vk_enum *e);

/* sType, which is set to what it must be, and the chain of a struct with both. `root` names it in neep_vk_link.parents. */
void neep_vk_get_head(struct neep_vk_decoder *d, void *value, uint32_t s_type, uint16_t root);
/* The same for one that the reply will hold. NULL with the call failed. */
struct neep_vk_out *neep_vk_shape_head(
	struct neep_vk_decoder *d, void *value, uint32_t s_type, uint16_t root);
void neep_vk_put_head(struct neep_vk_reply *reply, uint32_t s_type, const struct neep_vk_out *out);

/* Room for the chains of `count` output structs. */
struct neep_vk_out **neep_vk_get_outs(struct neep_vk_decoder *d, uint64_t count);

typedef void (*neep_vk_fn)(void);

/* A function of the device of the command, at `offset` in its table. NULL when the command is refused, as it is when the driver lacks
 * the function. */
neep_vk_fn neep_vk_missing(struct neep_vk_decoder *d);
static inline neep_vk_fn neep_vk_fn_at(struct neep_vk_decoder *d, const void *table, size_t offset) {
	neep_vk_fn fn;
	memcpy(&fn, (const char *)table + offset, sizeof(fn));
	return fn != NULL ? fn : neep_vk_missing(d);
}
static inline neep_vk_fn neep_vk_device_fn(struct neep_vk_decoder *d, size_t offset) {
	return d->refusal != 0 ? NULL : neep_vk_fn_at(d, &d->call.device->vk, offset);
}
static inline neep_vk_fn neep_vk_instance_fn(
	struct neep_vk_decoder *d, struct neep_vk_object *physical_device, size_t offset) {
	if (d->refusal != 0) {
		return NULL;
	}
	return neep_vk_fn_at(d, &neep_vk_physical_device_from(physical_device)->instance->vk, offset);
}

/* The device is known to be lost: commands that may say so do, and are not executed. */
bool neep_vk_is_lost(struct neep_vk_decoder *d);
/* Remembers VK_ERROR_DEVICE_LOST; returns `result`. */
int32_t neep_vk_note_lost(struct neep_vk_decoder *d, int32_t result);

/* Enters new objects of the driver (zeros are skipped), children of `parent`, and stores their ids. Returns `result`, or what went
 * wrong. */
struct neep_vk_new {
	enum neep_vk_type type;
	struct neep_vk_object *parent;
	void (*release)(struct neep_vk_object *object);
};
int32_t neep_vk_add_new(struct neep_vk_decoder *d, const struct neep_vk_new *what, uint64_t count,
	const void *handles, uint64_t *ids);

/* Whether all parameters were read. */
static inline bool neep_vk_decoded(struct neep_vk_decoder *d) {
	return neep_reader_ok(&d->in);
}

/* The reply of a command that ended with `result`. */
static inline void neep_vk_begin_reply(struct neep_vk_decoder *d, int32_t result) {
	d->reply.is_blank = result < 0;
}

#endif
