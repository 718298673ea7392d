/* The display socket against a scripted front-end in the same thread. */
#include <errno.h>
#include <linux/virtio_gpu.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "vhost_user/gpu_protocol.h"
#include "vhost_user/gpu_socket.h"

struct screen {
	struct neep_gpu_socket_owner owner;
	struct neep_loop *loop;
	struct neep_gpu_socket *socket;
	int fd; // the front-end's end
	unsigned ready, update_done, closed;
	bool destroy_when_closed;
};

static struct screen *screen_from_owner(struct neep_gpu_socket_owner *owner) {
	return neep_container_of(owner, struct screen, owner);
}

static void screen_ready(struct neep_gpu_socket_owner *owner) {
	screen_from_owner(owner)->ready++;
}

static void screen_update_done(struct neep_gpu_socket_owner *owner) {
	screen_from_owner(owner)->update_done++;
}

static void screen_closed(struct neep_gpu_socket_owner *owner) {
	struct screen *screen = screen_from_owner(owner);
	screen->closed++;
	if (screen->destroy_when_closed) {
		neep_gpu_socket_destroy(screen->socket);
		screen->socket = NULL;
	}
}

static const struct neep_gpu_socket_impl screen_impl = {
	.ready = screen_ready,
	.update_done = screen_update_done,
	.closed = screen_closed,
};

static void screen_open(struct screen *screen) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*screen = (struct screen){ .owner.impl = &screen_impl, .loop = neep_loop_create(), .fd = pair[0] };
	assert_int_equal(neep_fd_set_nonblocking(screen->fd), 0);
	screen->socket = neep_gpu_socket_create(screen->loop, pair[1], &screen->owner);
	assert_non_null(screen->socket);
	/* Small, so that updates take many turns. */
	int size = 4096;
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void screen_close(struct screen *screen) {
	neep_gpu_socket_destroy(screen->socket);
	neep_close_fd(&screen->fd);
	neep_loop_destroy(screen->loop);
}

static void turn(struct screen *screen) {
	for (int i = 0; i < 5; i++) {
		assert_int_equal(neep_loop_step(screen->loop, 0), 0);
	}
}

static void recv_exactly(struct screen *screen, void *buf, size_t len) {
	size_t got = 0;
	for (int idle = 0; got < len; idle++) {
		ssize_t n = recv(screen->fd, (uint8_t *)buf + got, len - got, 0);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN && idle < 1000));
		if (n > 0) {
			got += (size_t)n;
			idle = 0;
		}
		assert_int_equal(neep_loop_step(screen->loop, 0), 0);
	}
}

