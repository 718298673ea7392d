/* Guest program: the proxy's way to the compositor through the kernel's own virtio-gpu driver. The compositor is the test on the
 * host, which checks what it gets and sends the same kinds of things back: bytes, memory, and a pipe each way. What goes
 * wrong is told in a line that starts with "neep-draw: error". */
#include "wayland/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"

#define PAGE        4096
#define MEMORY_SIZE 300000
#define PIPE_BYTES  200000
#define PATTERN(i)  ((uint8_t)((i) % 251))
#define PATIENCE_NS (60 * NEEP_NS_PER_S)

static const char greeting[] = "hello", answer[] = "answer", farewell[] = "done",
		  keymap[] = "a keymap of the host";

struct guest {
	struct neep_loop *loop;
	struct neep_wl_host *host;
	size_t len; // bytes that came
	struct neep_fds fds;
	bool is_closed;
};

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...) {
	va_list args;
	va_start(args, format);
	printf("neep-draw: error: wayland: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

static void received(void *data, const uint8_t *bytes, size_t len, const int *owned_fds, size_t fd_count) {
	struct guest *guest = data;
	size_t want = sizeof(answer) - 1 - guest->len;
	if (len > want || memcmp(bytes, answer + guest->len, len) != 0) {
		wrong("not what the compositor sent");
	}
	guest->len += len;
	for (size_t i = 0; i < fd_count; i++) {
		guest->fds.fd[guest->fds.count++] = owned_fds[i];
	}
}

static void drained(void *data) {
	(void)data;
}

static void closed(void *data, const struct neep_error *error) {
	struct guest *guest = data;
	guest->is_closed = true;
	printf("neep-wayland: %s\n", error->text);
}

static const struct neep_wl_host_listener listener = { received, drained, closed };

static void step(struct guest *guest, int64_t end) {
	if (neep_loop_step(guest->loop, 10) < 0 || neep_clock_ns() > end) {
		wrong("nothing happens: %zu bytes, %zu fds came", guest->len, guest->fds.count);
	}
}

/* Memory that the compositor sees, and a pipe that it writes to, whose other end is returned. */
static int greet(struct guest *guest) {
	int ends[2];
	struct neep_wl_memory *memory = neep_wl_host_allocate(guest->host, MEMORY_SIZE);
	if (memory == NULL || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		wrong("no memory, or no pipe");
	}
	for (size_t i = 0; i < MEMORY_SIZE; i++) {
		memory->data[i] = PATTERN(i);
	}
	struct neep_wl_attachment attachments[] = { { .owned_fd = -1, .memory = memory },
		{ .owned_fd = ends[1] } };
	int result =
		neep_wl_host_send(guest->host, (const uint8_t *)greeting, strlen(greeting), attachments, 2);
	if (result < 0) {
		wrong("cannot send: %s", strerror(-result));
	}
	neep_wl_memory_unref(memory);
	return ends[0];
}

static void check_keymap(int fd) {
	char *data = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		wrong("cannot map what the compositor sent: %s", strerror(errno));
	}
	if (memcmp(data, keymap, sizeof(keymap)) != 0) {
		wrong("the keymap is another one");
	}
	munmap(data, PAGE);
}

/* Writes one pipe and reads the other to its end, both at once. */
static void carry(struct guest *guest, int in, int out, int64_t end) {
	static uint8_t bytes[PIPE_BYTES], got[PIPE_BYTES + 1];
	size_t wrote = 0, came = 0;
	for (size_t i = 0; i < PIPE_BYTES; i++) {
		bytes[i] = PATTERN(i);
	}
	neep_fd_set_nonblocking(in);
	for (ssize_t len = -1; len != 0 || in >= 0; step(guest, end)) {
		ssize_t part = in < 0 ? 0 : write(in, bytes + wrote, PIPE_BYTES - wrote);
		wrote += part > 0 ? (size_t)part : 0;
		if (wrote == PIPE_BYTES) {
			neep_close_fd(&in);
		}
		len = read(out, got + came, sizeof(got) - came);
		came += len > 0 ? (size_t)len : 0;
	}
	if (came != PIPE_BYTES || memcmp(got, bytes, PIPE_BYTES) != 0) {
		wrong("%zu bytes came through the pipe, and not as they were", came);
	}
}

int main(void) {
	struct guest guest = { .loop = neep_loop_create() };
	struct neep_error error = { .code = 0 };
	int64_t end = neep_clock_ns() + PATIENCE_NS;
	signal(SIGPIPE, SIG_IGN);
	guest.host = neep_wl_host_virtgpu_create(guest.loop, NULL, &listener, &guest, &error);
	if (guest.host == NULL) {
		wrong("%s", error.text);
	}
	int pipe = greet(&guest);
	while (guest.fds.count < 2 || guest.len < strlen(answer)) {
		step(&guest, end);
	}
	check_keymap(guest.fds.fd[0]);
	carry(&guest, neep_fds_take(&guest.fds, 1), pipe, end);
	neep_wl_host_send(guest.host, (const uint8_t *)farewell, strlen(farewell), NULL, 0);
	while (!guest.is_closed) {
		step(&guest, end);
	}
	neep_fds_finish(&guest.fds);
	neep_close_fd(&pipe);
	neep_wl_host_destroy(guest.host);
	neep_loop_destroy(guest.loop);
	return 0;
}
