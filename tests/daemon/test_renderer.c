/* Vulkan contexts through the device process as installed, sandbox and all: a driver on one side, a renderer that follows
 * orders (gfxstream/script.h) on the other. */
#include "support/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#include "daemon/process.h"
#include "driver/driver.h"
#include "driver/gpu.h"
#include "gfxstream/script.h"
#include "support/await.h"
#include "support/fd_check.h"
#include "support/process_table.h"
#include "util/macros.h"

#define OK         VIRTIO_GPU_RESP_OK_NODATA
#define RING_SIZE  1060864
#define RING_STEP  (UINT64_C(2) << 20) // from ring to ring in the window
#define HOST_STATE (2176 / 4)
#define STATE_EXIT 2

struct machine {
	pid_t daemon;
	struct neep_driver *driver;
};

static int setup(void **state) {
	folder_enter();
	return fd_check_setup(state);
}

static int teardown(void **state) {
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static struct machine boot(void) {
	struct neep_error error;
	struct machine machine = {
		.daemon = process_start(daemon_program(),
			"--socket-path s --control c --display none --capset-names gfxstream-vulkan"),
	};
	file_await("s");
	machine.driver = neep_driver_open("s", &neep_driver_default_options, &error);
	if (machine.driver == NULL) {
		fail_msg("%s", error.text);
	}
	return machine;
}

static void halt(struct machine *machine) {
	neep_driver_destroy(machine->driver);
	assert_int_equal(process_wait(machine->daemon), 0);
}

static pid_t spawner_of(const struct machine *machine) {
	pid_t spawner;
	assert_int_equal(process_children(machine->daemon, &spawner, 1), 1);
	return spawner;
}

/* Until `pid` has `count` children. */
static void await_children(pid_t pid, size_t count, pid_t *children, size_t max) {
	await_true(process_children(pid, children, max) == count);
}

static void await_renderers(const struct machine *machine, size_t count, pid_t *pids, size_t max) {
	await_children(spawner_of(machine), count, pids, max);
}

/* A SUBMIT_3D with a fence on `ring_idx`, or on the global timeline (-1). */
struct submit {
	struct {
		struct virtio_gpu_cmd_submit header;
		uint32_t words[14];
	} cmd;
	struct virtio_gpu_ctrl_hdr reply;
	struct neep_driver_request request;
};

static void submit(struct machine *machine, struct submit *submit, uint32_t ctx_id, int ring_idx,
	const uint32_t *words, size_t count) {
	static uint64_t fence_id;
	memset(submit, 0, sizeof(*submit));
	submit->cmd.header = (struct virtio_gpu_cmd_submit){
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D,
			.flags = VIRTIO_GPU_FLAG_FENCE,
			.fence_id = ++fence_id,
			.ctx_id = ctx_id },
		.size = (uint32_t)(count * sizeof(*words)),
	};
	if (ring_idx >= 0) {
		submit->cmd.header.hdr.flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
		submit->cmd.header.hdr.ring_idx = (uint8_t)ring_idx;
	}
	memcpy(submit->cmd.words, words, count * sizeof(*words));
	submit->request = (struct neep_driver_request){
		.cmd = &submit->cmd,
		.cmd_len = sizeof(submit->cmd.header) + count * sizeof(*words),
		.reply = &submit->reply,
		.reply_len = sizeof(submit->reply),
	};
	assert_int_equal(neep_driver_submit(machine->driver, &submit->request, 1), 0);
}

static void order(struct machine *machine, struct submit *fenced, uint32_t ctx_id, enum script_order order,
	uint32_t operand) {
	submit(machine, fenced, ctx_id, 0, (const uint32_t[]){ 0xa000, operand, 0, order, 0 }, 5);
}

/* Waits for the fence and returns the type of the reply, which must echo it. */
static uint32_t finish(struct machine *machine, struct submit *submit) {
	assert_int_equal(neep_driver_wait(machine->driver, &submit->request), 0);
	assert_int_equal(submit->reply.fence_id, submit->cmd.header.hdr.fence_id);
	assert_int_equal(submit->reply.flags, submit->cmd.header.hdr.flags);
	return submit->reply.type;
}

static void create_context(struct machine *machine, uint32_t ctx_id) {
	assert_int_equal(neep_cmd_ctx_create(machine->driver, ctx_id, 3, "tested"), OK);
}

static uint32_t create_blob(
	struct machine *machine, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size) {
	struct neep_cmd_blob blob = {
		.ctx_id = ctx_id,
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = blob_id,
		.size = size,
	};
	return (uint32_t)neep_cmd_create_blob(machine->driver, &blob);
}

