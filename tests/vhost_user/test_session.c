/* Framing, negotiation, memory and config: what does not need a running ring. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "front_end.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"

static void negotiation_offers_what_is_served(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	assert_int_equal(fe_get(&fe, NEEP_VHOST_USER_GET_FEATURES), UINT64_C(1) << 32 | 1u << 30 | 1u << 1);
	uint64_t protocol = fe_get(&fe, NEEP_VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(protocol, FE_PROTOCOL_QEMU | 1u << 12);
	fe_close(&fe);
}

static void negotiation_leaves_out_window_and_slots_when_off(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with(&fe, &(struct neep_vhost_user_options){ .queue_count = 1 });
	uint64_t protocol = fe_get(&fe, NEEP_VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(protocol & (1u << 15 | 1u << 18 | 1u << 22), 0);
	fe_close(&fe);
}

/* The sequence of the generic device up to the driver's start. */
static void start_up_of_generic_qemu_device_is_answered(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_get(&fe, NEEP_VHOST_USER_GET_FEATURES);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	assert_int_equal(fe_get(&fe, NEEP_VHOST_USER_GET_QUEUE_NUM), 2);
	assert_int_equal(fe_get(&fe, NEEP_VHOST_USER_GET_MAX_MEM_SLOTS), 509);
	fe_give_channel(&fe);
	fe_get(&fe, NEEP_VHOST_USER_GET_FEATURES);
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		uint64_t number = i;
		assert_int_equal(fe_call_fd(&fe, i), 0);
		assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_ERR, .payload = &number,
					 .len = 8, .fds = &fe.err[i], .fd_count = 1),
			0);
	}
	FE_SEND(&fe, .request = NEEP_VHOST_USER_GET_SHMEM_CONFIG);
	struct fe_reply reply;
	assert_int_equal(fe_recv(&fe, fe.fd, &reply, NULL), 2056);
	struct neep_vhost_user_shmem_config shmem;
	memcpy(&shmem, reply.payload, sizeof(shmem));
	assert_int_equal(shmem.region_count, 1);
	assert_int_equal(shmem.sizes[0], 0);
	assert_int_equal(shmem.sizes[1], FE_WINDOW_SIZE);
	fe_set_features(&fe, FE_FEATURES);
	assert_int_equal(fe.features, UINT64_C(1) << 32 | 1u << 1);
	assert_int_equal(fe_add_ram(&fe), 0);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_non_null(fe.rings[0]);
	assert_non_null(fe.rings[1]);
	assert_int_equal(fe.resets, 0);
	fe_close(&fe);
}

/* vhost-user-gpu-pci: RESET_DEVICE at realise, the display socket before SET_FEATURES, SET_MEM_TABLE. */
static void start_up_of_qemu_gpu_device_is_answered(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with(&fe, &(struct neep_vhost_user_options){ .queue_count = 2 });
	fe_negotiate(&fe, 1u << 0 | 1u << 3 | 1u << 5 | 1u << 9 | 1u << 10 | 1u << 13);
	fe_give_channel(&fe);
	FE_SEND(&fe, .request = NEEP_VHOST_USER_RESET_DEVICE);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	FE_SEND(&fe, .request = NEEP_VHOST_USER_GPU_SET_SOCKET, .fds = &pair[0], .fd_count = 1);
	assert_true(fe_is_silent(&fe, fe.fd));
	assert_true(fe.gpu_fd >= 0);
	/* Bits that were not offered are the truth all the same: EVENT_IDX, INDIRECT, RING_RESET. */
	fe_set_features(&fe, UINT64_C(0x10170000002));
	assert_int_equal(fe.features, UINT64_C(0x10130000002));
	assert_int_equal(fe_set_table(&fe, NULL, NULL, 0), 0);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_non_null(fe.rings[1]);
	/* And once more, acked: the old socket goes. */
	assert_int_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_GPU_SET_SOCKET, .fds = &pair[0], .fd_count = 1), 0);
	neep_close_fd(&pair[0]);
	neep_close_fd(&pair[1]);
	fe_close(&fe);
}

