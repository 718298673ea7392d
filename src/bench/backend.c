#include "bench/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "driver/frontend.h"
#include "util/clock.h"
#include "util/fd.h"

#define CONNECT_STEP_NS (50 * NEEP_NS_PER_MS)
#define CONNECT_NS      (10 * NEEP_NS_PER_S)
#define STOP_NS         (500 * NEEP_NS_PER_MS)

struct bench_backend {
	pid_t pid; // also its process group; 0: ended and waited for
	int status;
	char folder[64];
	char socket_path[96];
};

/* The command with every {socket} replaced, to be freed; NULL for want of memory. */
static char *expand(const char *command, const char *socket_path) {
	static const char key[] = "{socket}";
	char *out = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&out, &size);
	if (stream == NULL) {
		return NULL;
	}
	const char *at;
	while ((at = strstr(command, key)) != NULL) {
		fprintf(stream, "%.*s%s", (int)(at - command), command, socket_path);
		command = at + strlen(key);
	}
	fprintf(stream, "%s", command);
	return fclose(stream) == 0 ? out : NULL;
}

_Noreturn static void become(const char *command) {
	/* A group of its own, so that stop reaches the shell and what it started; gone with us, whatever ends us. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	/* Our standard output is the table. */
	dup2(null, STDOUT_FILENO);
	if (getenv("NEEP_BENCH_VERBOSE") == NULL) {
		dup2(null, STDERR_FILENO);
	}
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static int start_child(struct bench_backend *backend, const char *command) {
	char *expanded = NULL;
	char *line = expand(command, backend->socket_path);
	if (line == NULL || asprintf(&expanded, "exec %s", line) < 0) {
		free(line);
		return -ENOMEM;
	}
	backend->pid = fork();
	if (backend->pid == 0) {
		become(expanded);
	}
	free(line);
	free(expanded);
	return backend->pid < 0 ? -errno : 0;
}

struct bench_backend *bench_backend_start(const char *command, struct neep_error *error) {
	struct bench_backend *backend = calloc(1, sizeof(*backend));
	if (backend == NULL) {
		neep_error_set(error, ENOMEM, "back-end");
		return NULL;
	}
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	snprintf(backend->folder, sizeof(backend->folder), "%s/neep-bench-XXXXXX",
		runtime != NULL && strlen(runtime) < 32 ? runtime : "/tmp");
	if (mkdtemp(backend->folder) == NULL) {
		neep_error_set(error, errno, "cannot create folder %s", backend->folder);
		free(backend);
		return NULL;
	}
	snprintf(backend->socket_path, sizeof(backend->socket_path), "%s/gpu.sock", backend->folder);
	int result = start_child(backend, command);
	if (result < 0) {
		neep_error_set(error, -result, "cannot start %s", command);
		bench_backend_stop(backend);
		return NULL;
	}
	return backend;
}

static bool reap(struct bench_backend *backend) {
	if (backend->pid > 0 && waitpid(backend->pid, &backend->status, WNOHANG) == backend->pid) {
		backend->pid = 0;
	}
	return backend->pid <= 0;
}

bool bench_backend_has_ended(struct bench_backend *backend, char *text, size_t text_size) {
	text[0] = '\0';
	if (!reap(backend)) {
		return false;
	}
	if (WIFSIGNALED(backend->status)) {
		snprintf(text, text_size, "signal %s", strsignal(WTERMSIG(backend->status)));
	} else {
		snprintf(text, text_size, "exit code %d", WEXITSTATUS(backend->status));
	}
	return true;
}

/* Nobody looks there again, and we may be ended any time. */
static void remove_socket(const struct bench_backend *backend) {
	unlink(backend->socket_path);
	rmdir(backend->folder);
}

int bench_backend_connect(struct bench_backend *backend, struct neep_error *error) {
	int64_t deadline = neep_clock_ns() + CONNECT_NS;
	char how[64];
	int fd;
	do {
		fd = neep_frontend_connect(backend->socket_path, CONNECT_STEP_NS, error);
		if (fd < 0 && bench_backend_has_ended(backend, how, sizeof(how))) {
			return neep_error_set(error, 0, "the back-end ended at its start: %s", how);
		}
	} while (fd < 0 && neep_clock_ns() < deadline);
	if (fd >= 0) {
		remove_socket(backend);
	}
	return fd;
}

static void pause_briefly(void) {
	struct timespec pause = { .tv_nsec = 2 * NEEP_NS_PER_MS };
	nanosleep(&pause, NULL);
}

static void end_child(struct bench_backend *backend) {
	pid_t group = backend->pid;
	if (reap(backend)) {
		return;
	}
	kill(group, SIGTERM);
	int64_t deadline = neep_clock_ns() + STOP_NS;
	while (!reap(backend) && neep_clock_ns() < deadline) {
		pause_briefly();
	}
	kill(-group, SIGKILL);
	if (backend->pid > 0) {
		waitpid(backend->pid, &backend->status, 0);
		backend->pid = 0;
	}
}

void bench_backend_stop(struct bench_backend *backend) {
	if (backend == NULL) {
		return;
	}
	end_child(backend);
	remove_socket(backend);
	free(backend);
}

int bench_backend_memory(struct bench_backend *backend, struct bench_memory *memory) {
	return reap(backend) ? -ESRCH : bench_family_memory(backend->pid, memory);
}

int64_t bench_backend_cpu_ns(struct bench_backend *backend) {
	return reap(backend) ? -ESRCH : bench_family_cpu_ns(backend->pid);
}
