/* The channel: connecting, bytes both ways, fences, ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "support/fd_check.h"

static void capset_tells_channels(void **state) {
	struct rig *rig = *state;
	uint32_t id, version, size, words[5];
	assert_int_equal(rutabaga_get_capset_info(rig->rutabaga, 0, &id, &version, &size), 0);
	assert_int_equal(id, 5);
	assert_int_equal(version, 0);
	assert_int_equal(size, 20);
	assert_int_equal(rutabaga_get_capset(rig->rutabaga, 5, 0, (uint8_t *)words, 16), 0);
	assert_int_equal(words[0], 1);
	assert_int_equal(words[1], 1 << RIG_WAYLAND);
	assert_int_equal(words[2], 0);
	assert_int_equal(words[3], 0);
	assert_int_equal(rutabaga_get_capset(rig->rutabaga, 5, 0, (uint8_t *)words, 20), 0);
	assert_int_equal(words[4] & ~(uint32_t)NEEP_XD_EXTENSION_DMABUFS,
		NEEP_XD_EXTENSION_FLOW | NEEP_XD_EXTENSION_LONG_MESSAGES | NEEP_XD_EXTENSION_FILES |
			NEEP_XD_EXTENSION_GUEST_FILES);
}

/* As guests put them on the wire, byte for byte. */
static void vectors_are_understood(void **state) {
	struct rig *rig = *state;
	static const uint8_t init[] = { 1, 0, 0x14, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0 };
	static const uint8_t poll[] = { 3, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t query[] = { 2, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0x52, 0x38, 0x20,
		0x20, 0x11, 0, 0, 0 };
	static const uint8_t reply[64] = { 0, 0, 1, [42] = 1, [48] = 2, [52] = 1, [56] = 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t send[364] = { 4, 0, 0x6c, 1, 0, 0, 0, 0, 0, 0, 0, 0, 12, [352] = 1, 0, 0, 0, 1, 0, 12, 0, 2,
		0, 0, 0 };
	rig_context(rig, 1);
	rig_page(rig, 1, 3, 4096);
	rig_page(rig, 1, 4, 4096);
	assert_int_equal(rig_submit(rig, 1, init, sizeof(init)), 0);
	int host = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(rig_submit(rig, 1, query, sizeof(query)), 0);
	assert_memory_equal(rig_bytes(rig, 3), reply, sizeof(reply));
	assert_int_equal(rig_submit(rig, 1, send, sizeof(send)), 0);
	uint8_t got[64];
	assert_int_equal(recv(host, got, sizeof(got), 0), 12);
	assert_memory_equal(got, send + 352, 12);
	assert_int_equal(rig_submit(rig, 1, poll, sizeof(poll)), 0);
	uint64_t fence = rig_fence(rig, 1, 1);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	host_send(host, "hello", 5, NULL, 0);
	rig_await(rig, fence);
	static const uint8_t receive[16] = { 5, [12] = 5 };
	assert_memory_equal(rig_bytes(rig, 4), receive, sizeof(receive));
	assert_memory_equal(rig_bytes(rig, 4) + 352, "hello", 5);
	close(host);
}

static void init_is_understood_in_four_sizes(void **state) {
	struct rig *rig = *state;
	static const struct {
		uint16_t size;
		uint32_t words[7];
	} inits[] = {
		{ 16, { 11, RIG_WAYLAND } },
		{ 20, { 21, 22, RIG_WAYLAND } },
		{ 24, { 31, 32, RIG_WAYLAND, 1 } },
		{ 36, { 41, 42, RIG_WAYLAND } },
	};
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t words[9] = { (uint32_t)inits[i].size << 16 | NEEP_XD_INIT };
		memcpy(words + 2, inits[i].words, sizeof(inits[i].words));
		rig_context(rig, i + 1);
		rig_page(rig, i + 1, rig_query_ring(i + 1), 4096);
		rig_page(rig, i + 1, rig_channel_ring(i + 1), 4096);
		assert_int_equal(rig_submit(rig, i + 1, words, inits[i].size), 0);
		int host = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		uint64_t fence = rig_poll(rig, i + 1);
		host_send(host, "x", 1, NULL, 0);
		rig_await(rig, fence);
		assert_int_equal(rig_word(rig, i == 0 ? 11 : rig_channel_ring(i + 1), 0), NEEP_XD_RECEIVE);
		close(host);
	}
}

static void messages_have_at_most_3744_bytes(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint8_t data[3745];
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(i * 7);
	}
	host_send(host, data, sizeof(data), NULL, 0);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 3744);
	assert_memory_equal(rig_message(rig, 1) + 352, data, 3744);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 1);
	assert_int_equal(rig_message(rig, 1)[352], data[3744]);
	host_send(host, data, 3744, NULL, 0);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 3744);
	close(host);
}

