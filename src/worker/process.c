/* The spawner as a process. posix_spawn() is safe in a VMM with threads; a pidfd names the process without a race and can be
 * polled. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "worker/worker_internal.h"

#define PROGRAM "neep-renderer"

/* With its socket closed it has nothing left to do but to end its renderers. */
#define END_LIMIT_MS 3000

extern char **environ;

/* What a Vulkan loader, a driver and the C library look at; names that end in _ stand for all that begin so. */
static const char *const kept_variables[] = {
	"VK_",
	"MESA_",
	"LVP_",
	"LP_",
	"GALLIVM_",
	"XDG_",
	"NVIDIA_",
	"__NV_",
	"HOME=",
	"LD_LIBRARY_PATH=",
	"ASAN_OPTIONS=",
	"UBSAN_OPTIONS=",
	"TSAN_OPTIONS=",
	"LSAN_OPTIONS=",
};

static bool is_kept(const char *variable) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(kept_variables); i++) {
		if (strncmp(variable, kept_variables[i], strlen(kept_variables[i])) == 0) {
			return true;
		}
	}
	return false;
}

/* An array for the caller to free, of strings that are the environment's. */
static char **clean_environment(void) {
	size_t count = 0;
	while (environ != NULL && environ[count] != NULL) {
		count++;
	}
	char **clean = calloc(count + 1, sizeof(*clean));
	size_t kept = 0;
	for (size_t i = 0; clean != NULL && i < count; i++) {
		if (is_kept(environ[i])) {
			clean[kept++] = environ[i];
		}
	}
	return clean;
}

static bool is_program(const char *path) {
	return access(path, X_OK) == 0;
}

static void cut_name(char *path) {
	char *slash = strrchr(path, '/');
	if (slash != NULL) {
		*slash = '\0';
	}
}

/* The folder of the running program, with no slash at its end; empty when it cannot be told. */
static void own_folder(char *folder, size_t size) {
	ssize_t len = readlink("/proc/self/exe", folder, size - 1);
	folder[len > 0 ? len : 0] = '\0';
	cut_name(folder);
}

/* The same for the library that this code is in, where that is not the program itself. */
static void library_folder(char *folder, size_t size) {
	Dl_info info;
	bool is_known = dladdr(kept_variables, &info) != 0 && info.dli_fname[0] == '/';
	snprintf(folder, size, "%s", is_known ? info.dli_fname : "");
	cut_name(folder);
}

static int use_named(const char *named, char *path, size_t size, struct neep_error *error) {
	snprintf(path, size, "%s", named);
	if (is_program(path)) {
		return 0;
	}
	return neep_error_set(error, errno,
		"cannot run \"%s\"; --renderer or NEEP_RENDERER must name the program " PROGRAM, named);
}

int neep_worker_process_find(const char *wanted, char *path, size_t size, struct neep_error *error) {
	const char *named = wanted != NULL ? wanted : secure_getenv("NEEP_RENDERER");
	if (named != NULL && named[0] != '\0') {
		return use_named(named, path, size, error);
	}
	char own[2048], library[2048];
	own_folder(own, sizeof(own));
	library_folder(library, sizeof(library));
	/* Beside the two, or where a build tree has it. */
	const char *const folders[][2] = { { own, "" }, { own, "/../renderer" }, { library, "" },
		{ library, "/../renderer" }, { NEEP_LIBEXECDIR, "" } };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(folders); i++) {
		snprintf(path, size, "%s%s/" PROGRAM, folders[i][0], folders[i][1]);
		if (is_program(path)) {
			return 0;
		}
	}
	return neep_error_set(error, 0,
		"there is no " PROGRAM " in %s, beside the library or in " NEEP_LIBEXECDIR
		"; install it there, or name it with --renderer or NEEP_RENDERER",
		own);
}

/* Only a null device, our standard error and the socket go along, whatever else is open in this process. */
static int add_fd_actions(posix_spawn_file_actions_t *actions, int socket) {
	int rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	if (rc == 0 && fcntl(STDERR_FILENO, F_GETFD) < 0) {
		rc = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_RDWR, 0);
	}
	if (rc == 0) {
		rc = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
	}
	if (rc == 0) {
		rc = posix_spawn_file_actions_adddup2(actions, socket, NEEP_WORKER_SPAWNER_FD);
	}
	if (rc == 0) {
		rc = posix_spawn_file_actions_addclosefrom_np(actions, NEEP_WORKER_SPAWNER_FD + 1);
	}
	return rc;
}

