#include "daemon/daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>
#include <rutabaga_gfx/neep_rutabaga.h>

#include "daemon/channels.h"
#include "daemon/control.h"
#include "daemon/listener.h"
#include "daemon/window.h"
#include "rutabaga/component.h"
#include "util/acceptor.h"
#include "util/fd.h"
#include "util/macros.h"
#include "vhost_user/server.h"

#define TRANSPORT_FEATURES                                                                         \
	((UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC) | (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX) | \
		(UINT64_C(1) << VIRTIO_F_VERSION_1) | (UINT64_C(1) << VIRTIO_F_RING_PACKED))

struct neep_daemon {
	const struct neep_options *options;
	struct neep_loop *loop;
	struct rutabaga *rutabaga;
	struct neep_source rutabaga_source;
	struct neep_sink *sink;
	struct neep_device *device;
	struct neep_device_host host;
	struct neep_daemon_window window;
	struct neep_vhost_user_device frontend;
	struct neep_vhost_user *server; // NULL: no session
	struct neep_task session_end;
	struct neep_listener listener;
	struct neep_acceptor acceptor;
	struct neep_control *control; // NULL: none asked for
	int result;                   // of neep_daemon_run()
};

/* From the device to the front-end. */

static struct neep_daemon *daemon_from_host(struct neep_device_host *host) {
	return neep_container_of(host, struct neep_daemon, host);
}

static void host_config_changed(struct neep_device_host *host) {
	struct neep_daemon *daemon = daemon_from_host(host);
	if (daemon->server != NULL) {
		neep_vhost_user_config_changed(daemon->server);
	}
}

static void host_change_window(struct neep_device_host *host, struct neep_device_window_request *request) {
	neep_daemon_window_change(&daemon_from_host(host)->window, request);
}

static void host_cancel_window(struct neep_device_host *host, struct neep_device_window_request *request) {
	neep_daemon_window_cancel(&daemon_from_host(host)->window, request);
}

static void host_resume_queue(struct neep_device_host *host, enum neep_device_queue queue) {
	struct neep_daemon *daemon = daemon_from_host(host);
	if (daemon->server != NULL) {
		neep_vhost_user_queue_resume(daemon->server, queue);
	}
}

static const struct neep_device_host_impl host_impl = {
	.config_changed = host_config_changed,
	.change_window = host_change_window,
	.cancel_window = host_cancel_window,
	.resume_queue = host_resume_queue,
};

/* From the front-end to the device. */

static struct neep_daemon *daemon_from_frontend(struct neep_vhost_user_device *frontend) {
	return neep_container_of(frontend, struct neep_daemon, frontend);
}

static uint64_t frontend_features(struct neep_vhost_user_device *frontend) {
	return neep_device_features(daemon_from_frontend(frontend)->device) | TRANSPORT_FEATURES;
}

static void frontend_set_features(struct neep_vhost_user_device *frontend, uint64_t features) {
	neep_device_set_features(daemon_from_frontend(frontend)->device, features);
}

static void frontend_read_config(
	struct neep_vhost_user_device *frontend, uint32_t offset, void *buf, size_t len) {
	neep_device_read_config(daemon_from_frontend(frontend)->device, offset, buf, len);
}

static void frontend_write_config(
	struct neep_vhost_user_device *frontend, uint32_t offset, const void *buf, size_t len) {
	neep_device_write_config(daemon_from_frontend(frontend)->device, offset, buf, len);
}

static bool frontend_run_queue(struct neep_vhost_user_device *frontend, uint32_t index) {
	return neep_device_run_queue(daemon_from_frontend(frontend)->device, (enum neep_device_queue)index);
}

static void frontend_set_queue(
	struct neep_vhost_user_device *frontend, uint32_t index, struct neep_vring *ring) {
	neep_device_set_queue(daemon_from_frontend(frontend)->device, (enum neep_device_queue)index, ring);
}

static void frontend_reset(struct neep_vhost_user_device *frontend, bool window_is_empty) {
	neep_device_reset(daemon_from_frontend(frontend)->device, window_is_empty);
}

static void frontend_set_gpu_socket(struct neep_vhost_user_device *frontend, int owned_fd) {
	neep_sink_set_socket(daemon_from_frontend(frontend)->sink, owned_fd);
}

static void frontend_closed(struct neep_vhost_user_device *frontend) {
	struct neep_daemon *daemon = daemon_from_frontend(frontend);
	neep_task_queue(daemon->loop, &daemon->session_end);
}

static const struct neep_vhost_user_device_impl frontend_impl = {
	.features = frontend_features,
	.set_features = frontend_set_features,
	.read_config = frontend_read_config,
	.write_config = frontend_write_config,
	.run_queue = frontend_run_queue,
	.set_queue = frontend_set_queue,
	.reset = frontend_reset,
	.set_gpu_socket = frontend_set_gpu_socket,
	.closed = frontend_closed,
};

/* Sessions */

