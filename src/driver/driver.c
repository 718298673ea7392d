/* The life of a driver: create, start, stop, reset, reconnect; and what needs the main socket. */
#include "driver/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>

#include "driver/driver_internal.h"
#include "util/clock.h"
#include "util/fd.h"

#define BIT(n) (UINT64_C(1) << (n))

const struct neep_driver_options neep_driver_default_options = {
	.features = BIT(VIRTIO_GPU_F_VIRGL) | BIT(VIRTIO_GPU_F_EDID) | BIT(VIRTIO_GPU_F_RESOURCE_UUID) |
		    BIT(VIRTIO_GPU_F_RESOURCE_BLOB) | BIT(VIRTIO_GPU_F_CONTEXT_INIT) |
		    BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1),
	.protocol_features =
		BIT(NEEP_VHOST_USER_PROTOCOL_F_MQ) | BIT(NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK) |
		BIT(NEEP_VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIG) |
		BIT(NEEP_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
		BIT(NEEP_VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
		BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(NEEP_VHOST_USER_PROTOCOL_F_SHMEM),
	.memory = { .size = UINT64_C(1) << 30, .region_count = 1 },
	.queue_size = { 256, 16 },
	.display_width = 1280,
	.display_height = 800,
	.echo_maps = true,
	.timeout_ns = 10 * NEEP_NS_PER_S,
};

static bool has_feature(const struct neep_driver *driver, unsigned int bit) {
	return (neep_frontend_features(driver->frontend) >> bit & 1) != 0;
}

static int create_queues(struct neep_driver *driver, struct neep_error *error) {
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		struct neep_queue_options options = {
			.size = driver->options.queue_size[i],
			.is_packed = has_feature(driver, VIRTIO_F_RING_PACKED),
			.has_event_idx = has_feature(driver, VIRTIO_RING_F_EVENT_IDX),
			.has_indirect = has_feature(driver, VIRTIO_RING_F_INDIRECT_DESC),
		};
		driver->queues[i] = neep_queue_create(driver->memory, &options, error);
		if (driver->queues[i] == NULL) {
			return -ENOMEM;
		}
		driver->bases[i] = neep_queue_setup(driver->queues[i]).base;
	}
	return 0;
}

static int create_parts(struct neep_driver *driver, int owned_fd, struct neep_error *error) {
	const struct neep_driver_options *options = &driver->options;
	struct neep_frontend_options frontend = {
		.features = options->features,
		.protocol_features = options->protocol_features,
		.echo_maps = options->echo_maps,
		.timeout_ns = options->timeout_ns,
	};
	driver->frontend = neep_frontend_create(owned_fd, &frontend, error);
	if (driver->frontend == NULL) {
		return -ENOMEM;
	}
	int result = neep_frontend_negotiate(driver->frontend, error);
	if (result < 0) {
		return result;
	}
	driver->memory = neep_guest_memory_create(&options->memory, error);
	if (driver->memory == NULL || create_queues(driver, error) < 0) {
		return -ENOMEM;
	}
	if (options->has_display) {
		driver->display =
			neep_display_peer_create(options->display_width, options->display_height, error);
		if (driver->display == NULL) {
			return -ENOMEM;
		}
	}
	driver->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	driver->wake_fd = neep_eventfd_create();
	result = driver->poll_fd < 0 || driver->wake_fd < 0 ? -EMFILE : neep_driver_watch_fds(driver);
	return result < 0 ? neep_error_set(error, -result, "driver") : 0;
}

static void init_lock(struct neep_driver *driver) {
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&driver->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&driver->lock, NULL);
}

struct neep_driver *neep_driver_create(
	int owned_fd, const struct neep_driver_options *options, struct neep_error *error) {
	struct neep_driver *driver = calloc(1, sizeof(*driver));
	if (driver == NULL) {
		neep_close_fd(&owned_fd);
		neep_error_set(error, ENOMEM, "driver");
		return NULL;
	}
	driver->options = *options;
	driver->poll_fd = -1;
	driver->wake_fd = -1;
	neep_list_init(&driver->pending);
	neep_list_init(&driver->spare);
	neep_driver_imports_init(driver);
	init_lock(driver);
	if (create_parts(driver, owned_fd, error) < 0) {
		neep_driver_destroy(driver);
		return NULL;
	}
	return driver;
}

struct neep_driver *neep_driver_open(
	const char *socket_path, const struct neep_driver_options *options, struct neep_error *error) {
	int fd = neep_frontend_connect(socket_path, options->timeout_ns, error);
	if (fd < 0) {
		return NULL;
	}
	struct neep_driver *driver = neep_driver_create(fd, options, error);
	if (driver != NULL && neep_driver_start(driver, error) < 0) {
		neep_driver_destroy(driver);
		return NULL;
	}
	return driver;
}

