/* The life of rings: start, stop, pause, reset, and how buffers are noticed. */
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_end.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "virtio/inflight.h"

static bool is_signalled(int fd) {
	uint64_t count;
	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

static uint64_t set_num(struct fe *fe, uint32_t index, uint32_t num) {
	struct neep_vhost_user_vring_state state = { index, num };
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_VRING_NUM, .payload = &state, .len = sizeof(state));
}

static uint64_t set_base(struct fe *fe, uint32_t index, uint32_t base) {
	struct neep_vhost_user_vring_state state = { index, base };
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_VRING_BASE, .payload = &state, .len = sizeof(state));
}

static uint64_t set_addr(struct fe *fe, const struct neep_vhost_user_vring_addr *addr) {
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_VRING_ADDR, .payload = addr, .len = sizeof(*addr));
}

static void kicked_buffer_is_handled_and_interrupts(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	is_signalled(fe.call[0]);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	assert_int_equal(fe_used(&fe, 0), 1);
	assert_true(is_signalled(fe.call[0]));
	assert_int_equal(fe.handled[1], 0);
	assert_string_equal((char *)fe.ram + fe.ring_base[0] + 0x3000, "reply");
	fe_close(&fe);
}

/* A kick may be gone, or never come, when a ring is enabled. */
static void buffers_of_before_enable_are_handled_without_a_kick(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with_ram(&fe);
	fe_submit(&fe, 0, false);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

static void ring_is_not_touched_between_kick_and_enable(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with_ram(&fe);
	fe_describe_ring(&fe, 0, 0);
	fe_kick_fd(&fe, 0);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.runs[0], 0);
	assert_null(fe.rings[0]);
	fe_enable(&fe, 0, 1);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

static void enable_before_kick_starts_at_the_kick(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with_ram(&fe);
	assert_int_equal(fe_enable(&fe, 0, 1), 0);
	fe_describe_ring(&fe, 0, 0);
	assert_null(fe.rings[0]);
	assert_int_equal(fe_kick_fd(&fe, 0), 0);
	assert_non_null(fe.rings[0]);
	fe_close(&fe);
}

static void ring_needs_no_enable_without_protocol_features(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	fe_set_features(&fe, UINT64_C(1) << 32);
	fe_add_ram(&fe);
	fe_describe_ring(&fe, 0, 0);
	assert_int_equal(fe_kick_fd(&fe, 0), 0);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

static void ring_index_out_of_range_is_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	static const uint32_t bad[] = { 2, 8, 255, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_int_not_equal(set_num(&fe, bad[i], 16), 0);
		assert_int_not_equal(set_base(&fe, bad[i], 0), 0);
		assert_int_not_equal(
			set_addr(&fe, &(struct neep_vhost_user_vring_addr){ .index = bad[i] }), 0);
		assert_int_not_equal(fe_enable(&fe, bad[i], 1), 0);
		assert_int_equal(fe_get_base(&fe, bad[i]), -1);
		uint64_t number = bad[i] & 0xff;
		for (uint32_t request = NEEP_VHOST_USER_SET_VRING_KICK;
			request <= NEEP_VHOST_USER_SET_VRING_ERR; request++) {
			assert_int_not_equal(FE_ACK(&fe, .request = request, .payload = &number, .len = 8,
						     .fds = &fe.ram_fd, .fd_count = 1),
				0);
		}
	}
	fe_close(&fe);
}

static void ring_size_must_be_a_power_of_two_in_range(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	fe_set_features(&fe, FE_FEATURES);
	static const uint32_t bad[] = { 0, 3, 65535, 65536, UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		assert_int_not_equal(set_num(&fe, 0, bad[i]), 0);
	}
	static const uint32_t good[] = { 1, 8, 1024, 32768 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(good); i++) {
		assert_int_equal(set_num(&fe, 0, good[i]), 0);
	}
	fe_set_features(&fe, FE_FEATURES | UINT64_C(1) << 34);
	assert_int_equal(set_num(&fe, 0, 3), 0);
	fe_close(&fe);
}

static void ring_whose_addresses_are_bad_does_not_start(void **state) {
	(void)state;
	const uint64_t at = FE_RAM_USER + 0x10000, end = FE_RAM_USER + FE_RAM_SIZE;
	const struct neep_vhost_user_vring_addr bad[] = {
		{ .desc = 0, .avail = at, .used = at }, { .desc = at, .avail = 0, .used = at },
		{ .desc = at, .avail = at, .used = 0 },
		{ .desc = end - 16, .avail = at, .used = at },       // desc ends outside
		{ .desc = at, .avail = end - 16, .used = at },       // avail ends outside
		{ .desc = at, .avail = at, .used = end - 16 },       // used ends outside
		{ .desc = at + 8, .avail = at, .used = at },         // alignment
		{ .desc = at, .avail = at + 1, .used = at },         // alignment
		{ .desc = at, .avail = at, .used = at + 2 },         // alignment
		{ .desc = UINT64_MAX - 15, .avail = at, .used = at } // wraps
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct fe fe;
		fe_open(&fe);
		fe_negotiate(&fe, FE_PROTOCOL_QEMU);
		fe_set_features(&fe, FE_FEATURES);
		fe_add_ram(&fe);
		uint64_t number = 0;
		FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_ERR, .payload = &number, .len = 8,
			.fds = &fe.err[0], .fd_count = 1);
		set_num(&fe, 0, FE_RING_SIZE);
		set_addr(&fe, &bad[i]);
		fe_kick_fd(&fe, 0);
		assert_int_not_equal(fe_enable(&fe, 0, 1), 0);
		assert_null(fe.rings[0]);
		assert_true(is_signalled(fe.err[0]));
		assert_int_equal(fe_get_base(&fe, 0), 0);
		fe_close(&fe);
	}
}

