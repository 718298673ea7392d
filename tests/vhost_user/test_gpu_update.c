/* The pixels of large updates, by reference and copied, against a reader in the same thread. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/pages.h"
#include "vhost_user/gpu_update.h"

#define WIDTH    1000u
#define HEIGHT   700u
#define PIXELS   (WIDTH * HEIGHT)
#define LEN      ((size_t)PIXELS * 4)
#define HEAD_LEN 44u

/* A message of a head and an update, between its writer and its reader. */
struct line {
	struct neep_gpu_writer writer;
	int fd, reader;
	uint8_t head[HEAD_LEN];
	size_t sent; // bytes of the message
	uint32_t *pixels;
	uint8_t *seen; // what was read
	size_t seen_len;
};

static void line_open(struct line *line, int buffer_size) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	if (buffer_size > 0) {
		assert_int_equal(
			setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof(buffer_size)), 0);
	}
	*line = (struct line){ .fd = pair[0], .reader = pair[1] };
	neep_gpu_writer_init(&line->writer, line->fd);
	memset(line->head, 0xab, sizeof(line->head));
	line->pixels = neep_pages_alloc(LEN);
	line->seen = malloc(HEAD_LEN + LEN);
	for (uint32_t i = 0; i < PIXELS; i++) {
		line->pixels[i] = i;
	}
}

static void line_close(struct line *line) {
	neep_gpu_writer_finish(&line->writer);
	neep_close_fd(&line->fd);
	neep_close_fd(&line->reader);
	neep_pages_free(line->pixels, LEN);
	free(line->seen);
}

static void begin(struct line *line) {
	line->sent = 0;
	line->seen_len = 0;
	const struct neep_gpu_update update = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixels = (const uint8_t *)line->pixels,
		.stride = WIDTH * 4,
		.has_own_pages = true,
	};
	neep_gpu_writer_begin(&line->writer, &update);
}

/* Returns what ended it: -EAGAIN, another error, or 0 when the message is whole. */
static int64_t write_on(struct line *line) {
	while (line->sent < HEAD_LEN + LEN) {
		size_t head_sent = line->sent < HEAD_LEN ? line->sent : HEAD_LEN;
		struct iovec head = { .iov_base = line->head + head_sent, .iov_len = HEAD_LEN - head_sent };
		int64_t sent = neep_gpu_writer_write(&line->writer, &head);
		assert_int_not_equal(sent, 0);
		if (sent < 0) {
			return sent;
		}
		line->sent += (size_t)sent;
	}
	neep_gpu_writer_end(&line->writer);
	return 0;
}

static void read_some(struct line *line, size_t max) {
	size_t left = HEAD_LEN + LEN - line->seen_len;
	ssize_t got = recv(line->reader, line->seen + line->seen_len, max < left ? max : left, 0);
	assert_true(got > 0 || (got < 0 && errno == EAGAIN));
	line->seen_len += got > 0 ? (size_t)got : 0;
}

static bool is_exact(const struct line *line) {
	for (uint32_t i = 0; i < HEAD_LEN; i++) {
		assert_int_equal(line->seen[i], 0xab);
	}
	for (uint32_t i = 0; i < PIXELS; i++) {
		uint32_t pixel;
		memcpy(&pixel, line->seen + HEAD_LEN + (size_t)i * 4, 4);
		if (pixel != i) {
			return false;
		}
	}
	return true;
}

/* Carries the rest over, `step` bytes a time. */
static void finish(struct line *line, size_t step) {
	while (write_on(line) == -EAGAIN) {
		read_some(line, step);
	}
	assert_int_equal(line->sent, HEAD_LEN + LEN);
	while (line->seen_len < HEAD_LEN + LEN) {
		read_some(line, step);
	}
	assert_true(is_exact(line));
	char byte;
	assert_true(recv(line->reader, &byte, 1, 0) < 0 && errno == EAGAIN);
}

static const int buffer_sizes[] = { 1, 40000, 0, 1 << 19 };