/* Of a guest that knows: its ring is filled, up to 64 KiB. */
static void messages_are_long_when_the_guest_says_so(void **state) {
	struct rig *rig = *state;
	static const size_t sizes[] = { 4096, 16384, 65536, 131072, 16384 };
	static const size_t messages[] = { 4096, 16384, 65536, 65536, 4096 };
	static uint8_t data[100000];
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(i * 11 / 3);
	}
	for (uint32_t i = 0; i < 5; i++) {
		uint32_t ctx_id = i + 1;
		uint32_t init[] = { 24 << 16 | NEEP_XD_INIT, 0, rig_query_ring(ctx_id),
			rig_channel_ring(ctx_id), RIG_WAYLAND, i < 4 ? 2 : 1 };
		rig_context(rig, ctx_id);
		rig_page(rig, ctx_id, rig_query_ring(ctx_id), 4096);
		rig_page(rig, ctx_id, rig_channel_ring(ctx_id), sizes[i]);
		assert_int_equal(rig_submit_words(rig, ctx_id, init, 6), 0);
		int host = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		host_send(host, data, sizeof(data), NULL, 0);
		rig_next(rig, ctx_id);
		assert_int_equal(rig_word(rig, rig_channel_ring(ctx_id), 12), messages[i] - 352);
		assert_memory_equal(rig_message(rig, ctx_id) + 352, data, messages[i] - 352);
		close(host);
	}
}

/* The socket fills up where nobody polls; the compositor feels it and nobody else. */
static void nothing_is_read_without_a_fence(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	host_send(host, "one", 3, NULL, 0);
	rig_next(rig, 1);
	host_send(host, "two", 3, NULL, 0);
	rig_idle(rig, 20);
	assert_memory_equal(rig_message(rig, 1) + 352, "one", 3);
	int waiting = 0;
	assert_int_equal(ioctl(host, TIOCOUTQ, &waiting), 0);
	assert_true(waiting > 0);
	rig_next(rig, 1);
	assert_memory_equal(rig_message(rig, 1) + 352, "two", 3);
	close(host);
}

static void two_contexts_do_not_mix(void **state) {
	struct rig *rig = *state;
	int one = rig_connect(rig, 1), two = rig_connect(rig, 2);
	uint64_t first = rig_poll(rig, 1), second = rig_poll(rig, 2);
	for (int i = 0; i < 100; i++) {
		host_send(two, "2", 1, NULL, 0);
		rig_await(rig, second);
		assert_int_equal(rig_message(rig, 2)[352], '2');
		assert_false(rig_is_done(rig, first));
		second = rig_poll(rig, 2);
	}
	host_send(one, "1", 1, NULL, 0);
	rig_await(rig, first);
	assert_int_equal(rig_message(rig, 1)[352], '1');
	assert_false(rig_is_done(rig, second));
	close(one);
	close(two);
}

