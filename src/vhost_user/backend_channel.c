/* The back-end channel: config interrupts and changes of the shared memory window, asked of the front-end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/clock.h"
#include "vhost_user/vhost_user_internal.h"

/* Theory of operation
 *
 * One change of the window is under way at a time: sent, acked, in effect. Everything that moves it along only sets a
 * flag and queues the pump, a task, which is the one place that sends and (but for reset and end) that completes.
 *
 * Nothing is sent unless every ring is live: stock QEMU dereferences a null pointer otherwise.
 *
 * QEMU acks before the mapping takes effect, then commits it, and then sends it back on the main socket as a region of
 * guest memory (or takes that region away, for an unmap), so a change completes after its ack and this echo. Where no
 * echo comes (more regions than a table message holds, a window that the guest has not switched on) any later request
 * on this channel serves as a barrier, since it is handled after the commit: SHARED_OBJECT_REMOVE of an object that
 * does not exist. A front-end that did not take SHARED_OBJECT would be upset by it; those known commit before they ack.
 * A front-end that stops the rings has left the commit behind, too: it is the same thread that does both.
 *
 * A pause changes nothing but when things are sent. A reset fails what is pending. */

/* The usual echo takes well under a millisecond. */
#define ECHO_WAIT_NS (10 * NEEP_NS_PER_MS)

/* An object that nobody ever registered. */
static const struct neep_vhost_user_shared_object barrier_object = {
	.uuid = { 'n', 'e', 'e', 'p', '-', 'b', 'a', 'r', 'r', 'i', 'e', 'r' },
};

static bool commits_after_ack(const struct neep_vhost_user *server) {
	return neep_vhost_user_has_protocol(server, NEEP_VHOST_USER_PROTOCOL_F_SHARED_OBJECT);
}