static void referred_update_is_exact_for_slow_readers(void **state) {
	(void)state;
	static const size_t steps[] = { 4093, 16384, 1 << 20 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(buffer_sizes) * NEEP_ARRAY_LEN(steps); i++) {
		struct line line;
		line_open(&line, buffer_sizes[i % NEEP_ARRAY_LEN(buffer_sizes)]);
		for (int again = 0; again < 3; again++) {
			begin(&line);
			assert_true(line.writer.referred_len > 0 && line.writer.referred_len < LEN);
			finish(&line, steps[i / NEEP_ARRAY_LEN(buffer_sizes)]);
			assert_false(line.writer.is_copying);
		}
		line_close(&line);
	}
}

static void written_update_is_referred_by_nothing(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(buffer_sizes); i++) {
		struct line line;
		line_open(&line, buffer_sizes[i]);
		begin(&line);
		/* The reader takes as little as lets the writer go on. */
		while (write_on(&line) == -EAGAIN) {
			read_some(&line, 1000);
		}
		assert_true(line.seen_len < HEAD_LEN + LEN);
		memset(line.pixels, 0xff, LEN);
		while (line.seen_len < HEAD_LEN + LEN) {
			read_some(&line, 1 << 20);
		}
		assert_true(is_exact(&line));
		assert_false(line.writer.is_copying);
		line_close(&line);
	}
}

/* Otherwise the cases around this one would prove nothing. */
static void update_that_is_not_settled_is_torn(void **state) {
	(void)state;
	struct line line;
	line_open(&line, 0);
	begin(&line);
	assert_int_equal(write_on(&line), -EAGAIN);
	memset(line.pixels, 0xff, LEN);
	size_t in_socket = line.sent;
	while (line.seen_len < in_socket) {
		read_some(&line, in_socket - line.seen_len);
	}
	uint32_t first;
	memcpy(&first, line.seen + HEAD_LEN, 4);
	assert_int_equal(first, UINT32_MAX);
	line_close(&line);
}

static void settle_keeps_the_pixels_at_any_stage(void **state) {
	(void)state;
	unsigned in_pipe = 0, in_copied_end = 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(buffer_sizes) * 24; i++) {
		struct line line;
		line_open(&line, buffer_sizes[i % NEEP_ARRAY_LEN(buffer_sizes)]);
		begin(&line);
		size_t stage = i / NEEP_ARRAY_LEN(buffer_sizes) * 123457;
		int64_t result = stage == 0 ? -EAGAIN : write_on(&line);
		while (result == -EAGAIN && line.seen_len < stage) {
			read_some(&line, 5001);
			result = write_on(&line);
		}
		in_pipe += line.writer.piped > line.writer.sent;
		in_copied_end += line.sent < HEAD_LEN + LEN && line.writer.sent > line.writer.referred_len;
		neep_gpu_writer_settle(&line.writer);
		memset(line.pixels, 0xff, LEN);
		neep_gpu_writer_settle(&line.writer);
		finish(&line, 1 << 18);
		assert_false(line.writer.is_copying);
		line_close(&line);
	}
	assert_true(in_pipe > 10);
	assert_true(in_copied_end > 0);
}

static void update_after_a_settled_one_goes_by_reference_again(void **state) {
	(void)state;
	struct line line;
	line_open(&line, 40000);
	for (int again = 0; again < 3; again++) {
		begin(&line);
		assert_true(line.writer.referred_len > 0);
		assert_int_equal(write_on(&line), -EAGAIN);
		neep_gpu_writer_settle(&line.writer);
		assert_int_equal(line.writer.referred_len, line.writer.sent);
		finish(&line, 1 << 18);
	}
	line_close(&line);
}

static void update_is_copied_when_no_pipe_can_be_had(void **state) {
	(void)state;
	struct line line;
	line_open(&line, 0);
	struct rlimit limit = fd_limit_all();
	begin(&line);
	fd_limit_restore(limit);
	assert_true(line.writer.is_copying);
	finish(&line, 1 << 16);
	begin(&line); // and does not try again
	assert_int_equal(line.writer.pipe[0], -1);
	finish(&line, 1 << 16);
	line_close(&line);
}