/* Signals as at the start of a program, whatever the VMM has made of its own; a group of its own, so that a key on our terminal
 * ends us, and we end it. */
static int set_attributes(posix_spawnattr_t *attributes) {
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int rc = posix_spawnattr_setsigmask(attributes, &none);
	if (rc == 0) {
		rc = posix_spawnattr_setsigdefault(attributes, &all);
	}
	if (rc == 0) {
		rc = posix_spawnattr_setpgroup(attributes, 0);
	}
	if (rc == 0) {
		rc = posix_spawnattr_setflags(
			attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	}
	return rc;
}

/* Returns 0 or a positive errno. */
static int spawn_in(pid_t *pid, char *const *argv, char *const *environment, int socket) {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0) {
		return rc;
	}
	rc = posix_spawnattr_init(&attributes);
	if (rc == 0) {
		rc = add_fd_actions(&actions, socket);
		if (rc == 0) {
			rc = set_attributes(&attributes);
		}
		if (rc == 0) {
			rc = posix_spawn(pid, argv[0], &actions, &attributes, argv, environment);
		}
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* As spawn_in(), with argv and environment put together. */
static int spawn(pid_t *pid, const char *path, const char *const *arguments, int socket) {
	size_t count = 0;
	while (arguments[count] != NULL) {
		count++;
	}
	const char **argv = calloc(count + 2, sizeof(*argv));
	char **environment = clean_environment();
	int rc = ENOMEM;
	if (argv != NULL && environment != NULL) {
		argv[0] = path;
		memcpy(argv + 1, arguments, count * sizeof(*argv));
		rc = spawn_in(pid, (char *const *)argv, environment, socket);
	}
	free(environment);
	free(argv);
	return rc;
}

int neep_worker_process_start(struct neep_worker_process *process, const char *path,
	const char *const *arguments, int *owned_socket, struct neep_error *error) {
	neep_autoclose int ours = -1;
	neep_autoclose int low = -1;
	int rc = neep_worker_channel_pair(&ours, &low);
	/* Above all fds that the child's set-up names. */
	neep_autoclose int theirs = rc == 0 ? fcntl(low, F_DUPFD_CLOEXEC, NEEP_WORKER_SPAWNER_FD + 1) : -1;
	if (rc == 0) {
		rc = theirs < 0 ? -errno : -spawn(&process->pid, path, arguments, theirs);
	}
	if (rc < 0) {
		return neep_error_set(error, -rc, "cannot start %s", path);
	}
	process->pidfd = pidfd_open(process->pid, 0);
	if (process->pidfd < 0) {
		/* It ends when it finds nobody at its socket. */
		return neep_error_set(error, errno, "cannot watch %s", path);
	}
	*owned_socket = neep_steal_fd(&ours);
	return 0;
}

static int status_of(const siginfo_t *info) {
	return info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0) : W_EXITCODE(0, info->si_status);
}

/* waitid() on the pidfd. `flags` may have WNOHANG. */
static bool wait_for(struct neep_worker_process *process, int flags, int *status) {
	siginfo_t info = { .si_pid = 0 };
	int rc;
	do {
		rc = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | flags);
	} while (rc < 0 && errno == EINTR);
	if (rc == 0 && info.si_pid == 0) {
		return false;
	}
	/* An error: somebody else in this process has waited for it already. */
	*status = rc == 0 ? status_of(&info) : 0;
	neep_close_fd(&process->pidfd);
	return true;
}

bool neep_worker_process_reap(struct neep_worker_process *process, int *status) {
	return process->pidfd >= 0 && wait_for(process, WNOHANG, status);
}

void neep_worker_process_end(struct neep_worker_process *process) {
	if (process->pidfd < 0) {
		return;
	}
	struct pollfd poll_fd = { .fd = process->pidfd, .events = POLLIN };
	if (poll(&poll_fd, 1, END_LIMIT_MS) <= 0) {
		pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
	}
	int status;
	wait_for(process, 0, &status);
}
