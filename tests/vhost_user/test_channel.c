/* The back-end channel: config changes, and maps and unmaps of the shared memory window. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_end.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"

struct change {
	struct neep_vhost_user_shmem base;
	unsigned done;
	int result;
};

static void change_done(struct neep_vhost_user_shmem *shmem, int result) {
	struct change *change = neep_container_of(shmem, struct change, base);
	change->done++;
	change->result = result;
}

static void start_map_at(struct fe *fe, struct change *change, uint64_t offset, uint64_t len) {
	*change = (struct change){ .base = {
					   .is_map = true,
					   .shm_offset = offset,
					   .len = len,
					   .fd = fe->ram_fd,
					   .fd_offset = offset,
					   .done = change_done,
				   } };
	neep_vhost_user_shmem(fe->server, &change->base);
	assert_int_equal(change->done, 0);
}

static void start_map(struct fe *fe, struct change *change, uint64_t offset) {
	start_map_at(fe, change, offset, 0x1000);
}

static void start_unmap(struct fe *fe, struct change *change, uint64_t offset) {
	*change = (struct change){
		.base = { .shm_offset = offset, .len = 0x1000, .fd = -1, .done = change_done }
	};
	neep_vhost_user_shmem(fe->server, &change->base);
}

static void expect_request(struct fe *fe, uint32_t request, uint64_t offset) {
	struct fe_reply message;
	int fd;
	assert_int_equal(fe_recv(fe, fe->channel, &message, &fd), sizeof(struct neep_vhost_user_shmem_map));
	assert_int_equal(message.header.request, request);
	assert_int_equal(message.header.flags, 9);
	struct neep_vhost_user_shmem_map map;
	memcpy(&map, message.payload, sizeof(map));
	bool is_map = request == NEEP_VHOST_USER_BACKEND_SHMEM_MAP;
	assert_int_equal(map.shmem_id, 1);
	assert_int_equal(map.shm_offset, offset);
	assert_int_equal(map.fd_offset, is_map ? offset : 0);
	assert_int_equal(map.len, 0x1000);
	assert_int_equal(map.flags, is_map ? 1 : 0);
	assert_int_equal(fd >= 0, is_map);
	neep_close_fd(&fd);
}

static void expect_map(struct fe *fe, uint64_t offset) {
	expect_request(fe, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, offset);
}

static void expect_unmap(struct fe *fe, uint64_t offset) {
	expect_request(fe, NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP, offset);
}

static void expect_barrier(struct fe *fe) {
	struct fe_reply message;
	assert_int_equal(fe_recv(fe, fe->channel, &message, NULL), 16);
	assert_int_equal(message.header.request, NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE);
	assert_int_equal(message.header.flags, 9);
}

static void send_ack(struct fe *fe, uint32_t request, uint64_t value) {
	struct {
		struct neep_vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) ack = { { request, 5, 8 }, value };
	assert_int_equal(send(fe->channel, &ack, sizeof(ack), 0), sizeof(ack));
}

static void ack_map(struct fe *fe, uint64_t value) {
	send_ack(fe, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, value);
	fe_settle(fe);
}

static void ack_unmap(struct fe *fe, uint64_t value) {
	send_ack(fe, NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP, value);
	fe_settle(fe);
}

static uint64_t echo(struct fe *fe, uint32_t request, uint64_t offset) {
	struct neep_vhost_user_mem_region region = { .region = { FE_WINDOW_GPA + offset, 0x1000,
							     FE_WINDOW_GPA + offset, offset } };
	bool is_add = request == NEEP_VHOST_USER_ADD_MEM_REG;
	return FE_ACK(fe, .request = request, .payload = &region, .len = sizeof(region), .fds = &fe->ram_fd,
		.fd_count = is_add ? 1 : 0);
}

static void echo_add(struct fe *fe, uint64_t offset) {
	assert_int_equal(echo(fe, NEEP_VHOST_USER_ADD_MEM_REG, offset), 0);
	fe_settle(fe);
}

static void echo_remove(struct fe *fe, uint64_t offset) {
	assert_int_equal(echo(fe, NEEP_VHOST_USER_REM_MEM_REG, offset), 0);
	fe_settle(fe);
}

static void expect_done(const struct change *change, int result) {
	assert_int_equal(change->done, 1);
	assert_int_equal(change->result, result);
}

/* The front-end has the request. */
static void send_map(struct fe *fe, struct change *change, uint64_t offset) {
	start_map(fe, change, offset);
	expect_map(fe, offset);
}