static bool has_slots(const struct neep_vhost_user *server) {
	return neep_vhost_user_has_protocol(server, NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
}

/* Whether the front-end takes changes of the window, which need acks. */
static bool serves_window(const struct neep_vhost_user *server) {
	return server->channel.source.fd >= 0 &&
	       neep_vhost_user_has_protocol(server, NEEP_VHOST_USER_PROTOCOL_F_SHMEM) &&
	       neep_vhost_user_has_protocol(server, NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK);
}

void neep_vhost_user_channel_wake(struct neep_vhost_user *server) {
	neep_task_queue(server->loop, &server->channel.pump);
}

static void map_free(struct neep_vhost_user_channel *channel, struct neep_vhost_user_map *map) {
	neep_list_remove(&map->link);
	channel->map_count--;
	free(map);
}

static struct neep_vhost_user_map *map_find(
	const struct neep_vhost_user_channel *channel, uint64_t shm_offset, uint64_t len) {
	neep_list_for_each (map, &channel->maps, struct neep_vhost_user_map, link) {
		if (map->shm_offset == shm_offset && map->len == len) {
			return map;
		}
	}
	return NULL;
}

static void shmem_done(struct neep_vhost_user_shmem *shmem, int result) {
	if (shmem != NULL) {
		shmem->done(shmem, result);
	}
}

/* Ends the change under way. The owner may start the next one from its done(). */
static void change_finish(struct neep_vhost_user *server, int result) {
	struct neep_vhost_user_channel *channel = &server->channel;
	struct neep_vhost_user_shmem *owner = channel->owner;
	struct neep_vhost_user_map *map = channel->map;
	channel->has_change = false;
	channel->owner = NULL;
	channel->map = NULL;
	neep_timer_cancel(&channel->echo_timer);
	bool is_map = channel->is_map;
	/* A front-end that refuses to unmap does not have it: some empty the window by themselves. */
	if (map != NULL && (!is_map || result < 0)) {
		map_free(channel, map);
	} else if (map != NULL && is_map && owner == NULL && channel->undo.link.next == &channel->undo.link) {
		channel->undo.shm_offset = map->shm_offset;
		channel->undo.len = map->len;
		neep_list_insert(&channel->queue, &channel->undo.link);
	}
	shmem_done(owner, result);
}

static void queue_fail(struct neep_vhost_user_channel *channel, int result) {
	struct neep_list failed;
	neep_list_init(&failed);
	while (!neep_list_is_empty(&channel->queue)) {
		struct neep_list *link = channel->queue.next;
		neep_list_remove(link);
		neep_list_append(&failed, link);
	}
	while (!neep_list_is_empty(&failed)) {
		struct neep_vhost_user_shmem *shmem =
			neep_container_of(failed.next, struct neep_vhost_user_shmem, link);
		neep_list_remove(&shmem->link);
		shmem_done(shmem, result);
	}
}

static void undo_done(struct neep_vhost_user_shmem *shmem, int result) {
	(void)shmem;
	if (result < 0) {
		neep_log(VU_TOPIC, NEEP_LOG_DEBUG, "a mapping that nobody wants any more stays: %s",
			strerror(-result));
	}
}

/* Drops the channel. The front-end no longer answers on it. */
static void channel_close(struct neep_vhost_user *server, const char *why) {
	struct neep_vhost_user_channel *channel = &server->channel;
	if (channel->source.fd < 0) {
		return;
	}
	if (why != NULL) {
		neep_log(VU_TOPIC, NEEP_LOG_WARN, "closed the back-end channel: %s", why);
	}
	neep_source_remove(&channel->source);
	neep_close_fd(&channel->source.fd);
	channel->awaited = 0;
	channel->reply_got = 0;
	if (channel->has_change) {
		channel->result = -EIO;
	}
	neep_vhost_user_channel_wake(server);
}

/* Sends a request; false when it must be tried again later or the channel is gone. */
static bool channel_send(
	struct neep_vhost_user *server, uint32_t request, const void *payload, size_t len, int fd) {
	struct neep_vhost_user_channel *channel = &server->channel;
	bool wants_ack = request != NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE;
	struct neep_vhost_user_header header = {
		.request = request,
		.flags = NEEP_VHOST_USER_VERSION | (wants_ack ? NEEP_VHOST_USER_NEED_REPLY : 0),
		.size = (uint32_t)len,
	};
	uint8_t buf[sizeof(header) + sizeof(struct neep_vhost_user_shmem_map)];
	neep_assert(len <= sizeof(buf) - sizeof(header));
	memcpy(buf, &header, sizeof(header));
	if (len > 0) {
		memcpy(buf + sizeof(header), payload, len);
	}
	int64_t sent = neep_vhost_user_send(channel->source.fd, buf, sizeof(header) + len, fd);
	if (sent == (int64_t)(sizeof(header) + len)) {
		channel->awaited = wants_ack ? request : 0;
		neep_source_set_events(&channel->source, EPOLLIN);
		return true;
	}
	if (sent == -EAGAIN) {
		neep_source_set_events(&channel->source, EPOLLIN | EPOLLOUT);
	} else {
		channel_close(server, sent < 0 ? strerror((int)-sent) : "a message was cut");
	}
	return false;
}

/* A record of the mapping to be; NULL for want of memory. */
static struct neep_vhost_user_map *map_create(
	struct neep_vhost_user_channel *channel, const struct neep_vhost_user_shmem *shmem) {
	struct neep_vhost_user_map *map = calloc(1, sizeof(*map));
	struct stat st;
	if (map == NULL || fstat(shmem->fd, &st) < 0) {
		free(map);
		return NULL;
	}
	*map = (struct neep_vhost_user_map){
		.shm_offset = shmem->shm_offset,
		.len = shmem->len,
		.fd_offset = shmem->fd_offset,
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	neep_list_append(&channel->maps, &map->link);
	channel->map_count++;
	return map;
}

static bool is_overlapping(const struct neep_vhost_user_channel *channel, uint64_t shm_offset, uint64_t len) {
	neep_list_for_each (map, &channel->maps, struct neep_vhost_user_map, link) {
		if (shm_offset < map->shm_offset ? map->shm_offset - shm_offset < len
						 : shm_offset - map->shm_offset < map->len) {
			return true;
		}
	}
	return false;
}

/* What the front-end would refuse, and some end the VM then. */
static int shmem_check(const struct neep_vhost_user *server, const struct neep_vhost_user_shmem *shmem) {
	const struct neep_vhost_user_channel *channel = &server->channel;
	uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	uint64_t all = shmem->shm_offset | shmem->len | (shmem->is_map ? shmem->fd_offset : 0);
	if ((all & page_mask) != 0 || shmem->len == 0 ||
		!neep_range_within(shmem->shm_offset, shmem->len, server->options.shmem_size)) {
		return -EINVAL;
	}
	if (!shmem->is_map) {
		return map_find(channel, shmem->shm_offset, shmem->len) != NULL ? 0 : -ENOENT;
	}
	if (is_overlapping(channel, shmem->shm_offset, shmem->len)) {
		return -EEXIST;
	}
	bool is_full =
		channel->map_count >= server->options.shmem_maps_max ||
		(has_slots(server) && neep_memory_region_count(server->memory) >= NEEP_VHOST_USER_MEM_SLOTS);
	return is_full ? -ENOSPC : 0;
}

static int change_send(struct neep_vhost_user *server, struct neep_vhost_user_shmem *shmem) {
	struct neep_vhost_user_channel *channel = &server->channel;
	int ret = shmem_check(server, shmem);
	if (ret < 0) {
		return ret;
	}
	struct neep_vhost_user_map *map =
		shmem->is_map ? map_create(channel, shmem) : map_find(channel, shmem->shm_offset, shmem->len);
	if (map == NULL) {
		return -ENOMEM;
	}
	const struct neep_vhost_user_shmem_map payload = {
		.shmem_id = server->options.shmem_id,
		.fd_offset = shmem->is_map ? shmem->fd_offset : 0,
		.shm_offset = shmem->shm_offset,
		.len = shmem->len,
		.flags = shmem->is_map ? NEEP_VHOST_USER_SHMEM_RW : 0,
	};
	uint32_t request =
		shmem->is_map ? NEEP_VHOST_USER_BACKEND_SHMEM_MAP : NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP;
	if (!channel_send(server, request, &payload, sizeof(payload), shmem->is_map ? shmem->fd : -1)) {
		if (shmem->is_map) {
			map_free(channel, map);
		}
		return -EAGAIN;
	}
	channel->has_change = true;
	channel->owner = shmem;
	channel->is_map = shmem->is_map;
	channel->map = map;
	channel->is_acked = channel->is_committed = false;
	channel->result = 0;
	return 0;
}

/* Starts queued changes until one is under way. */
static void queue_pump(struct neep_vhost_user *server) {
	struct neep_vhost_user_channel *channel = &server->channel;
	while (!channel->has_change && !neep_list_is_empty(&channel->queue)) {
		struct neep_vhost_user_shmem *shmem =
			neep_container_of(channel->queue.next, struct neep_vhost_user_shmem, link);
		int ret = serves_window(server) ? change_send(server, shmem) : -EIO;
		if (ret == -EAGAIN) {
			return;
		}
		neep_list_remove(&shmem->link);
		if (ret < 0) {
			shmem_done(shmem, ret);
		}
	}
}

static int64_t echo_wait_ns(const struct neep_vhost_user *server) {
	return server->options.echo_wait_ns != 0 ? server->options.echo_wait_ns : ECHO_WAIT_NS;
}

/* Moves the change under way along. */
static void change_pump(struct neep_vhost_user *server) {
	struct neep_vhost_user_channel *channel = &server->channel;
	if (channel->result < 0) {
		change_finish(server, channel->result);
		return;
	}
	if (!channel->is_acked) {
		return;
	}
	bool is_forgotten = channel->map == NULL;
	if (channel->is_committed || is_forgotten || !commits_after_ack(server) ||
		!neep_vhost_user_rings_all_live(server)) {
		change_finish(server, 0);
	} else if (channel->awaited == 0 && channel->echo_timer.loop == NULL) {
		neep_timer_arm(
			server->loop, &channel->echo_timer, has_slots(server) ? echo_wait_ns(server) : 0);
	}
}

static void channel_pump(struct neep_task *task) {
	struct neep_vhost_user *server = neep_container_of(task, struct neep_vhost_user, channel.pump);
	struct neep_vhost_user_channel *channel = &server->channel;
	if (channel->has_change) {
		change_pump(server);
	}
	if (channel->awaited != 0 || !neep_vhost_user_rings_all_live(server)) {
		return;
	}
	if (channel->is_config_changed && channel->source.fd >= 0) {
		channel->is_config_changed =
			!channel_send(server, NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE, NULL, 0, -1);
	}
	queue_pump(server);
}

static void echo_timed_out(struct neep_timer *timer) {
	struct neep_vhost_user *server = neep_container_of(timer, struct neep_vhost_user, channel.echo_timer);
	struct neep_vhost_user_channel *channel = &server->channel;
	if (channel->has_change && channel->awaited == 0 && neep_vhost_user_rings_all_live(server)) {
		channel_send(server, NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE, &barrier_object,
			sizeof(barrier_object), -1);
	}
}

/* The ack of channel->awaited is in channel->reply. */
static void reply_handle(struct neep_vhost_user *server) {
	struct neep_vhost_user_channel *channel = &server->channel;
	if (channel->awaited == NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE) {
		channel->is_committed = true;
	} else if (channel->reply.ack.value != 0) {
		channel->result = -EIO;
		neep_log(VU_TOPIC, NEEP_LOG_WARN, "the front-end refused to %s window memory (%lld)",
			channel->is_map ? "map" : "unmap", (long long)channel->reply.ack.value);
	} else {
		channel->is_acked = true;
	}
	channel->awaited = 0;
	neep_vhost_user_channel_wake(server);
}

static bool reply_is_valid(const struct neep_vhost_user_channel *channel) {
	const struct neep_vhost_user_header *header = &channel->reply.header;
	return channel->awaited != 0 && header->request == channel->awaited &&
	       (header->flags & NEEP_VHOST_USER_REPLY) != 0 && header->size == sizeof(channel->reply.ack);
}

static void channel_ready(struct neep_source *source, uint32_t events) {
	struct neep_vhost_user *server = neep_container_of(source, struct neep_vhost_user, channel.source);
	struct neep_vhost_user_channel *channel = &server->channel;
	if ((events & EPOLLOUT) != 0) {
		neep_source_set_events(source, EPOLLIN);
		neep_vhost_user_channel_wake(server);
	}
	if ((events & ~(uint32_t)EPOLLOUT) == 0) {
		return;
	}
	struct neep_fds fds = { 0 };
	int64_t got = neep_recv(source->fd, (uint8_t *)&channel->reply + channel->reply_got,
		sizeof(channel->reply) - channel->reply_got, &fds);
	neep_fds_finish(&fds);
	if (got == -EAGAIN) {
		return;
	}
	if (got <= 0) {
		channel_close(server, got < 0 ? strerror((int)-got) : NULL);
		return;
	}
	channel->reply_got += (size_t)got;
	if (channel->reply_got < sizeof(channel->reply)) {
		return;
	}
	channel->reply_got = 0;
	if (!reply_is_valid(channel)) {
		channel_close(server, "a reply that nobody asked for");
		return;
	}
	reply_handle(server);
}

/* Whether a region is the memory that `map` names. */
static bool echo_matches(const struct neep_vhost_user_echo *echo, const struct neep_vhost_user_map *map) {
	return echo->dev == map->dev && echo->ino == map->ino && echo->info.size == map->len &&
	       echo->info.mmap_offset == map->fd_offset;
}

static bool echo_is_known(
	const struct neep_vhost_user_channel *channel, const struct neep_memory_region_info *info) {
	neep_list_for_each (map, &channel->maps, struct neep_vhost_user_map, link) {
		if (map->is_echoed && map->guest_addr == info->guest_addr) {
			return true;
		}
	}
	return false;
}

void neep_vhost_user_channel_added(struct neep_vhost_user *server, const struct neep_vhost_user_echo *echo) {
	struct neep_vhost_user_channel *channel = &server->channel;
	struct neep_vhost_user_map *map = channel->map;
	if (!channel->has_change || !channel->is_map || map == NULL || channel->is_committed ||
		!echo_matches(echo, map) || echo_is_known(channel, &echo->info)) {
		return;
	}
	map->is_echoed = true;
	map->guest_addr = echo->info.guest_addr;
	channel->has_echo = true;
	channel->is_committed = true;
	neep_vhost_user_channel_wake(server);
}

/* The unmap under way that waits for its region to go; NULL when there is none. */
static const struct neep_vhost_user_map *unmap_waiting(const struct neep_vhost_user_channel *channel) {
	bool is_waiting =
		channel->has_change && !channel->is_map && channel->map != NULL && channel->map->is_echoed;
	return is_waiting ? channel->map : NULL;
}

void neep_vhost_user_channel_removed(
	struct neep_vhost_user *server, const struct neep_memory_region_info *info) {
	const struct neep_vhost_user_map *map = unmap_waiting(&server->channel);
	if (map != NULL && map->guest_addr == info->guest_addr && map->len == info->size) {
		server->channel.is_committed = true;
		neep_vhost_user_channel_wake(server);
	}
}

void neep_vhost_user_channel_replaced(
	struct neep_vhost_user *server, const struct neep_vhost_user_echo *echoes, size_t count) {
	const struct neep_vhost_user_map *map = unmap_waiting(&server->channel);
	bool is_there = false;
	for (size_t i = 0; i < count; i++) {
		neep_vhost_user_channel_added(server, &echoes[i]);
		is_there |= map != NULL && echoes[i].info.guest_addr == map->guest_addr;
	}
	if (map != NULL && !is_there) {
		server->channel.is_committed = true;
		neep_vhost_user_channel_wake(server);
	}
}

int neep_vhost_user_set_backend_req_fd(
	struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_vhost_user_channel *channel = &server->channel;
	neep_autoclose int fd = neep_fds_take(&message->fds, 0);
	int ret = neep_fd_set_nonblocking(fd);
	if (ret < 0) {
		return ret;
	}
	channel_close(server, NULL);
	channel->source.fd = neep_steal_fd(&fd);
	ret = neep_source_add(server->loop, &channel->source, EPOLLIN);
	if (ret < 0) {
		neep_close_fd(&channel->source.fd);
	}
	neep_vhost_user_channel_wake(server);
	return ret;
}

void neep_vhost_user_channel_init(struct neep_vhost_user *server) {
	struct neep_vhost_user_channel *channel = &server->channel;
	channel->source = (struct neep_source){ .fd = -1, .ready = channel_ready };
	channel->pump.run = channel_pump;
	channel->echo_timer.fire = echo_timed_out;
	channel->undo = (struct neep_vhost_user_shmem){ .fd = -1, .done = undo_done };
	neep_list_init(&channel->undo.link);
	neep_list_init(&channel->queue);
	neep_list_init(&channel->maps);
}

/* Fails everything pending towards its owner; what was sent goes on without one. */
static void pending_cancel(struct neep_vhost_user_channel *channel) {
	struct neep_vhost_user_shmem *owner = channel->owner;
	channel->owner = NULL;
	neep_list_remove(&channel->undo.link);
	if (owner != &channel->undo) {
		shmem_done(owner, -ECANCELED);
	}
	queue_fail(channel, -ECANCELED);
}

static void maps_forget(struct neep_vhost_user_channel *channel) {
	channel->map = NULL;
	neep_list_for_each_safe (map, &channel->maps, struct neep_vhost_user_map, link) {
		map_free(channel, map);
	}
}

bool neep_vhost_user_channel_reset(struct neep_vhost_user *server) {
	struct neep_vhost_user_channel *channel = &server->channel;
	bool has_undo = !neep_list_is_empty(&channel->undo.link);
	pending_cancel(channel);
	/* A front-end that shows the window to us as guest memory (QEMU) empties it by itself; of the others, the one
	 * known (crosvm) does not. */
	bool is_empty = channel->has_echo || channel->map_count == 0;
	if (is_empty) {
		maps_forget(channel);
	} else if (has_undo) {
		/* The device does not know of that map. */
		neep_list_insert(&channel->queue, &channel->undo.link);
	}
	return is_empty;
}

void neep_vhost_user_channel_finish(struct neep_vhost_user *server) {
	struct neep_vhost_user_channel *channel = &server->channel;
	pending_cancel(channel);
	channel_close(server, NULL);
	channel->has_change = false;
	maps_forget(channel);
	neep_timer_cancel(&channel->echo_timer);
	neep_task_cancel(&channel->pump);
}

void neep_vhost_user_config_changed(struct neep_vhost_user *server) {
	server->channel.is_config_changed = true;
	neep_vhost_user_channel_wake(server);
}

void neep_vhost_user_shmem(struct neep_vhost_user *server, struct neep_vhost_user_shmem *shmem) {
	neep_list_append(&server->channel.queue, &shmem->link);
	neep_vhost_user_channel_wake(server);
}

void neep_vhost_user_shmem_cancel(struct neep_vhost_user *server, struct neep_vhost_user_shmem *shmem) {
	if (server->channel.owner == shmem) {
		server->channel.owner = NULL;
		return;
	}
	neep_list_remove(&shmem->link);
}
