/* Threads that have a ring as Mesa's gfxstream driver makes them: how they wait, and what becomes of their wake-ups. The device's
 * component is the fake, which knows neither of the two commands. Runs under `neep run`. */
#include "support/cmocka.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "asg/bell.h"
#include "asg/layout.h"
#include "asg/ring.h"
#include "support/fd_check.h"
#include "virtgpu/render_node.h"

#define RING_SIZE ((size_t)NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE)
#define CREATE    0x1001
#define PING      0x1002

struct ring {
	int fd;
	struct node_blob blob;
	uint8_t *base;
};

static void send_command(const struct ring *ring, uint32_t opcode, uint32_t resource_id, bool names_blob) {
	struct neep_fake_stream stream = { .words = { opcode, resource_id }, .count = 2 };
	struct node_submit submit = {
		.stream = &stream,
		.handles = &ring->blob.handle,
		.handle_count = names_blob,
		.ring = -1,
		.fence_in = -1,
	};
	assert_int_equal(node_submit(ring->fd, &submit), 0);
}

static void ping(const struct ring *ring) {
	send_command(ring, PING, ring->blob.resource_id, false);
}

static _Atomic uint32_t *word(const struct ring *ring, uint32_t offset) {
	return neep_asg_bell_word(ring->base + NEEP_ASG_BELL_PAGE, offset);
}

static void ring_open(struct ring *ring) {
	ring->fd = node_open_context();
	assert_int_equal(node_blob_create(ring->fd, RING_SIZE, 0, &ring->blob), 0);
	send_command(ring, CREATE, ring->blob.resource_id, true);
	ring->base = node_map(ring->fd, ring->blob.handle, RING_SIZE);
	assert_non_null(ring->base);
}

static void ring_close(struct ring *ring) {
	munmap(ring->base, RING_SIZE);
	close(ring->fd);
}

/* What a thread remembers of its ring ends with it. */
static void run_in_thread(void *(*function)(void *), void *data) {
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, function, data), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void check_bell(const struct ring *ring, uint32_t wait, uint32_t bell) {
	assert_int_equal(atomic_load(word(ring, NEEP_ASG_HOST_WAIT)), wait);
	assert_int_equal(atomic_load(word(ring, NEEP_ASG_HOST_BELL)), bell);
}

static void *ping_own_ring(void *data) {
	struct ring *ring = data;
	ring_open(ring);
	ping(ring);
	check_bell(ring, NEEP_ASG_UNSERVED, 0);
	atomic_store(word(ring, NEEP_ASG_HOST_WAIT), NEEP_ASG_AWAKE);
	ping(ring);
	check_bell(ring, NEEP_ASG_AWAKE, 0);
	for (uint32_t i = 1; i <= 3; i++) {
		atomic_store(word(ring, NEEP_ASG_HOST_WAIT), NEEP_ASG_ASLEEP);
		ping(ring);
		ping(ring);
		check_bell(ring, NEEP_ASG_AWAKE, i);
	}
	atomic_store(word(ring, NEEP_ASG_HOST_WAIT), NEEP_ASG_ASLEEP);
	send_command(ring, PING, ring->blob.resource_id + 1, false);
	send_command(ring, PING, ring->blob.resource_id, true);
	send_command(ring, CREATE, ring->blob.resource_id, false);
	check_bell(ring, NEEP_ASG_ASLEEP, 3);
	return NULL;
}

static void ping_of_own_ring_rings_the_bell_of_a_sleeper(void **state) {
	(void)state;
	struct ring ring;
	run_in_thread(ping_own_ring, &ring);
	ring_close(&ring);
}

static void *open_in_thread(void *data) {
	ring_open(data);
	return NULL;
}

static void ping_of_another_thread_s_ring_is_the_device_s(void **state) {
	(void)state;
	struct ring ring;
	run_in_thread(open_in_thread, &ring);
	atomic_store(word(&ring, NEEP_ASG_HOST_WAIT), NEEP_ASG_ASLEEP);
	ping(&ring);
	check_bell(&ring, NEEP_ASG_ASLEEP, 0);
	ring_close(&ring);
}

static void *wake_host(void *data) {
	const struct ring *ring = data;
	neep_asg_bell_wait(word(ring, NEEP_ASG_HOST_BELL), 0, NULL);
	/* The answer to whom the ping woke: now the guest is told. */
	while (atomic_load(word(ring, NEEP_ASG_SLEEPER)) == 0) {
		usleep(100);
	}
	atomic_store(word(ring, NEEP_ASG_SLEEPER), 0);
	neep_asg_bell_ring(word(ring, NEEP_ASG_BELL));
	return NULL;
}

static void *wake_and_wait(void *data) {
	struct ring *ring = data;
	pthread_t host;
	ring_open(ring);
	assert_int_equal(pthread_create(&host, NULL, wake_host, ring), 0);
	usleep(10000);
	atomic_store(word(ring, NEEP_ASG_HOST_WAIT), NEEP_ASG_ASLEEP);
	ping(ring);
	while (atomic_load(word(ring, NEEP_ASG_BELL)) == 0) {
		sched_yield();
	}
	assert_int_equal(pthread_join(host, NULL), 0);
	return NULL;
}

static void thread_sleeps_until_its_ring_s_bell_rings(void **state) {
	(void)state;
	struct ring ring;
	run_in_thread(wake_and_wait, &ring);
	ring_close(&ring);
}

/* The first call of a wait: the thread has sent something since the last one. Returns whether it will sleep at the next. */
static bool begin_wait(const struct ring *ring) {
	atomic_fetch_add((_Atomic uint32_t *)(void *)(ring->base + NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS), 8);
	atomic_store(word(ring, NEEP_ASG_SLEEPER), 0);
	sched_yield();
	return atomic_load(word(ring, NEEP_ASG_SLEEPER)) == 1;
}

/* Looks in vain, and is woken at once. */
static void sleep_once(const struct ring *ring) {
	while (atomic_load(word(ring, NEEP_ASG_SLEEPER)) == 0) {
		sched_yield();
	}
	atomic_fetch_add(word(ring, NEEP_ASG_BELL), 1);
	sched_yield();
}

static void *wait_in_many_ways(void *data) {
	struct ring *ring = data;
	ring_open(ring);
	int at_once = 0;
	for (int i = 0; i < 100; i++) {
		begin_wait(ring);
		sleep_once(ring);
	}
	for (int i = 0; i < 20; i++) {
		at_once += begin_wait(ring);
		sleep_once(ring);
	}
	assert_true(at_once >= 15);
	/* What it waits for is there at once: it finds that out. */
	for (int i = 0; i < 500; i++) {
		begin_wait(ring);
	}
	at_once = 0;
	for (int i = 0; i < 20; i++) {
		at_once += begin_wait(ring);
	}
	assert_true(at_once <= 5);
	return NULL;
}

static void wait_sleeps_at_once_when_looking_was_in_vain(void **state) {
	(void)state;
	struct ring ring;
	run_in_thread(wait_in_many_ways, &ring);
	ring_close(&ring);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(ping_of_own_ring_rings_the_bell_of_a_sleeper),
		fd_checked_test(ping_of_another_thread_s_ring_is_the_device_s),
		fd_checked_test(thread_sleeps_until_its_ring_s_bell_rings),
		fd_checked_test(wait_sleeps_at_once_when_looking_was_in_vain),
	};
	/* The connection to the node stays open: made before the fds are counted. */
	close(node_open());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
