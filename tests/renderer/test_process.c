/* neep-renderer as the device process sees it: life and death of renderers, their messages, what many rings cost. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asg/bell.h"
#include "renderer/harness.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/macros.h"

/* A context in a spawner of its own. */
struct fixture {
	struct harness harness;
	struct harness_context context;
	struct asg_guest *guest; // its ring; NULL: none
};

static void start_without_ring(struct fixture *fixture, const char *argument) {
	*fixture = (struct fixture){ .guest = NULL };
	harness_start(&fixture->harness, argument);
	harness_context_start(&fixture->harness, &fixture->context);
}

static void start(struct fixture *fixture, const char *argument) {
	start_without_ring(fixture, argument);
	fixture->guest = harness_ring_add(&fixture->context, 1);
}

/* Returns what the spawner tells about the renderer's end. */
static struct neep_worker_exited finish(struct fixture *fixture) {
	harness_context_close(&fixture->context);
	struct neep_worker_exited exited = harness_context_wait(&fixture->context);
	harness_finish(&fixture->harness);
	if (fixture->guest != NULL) {
		asg_guest_destroy(fixture->guest);
	}
	return exited;
}

static void finish_in_order(struct fixture *fixture) {
	struct neep_worker_exited exited = finish(fixture);
	assert_int_equal(exited.error, 0);
	assert_true(WIFEXITED(exited.wait_status));
	assert_int_equal(WEXITSTATUS(exited.wait_status), 0);
}

static void expect_lost(struct fixture *fixture, const char *reason) {
	struct neep_worker_lost lost;
	struct neep_fds fds = { 0 };
	assert_int_equal(harness_receive(fixture->context.socket, &lost, sizeof(lost), &fds), sizeof(lost));
	assert_int_equal(lost.header.type, NEEP_WORKER_LOST);
	assert_string_equal(lost.reason, reason);
	assert_int_equal(harness_receive(fixture->context.socket, &lost, sizeof(lost), &fds), 0);
}

