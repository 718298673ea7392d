/* The rings of a session: what the front-end says of them, when they run, and how buffers are noticed. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "util/checked.h"
#include "vhost_user/vhost_user_internal.h"

/* Theory of operation
 *
 * A ring is live while it is started (SET_VRING_KICK .. GET_VRING_BASE) and enabled (SET_VRING_ENABLE); only then does
 * anybody touch its memory. Going off leaves `last` behind: a ring that comes back at the same place goes on, and the
 * device with it. When the first ring that comes back is elsewhere, the driver was reset: some front-ends have no message
 * for that. While another ring is live it is this ring alone that was reset.
 *
 * A live ring is looked at when its kick fd says so and, through a poller, whenever the loop is awake: kicks are switched
 * off once buffers were found that way, and on again before the loop sleeps. */

static bool device_is_packed(const struct neep_vhost_user *server) {
	return (server->features & VU_BIT(VIRTIO_F_RING_PACKED)) != 0;
}

static bool any_is_live(const struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		if (server->rings[i].is_live) {
			return true;
		}
	}
	return false;
}

bool neep_vhost_user_rings_all_live(const struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		if (!server->rings[i].is_live) {
			return false;
		}
	}
	return true;
}

/* Tells the front-end that the ring is beyond use, as far as it wants to hear it. */
static void ring_report(struct neep_vhost_user_ring *ring, const char *what) {
	neep_log_guest(&ring->server->log_limit, VU_TOPIC, "queue %u: %s", ring->index, what);
	if (ring->err_fd >= 0) {
		neep_eventfd_signal(ring->err_fd);
	}
}

/* Lets the device work. Returns whether it did. */
static bool ring_run(struct neep_vhost_user_ring *ring) {
	struct neep_vhost_user_device *device = ring->server->device;
	bool worked = device->impl->run_queue(device, ring->index);
	if (!worked && neep_vring_has_work(ring->vring)) {
		/* Either the device takes no buffers for now, or one came after it had looked. With kicks on, a second
		 * look tells: whatever comes after it is kicked. */
		ring->is_kick_disabled = false;
		neep_vring_enable_kick(ring->vring);
		worked = device->impl->run_queue(device, ring->index);
		ring->is_held = !worked;
	}
	if (neep_vring_is_broken(ring->vring) && !ring->is_broken) {
		ring->is_broken = true;
		ring_report(ring, "the driver broke the rules of the ring, it is dead until the next reset");
	}
	return worked;
}

static bool ring_poll(struct neep_poller *poller) {
	struct neep_vhost_user_ring *ring = neep_container_of(poller, struct neep_vhost_user_ring, poller);
	if (ring->is_held || ring->is_broken || !neep_vring_has_work(ring->vring)) {
		return false;
	}
	if (!ring->is_kick_disabled) {
		ring->is_kick_disabled = true;
		neep_vring_disable_kick(ring->vring);
	}
	return ring_run(ring);
}

static bool ring_arm(struct neep_poller *poller) {
	struct neep_vhost_user_ring *ring = neep_container_of(poller, struct neep_vhost_user_ring, poller);
	if (ring->is_held || ring->is_broken) {
		return false;
	}
	ring->is_kick_disabled = false;
	return neep_vring_enable_kick(ring->vring);
}

static void ring_kicked(struct neep_source *source, uint32_t events) {
	struct neep_vhost_user_ring *ring = neep_container_of(source, struct neep_vhost_user_ring, kick);
	neep_eventfd_drain(source->fd);
	if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
		/* Not an eventfd, and one that would be ready for ever. */
		neep_source_remove(source);
	}
	ring->is_held = false;
	ring_poll(&ring->poller);
}

