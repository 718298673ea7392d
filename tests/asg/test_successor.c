/* A consumer that takes the place of one that died: what it reads again, and where it is refused. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "asg/bell.h"
#include "asg/consumer.h"
#include "asg/guest.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/macros.h"

static void expect_read(struct neep_asg_ring *ring, const char *text) {
	char buf[32] = "";
	assert_int_equal(neep_asg_ring_read(ring, buf, sizeof(buf)), strlen(text));
	assert_string_equal(buf, text);
}

/* Consumers that die do nothing any more: they are taken down at the end. */
static void successor_reads_again_what_had_no_reply(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *first = asg_consumer_ring(guest, 0);
	char buf[2];
	assert_true(asg_guest_send(guest, "one", 3));
	expect_read(first, "one");
	assert_int_equal(neep_asg_ring_write(first, "reply", 5), 0);
	/* Nothing is owed. */
	struct neep_asg_ring *second = asg_consumer_successor(guest);
	assert_non_null(second);
	assert_true(asg_guest_send(guest, "two", 3));
	expect_read(second, "two");
	/* One that was read, and one that was not. */
	struct neep_asg_ring *third = asg_consumer_successor(guest);
	assert_non_null(third);
	expect_read(third, "two");
	assert_true(asg_guest_send(guest, "three", 5));
	assert_int_equal(neep_asg_ring_read(third, buf, 2), 2);
	struct neep_asg_ring *fourth = asg_consumer_successor(guest);
	assert_non_null(fourth);
	expect_read(fourth, "three");
	assert_int_equal(neep_asg_ring_write(fourth, "!", 1), 0);
	asg_guest_receive(guest, buf, 1);
	neep_asg_ring_destroy(first);
	neep_asg_ring_destroy(second);
	neep_asg_ring_destroy(third);
	neep_asg_ring_destroy(fourth);
	asg_guest_destroy(guest);
}

static void expect_no_successor(struct asg_guest *guest, struct neep_asg_ring *ring) {
	assert_null(asg_consumer_successor(guest));
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_HOST_WAIT), NEEP_ASG_UNSERVED);
	neep_asg_ring_destroy(ring);
	asg_guest_destroy(guest);
}

static void successor_reads_a_large_transfer_again_when_it_had_no_reply(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *first = asg_consumer_ring(guest, 0);
	char byte;
	assert_true(asg_guest_send_large(guest, "large", 5, false));
	expect_read(first, "large");
	assert_int_equal(neep_asg_ring_write(first, "!", 1), 0);
	/* It was answered. */
	struct neep_asg_ring *second = asg_consumer_successor(guest);
	assert_non_null(second);
	assert_true(asg_guest_send_large(guest, "again", 5, false));
	expect_read(second, "again");
	struct neep_asg_ring *third = asg_consumer_successor(guest);
	assert_non_null(third);
	assert_int_equal(neep_asg_ring_read(third, &byte, 1), 1);
	struct neep_asg_ring *fourth = asg_consumer_successor(guest);
	assert_non_null(fourth);
	expect_read(fourth, "again");
	assert_int_equal(asg_guest_load(guest, NEEP_ASG_TRANSFER_SIZE), 0);
	/* The guest did not wait for a reply. */
	assert_true(asg_guest_send(guest, "record", 6));
	struct neep_asg_ring *fifth = asg_consumer_successor(guest);
	assert_non_null(fifth);
	expect_read(fifth, "record");
	struct neep_asg_ring *rings[] = { first, second, third, fourth, fifth };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rings); i++) {
		neep_asg_ring_destroy(rings[i]);
	}
	asg_guest_destroy(guest);
}

struct sending {
	struct asg_guest *guest;
	const uint8_t *bytes;
	size_t len;
};

static void *send_on(void *data) {
	struct sending *sending = data;
	assert_true(asg_guest_send_large(sending->guest, sending->bytes, sending->len, true));
	return NULL;
}

static uint8_t *counted_bytes(size_t len) {
	uint8_t *bytes = malloc(len);
	for (size_t i = 0; i < len; i++) {
		bytes[i] = (uint8_t)(i + i / 251);
	}
	return bytes;
}

