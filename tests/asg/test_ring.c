#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "asg/bell.h"
#include "asg/consumer.h"
#include "asg/guest.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/macros.h"

#define SPIN_NS (20 * NEEP_NS_PER_US)

static uint32_t load(struct asg_guest *guest, uint32_t page, uint32_t word) {
	return asg_guest_load(guest, page + word);
}

/* Sends a request as a record and takes its reply. */
static void ask(struct asg_guest *guest, uint32_t payload, uint32_t reply) {
	struct asg_request request = { .payload = payload, .reply = reply };
	uint8_t *buf = malloc(sizeof(request) + payload + reply + 1);
	assert_non_null(buf);
	memcpy(buf, &request, sizeof(request));
	memset(buf + sizeof(request), 7, payload);
	bool fits = sizeof(request) + payload <= NEEP_ASG_FLUSH_INTERVAL;
	assert_true(fits ? asg_guest_send(guest, buf, sizeof(request) + payload)
			 : asg_guest_send_large(guest, buf, sizeof(request) + payload, true));
	asg_guest_receive(guest, buf, reply);
	for (uint32_t i = 0; i < reply; i++) {
		assert_int_equal(buf[i], (uint8_t)(i + (payload > 0 ? 7 : 0)));
	}
	free(buf);
}

static void prepare_writes_what_the_guest_reads(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	memset(guest->base, 0xff, NEEP_ASG_BUFFER_OFFSET);
	assert_int_equal(neep_asg_prepare(guest->memory_fd, ASG_GUEST_SIZE), 0);
	assert_int_equal(asg_guest_load(guest, 2180), 1048576);
	assert_int_equal(asg_guest_load(guest, 2184), 65536);
	assert_int_equal(asg_guest_load(guest, 2188), 0);
	assert_int_equal(asg_guest_load(guest, 2196), 1);
	assert_int_equal(asg_guest_load(guest, 2204), 0);
	assert_int_equal(asg_guest_load(guest, 0x0008), 0);
	assert_int_equal(asg_guest_load(guest, 0x2040), 0);
	assert_int_equal(NEEP_ASG_BUFFER_SIZE % NEEP_ASG_FLUSH_INTERVAL, 0);
	assert_int_equal(neep_asg_prepare(guest->memory_fd, ASG_GUEST_SIZE - 1), -EINVAL);
	assert_int_equal(neep_asg_prepare(-1, ASG_GUEST_SIZE), -EBADF);
	asg_guest_destroy(guest);
}

static void create_refuses_a_memory_that_is_too_small(void **state) {
	(void)state;
	struct neep_asg_options options = { .spin_ns = 0 };
	struct neep_error error;
	assert_null(neep_asg_ring_create(neep_memfd_create("ring", 4096), ASG_GUEST_SIZE, &options, &error));
	assert_null(neep_asg_ring_create(neep_memfd_create("ring", ASG_GUEST_SIZE), 4096, &options, &error));
	assert_null(neep_asg_ring_create(-1, ASG_GUEST_SIZE, &options, &error));
	neep_asg_ring_destroy(NULL);
}

static void replies_are_exact_for_all_sizes(void **state) {
	(void)state;
	static const uint32_t sizes[] = { 1, 4, 4096, NEEP_ASG_FLUSH_INTERVAL - 8, NEEP_ASG_FLUSH_INTERVAL,
		NEEP_ASG_BUFFER_SIZE - 1, NEEP_ASG_BUFFER_SIZE, 3 * NEEP_ASG_BUFFER_SIZE + 5 };
	struct asg_guest *guest = asg_guest_create();
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, SPIN_NS);
	asg_guest_init(guest);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		ask(guest, sizes[i], 1);
		ask(guest, 0, sizes[i]);
		ask(guest, sizes[i], sizes[NEEP_ARRAY_LEN(sizes) - 1 - i]);
	}
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

/* The guest's last step of bring-up comes when the consumer looks already. */
static void ring_works_when_the_guest_zeroes_it_late(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, 50 * NEEP_NS_PER_MS);
	usleep(10000);
	asg_guest_init(guest);
	for (int i = 0; i < 100; i++) {
		ask(guest, 12, 4);
	}
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_STATE), NEEP_ASG_EXIT);
	asg_guest_destroy(guest);
}