/* crosvm: no acks, ADDR before BASE, each ring enabled before the next is described. */
static void start_up_of_crosvm_is_answered(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_OWNER);
	fe_get(&fe, NEEP_VHOST_USER_GET_FEATURES);
	fe_negotiate(&fe, FE_PROTOCOL_CROSVM);
	fe_give_channel(&fe);
	assert_int_equal(fe_get(&fe, NEEP_VHOST_USER_GET_QUEUE_NUM), 2);
	fe_set_features(&fe, FE_FEATURES | 1u << 29);
	struct neep_vhost_user_mem_table table = { .count = 1 };
	table.regions[0].size = FE_RAM_SIZE;
	table.regions[0].user_addr = fe.user_addr;
	FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_MEM_TABLE, .payload = &table, .len = 40,
		.fds = &fe.ram_fd, .fd_count = 1);
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		uint64_t number = i;
		struct neep_vhost_user_vring_state enable = { i, 1 };
		fe_describe_ring(&fe, i, 0);
		FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_VRING_CALL, .payload = &number, .len = 8,
			.fds = &fe.call[i], .fd_count = 1);
		FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_VRING_KICK, .payload = &number, .len = 8,
			.fds = &fe.kick[i], .fd_count = 1);
		FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_VRING_ENABLE, .payload = &enable, .len = 8);
		fe_settle(&fe);
		assert_non_null(fe.rings[i]);
		assert_true(fe.rings[1] == NULL || i == 1);
	}
	assert_true(fe_is_silent(&fe, fe.fd));
	fe_close(&fe);
}

static void request_is_understood_when_it_comes_byte_by_byte(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	const uint32_t words[] = { NEEP_VHOST_USER_SET_FEATURES, 1, 8, 0x40000002, 1 };
	for (size_t i = 0; i < sizeof(words); i++) {
		assert_int_equal(fe.features_calls, 0);
		assert_int_equal(send(fe.fd, (const char *)words + i, 1, 0), 1);
		fe_settle(&fe);
	}
	assert_int_equal(fe.features, UINT64_C(0x100000002));
	fe_close(&fe);
}

static void requests_are_told_apart_when_they_come_together(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	for (int i = 0; i < 100; i++) {
		FE_SEND(&fe, .request = NEEP_VHOST_USER_GET_FEATURES);
	}
	struct fe_reply reply;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(fe_recv(&fe, fe.fd, &reply, NULL), 8);
	}
	assert_true(fe_is_silent(&fe, fe.fd));
	fe_close(&fe);
}

/* A front-end that asks and does not read: the server stops reading, and loses nothing. */
static void replies_wait_for_a_front_end_that_does_not_read(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	assert_int_equal(neep_fd_set_nonblocking(fe.fd), 0);
	const uint32_t ask[] = { NEEP_VHOST_USER_GET_SHMEM_CONFIG, 1, 0 };
	int asked = 0;
	for (int idle = 0; idle < 3;) {
		if (send(fe.fd, ask, sizeof(ask), MSG_DONTWAIT) == (ssize_t)sizeof(ask)) {
			asked++;
			idle = 0;
		} else {
			fe_settle(&fe);
			idle++;
		}
	}
	assert_true(asked > 200);
	struct fe_reply reply;
	for (int i = 0; i < asked; i++) {
		assert_int_equal(fe_recv(&fe, fe.fd, &reply, NULL), 2056);
	}
	assert_int_equal(fe.closed, 0);
	fe_close(&fe);
}

static void session_ends_when_the_front_end_leaves(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	neep_close_fd(&fe.fd);
	fe_settle(&fe);
	assert_int_equal(fe.closed, 1);
	assert_null(fe.rings[0]);
	assert_null(fe.rings[1]);
	fe_close(&fe);
}

static void expect_end(const uint32_t header[3]) {
	struct fe fe;
	fe_open(&fe);
	assert_int_equal(send(fe.fd, header, 12, 0), 12);
	fe_settle(&fe);
	assert_int_equal(fe.closed, 1);
	fe_close(&fe);
}

