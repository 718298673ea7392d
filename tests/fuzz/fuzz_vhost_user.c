/* A vhost-user session with a front-end, a guest and a device that do what the input says.
 *
 * The input is a script of small steps. One of them is a whole honest start, so that hostile steps reach rings that run
 * and a window that is in use; others are single messages of the right shape with contents from the input, raw bytes,
 * answers on the back-end channel, pokes at the rings' memory, and calls that a device makes. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/macros.h"
#include "util/reader.h"
#include "vhost_user/protocol.h"
#include "vhost_user/server.h"

#define QUEUES      2
#define STEPS_MAX   400
#define CHANGES     4
#define KEPT_MAX    8
#define RAM_SIZE    0x40000u
#define RAM_USER    UINT64_C(0x700000000000)
#define RING_SIZE   16
#define WINDOW_SIZE 0x10000u

struct change {
	struct neep_vhost_user_shmem base;
	bool is_busy;
};

struct fuzz {
	struct neep_vhost_user_device device;
	struct neep_reader in;
	struct neep_loop *loop;
	struct neep_vhost_user *server;
	int fd;      // -1 once the front-end has left
	int channel; // the front-end's end, or -1
	int ram_fd;
	uint8_t *ram;
	int event_fd;
	uint32_t asked; // last request seen on the channel
	struct neep_vring *rings[QUEUES];
	struct neep_vring_element *kept[KEPT_MAX];
	struct neep_vring *kept_ring[KEPT_MAX];
	bool is_paused, keeps;
	struct change changes[CHANGES];
};

static struct fuzz *fuzz_from_device(struct neep_vhost_user_device *device) {
	return neep_container_of(device, struct fuzz, device);
}

static uint64_t device_features(struct neep_vhost_user_device *device) {
	(void)device;
	return UINT64_C(1) << 32 | UINT64_C(1) << 34 | 1u << 28 | 1u << 29;
}

static void device_set_features(struct neep_vhost_user_device *device, uint64_t features) {
	(void)device;
	(void)features;
}

static void device_read_config(
	struct neep_vhost_user_device *device, uint32_t offset, void *buf, size_t len) {
	(void)device;
	memset(buf, (int)offset, len);
}

static void device_write_config(
	struct neep_vhost_user_device *device, uint32_t offset, const void *buf, size_t len) {
	(void)device;
	(void)offset;
	uint8_t sink[256];
	memcpy(sink, buf, len);
}

static bool keep(struct fuzz *fuzz, struct neep_vring *ring, struct neep_vring_element *element) {
	for (int i = 0; fuzz->keeps && i < KEPT_MAX; i++) {
		if (fuzz->kept[i] == NULL) {
			fuzz->kept[i] = element;
			fuzz->kept_ring[i] = ring;
			return true;
		}
	}
	return false;
}

static bool device_run_queue(struct neep_vhost_user_device *device, uint32_t index) {
	struct fuzz *fuzz = fuzz_from_device(device);
	if (fuzz->is_paused) {
		return false;
	}
	struct neep_vring *ring = fuzz->rings[index];
	bool worked = false;
	struct neep_vring_element *element;
	for (int i = 0; i < 32 && neep_vring_pop(ring, &element) == 1; i++) {
		worked = true;
		if (!keep(fuzz, ring, element)) {
			neep_vring_push(ring, element, "reply", 5);
		}
	}
	neep_vring_notify(ring);
	return worked;
}

static void device_set_queue(struct neep_vhost_user_device *device, uint32_t index, struct neep_vring *ring) {
	fuzz_from_device(device)->rings[index] = ring;
}

static void device_reset(struct neep_vhost_user_device *device, bool window_is_empty) {
	(void)device;
	(void)window_is_empty;
}

static void device_set_gpu_socket(struct neep_vhost_user_device *device, int owned_fd) {
	(void)device;
	neep_close_fd(&owned_fd);
}

static void device_closed(struct neep_vhost_user_device *device) {
	(void)device;
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

static void change_done(struct neep_vhost_user_shmem *shmem, int result) {
	(void)result;
	neep_container_of(shmem, struct change, base)->is_busy = false;
}

static void turn(struct fuzz *fuzz) {
	neep_loop_step(fuzz->loop, 0);
	neep_loop_step(fuzz->loop, 0);
}

/* Throws away what the server wrote, so that it goes on. */
static void drain(struct fuzz *fuzz, int socket) {
	uint8_t buf[4096];
	struct neep_fds fds = { 0 };
	int64_t got = socket >= 0 ? neep_recv(socket, buf, sizeof(buf), &fds) : 0;
	neep_fds_finish(&fds);
	if (socket == fuzz->channel && got >= (int64_t)sizeof(uint32_t)) {
		memcpy(&fuzz->asked, buf, sizeof(fuzz->asked));
	}
}