void neep_driver_destroy(struct neep_driver *driver) {
	if (driver == NULL) {
		return;
	}
	neep_driver_stop_service(driver);
	/* The display goes first, as in QEMU, and the connection before the memory that the device uses. */
	neep_display_peer_destroy(driver->display);
	neep_frontend_destroy(driver->frontend);
	if (driver->queues[NEEP_DRIVER_QUEUE_COUNT - 1] != NULL) {
		neep_driver_fail_all_locked(driver, -ECANCELED);
	}
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		neep_queue_destroy(driver->queues[i]);
	}
	neep_driver_finish_requests(driver);
	neep_driver_imports_finish(driver);
	neep_guest_memory_destroy(driver->memory);
	neep_close_fd(&driver->poll_fd);
	neep_close_fd(&driver->wake_fd);
	pthread_cond_destroy(&driver->changed);
	pthread_mutex_destroy(&driver->lock);
	free(driver);
}

/* ---- start and stop ---- */

static int hand_over_display(struct neep_driver *driver) {
	if (driver->display == NULL) {
		return 0;
	}
	neep_autoclose int fd = neep_display_peer_connect(driver->display);
	return fd < 0 ? fd : neep_frontend_set_gpu_socket(driver->frontend, fd);
}

static int start_queues(struct neep_driver *driver) {
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		result = neep_frontend_start_queue(driver->frontend, i, driver->queues[i], driver->bases[i]);
	}
	for (uint32_t i = 0; result == 0 && i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		result = neep_frontend_enable_queue(driver->frontend, i, true);
	}
	return result;
}

static uint16_t longest_queue(const struct neep_driver *driver) {
	uint32_t longest = 0;
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		uint32_t size = driver->options.queue_size[i];
		longest = size > longest ? size : longest;
	}
	return (uint16_t)longest;
}

/* In the order of QEMU's vhost-user-gpu. */
static int start_locked(struct neep_driver *driver) {
	int result = hand_over_display(driver);
	if (result == 0) {
		result = neep_frontend_set_features(driver->frontend);
	}
	if (result == 0) {
		result = neep_frontend_set_memory(driver->frontend, driver->memory);
	}
	if (result == 0) {
		result = neep_driver_tell_imports_locked(driver);
	}
	if (result == 0) {
		result = neep_frontend_share_inflight(
			driver->frontend, NEEP_DRIVER_QUEUE_COUNT, longest_queue(driver));
	}
	if (result == 0) {
		result = start_queues(driver);
	}
	driver->is_started = result == 0;
	return result;
}

int neep_driver_start(struct neep_driver *driver, struct neep_error *error) {
	pthread_mutex_lock(&driver->lock);
	int result = driver->is_started ? 0 : start_locked(driver);
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	return result < 0 ? neep_error_set(error, -result, "the back-end refused to start") : 0;
}

static int stop_locked(struct neep_driver *driver) {
	if (driver->display != NULL) {
		neep_display_peer_disconnect(driver->display);
	}
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		result = neep_frontend_enable_queue(driver->frontend, i, false);
	}
	for (uint32_t i = 0; result == 0 && i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		result = neep_frontend_stop_queue(driver->frontend, i, &driver->bases[i]);
	}
	driver->is_started = false;
	neep_driver_collect_locked(driver);
	return result;
}