static void session_ends_when_framing_is_lost(void **state) {
	(void)state;
	expect_end((const uint32_t[]){ 1, 0, 0 });             // no version
	expect_end((const uint32_t[]){ 1, 2, 0 });             // another version
	expect_end((const uint32_t[]){ 1, 5, 0 });             // a reply
	expect_end((const uint32_t[]){ 1, 1, 4097 });          // too long
	expect_end((const uint32_t[]){ 5, 1, UINT32_MAX });    // far too long
	expect_end((const uint32_t[]){ 9999, 9, UINT32_MAX }); // unknown and too long
}

static void session_ends_when_a_message_is_cut(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	const uint32_t words[] = { NEEP_VHOST_USER_SET_FEATURES, 1, 8, 0 };
	assert_int_equal(send(fe.fd, words, sizeof(words), 0), sizeof(words));
	assert_int_equal(shutdown(fe.fd, SHUT_WR), 0);
	fe_settle(&fe);
	assert_int_equal(fe.closed, 1);
	assert_int_equal(fe.features_calls, 0);
	fe_close(&fe);
}

static void session_ends_when_fds_were_lost(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	struct neep_vhost_user_header header = { NEEP_VHOST_USER_SET_OWNER, 1, 0 };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 64)];
	} control = { 0 };
	struct iovec iov = { &header, sizeof(header) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * 64);
	for (size_t i = 0; i < 64; i++) {
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fe.ram_fd, sizeof(int));
	}
	assert_int_equal(sendmsg(fe.fd, &msg, 0), sizeof(header));
	fe_settle(&fe);
	assert_int_equal(fe.closed, 1);
	fe_close(&fe);
}

static void features_that_are_not_served_end_the_session(void **state) {
	(void)state;
	for (unsigned bit = 33; bit <= 35; bit++) {
		struct fe fe;
		fe_open(&fe);
		fe_set_features(&fe, FE_FEATURES | UINT64_C(1) << bit);
		assert_int_equal(fe.closed, bit == 34 ? 0 : 1);
		assert_int_equal(fe.features_calls, bit == 34 ? 1 : 0);
		fe_close(&fe);
	}
}

static void unknown_request_is_refused_or_ignored(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	static const uint32_t unknown[] = { 0, 7, 19, 20, 22, 23, 26, 35, 39, 40, 42, 43, 45, 1000,
		UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(unknown); i++) {
		assert_int_not_equal(FE_ACK(&fe, .request = unknown[i], .payload = "abc", .len = 3), 0);
		FE_SEND(&fe, .request = unknown[i], .fds = &fe.ram_fd, .fd_count = 1);
	}
	assert_true(fe_is_silent(&fe, fe.fd));
	fe_get(&fe, NEEP_VHOST_USER_GET_FEATURES);
	fe_close(&fe);
}

static void request_of_a_feature_that_was_not_taken_is_unknown(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, 1u << 3);
	assert_int_not_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_RESET_DEVICE), 0);
	assert_int_equal(fe.resets, 0);
	assert_int_not_equal(fe_add_ram(&fe), 0);
	fe_close(&fe);
}

static void ack_comes_only_when_negotiated(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_OWNER, .flags = 9);
	assert_true(fe_is_silent(&fe, fe.fd));
	fe_negotiate(&fe, 1u << 3);
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_OWNER), 0);
	fe_close(&fe);
}

static void protocol_features_that_were_not_offered_are_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, 1u << 3);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t features = UINT64_C(1) << bit | 1u << 3;
		bool is_offered =
			((FE_PROTOCOL_QEMU | 1u << 12) & features & ~(UINT64_C(1) << 3)) != 0 || bit == 3;
		uint64_t ack = FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_PROTOCOL_FEATURES,
			.payload = &features, .len = 8);
		assert_int_equal(ack == 0, is_offered);
	}
	fe_close(&fe);
}

struct shape {
	uint32_t request;
	size_t len;
	size_t fds;
	bool has_reply;
};

