/* The messages: negotiation, memory, rings, config space. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "driver/frontend.h"
#include "driver/frontend_internal.h"
#include "util/log.h"

#define TOPIC        "driver"
#define PROTOCOL_BIT (UINT64_C(1) << NEEP_VHOST_USER_F_PROTOCOL_FEATURES)

uint64_t neep_frontend_offered_features(const struct neep_frontend *frontend) {
	return frontend->offered;
}

uint64_t neep_frontend_features(const struct neep_frontend *frontend) {
	return frontend->features;
}

uint64_t neep_frontend_protocol_features(const struct neep_frontend *frontend) {
	return frontend->protocol_features;
}

bool neep_frontend_has_protocol(
	const struct neep_frontend *frontend, enum neep_vhost_user_protocol_feature feature) {
	return (frontend->protocol_features >> feature & 1) != 0;
}

uint64_t neep_frontend_queue_count(const struct neep_frontend *frontend) {
	return frontend->queue_count;
}

uint64_t neep_frontend_mem_slots(const struct neep_frontend *frontend) {
	return frontend->mem_slots;
}

static int ask_u64(struct neep_frontend *frontend, enum neep_vhost_user_request request, uint64_t *value) {
	struct neep_vhost_user_u64 reply = { 0 };
	struct neep_frontend_message message = {
		.request = request,
		.reply = &reply,
		.reply_size = sizeof(reply),
	};
	int result = neep_frontend_ask(frontend, &message);
	neep_fds_finish(&message.fds_in);
	*value = reply.value;
	return result == 0 && message.reply_len != sizeof(reply) ? -EPROTO : result;
}

static int send_u64(struct neep_frontend *frontend, enum neep_vhost_user_request request, uint64_t value) {
	struct neep_vhost_user_u64 payload = { .value = value };
	struct neep_frontend_message message = {
		.request = request,
		.payload = &payload,
		.payload_len = sizeof(payload),
	};
	return neep_frontend_send(frontend, &message);
}

static int open_channel(struct neep_frontend *frontend) {
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	frontend->channel = pair[0];
	frontend->channel_peer = pair[1];
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_SET_BACKEND_REQ_FD,
		.fds = &frontend->channel_peer,
		.fd_count = 1,
	};
	int result = neep_frontend_tell(frontend, &message);
	neep_close_fd(&frontend->channel_peer);
	return result;
}

static int find_window(struct neep_frontend *frontend) {
	struct neep_vhost_user_shmem_config config = { 0 };
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_GET_SHMEM_CONFIG,
		.reply = &config,
		.reply_size = sizeof(config),
	};
	int result = neep_frontend_ask(frontend, &message);
	neep_fds_finish(&message.fds_in);
	if (result < 0 || frontend->window.size != 0) {
		return result;
	}
	for (size_t id = 0; id < NEEP_ARRAY_LEN(config.sizes); id++) {
		if (config.sizes[id] != 0) {
			return neep_window_reserve(&frontend->window, (uint8_t)id, config.sizes[id]);
		}
	}
	return 0;
}

static int negotiate_protocol(struct neep_frontend *frontend) {
	uint64_t offered;
	int result = ask_u64(frontend, NEEP_VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	if (result < 0) {
		return result;
	}
	uint64_t negotiated = offered & frontend->options.protocol_features;
	result = send_u64(frontend, NEEP_VHOST_USER_SET_PROTOCOL_FEATURES, negotiated);
	frontend->protocol_features = negotiated;
	if (result == 0 && neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_MQ)) {
		result = ask_u64(frontend, NEEP_VHOST_USER_GET_QUEUE_NUM, &frontend->queue_count);
	}
	if (result == 0 &&
		neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
		result = ask_u64(frontend, NEEP_VHOST_USER_GET_MAX_MEM_SLOTS, &frontend->mem_slots);
	}
	if (result == 0 && neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_BACKEND_REQ)) {
		result = open_channel(frontend);
	}
	return result;
}

static int negotiate_all(struct neep_frontend *frontend) {
	frontend->protocol_features = 0;
	int result = ask_u64(frontend, NEEP_VHOST_USER_GET_FEATURES, &frontend->offered);
	if (result == 0 && (frontend->offered & PROTOCOL_BIT) != 0) {
		result = negotiate_protocol(frontend);
	}
	if (result == 0) {
		struct neep_frontend_message message = { .request = NEEP_VHOST_USER_SET_OWNER };
		result = neep_frontend_send(frontend, &message);
	}
	if (result == 0) {
		result = ask_u64(frontend, NEEP_VHOST_USER_GET_FEATURES, &frontend->offered);
	}
	if (result == 0 && neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_SHMEM)) {
		result = find_window(frontend);
	}
	return result;
}

int neep_frontend_negotiate(struct neep_frontend *frontend, struct neep_error *error) {
	int result = negotiate_all(frontend);
	if (result < 0) {
		return neep_error_set(error, -result, "vhost-user negotiation with the back-end failed");
	}
	frontend->features = frontend->offered & (frontend->options.features | PROTOCOL_BIT);
	return 0;
}

int neep_frontend_set_features(struct neep_frontend *frontend) {
	return send_u64(frontend, NEEP_VHOST_USER_SET_FEATURES, frontend->features);
}

/* ---- memory ---- */