static void ring_that_was_not_described_does_not_start(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with_ram(&fe);
	fe_kick_fd(&fe, 0);
	assert_int_not_equal(fe_enable(&fe, 0, 1), 0);
	fe_close(&fe);
}

static void ring_starts_once_its_memory_is_there(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	fe_set_features(&fe, FE_FEATURES);
	fe_describe_ring(&fe, 0, 0);
	fe_kick_fd(&fe, 0);
	assert_int_not_equal(fe_enable(&fe, 0, 1), 0);
	assert_int_equal(fe_add_ram(&fe), 0);
	assert_non_null(fe.rings[0]);
	fe_close(&fe);
}

static void kick_and_call_rules_are_enforced(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	uint64_t number = 0x100;
	/* No fd: "no vector" for a call, polling for a kick. */
	assert_int_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_CALL, .payload = &number, .len = 8), 0);
	assert_int_not_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_KICK, .payload = &number, .len = 8), 0);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe_used(&fe, 0), 1);
	/* The fd that is announced must be there, and no other. */
	assert_int_not_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_CALL, .payload = &number,
				     .len = 8, .fds = fe.call, .fd_count = 1),
		0);
	number = 0;
	assert_int_not_equal(
		FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_CALL, .payload = &number, .len = 8), 0);
	fe_close(&fe);
}

static void new_call_fd_is_signalled_once(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	is_signalled(fe.call[0]);
	assert_int_equal(fe_call_fd(&fe, 0), 0);
	assert_true(is_signalled(fe.call[0]));
	fe_close(&fe);
}

static void kick_fd_can_be_swapped_while_running(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	neep_close_fd(&fe.kick[0]);
	fe.kick[0] = neep_eventfd_create();
	assert_int_equal(fe_kick_fd(&fe, 0), 0);
	assert_int_equal(fe.stops[0], 0);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

/* A file that cannot be polled, and a socket whose other end is closed. */
static void kick_fd_that_is_no_eventfd_does_no_harm(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	uint64_t number = 0;
	assert_int_not_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_KICK, .payload = &number,
				     .len = 8, .fds = &fe.ram_fd, .fd_count = 1),
		0);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_KICK, .payload = &number, .len = 8,
				 .fds = pair, .fd_count = 1),
		0);
	neep_close_fd(&pair[1]);
	neep_close_fd(&pair[0]);
	fe_settle(&fe);
	int64_t start = neep_clock_ns();
	assert_int_equal(neep_loop_step(fe.loop, 20), 0);
	assert_true(neep_clock_ns() - start > 10 * NEEP_NS_PER_MS); // it slept
	fe_close(&fe);
}