static int run_by_hand(const char *argument) {
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		close_range(3, ~0u, 0);
		execl(getenv("NEEP_TEST_RENDERER"), "neep-renderer", argument, NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void program_says_what_it_is_when_run_by_hand(void **state) {
	(void)state;
	assert_int_equal(run_by_hand("--help"), 0);
	assert_int_equal(run_by_hand("--version"), 0);
	assert_int_equal(run_by_hand(NULL), 1);
	assert_int_equal(run_by_hand("--no-such-option"), 2);
	assert_int_equal(run_by_hand("--max-memory=1"), 2);
	assert_int_equal(run_by_hand("--max-mapped=1K"), 2);
	assert_int_equal(run_by_hand("--max-cpu=x"), 2);
	assert_int_equal(run_by_hand("--log-level=loud"), 2);
	assert_int_equal(run_by_hand("word"), 2);
}

static void rings_are_served_until_the_context_ends(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	struct asg_guest *second = harness_ring_add(&fixture.context, 2);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(harness_ask(fixture.guest, ECHO_ARGUMENT, i), i);
		assert_int_equal(harness_ask(second, ECHO_ARGUMENT, i + 1), i + 1);
	}
	finish_in_order(&fixture);
	assert_int_equal(asg_guest_load(second, NEEP_ASG_HOST_STATE), NEEP_ASG_EXIT);
	asg_guest_destroy(second);
}

static void ring_that_was_removed_is_served_no_more(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	struct asg_guest *second = harness_ring_add(&fixture.context, 2);
	assert_int_equal(harness_ask(second, ECHO_ARGUMENT, 5), 5);
	harness_ring_remove(&fixture.context, 2);
	harness_ring_remove(&fixture.context, 2);
	harness_ring_remove(&fixture.context, 99);
	await_true(asg_guest_load(second, NEEP_ASG_HOST_STATE) == NEEP_ASG_EXIT);
	asg_guest_destroy(second);
	/* The id is free again. */
	second = harness_ring_add(&fixture.context, 2);
	assert_int_equal(harness_ask(second, ECHO_ARGUMENT, 6), 6);
	asg_guest_destroy(second);
	finish_in_order(&fixture);
}

/* Its thread never comes back, and still nothing waits for it. */
static void removing_a_ring_waits_for_nobody(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	struct asg_guest *second = harness_ring_add(&fixture.context, 2);
	struct echo_request request = { .op = ECHO_HANG };
	assert_true(asg_guest_send(second, &request, sizeof(request)));
	harness_ring_remove(&fixture.context, 2);
	struct asg_guest *third = harness_ring_add(&fixture.context, 3);
	assert_int_equal(harness_ask(third, ECHO_ARGUMENT, 3), 3);
	/* Nor does the end, for long. */
	int64_t start_ns = neep_clock_ns();
	finish_in_order(&fixture);
	assert_true(neep_clock_ns() - start_ns < AWAIT_NS);
	asg_guest_destroy(second);
	asg_guest_destroy(third);
}

static void ring_that_cannot_be_served_loses_the_context(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	struct asg_guest *bad = asg_guest_create();
	struct neep_worker_ring_add add = {
		.header = { .type = NEEP_WORKER_RING_ADD, .size = sizeof(add) },
		.resource_id = 2,
		.size = ASG_GUEST_SIZE + 4096,
	};
	harness_send(fixture.context.socket, &add, sizeof(add), &bad->memory_fd, 1);
	expect_lost(&fixture,
		"command ring 2 cannot be served: a ring of 1064960 bytes in a memory of 1060864: it needs "
		"1060864: Invalid argument");
	asg_guest_destroy(bad);
	finish(&fixture);
}

static void lost_context_is_told(void **state) {
	(void)state;
	static const struct {
		enum echo_op op;
		const char *reason;
	} cases[] = {
		{ ECHO_LOSE, "asked to" },
		{ ECHO_BREAK, "command ring 1 cannot be served: Protocol error" },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct fixture fixture;
		start(&fixture, NULL);
		harness_tell(fixture.guest, cases[i].op, 0);
		expect_lost(&fixture, cases[i].reason);
		struct neep_worker_exited exited = finish(&fixture);
		assert_true(WIFEXITED(exited.wait_status));
		assert_int_equal(WEXITSTATUS(exited.wait_status), 3);
	}
}

/* Of the same rings: one whose guest waits, one that has nothing to wait for, and one that is new. */
static void successor_answers_that_all_is_lost(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	struct asg_guest *idle = harness_ring_add(&fixture.context, 2);
	assert_int_equal(harness_ask(idle, ECHO_ARGUMENT, 7), 7);
	harness_tell(fixture.guest, ECHO_LOSE, 0);
	expect_lost(&fixture, "asked to");
	harness_context_close(&fixture.context);
	harness_context_wait(&fixture.context);
	harness_successor_start(&fixture.harness, &fixture.context);
	harness_ring_give(&fixture.context, 1, fixture.guest);
	harness_ring_give(&fixture.context, 2, idle);
	struct asg_guest *late = harness_ring_add(&fixture.context, 3);
	uint32_t reply;
	asg_guest_receive(fixture.guest, &reply, sizeof(reply));
	assert_int_equal(reply, ECHO_LOST);
	struct asg_guest *rings[] = { fixture.guest, idle, late };
	for (uint32_t i = 0; i < 30; i++) {
		assert_int_equal(harness_ask(rings[i % 3], ECHO_ARGUMENT, i), ECHO_LOST);
	}
	finish_in_order(&fixture);
	asg_guest_destroy(idle);
	asg_guest_destroy(late);
}

static void broken_ring_loses_the_context(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	assert_int_equal(harness_ask(fixture.guest, ECHO_ARGUMENT, 1), 1);
	asg_guest_store(fixture.guest, NEEP_ASG_TO_HOST + NEEP_ASG_WRITE_POS, 77777);
	neep_asg_bell_ring(asg_guest_word(fixture.guest, NEEP_ASG_HOST_BELL));
	expect_lost(&fixture, "command ring 1 cannot be served: Protocol error");
	finish(&fixture);
}

static void wrong_message_loses_the_context(void **state) {
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct fixture fixture;
		start(&fixture, NULL);
		struct neep_worker_sync sync = { .header = {
							 .type = NEEP_WORKER_SYNC, .size = sizeof(sync) } };
		sync.header.type = i == 0 ? 999 : i == 1 ? NEEP_WORKER_RING_ADD : NEEP_WORKER_SYNC;
		size_t size = i == 2 ? 4 : sizeof(sync);
		int fd = fixture.guest->memory_fd;
		harness_send(fixture.context.socket, &sync, size, &fd, i == 3 ? 1 : 0);
		expect_lost(&fixture, "the device process said what this renderer does not understand");
		finish(&fixture);
	}
}

