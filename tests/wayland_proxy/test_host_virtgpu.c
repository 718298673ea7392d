/* The way to the compositor over virtio-gpu. The compositor is this test: it listens, then becomes `neep run` of itself with a
 * device that is told of its socket. */
#include "support/cmocka.h"

#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/macros.h"
#include "wayland/host.h"
#include "wayland/virtgpu_memory.h"
#include "wayland/wire.h"

#define PAGE      4096
#define BYTES_MAX ((size_t)4 << 20)

static char folder[] = "/tmp/neep-host-XXXXXX";
static char socket_path[64];
static int listener_fd;

struct world {
	struct neep_loop *loop;
	struct neep_wl_host *host;
	int compositor; // its end of the connection
	/* What came from the compositor. */
	uint8_t *bytes;
	size_t len;
	size_t calls;
	struct neep_fds fds;
	bool is_closed;
	size_t drains;
	/* What came to the compositor. */
	uint8_t *sent;
	size_t sent_len;
	struct neep_fds sent_fds;
};

/* ---- the proxy's side ---- */

static void host_received(
	void *data, const uint8_t *bytes, size_t len, const int *owned_fds, size_t fd_count) {
	struct world *world = data;
	assert_true(len <= BYTES_MAX - world->len);
	assert_true(fd_count <= NEEP_FDS_MAX - world->fds.count);
	memcpy(world->bytes + world->len, bytes, len);
	world->len += len;
	world->calls++;
	for (size_t i = 0; i < fd_count; i++) {
		world->fds.fd[world->fds.count++] = owned_fds[i];
	}
}

static void host_drained(void *data) {
	struct world *world = data;
	world->drains++;
}

static void host_closed(void *data, const struct neep_error *error) {
	struct world *world = data;
	assert_non_null(error);
	assert_false(world->is_closed);
	world->is_closed = true;
}

static const struct neep_wl_host_listener listener = { host_received, host_drained, host_closed };

/* ---- the compositor's side ---- */

static void compositor_reads(struct world *world) {
	for (int64_t got = 1; got > 0;) {
		got = neep_recv(world->compositor, world->sent + world->sent_len, BYTES_MAX - world->sent_len,
			&world->sent_fds);
		world->sent_len += got > 0 ? (size_t)got : 0;
	}
}

static void compositor_sends(
	struct world *world, const void *bytes, size_t len, const int *fds, size_t count) {
	struct neep_send send = { bytes, len, fds, count };
	assert_int_equal(neep_send_all(world->compositor, &send), 0);
}

static void turns(struct world *world, int count) {
	for (int i = 0; i < count; i++) {
		assert_int_equal(neep_loop_step(world->loop, 1), 0);
		compositor_reads(world);
	}
}

#define UNTIL(world, condition) await_turning(condition, turns(world, 1))

/* ---- a connection ---- */

static int setup(void **state) {
	fd_check_setup(state);
	struct world *world = calloc(1, sizeof(*world));
	struct neep_error error = { .code = 0 };
	world->loop = neep_loop_create();
	world->bytes = malloc(BYTES_MAX);
	world->sent = malloc(BYTES_MAX);
	close(accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC)); // of who only looked whether somebody listens
	world->host = neep_wl_host_virtgpu_create(world->loop, NULL, &listener, world, &error);
	if (world->host == NULL) {
		fail_msg("%s", error.text);
	}
	struct pollfd poll_fd = { .fd = listener_fd, .events = POLLIN };
	assert_int_equal(poll(&poll_fd, 1, (int)AWAIT_MS), 1);
	world->compositor = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(world->compositor >= 0);
	*state = world;
	return 0;
}

static int teardown(void **state) {
	struct world *world = *state;
	neep_wl_host_destroy(world->host);
	neep_loop_destroy(world->loop);
	neep_close_fd(&world->compositor);
	neep_fds_finish(&world->fds);
	neep_fds_finish(&world->sent_fds);
	free(world->bytes);
	free(world->sent);
	free(world);
	return fd_check_teardown(state);
}

static int send_bytes(struct world *world, const void *bytes, size_t len) {
	return neep_wl_host_send(world->host, bytes, len, NULL, 0);
}