static volatile uint32_t *map(struct machine *machine, uint32_t resource_id) {
	uint32_t map_info;
	uint64_t offset = resource_id * RING_STEP, size;
	assert_int_equal(neep_cmd_map_blob(machine->driver, resource_id, offset, &map_info),
		VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(map_info, VIRTIO_GPU_MAP_CACHE_CACHED);
	return (volatile uint32_t *)(void *)((char *)neep_driver_window(machine->driver, &size) + offset);
}

/* As the kernel and Mesa do it. */
static volatile uint32_t *create_ring(struct machine *machine, uint32_t ctx_id, uint32_t resource_id) {
	struct submit create;
	assert_int_equal(create_blob(machine, ctx_id, resource_id, 0, RING_SIZE), OK);
	volatile uint32_t *words = map(machine, resource_id);
	assert_int_equal(neep_cmd_ctx_attach_resource(machine->driver, ctx_id, resource_id), OK);
	submit(machine, &create, ctx_id, -1, (const uint32_t[]){ 0x1001, resource_id }, 2);
	assert_int_equal(finish(machine, &create), OK);
	assert_int_equal(words[2180 / 4], 1048576);
	return words;
}

static void destroy_ring(struct machine *machine, uint32_t ctx_id, uint32_t resource_id) {
	assert_int_equal(neep_cmd_ctx_detach_resource(machine->driver, ctx_id, resource_id), OK);
	assert_int_equal(neep_cmd_unmap_blob(machine->driver, resource_id), OK);
	assert_int_equal(neep_cmd_unref(machine->driver, resource_id), OK);
}

static void await_word(volatile uint32_t *word, uint32_t value) {
	await_turning(*word == value, );
}

static void ring_pings_and_blobs_reach_the_renderer(void **state) {
	(void)state;
	struct machine machine = boot();
	uint64_t window;
	assert_non_null(neep_driver_window(machine.driver, &window));
	assert_int_equal(window, UINT64_C(4) << 30);
	create_context(&machine, 1);
	volatile uint32_t *ring = create_ring(&machine, 1, 10);
	for (uint32_t i = 1; i <= 1000; i++) {
		const uint32_t ping[] = { 0x1002, 10 };
		assert_int_equal(neep_cmd_submit_3d(machine.driver, 1, ping, sizeof(ping)), OK);
		await_word(ring + SCRIPT_PINGS / 4, i);
	}
	struct submit publish;
	order(&machine, &publish, 1, SCRIPT_PUBLISH, 77);
	assert_int_equal(finish(&machine, &publish), OK);
	assert_int_equal(create_blob(&machine, 1, 20, 77, SCRIPT_BLOB_SIZE), OK);
	assert_int_equal(map(&machine, 20)[5], 77);
	assert_int_equal(
		create_blob(&machine, 1, 21, 77, SCRIPT_BLOB_SIZE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Exportable memory: announced, created, attached, marked. */
	const uint32_t announce[14] = { 0xa003, 2, 67, 2, 64, 64, [12] = 500 };
	assert_int_equal(neep_cmd_submit_3d(machine.driver, 1, announce, sizeof(announce)), OK);
	assert_int_equal(create_blob(&machine, 1, 22, 500, 16384), OK);
	struct submit placeholder;
	submit(&machine, &placeholder, 1, 1, (const uint32_t[]){ 0xf002, 0, 0 }, 3);
	assert_int_equal(finish(&machine, &placeholder), OK);
	volatile uint32_t *words = map(&machine, 22);
	assert_int_equal(neep_cmd_ctx_attach_resource(machine.driver, 1, 22), OK);
	await_word(words, 22);
	halt(&machine);
}

static void device_lives_on_when_renderers_are_killed_under_load(void **state) {
	(void)state;
	enum { LOAD = 32, ROUNDS = 10 };
	struct machine machine = boot();
	create_context(&machine, 1000);
	volatile uint32_t *bystander = create_ring(&machine, 1000, 1000);
	pid_t pids[4];
	await_renderers(&machine, 1, pids, 4);
	pid_t spared = pids[0];
	size_t fds = process_fds(machine.daemon);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		static struct submit load[LOAD];
		create_context(&machine, round);
		volatile uint32_t *ring = create_ring(&machine, round, 10);
		await_renderers(&machine, 2, pids, 4);
		pid_t victim = pids[0] != spared ? pids[0] : pids[1];
		for (uint32_t i = 0; i < LOAD; i++) {
			order(&machine, &load[i], round, i % 2 == 0 ? SCRIPT_HOLD : SCRIPT_DONE, 0);
			if (i == (round * 7) % LOAD) {
				assert_int_equal(kill(victim, SIGKILL), 0);
			}
		}
		for (uint32_t i = 0; i < LOAD; i++) {
			finish(&machine, &load[i]);
		}
		await_word(ring + HOST_STATE, STATE_EXIT);
		struct submit after;
		order(&machine, &after, round, SCRIPT_DONE, 0);
		assert_int_not_equal(finish(&machine, &after), OK);
		destroy_ring(&machine, round, 10);
		assert_int_equal(neep_cmd_ctx_destroy(machine.driver, round), OK);
		await_renderers(&machine, 1, pids, 4);
		/* The device hears of the end when it has been waited for. */
		await_true(process_fds(machine.daemon) == fds);
	}
	int control = socket_connect("c");
	assert_string_equal(control_ask(control, "contexts"),
		"ok {\"contexts\":[{\"context\":1000,\"capset\":\"gfxstream-vulkan\",\"name\":\"tested\","
		"\"renderer\":\"running\",\"rings\":1,\"syncs\":0}],\"more\":0}");
	close(control);
	const uint32_t ping[] = { 0x1002, 1000 };
	assert_int_equal(neep_cmd_submit_3d(machine.driver, 1000, ping, sizeof(ping)), OK);
	await_word(bystander + SCRIPT_PINGS / 4, 1);
	assert_int_not_equal(bystander[HOST_STATE], STATE_EXIT);
	halt(&machine);
}

static void hundred_contexts_leave_no_process_and_no_fd(void **state) {
	(void)state;
	pid_t none;
	struct machine machine = boot();
	size_t fds = process_fds(machine.daemon);
	for (uint32_t id = 1; id <= 100; id++) {
		create_context(&machine, id);
		create_ring(&machine, id, id);
	}
	for (uint32_t id = 1; id <= 100; id++) {
		destroy_ring(&machine, id, id);
		assert_int_equal(neep_cmd_ctx_destroy(machine.driver, id), OK);
	}
	await_renderers(&machine, 0, &none, 1);
	await_true(process_fds(machine.daemon) == fds);
	halt(&machine);
}

static void reset_ends_everything_in_flight(void **state) {
	(void)state;
	pid_t none;
	struct machine machine = boot();
	for (int round = 0; round < 3; round++) {
		static struct submit held[8];
		for (uint32_t id = 1; id <= 8; id++) {
			create_context(&machine, id);
			create_ring(&machine, id, id);
			order(&machine, &held[id - 1], id, SCRIPT_HOLD, 0);
		}
		assert_int_equal(neep_driver_reset(machine.driver), 0);
		await_renderers(&machine, 0, &none, 1);
		struct neep_error error;
		assert_int_equal(neep_driver_start(machine.driver, &error), 0);
	}
	halt(&machine);
}

static void device_lives_on_when_the_spawner_is_killed(void **state) {
	(void)state;
	struct machine machine = boot();
	struct submit held, late;
	pid_t none;
	/* A spawner may be started again one second after it was. */
	usleep(1100000);
	create_context(&machine, 1);
	volatile uint32_t *ring = create_ring(&machine, 1, 10);
	order(&machine, &held, 1, SCRIPT_HOLD, 0);
	assert_int_equal(kill(spawner_of(&machine), SIGKILL), 0);
	finish(&machine, &held);
	await_word(ring + HOST_STATE, STATE_EXIT);
	/* A dying process closes its socket before it can be reaped, and only then may another take its place. */
	await_children(machine.daemon, 0, &none, 1);
	/* The sandbox lets no process be started: later contexts are refused, and the rest works. */
	create_context(&machine, 2);
	assert_int_equal(create_blob(&machine, 2, 11, 0, RING_SIZE), OK);
	assert_int_equal(neep_cmd_ctx_attach_resource(machine.driver, 2, 11), OK);
	submit(&machine, &late, 2, -1, (const uint32_t[]){ 0x1001, 11 }, 2);
	assert_int_equal(finish(&machine, &late) == OK, getenv("NEEP_SANITIZED") != NULL);
	assert_int_equal(
		neep_cmd_create_2d(machine.driver, 50, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64), OK);
	halt(&machine);
}

static void start_says_what_to_do_when_there_is_no_renderer(void **state) {
	(void)state;
	static struct process_result result;
	process_run(daemon_program(),
		"--socket-path s --capset-names gfxstream-vulkan --renderer /no/such/program", &result);
	assert_int_equal(result.code, 1);
	assert_non_null(strstr(result.err, "cannot run \"/no/such/program\""));
	assert_non_null(strstr(result.err, "--renderer"));
}

#define daemon_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		daemon_test(ring_pings_and_blobs_reach_the_renderer),
		daemon_test(device_lives_on_when_renderers_are_killed_under_load),
		daemon_test(hundred_contexts_leave_no_process_and_no_fd),
		daemon_test(reset_ends_everything_in_flight),
		daemon_test(device_lives_on_when_the_spawner_is_killed),
		daemon_test(start_says_what_to_do_when_there_is_no_renderer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
