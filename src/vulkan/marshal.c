/* Arrays, strings, handles and chains, for the generated readers and writers. */
#include "vulkan/marshal.h"

#include "util/checked.h"

_Static_assert(sizeof(void *) == sizeof(uint64_t), "arrays of ids become arrays of handles in place");

/* Links of one chain, and chains inside chains: real ones have a handful, and are flat. */
#define MAX_LINKS 64
#define MAX_DEPTH 4

void neep_vk_get_allocator(struct neep_vk_decoder *d) {
	if (neep_vk_present(d)) {
		neep_vk_call_fail(&d->call, "it brings an allocator");
	}
}

void *neep_vk_alloc(struct neep_vk_decoder *d, size_t size) {
	return neep_vk_call_alloc(&d->call, 1, size);
}

/* Whether the packet can hold `count` more elements of `wire_size` bytes. */
static bool check_count(struct neep_vk_decoder *d, uint64_t count, size_t wire_size) {
	size_t left = neep_reader_left(&d->in);
	if (!neep_reader_ok(&d->in)) {
		return false;
	}
	if (count > left / wire_size) {
		neep_vk_call_fail(&d->call, "%llu elements in %zu bytes", (unsigned long long)count, left);
		return false;
	}
	return true;
}

void *neep_vk_get_array(struct neep_vk_decoder *d, uint64_t count, size_t size, size_t wire_size) {
	return check_count(d, count, wire_size) ? neep_vk_call_alloc(&d->call, count, size) : NULL;
}

const void *neep_vk_rare_flat(struct neep_vk_decoder *d, uint64_t count, size_t size, size_t align) {
	if (!check_count(d, count, size)) {
		return NULL;
	}
	const uint8_t *p = neep_vk_take(d, count * size);
	if (((uintptr_t)p & (align - 1)) == 0) {
		return p;
	}
	void *copy = neep_vk_call_alloc(&d->call, count, size);
	return copy == NULL ? NULL : memcpy(copy, p, count * size);
}

void *neep_vk_get_copy(struct neep_vk_decoder *d, uint64_t count, size_t size) {
	void *copy = neep_vk_get_array(d, count, size, size);
	if (copy != NULL) {
		neep_reader_copy(&d->in, copy, count * size);
	}
	return copy;
}

void *neep_vk_get_room(struct neep_vk_decoder *d, uint64_t count, size_t size, size_t wire_size) {
	void *room = neep_vk_get_array(d, count, size, wire_size);
	if (room != NULL) {
		(void)neep_vk_take(d, count * wire_size);
	}
	return room;
}

const uint32_t *neep_vk_get_bools(struct neep_vk_decoder *d, uint64_t count) {
	uint32_t *values = neep_vk_get_array(d, count, sizeof(*values), sizeof(*values));
	for (uint64_t i = 0; values != NULL && i < count; i++) {
		values[i] = neep_reader_u32(&d->in) != 0;
	}
	return values;
}

const uint32_t *neep_vk_get_enums(struct neep_vk_decoder *d, uint64_t count, const struct neep_vk_enum *e) {
	uint32_t *values = neep_vk_get_array(d, count, sizeof(*values), sizeof(*values));
	for (uint64_t i = 0; values != NULL && i < count; i++) {
		values[i] = neep_vk_enum(d, neep_reader_u32(&d->in), e);
	}
	return values;
}

char *neep_vk_get_string(struct neep_vk_decoder *d) {
	uint32_t len = neep_vk_get_be32(&d->in);
	const uint8_t *bytes = neep_vk_take(d, len);
	char *text = bytes == NULL ? NULL : neep_vk_alloc(d, (size_t)len + 1);
	if (text == NULL) {
		return NULL;
	}
	memcpy(text, bytes, len);
	return text;
}