static int start_session(struct neep_daemon *daemon, int owned_fd, struct neep_error *error) {
	const struct neep_options *options = daemon->options;
	struct neep_vhost_user_options server_options = {
		.queue_count = NEEP_DEVICE_QUEUE_COUNT,
		.shmem_id = VIRTIO_GPU_SHM_ID_HOST_VISIBLE,
		.shmem_size = options->device.hostmem,
		.has_mem_slots = options->has_mem_slots,
		.shmem_maps_max = options->device.quota.maps,
	};
	daemon->server =
		neep_vhost_user_create(daemon->loop, owned_fd, &daemon->frontend, &server_options, error);
	if (daemon->server == NULL) {
		return -error->code;
	}
	daemon->window.server = daemon->server;
	neep_device_set_memory(daemon->device, neep_vhost_user_memory(daemon->server));
	neep_log("daemon", NEEP_LOG_INFO, "a front-end is connected");
	return 0;
}

/* The device lets go of rings and guest memory before they end with the server. */
static void end_session(struct neep_daemon *daemon) {
	if (daemon->server == NULL) {
		return;
	}
	neep_device_set_queue(daemon->device, NEEP_DEVICE_CONTROLQ, NULL);
	neep_device_set_queue(daemon->device, NEEP_DEVICE_CURSORQ, NULL);
	neep_device_reset(daemon->device, true);
	neep_device_set_memory(daemon->device, NULL);
	struct neep_vhost_user *server = daemon->server;
	daemon->window.server = NULL;
	daemon->server = NULL;
	neep_vhost_user_destroy(server);
	neep_log("daemon", NEEP_LOG_INFO, "the front-end is gone");
}

static void accepted(struct neep_acceptor *acceptor, int owned_fd) {
	struct neep_daemon *daemon = neep_container_of(acceptor, struct neep_daemon, acceptor);
	/* The next front-end waits in the backlog until this one is gone. */
	neep_acceptor_stop(acceptor);
	if (!daemon->options->keeps_listening) {
		neep_listener_close(&daemon->listener);
	}
	struct neep_error error;
	int result = start_session(daemon, owned_fd, &error);
	if (result < 0) {
		neep_log("daemon", NEEP_LOG_ERROR, "%s", error.text);
		daemon->result = result;
		neep_task_queue(daemon->loop, &daemon->session_end);
	}
}

static int start_listening(struct neep_daemon *daemon) {
	return neep_acceptor_start(daemon->loop, &daemon->acceptor, daemon->listener.fd);
}

static void session_end_run(struct neep_task *task) {
	struct neep_daemon *daemon = neep_container_of(task, struct neep_daemon, session_end);
	end_session(daemon);
	if (daemon->options->keeps_listening) {
		daemon->result = start_listening(daemon);
	}
	if (!daemon->options->keeps_listening || daemon->result < 0) {
		neep_loop_stop(daemon->loop);
	}
}

/* Creation */

static void fence_done(uint64_t user_data, const struct rutabaga_fence *fence) {
	struct neep_daemon *daemon = (struct neep_daemon *)(uintptr_t)user_data;
	neep_device_fence_done(daemon->device, fence);
}

static void debug_message(uint64_t user_data, const struct rutabaga_debug *debug) {
	(void)user_data;
	enum neep_log_level level = debug->debug_type == RUTABAGA_DEBUG_ERROR  ? NEEP_LOG_ERROR
				    : debug->debug_type == RUTABAGA_DEBUG_WARN ? NEEP_LOG_WARN
									       : NEEP_LOG_INFO;
	neep_log("rutabaga", level, "%s", debug->message);
}

static void rutabaga_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_daemon *daemon = neep_container_of(source, struct neep_daemon, rutabaga_source);
	neep_rutabaga_dispatch(daemon->rutabaga);
}

/* The options of renderers as words of rutabaga_builder.renderer_features. */
static void write_features(const struct neep_options *options, char *features, size_t size) {
	const char *path = options->renderer_path;
	snprintf(features, size,
		"renderer-max-memory=%llu,renderer-max-mapped=%llu,renderer-max-cpu=%u,renderer-log-level=%s%"
		"s%s%s%s",
		(unsigned long long)options->renderer_memory, (unsigned long long)options->device.hostmem,
		options->renderer_cpu, neep_log_level_name(options->log_level),
		options->has_sandbox ? "" : ",renderer-no-sandbox", options->has_udmabuf ? "" : ",no-udmabuf",
		path != NULL ? ",renderer=" : "", path != NULL ? path : "");
}