static void send_bytes(int socket, const void *buf, size_t len, const int *fds, size_t fd_count) {
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 40)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd_count > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	if (socket >= 0) {
		sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static void send_request(
	struct fuzz *fuzz, uint32_t request, uint32_t flags, const void *payload, size_t len, int fd) {
	uint8_t buf[12 + 2100];
	struct neep_vhost_user_header header = { request, flags, (uint32_t)len };
	memcpy(buf, &header, sizeof(header));
	if (len > 0) {
		memcpy(buf + sizeof(header), payload, len);
	}
	send_bytes(fuzz->fd, buf, sizeof(header) + len, &fd, fd >= 0 ? 1 : 0);
	turn(fuzz);
	drain(fuzz, fuzz->fd);
}

static size_t usual_len(uint32_t request) {
	switch (request) {
	case NEEP_VHOST_USER_SET_MEM_TABLE:
		return 40;
	case NEEP_VHOST_USER_SET_VRING_ADDR:
	case NEEP_VHOST_USER_ADD_MEM_REG:
	case NEEP_VHOST_USER_REM_MEM_REG:
		return 40;
	case NEEP_VHOST_USER_GET_CONFIG:
	case NEEP_VHOST_USER_SET_CONFIG:
		return 32;
	case NEEP_VHOST_USER_GET_INFLIGHT_FD:
	case NEEP_VHOST_USER_SET_INFLIGHT_FD:
		return 24;
	case NEEP_VHOST_USER_SET_LOG_BASE:
	case NEEP_VHOST_USER_GET_SHARED_OBJECT:
		return 16;
	case NEEP_VHOST_USER_SET_FEATURES:
	case NEEP_VHOST_USER_SET_PROTOCOL_FEATURES:
	case NEEP_VHOST_USER_SET_VRING_ENABLE:
		return 8;
	default:
		return request >= NEEP_VHOST_USER_SET_VRING_NUM && request <= NEEP_VHOST_USER_SET_VRING_ERR
			       ? 8
			       : 0;
	}
}

/* A copy, so that the front-end's fd survives what the server does with it. */
static int pick_fd(struct fuzz *fuzz, uint8_t kind) {
	switch (kind % 4) {
	case 1:
		return fuzz->ram_fd;
	case 2:
		return fuzz->event_fd;
	case 3:
		return fuzz->fd;
	default:
		return -1;
	}
}

/* A message whose shape is mostly right and whose contents are the input's. */
static void step_message(struct fuzz *fuzz) {
	uint8_t payload[2100] = { 0 };
	uint32_t request = neep_reader_u8(&fuzz->in) % 48;
	uint8_t shape = neep_reader_u8(&fuzz->in);
	size_t len = usual_len(request);
	if (shape >= 0xf0) {
		len = neep_reader_u16(&fuzz->in) % sizeof(payload);
	}
	size_t left = neep_reader_left(&fuzz->in);
	neep_reader_copy(&fuzz->in, payload, len < left ? len : left);
	int fd = pick_fd(fuzz, shape & 3);
	int fds[40];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(fds); i++) {
		fds[i] = fuzz->ram_fd;
	}
	fds[0] = fd;
	struct neep_vhost_user_header header = { request, (shape & 4) != 0 ? 9 : 1, (uint32_t)len };
	uint8_t buf[sizeof(header) + sizeof(payload)];
	memcpy(buf, &header, sizeof(header));
	memcpy(buf + sizeof(header), payload, len);
	size_t fd_count = fd < 0 ? 0 : (shape & 0xf8) == 0xe8 ? 40 : (shape & 0xf8) == 0xe0 ? 2 : 1;
	send_bytes(fuzz->fd, buf, sizeof(header) + len, fds, fd_count);
}