const char *const *neep_vk_get_strings(struct neep_vk_decoder *d, uint32_t count) {
	uint32_t told = neep_vk_get_be32(&d->in);
	if (neep_reader_ok(&d->in) && told != count) {
		neep_vk_call_fail(&d->call, "%u strings where it says %u", told, count);
	}
	const char **strings = neep_vk_get_array(d, told, sizeof(*strings), sizeof(uint32_t));
	for (uint32_t i = 0; strings != NULL && i < told; i++) {
		strings[i] = neep_vk_get_string(d);
	}
	return strings;
}

static void remember(struct neep_vk_decoder *d, struct neep_vk_object *object) {
	struct neep_vk_found *found = neep_vk_alloc(d, sizeof(*found));
	if (found != NULL) {
		*found = (struct neep_vk_found){ .next = d->found, .object = object };
		d->found = found;
	}
}

static struct neep_vk_object *refuse_handle(
	struct neep_vk_decoder *d, uint64_t id, enum neep_vk_need need, const char *why) {
	if (need != NEEP_VK_LENIENT) {
		neep_vk_refuse(d, VK_ERROR_UNKNOWN, "handle %#llx %s", (unsigned long long)id, why);
	}
	return NULL;
}

struct neep_vk_object *neep_vk_rare_object(
	struct neep_vk_decoder *d, uint64_t id, enum neep_vk_type type, enum neep_vk_need need) {
	if (id == 0) {
		return need == NEEP_VK_REQUIRED ? refuse_handle(d, id, need, "is missing") : NULL;
	}
	struct neep_vk_object *object = neep_vk_object_find(d->table, id, type);
	if (object == NULL) {
		return refuse_handle(d, id, need, "is not known");
	}
	if (object->device != d->call.device) {
		return refuse_handle(d, id, need, "is another device's");
	}
	if (d->command_buffer == NULL) {
		remember(d, object);
	}
	return object;
}

uint64_t neep_vk_null_handle(struct neep_vk_decoder *d, uint64_t id, enum neep_vk_need need) {
	if (need == NEEP_VK_REQUIRED) {
		refuse_handle(d, id, need, "is null");
	}
	return 0;
}

enum neep_vk_need neep_vk_null_need(const struct neep_vk_decoder *d) {
	const struct neep_vk_device *device = d->call.device;
	return device != NULL && device->physical->has_null_descriptors ? NEEP_VK_OPTIONAL : NEEP_VK_REQUIRED;
}

struct neep_vk_object *neep_vk_first(struct neep_vk_decoder *d, uint64_t id, enum neep_vk_type type) {
	struct neep_vk_object *object = neep_vk_object_find(d->table, id, type);
	if (object == NULL) {
		return refuse_handle(d, id, NEEP_VK_REQUIRED, "is not known");
	}
	d->call.device = object->device;
	remember(d, object);
	return object;
}

const void *neep_vk_get_handles(
	struct neep_vk_decoder *d, uint64_t count, enum neep_vk_type type, enum neep_vk_need need) {
	uint64_t *handles = neep_vk_get_array(d, count, sizeof(*handles), sizeof(*handles));
	for (uint64_t i = 0; handles != NULL && i < count; i++) {
		handles[i] = neep_vk_handle(d, neep_reader_u64(&d->in), type, need);
	}
	return handles;
}

struct neep_vk_object *const *neep_vk_get_objects(
	struct neep_vk_decoder *d, uint64_t count, enum neep_vk_type type, enum neep_vk_need need) {
	struct neep_vk_object **objects = neep_vk_get_array(d, count, sizeof(*objects), sizeof(uint64_t));
	for (uint64_t i = 0; objects != NULL && i < count; i++) {
		objects[i] = neep_vk_object(d, neep_reader_u64(&d->in), type, need);
	}
	return objects;
}

static bool is_known(uint32_t value, const struct neep_vk_enum *e) {
	for (uint32_t i = 0; i < e->count; i++) {
		if (value - e->ranges[i][0] <= e->ranges[i][1]) {
			return true;
		}
	}
	return false;
}

