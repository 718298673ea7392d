/* A guest's X11 program on a real X server, Xvfb: the protocol's set-up, requests and replies, memory that is passed in both
 * directions by MIT-SHM ("The X Window System Protocol", "MIT-SHM" of xorgproto), and the end of the server. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/process.h"
#include "guest.h"
#include "rutabaga/api.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

#define XVFB   "/usr/bin/Xvfb"
#define WIDTH  64
#define HEIGHT 32
#define PIXELS (WIDTH * HEIGHT * 4)

enum opcode {
	X_CREATE_GC = 55,
	X_GET_IMAGE = 73,
	X_INTERN_ATOM = 16,
	X_GET_ATOM_NAME = 17,
	X_QUERY_EXTENSION = 98,
	SHM_PUT_IMAGE = 3,
	SHM_ATTACH_FD = 6,
	SHM_CREATE_SEGMENT = 7,
};

struct session {
	struct guest guest;
	uint32_t id_base;
	uint32_t root;
	uint8_t depth;
	uint8_t shm; // major opcode
};

static pid_t server, device;
static int display;

/* Without a number it chooses one; it tells it when it is ready. */
static void start_server(int number) {
	int ends[2];
	char words[128], line[16] = "", place[16] = "";
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[1], F_SETFD, 0);
	if (number > 0) {
		snprintf(place, sizeof(place), ":%d ", number);
	}
	snprintf(words, sizeof(words), "%s-displayfd %d -screen 0 320x240x24 -nolisten tcp -noreset", place,
		ends[1]);
	server = process_start(XVFB, words);
	close(ends[1]);
	for (size_t len = 0; strchr(line, '\n') == NULL; len++) {
		assert_int_equal(read(ends[0], line + len, 1), 1);
	}
	close(ends[0]);
	display = atoi(line);
}

static int setup(void **state) {
	(void)state;
	char words[64];
	folder_enter();
	fd_check_setup(state);
	start_server(0);
	snprintf(words, sizeof(words), "--x11-socket-path /tmp/.X11-unix/X%d", display);
	device = guest_device_start(words);
	return 0;
}

static int teardown(void **state) {
	return guest_device_stop(state, device, server);
}