int neep_driver_stop(struct neep_driver *driver) {
	pthread_mutex_lock(&driver->lock);
	int result = driver->is_started ? stop_locked(driver) : 0;
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

int neep_driver_reset(struct neep_driver *driver) {
	pthread_mutex_lock(&driver->lock);
	int result = driver->is_started ? stop_locked(driver) : 0;
	if (result == 0) {
		result = neep_frontend_reset_device(driver->frontend);
	}
	if (result == -EOPNOTSUPP) {
		/* The next start with fresh rings is what tells the device. */
		result = 0;
	}
	neep_frontend_clear_window(driver->frontend);
	neep_frontend_forget_inflight(driver->frontend);
	neep_driver_fail_all_locked(driver, -ECANCELED);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

static int reconnect_locked(struct neep_driver *driver, int owned_fd, struct neep_error *error) {
	uint64_t features = neep_frontend_features(driver->frontend);
	neep_frontend_replace_socket(driver->frontend, owned_fd);
	driver->back_end++;
	int result = neep_frontend_negotiate(driver->frontend, error);
	if (result < 0) {
		return result;
	}
	if (neep_frontend_features(driver->frontend) != features) {
		return neep_error_set(error, EPROTO, "the new back-end has other features");
	}
	neep_driver_collect_locked(driver);
	if (neep_frontend_has_protocol(driver->frontend, NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) {
		for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
			driver->bases[i] = neep_queue_setup(driver->queues[i]).base;
		}
	} else {
		neep_driver_fail_all_locked(driver, -EPIPE);
	}
	result = neep_driver_watch_fds(driver);
	if (result == 0) {
		result = start_locked(driver);
	}
	return result < 0 ? neep_error_set(error, -result, "cannot go on with the new back-end") : 0;
}

int neep_driver_reconnect(struct neep_driver *driver, int owned_fd, struct neep_error *error) {
	pthread_mutex_lock(&driver->lock);
	int result = reconnect_locked(driver, owned_fd, error);
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

/* ---- device ---- */

uint64_t neep_driver_features(const struct neep_driver *driver) {
	return neep_frontend_features(driver->frontend);
}

uint64_t neep_driver_protocol_features(const struct neep_driver *driver) {
	return neep_frontend_protocol_features(driver->frontend);
}

bool neep_driver_is_dead(struct neep_driver *driver) {
	pthread_mutex_lock(&driver->lock);
	neep_driver_collect_locked(driver);
	bool is_dead = neep_frontend_is_dead(driver->frontend);
	pthread_mutex_unlock(&driver->lock);
	return is_dead;
}

int neep_driver_read_config(struct neep_driver *driver, uint32_t offset, void *buf, size_t len) {
	pthread_mutex_lock(&driver->lock);
	int result = neep_frontend_get_config(driver->frontend, offset, buf, len);
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

int neep_driver_write_config(struct neep_driver *driver, uint32_t offset, const void *buf, size_t len) {
	pthread_mutex_lock(&driver->lock);
	int result = neep_frontend_set_config(driver->frontend, offset, buf, len);
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

uint64_t neep_driver_config_changes(struct neep_driver *driver) {
	pthread_mutex_lock(&driver->lock);
	neep_driver_collect_locked(driver);
	uint64_t changes = neep_frontend_config_changes(driver->frontend);
	pthread_mutex_unlock(&driver->lock);
	return changes;
}

void *neep_driver_window(struct neep_driver *driver, uint64_t *size) {
	const struct neep_window *window = neep_frontend_window(driver->frontend);
	*size = window->size;
	return window->host;
}

size_t neep_driver_window_maps(struct neep_driver *driver) {
	pthread_mutex_lock(&driver->lock);
	neep_driver_collect_locked(driver);
	size_t live = neep_frontend_window(driver->frontend)->live;
	pthread_mutex_unlock(&driver->lock);
	return live;
}

int neep_driver_window_fd(struct neep_driver *driver, uint64_t offset, uint64_t *fd_offset) {
	int fd = -ENOENT;
	pthread_mutex_lock(&driver->lock);
	const struct neep_window_map *map = neep_window_find(neep_frontend_window(driver->frontend), offset);
	if (map != NULL) {
		fd = neep_fd_dup(map->fd);
		*fd_offset = map->fd_offset;
	}
	pthread_mutex_unlock(&driver->lock);
	return fd;
}

/* ---- guest memory ---- */

int neep_driver_alloc(struct neep_driver *driver, uint64_t size, struct neep_guest_buffer *buffer) {
	pthread_mutex_lock(&driver->lock);
	int result = neep_guest_alloc(driver->memory, size, buffer);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

int neep_driver_alloc_scattered(struct neep_driver *driver, uint64_t size, struct neep_guest_buffer *buffer) {
	pthread_mutex_lock(&driver->lock);
	int result = neep_guest_alloc_scattered(driver->memory, size, buffer);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

void neep_driver_free(struct neep_driver *driver, struct neep_guest_buffer *buffer) {
	pthread_mutex_lock(&driver->lock);
	if (neep_driver_is_import(buffer)) {
		neep_driver_free_import_locked(driver, buffer);
	} else {
		neep_guest_free(driver->memory, buffer);
	}
	pthread_mutex_unlock(&driver->lock);
}

int neep_driver_memory_fd(
	struct neep_driver *driver, const struct neep_guest_buffer *buffer, uint64_t *fd_offset) {
	if (neep_driver_is_import(buffer)) {
		pthread_mutex_lock(&driver->lock);
		int fd = neep_driver_import_fd_locked(driver, buffer);
		pthread_mutex_unlock(&driver->lock);
		*fd_offset = 0;
		return fd;
	}
	/* Regions never change: no lock. */
	for (size_t i = 0; i < neep_guest_region_count(driver->memory); i++) {
		const struct neep_guest_region *region = neep_guest_region(driver->memory, i);
		uint64_t offset = buffer->first.guest_addr - region->guest_addr;
		if (buffer->first.guest_addr >= region->guest_addr && offset < region->size) {
			*fd_offset = region->fd_offset + offset;
			return neep_fd_dup(region->fd);
		}
	}
	return -EINVAL;
}

/* ---- the layers below ---- */

struct neep_guest_memory *neep_driver_memory(struct neep_driver *driver) {
	return driver->memory;
}

struct neep_queue *neep_driver_queue(struct neep_driver *driver, enum neep_driver_queue queue) {
	return driver->queues[queue];
}

struct neep_frontend *neep_driver_frontend(struct neep_driver *driver) {
	return driver->frontend;
}

struct neep_display_peer *neep_driver_display(struct neep_driver *driver) {
	return driver->display;
}