static void missing_driver_is_told(void **state) {
	(void)state;
	struct fixture fixture;
	setenv("LP_ECHO_FAILS", "1", 1);
	/* The renderer may have ended before it could be told of a ring. */
	start_without_ring(&fixture, "--log-level=error");
	expect_lost(&fixture, "no driver here: No such file or directory");
	struct neep_worker_exited exited = finish(&fixture);
	assert_true(WIFEXITED(exited.wait_status));
	assert_int_equal(WEXITSTATUS(exited.wait_status), 1);
	unsetenv("LP_ECHO_FAILS");
}

static void crash_is_told_by_the_spawner(void **state) {
	(void)state;
	static const enum echo_op ops[] = { ECHO_CRASH, ECHO_ABORT };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ops); i++) {
		struct fixture fixture;
		start(&fixture, NULL);
		struct echo_request request = { .op = ops[i] };
		assert_int_equal(harness_ask(fixture.guest, ECHO_ARGUMENT, 1), 1);
		assert_true(asg_guest_send(fixture.guest, &request, sizeof(request)));
		struct neep_worker_exited exited = harness_context_wait(&fixture.context);
		harness_context_close(&fixture.context);
		harness_finish(&fixture.harness);
		asg_guest_destroy(fixture.guest);
		assert_int_equal(exited.error, 0);
		/* A sanitizer makes an exit of it. */
		assert_true(WIFSIGNALED(exited.wait_status) || WEXITSTATUS(exited.wait_status) != 0);
	}
}

static void kill_ends_one_that_does_not_end_by_itself(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	struct harness_context other;
	harness_context_start(&fixture.harness, &other);
	struct asg_guest *guest = harness_ring_add(&other, 9);
	struct neep_worker_kill kill = {
		.header = { .type = NEEP_WORKER_KILL, .size = sizeof(kill) },
		.token = fixture.context.token,
	};
	harness_send(fixture.harness.socket, &kill, sizeof(kill), NULL, 0);
	struct neep_worker_exited exited = harness_context_wait(&fixture.context);
	assert_true(WIFSIGNALED(exited.wait_status));
	assert_int_equal(WTERMSIG(exited.wait_status), SIGKILL);
	/* An unknown token is fine, and the other goes on. */
	harness_send(fixture.harness.socket, &kill, sizeof(kill), NULL, 0);
	assert_int_equal(harness_ask(guest, ECHO_ARGUMENT, 4), 4);
	harness_context_close(&other);
	harness_context_wait(&other);
	harness_context_close(&fixture.context);
	harness_finish(&fixture.harness);
	asg_guest_destroy(guest);
	asg_guest_destroy(fixture.guest);
}

static bool is_gone(pid_t pid) {
	return kill(pid, 0) < 0 && errno == ESRCH;
}

static void end_of_the_spawner_leaves_nothing_behind(void **state) {
	(void)state;
	for (int is_killed = 0; is_killed < 2; is_killed++) {
		struct fixture fixture;
		start(&fixture, NULL);
		assert_int_equal(harness_ask(fixture.guest, ECHO_ARGUMENT, 1), 1);
		struct echo_request request = { .op = ECHO_HANG };
		assert_true(asg_guest_send(fixture.guest, &request, sizeof(request)));
		pid_t renderer = harness_child_of(fixture.harness.pid);
		assert_true(renderer > 0);
		if (is_killed) {
			int status;
			kill(fixture.harness.pid, SIGKILL);
			waitpid(fixture.harness.pid, &status, 0);
			neep_close_fd(&fixture.harness.socket);
		} else {
			harness_finish(&fixture.harness);
		}
		await_true(is_gone(renderer));
		harness_context_close(&fixture.context);
		asg_guest_destroy(fixture.guest);
	}
}