static bool is_silent(struct screen *screen) {
	char byte;
	turn(screen);
	return recv(screen->fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void expect_message(struct screen *screen, uint32_t request, void *payload, size_t len) {
	struct neep_gpu_header header;
	recv_exactly(screen, &header, sizeof(header));
	assert_int_equal(header.request, request);
	assert_int_equal(header.flags, 0);
	assert_int_equal(header.size, len);
	recv_exactly(screen, payload, len);
}

static void send_reply(
	struct screen *screen, uint32_t request, uint32_t flags, const void *payload, size_t len) {
	struct neep_gpu_header header = { request, flags, (uint32_t)len };
	assert_int_equal(send(screen->fd, &header, sizeof(header), 0), sizeof(header));
	if (len > 0) {
		assert_int_equal(send(screen->fd, payload, len, 0), len);
	}
	turn(screen);
}

static void handshake(struct screen *screen, uint64_t offered) {
	expect_message(screen, NEEP_GPU_GET_PROTOCOL_FEATURES, NULL, 0);
	send_reply(screen, NEEP_GPU_GET_PROTOCOL_FEATURES, 4, &offered, sizeof(offered));
	uint64_t accepted;
	expect_message(screen, NEEP_GPU_SET_PROTOCOL_FEATURES, &accepted, sizeof(accepted));
	assert_int_equal(accepted, offered & 1);
	assert_int_equal(screen->ready, 1);
}

static void open_ready(struct screen *screen) {
	screen_open(screen);
	handshake(screen, 3);
}

static void expect_scanout(struct screen *screen, uint32_t id, uint32_t width, uint32_t height) {
	uint32_t words[3];
	expect_message(screen, NEEP_GPU_SCANOUT, words, sizeof(words));
	const uint32_t expected[] = { id, width, height };
	assert_memory_equal(words, expected, sizeof(words));
}

/* An image whose every pixel is its own index, with dirt between the rows. */
#define IMAGE_WIDTH  200u
#define IMAGE_HEIGHT 150u
struct image {
	uint32_t *pixels;
	size_t stride; // bytes
};

static struct image image_create(size_t padding) {
	struct image image = { .stride = IMAGE_WIDTH * 4 + padding };
	image.pixels = malloc(image.stride * IMAGE_HEIGHT);
	memset(image.pixels, 0xee, image.stride * IMAGE_HEIGHT);
	for (uint32_t y = 0; y < IMAGE_HEIGHT; y++) {
		for (uint32_t x = 0; x < IMAGE_WIDTH; x++) {
			image.pixels[y * image.stride / 4 + x] = y * IMAGE_WIDTH + x;
		}
	}
	return image;
}

static struct neep_gpu_update update_of(const struct image *image, uint32_t id) {
	return (struct neep_gpu_update){
		.scanout_id = id,
		.x = 3,
		.y = 4,
		.width = IMAGE_WIDTH,
		.height = IMAGE_HEIGHT,
		.pixels = (const uint8_t *)image->pixels,
		.stride = image->stride,
	};
}

static void expect_update(struct screen *screen, uint32_t id) {
	size_t len = 20 + IMAGE_WIDTH * IMAGE_HEIGHT * 4;
	uint32_t *words = malloc(len);
	expect_message(screen, NEEP_GPU_UPDATE, words, len);
	const uint32_t head[] = { id, 3, 4, IMAGE_WIDTH, IMAGE_HEIGHT };
	assert_memory_equal(words, head, sizeof(head));
	for (uint32_t i = 0; i < IMAGE_WIDTH * IMAGE_HEIGHT; i++) {
		assert_int_equal(words[5 + i], i);
	}
	free(words);
}

static void handshake_is_asynchronous_and_takes_edid_only(void **state) {
	(void)state;
	struct screen screen;
	screen_open(&screen);
	assert_false(neep_gpu_socket_is_ready(screen.socket));
	assert_false(neep_gpu_socket_can_update(screen.socket));
	/* Given early, it waits. */
	neep_gpu_socket_scanout(screen.socket, 0, 64, 48);
	handshake(&screen, UINT64_MAX);
	assert_true(neep_gpu_socket_is_ready(screen.socket));
	expect_scanout(&screen, 0, 64, 48);
	assert_true(is_silent(&screen));
	screen_close(&screen);
}

static void handshake_survives_odd_answers(void **state) {
	(void)state;
	struct screen screen;
	screen_open(&screen);
	expect_message(&screen, NEEP_GPU_GET_PROTOCOL_FEATURES, NULL, 0);
	uint8_t junk[2000] = { 0xff };
	send_reply(&screen, NEEP_GPU_GET_EDID, 4, junk, 100);
	send_reply(&screen, 77, 4, junk, sizeof(junk));
	send_reply(&screen, NEEP_GPU_GET_PROTOCOL_FEATURES, 0, junk, 8); // not a reply, as far as it says
	assert_int_equal(screen.ready, 0);
	send_reply(&screen, NEEP_GPU_GET_PROTOCOL_FEATURES, 4, junk, 4);
	uint64_t accepted;
	expect_message(&screen, NEEP_GPU_SET_PROTOCOL_FEATURES, &accepted, sizeof(accepted));
	assert_int_equal(accepted, 0);
	assert_int_equal(screen.ready, 1);
	screen_close(&screen);
}

static void update_is_exact_through_a_small_buffer(void **state) {
	(void)state;
	static const size_t paddings[] = { 0, 4, 64 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(paddings); i++) {
		struct screen screen;
		open_ready(&screen);
		struct image image = image_create(paddings[i]);
		neep_gpu_socket_scanout(screen.socket, 2, 300, 200);
		neep_gpu_socket_update(screen.socket, &(struct neep_gpu_update){ 0 });
		turn(&screen);
		assert_int_equal(screen.update_done, 1); // scanout 0 is off: given up
		struct neep_gpu_update update = update_of(&image, 2);
		neep_gpu_socket_update(screen.socket, &update);
		assert_false(neep_gpu_socket_can_update(screen.socket));
		turn(&screen);
		assert_int_equal(screen.update_done, 1);
		expect_scanout(&screen, 2, 300, 200);
		expect_update(&screen, 2);
		turn(&screen);
		assert_int_equal(screen.update_done, 2);
		assert_true(neep_gpu_socket_can_update(screen.socket));
		assert_true(is_silent(&screen));
		free(image.pixels);
		screen_close(&screen);
	}
}

static void update_with_more_rows_than_iovecs_is_exact(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	enum { ROWS = 3000 };
	uint32_t *pixels = malloc(ROWS * 8);
	for (uint32_t i = 0; i < ROWS * 2; i++) {
		pixels[i] = i;
	}
	neep_gpu_socket_scanout(screen.socket, 0, 1, ROWS);
	struct neep_gpu_update update = {
		.width = 1, .height = ROWS, .pixels = (const uint8_t *)pixels, .stride = 8
	};
	neep_gpu_socket_update(screen.socket, &update);
	expect_scanout(&screen, 0, 1, ROWS);
	uint32_t words[5 + ROWS];
	expect_message(&screen, NEEP_GPU_UPDATE, words, sizeof(words));
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_int_equal(words[5 + i], i * 2);
	}
	free(pixels);
	screen_close(&screen);
}

static void messages_keep_their_order_around_an_update(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	struct image image = image_create(8);
	neep_gpu_socket_scanout(screen.socket, 0, 300, 200);
	struct neep_gpu_update update = update_of(&image, 0);
	neep_gpu_socket_update(screen.socket, &update);
	turn(&screen);
	neep_gpu_socket_scanout(screen.socket, 0, 0, 0);
	neep_gpu_socket_scanout(screen.socket, 1, 20, 20);
	neep_gpu_socket_cursor_move(
		screen.socket, &(struct neep_gpu_cursor){ .x = 1, .y = UINT32_MAX }, true);
	expect_scanout(&screen, 0, 300, 200);
	expect_update(&screen, 0);
	expect_scanout(&screen, 0, 0, 0);
	expect_scanout(&screen, 1, 20, 20);
	uint32_t pos[3];
	expect_message(&screen, NEEP_GPU_CURSOR_POS, pos, sizeof(pos));
	assert_memory_equal(pos, ((const uint32_t[]){ 0, 1, UINT32_MAX }), sizeof(pos));
	free(image.pixels);
	screen_close(&screen);
}

static void settle_keeps_the_pixels_of_the_update(void **state) {
	(void)state;
	for (int reads = 0; reads < 4; reads++) {
		struct screen screen;
		open_ready(&screen);
		struct image image = image_create(reads % 2 == 0 ? 0 : 16);
		neep_gpu_socket_scanout(screen.socket, 0, 300, 200);
		expect_scanout(&screen, 0, 300, 200);
		struct neep_gpu_update update = update_of(&image, 0);
		neep_gpu_socket_update(screen.socket, &update);
		turn(&screen);
		/* Some of it is out already, up to the middle of a row. */
		uint8_t *seen = calloc(1, (size_t)reads * 5001 + 1);
		size_t seen_len = (size_t)reads * 5001;
		recv_exactly(&screen, seen, seen_len);
		neep_gpu_socket_settle(screen.socket);
		neep_gpu_socket_settle(screen.socket);
		memset(image.pixels, 0, image.stride * IMAGE_HEIGHT);
		free(image.pixels);
		assert_false(neep_gpu_socket_can_update(screen.socket));
		size_t len = 12 + 20 + IMAGE_WIDTH * IMAGE_HEIGHT * 4;
		uint8_t *all = malloc(len);
		memcpy(all, seen, seen_len);
		recv_exactly(&screen, all + seen_len, len - seen_len);
		for (uint32_t i = 0; i < IMAGE_WIDTH * IMAGE_HEIGHT; i++) {
			uint32_t pixel;
			memcpy(&pixel, all + 32 + i * 4, 4);
			assert_int_equal(pixel, i);
		}
		turn(&screen);
		assert_int_equal(screen.update_done, 1);
		assert_true(neep_gpu_socket_can_update(screen.socket));
		neep_gpu_socket_settle(screen.socket);
		free(all);
		free(seen);
		screen_close(&screen);
	}
}

static void update_of_a_scanout_that_is_off_is_not_sent(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	struct image image = image_create(0);
	static const uint32_t sizes[][2] = { { 0, 0 }, { 640, 0 }, { 0, 480 } };
	unsigned done = 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		neep_gpu_socket_scanout(screen.socket, 0, 10, 10);
		expect_scanout(&screen, 0, 10, 10);
		neep_gpu_socket_scanout(screen.socket, 0, sizes[i][0], sizes[i][1]);
		expect_scanout(&screen, 0, 0, 0);
		struct neep_gpu_update update = update_of(&image, 0);
		neep_gpu_socket_update(screen.socket, &update);
		assert_int_equal(screen.update_done, done);
		assert_true(is_silent(&screen));
		assert_int_equal(screen.update_done, ++done);
	}
	/* Out of all ranges. */
	neep_gpu_socket_scanout(screen.socket, 16, 10, 10);
	neep_gpu_socket_scanout(screen.socket, UINT32_MAX, 10, 10);
	neep_gpu_socket_scanout(screen.socket, 0, 16385, 10);
	neep_gpu_socket_scanout(screen.socket, 0, 10, UINT32_MAX);
	static const uint32_t ids[] = { 1, 16, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ids); i++) {
		struct neep_gpu_update update = update_of(&image, ids[i]);
		neep_gpu_socket_update(screen.socket, &update);
		turn(&screen);
		assert_int_equal(screen.update_done, ++done);
	}
	neep_gpu_socket_scanout(screen.socket, 0, 10, 10);
	expect_scanout(&screen, 0, 10, 10);
	static const uint32_t rects[][2] = { { 0, 5 }, { 5, 0 }, { 16385, 1 }, { UINT32_MAX, UINT32_MAX } };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rects); i++) {
		struct neep_gpu_update update = update_of(&image, 0);
		update.width = rects[i][0];
		update.height = rects[i][1];
		neep_gpu_socket_update(screen.socket, &update);
		turn(&screen);
		assert_int_equal(screen.update_done, ++done);
	}
	assert_true(is_silent(&screen));
	free(image.pixels);
	screen_close(&screen);
}

