#include "front_end.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/await.h"
#include "support/cmocka.h"
#include "util/fd.h"
#include "util/macros.h"

#define AVAIL_OFFSET  0x1000
#define USED_OFFSET   0x2000
#define BUFFER_OFFSET 0x3000

static struct fe *fe_from_device(struct neep_vhost_user_device *device) {
	return neep_container_of(device, struct fe, device);
}

static uint64_t device_features(struct neep_vhost_user_device *device) {
	return fe_from_device(device)->offered;
}

static void device_set_features(struct neep_vhost_user_device *device, uint64_t features) {
	fe_from_device(device)->features = features;
	fe_from_device(device)->features_calls++;
}

static void device_read_config(
	struct neep_vhost_user_device *device, uint32_t offset, void *buf, size_t len) {
	struct fe *fe = fe_from_device(device);
	memset(buf, 0, len);
	for (size_t i = 0; i < len && offset + i < sizeof(fe->config); i++) {
		((uint8_t *)buf)[i] = fe->config[offset + i];
	}
}

static void device_write_config(
	struct neep_vhost_user_device *device, uint32_t offset, const void *buf, size_t len) {
	struct fe *fe = fe_from_device(device);
	for (size_t i = 0; i < len && offset + i < sizeof(fe->config); i++) {
		fe->config[offset + i] = ((const uint8_t *)buf)[i];
	}
}

static bool device_run_queue(struct neep_vhost_user_device *device, uint32_t index) {
	struct fe *fe = fe_from_device(device);
	fe->runs[index]++;
	if (fe->is_paused) {
		return false;
	}
	bool worked = false;
	struct neep_vring_element *element;
	while (neep_vring_pop(fe->rings[index], &element) == 1) {
		worked = true;
		fe->handled[index]++;
		if (fe->keeps && fe->kept == NULL) {
			fe->kept = element;
			continue;
		}
		neep_vring_push(fe->rings[index], element, "reply", 5);
	}
	neep_vring_notify(fe->rings[index]);
	return worked;
}

static void device_set_queue(struct neep_vhost_user_device *device, uint32_t index, struct neep_vring *ring) {
	struct fe *fe = fe_from_device(device);
	fe->rings[index] = ring;
	fe->stops[index] += ring == NULL;
}

static void device_reset(struct neep_vhost_user_device *device, bool window_is_empty) {
	struct fe *fe = fe_from_device(device);
	fe->resets++;
	fe->window_is_empty = window_is_empty;
	if (fe->on_reset != NULL) {
		fe->on_reset(fe);
	}
}

static void device_set_gpu_socket(struct neep_vhost_user_device *device, int owned_fd) {
	struct fe *fe = fe_from_device(device);
	neep_close_fd(&fe->gpu_fd);
	fe->gpu_fd = owned_fd;
}

static void device_closed(struct neep_vhost_user_device *device) {
	fe_from_device(device)->closed++;
}

static const struct neep_vhost_user_device_impl device_impl = {
	.features = device_features,
	.set_features = device_set_features,
	.read_config = device_read_config,
	.write_config = device_write_config,
	.run_queue = device_run_queue,
	.set_queue = device_set_queue,
	.reset = device_reset,
	.set_gpu_socket = device_set_gpu_socket,
	.closed = device_closed,
};

void fe_open_with(struct fe *fe, const struct neep_vhost_user_options *options) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*fe = (struct fe){
		.device.impl = &device_impl,
		.options = *options,
		.loop = neep_loop_create(),
		.fd = pair[0],
		.channel = -1,
		.ram_fd = neep_memfd_create("ram", FE_RAM_SIZE),
		.user_addr = FE_RAM_USER,
		.offered = UINT64_C(1) << 32 | 1u << 1,
		.gpu_fd = -1,
	};
	neep_loop_set_spin(fe->loop, 0);
	fe->ram = mmap(NULL, FE_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe->ram_fd, 0);
	assert_ptr_not_equal(fe->ram, MAP_FAILED);
	for (int i = 0; i < FE_QUEUES; i++) {
		fe->call[i] = neep_eventfd_create();
		fe->kick[i] = neep_eventfd_create();
		fe->err[i] = neep_eventfd_create();
		fe->ring_base[i] = 0x10000u * (unsigned)(i + 1);
	}
	struct neep_error error = { 0 };
	fe->server = neep_vhost_user_create(fe->loop, pair[1], &fe->device, options, &error);
	assert_non_null(fe->server);
}