static uint16_t word16(const uint8_t *bytes) {
	uint16_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint32_t word32(const uint8_t *bytes) {
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void send_words(struct session *session, const uint32_t *words, size_t count) {
	guest_send(&session->guest, words, count * 4, NULL, 0);
}

/* The reply at the start of what came, all of it there. */
static const uint8_t *reply(struct session *session) {
	struct guest *guest = &session->guest;
	guest_need(guest, 32);
	assert_int_equal(guest->in[0], 1);
	guest_need(guest, 32 + word32(guest->in + 4) * 4);
	return guest->in;
}

static void take_reply(struct session *session) {
	guest_take(&session->guest, 32 + word32(session->guest.in + 4) * 4);
}

/* A request that is a name, and `data` in its header. */
static void send_name(struct session *session, uint8_t opcode, uint8_t data, const char *name) {
	uint8_t bytes[64] = { opcode, data };
	size_t len = strlen(name), words = 2 + (len + 3) / 4;
	bytes[2] = (uint8_t)words;
	bytes[4] = (uint8_t)len;
	memcpy(bytes + 8, name, len);
	guest_send(&session->guest, bytes, words * 4, NULL, 0);
}

static void open_session(struct session *session) {
	static const uint8_t hello[12] = { 'l', 0, 11 };
	struct guest *guest = &session->guest;
	guest_open(guest, RUTABAGA_CHANNEL_TYPE_X11);
	guest_send(guest, hello, sizeof(hello), NULL, 0);
	guest_need(guest, 8);
	size_t len = 8 + word16(guest->in + 6) * (size_t)4;
	guest_need(guest, len);
	assert_int_equal(guest->in[0], 1);
	assert_int_equal(word16(guest->in + 2), 11);
	session->id_base = word32(guest->in + 12);
	size_t vendor = (word16(guest->in + 24) + (size_t)3) / 4 * 4;
	const uint8_t *screen = guest->in + 40 + vendor + guest->in[29] * (size_t)8;
	assert_true(screen + 40 <= guest->in + len);
	session->root = word32(screen);
	assert_int_equal(word16(screen + 20), 320);
	assert_int_equal(word16(screen + 22), 240);
	session->depth = screen[38];
	guest_take(guest, len);
}

static void find_shm(struct session *session) {
	send_name(session, X_QUERY_EXTENSION, 0, "MIT-SHM");
	const uint8_t *answer = reply(session);
	assert_int_equal(answer[8], 1);
	session->shm = answer[9];
	take_reply(session);
}

static void program_speaks_with_the_server(void **state) {
	(void)state;
	struct session session;
	open_session(&session);
	find_shm(&session);
	assert_true(session.shm >= 128);
	send_name(&session, X_QUERY_EXTENSION, 0, "NO-SUCH-THING");
	assert_int_equal(reply(&session)[8], 0);
	take_reply(&session);
	send_name(&session, X_INTERN_ATOM, 0, "NEEP_TEST_ATOM");
	uint32_t atom = word32(reply(&session) + 8);
	assert_true(atom > 68); // those that are predefined
	take_reply(&session);
	const uint32_t get_name[] = { 2 << 16 | X_GET_ATOM_NAME, atom };
	send_words(&session, get_name, 2);
	assert_int_equal(word16(reply(&session) + 8), 14);
	assert_memory_equal(session.guest.in + 32, "NEEP_TEST_ATOM", 14);
	take_reply(&session);
	assert_int_equal(session.guest.in_len, 0);
	guest_close(&session.guest);
}

static void get_image(struct session *session, uint32_t width, uint32_t height) {
	const uint32_t words[] = { 5 << 16 | 2 << 8 | X_GET_IMAGE, session->root, 0, height << 16 | width,
		0xffffffff };
	send_words(session, words, 5);
}

/* Draws the segment onto the root window, and reads the window back. */
static void expect_picture(struct session *session, uint32_t segment, const uint8_t *pixels) {
	uint32_t gc = session->id_base + 1;
	const uint32_t create_gc[] = { 4 << 16 | X_CREATE_GC, gc, session->root, 0 };
	const uint32_t put[] = { 10 << 16 | SHM_PUT_IMAGE << 8 | session->shm, session->root, gc,
		HEIGHT << 16 | WIDTH, 0, HEIGHT << 16 | WIDTH, 0, 2u << 8 | session->depth, segment, 0 };
	send_words(session, create_gc, 4);
	send_words(session, put, 10);
	get_image(session, WIDTH, HEIGHT);
	const uint8_t *answer = reply(session);
	assert_int_equal(word32(answer + 4) * 4, PIXELS);
	for (size_t i = 0; i < PIXELS / 4; i++) {
		assert_int_equal(word32(answer + 32 + i * 4) & 0xffffff, word32(pixels + i * 4) & 0xffffff);
	}
	take_reply(session);
}

static void paint(uint8_t *pixels, uint32_t seed) {
	for (uint32_t i = 0; i < PIXELS / 4; i++) {
		uint32_t pixel = i * 2654435761u + seed;
		memcpy(pixels + i * 4, &pixel, 4);
	}
}

static void memory_of_the_server_reaches_the_program(void **state) {
	(void)state;
	struct session session;
	open_session(&session);
	find_shm(&session);
	uint32_t segment = session.id_base;
	const uint32_t create[] = { 4 << 16 | SHM_CREATE_SEGMENT << 8 | session.shm, segment, PIXELS, 0 };
	send_words(&session, create, 4);
	assert_int_equal(reply(&session)[1], 1); // fds
	take_reply(&session);
	assert_int_equal(session.guest.id_count, 1);
	assert_int_equal(session.guest.ids[0].type, NEEP_XD_ID_BLOB);
	assert_true(session.guest.ids[0].size >= PIXELS);
	uint8_t *pixels = guest_map(&session.guest, guest_blob(&session.guest, &session.guest.ids[0]));
	paint(pixels, 1);
	expect_picture(&session, segment, pixels);
	guest_close(&session.guest);
}

static void memory_of_the_program_reaches_the_server(void **state) {
	(void)state;
	struct session session;
	open_session(&session);
	find_shm(&session);
	struct guest_id memory = guest_memory(&session.guest, PIXELS), sent = { .type = NEEP_XD_ID_BLOB };
	sent.id = guest_blob(&session.guest, &memory);
	uint8_t *pixels = guest_map(&session.guest, sent.id);
	paint(pixels, 2);
	uint32_t segment = session.id_base;
	const uint32_t attach[] = { 3 << 16 | SHM_ATTACH_FD << 8 | session.shm, segment, 0 };
	guest_send(&session.guest, attach, sizeof(attach), &sent, 1);
	expect_picture(&session, segment, pixels);
	guest_close(&session.guest);
}

static void program_hears_of_the_end_of_the_server(void **state) {
	(void)state;
	struct session session;
	open_session(&session);
	/* More than sockets and queues hold. */
	for (int i = 0; i < 100; i++) {
		get_image(&session, 320, 240);
	}
	(void)reply(&session);
	kill(server, SIGKILL);
	process_wait(server);
	guest_take(&session.guest, session.guest.in_len);
	guest_await_end(&session.guest);
	guest_close(&session.guest);
	/* The device lives, and finds the next one at the same place. */
	start_server(display);
	open_session(&session);
	find_shm(&session);
	guest_close(&session.guest);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(program_speaks_with_the_server, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_of_the_server_reaches_the_program, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_of_the_program_reaches_the_server, setup, teardown),
		cmocka_unit_test_setup_teardown(program_hears_of_the_end_of_the_server, setup, teardown),
	};
	if (access(XVFB, X_OK) != 0) {
		printf("1..0 # SKIP there is no %s\n", XVFB);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
