/* The control socket, served in this process over a headless display, with hostile clients. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "daemon/control.h"
#include "daemon/process.h"
#include "support/fd_check.h"
#include "util/fd.h"

#define WIDTH  800
#define HEIGHT 600

struct fixture {
	struct neep_loop *loop;
	struct neep_sink *sink;
	struct neep_control *control;
};

static struct fixture f;

static int setup(void **state) {
	struct neep_error error;
	folder_enter();
	fd_check_setup(state);
	f.loop = neep_loop_create();
	neep_loop_set_spin(f.loop, 0);
	f.sink = neep_sink_create("headless", f.loop, &error);
	struct neep_control_host host = { .sink = f.sink, .scanout_count = 2 };
	f.control = neep_control_create(f.loop, "c", &host, &error);
	return f.control != NULL ? 0 : -1;
}

static int teardown(void **state) {
	neep_control_destroy(f.control);
	neep_sink_destroy(f.sink);
	neep_loop_destroy(f.loop);
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static void turn(void) {
	assert_int_equal(neep_loop_step(f.loop, 0), 0);
}

static int client(void) {
	int fd = socket_connect("c");
	assert_true(fd >= 0);
	neep_fd_set_nonblocking(fd);
	turn();
	return fd;
}

static void say(int fd, const void *bytes, size_t len) {
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* What the client hears, up to the end of a line or of the connection ("closed"). */
static const char *hear(int fd) {
	static char line[4096];
	size_t used = 0;
	for (int i = 0; i < 2000; i++) {
		turn();
		ssize_t got = recv(fd, line + used, 1, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			return "closed";
		}
		if (got < 0) {
			continue;
		}
		if (line[used] == '\n') {
			line[used] = '\0';
			return line;
		}
		used++;
		assert_true(used < sizeof(line));
	}
	return "silence";
}

static const char *ask(int fd, const char *line) {
	say(fd, line, strlen(line));
	say(fd, "\n", 1);
	return hear(fd);
}

static void ask_with_fd(int fd, const char *line, int passed) {
	struct neep_send send = { .buf = line, .len = strlen(line), .fds = &passed, .fd_count = 1 };
	assert_int_equal(neep_send_all(fd, &send), 0);
}

static struct neep_image *show(void) {
	struct neep_image *image = neep_image_create(WIDTH, HEIGHT, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM);
	struct neep_rect all = { .width = WIDTH, .height = HEIGHT };
	memset(image->pixels, 0x5a, (size_t)image->stride * HEIGHT);
	neep_sink_set_scanout(f.sink, 0, image, &all);
	neep_sink_damage(f.sink, 0, &all);
	return image;
}

static void ping_is_answered(void **state) {
	(void)state;
	int fd = client();
	assert_string_equal(ask(fd, "ping"), "ok");
	assert_string_equal(ask(fd, "  ping   "), "ok");
	close(fd);
}

static void lines_may_come_in_pieces_and_in_bunches(void **state) {
	(void)state;
	int fd = client();
	say(fd, "pi", 2);
	assert_string_equal(hear(fd), "silence");
	say(fd, "ng\nping\nbogus\npi", 16);
	assert_string_equal(hear(fd), "ok");
	assert_string_equal(hear(fd), "ok");
	assert_int_equal(strncmp(hear(fd), "error", 5), 0);
	say(fd, "ng\n", 3);
	assert_string_equal(hear(fd), "ok");
	close(fd);
}

#define ALL_COMMANDS " is not a command; there are: ping, stats, contexts, outputs, resize, screenshot"

static void unknown_command_is_answered_with_the_list(void **state) {
	(void)state;
	int fd = client();
	assert_string_equal(ask(fd, "frobnicate 1 2"), "error \"frobnicate\"" ALL_COMMANDS);
	assert_string_equal(ask(fd, ""), "error \"\"" ALL_COMMANDS);
	/* Neither terminals nor quotes are for clients to write to. */
	assert_string_equal(ask(fd, "\x1b[2J\"\\\xff\x07"), "error \"?[2J????\"" ALL_COMMANDS);
	assert_string_equal(ask(fd, "ping pong"), "error it is: ping");
	assert_string_equal(ask(fd, "ping 1 2 3 4 5 6 7 8 9"), "error it is: ping");
	assert_string_equal(ask(fd, "resize 0"), "error it is: resize SCANOUT WIDTHxHEIGHT");
	assert_string_equal(ask(fd, "screenshot"), "error it is: screenshot SCANOUT [cursor]");
	say(fd, "pi\0ng\n", 6);
	assert_int_equal(strncmp(hear(fd), "error \"pi\"", 10), 0);
	assert_string_equal(ask(fd, "ping"), "ok");
	close(fd);
}