static void stop_reports_the_base_and_quiets_the_ring(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	for (int i = 0; i < 3; i++) {
		fe_submit(&fe, 0, true);
		fe_settle(&fe);
	}
	assert_int_equal(fe_get_base(&fe, 0), 3);
	assert_null(fe.rings[0]);
	is_signalled(fe.call[0]);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 3);
	assert_int_equal(fe_used(&fe, 0), 3);
	assert_false(is_signalled(fe.call[0]));
	/* Once more, stopped already. */
	assert_int_equal(fe_get_base(&fe, 0), 3);
	fe_close(&fe);
}

static void pause_keeps_the_device_and_delivers_what_completed_meanwhile(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe.keeps = true;
	fe_submit(&fe, 0, true);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_non_null(fe.kept);
	struct neep_vring *ring = fe.rings[0];
	uint16_t bases[FE_QUEUES];
	fe_stop(&fe, bases);
	assert_int_equal(bases[0], 2);
	neep_vring_push(ring, fe.kept, "late", 4);
	assert_int_equal(fe_used(&fe, 0), 1);
	fe_set_features(&fe, FE_FEATURES);
	fe_start_rings(&fe, bases);
	assert_int_equal(fe.resets, 0);
	assert_int_equal(fe_used(&fe, 0), 2);
	fe_close(&fe);
}

/* cloud-hypervisor pauses by disabling alone. */
static void disabled_rings_pause_and_go_on_when_enabled(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	fe_enable(&fe, 0, 0);
	fe_enable(&fe, 1, 0);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_enable(&fe, 0, 1);
	fe_enable(&fe, 1, 1);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 2);
	assert_int_equal(fe.resets, 0);
	fe_close(&fe);
}

static void restart_at_zero_resets_the_device_before_the_first_buffer(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe.keeps = true;
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	uint16_t bases[FE_QUEUES];
	fe_stop(&fe, bases);
	fe_clear_rings(&fe);
	fe_set_features(&fe, FE_FEATURES);
	unsigned features_calls = fe.features_calls;
	fe.keeps = false;
	fe_submit(&fe, 0, false);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_int_equal(fe.resets, 1);
	assert_int_equal(fe.features_calls, features_calls + 1);
	assert_int_equal(fe.handled[0], 2);
	/* What the old driver waited for is not written into the new one's memory. */
	neep_vring_push(fe.rings[0], fe.kept, "late", 4);
	assert_int_equal(fe_used(&fe, 0), 1);
	fe_close(&fe);
}

static void restart_elsewhere_resets_the_device(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	uint16_t bases[FE_QUEUES];
	fe_stop(&fe, bases);
	fe.ring_base[0] = 0x40000;
	fe_start_rings(&fe, bases);
	assert_int_equal(fe.resets, 1);
	fe_close(&fe);
}

/* The index of the ring has wrapped to 0 just when the driver is reset. */
static void restart_at_zero_of_a_ring_at_zero_is_told_by_the_probe(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	uint16_t bases[FE_QUEUES];
	fe_stop(&fe, bases);
	assert_int_equal(bases[0], 0);
	fe_start_rings(&fe, bases);
	assert_int_equal(fe.resets, 0);
	fe_stop(&fe, bases);
	struct neep_vhost_user_config config = { .size = 20 };
	struct fe_reply reply;
	FE_SEND(&fe, .request = NEEP_VHOST_USER_GET_CONFIG, .payload = &config, .len = 32);
	assert_int_equal(fe_recv(&fe, fe.fd, &reply, NULL), 32);
	fe_start_rings(&fe, bases);
	assert_int_equal(fe.resets, 1);
	fe_close(&fe);
}

/* Feature RING_RESET: one queue starts anew while the other runs. */
static void reset_of_one_ring_is_not_a_reset_of_the_device(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	fe_enable(&fe, 0, 0);
	assert_int_equal(fe_get_base(&fe, 0), 1);
	memset(fe.ram + fe.ring_base[0], 0, 0x4000);
	fe.avail[0] = 0;
	fe_describe_ring(&fe, 0, 0);
	fe_kick_fd(&fe, 0);
	fe_enable(&fe, 0, 1);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.resets, 0);
	assert_int_equal(fe_used(&fe, 0), 1);
	fe_close(&fe);
}