static void positions_run_over_32_bits(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	static const uint32_t pages[] = { NEEP_ASG_TO_HOST, NEEP_ASG_TO_HOST_LARGE,
		NEEP_ASG_FROM_HOST_LARGE };
	static const uint32_t start[] = { UINT32_MAX - 15, UINT32_MAX - 1000, UINT32_MAX - 77 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(pages); i++) {
		asg_guest_store(guest, pages[i] + NEEP_ASG_WRITE_POS, start[i]);
		asg_guest_store(guest, pages[i] + NEEP_ASG_READ_POS, start[i]);
	}
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, SPIN_NS);
	for (int i = 0; i < 5; i++) {
		ask(guest, 100, 100);
		ask(guest, NEEP_ASG_BUFFER_SIZE, 1);
	}
	assert_true(load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_READ_POS) < 100);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

static void flush_packets_change_from_record_to_large(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, SPIN_NS);
	static uint8_t tail[700000];
	for (int i = 0; i < 20; i++) {
		struct asg_request request = { .payload = sizeof(tail) };
		assert_true(asg_guest_send(guest, &request, sizeof(request)));
		assert_true(asg_guest_send_large(guest, tail, sizeof(tail), false));
	}
	ask(guest, 4, 4);
	assert_int_equal(load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_READ_POS),
		load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_WRITE_POS));
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_TRANSFER_SIZE), 0);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	assert_int_equal(consumer.received, 20 * (sizeof(tail) + 8) + 12);
	asg_guest_destroy(guest);
}