static void step_raw(struct fuzz *fuzz, int socket) {
	uint8_t buf[64];
	size_t len = neep_reader_u8(&fuzz->in) % (sizeof(buf) + 1);
	size_t left = neep_reader_left(&fuzz->in);
	len = len < left ? len : left;
	neep_reader_copy(&fuzz->in, buf, len);
	send_bytes(socket, buf, len, NULL, 0);
}

static void give_channel(struct fuzz *fuzz) {
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		return;
	}
	neep_close_fd(&fuzz->channel);
	fuzz->channel = pair[0];
	send_request(fuzz, NEEP_VHOST_USER_SET_BACKEND_REQ_FD, 1, NULL, 0, pair[1]);
	neep_close_fd(&pair[1]);
}

static void start_ring(struct fuzz *fuzz, uint32_t index, uint32_t base) {
	uint64_t at = RAM_USER + 0x10000u * (index + 1);
	const struct neep_vhost_user_vring_state num = { index, RING_SIZE }, start = { index, base },
						 on = { index, 1 };
	const struct neep_vhost_user_vring_addr addr = {
		.index = index, .desc = at, .avail = at + 0x1000, .used = at + 0x2000
	};
	uint64_t number = index;
	send_request(fuzz, NEEP_VHOST_USER_SET_VRING_NUM, 1, &num, sizeof(num), -1);
	send_request(fuzz, NEEP_VHOST_USER_SET_VRING_BASE, 1, &start, sizeof(start), -1);
	send_request(fuzz, NEEP_VHOST_USER_SET_VRING_ADDR, 1, &addr, sizeof(addr), -1);
	send_request(fuzz, NEEP_VHOST_USER_SET_VRING_KICK, 1, &number, sizeof(number), fuzz->event_fd);
	send_request(fuzz, NEEP_VHOST_USER_SET_VRING_CALL, 9, &number, sizeof(number), fuzz->event_fd);
	send_request(fuzz, NEEP_VHOST_USER_SET_VRING_ENABLE, 9, &on, sizeof(on), -1);
}

static void step_start(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	bool is_packed = (options & 1) != 0;
	uint64_t protocol = (1u << 0 | 1u << 3 | 1u << 5 | 1u << 9 | 1u << 10 | 1u << 12 | 1u << 13 |
				    1u << 15 | 1u << 18 | 1u << 22) &
			    ~((options & 2) != 0 ? 1u << 15 : 0) & ~((options & 4) != 0 ? 1u << 18 : 0);
	uint64_t features = UINT64_C(1) << 32 | 1u << 30 | 1u << 28 | (options & 8u) << 26 |
			    (is_packed ? UINT64_C(1) << 34 : 0);
	send_request(fuzz, NEEP_VHOST_USER_SET_PROTOCOL_FEATURES, 1, &protocol, sizeof(protocol), -1);
	send_request(fuzz, NEEP_VHOST_USER_SET_FEATURES, 1, &features, sizeof(features), -1);
	const struct neep_vhost_user_mem_region region = { 0, { 0, RAM_SIZE, RAM_USER, 0 } };
	const struct {
		uint32_t count, padding;
		struct neep_vhost_user_region region;
	} table = { 1, 0, { 0, RAM_SIZE, RAM_USER, 0 } };
	if ((options & 2) != 0) {
		send_request(fuzz, NEEP_VHOST_USER_SET_MEM_TABLE, 9, &table, sizeof(table), fuzz->ram_fd);
	} else {
		send_request(fuzz, NEEP_VHOST_USER_ADD_MEM_REG, 9, &region, sizeof(region), fuzz->ram_fd);
	}
	give_channel(fuzz);
	for (uint32_t i = 0; i < QUEUES; i++) {
		start_ring(fuzz, i, is_packed ? 0x80008000 : 0);
	}
}