static void read_all(struct neep_asg_ring *ring, uint8_t *to, size_t len) {
	for (size_t at = 0; at < len;) {
		int64_t got = neep_asg_ring_read(ring, to + at, len - at < 1000 ? len - at : 1000);
		assert_true(got > 0);
		at += (size_t)got;
	}
}

/* Wherever in it the other one was, and while the guest sends the rest. */
static void successor_reads_a_transfer_again_that_is_under_way(void **state) {
	(void)state;
	const size_t len = NEEP_ASG_BUFFER_SIZE - 1;
	uint8_t *bytes = counted_bytes(len), *got = malloc(len);
	for (size_t part = 1; part < len; part += len / 7) {
		struct asg_guest *guest = asg_guest_create();
		asg_guest_init(guest);
		/* The transfer does not begin where the buffer does. */
		asg_guest_store(guest, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_WRITE_POS, 12345);
		asg_guest_store(guest, NEEP_ASG_TO_HOST_LARGE + NEEP_ASG_READ_POS, 12345);
		struct sending sending = { guest, bytes, len };
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, send_on, &sending), 0);
		struct neep_asg_ring *first = asg_consumer_ring(guest, 0);
		read_all(first, got, part);
		struct neep_asg_ring *second = asg_consumer_successor(guest);
		assert_non_null(second);
		memset(got, 0, len);
		read_all(second, got, len);
		assert_memory_equal(got, bytes, len);
		pthread_join(thread, NULL);
		neep_asg_ring_destroy(first);
		neep_asg_ring_destroy(second);
		asg_guest_destroy(guest);
	}
	free(bytes);
	free(got);
}

static void successor_reads_a_transfer_that_was_only_announced(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct neep_asg_ring *first = asg_consumer_ring(guest, 0);
	assert_true(asg_guest_send(guest, "record", 6));
	expect_read(first, "record");
	assert_true(asg_guest_send_large(guest, "large", 5, false));
	struct neep_asg_ring *second = asg_consumer_successor(guest);
	assert_non_null(second);
	expect_read(second, "large");
	neep_asg_ring_destroy(first);
	neep_asg_ring_destroy(second);
	asg_guest_destroy(guest);
}

static void successor_is_refused_when_the_begin_of_a_transfer_is_overwritten(void **state) {
	(void)state;
	const size_t len = NEEP_ASG_BUFFER_SIZE;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	uint8_t *bytes = counted_bytes(len), *got = malloc(len);
	struct sending sending = { guest, bytes, len };
	pthread_t thread;
	struct neep_asg_ring *ring = asg_consumer_ring(guest, 0);
	assert_int_equal(pthread_create(&thread, NULL, send_on, &sending), 0);
	read_all(ring, got, len);
	pthread_join(thread, NULL);
	free(bytes);
	free(got);
	expect_no_successor(guest, ring);
}

static void successor_is_refused_when_a_long_reply_has_begun(void **state) {
	(void)state;
	struct asg_guest *guest = asg_guest_create();
	asg_guest_init(guest);
	struct asg_consumer consumer;
	asg_consumer_start(&consumer, guest, 0);
	struct asg_request request = { .reply = 3 * NEEP_ASG_BUFFER_SIZE };
	assert_true(asg_guest_send(guest, &request, sizeof(request)));
	await_true(asg_guest_load(guest, NEEP_ASG_FROM_HOST_LARGE + NEEP_ASG_WRITE_POS) != 0);
	assert_int_equal(asg_consumer_stop(&consumer), -ECANCELED);
	expect_no_successor(guest, NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(successor_reads_again_what_had_no_reply),
		fd_checked_test(successor_reads_a_large_transfer_again_when_it_had_no_reply),
		fd_checked_test(successor_reads_a_transfer_again_that_is_under_way),
		fd_checked_test(successor_reads_a_transfer_that_was_only_announced),
		fd_checked_test(successor_is_refused_when_the_begin_of_a_transfer_is_overwritten),
		fd_checked_test(successor_is_refused_when_a_long_reply_has_begun),
	};
	return cmocka_run_group_tests_name("asg_successor", tests, NULL, NULL);
}
