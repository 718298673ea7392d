/* What happens when one side does not read, a way fails, or there is none. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "wayland/queue.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"
#include "wayland_proxy/peer.h"

static struct peer_message got;

#define HEADER(size, opcode) ((uint32_t)(size) << 16 | (opcode))

/* ---- a connection by itself ---- */

struct owner {
	int readable, drained, closed, result;
};

static void owner_readable(void *data) {
	((struct owner *)data)->readable++;
}

static void owner_drained(void *data) {
	((struct owner *)data)->drained++;
}

static void owner_closed(void *data, int result) {
	struct owner *owner = data;
	owner->closed++;
	owner->result = result;
}

static const struct neep_wl_conn_listener owner_listener = { owner_readable, owner_drained, owner_closed };

static void conn_tells_that_it_is_drained_however_it_was(void **state) {
	(void)state;
	static uint8_t bytes[70000];
	struct owner owner = { 0 };
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	struct neep_loop *loop = neep_loop_create();
	struct neep_wl_conn *conn = neep_wl_conn_create(loop, ends[1], &owner_listener, &owner);
	/* Full of fds, of which the next batch sends some at once. */
	for (int i = 0; i < 130; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_int_equal(neep_wl_conn_send(conn, bytes, 8, &fd, 1), 0);
	}
	assert_true(neep_wl_conn_is_full(conn));
	assert_int_equal(neep_wl_conn_send(conn, bytes, sizeof(bytes), NULL, 0), 0);
	assert_false(neep_wl_conn_is_full(conn));
	assert_int_equal(owner.drained, 0);
	neep_loop_step(loop, 0);
	assert_int_equal(owner.drained, 1);
	neep_wl_conn_destroy(conn);
	neep_loop_destroy(loop);
	close(ends[0]);
}

static void conn_reads_what_a_client_said_before_it_left(void **state) {
	(void)state;
	static uint8_t bytes[60000];
	struct owner owner = { 0 };
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	struct neep_loop *loop = neep_loop_create();
	struct neep_wl_conn *conn = neep_wl_conn_create(loop, ends[1], &owner_listener, &owner);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(neep_wl_conn_send(conn, bytes, sizeof(bytes), NULL, 0), 0);
	}
	neep_loop_step(loop, 0);
	assert_int_equal(write(ends[0], "last", 4), 4);
	close(ends[0]);
	neep_loop_step(loop, 0);
	size_t len, fd_count;
	neep_wl_conn_peek(conn, &len, &fd_count);
	assert_int_equal(len, 4);
	assert_int_equal(owner.readable, 1);
	assert_int_equal(owner.closed, 1);
	assert_int_equal(owner.result, 0);
	neep_wl_conn_destroy(conn);
	neep_loop_destroy(loop);
}

/* ---- queues ---- */

static void front_never_splits_a_message_from_its_fds(void **state) {
	(void)state;
	struct neep_wl_queue queue = { .max_len = 65536 };
	struct neep_wl_batch batch;
	uint8_t bytes[12] = { 0 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 10; i++) {
		int fds[20];
		for (int j = 0; j < 20; j++) {
			fds[j] = neep_fd_dup(null);
		}
		assert_int_equal(neep_wl_queue_push_fds(&queue, bytes, sizeof(bytes), fds, 20), 0);
	}
	size_t fds = 0, len = 0;
	while (neep_wl_queue_front(&queue, &batch)) {
		assert_in_range(batch.count, 1, NEEP_WL_FDS_MAX);
		int taken[NEEP_WL_FDS_MAX];
		neep_wl_queue_take_fds(&queue, taken, batch.count);
		neep_wl_close_fds(taken, batch.count);
		neep_wl_queue_pop(&queue, batch.len, 0);
		fds += batch.count;
		len += batch.len;
		/* Each message of which a byte has left has all its fds gone. */
		assert_true(fds >= (len + 11) / 12 * 20);
	}
	assert_int_equal(fds, 200);
	assert_int_equal(len, 120);
	close(null);
	neep_wl_queue_finish(&queue);
}

static void push_fails_and_closes_when_over_a_limit(void **state) {
	(void)state;
	struct neep_wl_queue queue = { .max_len = 100 };
	uint8_t bytes[101] = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(neep_wl_queue_push_fds(&queue, bytes, 101, &fd, 1), -ENOBUFS);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(neep_wl_queue_push_fds(&queue, bytes, 100, NULL, 0), 0);
	assert_int_equal(neep_wl_queue_push_fds(&queue, bytes, 1, NULL, 0), -ENOBUFS);
	assert_int_equal(neep_wl_queue_push_fds(&queue, bytes, SIZE_MAX, NULL, 0), -ENOBUFS);
	neep_wl_queue_pop(&queue, 60, 0);
	assert_int_equal(neep_wl_queue_push_fds(&queue, bytes, 60, NULL, 0), 0);
	assert_int_equal(queue.len, 100);
	neep_wl_queue_finish(&queue);
}