/* Every request of the table, with its right shape. */
static const struct shape shapes[] = {
	{ NEEP_VHOST_USER_GET_FEATURES, 0, 0, true },
	{ NEEP_VHOST_USER_SET_FEATURES, 8, 0, false },
	{ NEEP_VHOST_USER_SET_OWNER, 0, 0, false },
	{ NEEP_VHOST_USER_RESET_OWNER, 0, 0, false },
	{ NEEP_VHOST_USER_SET_MEM_TABLE, 40, 1, false },
	{ NEEP_VHOST_USER_SET_VRING_NUM, 8, 0, false },
	{ NEEP_VHOST_USER_SET_VRING_ADDR, 40, 0, false },
	{ NEEP_VHOST_USER_SET_VRING_BASE, 8, 0, false },
	{ NEEP_VHOST_USER_GET_VRING_BASE, 8, 0, true },
	{ NEEP_VHOST_USER_SET_VRING_KICK, 8, 1, false },
	{ NEEP_VHOST_USER_SET_VRING_CALL, 8, 1, false },
	{ NEEP_VHOST_USER_SET_VRING_ERR, 8, 1, false },
	{ NEEP_VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, true },
	{ NEEP_VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, false },
	{ NEEP_VHOST_USER_GET_QUEUE_NUM, 0, 0, true },
	{ NEEP_VHOST_USER_SET_VRING_ENABLE, 8, 0, false },
	{ NEEP_VHOST_USER_SET_BACKEND_REQ_FD, 0, 1, false },
	{ NEEP_VHOST_USER_GET_INFLIGHT_FD, 24, 0, true },
	{ NEEP_VHOST_USER_SET_INFLIGHT_FD, 24, 1, false },
	{ NEEP_VHOST_USER_GPU_SET_SOCKET, 0, 1, false },
	{ NEEP_VHOST_USER_RESET_DEVICE, 0, 0, false },
	{ NEEP_VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, true },
	{ NEEP_VHOST_USER_ADD_MEM_REG, 40, 1, false },
	{ NEEP_VHOST_USER_GET_SHARED_OBJECT, 16, 0, true },
	{ NEEP_VHOST_USER_GET_SHMEM_CONFIG, 0, 0, true },
};

static void expect_refused(struct fe *fe, const struct shape *shape, size_t len, size_t fd_count) {
	static const uint8_t zeros[4096];
	const int fds[] = { fe->ram_fd, fe->ram_fd };
	if (!shape->has_reply) {
		assert_int_not_equal(FE_ACK(fe, .request = shape->request, .payload = zeros, .len = len,
					     .fds = fds, .fd_count = fd_count),
			0);
		return;
	}
	FE_SEND(fe, .request = shape->request, .payload = zeros, .len = len, .fds = fds,
		.fd_count = fd_count);
	struct fe_reply reply;
	assert_int_equal(fe_recv(fe, fe->fd, &reply, NULL), 0);
	assert_int_equal(reply.header.flags, 5);
}

static void request_of_a_wrong_shape_is_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU | 1u << 12);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(shapes); i++) {
		const struct shape *shape = &shapes[i];
		expect_refused(&fe, shape, shape->len + 1, shape->fds);
		expect_refused(&fe, shape, 4096, shape->fds);
		expect_refused(&fe, shape, shape->len, shape->fds + 1);
		if (shape->len > 0) {
			expect_refused(&fe, shape, shape->len - 1, shape->fds);
			expect_refused(&fe, shape, 0, shape->fds);
		}
		if (shape->fds > 0) {
			expect_refused(&fe, shape, shape->len, 0);
		}
	}
	assert_int_equal(fe.closed, 0);
	assert_int_equal(fe.features_calls, 0);
	fe_close(&fe);
}

static int get_config(struct fe *fe, uint32_t offset, uint32_t size, size_t len, struct fe_reply *reply) {
	uint32_t words[70] = { offset, size, 1 };
	assert_true(len <= sizeof(words));
	FE_SEND(fe, .request = NEEP_VHOST_USER_GET_CONFIG, .payload = words, .len = len);
	return fe_recv(fe, fe->fd, reply, NULL);
}

static void config_is_read_in_any_size(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	memset(fe.config, 0x5a, sizeof(fe.config));
	static const uint32_t cases[][2] = { { 0, 16 }, { 0, 20 }, { 0, 256 }, { 8, 4 }, { 255, 1 },
		{ 256, 0 }, { 3, 7 } };
	struct fe_reply reply;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		uint32_t offset = cases[i][0], size = cases[i][1];
		assert_int_equal(get_config(&fe, offset, size, 12 + size, &reply), (int)(12 + size));
		const uint32_t head[] = { offset, size, 1 };
		assert_memory_equal(reply.payload, head, sizeof(head));
		for (uint32_t b = 0; b < size; b++) {
			assert_int_equal(reply.payload[12 + b], offset + b < sizeof(fe.config) ? 0x5a : 0);
		}
	}
	fe_close(&fe);
}

