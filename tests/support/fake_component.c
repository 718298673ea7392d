#include "support/fake_component.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rutabaga/backing.h"
#include "rutabaga/resource.h"
#include "util/checked.h"
#include "util/fd.h"
#include "util/idmap.h"
#include "util/reader.h"

#define RINGS         64
#define BLOB_MAX      (UINT64_C(1) << 32)
#define TEXTURE_MAX   4096
#define PENDING_BLOBS 4096 // host objects a context may make before a CREATE_BLOB takes them

/* What a test asked for, done at the next dispatch. */
struct order {
	struct neep_list link; // neep_fake.orders
	uint32_t ctx_id;
	uint32_t ring;
	uint32_t count;
	bool last;
};

struct ring {
	bool is_held;
	struct neep_list fences; // neep_fence.component_link
};

struct fake_context {
	struct neep_context base;
	struct neep_fake *fake;
	uint32_t ctx_id;
	struct neep_list link; // neep_fake.contexts
	struct ring rings[RINGS];
	struct neep_list blobs; // host_blob.link: made, not taken
	uint32_t blob_count;
	struct neep_list attached; // attached.link
};

struct host_blob {
	struct neep_list link;
	uint64_t blob_id;
	uint64_t size;
	uint32_t map_info;
	int fd;
};

struct attached {
	struct neep_list link;
	const struct neep_resource *resource;
};

struct blob_object {
	struct neep_object base;
	struct neep_fake *fake;
};

struct texture {
	struct neep_object base;
	struct neep_fake *fake;
	uint32_t width;
	uint32_t height;
	uint8_t *pixels;
};

struct refusal {
	int error;
	uint32_t count;
};

struct neep_fake {
	struct neep_component base;
	int event_fd;
	pthread_mutex_t lock;    // guards orders and refusals, which tests change from outside
	struct neep_list orders; // order.link
	struct refusal refusals[NEEP_FAKE_CALL_COUNT];
	struct neep_list contexts; // fake_context.link
	struct ring global;
	struct ring orphans; // fences of contexts that are gone, signalled when the fake goes
	struct neep_fake_counts counts;
};

static struct neep_fake *fake_from_base(struct neep_component *base) {
	neep_assert(base->impl == &neep_fake_impl);
	return neep_container_of(base, struct neep_fake, base);
}

static int refusal(struct neep_fake *fake, enum neep_fake_call what) {
	pthread_mutex_lock(&fake->lock);
	struct refusal *r = &fake->refusals[what];
	int rc = 0;
	if (r->count > 0) {
		r->count -= r->count != NEEP_FAKE_ALL;
		rc = -r->error;
	}
	pthread_mutex_unlock(&fake->lock);
	return rc;
}

void neep_fake_refuse(struct neep_fake *fake, enum neep_fake_call what, int error, uint32_t count) {
	pthread_mutex_lock(&fake->lock);
	fake->refusals[what] = (struct refusal){ .error = error, .count = count };
	pthread_mutex_unlock(&fake->lock);
}

static void give_order(struct neep_fake *fake, struct order what) {
	struct order *order = calloc(1, sizeof(*order));
	if (order == NULL) {
		return;
	}
	*order = what;
	pthread_mutex_lock(&fake->lock);
	neep_list_append(&fake->orders, &order->link);
	pthread_mutex_unlock(&fake->lock);
	neep_eventfd_signal(fake->event_fd);
}

void neep_fake_complete(struct neep_fake *fake, uint32_t ctx_id, uint32_t ring, uint32_t count) {
	give_order(fake, (struct order){ .ctx_id = ctx_id, .ring = ring, .count = count });
}

void neep_fake_complete_last(struct neep_fake *fake, uint32_t ctx_id, uint32_t ring) {
	give_order(fake, (struct order){ .ctx_id = ctx_id, .ring = ring, .last = true });
}

static struct fake_context *find_context(struct neep_fake *fake, uint32_t ctx_id) {
	neep_list_for_each (context, &fake->contexts, struct fake_context, link) {
		if (context->ctx_id == ctx_id) {
			return context;
		}
	}
	return NULL;
}

static void signal_fence(struct neep_fake *fake, struct neep_fence *fence) {
	neep_list_remove(&fence->component_link);
	fake->counts.held_fences--;
	neep_fence_signal(fence);
}