static void open_with_window(struct fe *fe, int64_t echo_wait_ns) {
	const struct neep_vhost_user_options options = {
		.queue_count = FE_QUEUES,
		.shmem_id = 1,
		.shmem_size = FE_WINDOW_SIZE,
		.has_mem_slots = true,
		.shmem_maps_max = 3,
		.echo_wait_ns = echo_wait_ns,
	};
	fe_open_with(fe, &options);
}

void fe_open(struct fe *fe) {
	open_with_window(fe, AWAIT_NS);
}

void fe_open_impatient(struct fe *fe) {
	open_with_window(fe, 0);
}

void fe_close(struct fe *fe) {
	neep_vhost_user_destroy(fe->server);
	neep_close_fd(&fe->fd);
	neep_close_fd(&fe->channel);
	neep_close_fd(&fe->ram_fd);
	neep_close_fd(&fe->gpu_fd);
	for (int i = 0; i < FE_QUEUES; i++) {
		neep_close_fd(&fe->call[i]);
		neep_close_fd(&fe->kick[i]);
		neep_close_fd(&fe->err[i]);
	}
	munmap(fe->ram, FE_RAM_SIZE);
	neep_loop_destroy(fe->loop);
}

void fe_settle(struct fe *fe) {
	for (int i = 0; i < 20; i++) {
		assert_int_equal(neep_loop_step(fe->loop, 0), 0);
	}
}

void fe_send(struct fe *fe, const struct fe_message *message) {
	struct neep_vhost_user_header header = {
		.request = message->request,
		.flags = message->flags != 0 ? message->flags : NEEP_VHOST_USER_VERSION,
		.size = (uint32_t)message->len,
	};
	uint8_t buf[sizeof(header) + 8192];
	assert_true(message->len <= 8192);
	memcpy(buf, &header, sizeof(header));
	if (message->len > 0) {
		memcpy(buf + sizeof(header), message->payload, message->len);
	}
	struct neep_send send = {
		.buf = buf,
		.len = sizeof(header) + message->len,
		.fds = message->fds,
		.fd_count = message->fd_count,
	};
	assert_int_equal(neep_send_all(fe->fd, &send), 0);
}

/* Reads exactly `len` bytes, stepping the loop meanwhile. */
static bool recv_exactly(struct fe *fe, int socket, void *buf, size_t len, struct neep_fds *fds) {
	size_t got = 0;
	for (int tries = 0; got < len && tries < 200; tries++) {
		struct neep_fds none = { 0 };
		assert_int_equal(neep_loop_step(fe->loop, 0), 0);
		assert_int_equal(neep_fd_set_nonblocking(socket), 0);
		int64_t n = neep_recv(socket, (uint8_t *)buf + got, len - got, fds != NULL ? fds : &none);
		neep_fds_finish(&none);
		if (n == -EAGAIN) {
			if (tries > 50) {
				assert_int_equal(neep_loop_step(fe->loop, 1), 0);
			}
			continue;
		}
		if (n <= 0) {
			return false;
		}
		got += (size_t)n;
	}
	return got == len;
}

int fe_recv(struct fe *fe, int socket, struct fe_reply *reply, int *fd) {
	struct neep_fds fds = { 0 };
	bool ok = recv_exactly(fe, socket, &reply->header, sizeof(reply->header), &fds);
	if (fd != NULL) {
		*fd = neep_fds_take(&fds, 0);
	}
	neep_fds_finish(&fds);
	if (!ok) {
		return -1;
	}
	assert_true(reply->header.size <= sizeof(reply->payload));
	assert_true(recv_exactly(fe, socket, reply->payload, reply->header.size, NULL));
	return (int)reply->header.size;
}

