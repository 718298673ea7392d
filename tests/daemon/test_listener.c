#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/listener.h"
#include "daemon/process.h"
#include "support/fd_check.h"
#include "util/fd.h"

static int setup(void **state) {
	folder_enter();
	return fd_check_setup(state);
}

static int teardown(void **state) {
	folder_leave();
	return fd_check_teardown(state);
}

static void listener_accepts_and_removes_its_file(void **state) {
	(void)state;
	struct neep_listener listener;
	struct neep_error error;
	assert_int_equal(neep_listener_open(&listener, "s", &error), 0);
	assert_true(accept(listener.fd, NULL, NULL) < 0 && errno == EAGAIN);
	int fd = socket_connect("s");
	assert_true(fd >= 0);
	int accepted = accept(listener.fd, NULL, NULL);
	assert_true(accepted >= 0);
	close(accepted);
	close(fd);
	neep_listener_close(&listener);
	assert_false(file_exists("s"));
	neep_listener_close(&listener);
}

static void listener_is_for_its_owner_whatever_the_umask(void **state) {
	(void)state;
	struct neep_listener listener;
	struct neep_error error;
	struct stat st;
	mode_t mask = umask(0);
	assert_int_equal(neep_listener_open(&listener, "s", &error), 0);
	umask(mask);
	assert_int_equal(lstat("s", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	neep_listener_close(&listener);
}

static void listener_replaces_a_stale_socket(void **state) {
	(void)state;
	struct neep_listener stale, listener;
	struct neep_error error;
	assert_int_equal(neep_listener_open(&stale, "s", &error), 0);
	neep_close_fd(&stale.fd);
	free(stale.path);
	assert_int_equal(neep_listener_open(&listener, "s", &error), 0);
	int fd = socket_connect("s");
	assert_true(fd >= 0);
	close(fd);
	neep_listener_close(&listener);
}

static void listener_leaves_the_file_of_its_successor(void **state) {
	(void)state;
	struct neep_listener first, second;
	struct neep_error error;
	assert_int_equal(neep_listener_open(&first, "s", &error), 0);
	unlink("s");
	assert_int_equal(neep_listener_open(&second, "s", &error), 0);
	neep_listener_close(&first);
	assert_true(file_exists("s"));
	neep_listener_close(&second);
}

static void listener_refuses_a_socket_in_use_unnoticed(void **state) {
	(void)state;
	struct neep_listener first, second;
	struct neep_error error;
	assert_int_equal(neep_listener_open(&first, "s", &error), 0);
	assert_true(neep_listener_open(&second, "s", &error) < 0);
	assert_string_equal(error.text, "s belongs to a running process; end that, or take another path");
	assert_int_equal(second.fd, -1);
	assert_true(accept(first.fd, NULL, NULL) < 0 && errno == EAGAIN);
	neep_listener_close(&second);
	neep_listener_close(&first);
}

static void listener_leaves_other_files_alone(void **state) {
	(void)state;
	struct neep_listener listener;
	struct neep_error error;
	close(open("s", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_true(neep_listener_open(&listener, "s", &error) < 0);
	assert_string_equal(error.text, "s is not a socket, and is left alone");
	assert_true(file_exists("s"));
}

static void listener_says_what_is_wrong_with_the_path(void **state) {
	(void)state;
	struct neep_listener listener;
	struct neep_error error;
	assert_true(neep_listener_open(&listener, "no/such/folder", &error) < 0);
	assert_string_equal(error.text, "cannot create the socket no/such/folder: No such file or directory");
	char path[109] = { 0 };
	memset(path, 'x', 108);
	assert_true(neep_listener_open(&listener, path, &error) < 0);
	assert_string_equal(error.text, "a socket path has 1 to 107 bytes");
	assert_true(neep_listener_open(&listener, "", &error) < 0);
	path[107] = '\0';
	assert_int_equal(neep_listener_open(&listener, path, &error), 0);
	neep_listener_close(&listener);
}

#define in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		in_folder(listener_accepts_and_removes_its_file),
		in_folder(listener_is_for_its_owner_whatever_the_umask),
		in_folder(listener_replaces_a_stale_socket),
		in_folder(listener_leaves_the_file_of_its_successor),
		in_folder(listener_refuses_a_socket_in_use_unnoticed),
		in_folder(listener_leaves_other_files_alone),
		in_folder(listener_says_what_is_wrong_with_the_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
