/* Syncobjs on the node: runs under `neep run` with a device that has the fake 3D component. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "util/macros.h"
#include "virtgpu/render_node.h"

#define ALL       DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL
#define SUBMIT    DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT
#define AVAILABLE DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE

static uint32_t create(int fd, uint32_t flags) {
	struct drm_syncobj_create create = { .flags = flags };
	assert_int_equal(NODE_IOCTL(fd, SYNCOBJ_CREATE, &create), 0);
	assert_int_not_equal(create.handle, 0);
	return create.handle;
}

static int destroy(int fd, uint32_t handle) {
	struct drm_syncobj_destroy destroy = { .handle = handle };
	return NODE_IOCTL(fd, SYNCOBJ_DESTROY, &destroy);
}

static int64_t in_ms(int ms) {
	return neep_clock_ns() + ms * NEEP_NS_PER_MS;
}

/* Returns the index of the first one that was signalled. */
static int wait_for(int fd, const uint32_t *handles, uint32_t count, uint32_t flags, int ms) {
	struct neep_drm_syncobj_wait wait = {
		.handles = (uintptr_t)handles,
		.timeout_nsec = in_ms(ms),
		.count_handles = count,
		.flags = flags,
	};
	int result = NODE_IOCTL(fd, SYNCOBJ_WAIT, &wait);
	return result < 0 ? result : (int)wait.first_signaled;
}

static int wait_point(int fd, uint32_t handle, uint64_t point, uint32_t flags, int ms) {
	struct neep_drm_syncobj_timeline_wait wait = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.timeout_nsec = in_ms(ms),
		.count_handles = 1,
		.flags = flags,
	};
	return NODE_IOCTL(fd, SYNCOBJ_TIMELINE_WAIT, &wait);
}

static int signal_one(int fd, uint32_t handle) {
	struct drm_syncobj_array array = { .handles = (uintptr_t)&handle, .count_handles = 1 };
	return NODE_IOCTL(fd, SYNCOBJ_SIGNAL, &array);
}

static int reset_one(int fd, uint32_t handle) {
	struct drm_syncobj_array array = { .handles = (uintptr_t)&handle, .count_handles = 1 };
	return NODE_IOCTL(fd, SYNCOBJ_RESET, &array);
}

static int signal_point(int fd, uint32_t handle, uint64_t point) {
	struct drm_syncobj_timeline_array array = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.count_handles = 1,
	};
	return NODE_IOCTL(fd, SYNCOBJ_TIMELINE_SIGNAL, &array);
}

static uint64_t query(int fd, uint32_t handle, uint32_t flags) {
	uint64_t point = 99;
	struct drm_syncobj_timeline_array array = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.count_handles = 1,
		.flags = flags,
	};
	assert_int_equal(NODE_IOCTL(fd, SYNCOBJ_QUERY, &array), 0);
	return point;
}

/* A submit on ring 2 whose fence goes to a syncobj at a point, after those that come in. */
static int submit(int fd, uint32_t out, uint64_t point, uint32_t in, uint32_t in_flags) {
	struct neep_drm_exec_syncobj outs = { .handle = out, .point = point };
	struct neep_drm_exec_syncobj ins = { .handle = in, .flags = in_flags };
	struct neep_drm_execbuffer exec = {
		.flags = NEEP_DRM_EXEC_RING_IDX,
		.ring_idx = 2,
		.syncobj_stride = sizeof(outs),
		.num_out_syncobjs = out != 0,
		.out_syncobjs = (uintptr_t)&outs,
		.num_in_syncobjs = in != 0,
		.in_syncobjs = (uintptr_t)&ins,
	};
	return NODE_IOCTL(fd, EXECBUFFER, &exec);
}

static void hold(int fd, uint32_t on) {
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, 2, on), 0);
}

static void complete(int fd, uint32_t count) {
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, 2, count), 0);
}

static void binary_goes_from_empty_to_signalled_and_back(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t handle = create(fd, 0);
	assert_int_equal(wait_for(fd, &handle, 1, 0, 10), -EINVAL);
	assert_int_equal(wait_for(fd, &handle, 1, SUBMIT, 10), -ETIME);
	assert_int_equal(signal_one(fd, handle), 0);
	assert_int_equal(wait_for(fd, &handle, 1, 0, 0), 0);
	assert_int_equal(reset_one(fd, handle), 0);
	assert_int_equal(wait_for(fd, &handle, 1, 0, 10), -EINVAL);
	assert_int_equal(destroy(fd, handle), 0);
	assert_int_equal(destroy(fd, handle), -EINVAL);
	assert_int_equal(signal_one(fd, handle), -ENOENT);
	handle = create(fd, DRM_SYNCOBJ_CREATE_SIGNALED);
	assert_int_equal(wait_for(fd, &handle, 1, 0, 0), 0);
	close(fd);
}