bool fe_is_silent(struct fe *fe, int socket) {
	uint8_t byte;
	fe_settle(fe);
	return recv(socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

uint64_t fe_ack(struct fe *fe, const struct fe_message *message) {
	struct fe_message request = *message;
	request.flags = NEEP_VHOST_USER_VERSION | NEEP_VHOST_USER_NEED_REPLY;
	fe_send(fe, &request);
	struct fe_reply reply;
	assert_int_equal(fe_recv(fe, fe->fd, &reply, NULL), 8);
	assert_int_equal(reply.header.request, message->request);
	assert_int_equal(reply.header.flags, 5);
	uint64_t value;
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

uint64_t fe_get(struct fe *fe, uint32_t request) {
	FE_SEND(fe, .request = request);
	struct fe_reply reply;
	assert_int_equal(fe_recv(fe, fe->fd, &reply, NULL), 8);
	assert_int_equal(reply.header.request, request);
	assert_int_equal(reply.header.flags, 5);
	uint64_t value;
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

void fe_negotiate(struct fe *fe, uint64_t protocol_features) {
	uint64_t offered = fe_get(fe, NEEP_VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(protocol_features & ~offered, 0);
	FE_SEND(fe, .request = NEEP_VHOST_USER_SET_PROTOCOL_FEATURES, .payload = &protocol_features,
		.len = 8);
	FE_SEND(fe, .request = NEEP_VHOST_USER_SET_OWNER);
	fe_settle(fe);
}

void fe_give_channel(struct fe *fe) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	neep_close_fd(&fe->channel);
	fe->channel = pair[0];
	assert_int_equal(
		FE_ACK(fe, .request = NEEP_VHOST_USER_SET_BACKEND_REQ_FD, .fds = &pair[1], .fd_count = 1), 0);
	neep_close_fd(&pair[1]);
}

void fe_set_features(struct fe *fe, uint64_t features) {
	FE_SEND(fe, .request = NEEP_VHOST_USER_SET_FEATURES, .payload = &features, .len = 8);
	fe_settle(fe);
}

static struct neep_vhost_user_region ram_region(const struct fe *fe) {
	return (struct neep_vhost_user_region){ .size = FE_RAM_SIZE, .user_addr = fe->user_addr };
}

uint64_t fe_add_ram(struct fe *fe) {
	struct neep_vhost_user_mem_region region = { .region = ram_region(fe) };
	return FE_ACK(fe, .request = NEEP_VHOST_USER_ADD_MEM_REG, .payload = &region, .len = sizeof(region),
		.fds = &fe->ram_fd, .fd_count = 1);
}

uint64_t fe_set_table(
	struct fe *fe, const struct neep_vhost_user_region *more, const int *more_fds, size_t count) {
	struct neep_vhost_user_mem_table table = { .count = (uint32_t)count + 1 };
	int fds[NEEP_VHOST_USER_TABLE_REGIONS_MAX] = { fe->ram_fd };
	table.regions[0] = ram_region(fe);
	for (size_t i = 0; i < count; i++) {
		table.regions[i + 1] = more[i];
		fds[i + 1] = more_fds[i];
	}
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_MEM_TABLE, .payload = &table,
		.len = 8 + 32 * (count + 1), .fds = fds, .fd_count = count + 1);
}

void fe_describe_ring(struct fe *fe, uint32_t index, uint16_t base) {
	struct neep_vhost_user_vring_state num = { index, FE_RING_SIZE }, start = { index, base };
	uint64_t at = fe->user_addr + fe->ring_base[index];
	struct neep_vhost_user_vring_addr addr = {
		.index = index,
		.desc = at,
		.avail = at + AVAIL_OFFSET,
		.used = at + USED_OFFSET,
	};
	FE_SEND(fe, .request = NEEP_VHOST_USER_SET_VRING_NUM, .payload = &num, .len = sizeof(num));
	FE_SEND(fe, .request = NEEP_VHOST_USER_SET_VRING_BASE, .payload = &start, .len = sizeof(start));
	FE_SEND(fe, .request = NEEP_VHOST_USER_SET_VRING_ADDR, .payload = &addr, .len = sizeof(addr));
}

uint64_t fe_kick_fd(struct fe *fe, uint32_t index) {
	uint64_t number = index;
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_VRING_KICK, .payload = &number, .len = 8,
		.fds = &fe->kick[index], .fd_count = 1);
}

uint64_t fe_call_fd(struct fe *fe, uint32_t index) {
	uint64_t number = index;
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_VRING_CALL, .payload = &number, .len = 8,
		.fds = &fe->call[index], .fd_count = 1);
}

uint64_t fe_enable(struct fe *fe, uint32_t index, uint32_t enable) {
	struct neep_vhost_user_vring_state state = { index, enable };
	return FE_ACK(
		fe, .request = NEEP_VHOST_USER_SET_VRING_ENABLE, .payload = &state, .len = sizeof(state));
}

int64_t fe_get_base(struct fe *fe, uint32_t index) {
	struct neep_vhost_user_vring_state state = { index, 0 };
	FE_SEND(fe, .request = NEEP_VHOST_USER_GET_VRING_BASE, .payload = &state, .len = sizeof(state));
	struct fe_reply reply;
	int len = fe_recv(fe, fe->fd, &reply, NULL);
	if (len == 0) {
		return -1;
	}
	assert_int_equal(len, 8);
	memcpy(&state, reply.payload, sizeof(state));
	assert_int_equal(state.index, index);
	return state.num;
}

void fe_start_rings(struct fe *fe, const uint16_t bases[FE_QUEUES]) {
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		fe_describe_ring(fe, i, bases[i]);
		assert_int_equal(fe_kick_fd(fe, i), 0);
		assert_int_equal(fe_call_fd(fe, i), 0);
	}
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		assert_int_equal(fe_enable(fe, i, 1), 0);
	}
	fe_settle(fe);
}