static void peer_that_closes_in_the_middle_of_an_update_ends_it(void **state) {
	(void)state;
	for (int destroys = 0; destroys < 2; destroys++) {
		struct screen screen;
		open_ready(&screen);
		screen.destroy_when_closed = destroys != 0;
		struct image image = image_create(0);
		neep_gpu_socket_scanout(screen.socket, 0, 300, 200);
		struct neep_gpu_update update = update_of(&image, 0);
		neep_gpu_socket_update(screen.socket, &update);
		turn(&screen);
		neep_close_fd(&screen.fd);
		turn(&screen);
		assert_int_equal(screen.update_done, 1);
		assert_int_equal(screen.closed, 1);
		if (destroys == 0) {
			assert_false(neep_gpu_socket_can_update(screen.socket));
			neep_gpu_socket_scanout(screen.socket, 0, 10, 10);
			neep_gpu_socket_cursor_move(screen.socket, &(struct neep_gpu_cursor){ 0 }, true);
			neep_gpu_socket_settle(screen.socket);
		}
		free(image.pixels);
		screen_close(&screen);
	}
}

static void write_to_a_closed_peer_is_told_from_the_loop(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	neep_close_fd(&screen.fd);
	neep_gpu_socket_scanout(screen.socket, 0, 10, 10);
	assert_int_equal(screen.closed, 0);
	turn(&screen);
	assert_int_equal(screen.closed, 1);
	screen_close(&screen);
}