/* What a compositor that sleeps gets when it wakes up is what was sent. */
static void send_continues_when_the_host_reads_again(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	char text[3001];
	uint64_t sent = 0, got = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		memset(text, 'a' + (int)(i % 26), 3000);
		text[3000] = '\0';
		assert_int_equal(rig_send(rig, 1, NULL, 0, text), 0);
		sent += 3000;
	}
	while (got < sent) {
		char buf[65536];
		rig_turn(rig, 0);
		ssize_t len = recv(host, buf, sizeof(buf), MSG_DONTWAIT);
		assert_true(len > 0 || errno == EAGAIN);
		for (ssize_t i = 0; i < len; i++) {
			assert_int_equal(buf[i], 'a' + (int)((got + (uint64_t)i) / 3000 % 26));
		}
		got += len > 0 ? (uint64_t)len : 0;
	}
	uint64_t fence = rig_poll(rig, 1);
	host_send(host, "x", 1, NULL, 0);
	rig_await(rig, fence);
	close(host);
}

static void context_is_given_up_when_the_host_never_reads(void **state) {
	struct rig *rig = *state;
	int asleep = rig_connect(rig, 1), awake = rig_connect(rig, 2);
	uint64_t fence = rig_poll(rig, 1);
	char text[4001];
	memset(text, 'x', 4000);
	text[4000] = '\0';
	int rc = 0;
	for (int i = 0; i < 3000 && rc == 0; i++) {
		rc = rig_send(rig, 1, NULL, 0, text);
	}
	assert_int_equal(rc, -ENOBUFS);
	assert_true(rig_is_done(rig, fence));
	static const uint8_t end[16] = { 5 };
	assert_memory_equal(rig_message(rig, 1), end, sizeof(end));
	assert_true(rig_has_message(rig, "is given up"));
	assert_true(rig_is_done(rig, rig_poll(rig, 1)));
	assert_int_equal(rig_send(rig, 1, NULL, 0, "x"), -EIO);
	assert_int_equal(rig_send(rig, 2, NULL, 0, "still"), 0);
	host_expect(awake, "still", NULL);
	close(asleep);
	close(awake);
}

static void end_is_told_once_then_fences_wait(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t fence = rig_poll(rig, 1);
	memset(rig_message(rig, 1), 0xff, 4096);
	close(host);
	rig_await(rig, fence);
	static const uint8_t end[352] = { 5 };
	assert_memory_equal(rig_message(rig, 1), end, sizeof(end));
	fence = rig_poll(rig, 1);
	rig_idle(rig, 20);
	assert_false(rig_is_done(rig, fence));
	assert_int_equal(rig_send(rig, 1, NULL, 0, "x"), -EPIPE);
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	assert_true(rig_is_done(rig, fence));
}

static void end_is_told_to_a_later_fence_after_what_was_sent(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	host_send(host, "last", 4, NULL, 0);
	close(host);
	rig_idle(rig, 10);
	rig_next(rig, 1);
	assert_memory_equal(rig_message(rig, 1) + 352, "last", 4);
	rig_next(rig, 1);
	assert_int_equal(rig_word(rig, 12, 12), 0);
}

/* A compositor that closes with our bytes unread resets the connection. */
static void reset_by_the_host_is_an_end(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	assert_int_equal(rig_send(rig, 1, NULL, 0, "unread"), 0);
	uint64_t fence = rig_poll(rig, 1);
	close(host);
	rig_await(rig, fence);
	assert_int_equal(rig_word(rig, 12, 12), 0);
}

/* The compositor is busy, and many start at once. */
static void connection_waits_for_a_listener_that_is_full(void **state) {
	struct rig *rig = *state;
	assert_int_equal(listen(rig_host(rig)->listen_fd, 0), 0);
	for (uint32_t i = 1; i <= 5; i++) {
		char text[] = { (char)('0' + i), '\0' };
		rig_context(rig, i);
		rig_page(rig, i, rig_query_ring(i), 4096);
		rig_page(rig, i, rig_channel_ring(i), 4096);
		assert_int_equal(rig_init(rig, i, RIG_WAYLAND), 0);
		assert_int_equal(rig_send(rig, i, NULL, 0, text), 0);
		assert_int_equal(rig_send(rig, i, NULL, 0, text), 0);
		rig_poll(rig, i);
	}
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 5), 0);
	rig_idle(rig, 10);
	for (uint32_t i = 1; i <= 4; i++) {
		char text[] = { (char)('0' + i), (char)('0' + i), '\0' };
		int host = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		rig_idle(rig, 20);
		host_expect(host, text, NULL);
		host_send(host, text, 2, NULL, 0);
		rig_idle(rig, 5);
		assert_memory_equal(rig_message(rig, i) + 352, text, 2);
		close(host);
	}
}