void fe_start(struct fe *fe) {
	fe_negotiate(fe, FE_PROTOCOL_QEMU);
	fe_give_channel(fe);
	fe_set_features(fe, FE_FEATURES);
	assert_int_equal(fe_add_ram(fe), 0);
	fe_start_rings(fe, (uint16_t[FE_QUEUES]){ 0 });
}

void fe_stop(struct fe *fe, uint16_t bases[FE_QUEUES]) {
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		assert_int_equal(fe_enable(fe, i, 0), 0);
	}
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		bases[i] = (uint16_t)fe_get_base(fe, i);
	}
}

void fe_clear_rings(struct fe *fe) {
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		memset(fe->ram + fe->ring_base[i], 0, 0x4000);
		fe->avail[i] = 0;
	}
}

void fe_submit(struct fe *fe, uint32_t index, bool kick) {
	uint64_t at = fe->ring_base[index];
	struct vring_desc *desc = (void *)(fe->ram + at);
	struct vring_avail *avail = (void *)(fe->ram + at + AVAIL_OFFSET);
	uint16_t slot = fe->avail[index] % FE_RING_SIZE;
	desc[slot] =
		(struct vring_desc){ .addr = at + BUFFER_OFFSET, .len = 64, .flags = VRING_DESC_F_WRITE };
	avail->ring[slot] = slot;
	__atomic_store_n(&avail->idx, ++fe->avail[index], __ATOMIC_RELEASE);
	if (kick) {
		neep_eventfd_signal(fe->kick[index]);
	}
}

uint16_t fe_used(const struct fe *fe, uint32_t index) {
	const struct vring_used *used = (const void *)(fe->ram + fe->ring_base[index] + USED_OFFSET);
	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
}

void fe_open_started(struct fe *fe) {
	fe_open(fe);
	fe_start(fe);
}

void fe_open_with_ram(struct fe *fe) {
	fe_open(fe);
	fe_negotiate(fe, FE_PROTOCOL_QEMU);
	fe_set_features(fe, FE_FEATURES);
	fe_add_ram(fe);
}