static struct neep_vhost_user_region describe_region(const struct neep_guest_region *region) {
	return (struct neep_vhost_user_region){
		.guest_addr = region->guest_addr,
		.size = region->size,
		.user_addr = (uint64_t)(uintptr_t)region->host,
		.mmap_offset = region->fd_offset,
	};
}

static int tell_region(struct neep_frontend *frontend, enum neep_vhost_user_request request,
	const struct neep_vhost_user_region *region, int fd) {
	struct neep_vhost_user_mem_region payload = { .region = *region };
	struct neep_frontend_message message = {
		.request = request,
		.payload = &payload,
		.payload_len = sizeof(payload),
		.fds = &fd,
		.fd_count = fd >= 0 ? 1 : 0,
	};
	return neep_frontend_tell(frontend, &message);
}

static int add_regions(struct neep_frontend *frontend) {
	int result = 0;
	for (size_t i = 0; result == 0 && i < neep_guest_region_count(frontend->memory); i++) {
		const struct neep_guest_region *guest = neep_guest_region(frontend->memory, i);
		struct neep_vhost_user_region region = describe_region(guest);
		result = tell_region(frontend, NEEP_VHOST_USER_ADD_MEM_REG, &region, guest->fd);
	}
	return result;
}

/* The whole table: guest memory and, when they fit, the window's maps. */
struct table {
	struct neep_vhost_user_mem_table payload;
	int fds[NEEP_VHOST_USER_TABLE_REGIONS_MAX];
};

static bool table_add(struct table *table, const struct neep_vhost_user_region *region, int fd) {
	if (table->payload.count == NEEP_VHOST_USER_TABLE_REGIONS_MAX) {
		return false;
	}
	table->payload.regions[table->payload.count] = *region;
	table->fds[table->payload.count] = fd;
	table->payload.count++;
	return true;
}

static bool table_add_maps(const struct neep_window *window, struct table *table) {
	neep_list_for_each (map, &window->maps, struct neep_window_map, link) {
		struct neep_vhost_user_region region = neep_window_region(window, map);
		if (map->echo != NEEP_WINDOW_GONE && !table_add(table, &region, map->fd)) {
			return false;
		}
	}
	return true;
}

static int set_table(struct neep_frontend *frontend) {
	struct table table = { 0 };
	for (size_t i = 0; i < neep_guest_region_count(frontend->memory); i++) {
		const struct neep_guest_region *guest = neep_guest_region(frontend->memory, i);
		struct neep_vhost_user_region region = describe_region(guest);
		table_add(&table, &region, guest->fd);
	}
	/* QEMU too leaves the old table in place when the new one is too long for a message. */
	if (frontend->options.echo_maps && !table_add_maps(&frontend->window, &table)) {
		neep_log(TOPIC, NEEP_LOG_DEBUG, "too many memory regions for a table");
		return 0;
	}
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_SET_MEM_TABLE,
		.payload = &table.payload,
		.payload_len = offsetof(struct neep_vhost_user_mem_table, regions) +
			       table.payload.count * sizeof(table.payload.regions[0]),
		.fds = table.fds,
		.fd_count = table.payload.count,
	};
	return neep_frontend_tell(frontend, &message);
}

static bool has_slots(const struct neep_frontend *frontend) {
	return neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
}

int neep_frontend_set_memory(struct neep_frontend *frontend, const struct neep_guest_memory *memory) {
	frontend->memory = memory;
	int result = 0;
	if (!has_slots(frontend)) {
		result = set_table(frontend);
	} else if (!frontend->knows_memory) {
		result = add_regions(frontend);
	}
	frontend->knows_memory = result == 0;
	return result < 0 ? result : neep_frontend_flush_echoes(frontend);
}

int neep_frontend_add_region(
	struct neep_frontend *frontend, const struct neep_vhost_user_region *region, int fd) {
	return has_slots(frontend) ? tell_region(frontend, NEEP_VHOST_USER_ADD_MEM_REG, region, fd)
				   : -EOPNOTSUPP;
}

