/* Both sides of a ring in one process: the driver's queue.h against the device's virtio/vring.h, which were written apart
 * from each other, in every format and with every feature. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/memory.h"
#include "driver/queue.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/iov.h"
#include "util/macros.h"
#include "virtio/memory.h"
#include "virtio/vring.h"

struct pair {
	struct neep_guest_memory *guest;
	struct neep_queue *queue;
	struct neep_memory *memory;
	struct neep_vring *vring;
};

static void open_pair(struct pair *p, const struct neep_queue_options *options) {
	struct neep_guest_layout layout = { .size = 16 << 20, .region_count = 2, .gap = 1 << 20 };
	p->guest = neep_guest_memory_create(&layout, NULL);
	assert_non_null(p->guest);
	p->queue = neep_queue_create(p->guest, options, NULL);
	assert_non_null(p->queue);
	p->memory = neep_memory_create();
	for (size_t i = 0; i < neep_guest_region_count(p->guest); i++) {
		const struct neep_guest_region *region = neep_guest_region(p->guest, i);
		struct neep_memory_region_info info = {
			.guest_addr = region->guest_addr,
			.size = region->size,
			.user_addr = (uintptr_t)region->host,
			.mmap_offset = region->fd_offset,
		};
		int fd = fcntl(region->fd, F_DUPFD_CLOEXEC, 0);
		assert_int_equal(neep_memory_add(p->memory, &info, fd, NULL), 0);
	}
	p->vring = neep_vring_create(p->memory);
	struct neep_queue_setup setup = neep_queue_setup(p->queue);
	struct neep_vring_layout lens = neep_vring_layout(setup.size, options->is_packed);
	struct neep_vring_config config = {
		.size = setup.size,
		.is_packed = options->is_packed,
		.has_event_idx = options->has_event_idx,
		.has_indirect = options->has_indirect,
		.desc = neep_memory_translate_user(p->memory, (uintptr_t)setup.desc, lens.desc_len),
		.avail = neep_memory_translate_user(p->memory, (uintptr_t)setup.avail, lens.avail_len),
		.used = neep_memory_translate_user(p->memory, (uintptr_t)setup.used, lens.used_len),
		.base = setup.base,
	};
	struct neep_error error = { 0 };
	assert_int_equal(neep_vring_start(p->vring, &config, &error), 0);
	neep_vring_set_call_fd(p->vring, fcntl(neep_queue_call_fd(p->queue), F_DUPFD_CLOEXEC, 0));
	neep_eventfd_drain(neep_queue_call_fd(p->queue));
}

static void close_pair(struct pair *p) {
	neep_vring_destroy(p->vring);
	neep_memory_destroy(p->memory);
	neep_queue_destroy(p->queue);
	neep_guest_memory_destroy(p->guest);
}

static bool is_signalled(int fd) {
	uint64_t count;
	return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* Every combination of format, EVENT_IDX and INDIRECT_DESC. */
static struct neep_queue_options variant(unsigned int i, uint32_t size) {
	return (struct neep_queue_options){
		.size = size,
		.is_packed = (i & 1) != 0,
		.has_event_idx = (i & 2) != 0,
		.has_indirect = (i & 4) != 0,
	};
}
#define VARIANTS 8

/* A buffer of `readable` and `writable` pieces of 8 bytes each, filled with `tag`. */
#define PIECES_MAX 12
struct job {
	struct neep_queue_buffer buffer;
	struct neep_guest_buffer memory;
	struct neep_guest_piece pieces[PIECES_MAX];
	struct neep_vring_element *element; // while the device has it
	uint64_t tag;
	bool is_out;
};

static int job_submit(struct pair *p, struct job *job, uint32_t readable, uint32_t writable, uint64_t tag) {
	uint32_t count = readable + writable;
	assert_int_equal(neep_guest_alloc(p->guest, count * 16, &job->memory), 0);
	for (uint32_t i = 0; i < count; i++) {
		job->pieces[i] = (struct neep_guest_piece){
			.guest_addr = job->memory.first.guest_addr + i * 16,
			.host = (char *)job->memory.first.host + i * 16,
			.len = 8,
		};
		uint64_t value = i < readable ? tag + i : 0;
		memcpy(job->pieces[i].host, &value, sizeof(value));
	}
	job->tag = tag;
	job->buffer = (struct neep_queue_buffer){
		.pieces = job->pieces,
		.readable_count = readable,
		.writable_count = writable,
	};
	int result = neep_queue_add(p->queue, &job->buffer);
	neep_queue_publish(p->queue);
	job->is_out = result == 0;
	if (result < 0) {
		neep_guest_free(p->guest, &job->memory);
	}
	return result;
}

