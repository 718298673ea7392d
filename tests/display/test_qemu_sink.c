#include "support/cmocka.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "display/display.h"
#include "display/picture.h"
#include "support/fd_check.h"
#include "vhost_user/gpu_protocol.h"

#define XRGB VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

/* The sink under test, and QEMU's end of its socket. */
struct fixture {
	struct neep_loop *loop;
	struct neep_sink *sink;
	int peer;
};

static void fixture_create(struct fixture *f) {
	struct neep_error error;
	f->loop = neep_loop_create();
	neep_loop_set_spin(f->loop, 0);
	f->sink = neep_sink_create("qemu", f->loop, &error);
	assert_non_null(f->sink);
	f->peer = -1;
}

static void fixture_destroy(struct fixture *f) {
	if (f->peer >= 0) {
		close(f->peer);
	}
	neep_sink_destroy(f->sink);
	neep_loop_destroy(f->loop);
}

static void turn(struct fixture *f) {
	assert_int_equal(neep_loop_step(f->loop, 0), 0);
}

/* Reads exactly `len` bytes, and lets the sink work meanwhile. */
static void peer_read(struct fixture *f, void *buf, size_t len) {
	size_t used = 0;
	for (int idle = 0; used < len; idle++) {
		ssize_t got = recv(f->peer, (char *)buf + used, len - used, MSG_DONTWAIT);
		if (got > 0) {
			used += (size_t)got;
			idle = 0;
			continue;
		}
		assert_true(got < 0 && errno == EAGAIN);
		assert_true(idle < 1000);
		turn(f);
	}
}