static void update_is_copied_when_sigpipe_would_come(void **state) {
	(void)state;
	struct line line;
	line_open(&line, 0);
	signal(SIGPIPE, SIG_DFL);
	begin(&line);
	signal(SIGPIPE, SIG_IGN);
	assert_true(line.writer.is_copying);
	finish(&line, 1 << 16);
	line_close(&line);
}

/* What a filter on system calls or an old kernel does, at either end of the pipe and at any time. */
static void update_goes_on_by_copy_where_references_fail(void **state) {
	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct line line;
		line_open(&line, 40000);
		begin(&line);
		while (line.seen_len < i / 2 * 300001) {
			write_on(&line);
			read_some(&line, 20000);
		}
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_int_equal(dup3(null, line.writer.pipe[i % 2], O_CLOEXEC), line.writer.pipe[i % 2]);
		neep_close_fd(&null);
		finish(&line, 1 << 16);
		assert_true(line.writer.is_copying);
		begin(&line);
		assert_int_equal(line.writer.referred_len, 0);
		finish(&line, 1 << 16);
		line_close(&line);
	}
}

static void write_fails_when_the_reader_is_gone(void **state) {
	(void)state;
	for (size_t reads = 0; reads < 4; reads++) {
		struct line line;
		line_open(&line, 40000);
		begin(&line);
		for (size_t i = 0; i < reads; i++) {
			assert_int_equal(write_on(&line), -EAGAIN);
			read_some(&line, 30000);
		}
		neep_close_fd(&line.reader);
		int64_t result = write_on(&line);
		assert_true(result == -EPIPE || result == -ECONNRESET);
		neep_gpu_writer_settle(&line.writer);
		neep_gpu_writer_end(&line.writer);
		line_close(&line);
	}
}

static void update_given_up_leaves_nothing_in_the_pipe(void **state) {
	(void)state;
	struct line line;
	line_open(&line, 40000);
	begin(&line);
	assert_int_equal(write_on(&line), -EAGAIN);
	assert_true(line.writer.piped > line.writer.sent);
	neep_gpu_writer_end(&line.writer);
	while (recv(line.reader, line.seen, LEN, 0) > 0) {
	}
	begin(&line);
	finish(&line, 1 << 16);
	assert_false(line.writer.is_copying);
	line_close(&line);
}

static void update_is_copied_unless_it_is_large_dense_and_in_own_pages(void **state) {
	(void)state;
	struct line line;
	line_open(&line, 0);
	struct neep_gpu_update update = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixels = (const uint8_t *)line.pixels,
		.stride = WIDTH * 4,
	};
	neep_gpu_writer_begin(&line.writer, &update);
	assert_int_equal(line.writer.referred_len, 0);
	update.has_own_pages = true;
	update.height = 200;
	neep_gpu_writer_begin(&line.writer, &update);
	assert_int_equal(line.writer.referred_len, 0);
	update.height = HEIGHT;
	update.width = WIDTH - 1;
	neep_gpu_writer_begin(&line.writer, &update);
	assert_int_equal(line.writer.referred_len, 0);
	assert_int_equal(line.writer.pipe[0], -1);
	line_close(&line);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		fd_checked_test(referred_update_is_exact_for_slow_readers),
		fd_checked_test(written_update_is_referred_by_nothing),
		fd_checked_test(update_that_is_not_settled_is_torn),
		fd_checked_test(settle_keeps_the_pixels_at_any_stage),
		fd_checked_test(update_after_a_settled_one_goes_by_reference_again),
		fd_checked_test(update_is_copied_when_no_pipe_can_be_had),
		fd_checked_test(update_is_copied_when_sigpipe_would_come),
		fd_checked_test(update_goes_on_by_copy_where_references_fail),
		fd_checked_test(write_fails_when_the_reader_is_gone),
		fd_checked_test(update_given_up_leaves_nothing_in_the_pipe),
		fd_checked_test(update_is_copied_unless_it_is_large_dense_and_in_own_pages),
	};
	return cmocka_run_group_tests_name("gpu-update", tests, NULL, NULL);
}