static void config_outside_its_space_is_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	struct fe_reply reply;
	assert_int_equal(get_config(&fe, 1, 256, 12 + 256, &reply), 0);
	assert_int_equal(get_config(&fe, UINT32_MAX, 4, 16, &reply), 0);
	assert_int_equal(get_config(&fe, UINT32_MAX - 3, 4, 16, &reply), 0);
	assert_int_equal(get_config(&fe, 0, UINT32_MAX, 16, &reply), 0);
	assert_int_equal(get_config(&fe, 0, 20, 16, &reply), 0);
	assert_int_equal(get_config(&fe, 0, 257, 12 + 257, &reply), 0);
	assert_int_equal(get_config(&fe, 0, 0, 11, &reply), 0);
	struct neep_vhost_user_config config = { .offset = 254, .size = 4 };
	assert_int_not_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_CONFIG, .payload = &config, .len = 16), 0);
	fe_close(&fe);
}

static void config_is_written(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	struct neep_vhost_user_config config = { .offset = 4, .size = 4, .data = { 1, 2, 3, 4 } };
	assert_int_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_CONFIG, .payload = &config, .len = 16), 0);
	const uint8_t expected[] = { 0, 0, 0, 0, 1, 2, 3, 4, 0 };
	assert_memory_equal(fe.config, expected, sizeof(expected));
	fe_close(&fe);
}

static uint64_t add_region(struct fe *fe, uint64_t gpa, uint64_t size, uint64_t user, uint64_t offset) {
	struct neep_vhost_user_mem_region region = { .region = { gpa, size, user, offset } };
	return FE_ACK(fe, .request = NEEP_VHOST_USER_ADD_MEM_REG, .payload = &region, .len = sizeof(region),
		.fds = &fe->ram_fd, .fd_count = 1);
}

static void bad_memory_region_is_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	assert_int_not_equal(add_region(&fe, 0, 0, 0, 0), 0);
	assert_int_not_equal(add_region(&fe, UINT64_MAX - 0xfff, 0x2000, 0, 0), 0);
	assert_int_not_equal(add_region(&fe, 0, 0x2000, UINT64_MAX - 0xfff, 0), 0);
	assert_int_not_equal(add_region(&fe, 0, 0x2000, 0, UINT64_MAX - 0xfff), 0);
	assert_int_not_equal(add_region(&fe, 0, FE_RAM_SIZE + 0x1000, 0, 0), 0);
	assert_int_equal(add_region(&fe, 0, 0x2000, 0x10000, 0), 0);
	assert_int_not_equal(add_region(&fe, 0x1000, 0x2000, 0x20000, 0), 0);
	assert_int_not_equal(add_region(&fe, 0x4000, 0x2000, 0x11000, 0), 0);
	struct neep_vhost_user_mem_region other = { .region = { 0, 0x2000, 0x20000, 0 } };
	assert_int_not_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_REM_MEM_REG, .payload = &other, .len = sizeof(other)),
		0);
	/* The offset does not count, a superfluous fd does not hurt. */
	struct neep_vhost_user_mem_region same = { .region = { 0, 0x2000, 0x10000, 0x9000 } };
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_REM_MEM_REG, .payload = &same,
				 .len = sizeof(same), .fds = &fe.ram_fd, .fd_count = 1),
		0);
	assert_int_equal(neep_memory_region_count(neep_vhost_user_memory(fe.server)), 0);
	fe_close(&fe);
}