static void connection_ends_when_its_listener_goes_away(void **state) {
	struct rig *rig = *state;
	assert_int_equal(listen(rig_host(rig)->listen_fd, 0), 0);
	int first = rig_connect(rig, 1);
	for (uint32_t i = 2; i <= 3; i++) {
		rig_context(rig, i);
		rig_page(rig, i, rig_query_ring(i), 4096);
		rig_page(rig, i, rig_channel_ring(i), 4096);
		assert_int_equal(rig_init(rig, i, RIG_WAYLAND), 0);
	}
	uint64_t fence = rig_poll(rig, 3);
	rig_idle(rig, 10);
	assert_false(rig_is_done(rig, fence));
	unlink(rig_host(rig)->path);
	rig_await(rig, fence);
	assert_int_equal(rig_word(rig, 32, 0), NEEP_XD_RECEIVE);
	assert_true(rig_has_message(rig, "cannot connect"));
	close(first);
}

static void init_without_a_socket_tells_why_and_ends(void **state) {
	struct rig *rig = *state;
	unlink(rig_host(rig)->path);
	rig_context(rig, 1);
	rig_page(rig, 1, 11, 4096);
	rig_page(rig, 1, 12, 4096);
	assert_int_equal(rig_init(rig, 1, RIG_WAYLAND), -ENOENT);
	assert_true(rig_has_message(rig, rig_host(rig)->path));
	for (int i = 0; i < 3; i++) {
		memset(rig_message(rig, 1), 0xff, 4096);
		assert_true(rig_is_done(rig, rig_poll(rig, 1)));
		static const uint8_t end[352] = { 5 };
		assert_memory_equal(rig_message(rig, 1), end, sizeof(end));
	}
}

static void init_of_a_channel_that_is_not_there_tells_why(void **state) {
	struct rig *rig = *state;
	static const uint32_t types[] = { 2, 0x10, 0x11, 0x12, 0xffffffff };
	for (uint32_t i = 0; i < 5; i++) {
		rig_context(rig, i + 1);
		rig_page(rig, i + 1, rig_query_ring(i + 1), 4096);
		rig_page(rig, i + 1, rig_channel_ring(i + 1), 4096);
		assert_int_equal(rig_init(rig, i + 1, types[i]), -ENOENT);
		assert_true(rig_is_done(rig, rig_poll(rig, i + 1)));
	}
	assert_true(rig_has_message(rig, "X11"));
	assert_true(rig_has_message(rig, "PipeWire"));
}

static void init_without_any_channel_tells_what_to_set(void **state) {
	struct rig *rig = *state;
	struct rutabaga_builder builder = rig_builder(rig);
	builder.channels = NULL;
	assert_int_equal(rutabaga_finish(&rig->rutabaga), 0);
	assert_int_equal(rutabaga_init(&builder, &rig->rutabaga), 0);
	rig->event_fd = neep_rutabaga_event_fd(rig->rutabaga);
	rig_context(rig, 1);
	rig_page(rig, 1, 11, 4096);
	rig_page(rig, 1, 12, 4096);
	assert_int_equal(rig_init(rig, 1, RIG_WAYLAND), -ENOENT);
	assert_true(rig_has_message(rig, "WAYLAND_DISPLAY"));
	assert_true(rig_is_done(rig, rig_poll(rig, 1)));
}

