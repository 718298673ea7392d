/* The life of the process: sockets, signals, sandbox. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/process.h"
#include "support/await.h"
#include "support/fd_check.h"
#include "util/macros.h"

static int setup(void **state) {
	folder_enter();
	return fd_check_setup(state);
}

static int teardown(void **state) {
	folder_leave();
	return fd_check_teardown(state);
}

static pid_t start(const char *words) {
	pid_t pid = process_start(daemon_program(), words);
	file_await("s");
	return pid;
}

static void daemon_ends_cleanly_on_a_signal(void **state) {
	(void)state;
	static const int signals[] = { SIGTERM, SIGINT };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(signals); i++) {
		pid_t pid = start("--socket-path s --control c");
		assert_true(file_exists("c"));
		kill(pid, signals[i]);
		assert_int_equal(process_wait(pid), 0);
		assert_false(file_exists("s"));
		assert_false(file_exists("c"));
	}
}

static void daemon_ends_on_a_signal_in_a_session(void **state) {
	(void)state;
	pid_t pid = start("--socket-path s --control c");
	int fd = socket_connect("s");
	int control = socket_connect("c");
	assert_string_equal(control_ask(control, "ping"), "ok");
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
	assert_false(file_exists("c"));
	close(control);
	close(fd);
}

static void daemon_serves_one_front_end_and_ends(void **state) {
	(void)state;
	pid_t pid = start("--socket-path s");
	int fd = socket_connect("s");
	assert_true(fd >= 0);
	await_true(!file_exists("s"));
	/* Nobody else gets in. */
	assert_int_equal(socket_connect("s"), -ENOENT);
	close(fd);
	assert_int_equal(process_wait(pid), 0);
}

static void daemon_that_keeps_listening_serves_the_next(void **state) {
	(void)state;
	pid_t pid = start("--socket-path s --keep-listening");
	for (int i = 0; i < 3; i++) {
		int fd = socket_connect("s");
		assert_true(fd >= 0);
		close(fd);
	}
	int fd = socket_connect("s");
	/* GET_FEATURES is answered, so this is the session that is served. */
	uint32_t request[3] = { 1, 1, 0 };
	uint32_t reply[5] = { 0 };
	assert_int_equal(send(fd, request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
	assert_int_equal(recv(fd, reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	uint64_t features;
	memcpy(&features, &reply[3], sizeof(features));
	assert_true((features & (UINT64_C(1) << 32)) != 0);
	close(fd);
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
	assert_false(file_exists("s"));
}

static void daemon_offers_its_transport_features(void **state) {
	(void)state;
	pid_t pid = start("--socket-path s");
	int fd = socket_connect("s");
	uint32_t request[3] = { 1, 1, 0 };
	uint32_t reply[5] = { 0 };
	assert_int_equal(send(fd, request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
	assert_int_equal(recv(fd, reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	uint64_t features;
	memcpy(&features, &reply[3], sizeof(features));
	static const int offered[] = { 1, 2, 3, 28, 29, 30, 32, 34 };
	static const int refused[] = { 0, 4, 24, 26, 33, 35, 38 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(offered); i++) {
		assert_true((features & (UINT64_C(1) << offered[i])) != 0);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(refused); i++) {
		assert_true((features & (UINT64_C(1) << refused[i])) == 0);
	}
	close(fd);
	assert_int_equal(process_wait(pid), 0);
}

static void daemon_serves_an_inherited_socket(void **state) {
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	char words[32];
	snprintf(words, sizeof(words), "--fd %d", pair[1]);
	pid_t pid = process_start(daemon_program(), words);
	close(pair[1]);
	uint32_t request[3] = { 1, 1, 0 };
	uint32_t reply[5] = { 0 };
	assert_int_equal(send(pair[0], request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
	assert_int_equal(recv(pair[0], reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	assert_int_equal(reply[1], 5);
	close(pair[0]);
	assert_int_equal(process_wait(pid), 0);
}

static void fd_and_path_exclude_each_other(void **state) {
	(void)state;
	static struct process_result result;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	char words[64];
	snprintf(words, sizeof(words), "--fd %d --socket-path s", pair[1]);
	process_run(daemon_program(), words, &result);
	assert_string_equal(result.err, "vhost-user-neep: give either --socket-path PATH or --fd N\n");
	assert_int_equal(result.code, 2);
	snprintf(words, sizeof(words), "--fd %d --keep-listening", pair[1]);
	process_run(daemon_program(), words, &result);
	assert_string_equal(result.err, "vhost-user-neep: --keep-listening: needs --socket-path, not --fd\n");
	assert_int_equal(result.code, 2);
	close(pair[0]);
	close(pair[1]);
}

static void daemon_refuses_the_path_of_a_running_one(void **state) {
	(void)state;
	static struct process_result result;
	pid_t pid = start("--socket-path s --control c");
	process_run(daemon_program(), "--socket-path s", &result);
	assert_non_null(strstr(result.err,
		"vhost-user-neep: s belongs to a running process; end that, or take another path\n"));
	assert_int_equal(result.code, 1);
	process_run(daemon_program(), "--socket-path other --control c", &result);
	assert_int_equal(result.code, 1);
	assert_false(file_exists("other"));
	/* The running one has noticed nothing. */
	int fd = socket_connect("s");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(process_wait(pid), 0);
}

static void daemon_takes_over_the_path_of_a_dead_one(void **state) {
	(void)state;
	pid_t pid = start("--socket-path s");
	kill(pid, SIGKILL);
	assert_int_equal(process_wait(pid), -1);
	assert_true(file_exists("s"));
	pid = process_start(daemon_program(), "--socket-path s");
	int fd = -1;
	await_true((fd = socket_connect("s")) >= 0);
	close(fd);
	assert_int_equal(process_wait(pid), 0);
}

/* The value of a line of /proc/PID/status. */
static int status_of(pid_t pid, const char *name) {
	char path[64], line[256];
	int value = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
			value = atoi(line + strlen(name) + 1);
		}
	}
	fclose(file);
	return value;
}

static void daemon_is_sandboxed_unless_told_otherwise(void **state) {
	(void)state;
	/* Builds with sanitizers need more system calls than the list has, and go without. */
	if (getenv("NEEP_SANITIZED") != NULL) {
		return;
	}
	pid_t pid = start("--socket-path s --control c");
	int control = socket_connect("c");
	assert_string_equal(control_ask(control, "ping"), "ok");
	assert_int_equal(status_of(pid, "Seccomp"), 2);
	assert_int_equal(status_of(pid, "NoNewPrivs"), 1);
	close(control);
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
	pid = start("--socket-path s --control c --no-sandbox");
	control = socket_connect("c");
	assert_string_equal(control_ask(control, "ping"), "ok");
	assert_int_equal(status_of(pid, "Seccomp"), 0);
	close(control);
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 0);
}

#define in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		in_folder(daemon_ends_cleanly_on_a_signal),
		in_folder(daemon_ends_on_a_signal_in_a_session),
		in_folder(daemon_serves_one_front_end_and_ends),
		in_folder(daemon_that_keeps_listening_serves_the_next),
		in_folder(daemon_offers_its_transport_features),
		in_folder(daemon_serves_an_inherited_socket),
		in_folder(fd_and_path_exclude_each_other),
		in_folder(daemon_refuses_the_path_of_a_running_one),
		in_folder(daemon_takes_over_the_path_of_a_dead_one),
		in_folder(daemon_is_sandboxed_unless_told_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