static void fill(uint8_t *bytes, size_t len) {
	for (size_t i = 0; i < len; i++) {
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	}
}

/* ---- bytes ---- */

static void bytes_go_both_ways(void **state) {
	struct world *world = *state;
	assert_int_equal(send_bytes(world, "request", 7), 0);
	UNTIL(world, world->sent_len == 7);
	assert_memory_equal(world->sent, "request", 7);
	compositor_sends(world, "event", 5, NULL, 0);
	UNTIL(world, world->len == 5);
	assert_memory_equal(world->bytes, "event", 5);
}

static void long_streams_stay_whole(void **state) {
	struct world *world = *state;
	static uint8_t bytes[100001];
	fill(bytes, sizeof(bytes));
	assert_int_equal(send_bytes(world, bytes, sizeof(bytes)), 0);
	UNTIL(world, world->sent_len == sizeof(bytes));
	assert_memory_equal(world->sent, bytes, sizeof(bytes));
	compositor_sends(world, bytes, sizeof(bytes), NULL, 0);
	UNTIL(world, world->len == sizeof(bytes));
	assert_memory_equal(world->bytes, bytes, sizeof(bytes));
}

static void end_of_the_compositor_is_told_once(void **state) {
	struct world *world = *state;
	compositor_sends(world, "last", 4, NULL, 0);
	neep_close_fd(&world->compositor);
	UNTIL(world, world->is_closed);
	assert_int_equal(world->len, 4);
	turns(world, 5);
	assert_true(send_bytes(world, "x", 1) == 0 || errno != 0);
	turns(world, 5);
}

static void nothing_comes_while_the_client_does_not_read(void **state) {
	struct world *world = *state;
	neep_wl_host_set_receiving(world->host, false);
	compositor_sends(world, "one", 3, NULL, 0);
	turns(world, 20);
	assert_int_equal(world->calls, 0);
	/* The other direction goes on. */
	send_bytes(world, "x", 1);
	UNTIL(world, world->sent_len == 1);
	neep_wl_host_set_receiving(world->host, true);
	assert_int_equal(world->calls, 0);
	UNTIL(world, world->len == 3);
	compositor_sends(world, "two", 3, NULL, 0);
	UNTIL(world, world->len == 6);
}

static void compositor_that_does_not_read_holds_the_stream_back(void **state) {
	struct world *world = *state;
	static uint8_t bytes[10000];
	size_t sent = 0, came = 0;
	fill(bytes, sizeof(bytes));
	int result = 0;
	for (int i = 0; i < 1000 && result == 0; i++) {
		result = send_bytes(world, bytes, sizeof(bytes));
		sent += result == 0 ? sizeof(bytes) : 0;
		assert_int_equal(neep_loop_step(world->loop, 0), 0);
	}
	/* In the socket, in the host, on the way. */
	assert_int_equal(result, -EAGAIN);
	assert_true(sent < 2 << 20);
	assert_int_equal(world->drains, 0);
	UNTIL(world, world->sent_len == sent);
	UNTIL(world, world->drains == 1);
	for (; came < sent; came += sizeof(bytes)) {
		assert_memory_equal(world->sent + came, bytes, sizeof(bytes));
	}
	assert_int_equal(send_bytes(world, "x", 1), 0);
	UNTIL(world, world->sent_len == sent + 1);
}

static void what_was_sent_before_the_end_arrives(void **state) {
	struct world *world = *state;
	send_bytes(world, "goodbye", 7);
	neep_wl_host_destroy(world->host);
	world->host = NULL;
	UNTIL(world, world->sent_len == 7);
}

/* ---- memory ---- */

static void check_shares(uint8_t *mine, int fd, size_t size) {
	uint8_t *theirs = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(theirs != MAP_FAILED);
	mine[0] = 0x11;
	mine[size - 1] = 0x22;
	assert_int_equal(theirs[0], 0x11);
	assert_int_equal(theirs[size - 1], 0x22);
	munmap(theirs, size);
}

