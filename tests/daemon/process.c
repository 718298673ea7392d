#include "daemon/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/await.h"
#include "support/cmocka.h"

static char folder[64];

const char *daemon_program(void) {
	return getenv("NEEP_DAEMON");
}

const char *cli_program(void) {
	return getenv("NEEP_CLI");
}

static void split(const char *words, char *copy, char *argv[PROCESS_WORDS_MAX + 2]) {
	int count = 1;
	char *rest = NULL;
	strcpy(copy, words);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		assert_true(count <= PROCESS_WORDS_MAX);
		argv[count++] = strcmp(word, "\"\"") == 0 ? word + 2 : word;
	}
	argv[count] = NULL;
}

static pid_t spawn(const char *program, const char *words, int out, int err) {
	char copy[1024];
	char *argv[PROCESS_WORDS_MAX + 2];
	assert_non_null(program);
	argv[0] = strrchr(program, '/') + 1;
	split(words, copy, argv);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* What a test reads is not what somebody types. */
		dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execv(program, argv);
		_exit(127);
	}
	return pid;
}

static void read_back(int fd, char text[PROCESS_OUTPUT_MAX]) {
	ssize_t got = pread(fd, text, PROCESS_OUTPUT_MAX - 1, 0);
	assert_true(got >= 0);
	text[got] = '\0';
	close(fd);
}

void process_run(const char *program, const char *words, struct process_result *result) {
	int out = memfd_create("out", MFD_CLOEXEC);
	int err = memfd_create("err", MFD_CLOEXEC);
	result->code = process_wait(spawn(program, words, out, err));
	read_back(out, result->out);
	read_back(err, result->err);
}

void process_run_mistake(const char *program, const char *words, const char *line) {
	static struct process_result result;
	char expected[1024];
	snprintf(expected, sizeof(expected), "%s\n", line);
	process_run(program, words, &result);
	assert_string_equal(result.err, expected);
	assert_string_equal(result.out, "");
	assert_int_equal(result.code, 2);
}

pid_t process_start(const char *program, const char *words) {
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = spawn(program, words, null, null);
	close(null);
	return pid;
}

int process_wait(pid_t pid) {
	int status;
	int64_t end = await_end_ns();
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (neep_clock_ns() >= end) {
			kill(pid, SIGKILL);
		}
		usleep(1000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void folder_enter(void) {
	strcpy(folder, "/tmp/neep-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
}

void folder_leave(void) {
	DIR *dir = opendir(".");
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		unlink(entry->d_name);
	}
	closedir(dir);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(folder), 0);
}

bool file_exists(const char *path) {
	struct stat st;
	return lstat(path, &st) == 0;
}

void file_await(const char *path) {
	await_true(file_exists(path));
}

int socket_connect(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t end = await_end_ns();
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		/* The file is there a moment before its socket listens. */
		if (errno != ECONNREFUSED || neep_clock_ns() >= end) {
			int error = errno;
			close(fd);
			return -error;
		}
		usleep(1000);
	}
	return fd;
}

const char *control_ask(int fd, const char *line) {
	static char answer[4096];
	size_t used = 0;
	dprintf(fd, "%s\n", line);
	while (used == 0 || answer[used - 1] != '\n') {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		assert_int_equal(poll(&poll_fd, 1, (int)AWAIT_MS), 1);
		ssize_t got = read(fd, answer + used, sizeof(answer) - 1 - used);
		assert_true(got > 0);
		used += (size_t)got;
	}
	answer[used - 1] = '\0';
	return answer;
}