static void complete_ring(struct neep_fake *fake, struct ring *ring, const struct order *order) {
	if (order->last && !neep_list_is_empty(&ring->fences)) {
		signal_fence(fake, neep_container_of(ring->fences.prev, struct neep_fence, component_link));
		return;
	}
	for (uint32_t i = 0; i < order->count && !neep_list_is_empty(&ring->fences); i++) {
		signal_fence(fake, neep_container_of(ring->fences.next, struct neep_fence, component_link));
	}
}

static void follow(struct neep_fake *fake, const struct order *order) {
	if (order->ring == NEEP_FAKE_GLOBAL) {
		complete_ring(fake, &fake->global, order);
		return;
	}
	struct fake_context *context = find_context(fake, order->ctx_id);
	if (context == NULL) {
		return;
	}
	for (uint32_t i = 0; i < RINGS; i++) {
		if (order->ring == i || order->ring == NEEP_FAKE_ALL_RINGS) {
			complete_ring(fake, &context->rings[i], order);
		}
	}
}

static struct order *next_order(struct neep_fake *fake) {
	struct order *order = NULL;
	pthread_mutex_lock(&fake->lock);
	if (!neep_list_is_empty(&fake->orders)) {
		order = neep_container_of(fake->orders.next, struct order, link);
		neep_list_remove(&order->link);
	}
	pthread_mutex_unlock(&fake->lock);
	return order;
}

static void fake_dispatch(struct neep_component *base) {
	struct neep_fake *fake = fake_from_base(base);
	neep_eventfd_drain(fake->event_fd);
	for (struct order *order; (order = next_order(fake)) != NULL;) {
		follow(fake, order);
		free(order);
	}
}

static int fake_event_fd(struct neep_component *base) {
	return fake_from_base(base)->event_fd;
}

/* Held, or done now. */
static int take_fence(struct neep_fake *fake, struct ring *ring, struct neep_fence *fence) {
	int rc = refusal(fake, NEEP_FAKE_CALL_CREATE_FENCE);
	if (rc < 0) {
		return rc;
	}
	neep_list_append(&ring->fences, &fence->component_link);
	fake->counts.held_fences++;
	if (!ring->is_held) {
		signal_fence(fake, fence);
	}
	return 0;
}

static int fake_create_fence(struct neep_component *base, struct neep_fence *fence) {
	struct neep_fake *fake = fake_from_base(base);
	return take_fence(fake, &fake->global, fence);
}

/* Blobs */

static void blob_object_destroy(struct neep_object *base) {
	struct blob_object *object = neep_container_of(base, struct blob_object, base);
	object->fake->counts.blobs--;
	free(object);
}

static const struct neep_object_impl blob_object_impl = { .destroy = blob_object_destroy };

static void host_blob_destroy(struct fake_context *context, struct host_blob *blob) {
	neep_list_remove(&blob->link);
	context->blob_count--;
	neep_close_fd(&blob->fd);
	free(blob);
}

static struct host_blob *find_blob(struct fake_context *context, uint64_t blob_id) {
	neep_list_for_each (blob, &context->blobs, struct host_blob, link) {
		if (blob->blob_id == blob_id) {
			return blob;
		}
	}
	return NULL;
}

static int fill_fd(int fd, uint64_t size, uint8_t fill) {
	if (fill == 0) {
		return 0;
	}
	void *ptr = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ptr == MAP_FAILED) {
		return -errno;
	}
	memset(ptr, fill, (size_t)size);
	munmap(ptr, (size_t)size);
	return 0;
}

static int make_blob(
	struct fake_context *context, uint64_t blob_id, uint64_t size, uint32_t map_info, uint32_t fill) {
	if (size == 0 || size > BLOB_MAX || context->blob_count == PENDING_BLOBS) {
		return -ENOMEM;
	}
	if (find_blob(context, blob_id) != NULL) {
		return -EEXIST;
	}
	struct host_blob *blob = calloc(1, sizeof(*blob));
	if (blob == NULL) {
		return -ENOMEM;
	}
	*blob = (struct host_blob){ .blob_id = blob_id, .size = size, .map_info = map_info };
	uint64_t rounded = (size + 4095) & ~UINT64_C(4095);
	blob->fd = neep_memfd_create("fake-blob", rounded);
	int rc = blob->fd < 0 ? blob->fd : fill_fd(blob->fd, rounded, (uint8_t)fill);
	neep_list_append(&context->blobs, &blob->link);
	context->blob_count++;
	if (rc < 0) {
		host_blob_destroy(context, blob);
	}
	return rc;
}

