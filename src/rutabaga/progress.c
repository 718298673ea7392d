/* Completions that come late: either the caller polls our epoll fd and dispatches, or a thread of ours does the same. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rutabaga/core.h"
#include "util/fd.h"

static int watch(int epoll_fd, int fd) {
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static bool completes_late(const struct neep_component *component) {
	return component->impl->event_fd != NULL;
}

static int ensure_epoll(struct rutabaga *rutabaga) {
	if (rutabaga->epoll_fd >= 0) {
		return 0;
	}
	neep_autoclose int fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	for (size_t i = 0; i < rutabaga->component_count; i++) {
		struct neep_component *component = rutabaga->components[i];
		int rc = completes_late(component) ? watch(fd, component->impl->event_fd(component)) : 0;
		if (rc < 0) {
			return rc;
		}
	}
	rutabaga->epoll_fd = neep_steal_fd(&fd);
	return 0;
}

static void dispatch_components(struct rutabaga *rutabaga) {
	for (size_t i = 0; i < rutabaga->component_count; i++) {
		if (completes_late(rutabaga->components[i])) {
			rutabaga->components[i]->impl->dispatch(rutabaga->components[i]);
		}
	}
}

static void *thread_main(void *data) {
	struct rutabaga *rutabaga = data;
	neep_core_lock(rutabaga);
	while (!rutabaga->stop_thread) {
		dispatch_components(rutabaga);
		neep_core_tell(rutabaga);
		struct epoll_event event;
		(void)epoll_wait(rutabaga->epoll_fd, &event, 1, -1);
		neep_core_lock(rutabaga);
	}
	pthread_mutex_unlock(&rutabaga->lock);
	return NULL;
}

/* The VMM's signals are not for a thread it does not know of. */
static int start_thread(struct rutabaga *rutabaga) {
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = pthread_create(&rutabaga->thread, NULL, thread_main, rutabaga);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

int neep_core_ensure_progress(struct rutabaga *rutabaga) {
	bool is_needed = false;
	for (size_t i = 0; i < rutabaga->component_count; i++) {
		is_needed = is_needed || completes_late(rutabaga->components[i]);
	}
	if (!is_needed || rutabaga->has_thread || rutabaga->is_caller_driven) {
		return 0;
	}
	int rc = ensure_epoll(rutabaga);
	if (rc < 0) {
		return rc;
	}
	neep_autoclose int wake_fd = neep_eventfd_create();
	if (wake_fd < 0) {
		return neep_steal_fd(&wake_fd);
	}
	rc = watch(rutabaga->epoll_fd, wake_fd);
	if (rc == 0) {
		rc = start_thread(rutabaga);
	}
	if (rc < 0) {
		return rc;
	}
	rutabaga->wake_fd = neep_steal_fd(&wake_fd);
	rutabaga->has_thread = true;
	return 0;
}

void neep_core_stop_thread(struct rutabaga *rutabaga) {
	if (!rutabaga->has_thread) {
		return;
	}
	neep_core_lock(rutabaga);
	rutabaga->stop_thread = true;
	neep_eventfd_signal(rutabaga->wake_fd);
	pthread_mutex_unlock(&rutabaga->lock);
	pthread_join(rutabaga->thread, NULL);
	rutabaga->has_thread = false;
	neep_close_fd(&rutabaga->wake_fd);
}

int neep_core_event_fd(struct rutabaga *rutabaga) {
	if (rutabaga->has_thread && pthread_equal(rutabaga->thread, pthread_self())) {
		return -EBUSY;
	}
	neep_core_stop_thread(rutabaga);
	neep_core_lock(rutabaga);
	int rc = ensure_epoll(rutabaga);
	if (rc == 0) {
		rutabaga->is_caller_driven = true;
		rc = rutabaga->epoll_fd;
	}
	return neep_core_leave(rutabaga, rc, "event_fd", 0);
}

int neep_core_dispatch(struct rutabaga *rutabaga) {
	if (!rutabaga->is_caller_driven) {
		return -EINVAL;
	}
	dispatch_components(rutabaga);
	return 0;
}