/* ---- one side does not read ---- */

/* Sends requests wl_display.sync as long as they are taken, or until there are `limit`. */
static uint32_t send_until_full(struct peer *peer, uint32_t first_id, uint32_t limit) {
	uint32_t id = first_id;
	for (int idle = 0; idle < 20 && id - first_id < limit;) {
		uint32_t words[3] = { 1, HEADER(12, WL_DISPLAY_SYNC), id };
		ssize_t sent = send(peer->program, words, sizeof(words), MSG_NOSIGNAL);
		if (sent == sizeof(words)) {
			id++;
			idle = 0;
		} else {
			assert_int_equal(sent, -1);
			peer_settle(peer);
			idle++;
		}
	}
	return id - first_id;
}

static void program_waits_while_the_compositor_does_not_read(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	uint32_t count = send_until_full(&peer, 2, 60000);
	assert_in_range(count, 1000, 59999);
	assert_non_null(peer.client);
	uint32_t received = 0;
	while (peer_receive(&peer, peer.compositor, &got)) {
		assert_int_equal(got.words[0], 2 + received);
		received++;
	}
	assert_int_equal(received, count);
	/* And on it goes. */
	assert_int_equal(send_until_full(&peer, 2 + count, 10), 10);
	peer_expect(&peer, peer.compositor, 1, WL_DISPLAY_SYNC, &got);
	peer_stop(&peer);
}

static void last_requests_arrive_when_the_program_leaves_meanwhile(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	uint32_t count = send_until_full(&peer, 2, 60000), received = 0;
	neep_close_fd(&peer.program);
	while (peer_receive(&peer, peer.compositor, &got)) {
		received++;
	}
	assert_int_equal(received, count);
	assert_true(peer_is_closed(&peer, peer.compositor));
	assert_null(peer.client);
	peer_stop(&peer);
}

static void compositor_waits_while_the_program_does_not_read(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	peer_get_registry(&peer);
	uint32_t sent = 0;
	for (int idle = 0; idle < 20;) {
		struct neep_wl_writer writer;
		neep_wl_writer_begin(&writer, PEER_REGISTRY, WL_REGISTRY_GLOBAL);
		neep_wl_writer_word(&writer, 7);
		neep_wl_writer_string(&writer, "wl_output");
		neep_wl_writer_word(&writer, sent + 1);
		int size = neep_wl_writer_end(&writer);
		if (send(peer.compositor, writer.data, (size_t)size, MSG_NOSIGNAL) == size) {
			sent++;
			idle = 0;
		} else {
			peer_settle(&peer);
			idle++;
		}
	}
	assert_in_range(sent, 1000, 1000000);
	assert_non_null(peer.client);
	uint32_t received = 0;
	while (peer_receive(&peer, peer.program, &got)) {
		received++;
		assert_int_equal(got.words[0], 7);
	}
	assert_int_equal(received, sent);
	peer_stop(&peer);
}

static void client_ends_when_the_compositor_goes(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	peer_settle(&peer);
	neep_close_fd(&peer.compositor);
	assert_true(peer_is_closed(&peer, peer.program));
	assert_null(peer.client);
	peer_stop(&peer);
}

static void program_that_leaves_ends_its_connection_to_the_compositor(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	peer_settle(&peer);
	neep_close_fd(&peer.program);
	assert_true(peer_is_closed(&peer, peer.compositor));
	assert_null(peer.client);
	peer_stop(&peer);
}

static void burst_of_requests_is_one_send(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	assert_int_equal(send_until_full(&peer, 2, 100), 100);
	peer_settle(&peer);
	char bytes[4096];
	assert_int_equal(recv(peer.compositor, bytes, sizeof(bytes), 0), 1200);
	peer_stop(&peer);
}

/* ---- a host that fails ---- */

static int send_result;
static int sends;
static struct neep_wl_host fake;

static int fake_send(struct neep_wl_host *host, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	(void)host;
	(void)bytes;
	(void)len;
	sends++;
	for (size_t i = 0; i < count && send_result != -EAGAIN; i++) {
		neep_wl_close_fds(&attachments[i].owned_fd, 1);
	}
	return send_result;
}