static void submit_fills_and_completion_signals(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t handles[] = { create(fd, 0), create(fd, 0) };
	hold(fd, 1);
	assert_int_equal(submit(fd, handles[0], 0, 0, 0), 0);
	assert_int_equal(submit(fd, handles[1], 0, 0, 0), 0);
	assert_int_equal(wait_for(fd, handles, 2, 0, 20), -ETIME);
	assert_int_equal(wait_for(fd, handles, 2, AVAILABLE, 0), 0);
	complete(fd, 1);
	assert_int_equal(wait_for(fd, handles, 2, 0, (int)AWAIT_MS), 0);
	assert_int_equal(wait_for(fd, handles, 2, ALL, 20), -ETIME);
	complete(fd, 1);
	assert_int_equal(wait_for(fd, handles, 2, ALL, (int)AWAIT_MS), 0);
	assert_int_equal(submit(fd, 77, 0, 0, 0), -ENOENT);
	close(fd);
}

struct later {
	int fd;
	uint32_t handle;
};

static void *signal_later(void *data) {
	const struct later *later = data;
	usleep(30000);
	signal_one(later->fd, later->handle);
	return NULL;
}

static void wait_for_submit_sees_what_comes_later(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t handles[] = { create(fd, 0), create(fd, 0), create(fd, 0) };
	struct later later = { fd, handles[1] };
	pthread_t thread;
	pthread_create(&thread, NULL, signal_later, &later);
	assert_int_equal(wait_for(fd, handles, 3, SUBMIT, (int)AWAIT_MS), 1);
	pthread_join(thread, NULL);
	later.handle = handles[2];
	pthread_create(&thread, NULL, signal_later, &later);
	assert_int_equal(wait_for(fd, handles + 1, 2, SUBMIT | ALL, (int)AWAIT_MS), 0);
	pthread_join(thread, NULL);
	close(fd);
}

static void submit_waits_for_what_comes_in(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t in = create(fd, 0), out = create(fd, 0);
	struct later later = { fd, in };
	pthread_t thread;
	/* Nobody put a fence there: there is nothing to wait for. */
	assert_int_equal(submit(fd, out, 0, in, 0), -EINVAL);
	pthread_create(&thread, NULL, signal_later, &later);
	pthread_join(thread, NULL);
	assert_int_equal(submit(fd, out, 0, in, NEEP_DRM_EXEC_SYNCOBJ_RESET), 0);
	assert_int_equal(wait_for(fd, &out, 1, 0, (int)AWAIT_MS), 0);
	assert_int_equal(wait_for(fd, &in, 1, 0, 0), -EINVAL);
	close(fd);
}

static void timeline_has_points(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t handle = create(fd, 0);
	assert_int_equal(signal_point(fd, handle, 5), 0);
	assert_int_equal(query(fd, handle, 0), 5);
	assert_int_equal(wait_point(fd, handle, 4, 0, 0), 0);
	assert_int_equal(wait_point(fd, handle, 6, 0, 0), -EINVAL);
	hold(fd, 1);
	assert_int_equal(submit(fd, handle, 8, 0, 0), 0);
	assert_int_equal(submit(fd, handle, 9, 0, 0), 0);
	assert_int_equal(query(fd, handle, 0), 5);
	assert_int_equal(query(fd, handle, DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED), 9);
	assert_int_equal(wait_point(fd, handle, 7, 0, 20), -ETIME);
	assert_int_equal(wait_point(fd, handle, 9, AVAILABLE, 0), 0);
	complete(fd, 1);
	assert_int_equal(wait_point(fd, handle, 7, 0, (int)AWAIT_MS), 0);
	assert_int_equal(query(fd, handle, 0), 8);
	/* Also once it is known to be over, while the next one is not. */
	assert_int_equal(wait_point(fd, handle, 7, 0, 0), 0);
	/* A later point that is signalled covers what comes before it. */
	assert_int_equal(signal_point(fd, handle, 12), 0);
	assert_int_equal(wait_point(fd, handle, 12, 0, 20), -ETIME);
	complete(fd, 1);
	assert_int_equal(wait_point(fd, handle, 12, 0, (int)AWAIT_MS), 0);
	assert_int_equal(query(fd, handle, 0), 12);
	close(fd);
}