static int context_create_blob(
	struct neep_context *base, const struct rutabaga_create_blob *create, struct neep_blob *out) {
	struct fake_context *context = neep_container_of(base, struct fake_context, base);
	int rc = refusal(context->fake, NEEP_FAKE_CALL_CREATE_BLOB);
	struct host_blob *blob = rc < 0 ? NULL : find_blob(context, create->blob_id);
	if (blob == NULL || create->size > blob->size) {
		return rc < 0 ? rc : -EINVAL;
	}
	struct blob_object *object = calloc(1, sizeof(*object));
	if (object == NULL) {
		return -ENOMEM;
	}
	object->base.impl = &blob_object_impl;
	object->fake = context->fake;
	context->fake->counts.blobs++;
	*out = (struct neep_blob){
		.owned_fd = neep_steal_fd(&blob->fd),
		.handle_type = RUTABAGA_HANDLE_TYPE_MEM_SHM,
		.map_info = blob->map_info,
		.owned_object = &object->base,
	};
	host_blob_destroy(context, blob);
	return 0;
}

/* Command streams */

static struct fake_context *operand_context(struct fake_context *context, uint32_t ctx_id) {
	return ctx_id == NEEP_FAKE_THIS_CTX ? context : find_context(context->fake, ctx_id);
}

static int hold(struct neep_fake *fake, struct fake_context *context, uint32_t ring, bool on) {
	if (ring == NEEP_FAKE_GLOBAL) {
		fake->global.is_held = on;
		return 0;
	}
	if (context == NULL || (ring >= RINGS && ring != NEEP_FAKE_ALL_RINGS)) {
		return -EINVAL;
	}
	for (uint32_t i = 0; i < RINGS; i++) {
		if (ring == i || ring == NEEP_FAKE_ALL_RINGS) {
			context->rings[i].is_held = on;
		}
	}
	return 0;
}

void neep_fake_hold(struct neep_fake *fake, uint32_t ctx_id, uint32_t ring, bool on) {
	(void)hold(fake, find_context(fake, ctx_id), ring, on);
}

static int run_blob(struct fake_context *context, struct neep_reader *in) {
	uint64_t blob_id = neep_reader_u64(in);
	uint64_t size = neep_reader_u64(in);
	uint32_t map_info = neep_reader_u32(in);
	uint32_t fill = neep_reader_u32(in);
	return neep_reader_ok(in) ? make_blob(context, blob_id, size, map_info, fill) : -EINVAL;
}

static int run_hold(struct fake_context *context, struct neep_reader *in) {
	uint32_t ctx_id = neep_reader_u32(in);
	uint32_t ring = neep_reader_u32(in);
	uint32_t on = neep_reader_u32(in);
	if (!neep_reader_ok(in)) {
		return -EINVAL;
	}
	return hold(context->fake, operand_context(context, ctx_id), ring, on != 0);
}

static int run_complete(struct fake_context *context, struct neep_reader *in, bool last) {
	uint32_t ctx_id = neep_reader_u32(in);
	struct order order = { .last = last, .ring = neep_reader_u32(in) };
	order.count = last ? 1 : neep_reader_u32(in);
	order.ctx_id = ctx_id == NEEP_FAKE_THIS_CTX ? context->ctx_id : ctx_id;
	if (!neep_reader_ok(in)) {
		return -EINVAL;
	}
	give_order(context->fake, order);
	return 0;
}

static int run_refuse(struct fake_context *context, struct neep_reader *in) {
	uint32_t what = neep_reader_u32(in);
	uint32_t error = neep_reader_u32(in);
	uint32_t count = neep_reader_u32(in);
	if (!neep_reader_ok(in) || what >= NEEP_FAKE_CALL_COUNT || error - 1 >= 4095) {
		return -EINVAL;
	}
	neep_fake_refuse(context->fake, (enum neep_fake_call)what, (int)error, count);
	return 0;
}

static const struct neep_resource *find_attached(struct fake_context *context, uint32_t resource_id) {
	neep_list_for_each (attached, &context->attached, struct attached, link) {
		if (attached->resource->resource_id == resource_id) {
			return attached->resource;
		}
	}
	return NULL;
}