static void peer_is_quiet(struct fixture *f) {
	char byte;
	for (int i = 0; i < 10; i++) {
		turn(f);
		assert_int_equal(recv(f->peer, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
	}
}

static void peer_expect(struct fixture *f, uint32_t request, const void *payload, size_t len) {
	struct neep_gpu_header header;
	uint8_t got[64];
	peer_read(f, &header, sizeof(header));
	assert_int_equal(header.request, request);
	assert_int_equal(header.flags, 0);
	assert_int_equal(header.size, len);
	peer_read(f, got, len);
	assert_memory_equal(got, payload, len);
}

static void peer_expect_scanout(struct fixture *f, uint32_t id, uint32_t width, uint32_t height) {
	uint32_t payload[] = { id, width, height };
	peer_expect(f, NEEP_GPU_SCANOUT, payload, sizeof(payload));
}

/* Reads an update of `area`; the caller frees its pixels. */
static uint32_t *peer_expect_update(struct fixture *f, uint32_t id, struct neep_rect area) {
	struct neep_gpu_header header;
	struct neep_gpu_update_header update;
	size_t len = (size_t)area.width * area.height * 4;
	peer_read(f, &header, sizeof(header));
	assert_int_equal(header.request, NEEP_GPU_UPDATE);
	assert_int_equal(header.size, sizeof(update) + len);
	peer_read(f, &update, sizeof(update));
	assert_int_equal(update.scanout_id, id);
	assert_int_equal(update.x, area.x);
	assert_int_equal(update.y, area.y);
	assert_int_equal(update.width, area.width);
	assert_int_equal(update.height, area.height);
	uint32_t *pixels = malloc(len);
	peer_read(f, pixels, len);
	return pixels;
}

static void peer_expect_flat_update(struct fixture *f, struct neep_rect area, uint32_t rgb) {
	uint32_t *pixels = peer_expect_update(f, 0, area);
	for (size_t i = 0; i < (size_t)area.width * area.height; i++) {
		assert_int_equal(pixels[i] & 0xffffff, rgb);
	}
	free(pixels);
}

static void peer_reply(struct fixture *f, uint32_t request, const void *payload, size_t len) {
	struct neep_gpu_header header = {
		.request = request, .flags = NEEP_GPU_FLAG_REPLY, .size = (uint32_t)len
	};
	assert_int_equal(send(f->peer, &header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
	assert_int_equal(send(f->peer, payload, len, MSG_NOSIGNAL), len);
	turn(f);
	turn(f);
}

static void peer_reply_info(struct fixture *f, uint32_t enabled) {
	struct virtio_gpu_resp_display_info info = { .hdr.type = VIRTIO_GPU_RESP_OK_DISPLAY_INFO };
	for (uint32_t i = 0; i < 16; i++) {
		info.pmodes[i].enabled = (enabled >> i) & 1;
	}
	peer_reply(f, NEEP_GPU_GET_DISPLAY_INFO, &info, sizeof(info));
}

static void give_socket(struct fixture *f) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	neep_sink_set_socket(f->sink, pair[0]);
	f->peer = pair[1];
}

static void handshake(struct fixture *f) {
	uint64_t features = 3;
	uint64_t edid = 1;
	peer_expect(f, NEEP_GPU_GET_PROTOCOL_FEATURES, NULL, 0);
	peer_reply(f, NEEP_GPU_GET_PROTOCOL_FEATURES, &features, sizeof(features));
	peer_expect(f, NEEP_GPU_SET_PROTOCOL_FEATURES, &edid, sizeof(edid));
}

static void connect_peer(struct fixture *f) {
	give_socket(f);
	handshake(f);
	peer_expect(f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	peer_reply_info(f, 1);
}

static void fixture_connect(struct fixture *f) {
	fixture_create(f);
	connect_peer(f);
}

static struct neep_image *show(struct fixture *f, uint32_t width, uint32_t height, uint32_t rgb) {
	struct neep_image *image = picture_create(width, height, XRGB);
	struct neep_rect all = { 0, 0, width, height };
	picture_fill_all(image, rgb);
	neep_sink_set_scanout(f->sink, 0, image, &all);
	neep_sink_damage(f->sink, 0, &all);
	return image;
}

static void damage(struct fixture *f, struct neep_rect area) {
	neep_sink_damage(f->sink, 0, &area);
}

static void update_carries_the_damaged_pixels(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = picture_create(8, 6, XRGB);
	struct neep_rect view = { 2, 1, 5, 4 };
	struct neep_rect pixel = { 3, 2, 1, 1 };
	picture_fill(image, &pixel, 0x123456);
	neep_sink_set_scanout(f.sink, 0, image, &view);
	peer_is_quiet(&f);
	damage(&f, (struct neep_rect){ 0, 0, 1, 1 });
	/* The surface is new: all of it is sent, then what is damaged. */
	peer_expect_scanout(&f, 0, 5, 4);
	uint32_t *pixels = peer_expect_update(&f, 0, (struct neep_rect){ 0, 0, 5, 4 });
	assert_int_equal(pixels[1 * 5 + 1], 0x123456);
	assert_int_equal(pixels[0], 0);
	free(pixels);
	damage(&f, (struct neep_rect){ 1, 1, 2, 1 });
	pixels = peer_expect_update(&f, 0, (struct neep_rect){ 1, 1, 2, 1 });
	assert_int_equal(pixels[0], 0x123456);
	assert_int_equal(pixels[1], 0);
	free(pixels);
	peer_is_quiet(&f);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void flip_sends_no_size(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_rect all = { 0, 0, 4, 4 };
	neep_image_unref(show(&f, 4, 4, 0x111111));
	peer_expect_scanout(&f, 0, 4, 4);
	peer_expect_flat_update(&f, all, 0x111111);
	neep_image_unref(show(&f, 4, 4, 0x222222));
	peer_expect_flat_update(&f, all, 0x222222);
	neep_image_unref(show(&f, 4, 5, 0x333333));
	peer_expect_scanout(&f, 0, 4, 5);
	peer_expect_flat_update(&f, (struct neep_rect){ 0, 0, 4, 5 }, 0x333333);
	peer_is_quiet(&f);
	fixture_destroy(&f);
}

static void off_is_told_once(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	neep_sink_set_scanout(f.sink, 0, NULL, NULL);
	peer_is_quiet(&f);
	neep_image_unref(show(&f, 4, 4, 0));
	peer_expect_scanout(&f, 0, 4, 4);
	peer_expect_flat_update(&f, (struct neep_rect){ 0, 0, 4, 4 }, 0);
	neep_sink_set_scanout(f.sink, 0, NULL, NULL);
	peer_expect_scanout(&f, 0, 0, 0);
	neep_sink_set_scanout(f.sink, 0, NULL, NULL);
	peer_is_quiet(&f);
	fixture_destroy(&f);
}

static void formats_are_converted(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = picture_create(4, 4, VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM);
	struct neep_rect all = { 0, 0, 4, 4 };
	picture_fill_all(image, 0x80332211); // r=0x11 g=0x22 b=0x33
	neep_sink_set_scanout(f.sink, 0, image, &all);
	neep_sink_damage(f.sink, 0, &all);
	/* What was converted is ours: the image may change at once. */
	neep_sink_settle(f.sink, image);
	picture_fill_all(image, 0);
	peer_expect_scanout(&f, 0, 4, 4);
	peer_expect_flat_update(&f, all, 0x112233);
	neep_image_unref(image);
	fixture_destroy(&f);
}

#define LARGE 1600 // pixels; 10 MB: no socket takes it at once
static const struct neep_rect all_of_large = { 0, 0, LARGE, LARGE };

/* Reads updates into `screen` until no more come; returns how many. */
static size_t read_updates(struct fixture *f, uint32_t *screen) {
	size_t count = 0;
	struct neep_gpu_header header;
	for (int idle = 0; idle < 20;) {
		turn(f);
		if (recv(f->peer, &header, sizeof(header), MSG_DONTWAIT | MSG_PEEK) != sizeof(header)) {
			idle++;
			continue;
		}
		struct neep_gpu_update_header update;
		peer_read(f, &header, sizeof(header));
		assert_int_equal(header.request, NEEP_GPU_UPDATE);
		peer_read(f, &update, sizeof(update));
		for (uint32_t y = update.y; y < update.y + update.height; y++) {
			peer_read(f, screen + (size_t)y * LARGE + update.x, (size_t)update.width * 4);
		}
		idle = 0;
		count++;
	}
	return count;
}

static void damage_is_merged_while_an_update_is_written(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	for (int i = 0; i < 10; i++) {
		damage(&f, (struct neep_rect){ 0, 0, 10, 10 });
		damage(&f, (struct neep_rect){ 10, 0, 10, 10 });
		damage(&f, (struct neep_rect){ 0, 100, 5, 5 });
	}
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	peer_expect_flat_update(&f, (struct neep_rect){ 0, 0, 20, 10 }, 0x111111);
	peer_expect_flat_update(&f, (struct neep_rect){ 0, 100, 5, 5 }, 0x111111);
	peer_is_quiet(&f);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void settle_keeps_what_is_being_written_and_what_waits(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	struct neep_rect waiting = { 7, 7, 30, 20 };
	neep_sink_settle(f.sink, image);
	picture_fill(image, &waiting, 0x222222);
	damage(&f, waiting);
	neep_sink_settle(f.sink, image);
	picture_fill_all(image, 0x333333);
	neep_sink_settle(f.sink, image);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	peer_expect_flat_update(&f, waiting, 0x222222);
	peer_is_quiet(&f);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void settle_while_the_shadow_is_being_written(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	neep_sink_settle(f.sink, image);
	picture_fill_all(image, 0x222222);
	damage(&f, all_of_large);
	neep_sink_settle(f.sink, image); // all of the second frame goes to the shadow
	picture_fill_all(image, 0x333333);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	turn(&f);
	turn(&f); // the shadow is being written now
	damage(&f, all_of_large);
	neep_sink_settle(f.sink, image);
	picture_fill_all(image, 0x444444);
	peer_expect_flat_update(&f, all_of_large, 0x222222);
	peer_expect_flat_update(&f, all_of_large, 0x333333);
	peer_is_quiet(&f);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void many_waiting_updates_are_rounded_up(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	for (uint32_t i = 0; i < 100; i++) {
		struct neep_rect tile = { i % 10 * 100, i / 10 * 100, 8, 8 };
		neep_sink_settle(f.sink, image);
		picture_fill(image, &tile, 0x222222);
		damage(&f, tile);
	}
	neep_sink_settle(f.sink, image);
	picture_fill_all(image, 0x333333);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	/* However they are cut: in the end every tile is there, and no pixel of later. */
	uint32_t *screen = calloc((size_t)LARGE * LARGE, sizeof(*screen));
	size_t updates = read_updates(&f, screen);
	assert_true(updates < 100);
	for (uint32_t i = 0; i < 100; i++) {
		size_t corner = (size_t)(i / 10 * 100 + 7) * LARGE + i % 10 * 100 + 7;
		assert_int_equal(screen[corner] & 0xffffff, 0x222222);
		assert_int_not_equal(screen[corner + 1] & 0xffffff, 0x333333);
	}
	free(screen);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void newer_damage_supersedes_the_shadow(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	struct neep_rect area = { 7, 7, 30, 20 };
	damage(&f, area);
	neep_sink_settle(f.sink, image);
	picture_fill_all(image, 0x222222);
	damage(&f, area);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	peer_expect_flat_update(&f, area, 0x222222);
	peer_is_quiet(&f);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void image_that_is_being_written_outlives_its_resource(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	neep_sink_set_scanout(f.sink, 0, NULL, NULL);
	neep_image_unref(image);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	peer_expect_scanout(&f, 0, 0, 0);
	fixture_destroy(&f);
}

static void new_socket_is_told_everything(void **state) {
	(void)state;
	struct fixture f;
	uint32_t argb[NEEP_CURSOR_SIZE * NEEP_CURSOR_SIZE] = { 0xff0000ff };
	struct neep_cursor cursor = { .x = 3, .y = -2, .hot_x = 1, .argb = argb, .is_visible = true };
	fixture_create(&f);
	struct neep_image *image = show(&f, 4, 4, 0x111111); // nobody is there yet
	neep_sink_cursor(f.sink, 0, &cursor, true);
	for (int i = 0; i < 2; i++) {
		give_socket(&f);
		handshake(&f);
		peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
		peer_expect_scanout(&f, 0, 4, 4);
		struct neep_gpu_header header;
		struct neep_gpu_cursor_update update;
		peer_read(&f, &header, sizeof(header));
		assert_int_equal(header.request, NEEP_GPU_CURSOR_UPDATE);
		peer_read(&f, &update, sizeof(update));
		assert_int_equal(update.pos.y, UINT32_MAX - 1);
		assert_int_equal(update.argb[0], 0xff0000ff);
		peer_expect_flat_update(&f, (struct neep_rect){ 0, 0, 4, 4 }, 0x111111);
		close(f.peer);
		f.peer = -1;
		turn(&f);
		turn(&f);
		damage(&f, (struct neep_rect){ 0, 0, 4, 4 }); // goes nowhere, harms nobody
		neep_sink_settle(f.sink, image);
	}
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void peer_that_closes_in_an_update_harms_nobody(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct neep_image *image = show(&f, LARGE, LARGE, 0x111111);
	damage(&f, all_of_large);
	turn(&f);
	close(f.peer);
	f.peer = -1;
	for (int i = 0; i < 5; i++) {
		damage(&f, all_of_large);
		neep_sink_settle(f.sink, image);
		turn(&f);
	}
	assert_int_equal(image->refs, 3); // ours, and what the scanout is set to and shows
	connect_peer(&f);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	neep_image_unref(image);
	fixture_destroy(&f);
}

static void cursor_image_is_sent_when_it_changes(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	uint32_t argb[NEEP_CURSOR_SIZE * NEEP_CURSOR_SIZE] = { 1, 2, 3 };
	struct neep_cursor cursor = {
		.x = 5, .y = 6, .hot_x = 1, .hot_y = 2, .argb = argb, .is_visible = true
	};
	neep_sink_cursor(f.sink, 0, &cursor, true);
	struct neep_gpu_header header;
	struct neep_gpu_cursor_update update;
	peer_read(&f, &header, sizeof(header));
	assert_int_equal(header.request, NEEP_GPU_CURSOR_UPDATE);
	assert_int_equal(header.size, sizeof(update));
	peer_read(&f, &update, sizeof(update));
	assert_int_equal(update.pos.x, 5);
	assert_int_equal(update.hot_y, 2);
	assert_memory_equal(update.argb, argb, sizeof(argb));
	cursor.x = 7;
	neep_sink_cursor(f.sink, 0, &cursor, false);
	peer_expect(&f, NEEP_GPU_CURSOR_POS, (uint32_t[]){ 0, 7, 6 }, 12);
	cursor.is_visible = false;
	neep_sink_cursor(f.sink, 0, &cursor, true);
	peer_expect(&f, NEEP_GPU_CURSOR_POS_HIDE, (uint32_t[]){ 0, 7, 6 }, 12);
	fixture_destroy(&f);
}

/* Counts how often the sink caught up. */
struct counter {
	struct neep_sink_listener base;
	int count;
};

static void count_up(struct neep_sink_listener *listener) {
	((struct counter *)listener)->count++;
}

static void sink_is_behind_while_a_frame_waits(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct counter counter = { .base.caught_up = count_up };
	neep_sink_set_listener(f.sink, &counter.base);
	neep_image_unref(show(&f, LARGE, LARGE, 0x111111));
	assert_false(neep_sink_is_behind(f.sink)); // it is being written
	neep_image_unref(show(&f, LARGE, LARGE, 0x222222));
	assert_true(neep_sink_is_behind(f.sink));
	assert_int_equal(counter.count, 0);
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	peer_expect_flat_update(&f, all_of_large, 0x222222);
	assert_false(neep_sink_is_behind(f.sink));
	assert_true(counter.count > 0);
	neep_sink_set_listener(f.sink, NULL);
	fixture_destroy(&f);
}

static void sink_does_not_stay_behind_a_display_that_stopped(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct counter counter = { .base.caught_up = count_up };
	neep_sink_set_listener(f.sink, &counter.base);
	neep_image_unref(show(&f, LARGE, LARGE, 0x111111));
	neep_image_unref(show(&f, LARGE, LARGE, 0x222222));
	assert_true(neep_sink_is_behind(f.sink));
	for (int i = 0; i < 100 && counter.count == 0; i++) {
		assert_int_equal(neep_loop_step(f.loop, 20), 0);
	}
	assert_int_equal(counter.count, 1);
	assert_false(neep_sink_is_behind(f.sink));
	neep_image_unref(show(&f, LARGE, LARGE, 0x333333));
	assert_false(neep_sink_is_behind(f.sink));
	/* It reads again. */
	peer_expect_scanout(&f, 0, LARGE, LARGE);
	peer_expect_flat_update(&f, all_of_large, 0x111111);
	peer_expect_flat_update(&f, all_of_large, 0x333333);
	neep_sink_set_listener(f.sink, NULL);
	fixture_destroy(&f);
}

struct question {
	struct neep_sink_query base;
	int answers;
	size_t len; // of the last reply, 0: none
	uint8_t reply[2048];
};

static void question_done(struct neep_sink_query *query, const void *reply, size_t len) {
	struct question *question = (struct question *)query;
	question->answers++;
	question->len = reply != NULL ? len : 0;
	if (reply != NULL) {
		memcpy(question->reply, reply, len);
	}
}

static void ask(struct fixture *f, struct question *question, bool is_edid, uint32_t scanout_id) {
	*question = (struct question){
		.base = { .is_edid = is_edid, .scanout_id = scanout_id, .done = question_done }
	};
	neep_sink_query(f->sink, &question->base);
}

static void query_is_answered_at_once_without_a_socket(void **state) {
	(void)state;
	struct fixture f;
	fixture_create(&f);
	struct question question;
	assert_true(neep_sink_has_query(f.sink));
	ask(&f, &question, false, 0);
	assert_int_equal(question.answers, 1);
	assert_int_equal(question.len, 0);
	neep_sink_query_cancel(f.sink, &question.base);
	fixture_destroy(&f);
}

static void query_waits_for_the_handshake(void **state) {
	(void)state;
	struct fixture f;
	fixture_create(&f);
	give_socket(&f);
	struct question info, edid, gone;
	ask(&f, &info, false, 0);
	ask(&f, &edid, true, 1);
	ask(&f, &gone, true, 1);
	neep_sink_query_cancel(f.sink, &gone.base);
	handshake(&f);
	assert_int_equal(info.answers + edid.answers, 0);
	peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0); // the sink's own
	peer_reply_info(&f, 2);
	peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	peer_reply_info(&f, 2);
	assert_int_equal(info.answers, 1);
	assert_int_equal(info.len, sizeof(struct virtio_gpu_resp_display_info));
	peer_expect(&f, NEEP_GPU_GET_EDID, &(uint32_t){ 1 }, 4);
	struct virtio_gpu_resp_edid reply = { .hdr.type = VIRTIO_GPU_RESP_OK_EDID, .size = 1024 };
	reply.edid[5] = 42;
	peer_reply(&f, NEEP_GPU_GET_EDID, &reply, sizeof(reply));
	assert_int_equal(edid.answers, 1);
	assert_int_equal(edid.len, sizeof(reply));
	assert_memory_equal(edid.reply, &reply, sizeof(reply));
	assert_int_equal(gone.answers, 0);
	fixture_destroy(&f);
}

static void edid_of_an_output_that_is_off_is_not_asked_for(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct question question;
	ask(&f, &question, true, 1);
	assert_int_equal(question.answers, 1);
	assert_int_equal(question.len, 0);
	ask(&f, &question, true, 0xffffffff);
	assert_int_equal(question.answers, 1);
	peer_is_quiet(&f);
	/* The outputs of the last display info count. */
	struct question info;
	ask(&f, &info, false, 0);
	peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	peer_reply_info(&f, 3);
	ask(&f, &question, true, 1);
	peer_expect(&f, NEEP_GPU_GET_EDID, &(uint32_t){ 1 }, 4);
	assert_int_equal(question.answers, 0);
	neep_sink_query_cancel(f.sink, &question.base);
	fixture_destroy(&f);
}

static void query_fails_when_the_peer_closes(void **state) {
	(void)state;
	struct fixture f;
	fixture_connect(&f);
	struct question info, edid;
	ask(&f, &info, false, 0);
	ask(&f, &edid, true, 0);
	peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	close(f.peer);
	f.peer = -1;
	for (int i = 0; i < 5; i++) {
		turn(&f);
	}
	assert_int_equal(info.answers, 1);
	assert_int_equal(edid.answers, 1);
	assert_int_equal(info.len + edid.len, 0);
	fixture_destroy(&f);
}

static void query_fails_when_the_handshake_takes_too_long(void **state) {
	(void)state;
	struct fixture f;
	fixture_create(&f);
	give_socket(&f);
	struct question early, late;
	ask(&f, &early, false, 0);
	for (int i = 0; i < 50 && early.answers == 0; i++) {
		assert_int_equal(neep_loop_step(f.loop, 100), 0);
	}
	assert_int_equal(early.answers, 1);
	ask(&f, &late, false, 0);
	assert_int_equal(late.answers, 1);
	/* It comes after all. */
	handshake(&f);
	peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	peer_reply_info(&f, 1);
	ask(&f, &late, false, 0);
	assert_int_equal(late.answers, 0);
	peer_expect(&f, NEEP_GPU_GET_DISPLAY_INFO, NULL, 0);
	peer_reply_info(&f, 1);
	assert_int_equal(late.answers, 1);
	fixture_destroy(&f);
}

static void snapshot_is_taken_from_the_image(void **state) {
	(void)state;
	struct fixture f;
	struct neep_error error;
	fixture_create(&f);
	assert_null(neep_sink_snapshot(f.sink, 0, false, &error));
	struct neep_image *image = show(&f, 4, 4, 0x123456);
	struct neep_image *shot = neep_sink_snapshot(f.sink, 0, false, &error);
	assert_int_equal(picture_get(shot, 3, 3) & 0xffffff, 0x123456);
	assert_true(neep_sink_output(f.sink, 0).is_enabled);
	neep_image_unref(shot);
	neep_image_unref(image);
	fixture_destroy(&f);
}

int main(void) {
	signal(SIGPIPE, SIG_IGN); // large pictures go by reference then
	const struct CMUnitTest tests[] = {
		fd_checked_test(update_carries_the_damaged_pixels),
		fd_checked_test(flip_sends_no_size),
		fd_checked_test(off_is_told_once),
		fd_checked_test(formats_are_converted),
		fd_checked_test(damage_is_merged_while_an_update_is_written),
		fd_checked_test(settle_keeps_what_is_being_written_and_what_waits),
		fd_checked_test(settle_while_the_shadow_is_being_written),
		fd_checked_test(many_waiting_updates_are_rounded_up),
		fd_checked_test(newer_damage_supersedes_the_shadow),
		fd_checked_test(image_that_is_being_written_outlives_its_resource),
		fd_checked_test(new_socket_is_told_everything),
		fd_checked_test(peer_that_closes_in_an_update_harms_nobody),
		fd_checked_test(sink_is_behind_while_a_frame_waits),
		fd_checked_test(sink_does_not_stay_behind_a_display_that_stopped),
		fd_checked_test(cursor_image_is_sent_when_it_changes),
		fd_checked_test(query_is_answered_at_once_without_a_socket),
		fd_checked_test(query_waits_for_the_handshake),
		fd_checked_test(edid_of_an_output_that_is_off_is_not_asked_for),
		fd_checked_test(query_fails_when_the_peer_closes),
		fd_checked_test(query_fails_when_the_handshake_takes_too_long),
		fd_checked_test(snapshot_is_taken_from_the_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