static void bad_memory_table_is_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	struct neep_vhost_user_mem_table table = { .count = 1 };
	table.regions[0].size = FE_RAM_SIZE;
	struct fe_message message = { .request = NEEP_VHOST_USER_SET_MEM_TABLE,
		.payload = &table,
		.len = 40,
		.fds = &fe.ram_fd,
		.fd_count = 1 };
	assert_int_equal(fe_ack(&fe, &message), 0);
	static const uint32_t counts[] = { 0, 2, 33, UINT32_MAX, 0x8000001 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(counts); i++) {
		table.count = counts[i];
		assert_int_not_equal(fe_ack(&fe, &message), 0);
	}
	table.count = 2;
	message.len = 8 + 2 * 32;
	assert_int_not_equal(fe_ack(&fe, &message), 0); // one fd
	message.len -= 1;
	assert_int_not_equal(fe_ack(&fe, &message), 0);
	assert_int_equal(neep_memory_region_count(neep_vhost_user_memory(fe.server)), 1);
	fe_close(&fe);
}

static void log_base_is_answered_though_not_offered(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	struct neep_vhost_user_log log = { 4096, 0 };
	FE_SEND(&fe, .request = NEEP_VHOST_USER_SET_LOG_BASE, .payload = &log, .len = sizeof(log),
		.fds = &fe.ram_fd, .fd_count = 1);
	struct fe_reply reply;
	assert_int_equal(fe_recv(&fe, fe.fd, &reply, NULL), 0);
	assert_int_equal(reply.header.request, NEEP_VHOST_USER_SET_LOG_BASE);
	assert_true(fe_is_silent(&fe, fe.fd));
	fe_close(&fe);
}

static void gpu_socket_is_refused_by_a_device_without_display(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	struct neep_vhost_user_device_impl impl = *fe.device.impl;
	impl.set_gpu_socket = NULL;
	fe.device.impl = &impl;
	assert_int_not_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_GPU_SET_SOCKET, .fds = &fe.ram_fd, .fd_count = 1), 0);
	fe_close(&fe);
}

static void create_refuses_bad_options(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	static const struct neep_vhost_user_options bad[] = {
		{ .queue_count = 0 },
		{ .queue_count = 9 },
		{ .queue_count = 2, .shmem_size = 3 << 20 },
		{ .queue_count = 2, .shmem_size = 16 },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct neep_error error = { 0 };
		int fd = dup(fe.fd);
		assert_null(neep_vhost_user_create(fe.loop, fd, &fe.device, &bad[i], &error));
		assert_int_equal(error.code, EINVAL);
	}
	struct neep_error error = { 0 };
	assert_null(neep_vhost_user_create(fe.loop, dup(fe.ram_fd), &fe.device, &fe.options, &error));
	fe_close(&fe);
	neep_vhost_user_destroy(NULL);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		fd_checked_test(negotiation_offers_what_is_served),
		fd_checked_test(negotiation_leaves_out_window_and_slots_when_off),
		fd_checked_test(start_up_of_generic_qemu_device_is_answered),
		fd_checked_test(start_up_of_qemu_gpu_device_is_answered),
		fd_checked_test(start_up_of_crosvm_is_answered),
		fd_checked_test(request_is_understood_when_it_comes_byte_by_byte),
		fd_checked_test(requests_are_told_apart_when_they_come_together),
		fd_checked_test(replies_wait_for_a_front_end_that_does_not_read),
		fd_checked_test(session_ends_when_the_front_end_leaves),
		fd_checked_test(session_ends_when_framing_is_lost),
		fd_checked_test(session_ends_when_a_message_is_cut),
		fd_checked_test(session_ends_when_fds_were_lost),
		fd_checked_test(features_that_are_not_served_end_the_session),
		fd_checked_test(unknown_request_is_refused_or_ignored),
		fd_checked_test(request_of_a_feature_that_was_not_taken_is_unknown),
		fd_checked_test(ack_comes_only_when_negotiated),
		fd_checked_test(protocol_features_that_were_not_offered_are_refused),
		fd_checked_test(request_of_a_wrong_shape_is_refused),
		fd_checked_test(config_is_read_in_any_size),
		fd_checked_test(config_outside_its_space_is_refused),
		fd_checked_test(config_is_written),
		fd_checked_test(bad_memory_region_is_refused),
		fd_checked_test(bad_memory_table_is_refused),
		fd_checked_test(log_base_is_answered_though_not_offered),
		fd_checked_test(gpu_socket_is_refused_by_a_device_without_display),
		fd_checked_test(create_refuses_bad_options),
	};
	return cmocka_run_group_tests_name("vhost-user-session", tests, NULL, NULL);
}