static int run_memory(struct fake_context *context, struct neep_reader *in, bool is_poke) {
	uint32_t resource_id = neep_reader_u32(in);
	uint64_t offset = neep_reader_u64(in);
	uint32_t value = neep_reader_u32(in), found;
	if (!neep_reader_ok(in)) {
		return -EINVAL;
	}
	const struct neep_resource *resource = find_attached(context, resource_id);
	if (resource == NULL) {
		return -ENOENT;
	}
	if (resource->blob_fd < 0 || !neep_range_within(offset, sizeof(value), resource->size)) {
		return -EINVAL;
	}
	if (is_poke) {
		return pwrite(resource->blob_fd, &value, sizeof(value), (off_t)offset) == sizeof(value)
			       ? 0
			       : -EIO;
	}
	ssize_t n = pread(resource->blob_fd, &found, sizeof(found), (off_t)offset);
	return n == sizeof(found) && found == value ? 0 : -EIO;
}

static int run_one(struct fake_context *context, struct neep_reader *in) {
	uint32_t op = neep_reader_u32(in), error;
	switch (op) {
	case NEEP_FAKE_OP_NOP:
		return neep_reader_ok(in) ? 0 : -EINVAL;
	case NEEP_FAKE_OP_BLOB:
		return run_blob(context, in);
	case NEEP_FAKE_OP_HOLD:
		return run_hold(context, in);
	case NEEP_FAKE_OP_COMPLETE:
		return run_complete(context, in, false);
	case NEEP_FAKE_OP_COMPLETE_LAST:
		return run_complete(context, in, true);
	case NEEP_FAKE_OP_REFUSE:
		return run_refuse(context, in);
	case NEEP_FAKE_OP_FAIL:
		error = neep_reader_u32(in);
		return neep_reader_ok(in) && error - 1 < 4095 ? -(int)error : -EINVAL;
	case NEEP_FAKE_OP_POKE:
		return run_memory(context, in, true);
	case NEEP_FAKE_OP_CHECK:
		return run_memory(context, in, false);
	default:
		return -EINVAL;
	}
}

static int context_submit(struct neep_context *base, const uint8_t *commands, size_t size) {
	struct fake_context *context = neep_container_of(base, struct fake_context, base);
	context->fake->counts.submits++;
	context->fake->counts.submitted_bytes += size;
	int rc = refusal(context->fake, NEEP_FAKE_CALL_SUBMIT);
	struct neep_reader in;
	neep_reader_init(&in, commands, size);
	while (rc == 0 && neep_reader_left(&in) > 0) {
		rc = run_one(context, &in);
	}
	return rc;
}

/* Contexts */

static int context_attach(struct neep_context *base, struct neep_resource *resource) {
	struct fake_context *context = neep_container_of(base, struct fake_context, base);
	int rc = refusal(context->fake, NEEP_FAKE_CALL_ATTACH);
	struct attached *attached = rc < 0 ? NULL : calloc(1, sizeof(*attached));
	if (attached == NULL) {
		return rc < 0 ? rc : -ENOMEM;
	}
	attached->resource = resource;
	neep_list_append(&context->attached, &attached->link);
	context->fake->counts.attached++;
	return 0;
}

static void context_detach(struct neep_context *base, struct neep_resource *resource) {
	struct fake_context *context = neep_container_of(base, struct fake_context, base);
	neep_list_for_each_safe (attached, &context->attached, struct attached, link) {
		if (attached->resource == resource) {
			neep_list_remove(&attached->link);
			free(attached);
			context->fake->counts.attached--;
		}
	}
}

static int context_create_fence(struct neep_context *base, struct neep_fence *fence) {
	struct fake_context *context = neep_container_of(base, struct fake_context, base);
	return take_fence(context->fake, &context->rings[fence->data.ring_idx], fence);
}

static void drain_ring(struct neep_fake *fake, struct ring *ring) {
	struct order all = { .count = NEEP_FAKE_ALL };
	complete_ring(fake, ring, &all);
}

/* Components may signal the fences of a context that ends, or be late: even rings do the one, odd rings the other. */
static void leave_ring(struct neep_fake *fake, struct ring *ring, uint32_t ring_idx) {
	if (ring_idx % 2 == 0) {
		drain_ring(fake, ring);
		return;
	}
	neep_list_for_each_safe (fence, &ring->fences, struct neep_fence, component_link) {
		neep_list_remove(&fence->component_link);
		neep_list_append(&fake->orphans.fences, &fence->component_link);
	}
}

static void context_destroy(struct neep_context *base) {
	struct fake_context *context = neep_container_of(base, struct fake_context, base);
	neep_assert(neep_list_is_empty(&context->attached));
	for (uint32_t i = 0; i < RINGS; i++) {
		leave_ring(context->fake, &context->rings[i], i);
	}
	neep_list_for_each_safe (blob, &context->blobs, struct host_blob, link) {
		host_blob_destroy(context, blob);
	}
	neep_list_remove(&context->link);
	context->fake->counts.contexts--;
	free(context);
}