/* A complete map, as QEMU does it. */
static void map(struct fe *fe, uint64_t offset) {
	struct change change;
	send_map(fe, &change, offset);
	ack_map(fe, 0);
	assert_int_equal(change.done, 0);
	echo_add(fe, offset);
	expect_done(&change, 0);
}

static void map_completes_after_ack_and_echo(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	map(&fe, 0x3000);
	struct change unmap;
	start_unmap(&fe, &unmap, 0x3000);
	expect_unmap(&fe, 0x3000);
	ack_unmap(&fe, 0);
	assert_int_equal(unmap.done, 0);
	echo_remove(&fe, 0x3000);
	expect_done(&unmap, 0);
	map(&fe, 0x3000);
	fe_close(&fe);
}

/* The main socket may be read before the channel. */
static void map_completes_after_echo_and_ack(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change change;
	send_map(&fe, &change, 0);
	echo_add(&fe, 0);
	assert_int_equal(change.done, 0);
	ack_map(&fe, 0);
	expect_done(&change, 0);
	start_unmap(&fe, &change, 0);
	expect_unmap(&fe, 0);
	echo_remove(&fe, 0);
	assert_int_equal(change.done, 0);
	ack_unmap(&fe, 0);
	expect_done(&change, 0);
	fe_close(&fe);
}

static void echo_of_other_memory_is_not_taken_for_ours(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change change;
	send_map(&fe, &change, 0x1000);
	ack_map(&fe, 0);
	echo_add(&fe, 0x5000);
	int other = neep_memfd_create("other", 0x10000);
	struct neep_vhost_user_mem_region region = { .region = { FE_WINDOW_GPA + 0x1000, 0x1000,
							     FE_WINDOW_GPA + 0x1000, 0x1000 } };
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_ADD_MEM_REG, .payload = &region,
				 .len = sizeof(region), .fds = &other, .fd_count = 1),
		0);
	neep_close_fd(&other);
	fe_settle(&fe);
	assert_int_equal(change.done, 0);
	fe_close(&fe);
	expect_done(&change, -ECANCELED);
}

static void barrier_completes_a_map_without_echo(void **state) {
	(void)state;
	struct fe fe;
	fe_open_impatient(&fe);
	fe_start(&fe);
	struct change change;
	send_map(&fe, &change, 0);
	int64_t start = neep_clock_ns();
	ack_map(&fe, 0);
	expect_barrier(&fe);
	assert_true(neep_clock_ns() - start >= 9 * NEEP_NS_PER_MS);
	assert_int_equal(change.done, 0);
	send_ack(&fe, NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE, 1);
	fe_settle(&fe);
	expect_done(&change, 0);
	/* It was never echoed, so nothing is taken away at the unmap. */
	start_unmap(&fe, &change, 0);
	expect_unmap(&fe, 0);
	ack_unmap(&fe, 0);
	expect_barrier(&fe);
	send_ack(&fe, NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE, 1);
	fe_settle(&fe);
	expect_done(&change, 0);
	fe_close(&fe);
}

static void echo_completes_a_map_whose_barrier_is_out(void **state) {
	(void)state;
	struct fe fe;
	fe_open_impatient(&fe);
	fe_start(&fe);
	struct change change, next;
	start_map(&fe, &change, 0);
	start_map(&fe, &next, 0x1000);
	expect_map(&fe, 0);
	ack_map(&fe, 0);
	expect_barrier(&fe);
	echo_add(&fe, 0);
	expect_done(&change, 0);
	/* The channel is busy until the barrier is answered. */
	assert_true(fe_is_silent(&fe, fe.channel));
	send_ack(&fe, NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE, 0);
	expect_map(&fe, 0x1000);
	ack_map(&fe, 0);
	assert_int_equal(next.done, 0);
	echo_add(&fe, 0x1000);
	expect_done(&next, 0);
	fe_close(&fe);
}