static void reset_device_stops_the_rings_and_resets_once(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_RESET_DEVICE), 0);
	assert_int_equal(fe.resets, 1);
	assert_null(fe.rings[0]);
	fe_clear_rings(&fe);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_int_equal(fe.resets, 1);
	assert_non_null(fe.rings[0]);
	fe_close(&fe);
}

static void description_cannot_change_under_a_running_ring(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	assert_int_not_equal(set_num(&fe, 0, 8), 0);
	assert_int_not_equal(set_base(&fe, 0, 8), 0);
	assert_int_equal(fe_get_base(&fe, 0), 0);
	fe_close(&fe);
}

static void ring_stops_when_its_memory_goes_and_comes_back_with_it(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	struct neep_vhost_user_mem_region region = { .region = { 0, FE_RAM_SIZE, fe.user_addr, 0 } };
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_REM_MEM_REG, .payload = &region,
				 .len = sizeof(region)),
		0);
	assert_null(fe.rings[0]);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	assert_int_equal(fe_add_ram(&fe), 0);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 2);
	assert_int_equal(fe.resets, 0);
	fe_close(&fe);
}

static void same_memory_table_does_not_disturb_a_running_ring(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct neep_vhost_user_region more = { 0x10000000, 0x1000, 0x10000000, 0x2000 };
	assert_int_equal(fe_set_table(&fe, &more, &fe.ram_fd, 1), 0);
	assert_int_equal(fe.stops[0], 0);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

static void device_that_takes_no_buffers_is_left_alone_until_it_resumes(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe.is_paused = true;
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	unsigned runs = fe.runs[0];
	assert_in_range(runs, 1, 4); // found by looking and by the kick, two looks each
	int64_t start = neep_clock_ns();
	assert_int_equal(neep_loop_step(fe.loop, 20), 0);
	assert_true(neep_clock_ns() - start > 10 * NEEP_NS_PER_MS); // it slept
	assert_int_equal(fe.runs[0], runs);
	fe.is_paused = false;
	neep_vhost_user_queue_resume(fe.server, 0);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

static void kick_makes_the_server_look_at_a_paused_device_again(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	fe.is_paused = true;
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	fe.is_paused = false;
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 2);
	fe_close(&fe);
}

static void busy_loop_needs_no_kicks(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	neep_loop_set_spin(fe.loop, 2 * NEEP_NS_PER_MS);
	fe_start(&fe);
	const struct vring_used *used = (const void *)(fe.ram + fe.ring_base[0] + 0x2000);
	fe_submit(&fe, 0, false);
	assert_int_equal(neep_loop_step(fe.loop, 0), 0);
	assert_int_equal(fe.handled[0], 1);
	/* Found by looking: the driver is told to save its kicks, until the loop sleeps. */
	assert_int_equal(used->flags, VRING_USED_F_NO_NOTIFY);
	fe_submit(&fe, 0, false);
	assert_int_equal(neep_loop_step(fe.loop, 0), 0);
	assert_int_equal(fe.handled[0], 2);
	while (used->flags != 0) {
		assert_int_equal(neep_loop_step(fe.loop, 1), 0);
	}
	fe_close(&fe);
}

static void broken_ring_is_reported_and_left_alone(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	uint64_t number = 0;
	FE_ACK(&fe, .request = NEEP_VHOST_USER_SET_VRING_ERR, .payload = &number, .len = 8, .fds = fe.err,
		.fd_count = 1);
	struct vring_avail *avail = (void *)(fe.ram + fe.ring_base[0] + 0x1000);
	avail->idx = 1000;
	neep_eventfd_signal(fe.kick[0]);
	fe_settle(&fe);
	assert_true(is_signalled(fe.err[0]));
	unsigned runs = fe.runs[0];
	neep_eventfd_signal(fe.kick[0]);
	fe_settle(&fe);
	assert_int_equal(fe.runs[0], runs);
	/* Queue 1 lives, and a reset heals. */
	fe_submit(&fe, 1, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[1], 1);
	uint16_t bases[FE_QUEUES];
	fe_stop(&fe, bases);
	fe_clear_rings(&fe);
	fe.ring_base[0] = 0x50000;
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 1);
	fe_close(&fe);
}