static void long_line_ends_the_connection(void **state) {
	(void)state;
	char line[NEEP_CONTROL_LINE_MAX + 1];
	memset(line, 'a', sizeof(line));
	int fd = client();
	say(fd, line, NEEP_CONTROL_LINE_MAX);
	say(fd, "\n", 1);
	assert_int_equal(strncmp(hear(fd), "error \"aaaa", 11), 0);
	say(fd, line, sizeof(line));
	assert_string_equal(hear(fd), "error a line has at most 255 bytes");
	assert_string_equal(hear(fd), "closed");
	close(fd);
}

static void numbers_are_checked(void **state) {
	(void)state;
	int fd = client();
	assert_string_equal(ask(fd, "screenshot 2"), "error \"2\" is not a scanout; there are 0 to 1");
	assert_string_equal(ask(fd, "screenshot -1"), "error \"-1\" is not a scanout; there are 0 to 1");
	assert_string_equal(
		ask(fd, "resize 4294967296 1x1"), "error \"4294967296\" is not a scanout; there are 0 to 1");
	static const char *const modes[] = { "x", "800", "800x", "x600", "800x600x3", "8e2x600",
		"99999999999x600", "800X600" };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(modes); i++) {
		char line[64], expected[160];
		snprintf(line, sizeof(line), "resize 0 %s", modes[i]);
		snprintf(expected, sizeof(expected),
			"error \"%s\" is not a mode: WIDTHxHEIGHT, each 32 to 8192, or 0x0 for off",
			modes[i]);
		assert_string_equal(ask(fd, line), expected);
	}
	close(fd);
}

static void outputs_tell_what_is_shown(void **state) {
	(void)state;
	int fd = client();
	neep_image_unref(show());
	assert_string_equal(ask(fd, "outputs"),
		"ok {\"outputs\":[{\"scanout\":0,\"shows\":true,\"width\":800,\"height\":600},"
		"{\"scanout\":1,\"shows\":false,\"width\":0,\"height\":0}]}");
	close(fd);
}

static void screenshot_is_written_to_memory(void **state) {
	(void)state;
	int fd = client();
	neep_image_unref(show());
	int memory = memfd_create("shot", MFD_CLOEXEC);
	ask_with_fd(fd, "screenshot 0\nping\n", memory);
	assert_string_equal(hear(fd), "ok");
	assert_string_equal(hear(fd), "ok"); // the ping has waited
	FILE *file = fdopen(memory, "r");
	rewind(file);
	png_image png = { .version = PNG_IMAGE_VERSION };
	assert_int_equal(png_image_begin_read_from_stdio(&png, file), 1);
	assert_int_equal(png.width, WIDTH);
	assert_int_equal(png.height, HEIGHT);
	png_image_free(&png);
	fclose(file);
	/* The fd is used up. */
	assert_string_equal(ask(fd, "screenshot 0"), "error send a memfd to write to along with the command");
	close(fd);
}

static void screenshot_refuses_what_could_block(void **state) {
	(void)state;
	int fd = client();
	int pipes[2];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	int folder = open(".", O_RDONLY | O_CLOEXEC);
	neep_image_unref(show());
	ask_with_fd(fd, "screenshot 0\n", pipes[1]);
	assert_string_equal(hear(fd), "error send a memfd to write to along with the command");
	ask_with_fd(fd, "screenshot 0\n", folder);
	assert_string_equal(hear(fd), "error send a memfd to write to along with the command");
	ask_with_fd(fd, "screenshot 0\n", fd);
	assert_string_equal(hear(fd), "error send a memfd to write to along with the command");
	close(folder);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static void screenshot_tells_what_went_wrong(void **state) {
	(void)state;
	int fd = client();
	int memory = memfd_create("shot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ask_with_fd(fd, "screenshot 1\n", memory);
	assert_string_equal(hear(fd), "error the scanout shows nothing");
	ask_with_fd(fd, "screenshot 0 mouse\n", memory);
	assert_string_equal(hear(fd), "error \"mouse\" is not the word cursor");
	neep_image_unref(show());
	assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_GROW), 0);
	ask_with_fd(fd, "screenshot 0 cursor\n", memory);
	assert_string_equal(hear(fd), "error cannot write the picture: Operation not permitted");
	close(memory);
	close(fd);
}

