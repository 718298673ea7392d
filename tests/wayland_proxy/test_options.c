/* The command line, the policy it makes, and the listening socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/macros.h"
#include "wayland/listen.h"
#include "wayland/options.h"
#include "wayland/wayland-protocol.h"

/* Words up to NULL; nothing is told on stderr. */
static int parse(struct neep_wl_options *options, char **words) {
	static char *argv[16];
	argv[0] = (char *)"neep-wayland";
	int argc = 1;
	for (; words[argc - 1] != NULL; argc++) {
		argv[argc] = words[argc - 1];
	}
	argv[argc] = NULL;
	fflush(stderr);
	int saved = neep_fd_dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, 2);
	int code = neep_wl_options_parse(options, argc, argv);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	close(null);
	return code;
}

#define PARSE(options, ...) parse((options), (char *[]){ __VA_ARGS__, NULL })

static void options_keep_what_is_said(void **state) {
	(void)state;
	struct neep_wl_options options;
	assert_int_equal(
		PARSE(&options, "--socket", "w", "--host-socket", "/h", "--allow", "zwlr_layer_shell_v1",
			"--title-prefix", "[vm] ", "--x11", "--log", "debug", "--", "foot", "--help"),
		-1);
	assert_string_equal(options.socket, "w");
	assert_string_equal(options.host_socket, "/h");
	assert_string_equal(options.policy.title_prefix, "[vm] ");
	assert_true(options.has_x11);
	assert_int_equal(options.x11_width, 1280);
	assert_int_equal(options.log_level, NEEP_LOG_DEBUG);
	assert_string_equal(options.program[0], "foot");
	assert_string_equal(options.program[1], "--help");
	assert_null(options.program[2]);
	assert_int_equal(PARSE(&options, "foot", "-x"), -1);
	assert_string_equal(options.program[0], "foot");
	assert_int_equal(PARSE(&options, "--deny=wl_seat,wl_output"), -1);
	assert_null(options.program);
	assert_int_equal(PARSE(&options, "--x11=32x32767", "xterm"), -1);
	assert_int_equal(options.x11_width, 32);
	assert_int_equal(options.x11_height, 32767);
}

static void options_refuse_what_they_do_not_know(void **state) {
	(void)state;
	struct neep_wl_options options;
	assert_int_equal(PARSE(&options, "--nonsense"), 2);
	assert_int_equal(PARSE(&options, "-q"), 2);
	assert_int_equal(PARSE(&options, "--socket"), 2);
	assert_int_equal(PARSE(&options, "--log", "loud"), 2);
	assert_int_equal(PARSE(&options, "--deny", "wl_nothing"), 2);
	assert_int_equal(PARSE(&options, "--allow", "wl_seat,"), -1);
	assert_int_equal(PARSE(&options, "--allow", "wl_seat,,wl_output"), 2);
	assert_int_equal(PARSE(&options, "--allow", "wl_sea"), 2);
	assert_int_equal(PARSE(&options, "--device", "/dev/x", "--host-socket", "/y"), 2);
	assert_int_equal(PARSE(&options, "--x11="), 2);
	assert_int_equal(PARSE(&options, "--x11=640"), 2);
	assert_int_equal(PARSE(&options, "--x11=31x480"), 2);
	assert_int_equal(PARSE(&options, "--x11=640x32768"), 2);
	assert_int_equal(PARSE(&options, "--x11=640x480x"), 2);
}

static uint32_t version(const struct neep_wl_policy *policy, const char *name, uint32_t host_version) {
	const struct wl_interface *interface = NULL;
	uint32_t result = neep_wl_policy_version(policy, name, host_version, &interface);
	assert_true(result == 0 || strcmp(interface->name, name) == 0);
	return result;
}

static void policy_shows_what_is_known_and_not_denied(void **state) {
	(void)state;
	struct neep_wl_policy policy = { 0 };
	assert_int_equal(version(&policy, "wl_compositor", 3), 3);
	assert_in_range(version(&policy, "wl_compositor", UINT32_MAX), 4, 6);
	assert_int_equal(version(&policy, "wl_compositor", 0), 0);
	assert_int_equal(version(&policy, "wl_compositorx", 3), 0);
	assert_int_equal(version(&policy, "", 3), 0);
	/* An interface, but no global. */
	assert_int_equal(version(&policy, "wl_surface", 3), 0);
	assert_int_equal(version(&policy, "zwlr_layer_shell_v1", 4), 0);
	policy.allow = "ext_idle_notifier_v1,zwlr_layer_shell_v1";
	assert_int_equal(version(&policy, "zwlr_layer_shell_v1", 4), 4);
	policy.deny = "zwlr_layer_shell_v1,wl_seat";
	assert_int_equal(version(&policy, "zwlr_layer_shell_v1", 4), 0);
	assert_int_equal(version(&policy, "wl_seat", 5), 0);
	assert_int_equal(version(&policy, "wl_shm", 1), 1);
}

static void policy_tells_each_hidden_name_once(void **state) {
	(void)state;
	static struct neep_wl_hidden hidden;
	struct neep_wl_policy policy = { .hidden = &hidden };
	char name[80];
	for (int round = 0; round < 3; round++) {
		neep_wl_policy_tell_hidden(&policy, "a_b_v1");
		neep_wl_policy_tell_hidden(&policy, "bad\nname");
		memset(name, 'x', sizeof(name));
		name[sizeof(name) - 1] = '\0';
		neep_wl_policy_tell_hidden(&policy, name);
	}
	assert_int_equal(hidden.count, 1);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "global_%d", i);
		neep_wl_policy_tell_hidden(&policy, name);
	}
	assert_int_equal(hidden.count, NEEP_ARRAY_LEN(hidden.names));
}