static void table_mode_takes_the_echo_or_the_barrier(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU & ~(1u << 15));
	fe_give_channel(&fe);
	fe_set_features(&fe, FE_FEATURES);
	fe_set_table(&fe, NULL, NULL, 0);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	struct neep_vhost_user_region region = { FE_WINDOW_GPA, 0x1000, FE_WINDOW_GPA, 0 };
	struct change change;
	send_map(&fe, &change, 0);
	assert_int_equal(fe_set_table(&fe, &region, &fe.ram_fd, 1), 0);
	ack_map(&fe, 0);
	expect_done(&change, 0);
	assert_true(fe_is_silent(&fe, fe.channel));
	/* An unmap, with another region that stays in the table. */
	start_unmap(&fe, &change, 0);
	expect_unmap(&fe, 0);
	assert_int_equal(fe_set_table(&fe, &region, &fe.ram_fd, 1), 0);
	fe_settle(&fe);
	assert_int_equal(fe_set_table(&fe, NULL, NULL, 0), 0);
	ack_unmap(&fe, 0);
	expect_done(&change, 0);
	/* No table comes: the barrier, at once. */
	send_map(&fe, &change, 0x1000);
	send_ack(&fe, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 0);
	expect_barrier(&fe);
	send_ack(&fe, NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE, 1);
	fe_settle(&fe);
	expect_done(&change, 0);
	fe_close(&fe);
}

/* crosvm: no SHARED_OBJECT, no echo; its ack comes after the fact. */
static void ack_alone_completes_where_there_is_no_barrier(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_CROSVM);
	fe_give_channel(&fe);
	fe_set_features(&fe, FE_FEATURES);
	fe_set_table(&fe, NULL, NULL, 0);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	struct change change;
	send_map(&fe, &change, 0);
	ack_map(&fe, 0);
	expect_done(&change, 0);
	/* It leaves its maps in place over a reset. */
	uint16_t bases[FE_QUEUES];
	fe_submit(&fe, 0, true);
	fe_settle(&fe);
	fe_stop(&fe, bases);
	fe_clear_rings(&fe);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_int_equal(fe.resets, 1);
	assert_false(fe.window_is_empty);
	start_unmap(&fe, &change, 0);
	expect_unmap(&fe, 0);
	ack_unmap(&fe, 0);
	expect_done(&change, 0);
	fe_close(&fe);
}

static void changes_go_one_at_a_time_in_order(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a, b, c;
	start_map(&fe, &a, 0);
	start_map(&fe, &b, 0x1000);
	start_unmap(&fe, &c, 0);
	expect_map(&fe, 0);
	assert_true(fe_is_silent(&fe, fe.channel));
	ack_map(&fe, 0);
	assert_true(fe_is_silent(&fe, fe.channel));
	echo_add(&fe, 0);
	expect_map(&fe, 0x1000);
	ack_map(&fe, 0);
	echo_add(&fe, 0x1000);
	expect_unmap(&fe, 0);
	ack_unmap(&fe, 0);
	echo_remove(&fe, 0);
	expect_done(&a, 0);
	expect_done(&b, 0);
	expect_done(&c, 0);
	fe_close(&fe);
}

static void refused_map_fails_and_the_next_goes_on(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a, b;
	start_map(&fe, &a, 0);
	start_map(&fe, &b, 0x1000);
	expect_map(&fe, 0);
	ack_map(&fe, 1);
	expect_done(&a, -EIO);
	expect_map(&fe, 0x1000);
	ack_map(&fe, 0);
	echo_add(&fe, 0x1000);
	expect_done(&b, 0);
	/* -errno, as crosvm says it. It may have emptied the window by itself: the range is free. */
	start_unmap(&fe, &a, 0x1000);
	expect_unmap(&fe, 0x1000);
	ack_unmap(&fe, (uint64_t)-22);
	expect_done(&a, -EIO);
	send_map(&fe, &b, 0x1000);
	fe_close(&fe);
}

static void nothing_is_sent_unless_all_rings_run(void **state) {
	(void)state;
	struct fe fe;
	fe_open(&fe);
	fe_negotiate(&fe, FE_PROTOCOL_QEMU);
	fe_give_channel(&fe);
	fe_set_features(&fe, FE_FEATURES);
	fe_add_ram(&fe);
	struct change change;
	start_map(&fe, &change, 0);
	neep_vhost_user_config_changed(fe.server);
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		assert_true(fe_is_silent(&fe, fe.channel));
		fe_describe_ring(&fe, i, 0);
		fe_kick_fd(&fe, i);
		assert_true(fe_is_silent(&fe, fe.channel));
		fe_enable(&fe, i, 1);
	}
	struct fe_reply message;
	assert_int_equal(fe_recv(&fe, fe.channel, &message, NULL), 0);
	assert_int_equal(message.header.request, NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_int_equal(message.header.flags, 1);
	expect_map(&fe, 0);
	fe_close(&fe);
	expect_done(&change, -ECANCELED);
}