int neep_frontend_remove_region(struct neep_frontend *frontend, const struct neep_vhost_user_region *region) {
	return has_slots(frontend) ? tell_region(frontend, NEEP_VHOST_USER_REM_MEM_REG, region, -1)
				   : -EOPNOTSUPP;
}

static int echo_one(struct neep_frontend *frontend, struct neep_window_map *map) {
	struct neep_vhost_user_region region = neep_window_region(&frontend->window, map);
	bool is_gone = map->echo == NEEP_WINDOW_GONE;
	int fd = map->fd;
	/* Before the exchange: it may serve a request that changes this very map. */
	neep_window_told(map);
	return tell_region(frontend, is_gone ? NEEP_VHOST_USER_REM_MEM_REG : NEEP_VHOST_USER_ADD_MEM_REG,
		&region, is_gone ? -1 : fd);
}

static int echo_table(struct neep_frontend *frontend) {
	struct neep_window_map *map;
	while ((map = neep_window_pending(&frontend->window)) != NULL) {
		neep_window_told(map);
	}
	return set_table(frontend);
}

int neep_frontend_flush_echoes(struct neep_frontend *frontend) {
	if (frontend->is_exchanging || !frontend->options.echo_maps || !frontend->knows_memory) {
		return 0;
	}
	/* The exchanges below serve the channel, too: what that adds is found by the next turn of this loop. */
	frontend->is_exchanging = true;
	int result = 0;
	struct neep_window_map *map;
	while (result == 0 && (map = neep_window_pending(&frontend->window)) != NULL) {
		result = has_slots(frontend) ? echo_one(frontend, map) : echo_table(frontend);
	}
	frontend->is_exchanging = false;
	return result;
}

void neep_frontend_clear_window(struct neep_frontend *frontend) {
	neep_window_clear(&frontend->window);
}

/* ---- rings ---- */

static int tell_state(
	struct neep_frontend *frontend, enum neep_vhost_user_request request, uint32_t index, uint32_t num) {
	struct neep_vhost_user_vring_state payload = { .index = index, .num = num };
	struct neep_frontend_message message = {
		.request = request,
		.payload = &payload,
		.payload_len = sizeof(payload),
	};
	/* As QEMU: an ack is asked for enabling only. */
	return request == NEEP_VHOST_USER_SET_VRING_ENABLE ? neep_frontend_tell(frontend, &message)
							   : neep_frontend_send(frontend, &message);
}

static int tell_fd(
	struct neep_frontend *frontend, enum neep_vhost_user_request request, uint32_t index, int fd) {
	struct neep_vhost_user_u64 payload = { .value = index };
	struct neep_frontend_message message = {
		.request = request,
		.payload = &payload,
		.payload_len = sizeof(payload),
		.fds = &fd,
		.fd_count = 1,
	};
	return neep_frontend_tell(frontend, &message);
}

static int tell_addresses(
	struct neep_frontend *frontend, uint32_t index, const struct neep_queue_setup *setup) {
	struct neep_vhost_user_vring_addr payload = {
		.index = index,
		.desc = (uint64_t)(uintptr_t)setup->desc,
		.used = (uint64_t)(uintptr_t)setup->used,
		.avail = (uint64_t)(uintptr_t)setup->avail,
	};
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_SET_VRING_ADDR,
		.payload = &payload,
		.payload_len = sizeof(payload),
	};
	return neep_frontend_send(frontend, &message);
}

int neep_frontend_start_queue(
	struct neep_frontend *frontend, uint32_t index, const struct neep_queue *queue, uint32_t base) {
	struct neep_queue_setup setup = neep_queue_setup(queue);
	int result = tell_state(frontend, NEEP_VHOST_USER_SET_VRING_NUM, index, setup.size);
	if (result == 0) {
		result = tell_state(frontend, NEEP_VHOST_USER_SET_VRING_BASE, index, base);
	}
	if (result == 0) {
		result = tell_addresses(frontend, index, &setup);
	}
	if (result == 0) {
		result = tell_fd(frontend, NEEP_VHOST_USER_SET_VRING_ERR, index, neep_queue_err_fd(queue));
	}
	if (result == 0) {
		result = tell_fd(frontend, NEEP_VHOST_USER_SET_VRING_KICK, index, neep_queue_kick_fd(queue));
	}
	if (result == 0) {
		result = tell_fd(frontend, NEEP_VHOST_USER_SET_VRING_CALL, index, neep_queue_call_fd(queue));
	}
	return result;
}