static void step_stop(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	for (uint32_t i = 0; i < QUEUES; i++) {
		const struct neep_vhost_user_vring_state off = { i, 0 };
		if ((options & (1u << i)) != 0) {
			send_request(fuzz, NEEP_VHOST_USER_SET_VRING_ENABLE, 9, &off, sizeof(off), -1);
		}
		if ((options & (4u << i)) != 0) {
			send_request(fuzz, NEEP_VHOST_USER_GET_VRING_BASE, 1, &off, sizeof(off), -1);
		}
		if ((options & (16u << i)) != 0) {
			start_ring(fuzz, i, options >> 6);
		}
	}
}

static void step_poke(struct fuzz *fuzz) {
	uint32_t offset = neep_reader_u32(&fuzz->in) % (RAM_SIZE - 16);
	size_t left = neep_reader_left(&fuzz->in);
	neep_reader_copy(&fuzz->in, fuzz->ram + offset, left < 16 ? left : 16);
}

/* An honest buffer on a split ring: one descriptor, made available. */
static void step_submit(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	uint32_t at = 0x10000u * ((options & 1) + 1u);
	uint16_t idx;
	memcpy(&idx, fuzz->ram + at + 0x1002, sizeof(idx));
	uint16_t slot = idx % RING_SIZE;
	const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc = { at + 0x3000, 64, 2, 0 };
	memcpy(fuzz->ram + at + slot * sizeof(desc), &desc, sizeof(desc));
	memcpy(fuzz->ram + at + 0x1004 + slot * 2u, &slot, sizeof(slot));
	idx++;
	memcpy(fuzz->ram + at + 0x1002, &idx, sizeof(idx));
	neep_eventfd_signal(fuzz->event_fd);
}

static void step_answer(struct fuzz *fuzz) {
	drain(fuzz, fuzz->channel);
	struct {
		struct neep_vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) ack = { { fuzz->asked, 5, 8 }, neep_reader_u8(&fuzz->in) & 1 };
	send_bytes(fuzz->channel, &ack, sizeof(ack), NULL, 0);
}

static void step_echo(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	uint64_t offset = (options & 0xfu) * 0x1000u;
	const struct neep_vhost_user_mem_region region = { 0,
		{ 0xe0000000 + offset, 0x1000, 0xe0000000 + offset, offset } };
	bool is_add = (options & 0x10) != 0;
	send_request(fuzz, is_add ? NEEP_VHOST_USER_ADD_MEM_REG : NEEP_VHOST_USER_REM_MEM_REG, 9, &region,
		sizeof(region), is_add ? fuzz->ram_fd : -1);
}

static void step_change(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	struct change *change = &fuzz->changes[options % CHANGES];
	if (change->is_busy) {
		if ((options & 0x80) != 0) {
			neep_vhost_user_shmem_cancel(fuzz->server, &change->base);
			change->is_busy = false;
		}
		return;
	}
	uint8_t place = neep_reader_u8(&fuzz->in);
	*change = (struct change){
		.is_busy = true,
		.base = {
			.is_map = (options & 4) != 0,
			.shm_offset = (place & 0xfu) * 0x1000u,
			.len = 0x1000u + (place >> 6) * 0x800u,
			.fd = fuzz->ram_fd,
			.fd_offset = (place & 0xfu) * 0x1000u,
			.done = change_done,
		},
	};
	neep_vhost_user_shmem(fuzz->server, &change->base);
}