/* Without a second thread: what one call does to the shared words. */
static void record_is_released_when_all_of_it_was_read(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	uint8_t buf[16];
	assert_true(asg_guest_send(guest, "0123456789", 10));
	assert_true(asg_guest_send(guest, "abc", 3));
	assert_int_equal(neep_asg_ring_read(ring, buf, 4), 4);
	assert_memory_equal(buf, "0123", 4);
	assert_int_equal(load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_READ_POS), 0);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_STATE), NEEP_ASG_RENDERING);
	assert_int_equal(neep_asg_ring_read(ring, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "456789", 6);
	assert_int_equal(load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_READ_POS), 8);
	assert_int_equal(neep_asg_ring_read(ring, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

static void reply_wraps_and_is_published_once(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	uint32_t start = NEEP_ASG_BUFFER_SIZE - 3;
	asg_guest_store(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS, start);
	asg_guest_store(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS, start);
	assert_int_equal(neep_asg_ring_write(ring, "abcdefgh", 8), 0);
	assert_int_equal(load(guest, NEEP_ASG_FROM_HOST_LARGE, NEEP_ASG_WRITE_POS), start + 8);
	assert_memory_equal(guest->base + NEEP_ASG_BUFFER_OFFSET + start, "abc", 3);
	assert_memory_equal(guest->base + NEEP_ASG_BUFFER_OFFSET, "defgh", 5);
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

struct hostile_word {
	uint32_t offset;
	uint32_t value;
};

static void expect_broken(const struct hostile_word *words, size_t count) {
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	uint8_t buf[64];
	for (size_t i = 0; i < count; i++) {
		asg_guest_store(guest, words[i].offset, words[i].value);
	}
	assert_int_equal(neep_asg_ring_read(ring, buf, sizeof(buf)), -EPROTO);
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

#define RECORD(i) (NEEP_ASG_RECORDS + (i)*8)

static void read_ends_when_positions_or_records_cannot_be_right(void **state) {
	(void)state;
	static const struct hostile_word cases[][3] = {
		{ { NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, NEEP_ASG_RECORDS_SIZE } },
		{ { NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, UINT32_MAX } },
		{ { NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 4 } },
		{ { NEEP_ASG_TO_HOST + NEEP_ASG_READ_POS, 8 } },
		{ { NEEP_ASG_TO_HOST + NEEP_ASG_READ_POS, 2044 },
			{ NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 2052 } },
		{ { NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS, NEEP_ASG_BUFFER_SIZE } },
		{ { NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS, 1 } },
		{ { RECORD(0), NEEP_ASG_BUFFER_SIZE }, { RECORD(0) + 4, 1 },
			{ NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 8 } },
		{ { RECORD(0), UINT32_MAX }, { RECORD(0) + 4, 2 },
			{ NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 8 } },
		{ { RECORD(0), 1 }, { RECORD(0) + 4, NEEP_ASG_BUFFER_SIZE },
			{ NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 8 } },
		{ { RECORD(0), 8 }, { RECORD(0) + 4, UINT32_MAX - 3 },
			{ NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 8 } },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		size_t count = 0;
		while (count < NEEP_ARRAY_LEN(cases[i]) && cases[i][count].offset != 0) {
			count++;
		}
		expect_broken(cases[i], count);
	}
}

static void write_ends_when_positions_cannot_be_right(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	asg_guest_store(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS, 1);
	assert_int_equal(neep_asg_ring_write(ring, "x", 1), -EPROTO);
	asg_guest_store(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS, NEEP_ASG_BUFFER_SIZE + 1);
	assert_int_equal(neep_asg_ring_write(ring, "x", 1), -EPROTO);
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

/* The whole buffer in one record, empty records before it, and words that the guest must not use. */
static void read_takes_what_is_odd_but_right(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	asg_guest_store(guest, NEEP_ASG_TRANSFER_MODE, 2);
	asg_guest_store(guest, NEEP_ASG_TRANSFER_SIZE, UINT32_MAX);
	asg_guest_store(guest, NEEP_ASG_CONFIG_BUFFER_SIZE, UINT32_MAX);
	asg_guest_store(guest, RECORD(0), NEEP_ASG_BUFFER_SIZE);
	asg_guest_store(guest, RECORD(2) + 4, NEEP_ASG_BUFFER_SIZE);
	asg_guest_store(guest, NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 24);
	static uint8_t buf[2 * NEEP_ASG_BUFFER_SIZE];
	assert_int_equal(neep_asg_ring_read(ring, buf, sizeof(buf)), NEEP_ASG_BUFFER_SIZE);
	assert_int_equal(load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_READ_POS), 24);
	asg_guest_store(guest, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS, NEEP_ASG_BUFFER_SIZE - 1);
	assert_int_equal(neep_asg_ring_read(ring, buf, sizeof(buf)), NEEP_ASG_BUFFER_SIZE - 1);
	assert_int_equal(
		asg_guest_load(guest, NEEP_ASG_TRANSFER_SIZE), UINT32_MAX - (NEEP_ASG_BUFFER_SIZE - 1));
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

static void stop_ends_a_sleeping_reader_and_stays(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, 0);
	await_true(asg_guest_load(guest, NEEP_ASG_HOST_STATE) == NEEP_ASG_NEED_NOTIFY);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);

	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	neep_asg_ring_stop(ring);
	uint8_t byte;
	assert_int_equal(neep_asg_ring_read(ring, &byte, 1), -ECANCELED);
	assert_int_equal(neep_asg_ring_read(ring, &byte, 1), -ECANCELED);
	assert_int_equal(neep_asg_ring_write(ring, &byte, 1), -ECANCELED);
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

/* The guest died, or sleeps, in the middle of a long reply. */
static void stop_ends_a_writer_whose_guest_takes_nothing(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, 0);
	struct asg_request request = { .reply = 3 * NEEP_ASG_BUFFER_SIZE };
	assert_true(asg_guest_send(guest, &request, sizeof(request)));
	await_true(load(guest, NEEP_ASG_FROM_HOST_LARGE, NEEP_ASG_WRITE_POS) >= NEEP_ASG_BUFFER_SIZE - 1);
	usleep(10000);
	assert_int_equal(load(guest, NEEP_ASG_FROM_HOST_LARGE, NEEP_ASG_WRITE_POS), NEEP_ASG_BUFFER_SIZE - 1);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

static void *fail_later(void *data) {
	struct asg_guest *guest = data;
	usleep(30000);
	neep_asg_fail(guest->memory_fd, ASG_GUEST_SIZE, -4);
	return NULL;
}

static void fail_releases_a_guest_that_waits_for_a_reply(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, fail_later, guest), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		int32_t reply = 0;
		asg_guest_receive(guest, &reply, sizeof(reply));
		assert_int_equal(reply, -4);
	}
	pthread_join(thread, NULL);
	asg_guest_destroy(guest);
}

static void fail_releases_a_guest_that_sends(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, fail_later, guest), 0);
	while (asg_guest_send(guest, "abcd", 4)) {
	}
	pthread_join(thread, NULL);
	asg_guest_destroy(guest);
}

static void bell_is_rung_for_a_sleeper_only(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, SPIN_NS);
	asg_guest_init(guest);
	ask(guest, 4, 4);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_BELL), 0);
	asg_guest_store(guest, NEEP_ASG_SLEEPER, 1);
	ask(guest, 4, 4);
	await_true(asg_guest_load(guest, NEEP_ASG_BELL) != 0);
	/* Nobody says again that he sleeps. */
	ask(guest, 4, 4);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_BELL), 1);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_SLEEPER), 0);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

