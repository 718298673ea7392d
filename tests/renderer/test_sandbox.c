/* What a renderer can and cannot do once it reads the bytes of a guest, tried from inside. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "renderer/harness.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/macros.h"

struct fixture {
	struct harness harness;
	struct harness_context context;
	struct asg_guest *guest;
};

static int setup(void **state) {
	static struct fixture fixture;
	*state = &fixture;
	harness_start(&fixture.harness, NULL);
	harness_context_start(&fixture.harness, &fixture.context);
	fixture.guest = harness_ring_add(&fixture.context, 1);
	*state = &fixture;
	return 0;
}

static int teardown(void **state) {
	struct fixture *fixture = *state;
	harness_context_close(&fixture->context);
	struct neep_worker_exited exited = harness_context_wait(&fixture->context);
	harness_finish(&fixture->harness);
	asg_guest_destroy(fixture->guest);
	return exited.wait_status;
}

/* Whether this host lets us have what the sandbox is made of. */
static bool has_namespaces(void) {
	pid_t pid =
		(pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		_exit(0);
	}
	int status;
	return pid > 0 && waitpid(pid, &status, 0) == pid;
}

/* A sanitizer wants more memory and more system calls than there are. */
#if !HAS_SANITIZER
static void system_calls_beyond_the_list_are_refused(void **state) {
	struct fixture *fixture = *state;
	for (uint32_t i = 0; i < ECHO_TRY_END_OF_SYSTEM_CALLS; i++) {
		assert_int_equal(harness_ask(fixture->guest, ECHO_TRY, i), EPERM);
	}
	assert_int_equal(harness_ask(fixture->guest, ECHO_ARGUMENT, 1), 1);
}
#endif

static void files_beyond_the_view_are_not_there(void **state) {
	static const uint32_t expected[] = {
		[ECHO_TRY_READ_HOME - ECHO_TRY_END_OF_SYSTEM_CALLS] = ENOENT,
		[ECHO_TRY_READ_PASSWD - ECHO_TRY_END_OF_SYSTEM_CALLS] = ENOENT,
		[ECHO_TRY_READ_OTHERS - ECHO_TRY_END_OF_SYSTEM_CALLS] = ENOENT,
		[ECHO_TRY_WRITE_USR - ECHO_TRY_END_OF_SYSTEM_CALLS] = EROFS,
		[ECHO_TRY_WRITE_ROOT - ECHO_TRY_END_OF_SYSTEM_CALLS] = EROFS,
		[ECHO_TRY_WRITE_SYSCTL - ECHO_TRY_END_OF_SYSTEM_CALLS] = EROFS,
	};
	struct fixture *fixture = *state;
	if (!has_namespaces()) {
		skip();
	}
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(expected); i++) {
		uint32_t what = ECHO_TRY_END_OF_SYSTEM_CALLS + i;
		assert_int_equal(harness_ask(fixture->guest, ECHO_TRY, what), expected[i]);
	}
}

static void drivers_find_what_they_need(void **state) {
	struct fixture *fixture = *state;
	unlink("/tmp/neep-was-here");
	for (uint32_t i = ECHO_TRY_END_OF_FILES; i < ECHO_TRY_END; i++) {
		assert_int_equal(harness_ask(fixture->guest, ECHO_TRY, i), 0);
	}
	/* Its /tmp is its own. */
	assert_true(!has_namespaces() || access("/tmp/neep-was-here", F_OK) < 0);
}

static void shaders_outlive_renderer_only_where_a_folder_is_named(void **state) {
	struct fixture *fixture = *state;
	assert_int_equal(harness_ask(fixture->guest, ECHO_CACHE, 0), ENOENT);
	char folder[] = "/var/tmp/neep-shaders-XXXXXX", path[64];
	assert_non_null(mkdtemp(folder));
	setenv("MESA_SHADER_CACHE_DIR", folder, 1);
	struct fixture named;
	harness_start(&named.harness, NULL);
	unsetenv("MESA_SHADER_CACHE_DIR");
	harness_context_start(&named.harness, &named.context);
	named.guest = harness_ring_add(&named.context, 1);
	void *named_state = &named;
	assert_int_equal(harness_ask(named.guest, ECHO_CACHE, 0), 0);
	teardown(&named_state);
	snprintf(path, sizeof(path), "%s/shader", folder);
	assert_int_equal(unlink(path), 0);
	rmdir(folder);
}