static void step_device(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	fuzz->is_paused = (options & 1) != 0;
	fuzz->keeps = (options & 2) != 0;
	if ((options & 4) != 0) {
		neep_vhost_user_config_changed(fuzz->server);
	}
	if ((options & 8) != 0) {
		neep_vhost_user_queue_resume(fuzz->server, (options >> 4) % QUEUES);
	}
	struct neep_vring_element **element = &fuzz->kept[(options >> 5) % KEPT_MAX];
	if (*element != NULL) {
		neep_vring_push(fuzz->kept_ring[(options >> 5) % KEPT_MAX], *element, "late", 4);
		*element = NULL;
	}
}

/* It leaves, sometimes, or gives a new channel with nothing else. */
static void step_front_end(struct fuzz *fuzz) {
	uint8_t options = neep_reader_u8(&fuzz->in);
	if (options > 0xf0) {
		neep_close_fd(&fuzz->fd);
	} else if (options == 0x77) {
		give_channel(fuzz);
	}
}

static void step(struct fuzz *fuzz) {
	switch (neep_reader_u8(&fuzz->in) % 16) {
	case 0:
	case 1:
		step_message(fuzz);
		break;
	case 2:
		step_raw(fuzz, fuzz->fd);
		break;
	case 3:
		step_raw(fuzz, fuzz->channel);
		break;
	case 4:
		step_start(fuzz);
		break;
	case 5:
		step_stop(fuzz);
		break;
	case 6:
		step_poke(fuzz);
		break;
	case 7:
	case 8:
		step_submit(fuzz);
		break;
	case 9:
		step_answer(fuzz);
		break;
	case 10:
		step_echo(fuzz);
		break;
	case 11:
	case 12:
		step_change(fuzz);
		break;
	case 13:
		step_device(fuzz);
		break;
	case 14:
		drain(fuzz, fuzz->channel);
		break;
	default:
		step_front_end(fuzz);
		break;
	}
	turn(fuzz);
	drain(fuzz, fuzz->fd);
}

static void fuzz_open(struct fuzz *fuzz) {
	int pair[2];
	neep_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	fuzz->device.impl = &device_impl;
	fuzz->loop = neep_loop_create();
	neep_loop_set_spin(fuzz->loop, 0);
	fuzz->fd = pair[0];
	fuzz->channel = -1;
	fuzz->ram_fd = neep_memfd_create("fuzz", RAM_SIZE);
	fuzz->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fuzz->ram_fd, 0);
	fuzz->event_fd = neep_eventfd_create();
	const struct neep_vhost_user_options options = {
		.queue_count = QUEUES,
		.shmem_id = 1,
		.shmem_size = WINDOW_SIZE,
		.has_mem_slots = true,
		.shmem_maps_max = 3,
	};
	fuzz->server = neep_vhost_user_create(fuzz->loop, pair[1], &fuzz->device, &options, NULL);
	neep_assert(fuzz->server != NULL && fuzz->ram != MAP_FAILED);
}

static void fuzz_close(struct fuzz *fuzz) {
	neep_vhost_user_destroy(fuzz->server);
	for (int i = 0; i < CHANGES; i++) {
		neep_assert(!fuzz->changes[i].is_busy);
	}
	neep_close_fd(&fuzz->fd);
	neep_close_fd(&fuzz->channel);
	neep_close_fd(&fuzz->ram_fd);
	neep_close_fd(&fuzz->event_fd);
	munmap(fuzz->ram, RAM_SIZE);
	neep_loop_destroy(fuzz->loop);
}

static void drop_line(void *data, enum neep_log_level level, const char *topic, const char *line) {
	(void)data;
	(void)level;
	(void)topic;
	(void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	neep_log_set_handler(drop_line, NULL);
	struct fuzz fuzz = { 0 };
	neep_reader_init(&fuzz.in, data, size);
	fuzz_open(&fuzz);
	for (int i = 0; i < STEPS_MAX && neep_reader_left(&fuzz.in) > 0; i++) {
		step(&fuzz);
	}
	fuzz_close(&fuzz);
	return 0;
}
