#include "daemon/window.h"

#include <errno.h>
#include <stdlib.h>

#include "util/macros.h"

struct change {
	struct neep_vhost_user_shmem shmem;
	struct neep_device_window_request *request;
};

static void change_done(struct neep_vhost_user_shmem *shmem, int result) {
	struct change *change = neep_container_of(shmem, struct change, shmem);
	struct neep_device_window_request *request = change->request;
	free(change);
	request->done(request, result);
}

/* The device must not hear of a failure from inside its call. */
static void refuse_run(struct neep_task *task) {
	struct neep_daemon_window *window = neep_container_of(task, struct neep_daemon_window, refuse);
	while (window->refused != NULL) {
		struct neep_device_window_request *request = window->refused;
		window->refused = request->host_private;
		request->done(request, window->server != NULL ? -ENOMEM : -ENOTCONN);
	}
}

void neep_daemon_window_init(struct neep_daemon_window *window, struct neep_loop *loop) {
	*window = (struct neep_daemon_window){ .loop = loop, .refuse.run = refuse_run };
}

void neep_daemon_window_finish(struct neep_daemon_window *window) {
	neep_task_cancel(&window->refuse);
}

void neep_daemon_window_change(
	struct neep_daemon_window *window, struct neep_device_window_request *request) {
	struct change *change = window->server != NULL ? calloc(1, sizeof(*change)) : NULL;
	if (change == NULL) {
		request->host_private = window->refused;
		window->refused = request;
		neep_task_queue(window->loop, &window->refuse);
		return;
	}
	change->request = request;
	change->shmem = (struct neep_vhost_user_shmem){
		.is_map = request->is_map,
		.shm_offset = request->offset,
		.len = request->len,
		.fd = request->fd,
		.done = change_done,
	};
	neep_list_init(&change->shmem.link);
	request->host_private = change;
	neep_vhost_user_shmem(window->server, &change->shmem);
}

static bool take_refused(struct neep_daemon_window *window, struct neep_device_window_request *request) {
	struct neep_device_window_request *previous = NULL;
	for (struct neep_device_window_request *r = window->refused; r != NULL; r = r->host_private) {
		if (r != request) {
			previous = r;
			continue;
		}
		if (previous == NULL) {
			window->refused = r->host_private;
		} else {
			previous->host_private = r->host_private;
		}
		return true;
	}
	return false;
}

void neep_daemon_window_cancel(
	struct neep_daemon_window *window, struct neep_device_window_request *request) {
	if (take_refused(window, request)) {
		return;
	}
	struct change *change = request->host_private;
	neep_vhost_user_shmem_cancel(window->server, &change->shmem);
	free(change);
}