static void config_change_is_told_once_and_waits_for_an_ack(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change change;
	send_map(&fe, &change, 0);
	neep_vhost_user_config_changed(fe.server);
	neep_vhost_user_config_changed(fe.server);
	assert_true(fe_is_silent(&fe, fe.channel));
	ack_map(&fe, 0);
	struct fe_reply message;
	assert_int_equal(fe_recv(&fe, fe.channel, &message, NULL), 0);
	assert_int_equal(message.header.request, NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_true(fe_is_silent(&fe, fe.channel));
	fe_close(&fe);
}

static void pause_delays_what_was_not_sent(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a, b;
	start_map(&fe, &a, 0);
	start_map(&fe, &b, 0x1000);
	expect_map(&fe, 0);
	uint16_t bases[FE_QUEUES];
	fe_stop(&fe, bases);
	/* The ack comes although the rings stopped: whoever stopped them had done the mapping before. */
	ack_map(&fe, 0);
	expect_done(&a, 0);
	assert_true(fe_is_silent(&fe, fe.channel));
	assert_int_equal(b.done, 0);
	fe_start_rings(&fe, bases);
	assert_int_equal(fe.resets, 0);
	expect_map(&fe, 0x1000);
	ack_map(&fe, 0);
	echo_add(&fe, 0x1000);
	expect_done(&b, 0);
	fe_close(&fe);
}

static void stop_completes_a_map_that_waits_for_its_echo(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change change;
	send_map(&fe, &change, 0);
	ack_map(&fe, 0);
	assert_int_equal(change.done, 0);
	fe_enable(&fe, 0, 0);
	fe_settle(&fe);
	expect_done(&change, 0);
	assert_true(fe_is_silent(&fe, fe.channel));
	fe_close(&fe);
}

static unsigned done_before_reset;
static const struct change *watched;

static void note_done(struct fe *fe) {
	(void)fe;
	done_before_reset = watched->done;
}

static void reset_cancels_what_is_pending(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	map(&fe, 0x5000);
	struct change a, b;
	start_map(&fe, &a, 0);
	start_map(&fe, &b, 0x1000);
	expect_map(&fe, 0);
	watched = &b;
	fe.on_reset = note_done;
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_RESET_DEVICE), 0);
	expect_done(&a, -ECANCELED);
	expect_done(&b, -ECANCELED);
	assert_int_equal(done_before_reset, 1);
	assert_true(fe.window_is_empty); // this front-end echoes, so it empties the window itself
	/* The late ack frees the channel; nothing is undone. */
	fe_clear_rings(&fe);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	assert_true(fe_is_silent(&fe, fe.channel));
	ack_map(&fe, 0);
	assert_true(fe_is_silent(&fe, fe.channel));
	/* And the places are free again. */
	echo_remove(&fe, 0x5000);
	map(&fe, 0x5000);
	fe_close(&fe);
}

static void map_is_taken_back_when_a_second_reset_comes_before(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a;
	send_map(&fe, &a, 0);
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_RESET_DEVICE), 0);
	expect_done(&a, -ECANCELED);
	ack_map(&fe, 0);
	fe_settle(&fe);
	assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_RESET_DEVICE), 0);
	assert_false(fe.window_is_empty);
	fe_clear_rings(&fe);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	expect_unmap(&fe, 0);
	fe_close(&fe);
}

static void end_of_session_cancels_what_is_pending(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a, b;
	start_map(&fe, &a, 0);
	start_map(&fe, &b, 0x1000);
	expect_map(&fe, 0);
	neep_close_fd(&fe.fd);
	fe_settle(&fe);
	assert_int_equal(fe.closed, 1);
	expect_done(&a, -ECANCELED);
	expect_done(&b, -ECANCELED);
	start_map(&fe, &a, 0);
	fe_settle(&fe);
	fe_close(&fe);
	expect_done(&a, -ECANCELED);
}

static void cancelled_map_that_was_sent_is_taken_back(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a, b, c;
	start_map(&fe, &a, 0);
	start_map(&fe, &b, 0x1000);
	start_map(&fe, &c, 0x2000);
	expect_map(&fe, 0);
	neep_vhost_user_shmem_cancel(fe.server, &a.base);
	neep_vhost_user_shmem_cancel(fe.server, &b.base);
	ack_map(&fe, 0);
	echo_add(&fe, 0);
	expect_unmap(&fe, 0);
	ack_unmap(&fe, 0);
	echo_remove(&fe, 0);
	expect_map(&fe, 0x2000);
	assert_int_equal(a.done, 0);
	assert_int_equal(b.done, 0);
	fe_close(&fe);
}