static void fences_complete_when_the_context_ends(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1), other = rig_connect(rig, 2);
	uint64_t fences[] = { rig_poll(rig, 1), rig_poll(rig, 1), rig_poll(rig, 2) };
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 12), 0);
	assert_true(rig_is_done(rig, fences[0]) && rig_is_done(rig, fences[1]));
	host_send(other, "x", 1, NULL, 0);
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	rig_await(rig, fences[2]);
	char byte;
	assert_int_equal(recv(host, &byte, 1, 0), 0);
	close(host);
	close(other);
}

static void fences_complete_at_a_reset(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t fence = rig_poll(rig, 1);
	assert_int_equal(neep_rutabaga_reset(rig->rutabaga), 0);
	assert_true(rig_is_done(rig, fence));
	close(host);
	host = rig_connect(rig, 1);
	fence = rig_poll(rig, 1);
	host_send(host, "again", 5, NULL, 0);
	rig_await(rig, fence);
	close(host);
}

static void other_fences_complete_at_once(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	assert_true(rig_is_done(rig, rig_fence(rig, 1, 0)));
	assert_true(rig_is_done(rig, rig_fence(rig, 1, 2)));
	struct rutabaga_fence global = { .flags = RUTABAGA_FLAG_FENCE, .fence_id = 9999 };
	assert_int_equal(rutabaga_create_fence(rig->rutabaga, &global), 0);
	assert_true(rig_is_done(rig, 9999));
	close(host);
}

static void library_thread_serves_as_well(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	for (int i = 0; i < 100; i++) {
		uint64_t fence = rig_poll(rig, 1);
		assert_int_equal(rig_send(rig, 1, NULL, 0, "ping"), 0);
		host_expect(host, "ping", NULL);
		host_send(host, "pong", 4, NULL, 0);
		rig_await(rig, fence);
		assert_memory_equal(rig_message(rig, 1) + 352, "pong", 4);
	}
	close(host);
}

static void describe_tells_state(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint64_t fence = rig_poll(rig, 1);
	struct neep_rutabaga_context_info info;
	assert_int_equal(neep_rutabaga_get_contexts(rig->rutabaga, &info, 1), 1);
	assert_string_equal(info.capset, "cross-domain");
	assert_int_equal(info.renderer, NEEP_RUTABAGA_RENDERER_RUNNING);
	assert_int_equal(info.rings, 2);
	assert_int_equal(info.pending_syncs, 1);
	close(host);
	rig_await(rig, fence);
	assert_int_equal(neep_rutabaga_get_contexts(rig->rutabaga, &info, 1), 1);
	assert_int_equal(info.renderer, NEEP_RUTABAGA_RENDERER_NONE);
	assert_int_equal(info.pending_syncs, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(capset_tells_channels),
		rig_test(vectors_are_understood),
		rig_test(init_is_understood_in_four_sizes),
		rig_test(messages_have_at_most_3744_bytes),
		rig_test(messages_are_long_when_the_guest_says_so),
		rig_test(nothing_is_read_without_a_fence),
		rig_test(two_contexts_do_not_mix),
		rig_test(send_continues_when_the_host_reads_again),
		rig_test(context_is_given_up_when_the_host_never_reads),
		rig_test(end_is_told_once_then_fences_wait),
		rig_test(end_is_told_to_a_later_fence_after_what_was_sent),
		rig_test(reset_by_the_host_is_an_end),
		rig_test(connection_waits_for_a_listener_that_is_full),
		rig_test(connection_ends_when_its_listener_goes_away),
		rig_test(init_without_a_socket_tells_why_and_ends),
		rig_test(init_of_a_channel_that_is_not_there_tells_why),
		rig_test(init_without_any_channel_tells_what_to_set),
		rig_test(fences_complete_when_the_context_ends),
		rig_test(fences_complete_at_a_reset),
		rig_test(other_fences_complete_at_once),
		rig_thread_test(library_thread_serves_as_well),
		rig_test(describe_tells_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