static const struct neep_context_impl context_impl = {
	.destroy = context_destroy,
	.submit = context_submit,
	.create_blob = context_create_blob,
	.attach = context_attach,
	.detach = context_detach,
	.create_fence = context_create_fence,
};

static int fake_create_context(
	struct neep_component *base, const struct neep_context_params *params, struct neep_context **out) {
	struct neep_fake *fake = fake_from_base(base);
	int rc = refusal(fake, NEEP_FAKE_CALL_CREATE_CONTEXT);
	struct fake_context *context = rc < 0 ? NULL : calloc(1, sizeof(*context));
	if (context == NULL) {
		return rc < 0 ? rc : -ENOMEM;
	}
	context->base.impl = &context_impl;
	context->fake = fake;
	context->ctx_id = params->ctx_id;
	neep_list_init(&context->blobs);
	neep_list_init(&context->attached);
	for (uint32_t i = 0; i < RINGS; i++) {
		neep_list_init(&context->rings[i].fences);
	}
	neep_list_append(&fake->contexts, &context->link);
	fake->counts.contexts++;
	*out = &context->base;
	return 0;
}

/* Textures */

static void texture_destroy(struct neep_object *base) {
	struct texture *texture = neep_container_of(base, struct texture, base);
	texture->fake->counts.textures--;
	free(texture->pixels);
	free(texture);
}

static int texture_rows(
	struct texture *texture, const struct rutabaga_transfer *box, struct neep_rows *rows) {
	int rc = refusal(texture->fake, NEEP_FAKE_CALL_TRANSFER);
	if (rc < 0) {
		return rc;
	}
	if (box->z != 0 || box->d > 1 || box->level != 0 ||
		!neep_range_within(box->x, box->w, texture->width) ||
		!neep_range_within(box->y, box->h, texture->height)) {
		return -EINVAL;
	}
	size_t stride = (size_t)texture->width * 4;
	*rows = (struct neep_rows){
		.image = texture->pixels + box->y * stride + (size_t)box->x * 4,
		.image_stride = stride,
		.len = (size_t)box->w * 4,
		.count = box->h,
		.offset = box->offset,
		.stride = box->stride != 0 ? box->stride : stride,
	};
	return 0;
}

static int texture_write(struct neep_object *base, const struct neep_transfer *transfer) {
	struct neep_rows rows;
	int rc = texture_rows(neep_container_of(base, struct texture, base), &transfer->box, &rows);
	return rc < 0 ? rc : neep_backing_read(transfer->memory, &rows);
}

static int texture_read(struct neep_object *base, const struct neep_transfer *transfer) {
	struct neep_rows rows;
	int rc = texture_rows(neep_container_of(base, struct texture, base), &transfer->box, &rows);
	return rc < 0 ? rc : neep_backing_write(transfer->memory, &rows);
}

static const struct neep_object_impl texture_impl = {
	.destroy = texture_destroy,
	.transfer_write = texture_write,
	.transfer_read = texture_read,
};

static int fake_create_3d(
	struct neep_component *base, const struct rutabaga_create_3d *create, struct neep_object **out) {
	struct neep_fake *fake = fake_from_base(base);
	int rc = refusal(fake, NEEP_FAKE_CALL_CREATE_3D);
	if (rc < 0) {
		return rc;
	}
	if (create->width - 1 >= TEXTURE_MAX || create->height - 1 >= TEXTURE_MAX || create->depth != 1) {
		return -EINVAL;
	}
	struct texture *texture = calloc(1, sizeof(*texture));
	uint8_t *pixels = calloc((size_t)create->width * create->height, 4);
	if (texture == NULL || pixels == NULL) {
		free(texture);
		free(pixels);
		return -ENOMEM;
	}
	*texture = (struct texture){
		.base = { .impl = &texture_impl, .size = (uint64_t)create->width * create->height * 4 },
		.fake = fake,
		.width = create->width,
		.height = create->height,
		.pixels = pixels,
	};
	fake->counts.textures++;
	*out = &texture->base;
	return 0;
}

/* The component */

static int fake_capset_info(struct neep_component *base, uint32_t capset_id, struct neep_capset_info *info) {
	(void)base;
	if (capset_id == NEEP_FAKE_CAPSET) {
		*info = (struct neep_capset_info){ NEEP_FAKE_CAPSET_VERSION, NEEP_FAKE_CAPSET_SIZE };
	} else {
		*info = (struct neep_capset_info){ 0, NEEP_FAKE_SHORT_CAPSET_SIZE };
	}
	return 0;
}