struct question {
	struct neep_gpu_query base;
	unsigned done;
	bool has_reply;
	union {
		uint8_t bytes[1056];
		struct virtio_gpu_resp_edid edid;
	} reply;
	size_t len;
};

static void question_done(struct neep_gpu_query *query, const void *reply, size_t len) {
	struct question *question = neep_container_of(query, struct question, base);
	question->done++;
	question->has_reply = reply != NULL;
	question->len = len;
	if (reply != NULL) {
		memcpy(question->reply.bytes, reply, len);
	}
}

static void ask(struct screen *screen, struct question *question, bool is_edid, uint32_t scanout_id) {
	*question = (struct question){
		.base = { .is_edid = is_edid, .scanout_id = scanout_id, .done = question_done }
	};
	neep_gpu_socket_query(screen->socket, &question->base);
	assert_int_equal(question->done, 0);
}

static void expect_edid_request(struct screen *screen, uint32_t scanout_id) {
	uint32_t id;
	expect_message(screen, NEEP_GPU_GET_EDID, &id, sizeof(id));
	assert_int_equal(id, scanout_id);
}

static void answer_edid(struct screen *screen, uint32_t mark) {
	struct virtio_gpu_resp_edid edid = { .hdr.type = VIRTIO_GPU_RESP_OK_EDID, .size = mark };
	send_reply(screen, NEEP_GPU_GET_EDID, 4, &edid, sizeof(edid));
}