static void blob_comes_before_the_reply(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	for (uint32_t id = 40; id < 140; id++) {
		struct neep_worker_blob blob;
		struct neep_fds fds = { 0 };
		uint32_t content = 0;
		assert_int_equal(harness_ask(fixture.guest, ECHO_PUBLISH, id), 0);
		/* Here already: no waiting. */
		assert_int_equal(neep_recv(fixture.context.socket, &blob, sizeof(blob), &fds), sizeof(blob));
		assert_int_equal(blob.header.type, NEEP_WORKER_BLOB);
		assert_int_equal(blob.blob_id, id);
		assert_int_equal(blob.size, 4096);
		assert_int_equal(blob.map_info, 1);
		assert_int_equal(fds.count, 1);
		assert_int_equal(pread(fds.fd[0], &content, sizeof(content), 0), sizeof(content));
		assert_int_equal(content, id);
		neep_fds_finish(&fds);
	}
	finish_in_order(&fixture);
}

static void send_resource(struct fixture *fixture, uint32_t resource_id, uint64_t size) {
	struct neep_worker_resource_add add = {
		.header = { .type = NEEP_WORKER_RESOURCE_ADD, .size = sizeof(add) },
		.resource_id = resource_id,
		.size = size,
	};
	neep_autoclose int fd = neep_memfd_create("resource", size);
	harness_send(fixture->context.socket, &add, sizeof(add), &fd, 1);
}

static void resource_is_found_also_when_it_comes_late(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	send_resource(&fixture, 5, 4096);
	assert_int_equal(harness_ask(fixture.guest, ECHO_FIND, 5), 4096);
	send_resource(&fixture, 5, 8192);
	struct neep_worker_resource_id remove = {
		.header = { .type = NEEP_WORKER_RESOURCE_REMOVE, .size = sizeof(remove) },
		.resource_id = 77,
	};
	harness_send(fixture.context.socket, &remove, sizeof(remove), NULL, 0);

	struct echo_request request = { .op = ECHO_FIND, .argument = 6 };
	uint32_t reply;
	assert_true(asg_guest_send(fixture.guest, &request, sizeof(request)));
	usleep(50000);
	send_resource(&fixture, 6, 12288);
	asg_guest_receive(fixture.guest, &reply, sizeof(reply));
	assert_int_equal(reply, 12288);
	assert_int_equal(harness_ask(fixture.guest, ECHO_FIND, 5), 8192);

	remove.resource_id = 6;
	harness_send(fixture.context.socket, &remove, sizeof(remove), NULL, 0);
	int64_t start_ns = neep_clock_ns();
	while (harness_ask(fixture.guest, ECHO_FIND, 6) != 0) {
	}
	assert_true(neep_clock_ns() - start_ns >= 2 * NEEP_NS_PER_S);
	finish_in_order(&fixture);
}

static uint64_t next_sync_done(struct fixture *fixture) {
	struct neep_worker_sync_done done;
	struct neep_fds fds = { 0 };
	assert_int_equal(harness_receive(fixture->context.socket, &done, sizeof(done), &fds), sizeof(done));
	assert_int_equal(done.header.type, NEEP_WORKER_SYNC_DONE);
	return done.sync_id;
}

static void fences_are_told_when_they_are_signalled(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, NULL);
	harness_sync(&fixture.context, 1000, 0);
	assert_int_equal(next_sync_done(&fixture), 1000);
	for (uint64_t i = 1; i <= 300; i++) {
		harness_sync(&fixture.context, 1000 + i, i);
	}
	assert_true(harness_is_silent(fixture.context.socket));
	harness_ask(fixture.guest, ECHO_SIGNAL, 200);
	for (uint64_t i = 1; i <= 200; i++) {
		assert_int_equal(next_sync_done(&fixture), 1000 + i);
	}
	assert_true(harness_is_silent(fixture.context.socket));
	/* The end of the context does not wait for the rest. */
	finish_in_order(&fixture);
}

