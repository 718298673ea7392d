#include "wayland_proxy/timelines.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "util/fd.h"
#include "wayland_proxy/compositor.h"

static struct timelines *of_host(struct neep_wl_host *host) {
	return neep_container_of(host, struct compositor, base)->timelines;
}

static uint8_t syncobj_of(const struct timelines *timelines, uint32_t handle) {
	assert_true(handle > 0 && handle <= timelines->next_handle && timelines->syncobj[handle] != 0);
	return (uint8_t)(timelines->syncobj[handle] - 1);
}

static int import(struct neep_wl_host *host, int fd, uint32_t *handle) {
	struct timelines *timelines = of_host(host);
	uint8_t syncobj;
	if (pread(fd, &syncobj, 1, 0) != 1) {
		return -EINVAL;
	}
	*handle = ++timelines->next_handle;
	assert_true(*handle < HANDLES);
	timelines->syncobj[*handle] = (uint8_t)(syncobj + 1);
	timelines->live++;
	return 0;
}

static void close_handle(struct neep_wl_host *host, uint32_t handle) {
	struct timelines *timelines = of_host(host);
	syncobj_of(timelines, handle);
	timelines->syncobj[handle] = 0;
	timelines->live--;
}

void timelines_reach(struct timelines *timelines, uint8_t syncobj, uint64_t point) {
	assert_true(point > timelines->values[syncobj]);
	timelines->values[syncobj] = point;
	size_t left = 0;
	for (size_t i = 0; i < timelines->watch_count; i++) {
		if (timelines->watches[i].syncobj == syncobj && timelines->watches[i].point <= point) {
			neep_eventfd_signal(timelines->watches[i].fd);
			neep_close_fd(&timelines->watches[i].fd);
		} else {
			timelines->watches[left++] = timelines->watches[i];
		}
	}
	timelines->watch_count = left;
}

static int signal_point(struct neep_wl_host *host, uint32_t handle, uint64_t point) {
	struct timelines *timelines = of_host(host);
	uint8_t syncobj = syncobj_of(timelines, handle);
	size_t at = timelines->signal_count++ % NEEP_ARRAY_LEN(timelines->signals);
	timelines->signals[at].syncobj = syncobj;
	timelines->signals[at].point = point;
	if (point > timelines->values[syncobj]) {
		timelines_reach(timelines, syncobj, point);
	}
	return 0;
}

static int watch(struct neep_wl_host *host, uint32_t handle, uint64_t point, int eventfd) {
	struct timelines *timelines = of_host(host);
	uint8_t syncobj = syncobj_of(timelines, handle);
	if (timelines->is_broken) {
		return -EINVAL;
	}
	if (timelines->values[syncobj] >= point) {
		neep_eventfd_signal(eventfd);
		return 0;
	}
	if (timelines->watch_count == NEEP_ARRAY_LEN(timelines->watches)) {
		neep_close_fd(&timelines->watches[0].fd);
		memmove(&timelines->watches[0], &timelines->watches[1],
			sizeof(timelines->watches[0]) * --timelines->watch_count);
	}
	timelines->watches[timelines->watch_count].syncobj = syncobj;
	timelines->watches[timelines->watch_count].point = point;
	timelines->watches[timelines->watch_count++].fd = neep_fd_dup(eventfd);
	return 0;
}

const struct neep_wl_timelines_impl timelines_impl = {
	.import = import,
	.close = close_handle,
	.signal = signal_point,
	.watch = watch,
};

int timelines_fd(uint8_t syncobj) {
	int fd = memfd_create("syncobj", MFD_CLOEXEC);
	assert_int_equal(write(fd, &syncobj, 1), 1);
	return fd;
}

size_t timelines_count(const struct timelines *timelines, uint8_t syncobj, uint64_t point) {
	size_t count = 0;
	for (size_t i = 0; i < timelines->signal_count && i < NEEP_ARRAY_LEN(timelines->signals); i++) {
		count += timelines->signals[i].syncobj == syncobj && timelines->signals[i].point == point;
	}
	return count;
}

void timelines_finish(struct timelines *timelines) {
	for (size_t i = 0; i < timelines->watch_count; i++) {
		neep_close_fd(&timelines->watches[i].fd);
	}
	// The proxy has closed all that it had.
	assert_int_equal(timelines->live, 0);
}