/* The device reads what it got and answers with the tag in every writable piece. */
static struct neep_vring_element *device_pop(struct pair *p, uint64_t *tag) {
	struct neep_vring_element *element = NULL;
	int result = neep_vring_pop(p->vring, &element);
	assert_true(result >= 0);
	if (result == 0) {
		return NULL;
	}
	*tag = 0;
	for (uint64_t i = 0; i < element->readable_size / 8; i++) {
		uint64_t value;
		assert_int_equal(
			neep_iov_read(element->readable, element->readable_count, i * 8, &value, 8), 8);
		if (i == 0) {
			*tag = value;
		}
		assert_int_equal(value, *tag + i);
	}
	return element;
}

static void device_push(struct pair *p, struct neep_vring_element *element, uint64_t tag) {
	uint64_t reply[PIECES_MAX];
	for (size_t i = 0; i < PIECES_MAX; i++) {
		reply[i] = ~tag - i;
	}
	uint64_t len = element->writable_size;
	assert_int_equal(neep_vring_push(p->vring, element, reply, len), len);
}

static struct job *driver_get(struct pair *p) {
	struct neep_queue_buffer *buffer = neep_queue_get(p->queue);
	if (buffer == NULL) {
		return NULL;
	}
	struct job *job = neep_container_of(buffer, struct job, buffer);
	assert_true(job->is_out);
	job->is_out = false;
	assert_int_equal(buffer->used_len, buffer->writable_count * 8);
	for (uint32_t i = 0; i < buffer->writable_count; i++) {
		uint64_t value;
		memcpy(&value, job->pieces[buffer->readable_count + i].host, sizeof(value));
		assert_int_equal(value, ~job->tag - i);
	}
	neep_guest_free(p->guest, &job->memory);
	return job;
}

static void buffer_travels_both_ways(void **state) {
	(void)state;
	for (unsigned int i = 0; i < VARIANTS; i++) {
		struct pair p;
		struct neep_queue_options options = variant(i, 8);
		open_pair(&p, &options);
		struct job job;
		assert_int_equal(job_submit(&p, &job, 3, 2, 1000), 0);
		uint64_t tag;
		struct neep_vring_element *element = device_pop(&p, &tag);
		assert_non_null(element);
		assert_int_equal(tag, 1000);
		assert_int_equal(element->readable_size, 24);
		assert_int_equal(element->writable_size, 16);
		assert_null(device_pop(&p, &tag));
		assert_false(neep_queue_has_used(p.queue));
		device_push(&p, element, tag);
		assert_ptr_equal(driver_get(&p), &job);
		assert_null(driver_get(&p));
		assert_int_equal(neep_queue_free_slots(p.queue), 8);
		close_pair(&p);
	}
}

static void completion_comes_in_the_order_of_the_device(void **state) {
	(void)state;
	for (unsigned int i = 0; i < VARIANTS; i++) {
		struct pair p;
		struct neep_queue_options options = variant(i, 8);
		open_pair(&p, &options);
		struct job jobs[3];
		struct neep_vring_element *elements[3];
		uint64_t tags[3];
		for (int round = 0; round < 20; round++) {
			for (int j = 0; j < 3; j++) {
				assert_int_equal(job_submit(&p, &jobs[j], 1, 1, 100 * (uint64_t)j), 0);
				elements[j] = device_pop(&p, &tags[j]);
			}
			for (int j = 2; j >= 0; j--) {
				device_push(&p, elements[j], tags[j]);
				assert_ptr_equal(driver_get(&p), &jobs[j]);
			}
		}
		close_pair(&p);
	}
}

static void add_says_when_the_ring_is_full(void **state) {
	(void)state;
	for (unsigned int i = 0; i < VARIANTS; i++) {
		struct pair p;
		struct neep_queue_options options = variant(i, 4);
		open_pair(&p, &options);
		uint32_t fit = options.has_indirect ? 4 : 2;
		struct job jobs[5];
		for (uint32_t j = 0; j < fit; j++) {
			assert_int_equal(job_submit(&p, &jobs[j], 1, 1, j), 0);
		}
		assert_int_equal(job_submit(&p, &jobs[4], 1, 1, 9), -ENOSPC);
		assert_int_equal(neep_queue_outstanding(p.queue), fit);
		uint64_t tag;
		struct neep_vring_element *element = device_pop(&p, &tag);
		device_push(&p, element, tag);
		assert_non_null(driver_get(&p));
		assert_int_equal(job_submit(&p, &jobs[4], 1, 1, 9), 0);
		close_pair(&p);
	}
}