/* The host addresses of the ring's structures. */
static int ring_locate(struct neep_vhost_user_ring *ring, struct neep_vring_config *config) {
	struct neep_vhost_user *server = ring->server;
	const struct neep_vhost_user_place *place = &ring->next;
	if (!ring->has_addr || place->size == 0) {
		return -EINVAL;
	}
	struct neep_vring_layout layout = neep_vring_layout(place->size, device_is_packed(server));
	*config = (struct neep_vring_config){
		.size = place->size,
		.base = place->base,
		.is_packed = device_is_packed(server),
		.has_event_idx = (server->features & VU_BIT(VIRTIO_RING_F_EVENT_IDX)) != 0,
		.has_indirect = (server->features & VU_BIT(VIRTIO_RING_F_INDIRECT_DESC)) != 0,
		.desc = neep_memory_translate_user(server->memory, place->desc, layout.desc_len),
		.avail = neep_memory_translate_user(server->memory, place->avail, layout.avail_len),
		.used = neep_memory_translate_user(server->memory, place->used, layout.used_len),
	};
	return config->desc == NULL || config->avail == NULL || config->used == NULL ? -EFAULT : 0;
}

/* Whether the ring comes back where it was. A driver that starts anew begins at the first index; should the ring have
 * stood there as well (its indices wrap), a look at config space in between gives the new driver away. */
static bool ring_goes_on(const struct neep_vhost_user_ring *ring) {
	const struct neep_vhost_user_place *a = &ring->next, *b = &ring->last;
	bool is_same = ring->has_last && a->size == b->size && a->base == b->base &&
		       a->is_packed == b->is_packed && a->desc == b->desc && a->avail == b->avail &&
		       a->used == b->used;
	uint32_t first = a->is_packed ? 0x80008000u : 0;
	return is_same && !(a->base == first && ring->server->is_config_read);
}

static int ring_go_live(struct neep_vhost_user_ring *ring) {
	struct neep_vhost_user *server = ring->server;
	struct neep_vring_config config;
	ring->next.is_packed = device_is_packed(server);
	int ret = ring_locate(ring, &config);
	if (ret < 0) {
		return ret;
	}
	/* A ring that moved while others run forgets by itself what it had. */
	if (server->has_life && !any_is_live(server) && !ring_goes_on(ring)) {
		neep_vhost_user_reset(server);
	}
	neep_vhost_user_inflight_fit(ring, &config);
	struct neep_error error = { 0 };
	ret = neep_vring_start(ring->vring, &config, &error);
	if (ret < 0) {
		neep_log_guest(&server->log_limit, VU_TOPIC, "queue %u: %s", ring->index, error.text);
		return ret;
	}
	ret = neep_source_add(server->loop, &ring->kick, EPOLLIN);
	if (ret < 0) {
		neep_vring_stop(ring->vring);
		return ret;
	}
	ring->config = config;
	ring->running = ring->next;
	ring->is_live = true;
	ring->is_held = ring->is_broken = ring->is_kick_disabled = false;
	server->has_life = true;
	neep_poller_add(server->loop, &ring->poller);
	server->device->impl->set_queue(server->device, ring->index, ring->vring);
	neep_vhost_user_channel_wake(server);
	return 0;
}

static void ring_go_off(struct neep_vhost_user_ring *ring) {
	struct neep_vhost_user *server = ring->server;
	server->device->impl->set_queue(server->device, ring->index, NULL);
	neep_source_remove(&ring->kick);
	neep_poller_remove(&ring->poller);
	ring->is_live = false;
	/* The addresses that it ran at: the front-end may have announced others since. */
	ring->last = ring->running;
	ring->last.base = ring->next.base = neep_vring_stop(ring->vring);
	ring->has_last = true;
	server->is_config_read = false;
	neep_vhost_user_channel_wake(server);
}

/* Makes the ring what the front-end wants it to be. */
static int ring_update(struct neep_vhost_user_ring *ring) {
	/* Without the feature there is no SET_VRING_ENABLE. */
	bool has_enable = (ring->server->features & VU_BIT(NEEP_VHOST_USER_F_PROTOCOL_FEATURES)) != 0;
	bool should_live = ring->is_started && (ring->is_enabled || !has_enable);
	if (should_live == ring->is_live) {
		return 0;
	}
	if (!should_live) {
		ring_go_off(ring);
		return 0;
	}
	int ret = ring_go_live(ring);
	if (ret < 0) {
		ring_report(ring, "cannot start: bad size, alignment, addresses or kick fd");
	}
	return ret;
}

