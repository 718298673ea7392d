/* Guest memory, as the front-end describes it: a whole table at a time, or region by region ("memory slots"). */
#include <errno.h>
#include <sys/stat.h>

#include "vhost_user/vhost_user_internal.h"

static struct neep_memory_region_info region_info(const struct neep_vhost_user_region *region) {
	return (struct neep_memory_region_info){
		.guest_addr = region->guest_addr,
		.size = region->size,
		.user_addr = region->user_addr,
		.mmap_offset = region->mmap_offset,
	};
}

/* Looks before the fd is given away. */
static struct neep_vhost_user_echo region_echo(const struct neep_vhost_user_region *region, int fd) {
	struct neep_vhost_user_echo echo = { .info = region_info(region) };
	struct stat st;
	if (fstat(fd, &st) == 0) {
		echo.dev = st.st_dev;
		echo.ino = st.st_ino;
	}
	return echo;
}

static int told(struct neep_vhost_user *server, const struct neep_error *error, int ret) {
	if (ret < 0) {
		neep_log_guest(&server->log_limit, VU_TOPIC, "guest memory: %s", error->text);
	}
	return ret;
}

int neep_vhost_user_set_mem_table(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_mem_table *table = &message->payload.table;
	size_t entries_len = message->header.size - offsetof(struct neep_vhost_user_mem_table, regions);
	if (entries_len % sizeof(table->regions[0]) != 0 ||
		table->count != entries_len / sizeof(table->regions[0]) ||
		table->count != message->fds.count) {
		return -EINVAL;
	}
	struct neep_memory_region_info infos[NEEP_VHOST_USER_TABLE_REGIONS_MAX];
	struct neep_vhost_user_echo echoes[NEEP_VHOST_USER_TABLE_REGIONS_MAX];
	for (uint32_t i = 0; i < table->count; i++) {
		infos[i] = region_info(&table->regions[i]);
		echoes[i] = region_echo(&table->regions[i], message->fds.fd[i]);
	}
	struct neep_error error = { 0 };
	int ret = neep_memory_replace(server->memory, infos, message->fds.fd, table->count, &error);
	if (ret < 0) {
		return told(server, &error, ret);
	}
	neep_vhost_user_rings_retry(server);
	neep_vhost_user_channel_replaced(server, echoes, table->count);
	return 0;
}

int neep_vhost_user_get_max_mem_slots(
	struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)message;
	struct neep_vhost_user_u64 reply = { .value = NEEP_VHOST_USER_MEM_SLOTS };
	neep_vhost_user_answer(server, &reply, sizeof(reply), -1);
	return 0;
}

int neep_vhost_user_add_mem_reg(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_region *region = &message->payload.region.region;
	struct neep_vhost_user_echo echo = region_echo(region, message->fds.fd[0]);
	struct neep_error error = { 0 };
	int ret = neep_memory_add(server->memory, &echo.info, neep_fds_take(&message->fds, 0), &error);
	if (ret < 0) {
		return told(server, &error, ret);
	}
	neep_vhost_user_rings_retry(server);
	neep_vhost_user_channel_added(server, &echo);
	return 0;
}

int neep_vhost_user_rem_mem_reg(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	struct neep_memory_region_info info = region_info(&message->payload.region.region);
	int ret = neep_memory_remove(server->memory, &info);
	if (ret < 0) {
		return ret;
	}
	neep_vhost_user_rings_retry(server);
	neep_vhost_user_channel_removed(server, &info);
	return 0;
}