static void answer_info(struct screen *screen, uint32_t type, size_t len) {
	uint8_t payload[2000] = { 0 };
	memcpy(payload, &type, sizeof(type));
	send_reply(screen, NEEP_GPU_GET_DISPLAY_INFO, 4, payload, len);
}

static void queries_are_asked_one_by_one(void **state) {
	(void)state;
	struct screen screen;
	screen_open(&screen);
	struct question info, edid, other;
	ask(&screen, &info, false, 0);
	ask(&screen, &edid, true, 1);
	ask(&screen, &other, true, 2);
	handshake(&screen, 3);
	expect_message(&screen, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	assert_true(is_silent(&screen));
	answer_info(&screen, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 408);
	assert_int_equal(info.done, 1);
	assert_true(info.has_reply);
	assert_int_equal(info.len, 408);
	expect_edid_request(&screen, 1);
	answer_edid(&screen, 77);
	assert_true(edid.has_reply);
	assert_int_equal(edid.len, 1056);
	assert_int_equal(edid.reply.edid.size, 77);
	expect_edid_request(&screen, 2);
	assert_int_equal(other.done, 0);
	screen_close(&screen);
	assert_int_equal(other.done, 1);
	assert_false(other.has_reply);
}

static void malformed_replies_fail_the_query(void **state) {
	(void)state;
	static const struct {
		uint32_t type;
		size_t len;
	} bad[] = {
		{ VIRTIO_GPU_RESP_OK_EDID, 408 },
		{ VIRTIO_GPU_RESP_ERR_UNSPEC, 408 },
		{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 407 },
		{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 409 },
		{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 0 },
		{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 4 },
		{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 1056 },
		{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 2000 },
	};
	struct screen screen;
	open_ready(&screen);
	struct question info;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		ask(&screen, &info, false, 0);
		expect_message(&screen, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
		answer_info(&screen, bad[i].type, bad[i].len);
		assert_int_equal(info.done, 1);
		assert_false(info.has_reply);
	}
	/* An answer to something else, and one that nobody asked for, are skipped. */
	ask(&screen, &info, false, 0);
	expect_message(&screen, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	answer_edid(&screen, 1);
	send_reply(&screen, NEEP_GPU_DMABUF_UPDATE, 4, NULL, 0);
	assert_int_equal(info.done, 0);
	answer_info(&screen, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 408);
	assert_true(info.has_reply);
	answer_info(&screen, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 408);
	assert_int_equal(info.done, 1);
	assert_int_equal(screen.closed, 0);
	screen_close(&screen);
}

static void wait_for(struct screen *screen, const unsigned *count) {
	await_turning(*count != 0, assert_int_equal(neep_loop_step(screen->loop, 100), 0));
	assert_int_equal(*count, 1);
}

static void query_without_answer_fails_after_a_second(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	struct question lost, next;
	int64_t start = neep_clock_ns();
	ask(&screen, &lost, true, 0);
	ask(&screen, &next, true, 1);
	expect_edid_request(&screen, 0);
	wait_for(&screen, &lost.done);
	assert_false(lost.has_reply);
	assert_true(neep_clock_ns() - start >= NEEP_NS_PER_S);
	/* The late answer is not taken for that of the next query. */
	expect_edid_request(&screen, 1);
	answer_edid(&screen, 10);
	assert_int_equal(next.done, 0);
	answer_edid(&screen, 11);
	assert_true(next.has_reply);
	assert_int_equal(next.reply.edid.size, 11);
	screen_close(&screen);
}

static void answer_that_never_came_is_given_up_when_a_later_one_does(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	struct question lost, info, edid;
	ask(&screen, &lost, true, 0);
	expect_edid_request(&screen, 0);
	wait_for(&screen, &lost.done);
	ask(&screen, &info, false, 0);
	expect_message(&screen, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	answer_info(&screen, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 408);
	assert_true(info.has_reply);
	ask(&screen, &edid, true, 0);
	expect_edid_request(&screen, 0);
	answer_edid(&screen, 5);
	assert_true(edid.has_reply);
	screen_close(&screen);
}

static void query_fails_when_the_handshake_is_not_answered(void **state) {
	(void)state;
	struct screen screen;
	screen_open(&screen);
	struct question info;
	ask(&screen, &info, false, 0);
	wait_for(&screen, &info.done);
	assert_false(info.has_reply);
	screen_close(&screen);
}

static void edid_is_not_asked_of_a_front_end_that_has_none(void **state) {
	(void)state;
	struct screen screen;
	screen_open(&screen);
	handshake(&screen, 2);
	struct question edid;
	ask(&screen, &edid, true, 0);
	assert_true(is_silent(&screen));
	wait_for(&screen, &edid.done);
	assert_false(edid.has_reply);
	screen_close(&screen);
}

static void queries_fail_when_the_peer_closes(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	struct question a, b, late;
	ask(&screen, &a, false, 0);
	ask(&screen, &b, true, 0);
	neep_close_fd(&screen.fd);
	turn(&screen);
	assert_int_equal(a.done, 1);
	assert_int_equal(b.done, 1);
	assert_false(a.has_reply);
	ask(&screen, &late, false, 0);
	turn(&screen);
	assert_int_equal(late.done, 1);
	assert_false(late.has_reply);
	screen_close(&screen);
}

static void cancelled_query_is_not_answered(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	struct question asked, waiting, next;
	ask(&screen, &asked, false, 0);
	ask(&screen, &waiting, true, 1);
	ask(&screen, &next, true, 2);
	expect_message(&screen, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	neep_gpu_query_cancel(&asked.base);
	neep_gpu_query_cancel(&waiting.base);
	answer_info(&screen, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, 408);
	assert_int_equal(asked.done, 0);
	expect_edid_request(&screen, 2);
	answer_edid(&screen, 0);
	assert_int_equal(next.done, 1);
	assert_int_equal(waiting.done, 0);
	screen_close(&screen);
}

static void cursor_messages_are_exact(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	uint32_t argb[64 * 64];
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(argb); i++) {
		argb[i] = i * 3;
	}
	const struct neep_gpu_cursor cursor = {
		.scanout_id = 1, .x = 5, .y = (uint32_t)-6, .hot_x = 7, .hot_y = 8
	};
	neep_gpu_socket_cursor_update(screen.socket, &cursor, argb);
	struct neep_gpu_cursor_update update;
	expect_message(&screen, NEEP_GPU_CURSOR_UPDATE, &update, sizeof(update));
	assert_memory_equal(&update, ((const uint32_t[]){ 1, 5, (uint32_t)-6, 7, 8 }), 20);
	assert_memory_equal(update.argb, argb, sizeof(argb));
	uint32_t pos[3];
	neep_gpu_socket_cursor_move(screen.socket, &cursor, true);
	expect_message(&screen, NEEP_GPU_CURSOR_POS, pos, sizeof(pos));
	assert_memory_equal(pos, ((const uint32_t[]){ 1, 5, (uint32_t)-6 }), sizeof(pos));
	neep_gpu_socket_cursor_move(screen.socket, &cursor, false);
	expect_message(&screen, NEEP_GPU_CURSOR_POS_HIDE, pos, sizeof(pos));
	neep_gpu_socket_cursor_move(screen.socket, &(struct neep_gpu_cursor){ .scanout_id = 16 }, true);
	neep_gpu_socket_cursor_update(screen.socket, &(struct neep_gpu_cursor){ .scanout_id = 99 }, argb);
	assert_true(is_silent(&screen));
	screen_close(&screen);
}

/* A front-end that does not read: what waits stays small, and the last state is what it reads in the end. */
static void waiting_messages_are_replaced_by_newer_ones(void **state) {
	(void)state;
	struct screen screen;
	open_ready(&screen);
	static uint32_t argb[64 * 64];
	struct image image = image_create(0);
	neep_gpu_socket_scanout(screen.socket, 0, 300, 200);
	struct neep_gpu_update update = update_of(&image, 0);
	neep_gpu_socket_update(screen.socket, &update);
	turn(&screen);
	for (uint32_t i = 1; i <= 1000; i++) {
		argb[0] = i;
		const struct neep_gpu_cursor cursor = { .x = i };
		neep_gpu_socket_cursor_move(screen.socket, &cursor, false);
		neep_gpu_socket_cursor_update(screen.socket, &cursor, argb);
		neep_gpu_socket_scanout(screen.socket, 0, i, i);
		neep_gpu_socket_cursor_move(screen.socket, &(struct neep_gpu_cursor){ .x = 2 * i }, true);
	}
	turn(&screen);
	expect_scanout(&screen, 0, 300, 200);
	expect_update(&screen, 0);
	struct neep_gpu_cursor_update image_message;
	expect_message(&screen, NEEP_GPU_CURSOR_UPDATE, &image_message, sizeof(image_message));
	assert_int_equal(image_message.argb[0], 1000);
	expect_scanout(&screen, 0, 1000, 1000);
	uint32_t pos[3];
	expect_message(&screen, NEEP_GPU_CURSOR_POS, pos, sizeof(pos));
	assert_int_equal(pos[1], 2000);
	assert_true(is_silent(&screen));
	free(image.pixels);
	screen_close(&screen);
}

static void destroy_in_any_state_leaks_nothing(void **state) {
	(void)state;
	struct screen screen;
	screen_open(&screen);
	neep_gpu_socket_scanout(screen.socket, 0, 10, 10);
	screen_close(&screen);
	open_ready(&screen);
	struct image image = image_create(0);
	neep_gpu_socket_scanout(screen.socket, 0, 300, 200);
	struct neep_gpu_update update = update_of(&image, 0);
	neep_gpu_socket_update(screen.socket, &update);
	neep_gpu_socket_settle(screen.socket);
	neep_gpu_socket_scanout(screen.socket, 0, 0, 0);
	screen_close(&screen);
	assert_int_equal(screen.closed, 0);
	free(image.pixels);
	neep_gpu_socket_destroy(NULL);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		fd_checked_test(handshake_is_asynchronous_and_takes_edid_only),
		fd_checked_test(handshake_survives_odd_answers),
		fd_checked_test(update_is_exact_through_a_small_buffer),
		fd_checked_test(update_with_more_rows_than_iovecs_is_exact),
		fd_checked_test(messages_keep_their_order_around_an_update),
		fd_checked_test(settle_keeps_the_pixels_of_the_update),
		fd_checked_test(update_of_a_scanout_that_is_off_is_not_sent),
		fd_checked_test(peer_that_closes_in_the_middle_of_an_update_ends_it),
		fd_checked_test(write_to_a_closed_peer_is_told_from_the_loop),
		fd_checked_test(queries_are_asked_one_by_one),
		fd_checked_test(malformed_replies_fail_the_query),
		fd_checked_test(query_without_answer_fails_after_a_second),
		fd_checked_test(answer_that_never_came_is_given_up_when_a_later_one_does),
		fd_checked_test(query_fails_when_the_handshake_is_not_answered),
		fd_checked_test(edid_is_not_asked_of_a_front_end_that_has_none),
		fd_checked_test(queries_fail_when_the_peer_closes),
		fd_checked_test(cancelled_query_is_not_answered),
		fd_checked_test(cursor_messages_are_exact),
		fd_checked_test(waiting_messages_are_replaced_by_newer_ones),
		fd_checked_test(destroy_in_any_state_leaks_nothing),
	};
	return cmocka_run_group_tests_name("gpu-socket", tests, NULL, NULL);
}