uint32_t neep_vk_rare_enum(struct neep_vk_decoder *d, uint32_t value, const struct neep_vk_enum *e) {
	if (!is_known(value, e) && neep_reader_ok(&d->in)) {
		neep_vk_refuse(d, e->refusal, "%s %u is not known", e->name, value);
		return 0;
	}
	return value;
}

uint32_t neep_vk_enum_or_zero(uint32_t value, const struct neep_vk_enum *e) {
	return is_known(value, e) ? value : 0;
}

static const struct neep_vk_link *find_link(uint32_t s_type) {
	uint32_t low = 0;
	uint32_t high = neep_vk_link_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (neep_vk_links[middle].s_type < s_type) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	bool is_found = low < neep_vk_link_count && neep_vk_links[low].s_type == s_type;
	return is_found ? &neep_vk_links[low] : NULL;
}

static bool may_extend(const struct neep_vk_link *link, uint16_t root) {
	if (link->is_hidden) {
		return false;
	}
	for (const uint16_t *parent = link->parents; *parent != 0; parent++) {
		if (*parent == root) {
			return true;
		}
	}
	return false;
}

/* The links of one chain, in order. */
struct chain {
	uint32_t count;
	const struct neep_vk_link *links[MAX_LINKS];
};

static bool is_repeated(const struct chain *chain, const struct neep_vk_link *link) {
	for (uint32_t i = 0; i < chain->count; i++) {
		if (chain->links[i] == link) {
			return !link->may_repeat;
		}
	}
	return false;
}

/* Reads the heads of all links, which come before the members of any. */
static bool get_links(struct neep_vk_decoder *d, struct chain *chain) {
	chain->count = 0;
	while (neep_vk_get_be32(&d->in) != 0) {
		uint32_t s_type = neep_reader_u32(&d->in);
		uint32_t again = neep_reader_u32(&d->in);
		if (!neep_reader_ok(&d->in)) {
			return false;
		}
		const struct neep_vk_link *link = find_link(s_type);
		if (link == NULL || again != s_type) {
			neep_vk_call_fail(&d->call, "struct %u is not known", link == NULL ? s_type : again);
			return false;
		}
		if (is_repeated(chain, link)) {
			neep_vk_call_fail(&d->call, "%s comes twice", link->name);
			return false;
		}
		if (chain->count == MAX_LINKS) {
			neep_vk_call_fail(&d->call, "more than %d structs in a chain", MAX_LINKS);
			return false;
		}
		chain->links[chain->count++] = link;
	}
	return neep_reader_ok(&d->in);
}

static void copy_flat(void *out, const struct neep_vk_link *link, const uint8_t *p) {
	memcpy(out, p, link->flat);
	uint32_t *words = out;
	for (uint16_t i = 0; link->is_bools && i < link->flat / sizeof(*words); i++) {
		words[i] = words[i] != 0;
	}
}

/* Members of a link of an input chain. */
static void read_link(struct neep_vk_decoder *d, const struct neep_vk_link *link, VkBaseOutStructure *value) {
	uint64_t room[2];
	if (link->flat != 0) {
		const uint8_t *p = neep_vk_take(d, link->flat);
		if (p != NULL) {
			copy_flat(value + 1, link, p);
		}
	} else if (link->read != NULL) {
		link->read(d, value);
	} else if (link->shape != NULL) {
		link->shape(d, value, room);
	}
}

static VkBaseOutStructure *new_link(struct neep_vk_decoder *d, const struct neep_vk_link *link) {
	VkBaseOutStructure *value = neep_vk_alloc(d, link->size);
	if (value != NULL) {
		value->sType = (VkStructureType)link->s_type;
	}
	return value;
}

static bool enter_chain(struct neep_vk_decoder *d) {
	if (d->depth == MAX_DEPTH) {
		neep_vk_call_fail(&d->call, "chains within chains");
		return false;
	}
	d->depth++;
	return true;
}

