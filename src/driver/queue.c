#include "driver/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver/queue_internal.h"
#include "util/checked.h"
#include "util/fd.h"

#define QUEUE_SIZE_MAX 32768

/* Every id has a table of this many descriptors of its own; only longer chains allocate one. */
#define SMALL_TABLE_COUNT 4
#define SMALL_TABLE_LEN   (SMALL_TABLE_COUNT * sizeof(struct vring_desc))

static bool options_are_valid(const struct neep_queue_options *options) {
	return options->size >= 1 && options->size <= QUEUE_SIZE_MAX &&
	       (options->is_packed || neep_is_power_of_two(options->size));
}

static int allocate(struct neep_queue *queue) {
	uint32_t size = queue->options.size;
	queue->buffers = calloc(size, sizeof(*queue->buffers));
	queue->free_ids = calloc(size, sizeof(*queue->free_ids));
	queue->chain = calloc(size, sizeof(*queue->chain));
	if (queue->buffers == NULL || queue->free_ids == NULL || queue->chain == NULL) {
		return -ENOMEM;
	}
	uint64_t avail;
	uint64_t used;
	uint64_t len = queue->impl->layout(size, &avail, &used);
	/* Whole pages, so that the ring is aligned whatever its size. */
	int result = neep_guest_alloc(queue->memory, len + NEEP_GUEST_PAGE_SIZE, &queue->ring);
	if (result == 0) {
		result = neep_guest_alloc(queue->memory, size * SMALL_TABLE_LEN, &queue->tables);
	}
	if (result < 0) {
		return result;
	}
	queue->desc = queue->ring.first.host;
	queue->avail = (char *)queue->desc + avail;
	queue->used = (char *)queue->desc + used;
	queue->kick_fd = neep_eventfd_create();
	queue->call_fd = neep_eventfd_create();
	queue->err_fd = neep_eventfd_create();
	return queue->kick_fd < 0 || queue->call_fd < 0 || queue->err_fd < 0 ? -EMFILE : 0;
}

struct neep_queue *neep_queue_create(struct neep_guest_memory *memory,
	const struct neep_queue_options *options, struct neep_error *error) {
	if (!options_are_valid(options)) {
		neep_error_set(error, EINVAL, "a ring of %u entries", options->size);
		return NULL;
	}
	struct neep_queue *queue = calloc(1, sizeof(*queue));
	if (queue == NULL) {
		neep_error_set(error, ENOMEM, "a ring of %u entries", options->size);
		return NULL;
	}
	queue->impl = options->is_packed ? &neep_queue_packed_impl : &neep_queue_split_impl;
	queue->options = *options;
	queue->memory = memory;
	queue->kick_fd = -1;
	queue->call_fd = -1;
	queue->err_fd = -1;
	int result = allocate(queue);
	if (result < 0) {
		neep_error_set(error, -result, "a ring of %u entries", options->size);
		neep_queue_destroy(queue);
		return NULL;
	}
	neep_queue_reset(queue);
	return queue;
}

/* The indirect table of `count` descriptors for the buffer under `id`. */
static int table_take(
	struct neep_queue *queue, struct neep_queue_buffer *buffer, uint16_t id, uint32_t count) {
	if (count > SMALL_TABLE_COUNT) {
		return neep_guest_alloc(queue->memory, count * sizeof(struct vring_desc), &buffer->table);
	}
	uint64_t offset = id * SMALL_TABLE_LEN;
	buffer->table = (struct neep_guest_buffer){
		.size = count * sizeof(struct vring_desc),
		.first = {
			.guest_addr = queue->tables.first.guest_addr + offset,
			.host = (char *)queue->tables.first.host + offset,
			.len = count * sizeof(struct vring_desc),
		},
	};
	return 0;
}

static void table_give(struct neep_queue *queue, struct neep_queue_buffer *buffer) {
	if (buffer->table.size > SMALL_TABLE_LEN) {
		neep_guest_free(queue->memory, &buffer->table);
	}
	buffer->table = (struct neep_guest_buffer){ 0 };
}

static void forget_buffers(struct neep_queue *queue) {
	for (uint32_t i = 0; queue->buffers != NULL && i < queue->options.size; i++) {
		if (queue->buffers[i] != NULL) {
			table_give(queue, queue->buffers[i]);
			queue->buffers[i] = NULL;
		}
	}
}

void neep_queue_destroy(struct neep_queue *queue) {
	if (queue == NULL) {
		return;
	}
	forget_buffers(queue);
	neep_guest_free(queue->memory, &queue->ring);
	neep_guest_free(queue->memory, &queue->tables);
	neep_close_fd(&queue->kick_fd);
	neep_close_fd(&queue->call_fd);
	neep_close_fd(&queue->err_fd);
	free(queue->buffers);
	free(queue->free_ids);
	free(queue->chain);
	free(queue);
}

void neep_queue_reset(struct neep_queue *queue) {
	forget_buffers(queue);
	memset(queue->ring.first.host, 0, queue->ring.size);
	for (uint32_t i = 0; i < queue->options.size; i++) {
		queue->free_ids[i] = (uint16_t)(queue->options.size - 1 - i);
	}
	queue->free_id_count = queue->options.size;
	queue->free_slots = queue->options.size;
	queue->outstanding = 0;
	queue->is_broken = false;
	queue->next_avail = 0;
	queue->last_kicked = 0;
	queue->last_used = 0;
	queue->added = 0;
	queue->avail_wrap = true;
	queue->used_wrap = true;
}

