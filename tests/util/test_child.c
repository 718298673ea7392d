#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/child.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"

static int prepare_result;
static const sigset_t *prepare_signals; // NULL: as they are

static int prepare(void *data) {
	/* What the child says of itself is not for the test's output. */
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, 2);
	close(null);
	setenv("NEEP_TEST_CHILD", data, 1);
	if (prepare_signals != NULL) {
		sigprocmask(SIG_SETMASK, prepare_signals, NULL);
	}
	return prepare_result;
}

static int run(const char *program, const char *script) {
	char *argv[] = { (char *)program, (char *)"-c", (char *)script, NULL };
	struct neep_child_params params = {
		.name = "test", .argv = argv, .prepare = prepare, .data = (char *)"here"
	};
	sigset_t signals;
	sigprocmask(SIG_SETMASK, NULL, &signals);
	struct neep_loop *loop = neep_loop_create();
	struct neep_error error;
	int result = neep_child_run(loop, &params, &error);
	neep_loop_destroy(loop);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	return result;
}

static void child_gives_the_status_of_a_shell(void **state) {
	(void)state;
	assert_int_equal(run("sh", "exit 0"), 0);
	assert_int_equal(run("sh", "exit 42"), 42);
	assert_int_equal(run("sh", "kill -TERM $$"), 128 + SIGTERM);
	assert_int_equal(run("/no/such/program", ""), 127);
	assert_int_equal(run("/etc/passwd", ""), 126);
}

static void child_is_prepared_before_its_program(void **state) {
	(void)state;
	assert_int_equal(run("sh", "test \"$NEEP_TEST_CHILD\" = here"), 0);
	prepare_result = -EPERM;
	assert_int_equal(run("sh", "exit 0"), 126);
	prepare_result = 0;
}

static void child_has_the_signals_of_its_parent_at_first(void **state) {
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	/* A blocked or an ignored signal would not end it. */
	assert_int_equal(run("sh", "kill -INT $$"), 128 + SIGINT);
	assert_int_equal(run("sh", "kill -PIPE $$"), 128 + SIGPIPE);
	signal(SIGPIPE, SIG_DFL);
}

static void signals_go_on_to_the_child(void **state) {
	(void)state;
	assert_int_equal(run("sh", "trap 'kill $!; exit 9' USR1; sleep 60 & kill -USR1 $PPID; wait"), 9);
}

static void held_signal_waits_for_the_child(void **state) {
	(void)state;
	sigset_t were;
	neep_child_hold_signals(&were);
	assert_int_equal(sigismember(&were, SIGTERM), 0);
	kill(getpid(), SIGTERM);
	prepare_signals = &were;
	/* Of itself it would not end. */
	int result = run("sh", "while :; do sleep 1; done");
	prepare_signals = NULL;
	sigprocmask(SIG_SETMASK, &were, NULL);
	assert_int_equal(result, 128 + SIGTERM);
}

static pid_t start(const char *script) {
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void end_of_a_child_is_awaited(void **state) {
	(void)state;
	pid_t pid = start("sleep 0.1");
	neep_child_end(pid, 60 * NEEP_NS_PER_S);
	assert_int_equal(kill(pid, 0), -1);
}

static void child_that_does_not_end_is_killed(void **state) {
	(void)state;
	pid_t pid = start("exec sleep 600");
	neep_child_end(pid, NEEP_NS_PER_MS);
	assert_int_equal(kill(pid, 0), -1);
	pid = start("exec sleep 600");
	neep_child_end(pid, 0);
	assert_int_equal(kill(pid, 0), -1);
}

struct ticker {
	struct neep_loop *loop;
	struct neep_timer timer;
	int fd;
};

static void tick(struct neep_timer *timer) {
	struct ticker *ticker = neep_container_of(timer, struct ticker, timer);
	assert_int_equal(write(ticker->fd, "x", 1), 1);
}

static void loop_runs_while_the_child_does(void **state) {
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	int saved = neep_fd_dup(0);
	dup2(fds[0], 0);
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"head -c 1 >/dev/null", NULL };
	struct neep_child_params params = { .name = "test", .argv = argv };
	struct ticker ticker = { .loop = neep_loop_create(), .timer.fire = tick, .fd = fds[1] };
	struct neep_error error;
	neep_timer_arm(ticker.loop, &ticker.timer, 1000000);
	assert_int_equal(neep_child_run(ticker.loop, &params, &error), 0);
	neep_loop_destroy(ticker.loop);
	dup2(saved, 0);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(child_gives_the_status_of_a_shell),
		fd_checked_test(child_is_prepared_before_its_program),
		fd_checked_test(child_has_the_signals_of_its_parent_at_first),
		fd_checked_test(signals_go_on_to_the_child),
		fd_checked_test(held_signal_waits_for_the_child),
		fd_checked_test(end_of_a_child_is_awaited),
		fd_checked_test(child_that_does_not_end_is_killed),
		fd_checked_test(loop_runs_while_the_child_does),
	};
	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