static void compositor_sees_what_is_written_to_memory(void **state) {
	struct world *world = *state;
	struct neep_wl_memory *memory = neep_wl_host_allocate(world->host, 1920 * 1080 * 4);
	assert_non_null(memory);
	assert_true(memory->size >= 1920 * 1080 * 4 && memory->size % PAGE == 0);
	struct neep_wl_attachment attachment = { .owned_fd = -1, .memory = memory };
	assert_int_equal(neep_wl_host_send(world->host, (const uint8_t *)"pool", 4, &attachment, 1), 0);
	assert_int_equal(memory->refs, 2);
	UNTIL(world, world->sent_len == 4);
	assert_int_equal(memory->refs, 1);
	assert_int_equal(world->sent_fds.count, 1);
	struct stat st;
	assert_int_equal(fstat(world->sent_fds.fd[0], &st), 0);
	assert_int_equal(st.st_size, memory->size);
	check_shares(memory->data, world->sent_fds.fd[0], memory->size);
	neep_wl_memory_unref(memory);
}

static void memory_is_zeroed_and_outlives_its_host(void **state) {
	struct world *world = *state;
	struct neep_wl_memory *memory = neep_wl_host_allocate(world->host, 3 * PAGE + 1);
	assert_non_null(memory);
	neep_wl_host_destroy(world->host);
	world->host = NULL;
	for (size_t i = 0; i < memory->size; i++) {
		assert_int_equal(memory->data[i], 0);
	}
	memory->data[0] = 1;
	neep_wl_memory_unref(memory);
}

static void memory_of_many_sizes_comes_and_goes(void **state) {
	struct world *world = *state;
	for (size_t size = 1; size < (64 << 20); size = size * 9 / 8 + 1) {
		struct neep_wl_memory *memory = neep_wl_host_allocate(world->host, size);
		assert_non_null(memory);
		assert_true(memory->size >= size);
		memory->data[size - 1] = 1;
		neep_wl_memory_unref(memory);
	}
	assert_null(neep_wl_host_allocate(world->host, 0));
	assert_null(neep_wl_host_allocate(world->host, SIZE_MAX));
	assert_false(world->is_closed);
}

static void size_classes_waste_a_quarter_at_most(void **state) {
	(void)state;
	size_t classes = 0, last = 0;
	for (size_t size = 1; size <= NEEP_WL_MEMORY_MAX; size += size / 64 + 1) {
		size_t class = neep_wl_size_class(size, PAGE);
		assert_true(class >= size && class % PAGE == 0);
		assert_true(class <= size + size / 4 || class - size < PAGE);
		assert_int_equal(neep_wl_size_class(class, PAGE), class);
		classes += class != last ? 1 : 0;
		last = class;
	}
	assert_in_range(classes, 10, NEEP_WL_TEMPLATES_MAX);
}