static void one_picture_is_taken_at_a_time(void **state) {
	(void)state;
	int first = client();
	int second = client();
	neep_image_unref(show());
	int memory = memfd_create("shot", MFD_CLOEXEC);
	ask_with_fd(first, "screenshot 0\n", memory);
	ask_with_fd(second, "screenshot 0\n", memory);
	assert_string_equal(hear(second), "error another picture is being taken; try again");
	assert_string_equal(hear(first), "ok");
	/* A client that leaves half-way takes its picture along. */
	ask_with_fd(first, "screenshot 0\n", memory);
	turn();
	close(first);
	turn();
	turn();
	ask_with_fd(second, "screenshot 0\n", memory);
	assert_string_equal(hear(second), "ok");
	close(memory);
	close(second);
}

static void fds_that_nobody_asked_for_are_closed(void **state) {
	(void)state;
	int fd = client();
	int before = fd_check_count();
	for (int i = 0; i < 10; i++) {
		int extra[NEEP_FDS_MAX];
		for (size_t j = 0; j < NEEP_FDS_MAX; j++) {
			extra[j] = fd;
		}
		struct neep_send send = { .buf = "ping\n", .len = 5, .fds = extra, .fd_count = NEEP_FDS_MAX };
		assert_int_equal(neep_send_all(fd, &send), 0);
		assert_string_equal(hear(fd), "ok");
	}
	/* One may wait for a screenshot. */
	assert_true(fd_check_count() <= before + 1);
	close(fd);
}

static void client_that_does_not_read_is_put_out(void **state) {
	(void)state;
	int fd = client();
	bool is_open = true;
	for (int i = 0; i < 100000 && is_open; i++) {
		is_open = send(fd, "outputs\n", 8, MSG_NOSIGNAL) == 8 || errno == EAGAIN;
		turn();
	}
	assert_false(is_open);
	close(fd);
	fd = client();
	assert_string_equal(ask(fd, "ping"), "ok");
	close(fd);
}

static void longest_silent_client_makes_room(void **state) {
	(void)state;
	int fds[NEEP_CONTROL_CLIENTS_MAX + 1];
	for (size_t i = 0; i < NEEP_CONTROL_CLIENTS_MAX; i++) {
		fds[i] = client();
	}
	assert_string_equal(ask(fds[0], "ping"), "ok");
	fds[NEEP_CONTROL_CLIENTS_MAX] = client();
	assert_string_equal(hear(fds[1]), "closed");
	assert_string_equal(ask(fds[0], "ping"), "ok");
	assert_string_equal(ask(fds[2], "ping"), "ok");
	assert_string_equal(ask(fds[NEEP_CONTROL_CLIENTS_MAX], "ping"), "ok");
	for (size_t i = 0; i <= NEEP_CONTROL_CLIENTS_MAX; i++) {
		close(fds[i]);
	}
}

static void destroy_puts_everybody_out(void **state) {
	(void)state;
	int fd = client();
	int memory = memfd_create("shot", MFD_CLOEXEC);
	neep_image_unref(show());
	ask_with_fd(fd, "screenshot 0\n", memory);
	turn();
	neep_control_destroy(f.control);
	f.control = NULL;
	assert_string_equal(hear(fd), "closed");
	assert_false(file_exists("c"));
	close(memory);
	close(fd);
}

#define served(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		served(ping_is_answered),
		served(lines_may_come_in_pieces_and_in_bunches),
		served(unknown_command_is_answered_with_the_list),
		served(long_line_ends_the_connection),
		served(numbers_are_checked),
		served(outputs_tell_what_is_shown),
		served(screenshot_is_written_to_memory),
		served(screenshot_refuses_what_could_block),
		served(screenshot_tells_what_went_wrong),
		served(one_picture_is_taken_at_a_time),
		served(fds_that_nobody_asked_for_are_closed),
		served(client_that_does_not_read_is_put_out),
		served(longest_silent_client_makes_room),
		served(destroy_puts_everybody_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