struct neep_queue_setup neep_queue_setup(const struct neep_queue *queue) {
	return (struct neep_queue_setup){
		.size = queue->options.size,
		.desc = queue->desc,
		.avail = queue->avail,
		.used = queue->used,
		.base = queue->impl->base(queue),
	};
}

int neep_queue_kick_fd(const struct neep_queue *queue) {
	return queue->kick_fd;
}

int neep_queue_call_fd(const struct neep_queue *queue) {
	return queue->call_fd;
}

int neep_queue_err_fd(const struct neep_queue *queue) {
	return queue->err_fd;
}

/* A descriptor's length has 32 bits. */
static bool pieces_fit(const struct neep_queue_buffer *buffer, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		if (buffer->pieces[i].len > UINT32_MAX) {
			return false;
		}
	}
	return count > 0;
}

int neep_queue_add(struct neep_queue *queue, struct neep_queue_buffer *buffer) {
	uint32_t count = buffer->readable_count + buffer->writable_count;
	if (!pieces_fit(buffer, count)) {
		return -EINVAL;
	}
	bool is_indirect = queue->options.has_indirect && count > 1;
	uint32_t slots = is_indirect ? 1 : count;
	if (slots > queue->options.size) {
		return -E2BIG;
	}
	if (slots > queue->free_slots) {
		return -ENOSPC;
	}
	uint16_t id = queue->free_ids[queue->free_id_count - 1];
	buffer->table = (struct neep_guest_buffer){ 0 };
	int result = is_indirect ? table_take(queue, buffer, id, count) : 0;
	if (result < 0) {
		return result;
	}
	queue->free_id_count--;
	buffer->slots = slots;
	queue->buffers[id] = buffer;
	queue->free_slots -= slots;
	queue->outstanding++;
	queue->impl->add(queue, buffer, id);
	return 0;
}

void neep_queue_publish(struct neep_queue *queue) {
	if (queue->impl->publish != NULL) {
		queue->impl->publish(queue);
	}
}

bool neep_queue_kick(struct neep_queue *queue) {
	neep_queue_publish(queue);
	neep_queue_full_fence();
	if (!queue->impl->wants_kick(queue)) {
		return false;
	}
	neep_eventfd_signal(queue->kick_fd);
	return true;
}

bool neep_queue_has_used(const struct neep_queue *queue) {
	return !queue->is_broken && queue->impl->has_used(queue);
}

static struct neep_queue_buffer *take_buffer(struct neep_queue *queue, uint32_t id) {
	if (id >= queue->options.size || queue->buffers[id] == NULL) {
		return NULL;
	}
	struct neep_queue_buffer *buffer = queue->buffers[id];
	queue->buffers[id] = NULL;
	queue->free_slots += buffer->slots;
	queue->outstanding--;
	table_give(queue, buffer);
	return buffer;
}

/* Split rings use descriptor slots as ids: all slots of a chain come back, not only its head. */
static void free_ids(struct neep_queue *queue, uint16_t id, uint32_t slots) {
	uint32_t count = queue->options.is_packed ? 1 : slots;
	for (uint32_t i = 0; i < count; i++) {
		queue->free_ids[queue->free_id_count++] = id;
		id = queue->chain[id];
	}
}

struct neep_queue_buffer *neep_queue_get(struct neep_queue *queue) {
	if (!neep_queue_has_used(queue)) {
		return NULL;
	}
	uint32_t id;
	uint32_t used_len;
	queue->impl->read_used(queue, &id, &used_len);
	struct neep_queue_buffer *buffer = take_buffer(queue, id);
	if (buffer == NULL) {
		queue->is_broken = true;
		return NULL;
	}
	buffer->used_len = used_len;
	queue->impl->advance_used(queue, buffer->slots);
	free_ids(queue, (uint16_t)id, buffer->slots);
	return buffer;
}

bool neep_queue_arm(struct neep_queue *queue) {
	queue->impl->arm(queue);
	neep_queue_full_fence();
	return neep_queue_has_used(queue);
}

void neep_queue_disarm(struct neep_queue *queue) {
	queue->impl->disarm(queue);
}

uint32_t neep_queue_outstanding(const struct neep_queue *queue) {
	return queue->outstanding;
}

uint32_t neep_queue_free_slots(const struct neep_queue *queue) {
	return queue->free_slots;
}

bool neep_queue_is_broken(const struct neep_queue *queue) {
	return queue->is_broken;
}

struct neep_queue_raw neep_queue_raw(const struct neep_queue *queue) {
	if (queue->options.is_packed) {
		return (struct neep_queue_raw){
			.packed = queue->desc,
			.driver_event = queue->avail,
			.device_event = queue->used,
		};
	}
	return (struct neep_queue_raw){ .desc = queue->desc, .avail = queue->avail, .used = queue->used };
}

void neep_queue_raw_publish(struct neep_queue *queue, uint16_t head) {
	queue->impl->raw_publish(queue, head);
	neep_eventfd_signal(queue->kick_fd);
}

bool neep_queue_raw_get(struct neep_queue *queue, uint32_t *id, uint32_t *used_len) {
	if (!queue->impl->has_used(queue)) {
		return false;
	}
	queue->impl->read_used(queue, id, used_len);
	queue->impl->advance_used(queue, 1);
	return true;
}

uint16_t neep_queue_raw_next(const struct neep_queue *queue, uint16_t *flags) {
	return queue->impl->raw_next(queue, flags);
}