static void add_refuses_what_never_fits(void **state) {
	(void)state;
	for (unsigned int i = 0; i < VARIANTS; i++) {
		struct pair p;
		struct neep_queue_options options = variant(i, 4);
		open_pair(&p, &options);
		struct job job;
		assert_int_equal(job_submit(&p, &job, 4, 1, 0), options.has_indirect ? 0 : -E2BIG);
		struct neep_queue_buffer empty = { 0 };
		assert_int_equal(neep_queue_add(p.queue, &empty), -EINVAL);
		struct neep_guest_piece long_piece = { .len = UINT64_C(1) << 32 };
		struct neep_queue_buffer too_long = { .pieces = &long_piece, .readable_count = 1 };
		assert_int_equal(neep_queue_add(p.queue, &too_long), -EINVAL);
		close_pair(&p);
	}
}

static void queue_breaks_when_the_device_invents_an_id(void **state) {
	(void)state;
	struct pair p;
	struct neep_queue_options options = variant(0, 8);
	open_pair(&p, &options);
	struct job job;
	assert_int_equal(job_submit(&p, &job, 1, 1, 0), 0);
	struct neep_queue_raw raw = neep_queue_raw(p.queue);
	raw.used->ring[0] = (struct vring_used_elem){ .id = 77 };
	raw.used->idx = 1;
	assert_null(neep_queue_get(p.queue));
	assert_true(neep_queue_is_broken(p.queue));
	neep_queue_reset(p.queue);
	assert_false(neep_queue_is_broken(p.queue));
	close_pair(&p);
}

/* ---- both sides at random, over many laps, with sleeping and waking ---- */

#define JOBS_MAX 300
struct world {
	struct pair p;
	struct job jobs[JOBS_MAX];
	struct neep_vring_element *held[JOBS_MAX]; // by the device
	uint64_t held_tags[JOBS_MAX];
	size_t held_count;
	bool device_sleeps;
	bool driver_sleeps;
	uint64_t submitted, popped, completed;
	uint32_t random;
};

static uint32_t roll(struct world *w, uint32_t below) {
	w->random = w->random * 1664525u + 1013904223u;
	return (w->random >> 10) % below;
}

static void driver_step(struct world *w) {
	for (uint32_t burst = roll(w, 4); burst > 0; burst--) {
		size_t i = 0;
		while (i < JOBS_MAX && w->jobs[i].is_out) {
			i++;
		}
		uint32_t readable = 1 + roll(w, 4);
		uint32_t writable = roll(w, 4);
		if (i == JOBS_MAX ||
			job_submit(&w->p, &w->jobs[i], readable, writable, w->submitted * 16) < 0) {
			break;
		}
		w->submitted++;
	}
	if (neep_queue_kick(w->p.queue)) {
		w->device_sleeps = false;
	}
	/* A sleeping device with work and no kick would sleep for ever. */
	assert_false(w->device_sleeps && neep_vring_has_work(w->p.vring));
	if (!w->driver_sleeps) {
		for (uint32_t burst = roll(w, 6); burst > 0 && driver_get(&w->p) != NULL; burst--) {
			w->completed++;
		}
		if (roll(w, 3) == 0) {
			w->driver_sleeps = !neep_queue_arm(w->p.queue);
		} else if (roll(w, 3) == 0) {
			neep_queue_disarm(w->p.queue);
		}
	}
}

static void device_step(struct world *w) {
	uint64_t tag;
	struct neep_vring_element *element;
	if (w->device_sleeps) {
		return;
	}
	for (uint32_t burst = roll(w, 5); burst > 0 && (element = device_pop(&w->p, &tag)) != NULL; burst--) {
		assert_int_equal(tag, w->popped * 16); // in the order of submission
		w->popped++;
		w->held[w->held_count] = element;
		w->held_tags[w->held_count++] = tag;
	}
	for (uint32_t burst = roll(w, 5); burst > 0 && w->held_count > 0; burst--) {
		uint32_t i = roll(w, (uint32_t)w->held_count);
		device_push(&w->p, w->held[i], w->held_tags[i]);
		w->held_count--;
		w->held[i] = w->held[w->held_count];
		w->held_tags[i] = w->held_tags[w->held_count];
	}
	neep_vring_notify(w->p.vring);
	if (is_signalled(neep_queue_call_fd(w->p.queue))) {
		w->driver_sleeps = false;
	}
	assert_false(w->driver_sleeps && neep_queue_has_used(w->p.queue));
	if (w->held_count == 0 && roll(w, 3) == 0) {
		w->device_sleeps = !neep_vring_enable_kick(w->p.vring);
	} else if (roll(w, 3) == 0) {
		neep_vring_disable_kick(w->p.vring);
	}
}

static void run_world(unsigned int i, uint32_t size) {
	struct world *w = calloc(1, sizeof(*w));
	struct neep_queue_options options = variant(i, size);
	open_pair(&w->p, &options);
	w->random = i * 7919 + size;
	/* Until free-running indices have wrapped. */
	for (int step = 0; w->completed <= 70000; step++) {
		assert_true(step < 1000000);
		driver_step(w);
		device_step(w);
	}
	assert_false(neep_queue_is_broken(w->p.queue));
	assert_false(neep_vring_is_broken(w->p.vring));
	close_pair(&w->p);
	free(w);
}