/* Standard descriptors, its socket, the loop's, the ring's. */
static void few_descriptors_are_open(void **state) {
	struct fixture *fixture = *state;
	assert_true(harness_ask(fixture->guest, ECHO_FDS, 0) <= 10);
}

static void status_line(pid_t pid, const char *name, char *value, size_t size) {
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	value[0] = '\0';
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
			snprintf(value, size, "%s", line + strlen(name) + 2);
			value[strcspn(value, "\n")] = '\0';
		}
	}
	fclose(file);
}

static void rights_are_given_up(void **state) {
	struct fixture *fixture = *state;
	char value[128];
	assert_int_equal(harness_ask(fixture->guest, ECHO_ARGUMENT, 1), 1);
	pid_t pid = harness_child_of(fixture->harness.pid);
	assert_true(pid > 0);
	status_line(pid, "NoNewPrivs", value, sizeof(value));
	assert_string_equal(value, "1");
	status_line(pid, "CapEff", value, sizeof(value));
	assert_string_equal(value, "0000000000000000");
	status_line(pid, "CapPrm", value, sizeof(value));
	assert_string_equal(value, "0000000000000000");
	status_line(pid, "Seccomp", value, sizeof(value));
	assert_string_equal(value, HAS_SANITIZER ? "0" : "2");
}

static void namespaces_are_its_own(void **state) {
	static const char *const names[] = { "user", "mnt", "net", "ipc", "pid", "uts" };
	struct fixture *fixture = *state;
	if (!has_namespaces()) {
		skip();
	}
	assert_int_equal(harness_ask(fixture->guest, ECHO_PID, 0), 1);
	pid_t pid = harness_child_of(fixture->harness.pid);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(names); i++) {
		char path[64], ours[64] = "", its[64] = "";
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		assert_true(readlink(path, ours, sizeof(ours) - 1) > 0);
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, names[i]);
		/* Not readable is as good. */
		if (readlink(path, its, sizeof(its) - 1) > 0) {
			assert_string_not_equal(ours, its);
		}
	}
}

static void nothing_is_taken_away_without_the_sandbox(void **state) {
	(void)state;
	struct fixture fixture;
	harness_start(&fixture.harness, "--no-sandbox");
	harness_context_start(&fixture.harness, &fixture.context);
	fixture.guest = harness_ring_add(&fixture.context, 1);
	assert_int_equal(harness_ask(fixture.guest, ECHO_TRY, ECHO_TRY_SOCKET), 0);
	assert_int_equal(harness_ask(fixture.guest, ECHO_TRY, ECHO_TRY_READ_PASSWD), 0);
	assert_int_not_equal(harness_ask(fixture.guest, ECHO_PID, 0), 1);
	harness_context_close(&fixture.context);
	harness_context_wait(&fixture.context);
	harness_finish(&fixture.harness);
	asg_guest_destroy(fixture.guest);
}

/* As on a host that forbids namespaces: the spawner is started where no more may be made. */
static void renderer_runs_where_namespaces_are_forbidden(void **state) {
	(void)state;
	struct fixture fixture;
	if (!has_namespaces()) {
		skip();
	}
	harness_start_without_namespaces(&fixture.harness);
	harness_context_start(&fixture.harness, &fixture.context);
	fixture.guest = harness_ring_add(&fixture.context, 1);
	assert_int_equal(harness_ask(fixture.guest, ECHO_ARGUMENT, 3), 3);
	assert_int_not_equal(harness_ask(fixture.guest, ECHO_PID, 0), 1);
	if (!HAS_SANITIZER) {
		assert_int_equal(harness_ask(fixture.guest, ECHO_TRY, ECHO_TRY_SOCKET), EPERM);
	}
	harness_context_close(&fixture.context);
	harness_context_wait(&fixture.context);
	harness_finish(&fixture.harness);
	asg_guest_destroy(fixture.guest);
}

#define sandboxed_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
#if !HAS_SANITIZER
		sandboxed_test(system_calls_beyond_the_list_are_refused),
#endif
		sandboxed_test(files_beyond_the_view_are_not_there),
		sandboxed_test(drivers_find_what_they_need),
		sandboxed_test(shaders_outlive_renderer_only_where_a_folder_is_named),
		sandboxed_test(few_descriptors_are_open),
		sandboxed_test(rights_are_given_up),
		sandboxed_test(namespaces_are_its_own),
		fd_checked_test(nothing_is_taken_away_without_the_sandbox),
		fd_checked_test(renderer_runs_where_namespaces_are_forbidden),
	};
	return cmocka_run_group_tests_name("renderer_sandbox", tests, NULL, NULL);
}