static void await_wait(struct asg_guest *guest, uint32_t wait) {
	await_true(asg_guest_load(guest, NEEP_ASG_HOST_WAIT) == wait);
}

static void consumer_is_woken_when_it_sleeps_only(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	uint8_t *page = neep_asg_bell_map(guest->memory_fd);
	assert_non_null(page);
	assert_false(neep_asg_host_wake(page));
	struct neep_asg_ring *ring = asg_consumer_ring(guest, SPIN_NS);
	assert_true(neep_asg_host_wake(page));
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_BELL), 0);
	neep_asg_ring_destroy(ring);
	assert_false(neep_asg_host_wake(page));
	struct asg_consumer consumer;
	asg_guest_init(guest);
	asg_consumer_start(&consumer, guest, 0);
	await_wait(guest, NEEP_ASG_ASLEEP);
	assert_true(neep_asg_host_wake(page));
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_BELL), 1);
	await_wait(guest, NEEP_ASG_ASLEEP);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	assert_false(neep_asg_host_wake(page));
	neep_asg_bell_unmap(page);
	neep_asg_bell_unmap(NULL);
	asg_guest_destroy(guest);
}

static void guest_that_slept_is_not_watched(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, 600 * NEEP_NS_PER_S);
	guest->is_far = true;
	await_wait(guest, NEEP_ASG_ASLEEP);
	/* The first sleep was short: the window is open. */
	ask(guest, 4, 4);
	usleep(20000);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_WAIT), NEEP_ASG_AWAKE);
	asg_guest_store(guest, NEEP_ASG_SLEEPER, 1);
	ask(guest, 4, 4);
	await_wait(guest, NEEP_ASG_ASLEEP);
	ask(guest, 4, 4);
	usleep(20000);
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_WAIT), NEEP_ASG_AWAKE);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

static void wake_ups_are_the_device_s_again_when_the_ring_has_failed(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	uint8_t *page = guest->base + NEEP_ASG_BELL_PAGE;
	/* As a consumer leaves them that dies in its sleep. */
	asg_guest_store(guest, NEEP_ASG_HOST_WAIT, NEEP_ASG_ASLEEP);
	assert_int_equal(neep_asg_fail(guest->memory_fd, ASG_GUEST_SIZE, -4), 0);
	assert_false(neep_asg_host_wake(page));
	/* Also when there is nothing new to answer. */
	asg_guest_store(guest, NEEP_ASG_HOST_WAIT, NEEP_ASG_AWAKE);
	assert_int_equal(neep_asg_fail(guest->memory_fd, ASG_GUEST_SIZE, -4), 0);
	assert_false(neep_asg_host_wake(page));
	asg_guest_destroy(guest);
}

/* A guest that turns the bell back, and wakes whom it likes. */
static void *meddle(void *data) {
	struct asg_guest *guest = data;
	while (asg_guest_load(guest, NEEP_ASG_HOST_STATE) != NEEP_ASG_EXIT) {
		asg_guest_store(guest, NEEP_ASG_HOST_BELL, 0);
		neep_asg_host_wake(guest->base + NEEP_ASG_BELL_PAGE);
		asg_guest_store(guest, NEEP_ASG_HOST_WAIT, NEEP_ASG_AWAKE);
	}
	return NULL;
}

static void stop_ends_a_sleeper_whose_bell_is_turned_back(void **state) {
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct asg_guest *guest = asg_guest_create();
		struct asg_consumer consumer;
		pthread_t thread;
		asg_guest_init(guest);
		asg_consumer_start(&consumer, guest, 0);
		assert_int_equal(pthread_create(&thread, NULL, meddle, guest), 0);
		usleep((unsigned int)i);
		assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
		pthread_join(thread, NULL);
		asg_guest_destroy(guest);
	}
}

/* Requests that take more of the buffer than the answers that lie ready there. */
static void overwrite_answers(struct asg_guest *guest) {
	uint8_t request[NEEP_ASG_FLUSH_INTERVAL];
	memset(request, 0x5a, sizeof(request));
	for (size_t sent = 0; sent < 70000; sent += sizeof(request)) {
		assert_true(asg_guest_send(guest, request, sizeof(request)));
	}
}