static int fake_capset(
	struct neep_component *base, uint32_t capset_id, uint32_t version, uint8_t *data, size_t size) {
	(void)base;
	if (capset_id == NEEP_FAKE_SHORT_CAPSET) {
		memset(data, 0x5a,
			size < NEEP_FAKE_SHORT_CAPSET_WRITTEN ? size : NEEP_FAKE_SHORT_CAPSET_WRITTEN);
		return 0;
	}
	for (size_t i = 0; i < size; i++) {
		data[i] = (uint8_t)(version * 16 + i);
	}
	return 0;
}

static int fake_create(
	const struct neep_component_config *config, struct neep_component **out, struct neep_error *error) {
	(void)config;
	struct neep_fake *fake = calloc(1, sizeof(*fake));
	if (fake == NULL) {
		return neep_error_set(error, ENOMEM, "cannot create the fake");
	}
	fake->base.impl = &neep_fake_impl;
	fake->event_fd = neep_eventfd_create();
	if (fake->event_fd < 0) {
		int rc = neep_error_set(error, -fake->event_fd, "cannot create an eventfd");
		free(fake);
		return rc;
	}
	pthread_mutex_init(&fake->lock, NULL);
	neep_list_init(&fake->orders);
	neep_list_init(&fake->contexts);
	neep_list_init(&fake->global.fences);
	neep_list_init(&fake->orphans.fences);
	*out = &fake->base;
	return 0;
}

static void fake_destroy(struct neep_component *base) {
	struct neep_fake *fake = fake_from_base(base);
	neep_assert(fake->counts.contexts == 0 && fake->counts.textures == 0 && fake->counts.blobs == 0);
	drain_ring(fake, &fake->global);
	drain_ring(fake, &fake->orphans);
	for (struct order *order; (order = next_order(fake)) != NULL;) {
		free(order);
	}
	neep_close_fd(&fake->event_fd);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

const struct neep_component_impl neep_fake_impl = {
	.name = "fake",
	.capset_mask = NEEP_FAKE_CAPSET_MASK,
	.create = fake_create,
	.destroy = fake_destroy,
	.capset_info = fake_capset_info,
	.capset = fake_capset,
	.create_context = fake_create_context,
	.create_3d = fake_create_3d,
	.create_fence = fake_create_fence,
	.event_fd = fake_event_fd,
	.dispatch = fake_dispatch,
};

int neep_fake_rutabaga_init(const struct rutabaga_builder *builder, struct rutabaga **rutabaga) {
	const struct neep_component_impl *extra[] = { &neep_fake_impl };
	struct rutabaga_builder with_fake = *builder;
	with_fake.capset_mask |= NEEP_FAKE_CAPSET_MASK;
	return neep_core_init(&with_fake, extra, 1, rutabaga);
}

struct neep_fake *neep_fake_of(struct rutabaga *rutabaga) {
	struct neep_component *component = neep_core_component(rutabaga, &neep_fake_impl);
	return component == NULL ? NULL : fake_from_base(component);
}

struct neep_fake_counts neep_fake_get_counts(const struct neep_fake *fake) {
	return fake->counts;
}

void neep_fake_stream_word(struct neep_fake_stream *stream, uint32_t word) {
	if (stream->count == NEEP_ARRAY_LEN(stream->words)) {
		stream->overflow = true;
		return;
	}
	stream->words[stream->count++] = word;
}

void neep_fake_stream_u64(struct neep_fake_stream *stream, uint64_t value) {
	neep_fake_stream_word(stream, (uint32_t)value);
	neep_fake_stream_word(stream, (uint32_t)(value >> 32));
}

void neep_fake_stream_blob(
	struct neep_fake_stream *stream, uint64_t blob_id, uint64_t size, uint32_t map_info, uint8_t fill) {
	neep_fake_stream_word(stream, NEEP_FAKE_OP_BLOB);
	neep_fake_stream_u64(stream, blob_id);
	neep_fake_stream_u64(stream, size);
	neep_fake_stream_word(stream, map_info);
	neep_fake_stream_word(stream, fill);
}

void neep_fake_stream_op(
	struct neep_fake_stream *stream, enum neep_fake_op op, const uint32_t *operands, size_t count) {
	neep_fake_stream_word(stream, op);
	for (size_t i = 0; i < count; i++) {
		neep_fake_stream_word(stream, operands[i]);
	}
}