void neep_vhost_user_rings_retry(struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		ring_update(&server->rings[i]);
	}
}

void neep_vhost_user_rings_stop(struct neep_vhost_user *server, bool disable) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		struct neep_vhost_user_ring *ring = &server->rings[i];
		ring->is_enabled = ring->is_enabled && !disable;
		if (ring->is_live) {
			ring_go_off(ring);
		}
	}
}

static bool overlaps(const void *a, uint64_t a_len, const void *b, uint64_t b_len) {
	uintptr_t a_start = (uintptr_t)a, b_start = (uintptr_t)b;
	return a_start < b_start ? b_start - a_start < a_len : a_start - b_start < b_len;
}

/* Host memory goes away under live rings; they come back in neep_vhost_user_rings_retry() if they still can. */
static void memory_removed(struct neep_memory_listener *listener, const void *host, size_t size) {
	struct neep_vhost_user *server = neep_container_of(listener, struct neep_vhost_user, memory_listener);
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		struct neep_vhost_user_ring *ring = &server->rings[i];
		if (!ring->is_live) {
			continue;
		}
		const struct neep_vring_config *config = &ring->config;
		struct neep_vring_layout layout = neep_vring_layout(config->size, config->is_packed);
		if (overlaps(config->desc, layout.desc_len, host, size) ||
			overlaps(config->avail, layout.avail_len, host, size) ||
			overlaps(config->used, layout.used_len, host, size)) {
			ring_go_off(ring);
		}
	}
}

int neep_vhost_user_rings_init(struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		struct neep_vhost_user_ring *ring = &server->rings[i];
		*ring = (struct neep_vhost_user_ring){
			.server = server,
			.index = i,
			.vring = neep_vring_create(server->memory),
			.err_fd = -1,
			.kick = { .fd = -1, .ready = ring_kicked },
			.poller = { .poll = ring_poll, .arm = ring_arm },
		};
		if (ring->vring == NULL) {
			/* The rest stays zeroed, with no ring: finish stops there. */
			return -ENOMEM;
		}
	}
	server->memory_listener.removed = memory_removed;
	neep_memory_add_listener(server->memory, &server->memory_listener);
	return 0;
}

void neep_vhost_user_rings_finish(struct neep_vhost_user *server) {
	for (uint32_t i = 0; i < server->options.queue_count && server->rings[i].vring != NULL; i++) {
		struct neep_vhost_user_ring *ring = &server->rings[i];
		neep_vring_destroy(ring->vring);
		neep_close_fd(&ring->kick.fd);
		neep_close_fd(&ring->err_fd);
	}
	if (server->memory_listener.removed != NULL) {
		neep_memory_remove_listener(&server->memory_listener);
	}
}

void neep_vhost_user_queue_resume(struct neep_vhost_user *server, uint32_t index) {
	neep_assert(index < server->options.queue_count);
	server->rings[index].is_held = false;
}

/* The ring of a message; NULL when there is none. */
static struct neep_vhost_user_ring *ring_find(struct neep_vhost_user *server, uint32_t index) {
	return index < server->options.queue_count ? &server->rings[index] : NULL;
}

int neep_vhost_user_set_vring_num(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_vring_state *state = &message->payload.state;
	struct neep_vhost_user_ring *ring = ring_find(server, state->index);
	if (ring == NULL || state->num == 0 || state->num > NEEP_VRING_SIZE_MAX ||
		(!device_is_packed(server) && !neep_is_power_of_two(state->num))) {
		return -EINVAL;
	}
	if (ring->is_live) {
		return -EBUSY;
	}
	ring->next.size = state->num;
	return 0;
}