static void fail_answers_again_when_the_guest_has_sent_more(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	/* Near the end of the buffer, and not at a multiple of a word. */
	uint32_t start = UINT32_MAX - 1001;
	asg_guest_store(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_READ_POS, start);
	asg_guest_store(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS, start);
	for (uint32_t i = 0; i < 50; i++) {
		overwrite_answers(guest);
		assert_int_equal(neep_asg_fail(guest->memory_fd, ASG_GUEST_SIZE, -4), 0);
		assert_int_equal(load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_READ_POS),
			load(guest, NEEP_ASG_TO_HOST, NEEP_ASG_WRITE_POS));
		for (uint32_t k = 0; k < 3000; k++) {
			int32_t reply = 0;
			asg_guest_receive(guest, &reply, sizeof(reply));
			assert_int_equal(reply, -4);
		}
	}
	assert_int_equal(neep_asg_fail(guest->memory_fd, 4096, -4), -EINVAL);
	asg_guest_destroy(guest);
}

static uint64_t thread_cpu_ns(void *data) {
	const pthread_t *thread = data;
	clockid_t clock;
	struct timespec ts;
	assert_int_equal(pthread_getcpuclockid(*thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &ts), 0);
	return (uint64_t)(ts.tv_sec * NEEP_NS_PER_S + ts.tv_nsec);
}

static void idle_ring_costs_nothing(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, SPIN_NS);
	for (int i = 0; i < 1000; i++) {
		ask(guest, 4, 4);
	}
	await_idle(thread_cpu_ns, &consumer.thread, 200, 0);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

static void busy_ring_of_a_far_guest_needs_no_pings(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	guest->is_far = true;
	asg_guest_init(guest);
	struct asg_consumer consumer;
	/* So long that not even a sanitizer on a loaded machine falls asleep. */
	asg_consumer_start(&consumer, guest, NEEP_NS_PER_S);
	ask(guest, 4, 4);
	ask(guest, 4, 4);
	uint64_t before = guest->pings;
	for (int i = 0; i < 1000; i++) {
		ask(guest, 4, 4);
	}
	assert_true(guest->pings <= before + 2);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

/* Sleeping at every turn: a lost wake-up would hang this. */
static void check_no_wake_up_is_lost(bool is_far) {
	struct asg_guest *guest = asg_guest_create();
	guest->is_far = is_far;
	asg_guest_init(guest);
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, 0);
	for (int i = 0; i < 5000; i++) {
		struct asg_request request = { .payload = 0, .reply = 0 };
		assert_true(asg_guest_send(guest, &request, sizeof(request)));
		if (i % 3 == 0) {
			ask(guest, 4, 4);
		}
	}
	ask(guest, NEEP_ASG_BUFFER_SIZE, 4);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	asg_guest_destroy(guest);
}

static void no_wake_up_is_lost_when_the_consumer_never_spins(void **state) {
	(void)state;
	check_no_wake_up_is_lost(false);
	check_no_wake_up_is_lost(true);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(prepare_writes_what_the_guest_reads),
		fd_checked_test(create_refuses_a_memory_that_is_too_small),
		fd_checked_test(replies_are_exact_for_all_sizes),
		fd_checked_test(ring_works_when_the_guest_zeroes_it_late),
		fd_checked_test(positions_run_over_32_bits),
		fd_checked_test(flush_packets_change_from_record_to_large),
		fd_checked_test(record_is_released_when_all_of_it_was_read),
		fd_checked_test(reply_wraps_and_is_published_once),
		fd_checked_test(read_ends_when_positions_or_records_cannot_be_right),
		fd_checked_test(write_ends_when_positions_cannot_be_right),
		fd_checked_test(read_takes_what_is_odd_but_right),
		fd_checked_test(stop_ends_a_sleeping_reader_and_stays),
		fd_checked_test(stop_ends_a_writer_whose_guest_takes_nothing),
		fd_checked_test(fail_releases_a_guest_that_waits_for_a_reply),
		fd_checked_test(fail_releases_a_guest_that_sends),
		fd_checked_test(bell_is_rung_for_a_sleeper_only),
		fd_checked_test(consumer_is_woken_when_it_sleeps_only),
		fd_checked_test(guest_that_slept_is_not_watched),
		fd_checked_test(wake_ups_are_the_device_s_again_when_the_ring_has_failed),
		fd_checked_test(stop_ends_a_sleeper_whose_bell_is_turned_back),
		fd_checked_test(fail_answers_again_when_the_guest_has_sent_more),
		fd_checked_test(idle_ring_costs_nothing),
		fd_checked_test(busy_ring_of_a_far_guest_needs_no_pings),
		fd_checked_test(no_wake_up_is_lost_when_the_consumer_never_spins),
	};
	return cmocka_run_group_tests_name("asg_ring", tests, NULL, NULL);
}