static int create_rutabaga(struct neep_daemon *daemon, const struct neep_component_impl *const *extra,
	size_t extra_count, struct neep_error *error) {
	const struct neep_options *options = daemon->options;
	struct neep_daemon_channels channels;
	int result = neep_daemon_channels_init(&channels, options, error);
	if (result < 0) {
		return result;
	}
	char features[PATH_MAX + 192];
	write_features(options, features, sizeof(features));
	struct rutabaga_builder builder = {
		.user_data = (uintptr_t)daemon,
		.capset_mask = options->capset_mask,
		.wsi = RUTABAGA_WSI_SURFACELESS | NEEP_RUTABAGA_WSI_FEATURES,
		.renderer_features = features,
		.fence_cb = fence_done,
		.debug_cb = debug_message,
		.channels = &channels.base,
	};
	result = neep_core_init(&builder, extra, extra_count, &daemon->rutabaga);
	if (result < 0) {
		return neep_error_set(error, -result, "cannot start rutabaga");
	}
	int fd = neep_rutabaga_event_fd(daemon->rutabaga);
	if (fd < 0) {
		return neep_error_set(error, -fd, "rutabaga has no event fd");
	}
	daemon->rutabaga_source = (struct neep_source){ .fd = fd, .ready = rutabaga_ready };
	result = neep_source_add(daemon->loop, &daemon->rutabaga_source, EPOLLIN);
	return result < 0 ? neep_error_set(error, -result, "cannot watch rutabaga") : 0;
}

static int create_device(struct neep_daemon *daemon, struct neep_error *error) {
	daemon->sink = neep_sink_create(daemon->options->display, daemon->loop, error);
	if (daemon->sink == NULL) {
		return -error->code;
	}
	daemon->device = neep_device_create(
		&daemon->options->device, daemon->rutabaga, daemon->sink, &daemon->host, error);
	return daemon->device == NULL ? -error->code : 0;
}

static int create_sockets(struct neep_daemon *daemon, int *fd, struct neep_error *error) {
	const struct neep_options *options = daemon->options;
	if (options->control_path != NULL) {
		struct neep_control_host control_host = {
			.device = daemon->device,
			.rutabaga = daemon->rutabaga,
			.sink = daemon->sink,
			.scanout_count = neep_sink_has_query(daemon->sink) ? NEEP_SCANOUTS_MAX
									   : options->device.max_outputs,
		};
		daemon->control =
			neep_control_create(daemon->loop, options->control_path, &control_host, error);
		if (daemon->control == NULL) {
			return -error->code;
		}
	}
	if (*fd >= 0) {
		return start_session(daemon, neep_steal_fd(fd), error);
	}
	int result = neep_listener_open(&daemon->listener, options->socket_path, error);
	if (result < 0) {
		return result;
	}
	result = start_listening(daemon);
	return result < 0 ? neep_error_set(error, -result, "cannot watch %s", options->socket_path) : 0;
}

static struct neep_daemon *daemon_alloc(const struct neep_options *options) {
	struct neep_daemon *daemon = calloc(1, sizeof(*daemon));
	if (daemon == NULL) {
		return NULL;
	}
	daemon->options = options;
	daemon->host.impl = &host_impl;
	daemon->frontend.impl = &frontend_impl;
	daemon->session_end.run = session_end_run;
	daemon->acceptor.accepted = accepted;
	daemon->listener.fd = -1;
	daemon->loop = neep_loop_create();
	if (daemon->loop == NULL) {
		free(daemon);
		return NULL;
	}
	neep_daemon_window_init(&daemon->window, daemon->loop);
	return daemon;
}

struct neep_daemon *neep_daemon_create_with(const struct neep_options *options,
	const struct neep_component_impl *const *extra, size_t extra_count, struct neep_error *error) {
	neep_autoclose int fd = options->fd;
	struct neep_daemon *daemon = daemon_alloc(options);
	if (daemon == NULL) {
		neep_error_set(error, ENOMEM, "cannot start");
		return NULL;
	}
	if (create_rutabaga(daemon, extra, extra_count, error) < 0 || create_device(daemon, error) < 0 ||
		create_sockets(daemon, &fd, error) < 0) {
		neep_daemon_destroy(daemon);
		return NULL;
	}
	return daemon;
}

struct neep_daemon *neep_daemon_create(const struct neep_options *options, struct neep_error *error) {
	return neep_daemon_create_with(options, NULL, 0, error);
}

void neep_daemon_destroy(struct neep_daemon *daemon) {
	if (daemon == NULL) {
		return;
	}
	end_session(daemon);
	neep_task_cancel(&daemon->session_end);
	neep_control_destroy(daemon->control);
	neep_acceptor_stop(&daemon->acceptor);
	neep_listener_close(&daemon->listener);
	neep_device_destroy(daemon->device);
	neep_source_remove(&daemon->rutabaga_source);
	rutabaga_finish(&daemon->rutabaga);
	neep_sink_destroy(daemon->sink);
	neep_daemon_window_finish(&daemon->window);
	neep_loop_destroy(daemon->loop);
	free(daemon);
}

int neep_daemon_run(struct neep_daemon *daemon) {
	int result = neep_loop_run(daemon->loop);
	return result < 0 ? result : daemon->result;
}

struct neep_loop *neep_daemon_loop(struct neep_daemon *daemon) {
	return daemon->loop;
}
