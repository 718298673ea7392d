#include "bench/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#define PROCESSES_MAX   64

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
	unlink(backend->socket_path);
	rmdir(backend->folder);
	free(backend);
}

/* ---- /proc ---- */

/* The process and its descendants. */
struct family {
	pid_t pids[PROCESSES_MAX];
	size_t count;
};

static void add_children(struct family *family, pid_t pid) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *file = fopen(path, "re");
	int child;
	while (file != NULL && family->count < PROCESSES_MAX && fscanf(file, "%d", &child) == 1) {
		family->pids[family->count++] = child;
	}
	if (file != NULL) {
		fclose(file);
	}
}

static struct family find_family(pid_t pid) {
	struct family family = { .pids = { pid }, .count = 1 };
	for (size_t i = 0; i < family.count; i++) {
		add_children(&family, family.pids[i]);
	}
	return family;
}

/* One mapping's lines in smaps. */
struct mapping {
	bool is_guest;
	bool is_shmem;
};

static struct mapping classify(const char *line) {
	return (struct mapping){
		.is_guest = strstr(line, "/memfd:guest-memory") != NULL,
		.is_shmem = strstr(line, "/memfd:") != NULL || strstr(line, "/dev/shm/") != NULL ||
			    strstr(line, "/dev/zero") != NULL,
	};
}

static void add_line(struct bench_memory *memory, const struct mapping *mapping, const char *line) {
	uint64_t kib;
	if (mapping->is_guest) {
		return;
	}
	if (sscanf(line, "Rss: %" SCNu64, &kib) == 1) {
		memory->rss += kib * 1024;
		memory->shmem += mapping->is_shmem ? kib * 1024 : 0;
	} else if (sscanf(line, "Pss: %" SCNu64, &kib) == 1) {
		memory->pss += kib * 1024;
	} else if (sscanf(line, "Anonymous: %" SCNu64, &kib) == 1) {
		memory->anon += kib * 1024;
	}
}

static int add_smaps(struct bench_memory *memory, pid_t pid) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return -errno;
	}
	char line[512];
	struct mapping mapping = { 0 };
	while (fgets(line, sizeof(line), file) != NULL) {
		/* "Key:   123 kB", or the head of a mapping, which begins with an address range. */
		uint64_t start;
		uint64_t end;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
			mapping = classify(line);
		} else {
			add_line(memory, &mapping, line);
		}
	}
	fclose(file);
	return 0;
}

int bench_backend_memory(struct bench_backend *backend, struct bench_memory *memory) {
	*memory = (struct bench_memory){ 0 };
	if (reap(backend)) {
		return -ESRCH;
	}
	struct family family = find_family(backend->pid);
	int result = 0;
	for (size_t i = 0; result == 0 && i < family.count; i++) {
		result = add_smaps(memory, family.pids[i]);
	}
	return result;
}

/* schedstat counts in nanoseconds where stat counts in ticks. */
static int64_t thread_cpu_ns(pid_t pid, const char *thread) {
	char path[320];
	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, thread);
	FILE *file = fopen(path, "re");
	int64_t ns = 0;
	if (file == NULL || fscanf(file, "%" SCNd64, &ns) != 1) {
		ns = 0;
	}
	if (file != NULL) {
		fclose(file);
	}
	return ns;
}

static int64_t process_cpu_ns(pid_t pid) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *folder = opendir(path);
	int64_t sum = 0;
	struct dirent *entry;
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		sum += entry->d_name[0] != '.' ? thread_cpu_ns(pid, entry->d_name) : 0;
	}
	if (folder != NULL) {
		closedir(folder);
	}
	return sum;
}

int64_t bench_backend_cpu_ns(struct bench_backend *backend) {
	if (reap(backend)) {
		return -ESRCH;
	}
	struct family family = find_family(backend->pid);
	int64_t sum = 0;
	for (size_t i = 0; i < family.count; i++) {
		sum += process_cpu_ns(family.pids[i]);
	}
	return sum;
}