static void cap_on_maps_is_kept(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	for (uint64_t i = 0; i < 3; i++) {
		map(&fe, i * 0x1000);
	}
	struct change change;
	start_map(&fe, &change, 0x8000);
	fe_settle(&fe);
	expect_done(&change, -ENOSPC);
	start_unmap(&fe, &change, 0x1000);
	expect_unmap(&fe, 0x1000);
	ack_unmap(&fe, 0);
	echo_remove(&fe, 0x1000);
	expect_done(&change, 0);
	map(&fe, 0x8000);
	fe_close(&fe);
}

static void cap_counts_all_memory_regions(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with(&fe, &(struct neep_vhost_user_options){ .queue_count = 2,
				  .shmem_id = 1,
				  .shmem_size = FE_WINDOW_SIZE,
				  .has_mem_slots = true,
				  .shmem_maps_max = 1000,
				  .echo_wait_ns = AWAIT_NS });
	fe_start(&fe);
	for (uint64_t i = 1; i < 509; i++) {
		struct neep_vhost_user_mem_region region = { .region = { 0x10000000 + i * 0x1000, 0x1000,
								     0x10000000 + i * 0x1000, 0 } };
		assert_int_equal(FE_ACK(&fe, .request = NEEP_VHOST_USER_ADD_MEM_REG, .payload = &region,
					 .len = sizeof(region), .fds = &fe.ram_fd, .fd_count = 1),
			0);
	}
	struct change change;
	start_map(&fe, &change, 0);
	fe_settle(&fe);
	expect_done(&change, -ENOSPC);
	fe_close(&fe);
}

static void change_that_would_be_refused_is_not_sent(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	map(&fe, 0x1000);
	static const struct {
		uint64_t offset, len;
		int result;
	} bad[] = {
		{ 0, 0, -EINVAL },
		{ 0x100, 0x1000, -EINVAL },
		{ 0, 0x100, -EINVAL },
		{ FE_WINDOW_SIZE, 0x1000, -EINVAL },
		{ FE_WINDOW_SIZE - 0x1000, 0x2000, -EINVAL },
		{ UINT64_MAX - 0xfff, 0x1000, -EINVAL },
		{ 0x1000, UINT64_MAX - 0xfff, -EINVAL },
		{ 0x1000, 0x1000, -EEXIST },
		{ 0, 0x2000, -EEXIST },
		{ 0, 0x10000, -EEXIST },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct change change;
		start_map_at(&fe, &change, bad[i].offset, bad[i].len);
		fe_settle(&fe);
		expect_done(&change, bad[i].result);
	}
	struct change change;
	start_unmap(&fe, &change, 0x2000);
	fe_settle(&fe);
	expect_done(&change, -ENOENT);
	assert_true(fe_is_silent(&fe, fe.channel));
	fe_close(&fe);
}

static void change_fails_without_a_channel(void **state) {
	(void)state;
	struct fe fe;
	fe_open_with_ram(&fe);
	fe_start_rings(&fe, (uint16_t[]){ 0, 0 });
	struct change change;
	start_map(&fe, &change, 0);
	fe_settle(&fe);
	expect_done(&change, -EIO);
	/* A config change waits for one. */
	neep_vhost_user_config_changed(fe.server);
	fe_settle(&fe);
	fe_give_channel(&fe);
	struct fe_reply message;
	assert_int_equal(fe_recv(&fe, fe.channel, &message, NULL), 0);
	assert_int_equal(message.header.request, NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE);
	fe_close(&fe);
}

static void expect_broken(struct fe *fe) {
	struct change change;
	start_map(fe, &change, 0);
	fe_settle(fe);
	expect_done(&change, -EIO);
	fe_give_channel(fe);
	map(fe, 0x1000);
}