static int get_inflight(struct fe *fe, struct neep_vhost_user_inflight *inflight, int *fd) {
	FE_SEND(fe, .request = NEEP_VHOST_USER_GET_INFLIGHT_FD, .payload = inflight,
		.len = sizeof(*inflight));
	struct fe_reply reply;
	int len = fe_recv(fe, fe->fd, &reply, fd);
	if (len == (int)sizeof(*inflight)) {
		memcpy(inflight, reply.payload, sizeof(*inflight));
	}
	return len;
}

static uint64_t set_inflight(struct fe *fe, const struct neep_vhost_user_inflight *inflight, int fd) {
	return FE_ACK(fe, .request = NEEP_VHOST_USER_SET_INFLIGHT_FD, .payload = inflight,
		.len = sizeof(*inflight), .fds = &fd, .fd_count = 1);
}

/* What the driver submitted and got no answer for is handled by the next device. */
static void inflight_buffer_is_handled_again_after_a_crash(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU | 1u << 12);
	fe_set_features(&fe, FE_FEATURES);
	fe_add_ram(&fe);
	struct neep_vhost_user_inflight inflight = { .queue_count = 2, .queue_size = FE_RING_SIZE };
	int fd;
	assert_int_equal(get_inflight(&fe, &inflight, &fd), sizeof(inflight));
	assert_true(fd >= 0);
	assert_int_equal(inflight.mmap_size, neep_inflight_area_len(2, FE_RING_SIZE, false));
	assert_int_equal(set_inflight(&fe, &inflight, fd), 0);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	fe.keeps = true;
	fe_submit(&fe, 0, true);
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	assert_int_equal(fe.handled[0], 2);
	assert_int_equal(fe_used(&fe, 0), 1);
	/* The device dies; another one gets the same memory. */
	struct fe next;
	fe_open(&next);
	memcpy(next.ram, fe.ram, FE_RAM_SIZE);
	next.avail[0] = fe.avail[0];
	fe_close(&fe);
	fe_negotiate(&next, FE_PROTOCOL_QEMU | 1u << 12);
	fe_set_features(&next, FE_FEATURES);
	fe_add_ram(&next);
	assert_int_equal(set_inflight(&next, &inflight, fd), 0);
	fe_start_rings(&next, (uint16_t[]){ 1, 0 });
	assert_int_equal(next.handled[0], 1);
	assert_int_equal(fe_used(&next, 0), 2);
	assert_int_equal(next.resets, 0);
	neep_close_fd(&fd);
	fe_close(&next);
}

/* Found by the fuzzer: the area was for split rings, then the driver took packed ones. */
static void inflight_area_that_does_not_fit_is_not_used(void **state) {
	(void)state;
	for (int is_small = 0; is_small < 2; is_small++) {
		struct fe fe;
		fe_open(&fe);
		fe_negotiate(&fe, FE_PROTOCOL_QEMU | 1u << 12);
		fe_set_features(&fe, FE_FEATURES);
		fe_add_ram(&fe);
		int fd = neep_memfd_create("inflight", 0x1000);
		const struct neep_vhost_user_inflight inflight = {
			.mmap_size = 0x1000, .queue_count = 2, .queue_size = is_small != 0 ? 4 : FE_RING_SIZE
		};
		assert_int_equal(set_inflight(&fe, &inflight, fd), 0);
		neep_close_fd(&fd);
		if (is_small != 0) {
			fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
			for (int i = 0; i < 40; i++) {
				fe_submit(&fe, 0, true);
				fe_settle(&fe);
			}
			assert_int_equal(fe.handled[0], 40);
		} else {
			fe_set_features(&fe, FE_FEATURES | UINT64_C(1) << 34);
			fe_describe_ring(&fe, 0, 0);
			assert_int_equal(set_base(&fe, 0, 0x80008000), 0);
			fe_kick_fd(&fe, 0);
			assert_int_equal(fe_enable(&fe, 0, 1), 0);
			assert_non_null(fe.rings[0]);
		}
		fe_close(&fe);
	}
}

