/* The order of packets over many streams. */
#include "support/cmocka.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/await.h"
#include "vulkan/sequence.h"

#define STREAMS 8
#define PACKETS 20000

static struct neep_vk_sequence sequence;
static uint32_t first;
static uint32_t order[PACKETS]; // seqnos as they were executed
static uint32_t executed;       // by the holder of the turn
static unsigned char stream_of[PACKETS];

static void *serve(void *arg) {
	unsigned char stream = (unsigned char)(uintptr_t)arg;
	uint32_t spins = 0;
	for (uint32_t i = 0; i < PACKETS; i++) {
		if (stream_of[i] == stream) {
			assert_int_equal(neep_vk_sequence_begin(&sequence, first + i, &spins), 0);
			order[executed++] = first + i;
			neep_vk_sequence_end(&sequence);
		}
	}
	return NULL;
}

static void run_all_from(uint32_t last) {
	pthread_t threads[STREAMS];
	neep_vk_sequence_init(&sequence, last);
	first = last + 1;
	executed = 0;
	srand(1);
	for (uint32_t i = 0; i < PACKETS; i++) {
		stream_of[i] = (unsigned char)(rand() % STREAMS);
	}
	for (uintptr_t i = 0; i < STREAMS; i++) {
		pthread_create(&threads[i], NULL, serve, (void *)i);
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		pthread_join(threads[i], NULL);
	}
	assert_int_equal(executed, PACKETS);
	for (uint32_t i = 0; i < PACKETS; i++) {
		assert_int_equal(order[i], first + i);
	}
}

static void packets_run_in_order_when_streams_take_them_at_random(void **state) {
	(void)state;
	run_all_from(0);
}

static void packets_run_in_order_when_the_count_wraps_around(void **state) {
	(void)state;
	run_all_from(UINT32_MAX - PACKETS / 2);
	run_all_from(INT32_MAX - PACKETS / 2);
}

static void begin_refuses_a_number_that_was_used(void **state) {
	(void)state;
	uint32_t spins = 0;
	neep_vk_sequence_init(&sequence, 0);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 0, &spins), -EPROTO);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 1, &spins), 0);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 1, &spins), -EPROTO);
	neep_vk_sequence_end(&sequence);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 1, &spins), -EPROTO);
	assert_int_equal(neep_vk_sequence_begin(&sequence, UINT32_MAX, &spins), -EPROTO);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 2, &spins), 0);
}

struct waiter {
	pthread_t thread;
	uint32_t seqno;
	int result;
};

static void *wait_for_turn(void *arg) {
	struct waiter *waiter = arg;
	uint32_t spins = 0;
	waiter->result = neep_vk_sequence_begin(&sequence, waiter->seqno, &spins);
	if (waiter->result == 0) {
		neep_vk_sequence_end(&sequence);
	}
	return NULL;
}

static void start(struct waiter *waiter, uint32_t seqno) {
	waiter->seqno = seqno;
	waiter->result = 1;
	pthread_create(&waiter->thread, NULL, wait_for_turn, waiter);
}

static void one_of_two_gets_the_turn_when_both_claim_it(void **state) {
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct waiter waiters[2];
		uint32_t spins = 0;
		neep_vk_sequence_init(&sequence, 0);
		assert_int_equal(neep_vk_sequence_begin(&sequence, 1, &spins), 0);
		start(&waiters[0], 2);
		start(&waiters[1], 2);
		if (round % 2 == 0) {
			usleep(200);
		}
		neep_vk_sequence_end(&sequence);
		pthread_join(waiters[0].thread, NULL);
		pthread_join(waiters[1].thread, NULL);
		assert_int_equal(waiters[0].result + waiters[1].result, -EPROTO);
	}
}

static uint64_t cpu_ns(void *data) {
	struct timespec ts;
	(void)data;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)(ts.tv_sec * NEEP_NS_PER_S + ts.tv_nsec);
}

static void a_hole_waits_without_cpu_until_the_stop(void **state) {
	(void)state;
	struct waiter waiters[STREAMS];
	neep_vk_sequence_init(&sequence, 0);
	for (uint32_t i = 0; i < STREAMS; i++) {
		start(&waiters[i], 2 + i * 37);
	}
	await_idle(cpu_ns, NULL, 200, 20 * NEEP_NS_PER_MS);
	neep_vk_sequence_stop(&sequence);
	for (unsigned i = 0; i < STREAMS; i++) {
		pthread_join(waiters[i].thread, NULL);
		assert_int_equal(waiters[i].result, -ECANCELED);
	}
}

static void begin_is_refused_after_the_stop(void **state) {
	(void)state;
	uint32_t spins = 0;
	neep_vk_sequence_init(&sequence, 0);
	neep_vk_sequence_stop(&sequence);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 1, &spins), -ECANCELED);
	assert_int_equal(neep_vk_sequence_begin(&sequence, 5, &spins), -ECANCELED);
}

int main(void) {
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_run_in_order_when_streams_take_them_at_random),
		cmocka_unit_test(packets_run_in_order_when_the_count_wraps_around),
		cmocka_unit_test(begin_refuses_a_number_that_was_used),
		cmocka_unit_test(one_of_two_gets_the_turn_when_both_claim_it),
		cmocka_unit_test(a_hole_waits_without_cpu_until_the_stop),
		cmocka_unit_test(begin_is_refused_after_the_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