static int host_file(const char *content, size_t size) {
	int fd = memfd_create("host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, content, strlen(content), 0), strlen(content));
	return fd;
}

static void files_of_the_compositor_can_be_mapped(void **state) {
	struct world *world = *state;
	/* As keymaps come: sealed, opened to be read, and no whole pages. */
	int files[2] = { host_file("sealed", 6000), host_file("read only", 9) };
	assert_int_equal(fcntl(files[0], F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", files[1]);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);
	compositor_sends(world, "keymap", 6, (const int[]){ files[0], read_only }, 2);
	UNTIL(world, world->fds.count == 2);
	const char *contents[2] = { "sealed", "read only" };
	for (size_t i = 0; i < 2; i++) {
		size_t size = i == 0 ? 2 * PAGE : PAGE;
		char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, world->fds.fd[i], 0);
		assert_true(data != MAP_FAILED);
		assert_string_equal(data, contents[i]);
		munmap(data, size);
		close(files[i]);
	}
	close(read_only);
}

static void empty_file_stays_an_fd(void **state) {
	struct world *world = *state;
	int file = host_file("", 0);
	compositor_sends(world, "keymap", 6, &file, 1);
	UNTIL(world, world->fds.count == 1);
	close(file);
}

static void twenty_eight_fds_arrive_both_ways(void **state) {
	struct world *world = *state;
	struct neep_wl_attachment attachments[NEEP_WL_FDS_MAX];
	struct neep_wl_memory *memory = neep_wl_host_allocate(world->host, PAGE);
	int files[NEEP_WL_FDS_MAX];
	for (size_t i = 0; i < NEEP_WL_FDS_MAX; i++) {
		attachments[i] = (struct neep_wl_attachment){ .owned_fd = -1, .memory = memory };
		files[i] = host_file("x", i + 1);
	}
	/* Something is under way already. */
	struct neep_wl_attachment first = attachments[0];
	neep_wl_host_send(world->host, (const uint8_t *)"a", 1, &first, 1);
	neep_wl_host_send(world->host, (const uint8_t *)"b", 1, attachments, NEEP_WL_FDS_MAX);
	UNTIL(world, world->sent_len == 2);
	assert_int_equal(world->sent_fds.count, NEEP_WL_FDS_MAX + 1);
	neep_wl_memory_unref(memory);
	compositor_sends(world, "c", 1, files, NEEP_WL_FDS_MAX);
	UNTIL(world, world->fds.count == NEEP_WL_FDS_MAX);
	for (size_t i = 0; i < NEEP_WL_FDS_MAX; i++) {
		close(files[i]);
	}
}

static void what_the_host_knows_can_be_passed(void **state) {
	struct world *world = *state;
	int file = host_file("buffer", PAGE);
	assert_false(neep_wl_host_can_pass(world->host, file));
	compositor_sends(world, "x", 1, &file, 1);
	UNTIL(world, world->fds.count == 1);
	assert_true(neep_wl_host_can_pass(world->host, world->fds.fd[0]));
	/* Twice the same in one message: one handle with two holders. */
	struct neep_wl_attachment both[2] = { { .owned_fd = neep_fd_dup(world->fds.fd[0]) },
		{ .owned_fd = neep_fd_dup(world->fds.fd[0]) } };
	assert_int_equal(neep_wl_host_send(world->host, (const uint8_t *)"y", 1, both, 2), 0);
	UNTIL(world, world->sent_len == 1);
	assert_int_equal(world->sent_fds.count, 2);
	struct stat st, sent[2];
	fstat(file, &st);
	for (size_t i = 0; i < 2; i++) {
		fstat(world->sent_fds.fd[i], &sent[i]);
		assert_int_equal(sent[i].st_ino, st.st_ino);
	}
	assert_true(neep_wl_host_can_pass(world->host, world->fds.fd[0]));
	close(file);
}

static int memory_file(size_t size, int seals) {
	int file = memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(file, (off_t)size), 0);
	assert_int_equal(fcntl(file, F_ADD_SEALS, seals), 0);
	return file;
}

/* Its content is not looked at on the way; what was held of it goes when it has been sent. */
static void files_of_clients_are_sent_as_they_are(void **state) {
	struct world *world = *state;
	struct stat st, sent;
	for (size_t i = 0; i < 300; i++) {
		int file = memory_file(250000, F_SEAL_SHRINK);
		struct neep_wl_memory *memory = neep_wl_host_import(world->host, file);
		assert_non_null(memory);
		assert_null(memory->data);
		assert_false(neep_wl_host_can_pass(world->host, file));
		fstat(file, &st);
		close(file);
		struct neep_wl_attachment attachment = { .owned_fd = -1, .memory = memory };
		/* The compositor may have the last one before its fence is back here. */
		int result;
		UNTIL(world, (result = neep_wl_host_send(
				      world->host, (const uint8_t *)"x", 1, &attachment, 1)) != -EAGAIN);
		assert_int_equal(result, 0);
		neep_wl_memory_unref(memory);
		UNTIL(world, world->sent_len == i + 1);
		assert_int_equal(world->sent_fds.count, 1);
		fstat(world->sent_fds.fd[0], &sent);
		assert_int_equal(sent.st_ino, st.st_ino);
		neep_fds_finish(&world->sent_fds);
	}
}

static void check_no_import(struct world *world, int owned_file) {
	assert_null(neep_wl_host_import(world->host, owned_file));
	close(owned_file);
}

static void files_that_cannot_be_sent_are_not_imported(void **state) {
	struct world *world = *state;
	check_no_import(world, memory_file(PAGE, 0));
	check_no_import(world, memory_file(PAGE, F_SEAL_SHRINK | F_SEAL_WRITE));
	check_no_import(world, memory_file(0, F_SEAL_SHRINK));
	check_no_import(world, eventfd(0, EFD_CLOEXEC));
	assert_null(neep_wl_host_import(world->host, -1));
	/* What the host knows already is passed on in the other way. */
	int file = host_file("buffer", PAGE);
	compositor_sends(world, "x", 1, &file, 1);
	UNTIL(world, world->fds.count == 1);
	assert_null(neep_wl_host_import(world->host, world->fds.fd[0]));
	close(file);
	file = memory_file(PAGE, F_SEAL_SHRINK);
	world->host->copies_all = true;
	check_no_import(world, file);
	world->host->copies_all = false;
}

static void other_fds_are_refused_and_nothing_is_sent(void **state) {
	struct world *world = *state;
	struct neep_wl_memory *memory = neep_wl_host_allocate(world->host, PAGE);
	struct neep_wl_attachment attachments[3] = { { .owned_fd = -1, .memory = memory },
		{ .owned_fd = eventfd(0, EFD_CLOEXEC) }, { .owned_fd = eventfd(0, EFD_CLOEXEC) } };
	assert_int_equal(neep_wl_host_send(world->host, (const uint8_t *)"x", 1, attachments, 3), -ENOTSUP);
	assert_int_equal(memory->refs, 1);
	send_bytes(world, "y", 1);
	UNTIL(world, world->sent_len == 1);
	assert_int_equal(world->sent[0], 'y');
	assert_int_equal(world->sent_fds.count, 0);
	neep_wl_memory_unref(memory);
}

/* ---- timelines ---- */

/* A syncobj of another file of the node, as a program's is. Returns the file. */
static int make_timeline(uint32_t *handle, int *fd) {
	struct drm_syncobj_create create = { .flags = 0 };
	int node = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	assert_true(node >= 0);
	assert_int_equal(ioctl(node, DRM_IOCTL_SYNCOBJ_CREATE, &create), 0);
	struct drm_syncobj_handle export = { .handle = create.handle, .fd = -1 };
	assert_int_equal(ioctl(node, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export), 0);
	*handle = create.handle;
	*fd = export.fd;
	return node;
}

static void programs_and_proxy_signal_points_for_each_other(void **state) {
	struct world *world = *state;
	const struct neep_wl_timelines_impl *timelines = world->host->timelines;
	assert_non_null(timelines);
	uint32_t theirs, ours;
	int fd, node = make_timeline(&theirs, &fd);
	assert_int_equal(timelines->import(world->host, fd, &ours), 0);
	close(fd);
	// A point that nobody has promised yet.
	struct pollfd event = { .fd = neep_eventfd_create(), .events = POLLIN };
	assert_int_equal(timelines->watch(world->host, ours, 2, event.fd), 0);
	uint64_t point = 1;
	struct drm_syncobj_timeline_array signal = {
		.handles = (uintptr_t)&theirs, .points = (uintptr_t)&point, .count_handles = 1
	};
	assert_int_equal(ioctl(node, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &signal), 0);
	assert_int_equal(poll(&event, 1, 0), 0);
	point = 2;
	assert_int_equal(ioctl(node, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &signal), 0);
	assert_int_equal(poll(&event, 1, (int)AWAIT_MS), 1);
	// The other way round.
	point = 3;
	struct drm_syncobj_timeline_wait wait = {
		.handles = (uintptr_t)&theirs,
		.points = (uintptr_t)&point,
		.count_handles = 1,
		.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
	};
	assert_int_equal(ioctl(node, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &wait), -1);
	assert_int_equal(errno, ETIME);
	assert_int_equal(timelines->signal(world->host, ours, 3), 0);
	assert_int_equal(ioctl(node, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &wait), 0);
	timelines->close(world->host, ours);
	assert_true(timelines->signal(world->host, ours, 4) < 0);
	close(event.fd);
	close(node);
}

static void only_syncobjs_are_timelines(void **state) {
	struct world *world = *state;
	uint32_t handle = 77;
	int fd = host_file("file", 4);
	assert_true(world->host->timelines->import(world->host, fd, &handle) < 0);
	assert_int_equal(handle, 0);
	close(fd);
}

/* ---- pipes ---- */

static void send_pipe(struct world *world, int *client) {
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct neep_wl_attachment attachment = { .owned_fd = ends[1] };
	assert_int_equal(neep_wl_host_send(world->host, (const uint8_t *)"receive", 7, &attachment, 1), 0);
	size_t before = world->sent_fds.count;
	UNTIL(world, world->sent_fds.count == before + 1);
	*client = ends[0];
}

/* Writes and reads until all has gone through. */
static void carry(struct world *world, int in, int out, size_t total) {
	static uint8_t bytes[1 << 20], got[1 << 20];
	size_t wrote = 0, came = 0;
	fill(bytes, total);
	neep_fd_set_nonblocking(in);
	neep_fd_set_nonblocking(out);
	int64_t end = await_end_ns();
	for (ssize_t len = 1; len != 0;) {
		assert_true(neep_clock_ns() < end);
		ssize_t part = in < 0 ? 0 : write(in, bytes + wrote, total - wrote);
		wrote += part > 0 ? (size_t)part : 0;
		if (wrote == total && in >= 0) {
			neep_close_fd(&in);
		}
		assert_int_equal(neep_loop_step(world->loop, 0), 0);
		len = read(out, got + came, sizeof(got) - came);
		came += len > 0 ? (size_t)len : 0;
	}
	assert_int_equal(came, total);
	assert_memory_equal(got, bytes, total);
	close(out);
}

static void client_reads_what_the_compositor_writes(void **state) {
	struct world *world = *state;
	const size_t sizes[] = { 0, 1, 4071, 4072, 4073, 65537, 1000000 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		int client;
		send_pipe(world, &client);
		carry(world, neep_fds_take(&world->sent_fds, i), client, sizes[i]);
	}
}

static void compositor_reads_what_the_client_writes(void **state) {
	struct world *world = *state;
	const size_t sizes[] = { 0, 1, 4071, 4072, 4073, 61441, 1000000 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		int ends[2];
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		compositor_sends(world, "send", 4, &ends[1], 1);
		close(ends[1]);
		UNTIL(world, world->fds.count == i + 1);
		carry(world, neep_fds_take(&world->fds, i), ends[0], sizes[i]);
	}
}

static void compositor_that_does_not_read_stops_the_client(void **state) {
	struct world *world = *state;
	static const uint8_t bytes[1 << 16];
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	compositor_sends(world, "send", 4, &ends[1], 1);
	close(ends[1]);
	UNTIL(world, world->fds.count == 1);
	int client = neep_fds_take(&world->fds, 0);
	neep_fd_set_nonblocking(client);
	turns(world, 10);
	size_t wrote = 0;
	for (int i = 0; i < 400; i++) {
		ssize_t part = write(client, bytes, sizeof(bytes));
		wrote += part > 0 ? (size_t)part : 0;
		turns(world, 1);
	}
	assert_true(wrote < 8 << 20);
	/* The connection is not stopped by that. */
	send_bytes(world, "x", 1);
	UNTIL(world, world->sent_len == 1);
	close(client);
	close(ends[0]);
}

static void pipes_of_all_clients_at_once(void **state) {
	struct world *world = *state;
	int clients[5];
	for (size_t i = 0; i < 5; i++) {
		send_pipe(world, &clients[i]);
	}
	for (size_t i = 5; i-- > 0;) {
		carry(world, neep_fds_take(&world->sent_fds, i), clients[i], 1000 * (i + 1));
	}
}

static void client_that_closes_its_pipe_early_does_no_harm(void **state) {
	struct world *world = *state;
	static const uint8_t bytes[1 << 16];
	int client;
	send_pipe(world, &client);
	close(client);
	int writer = neep_fds_take(&world->sent_fds, 0);
	neep_fd_set_nonblocking(writer);
	for (int i = 0; i < 50; i++) {
		(void)!write(writer, bytes, sizeof(bytes));
		turns(world, 1);
	}
	close(writer);
	send_pipe(world, &client);
	carry(world, neep_fds_take(&world->sent_fds, 1), client, 100);
}

static void pipes_are_read_while_the_client_reads_no_events(void **state) {
	struct world *world = *state;
	int client;
	send_pipe(world, &client);
	neep_wl_host_set_receiving(world->host, false);
	carry(world, neep_fds_take(&world->sent_fds, 0), client, 100000);
}

/* ---- nodes ---- */

static void wrong_node_is_named(void **state) {
	struct world *world = *state;
	struct neep_error error = { .code = 0 };
	assert_null(neep_wl_host_virtgpu_create(world->loop, "/dev/null", &listener, world, &error));
	assert_non_null(strstr(error.text, "/dev/null is not a virtio-gpu"));
	assert_null(
		neep_wl_host_virtgpu_create(world->loop, "/dev/dri/renderD140", &listener, world, &error));
	assert_non_null(strstr(error.text, "cannot open /dev/dri/renderD140"));
}

static void missing_compositor_is_an_end(void **state) {
	struct world *world = *state;
	unlink(socket_path);
	struct neep_wl_host *first = world->host;
	world->host = neep_wl_host_virtgpu_create(world->loop, NULL, &listener, world, NULL);
	assert_non_null(world->host);
	UNTIL(world, world->is_closed);
	neep_wl_host_destroy(first);
}

#define host_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* Listens, and goes on under `neep run`. */
static int start_again(char **argv) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char fd[16];
	neep_assert(mkdtemp(folder) != NULL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/compositor", folder);
	listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	neep_assert(bind(listener_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	neep_assert(listen(listener_fd, 8) == 0);
	snprintf(fd, sizeof(fd), "%d", listener_fd);
	setenv("NEEP_TEST_LISTENER", fd, 1);
	setenv("NEEP_TEST_FOLDER", folder, 1);
	char *neep = getenv("NEEP_CLI");
	neep_assert(neep != NULL);
	execl(neep, neep, "run", "--driver", "none", "--capset-names", "cross-domain",
		"--wayland-socket-path", address.sun_path, "--", argv[0], NULL);
	perror(neep);
	return EXIT_FAILURE;
}

int main(int argc, char **argv) {
	(void)argc;
	const char *number = getenv("NEEP_TEST_LISTENER");
	if (number == NULL) {
		return start_again(argv);
	}
	listener_fd = atoi(number);
	fcntl(listener_fd, F_SETFD, FD_CLOEXEC);
	strcpy(folder, getenv("NEEP_TEST_FOLDER"));
	snprintf(socket_path, sizeof(socket_path), "%s/compositor", folder);
	signal(SIGPIPE, SIG_IGN);
	/* The library below has a connection of its own from now on, which is no leak of the first case. */
	close(open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC));
	const struct CMUnitTest tests[] = {
		host_test(bytes_go_both_ways),
		host_test(long_streams_stay_whole),
		host_test(end_of_the_compositor_is_told_once),
		host_test(nothing_comes_while_the_client_does_not_read),
		host_test(compositor_that_does_not_read_holds_the_stream_back),
		host_test(what_was_sent_before_the_end_arrives),
		host_test(compositor_sees_what_is_written_to_memory),
		host_test(memory_is_zeroed_and_outlives_its_host),
		host_test(memory_of_many_sizes_comes_and_goes),
		cmocka_unit_test(size_classes_waste_a_quarter_at_most),
		host_test(files_of_the_compositor_can_be_mapped),
		host_test(empty_file_stays_an_fd),
		host_test(twenty_eight_fds_arrive_both_ways),
		host_test(what_the_host_knows_can_be_passed),
		host_test(files_of_clients_are_sent_as_they_are),
		host_test(files_that_cannot_be_sent_are_not_imported),
		host_test(other_fds_are_refused_and_nothing_is_sent),
		host_test(programs_and_proxy_signal_points_for_each_other),
		host_test(only_syncobjs_are_timelines),
		host_test(client_reads_what_the_compositor_writes),
		host_test(compositor_reads_what_the_client_writes),
		host_test(compositor_that_does_not_read_stops_the_client),
		host_test(pipes_of_all_clients_at_once),
		host_test(client_that_closes_its_pipe_early_does_no_harm),
		host_test(pipes_are_read_while_the_client_reads_no_events),
		host_test(wrong_node_is_named),
		host_test(missing_compositor_is_an_end),
	};
	int failed = cmocka_run_group_tests_name("host_virtgpu", tests, NULL, NULL);
	unlink(socket_path);
	rmdir(folder);
	return failed;
}