static void bad_inflight_area_is_refused(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU | 1u << 12);
	fe_set_features(&fe, FE_FEATURES);
	const struct neep_vhost_user_inflight bad[] = {
		{ .queue_count = 0, .queue_size = 16 },
		{ .queue_count = 3, .queue_size = 16 },
		{ .queue_count = 2, .queue_size = 0 },
		{ .queue_count = 2, .queue_size = 65535 },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct neep_vhost_user_inflight inflight = bad[i];
		assert_int_equal(get_inflight(&fe, &inflight, NULL), 0);
		inflight.mmap_size = FE_RAM_SIZE;
		assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0);
	}
	struct neep_vhost_user_inflight inflight = {
		.mmap_size = 4096, .queue_count = 2, .queue_size = 1024
	};
	assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0); // too short by its own words
	inflight.mmap_size = UINT64_MAX;
	inflight.mmap_offset = FE_RAM_SIZE - 0x1000;
	assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0); // and by the file's
	inflight.mmap_offset = UINT64_MAX;
	assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0);
	inflight.mmap_offset = 12;
	assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0); // not a page
	/* Garbage in a good area: an unknown version. */
	memset(fe.ram, 0xff, FE_RAM_SIZE);
	inflight.mmap_offset = 0;
	inflight.mmap_size = FE_RAM_SIZE;
	assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0);
	memset(fe.ram, 0, FE_RAM_SIZE);
	assert_int_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0);
	assert_int_equal(fe_add_ram(&fe), 0);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_int_not_equal(set_inflight(&fe, &inflight, fe.ram_fd), 0); // while it runs
	fe_close(&fe);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		fd_checked_test(kicked_buffer_is_handled_and_interrupts),
		fd_checked_test(buffers_of_before_enable_are_handled_without_a_kick),
		fd_checked_test(ring_is_not_touched_between_kick_and_enable),
		fd_checked_test(enable_before_kick_starts_at_the_kick),
		fd_checked_test(ring_needs_no_enable_without_protocol_features),
		fd_checked_test(ring_index_out_of_range_is_refused),
		fd_checked_test(ring_size_must_be_a_power_of_two_in_range),
		fd_checked_test(ring_whose_addresses_are_bad_does_not_start),
		fd_checked_test(ring_that_was_not_described_does_not_start),
		fd_checked_test(ring_starts_once_its_memory_is_there),
		fd_checked_test(kick_and_call_rules_are_enforced),
		fd_checked_test(new_call_fd_is_signalled_once),
		fd_checked_test(kick_fd_can_be_swapped_while_running),
		fd_checked_test(kick_fd_that_is_no_eventfd_does_no_harm),
		fd_checked_test(stop_reports_the_base_and_quiets_the_ring),
		fd_checked_test(pause_keeps_the_device_and_delivers_what_completed_meanwhile),
		fd_checked_test(disabled_rings_pause_and_go_on_when_enabled),
		fd_checked_test(restart_at_zero_resets_the_device_before_the_first_buffer),
		fd_checked_test(restart_elsewhere_resets_the_device),
		fd_checked_test(restart_at_zero_of_a_ring_at_zero_is_told_by_the_probe),
		fd_checked_test(reset_of_one_ring_is_not_a_reset_of_the_device),
		fd_checked_test(reset_device_stops_the_rings_and_resets_once),
		fd_checked_test(description_cannot_change_under_a_running_ring),
		fd_checked_test(ring_stops_when_its_memory_goes_and_comes_back_with_it),
		fd_checked_test(same_memory_table_does_not_disturb_a_running_ring),
		fd_checked_test(device_that_takes_no_buffers_is_left_alone_until_it_resumes),
		fd_checked_test(kick_makes_the_server_look_at_a_paused_device_again),
		fd_checked_test(busy_loop_needs_no_kicks),
		fd_checked_test(broken_ring_is_reported_and_left_alone),
		fd_checked_test(inflight_buffer_is_handled_again_after_a_crash),
		fd_checked_test(inflight_area_that_does_not_fit_is_not_used),
		fd_checked_test(bad_inflight_area_is_refused),
	};
	return cmocka_run_group_tests_name("vhost-user-rings", tests, NULL, NULL);
}