/* While the ring is live this is about dirty logging, or else for its next start. */
int neep_vhost_user_set_vring_addr(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_vring_addr *addr = &message->payload.addr;
	struct neep_vhost_user_ring *ring = ring_find(server, addr->index);
	if (ring == NULL) {
		return -EINVAL;
	}
	ring->has_addr = true;
	ring->next.desc = addr->desc;
	ring->next.avail = addr->avail;
	ring->next.used = addr->used;
	return 0;
}

int neep_vhost_user_set_vring_base(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_vring_state *state = &message->payload.state;
	struct neep_vhost_user_ring *ring = ring_find(server, state->index);
	if (ring == NULL || (!device_is_packed(server) && state->num > UINT16_MAX)) {
		return -EINVAL;
	}
	if (ring->is_live) {
		return -EBUSY;
	}
	ring->next.base = state->num;
	return 0;
}

/* When the reply is out nothing touches the ring, its call fd or the guest's buffers any more. */
int neep_vhost_user_get_vring_base(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_vhost_user_vring_state reply = { .index = message->payload.state.index };
	struct neep_vhost_user_ring *ring = ring_find(server, reply.index);
	if (ring == NULL) {
		return -EINVAL;
	}
	ring->is_started = false;
	int ret = ring_update(ring);
	neep_close_fd(&ring->kick.fd);
	neep_vring_set_call_fd(ring->vring, -1);
	reply.num = ring->next.base;
	neep_vhost_user_answer(server, &reply, sizeof(reply), -1);
	return ret;
}

/* The ring and the fd (-1: "none") of a SET_VRING_KICK, _CALL or _ERR. Returns 0 or a negative errno. */
static int take_vring_fd(struct neep_vhost_user *server, struct neep_vhost_user_message *message,
	struct neep_vhost_user_ring **ring, int *fd) {
	uint64_t number = message->payload.number.value;
	bool has_fd = (number & NEEP_VHOST_USER_VRING_NO_FD) == 0;
	*fd = -1;
	*ring = ring_find(server, number & NEEP_VHOST_USER_VRING_INDEX_MASK);
	if (*ring == NULL || message->fds.count != (has_fd ? 1 : 0)) {
		return -EINVAL;
	}
	/* Ours to read and write without waiting, whatever the other end thinks an eventfd is. */
	int ret = has_fd ? neep_fd_set_nonblocking(message->fds.fd[0]) : 0;
	if (ret == 0) {
		*fd = neep_fds_take(&message->fds, 0);
	}
	return ret;
}

int neep_vhost_user_set_vring_kick(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_vhost_user_ring *ring;
	int fd;
	int ret = take_vring_fd(server, message, &ring, &fd);
	if (ret < 0) {
		return ret;
	}
	if (fd < 0) {
		/* A driver that is to be polled: no front-end of a GPU asks for it. */
		return -ENOTSUP;
	}
	neep_source_remove(&ring->kick);
	neep_close_fd(&ring->kick.fd);
	ring->kick.fd = fd;
	ring->is_started = true;
	return ring->is_live ? neep_source_add(server->loop, &ring->kick, EPOLLIN) : ring_update(ring);
}

int neep_vhost_user_set_vring_call(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_vhost_user_ring *ring;
	int fd;
	int ret = take_vring_fd(server, message, &ring, &fd);
	if (ret == 0) {
		neep_vring_set_call_fd(ring->vring, fd);
	}
	return ret;
}

int neep_vhost_user_set_vring_err(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_vhost_user_ring *ring;
	int fd;
	int ret = take_vring_fd(server, message, &ring, &fd);
	if (ret == 0) {
		neep_close_fd(&ring->err_fd);
		ring->err_fd = fd;
	}
	return ret;
}

int neep_vhost_user_set_vring_enable(
	struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_vring_state *state = &message->payload.state;
	struct neep_vhost_user_ring *ring = ring_find(server, state->index);
	if (ring == NULL || state->num > 1) {
		return -EINVAL;
	}
	ring->is_enabled = state->num == 1;
	return ring_update(ring);
}