/* ---- sockets ---- */

static char folder[64];

static int folder_setup(void **state) {
	strcpy(folder, "/tmp/neep-listen-XXXXXX");
	assert_non_null(mkdtemp(folder));
	setenv("XDG_RUNTIME_DIR", folder, 1);
	return fd_check_setup(state);
}

static int folder_teardown(void **state) {
	unsetenv("XDG_RUNTIME_DIR");
	/* Nothing was left behind. */
	assert_int_equal(rmdir(folder), 0);
	return fd_check_teardown(state);
}

static bool answers(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void listen_takes_the_first_free_name(void **state) {
	(void)state;
	struct neep_wl_listen one, two;
	struct neep_error error;
	assert_int_equal(neep_wl_listen_start(&one, NULL, &error), 0);
	assert_int_equal(neep_wl_listen_start(&two, NULL, &error), 0);
	assert_string_equal(one.display, "wayland-1");
	assert_string_equal(two.display, "wayland-2");
	assert_true(answers(one.path));
	assert_true(answers(two.path));
	neep_wl_listen_finish(&one);
	neep_wl_listen_finish(&two);
}

static void listen_refuses_a_name_in_use_and_replaces_a_stale_one(void **state) {
	(void)state;
	struct neep_wl_listen one, two;
	struct neep_error error;
	assert_int_equal(neep_wl_listen_start(&one, "here", &error), 0);
	assert_int_equal(neep_wl_listen_start(&two, "here", &error), -EADDRINUSE);
	assert_true(answers(one.path));
	/* As after SIGKILL: files without a process. */
	neep_close_fd(&one.fd);
	neep_close_fd(&one.lock_fd);
	assert_int_equal(neep_wl_listen_start(&two, "here", &error), 0);
	assert_true(answers(two.path));
	neep_wl_listen_finish(&two);
}

static void listen_gives_the_whole_path_when_there_is_no_runtime_folder(void **state) {
	(void)state;
	struct neep_wl_listen listener;
	struct neep_error error;
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(neep_wl_listen_start(&listener, NULL, &error), 0);
	assert_int_equal(listener.display[0], '/');
	assert_true(answers(listener.display));
	struct stat st;
	assert_int_equal(stat(listener.folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	neep_wl_listen_finish(&listener);
	assert_int_equal(stat(listener.folder, &st), -1);
	assert_int_equal(neep_wl_listen_start(&listener, "name", &error), -EINVAL);
}

static void listen_refuses_paths_that_cannot_be(void **state) {
	(void)state;
	struct neep_wl_listen listener;
	struct neep_error error;
	char path[200];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(neep_wl_listen_start(&listener, path, &error), -ENAMETOOLONG);
	assert_int_equal(neep_wl_listen_start(&listener, "/nowhere/at/all", &error), -ENOENT);
	assert_int_equal(listener.fd, -1);
}

/* The fds that systemd passes begin at 3: in a child, where nothing else is there. */
static int passed_child(const char *names, int count, int wanted) {
	for (int fd = 3; fd < 3 + count; fd++) {
		char path[128];
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		snprintf(path, sizeof(path), "%s/passed-%d", folder, fd);
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
		int made = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(made, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(made, 1) < 0) {
			return 10;
		}
		dup2(made, fd);
		if (made != fd) {
			close(made);
		}
		unlink(path);
	}
	char number[16], expected[128];
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	struct neep_wl_listen listener;
	struct neep_error error;
	if (neep_wl_listen_start(&listener, NULL, &error) < 0 || getenv("LISTEN_FDS") != NULL) {
		return 11;
	}
	snprintf(expected, sizeof(expected), "%s/passed-%d", folder, wanted);
	bool is_right = listener.fd == wanted && strcmp(listener.display, expected) == 0 &&
			(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC) != 0;
	neep_wl_listen_finish(&listener);
	return is_right ? 0 : 12;
}

static int exit_of(int (*run)(const char *, int, int), const char *names, int count, int wanted) {
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 3; fd < 64; fd++) {
			close(fd);
		}
		_exit(run(names, count, wanted));
	}
	int status;
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void listen_takes_the_socket_from_systemd(void **state) {
	(void)state;
	assert_int_equal(exit_of(passed_child, "anything", 1, 3), 0);
	assert_int_equal(exit_of(passed_child, "x11:wayland:more", 3, 4), 0);
	assert_int_equal(exit_of(passed_child, "wayland", 1, 3), 0);
}

static void listen_ignores_fds_that_are_for_another_process(void **state) {
	(void)state;
	struct neep_wl_listen listener;
	struct neep_error error;
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(neep_wl_listen_start(&listener, NULL, &error), 0);
	assert_string_equal(listener.display, "wayland-1");
	neep_wl_listen_finish(&listener);
}

#define folder_test(fn) cmocka_unit_test_setup_teardown(fn, folder_setup, folder_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(options_keep_what_is_said),
		fd_checked_test(options_refuse_what_they_do_not_know),
		fd_checked_test(policy_shows_what_is_known_and_not_denied),
		fd_checked_test(policy_tells_each_hidden_name_once),
		folder_test(listen_takes_the_first_free_name),
		folder_test(listen_refuses_a_name_in_use_and_replaces_a_stale_one),
		folder_test(listen_gives_the_whole_path_when_there_is_no_runtime_folder),
		folder_test(listen_refuses_paths_that_cannot_be),
		folder_test(listen_takes_the_socket_from_systemd),
		folder_test(listen_ignores_fds_that_are_for_another_process),
	};
	return cmocka_run_group_tests_name("wayland_options", tests, NULL, NULL);
}