static void fake_destroy(struct neep_wl_host *host) {
	(void)host;
}

static void fake_set_receiving(struct neep_wl_host *host, bool is_receiving) {
	(void)host;
	(void)is_receiving;
}

static const struct neep_wl_host_impl fake_impl = {
	.name = "fake",
	.destroy = fake_destroy,
	.send = fake_send,
	.set_receiving = fake_set_receiving,
};

static struct neep_wl_host *make_fake(void *data, const struct neep_wl_host_listener *listener,
	void *listener_data, struct neep_error *error) {
	(void)data;
	(void)error;
	fake = (struct neep_wl_host){
		.impl = &fake_impl, .listener = listener, .listener_data = listener_data
	};
	return &fake;
}

static struct neep_wl_host *make_none(void *data, const struct neep_wl_host_listener *listener,
	void *listener_data, struct neep_error *error) {
	(void)data;
	(void)listener;
	(void)listener_data;
	neep_error_set(error, ENOENT, "no compositor: start one");
	return NULL;
}

static void start_fake(struct peer *peer, int result) {
	send_result = result;
	sends = 0;
	peer->make_host = make_fake;
	peer_start(peer);
	assert_int_equal(send_until_full(peer, 2, 3), 3);
	peer_settle(peer);
}

static void expect_implementation_error(struct peer *peer, const char *part) {
	peer_expect(peer, peer->program, 1, WL_DISPLAY_ERROR, &got);
	assert_int_equal(got.words[1], WL_DISPLAY_ERROR_IMPLEMENTATION);
	assert_non_null(strstr((const char *)&got.words[3], part));
	assert_true(peer_is_closed(peer, peer->program));
	assert_null(peer->client);
}

static void client_is_told_when_there_is_no_compositor(void **state) {
	(void)state;
	struct peer peer = { .make_host = make_none };
	peer_start(&peer);
	expect_implementation_error(&peer, "start one");
	peer_stop(&peer);
}

static void fd_that_cannot_travel_ends_the_client(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_fake(&peer, -ENOTSUP);
	expect_implementation_error(&peer, "file descriptor");
	peer_stop(&peer);
}

static void full_way_is_tried_again_when_drained(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_fake(&peer, -EAGAIN);
	assert_int_equal(sends, 1);
	/* Nothing is read meanwhile. */
	send_until_full(&peer, 10, 3);
	peer_settle(&peer);
	assert_int_equal(sends, 1);
	send_result = 0;
	fake.listener->drained(fake.listener_data);
	peer_settle(&peer);
	assert_int_equal(sends, 3);
	peer_stop(&peer);
}

static void broken_way_waits_for_its_end(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_fake(&peer, -EPIPE);
	assert_non_null(peer.client);
	struct neep_error error;
	neep_error_set(&error, 0, "the device is gone");
	error.code = EIO;
	fake.listener->closed(fake.listener_data, &error);
	expect_implementation_error(&peer, "device is gone");
	peer_stop(&peer);
}

static void bytes_after_the_end_are_dropped_with_their_fds(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_fake(&peer, 0);
	fake.listener->closed(fake.listener_data, NULL);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fake.listener->received(fake.listener_data, (const uint8_t *)"abc", 3, &fd, 1);
	peer_settle(&peer);
	assert_null(peer.client);
	peer_stop(&peer);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(conn_tells_that_it_is_drained_however_it_was),
		fd_checked_test(conn_reads_what_a_client_said_before_it_left),
		fd_checked_test(front_never_splits_a_message_from_its_fds),
		fd_checked_test(push_fails_and_closes_when_over_a_limit),
		fd_checked_test(program_waits_while_the_compositor_does_not_read),
		fd_checked_test(last_requests_arrive_when_the_program_leaves_meanwhile),
		fd_checked_test(compositor_waits_while_the_program_does_not_read),
		fd_checked_test(client_ends_when_the_compositor_goes),
		fd_checked_test(program_that_leaves_ends_its_connection_to_the_compositor),
		fd_checked_test(burst_of_requests_is_one_send),
		fd_checked_test(client_is_told_when_there_is_no_compositor),
		fd_checked_test(fd_that_cannot_travel_ends_the_client),
		fd_checked_test(full_way_is_tried_again_when_drained),
		fd_checked_test(broken_way_waits_for_its_end),
		fd_checked_test(bytes_after_the_end_are_dropped_with_their_fds),
	};
	return cmocka_run_group_tests_name("wayland_limits", tests, NULL, NULL);
}