static void both_sides_agree_over_many_laps(void **state) {
	(void)state;
	for (unsigned int i = 0; i < VARIANTS; i++) {
		run_world(i, 8);
		run_world(i, 256);
	}
}

/* A packed ring may have any size. */
static void packed_rings_of_odd_size_agree(void **state) {
	(void)state;
	for (unsigned int i = 1; i < VARIANTS; i += 2) {
		run_world(i, 13);
	}
}

static void raw_descriptors_reach_the_device(void **state) {
	(void)state;
	struct pair p;
	struct neep_queue_options options = variant(0, 8);
	open_pair(&p, &options);
	struct neep_guest_buffer memory;
	assert_int_equal(neep_guest_alloc(p.guest, 64, &memory), 0);
	struct neep_queue_raw raw = neep_queue_raw(p.queue);
	raw.desc[5] = (struct vring_desc){ .addr = memory.first.guest_addr, .len = 24 };
	neep_queue_raw_publish(p.queue, 5);
	struct neep_vring_element *element;
	assert_int_equal(neep_vring_pop(p.vring, &element), 1);
	assert_int_equal(element->readable_size, 24);
	neep_vring_push(p.vring, element, NULL, 0);
	uint32_t id;
	uint32_t used_len;
	assert_true(neep_queue_raw_get(p.queue, &id, &used_len));
	assert_int_equal(id, 5);
	assert_int_equal(used_len, 0);
	assert_false(neep_queue_raw_get(p.queue, &id, &used_len));
	neep_guest_free(p.guest, &memory);
	close_pair(&p);
}

static void raw_packed_descriptors_reach_the_device(void **state) {
	(void)state;
	struct pair p;
	struct neep_queue_options options = variant(1, 4);
	open_pair(&p, &options);
	struct neep_guest_buffer memory;
	assert_int_equal(neep_guest_alloc(p.guest, 64, &memory), 0);
	for (uint16_t lap = 0; lap < 10; lap++) {
		uint16_t flags;
		uint16_t slot = neep_queue_raw_next(p.queue, &flags);
		assert_int_equal(slot, lap % 4);
		struct vring_packed_desc *desc = &neep_queue_raw(p.queue).packed[slot];
		*desc = (struct vring_packed_desc){
			.addr = memory.first.guest_addr,
			.len = 40,
			.id = lap,
			.flags = flags,
		};
		neep_queue_raw_publish(p.queue, 0);
		struct neep_vring_element *element;
		assert_int_equal(neep_vring_pop(p.vring, &element), 1);
		assert_int_equal(element->readable_size, 40);
		neep_vring_push(p.vring, element, NULL, 0);
		uint32_t id;
		uint32_t used_len;
		assert_true(neep_queue_raw_get(p.queue, &id, &used_len));
		assert_int_equal(id, lap);
	}
	neep_guest_free(p.guest, &memory);
	close_pair(&p);
}

static void create_refuses_bad_sizes(void **state) {
	(void)state;
	struct neep_guest_layout layout = { .size = 4 << 20, .region_count = 1 };
	struct neep_guest_memory *guest = neep_guest_memory_create(&layout, NULL);
	static const uint32_t bad[] = { 0, 3, 32769, 65536 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct neep_queue_options options = { .size = bad[i] };
		assert_null(neep_queue_create(guest, &options, NULL));
	}
	struct neep_queue_options huge = { .size = 32768 };
	struct neep_error error = { 0 };
	assert_non_null(guest);
	struct neep_queue *queue = neep_queue_create(guest, &huge, &error);
	assert_non_null(queue); // 2916 KiB of 4 MiB
	assert_null(neep_queue_create(guest, &huge, &error));
	assert_int_equal(error.code, ENOMEM);
	neep_queue_destroy(queue);
	neep_guest_memory_destroy(guest);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(buffer_travels_both_ways),
		fd_checked_test(completion_comes_in_the_order_of_the_device),
		fd_checked_test(add_says_when_the_ring_is_full),
		fd_checked_test(add_refuses_what_never_fits),
		fd_checked_test(queue_breaks_when_the_device_invents_an_id),
		fd_checked_test(both_sides_agree_over_many_laps),
		fd_checked_test(packed_rings_of_odd_size_agree),
		fd_checked_test(raw_descriptors_reach_the_device),
		fd_checked_test(raw_packed_descriptors_reach_the_device),
		fd_checked_test(create_refuses_bad_sizes),
	};
	return cmocka_run_group_tests_name("driver's rings against the device's", tests, NULL, NULL);
}