int neep_frontend_enable_queue(struct neep_frontend *frontend, uint32_t index, bool enable) {
	return tell_state(frontend, NEEP_VHOST_USER_SET_VRING_ENABLE, index, enable ? 1 : 0);
}

int neep_frontend_stop_queue(struct neep_frontend *frontend, uint32_t index, uint32_t *base) {
	struct neep_vhost_user_vring_state state = { .index = index };
	struct neep_vhost_user_vring_state reply = { 0 };
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_GET_VRING_BASE,
		.payload = &state,
		.payload_len = sizeof(state),
		.reply = &reply,
		.reply_size = sizeof(reply),
	};
	int result = neep_frontend_ask(frontend, &message);
	neep_fds_finish(&message.fds_in);
	if (result < 0) {
		return result;
	}
	*base = reply.num;
	return message.reply_len == sizeof(reply) && reply.index == index ? 0 : -EPROTO;
}

/* ---- config space and the rest ---- */

int neep_frontend_get_config(struct neep_frontend *frontend, uint32_t offset, void *buf, size_t len) {
	if (len > NEEP_VHOST_USER_CONFIG_SIZE_MAX) {
		return -EINVAL;
	}
	struct neep_vhost_user_config config = { .offset = offset, .size = (uint32_t)len };
	struct neep_vhost_user_config reply = { 0 };
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_GET_CONFIG,
		.payload = &config,
		.payload_len = NEEP_VHOST_USER_CONFIG_HEADER_SIZE + len,
		.reply = &reply,
		.reply_size = sizeof(reply),
	};
	int result = neep_frontend_ask(frontend, &message);
	neep_fds_finish(&message.fds_in);
	if (result < 0) {
		return result;
	}
	if (message.reply_len != message.payload_len || reply.offset != offset || reply.size != len) {
		return -EPROTO;
	}
	memcpy(buf, reply.data, len);
	return 0;
}

int neep_frontend_set_config(struct neep_frontend *frontend, uint32_t offset, const void *buf, size_t len) {
	if (len > NEEP_VHOST_USER_CONFIG_SIZE_MAX) {
		return -EINVAL;
	}
	struct neep_vhost_user_config config = { .offset = offset, .size = (uint32_t)len };
	memcpy(config.data, buf, len);
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_SET_CONFIG,
		.payload = &config,
		.payload_len = NEEP_VHOST_USER_CONFIG_HEADER_SIZE + len,
	};
	return neep_frontend_tell(frontend, &message);
}

int neep_frontend_set_gpu_socket(struct neep_frontend *frontend, int fd) {
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_GPU_SET_SOCKET,
		.fds = &fd,
		.fd_count = 1,
	};
	return neep_frontend_send(frontend, &message);
}

int neep_frontend_reset_device(struct neep_frontend *frontend) {
	if (!neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_RESET_DEVICE)) {
		return -EOPNOTSUPP;
	}
	struct neep_frontend_message message = { .request = NEEP_VHOST_USER_RESET_DEVICE };
	return neep_frontend_send(frontend, &message);
}

void neep_frontend_forget_inflight(struct neep_frontend *frontend) {
	neep_close_fd(&frontend->inflight_fd);
}

static int fetch_inflight(struct neep_frontend *frontend, uint16_t queue_count, uint16_t queue_size) {
	struct neep_vhost_user_inflight wanted = { .queue_count = queue_count, .queue_size = queue_size };
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_GET_INFLIGHT_FD,
		.payload = &wanted,
		.payload_len = sizeof(wanted),
		.reply = &frontend->inflight,
		.reply_size = sizeof(frontend->inflight),
	};
	int result = neep_frontend_ask(frontend, &message);
	frontend->inflight_fd = neep_fds_take(&message.fds_in, 0);
	neep_fds_finish(&message.fds_in);
	if (result < 0) {
		return result;
	}
	frontend->inflight.queue_count = queue_count;
	frontend->inflight.queue_size = queue_size;
	return frontend->inflight_fd >= 0 ? 0 : -EPROTO;
}

int neep_frontend_share_inflight(struct neep_frontend *frontend, uint16_t queue_count, uint16_t queue_size) {
	if (!neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) {
		return 0;
	}
	if (frontend->inflight_fd < 0) {
		int result = fetch_inflight(frontend, queue_count, queue_size);
		if (result < 0) {
			return result;
		}
	}
	struct neep_frontend_message message = {
		.request = NEEP_VHOST_USER_SET_INFLIGHT_FD,
		.payload = &frontend->inflight,
		.payload_len = sizeof(frontend->inflight),
		.fds = &frontend->inflight_fd,
		.fd_count = 1,
	};
	return neep_frontend_tell(frontend, &message);
}