static void fence_is_transferred(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t from = create(fd, 0), to = create(fd, 0);
	struct drm_syncobj_transfer transfer = { .src_handle = from, .dst_handle = to, .dst_point = 3 };
	assert_int_equal(NODE_IOCTL(fd, SYNCOBJ_TRANSFER, &transfer), -EINVAL);
	hold(fd, 1);
	assert_int_equal(submit(fd, from, 0, 0, 0), 0);
	assert_int_equal(NODE_IOCTL(fd, SYNCOBJ_TRANSFER, &transfer), 0);
	assert_int_equal(wait_point(fd, to, 3, 0, 20), -ETIME);
	complete(fd, 1);
	assert_int_equal(wait_point(fd, to, 3, 0, (int)AWAIT_MS), 0);
	close(fd);
}

static int to_fd(int fd, uint32_t handle, uint32_t flags) {
	struct drm_syncobj_handle words = { .handle = handle, .flags = flags, .fd = -1 };
	int result = NODE_IOCTL(fd, SYNCOBJ_HANDLE_TO_FD, &words);
	return result < 0 ? result : words.fd;
}

static int from_fd(int fd, int token, uint32_t flags, uint32_t *handle) {
	struct drm_syncobj_handle words = { .handle = *handle, .flags = flags, .fd = token };
	int result = NODE_IOCTL(fd, SYNCOBJ_FD_TO_HANDLE, &words);
	*handle = words.handle;
	return result;
}

static void fd_leads_to_the_same_syncobj(void **state) {
	(void)state;
	int fd = node_open_context();
	int other = node_open();
	uint32_t handle = create(fd, 0), imported = 0;
	int token = to_fd(fd, handle, 0);
	int again = to_fd(fd, handle, 0);
	assert_true(token >= 0 && again >= 0);
	assert_int_equal(fcntl(token, F_GETFD), FD_CLOEXEC);
	/* The fd keeps it. */
	assert_int_equal(destroy(fd, handle), 0);
	assert_int_equal(from_fd(other, token, 0, &imported), 0);
	assert_int_equal(from_fd(fd, again, 0, &handle), 0);
	assert_int_equal(signal_one(fd, handle), 0);
	assert_int_equal(wait_for(other, &imported, 1, 0, 0), 0);
	close(token);
	close(again);
	assert_int_equal(from_fd(fd, other, 0, &handle), -EINVAL);
	close(other);
	close(fd);
}