/* Members come last link first. */
static VkBaseOutStructure *get_chain(struct neep_vk_decoder *d, uint16_t root) {
	struct chain chain;
	if (!get_links(d, &chain)) {
		return NULL;
	}
	VkBaseOutStructure *first = NULL;
	for (uint32_t i = chain.count; i > 0; i--) {
		VkBaseOutStructure *value = new_link(d, chain.links[i - 1]);
		if (value == NULL) {
			return NULL;
		}
		read_link(d, chain.links[i - 1], value);
		if (may_extend(chain.links[i - 1], root) &&
			(chain.links[i - 1]->flat != 0 || chain.links[i - 1]->read != NULL)) {
			value->pNext = first;
			first = value;
		}
	}
	return first;
}

void neep_vk_get_head(struct neep_vk_decoder *d, void *value, uint32_t s_type, uint16_t root) {
	VkBaseOutStructure *head = value;
	(void)neep_reader_u32(&d->in);
	head->sType = (VkStructureType)s_type;
	if (enter_chain(d)) {
		head->pNext = get_chain(d, root);
		d->depth--;
	}
}

static void shape_link(struct neep_vk_decoder *d, struct neep_vk_out_link *out) {
	const struct neep_vk_link *link = out->link;
	if (link->flat != 0) {
		(void)neep_vk_take(d, link->flat);
	} else if (link->shape != NULL) {
		link->shape(d, out->value, out->room);
	} else {
		neep_vk_call_fail(&d->call, "%s in the chain of an output", link->name);
	}
}

static void shape_chain(
	struct neep_vk_decoder *d, struct neep_vk_out *out, VkBaseOutStructure *head, uint16_t root) {
	struct chain chain;
	if (!get_links(d, &chain)) {
		return;
	}
	out->links = neep_vk_call_alloc(&d->call, chain.count, sizeof(*out->links));
	VkBaseOutStructure *first = NULL;
	for (uint32_t i = chain.count; out->links != NULL && i > 0; i--) {
		struct neep_vk_out_link *link = &out->links[i - 1];
		VkBaseOutStructure *value = new_link(d, chain.links[i - 1]);
		if (value == NULL) {
			return;
		}
		*link = (struct neep_vk_out_link){ .link = chain.links[i - 1], .value = value };
		shape_link(d, link);
		if (may_extend(link->link, root)) {
			value->pNext = first;
			first = value;
		}
	}
	out->count = chain.count;
	head->pNext = first;
}

struct neep_vk_out *neep_vk_shape_head(
	struct neep_vk_decoder *d, void *value, uint32_t s_type, uint16_t root) {
	VkBaseOutStructure *head = value;
	(void)neep_reader_u32(&d->in);
	head->sType = (VkStructureType)s_type;
	struct neep_vk_out *out = neep_vk_alloc(d, sizeof(*out));
	if (out != NULL && enter_chain(d)) {
		shape_chain(d, out, head, root);
		d->depth--;
	}
	return out;
}

void neep_vk_put_head(struct neep_vk_reply *reply, uint32_t s_type, const struct neep_vk_out *out) {
	neep_vk_put_raw32(reply, s_type);
	for (uint32_t i = 0; i < out->count; i++) {
		const struct neep_vk_link *link = out->links[i].link;
		neep_vk_put_raw_be32(reply, link->size);
		neep_vk_put_raw32(reply, link->s_type);
		neep_vk_put_raw32(reply, link->s_type);
	}
	neep_vk_put_raw_be32(reply, 0);
	for (uint32_t i = out->count; i > 0; i--) {
		const struct neep_vk_out_link *out_link = &out->links[i - 1];
		if (out_link->link->flat != 0) {
			neep_vk_put(
				reply, (const VkBaseOutStructure *)out_link->value + 1, out_link->link->flat);
		} else {
			out_link->link->put(reply, out_link->value, out_link->room);
		}
	}
}

struct neep_vk_out **neep_vk_get_outs(struct neep_vk_decoder *d, uint64_t count) {
	return neep_vk_call_alloc(&d->call, count, sizeof(struct neep_vk_out *));
}