static void nonsense_on_the_channel_closes_it(void **state) {
	(void)state;
	static const struct neep_vhost_user_header bad[] = {
		{ NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP, 5, 8 },
		{ NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 1, 8 },
		{ NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 5, 4 },
		{ NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 5, UINT32_MAX },
		{ 0, 0, 0 },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct fe fe;
		fe_open_started(&fe);
		struct change a, b;
		start_map(&fe, &a, 0x3000);
		start_map(&fe, &b, 0x4000);
		expect_map(&fe, 0x3000);
		uint8_t buf[20] = { 0 };
		memcpy(buf, &bad[i], sizeof(bad[i]));
		assert_int_equal(send(fe.channel, buf, sizeof(buf), 0), sizeof(buf));
		fe_settle(&fe);
		expect_done(&a, -EIO);
		expect_done(&b, -EIO);
		expect_broken(&fe);
		assert_int_equal(fe.closed, 0);
		fe_close(&fe);
	}
}

static void ack_that_nobody_asked_for_closes_the_channel(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	ack_map(&fe, 0);
	expect_broken(&fe);
	fe_close(&fe);
}

static void closed_channel_fails_what_is_pending(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change a;
	send_map(&fe, &a, 0);
	neep_close_fd(&fe.channel);
	fe_settle(&fe);
	expect_done(&a, -EIO);
	expect_broken(&fe);
	fe_close(&fe);
}

static void ack_may_come_in_pieces(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	struct change change;
	send_map(&fe, &change, 0);
	echo_add(&fe, 0);
	const uint32_t ack[] = { NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 5, 8, 0, 0 };
	for (size_t i = 0; i < sizeof(ack); i++) {
		assert_int_equal(change.done, 0);
		assert_int_equal(send(fe.channel, (const char *)ack + i, 1, 0), 1);
		fe_settle(&fe);
	}
	expect_done(&change, 0);
	fe_close(&fe);
}

/* The front-end does not read its end: what does not fit is sent later, once. */
static void full_channel_is_waited_for(void **state) {
	(void)state;
	struct fe fe;
	fe_open_started(&fe);
	unsigned told = 0;
	for (; told < 10000; told++) {
		neep_vhost_user_config_changed(fe.server);
		assert_int_equal(neep_loop_step(fe.loop, 0), 0);
	}
	struct change change;
	start_map(&fe, &change, 0);
	fe_settle(&fe);
	struct fe_reply message;
	int fd = -1;
	unsigned got = 0;
	do {
		neep_close_fd(&fd);
		assert_true(fe_recv(&fe, fe.channel, &message, &fd) >= 0);
		got++;
	} while (message.header.request == NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_int_equal(message.header.request, NEEP_VHOST_USER_BACKEND_SHMEM_MAP);
	assert_true(fd >= 0);
	assert_true(got > 10 && got < told);
	neep_close_fd(&fd);
	fe_close(&fe);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		fd_checked_test(map_completes_after_ack_and_echo),
		fd_checked_test(map_completes_after_echo_and_ack),
		fd_checked_test(echo_of_other_memory_is_not_taken_for_ours),
		fd_checked_test(barrier_completes_a_map_without_echo),
		fd_checked_test(echo_completes_a_map_whose_barrier_is_out),
		fd_checked_test(table_mode_takes_the_echo_or_the_barrier),
		fd_checked_test(ack_alone_completes_where_there_is_no_barrier),
		fd_checked_test(changes_go_one_at_a_time_in_order),
		fd_checked_test(refused_map_fails_and_the_next_goes_on),
		fd_checked_test(nothing_is_sent_unless_all_rings_run),
		fd_checked_test(config_change_is_told_once_and_waits_for_an_ack),
		fd_checked_test(pause_delays_what_was_not_sent),
		fd_checked_test(stop_completes_a_map_that_waits_for_its_echo),
		fd_checked_test(reset_cancels_what_is_pending),
		fd_checked_test(map_is_taken_back_when_a_second_reset_comes_before),
		fd_checked_test(end_of_session_cancels_what_is_pending),
		fd_checked_test(cancelled_map_that_was_sent_is_taken_back),
		fd_checked_test(cap_on_maps_is_kept),
		fd_checked_test(cap_counts_all_memory_regions),
		fd_checked_test(change_that_would_be_refused_is_not_sent),
		fd_checked_test(change_fails_without_a_channel),
		fd_checked_test(nonsense_on_the_channel_closes_it),
		fd_checked_test(ack_that_nobody_asked_for_closes_the_channel),
		fd_checked_test(closed_channel_fails_what_is_pending),
		fd_checked_test(ack_may_come_in_pieces),
		fd_checked_test(full_channel_is_waited_for),
	};
	return cmocka_run_group_tests_name("vhost-user-channel", tests, NULL, NULL);
}