static void sync_file_goes_in_and_out(void **state) {
	(void)state;
	int fd = node_open_context();
	uint32_t from = create(fd, 0), to = create(fd, 0);
	assert_int_equal(to_fd(fd, from, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE), -EINVAL);
	hold(fd, 1);
	assert_int_equal(submit(fd, from, 0, 0, 0), 0);
	int fence = to_fd(fd, from, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
	assert_false(node_fence_is_done(fence, 0));
	assert_int_equal(from_fd(fd, fence, DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, &to), 0);
	assert_int_equal(wait_for(fd, &to, 1, 0, 20), -ETIME);
	complete(fd, 1);
	assert_true(node_fence_is_done(fence, (int)AWAIT_MS));
	assert_int_equal(wait_for(fd, &to, 1, 0, (int)AWAIT_MS), 0);
	close(fence);
	close(fd);
}

static int watch(int fd, uint32_t handle, uint64_t point, uint32_t flags, int event) {
	struct neep_drm_syncobj_eventfd watch = {
		.handle = handle,
		.flags = flags,
		.point = point,
		.fd = event,
	};
	return NODE_IOCTL(fd, SYNCOBJ_EVENTFD, &watch);
}

/* Takes what an eventfd counts; 0 when it is not told within `ms`. */
static uint64_t told(int event, int ms) {
	struct pollfd poller = { .fd = event, .events = POLLIN };
	uint64_t count = 0;
	return poll(&poller, 1, ms) == 1 && read(event, &count, sizeof(count)) > 0 ? count : 0;
}

#define NEVER_MS 50
#define SOON_MS  20000

static void eventfd_is_told_when_the_fence_signals(void **state) {
	(void)state;
	int fd = node_open_context(), event = eventfd(0, EFD_CLOEXEC);
	uint32_t handle = create(fd, 0);
	hold(fd, 1);
	/* Before there is a fence, and behind it. */
	assert_int_equal(watch(fd, handle, 0, 0, event), 0);
	assert_int_equal(submit(fd, handle, 0, 0, 0), 0);
	assert_int_equal(watch(fd, handle, 0, 0, event), 0);
	assert_int_equal(told(event, NEVER_MS), 0);
	/* The watch is the fence's now. */
	assert_int_equal(destroy(fd, handle), 0);
	complete(fd, 1);
	uint64_t count = 0;
	while (count < 2) {
		uint64_t more = told(event, SOON_MS);
		assert_int_not_equal(more, 0);
		count += more;
	}
	assert_int_equal(count, 2);
	handle = create(fd, DRM_SYNCOBJ_CREATE_SIGNALED);
	assert_int_equal(watch(fd, handle, 0, 0, event), 0);
	assert_int_equal(told(event, SOON_MS), 1);
	hold(fd, 0);
	close(event);
	close(fd);
}

static void eventfd_is_told_when_a_point_is_submitted(void **state) {
	(void)state;
	int fd = node_open_context(), available = eventfd(0, EFD_CLOEXEC), done = eventfd(0, EFD_CLOEXEC);
	uint32_t handle = create(fd, 0);
	hold(fd, 1);
	assert_int_equal(watch(fd, handle, 5, AVAILABLE, available), 0);
	assert_int_equal(watch(fd, handle, 5, 0, done), 0);
	assert_int_equal(signal_point(fd, handle, 4), 0);
	assert_int_equal(told(available, NEVER_MS), 0);
	/* A later point covers it. */
	assert_int_equal(submit(fd, handle, 6, 0, 0), 0);
	assert_int_equal(told(available, SOON_MS), 1);
	assert_int_equal(told(done, NEVER_MS), 0);
	complete(fd, 1);
	assert_int_equal(told(done, SOON_MS), 1);
	assert_int_equal(watch(fd, handle, 5, AVAILABLE, available), 0);
	assert_int_equal(told(available, SOON_MS), 1);
	hold(fd, 0);
	close(available);
	close(done);
	close(fd);
}

static void eventfd_that_is_full_holds_nobody_up(void **state) {
	(void)state;
	int fd = node_open(), event = eventfd(0, EFD_CLOEXEC);
	const uint64_t most = UINT64_MAX - 1;
	uint32_t handle = create(fd, DRM_SYNCOBJ_CREATE_SIGNALED);
	assert_int_equal(write(event, &most, sizeof(most)), sizeof(most));
	assert_int_equal(watch(fd, handle, 0, 0, event), 0);
	assert_int_equal(destroy(fd, handle), 0);
	assert_true(told(event, 0) == most);
	close(event);
	close(fd);
}

static void eventfd_is_refused_when_it_cannot_be_right(void **state) {
	(void)state;
	int fd = node_open(), event = eventfd(0, EFD_CLOEXEC), ends[2];
	uint32_t handle = create(fd, 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(watch(fd, handle, 0, ALL, event), -EINVAL);
	assert_int_equal(watch(fd, handle, 0, SUBMIT, event), -EINVAL);
	assert_int_equal(watch(fd, handle + 1, 0, 0, event), -ENOENT);
	assert_int_equal(watch(fd, handle, 0, 0, ends[1]), -EINVAL);
	assert_int_equal(watch(fd, handle, 0, 0, fd), -EINVAL);
	assert_int_equal(watch(fd, handle, 0, 0, -1), -EBADF);
	/* One that goes with its syncobj. */
	assert_int_equal(watch(fd, handle, 0, 0, event), 0);
	assert_int_equal(destroy(fd, handle), 0);
	assert_int_equal(told(event, NEVER_MS), 0);
	close(ends[0]);
	close(ends[1]);
	close(event);
	close(fd);
}

static void many_are_asked_at_once(void **state) {
	(void)state;
	int fd = node_open();
	uint32_t handles[20];
	uint64_t points[20];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(handles); i++) {
		handles[i] = create(fd, 0);
		assert_int_equal(signal_point(fd, handles[i], i + 1), 0);
	}
	struct drm_syncobj_timeline_array array = {
		.handles = (uintptr_t)handles,
		.points = (uintptr_t)points,
		.count_handles = NEEP_ARRAY_LEN(handles),
	};
	assert_int_equal(NODE_IOCTL(fd, SYNCOBJ_QUERY, &array), 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(handles); i++) {
		assert_int_equal(points[i], i + 1);
	}
	assert_int_equal(wait_for(fd, handles, 0, 0, 0), -EINVAL);
	assert_int_equal(wait_for(fd, handles, 1, 0x80, 0), -EINVAL);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(binary_goes_from_empty_to_signalled_and_back),
		fd_checked_test(submit_fills_and_completion_signals),
		fd_checked_test(wait_for_submit_sees_what_comes_later),
		fd_checked_test(submit_waits_for_what_comes_in),
		fd_checked_test(timeline_has_points),
		fd_checked_test(fence_is_transferred),
		fd_checked_test(fd_leads_to_the_same_syncobj),
		fd_checked_test(sync_file_goes_in_and_out),
		fd_checked_test(eventfd_is_told_when_the_fence_signals),
		fd_checked_test(eventfd_is_told_when_a_point_is_submitted),
		fd_checked_test(eventfd_that_is_full_holds_nobody_up),
		fd_checked_test(eventfd_is_refused_when_it_cannot_be_right),
		fd_checked_test(many_are_asked_at_once),
	};
	/* The connection to the node stays open: made before the fds are counted. */
	close(node_open());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