/* A sanitizer wants more memory and more system calls than there are. */
#if !HAS_SANITIZER
static void memory_limit_holds(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, "--max-memory=256M");
	assert_int_equal(harness_ask(fixture.guest, ECHO_TAKE, 64), 0);
	assert_int_equal(harness_ask(fixture.guest, ECHO_TAKE, 512), ENOMEM);
	finish_in_order(&fixture);
}
#endif

static void cpu_limit_holds(void **state) {
	(void)state;
	struct fixture fixture;
	start(&fixture, "--max-cpu=1");
	struct echo_request request = { .op = ECHO_BURN };
	assert_true(asg_guest_send(fixture.guest, &request, sizeof(request)));
	struct neep_worker_exited exited = harness_context_wait(&fixture.context);
	assert_true(WIFSIGNALED(exited.wait_status));
	harness_context_close(&fixture.context);
	harness_finish(&fixture.harness);
	asg_guest_destroy(fixture.guest);
}

#define IDLE_RINGS 500

static uint64_t ticks_of(void *pid) {
	return harness_cpu_ticks(*(pid_t *)pid);
}

static void idle_rings_cost_little(void **state) {
	(void)state;
	static struct asg_guest *guests[IDLE_RINGS];
	struct fixture fixture;
	start(&fixture, NULL);
	harness_ask(fixture.guest, ECHO_ARGUMENT, 1);
	pid_t pid = harness_child_of(fixture.harness.pid);
	uint64_t before_kib = harness_resident_kib(pid);
	for (uint32_t i = 0; i < IDLE_RINGS; i++) {
		guests[i] = harness_ring_add(&fixture.context, 100 + i);
		assert_int_equal(harness_ask(guests[i], ECHO_ARGUMENT, i), i);
		/* The pages of the ring itself are the guest's. */
		munmap(guests[i]->base, ASG_GUEST_SIZE);
		guests[i]->base = NULL;
	}
	/* TSan has a thread of its own at work. */
	await_idle(ticks_of, &pid, 2000, HAS_SANITIZER ? 20 : 0);
	uint64_t kib = (harness_resident_kib(pid) - before_kib) / IDLE_RINGS;
	print_message("# %llu KiB for each idle ring, 12 of them the ring itself\n", (unsigned long long)kib);
	assert_true(kib < (HAS_SANITIZER ? 4096 : 64));
	finish_in_order(&fixture);
	for (uint32_t i = 0; i < IDLE_RINGS; i++) {
		neep_close_fd(&guests[i]->memory_fd);
		free(guests[i]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(program_says_what_it_is_when_run_by_hand),
		fd_checked_test(rings_are_served_until_the_context_ends),
		fd_checked_test(ring_that_was_removed_is_served_no_more),
		fd_checked_test(removing_a_ring_waits_for_nobody),
		fd_checked_test(ring_that_cannot_be_served_loses_the_context),
		fd_checked_test(lost_context_is_told),
		fd_checked_test(successor_answers_that_all_is_lost),
		fd_checked_test(broken_ring_loses_the_context),
		fd_checked_test(wrong_message_loses_the_context),
		fd_checked_test(missing_driver_is_told),
		fd_checked_test(crash_is_told_by_the_spawner),
		fd_checked_test(kill_ends_one_that_does_not_end_by_itself),
		fd_checked_test(end_of_the_spawner_leaves_nothing_behind),
		fd_checked_test(blob_comes_before_the_reply),
		fd_checked_test(resource_is_found_also_when_it_comes_late),
		fd_checked_test(fences_are_told_when_they_are_signalled),
#if !HAS_SANITIZER
		fd_checked_test(memory_limit_holds),
#endif
		fd_checked_test(cpu_limit_holds),
		fd_checked_test(idle_rings_cost_little),
	};
	return cmocka_run_group_tests_name("renderer_process", tests, NULL, NULL);
}
