#include "renderer/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/macros.h"
#include "worker/protocol.h"

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUTS)

#define ARGS_MAX  24
#define TEXT_SIZE 32

/* The command line of a renderer. */
struct command {
	char ctx_id[TEXT_SIZE];
	char max_memory[TEXT_SIZE];
	char max_mapped[TEXT_SIZE];
	char max_cpu[TEXT_SIZE];
	char spin[TEXT_SIZE];
	const char *args[ARGS_MAX];
	size_t count;
};

static void add(struct command *command, const char *option, const char *value) {
	neep_assert(command->count + 2 < ARGS_MAX);
	command->args[command->count++] = option;
	if (value != NULL) {
		command->args[command->count++] = value;
	}
}

static void fill_command(
	struct command *command, const struct neep_renderer_start *start, bool has_namespaces) {
	const struct neep_renderer_options *options = start->options;
	*command = (struct command){ .args = { "neep-renderer" }, .count = 1 };
	snprintf(command->ctx_id, TEXT_SIZE, "%u", start->ctx_id);
	snprintf(command->max_memory, TEXT_SIZE, "%llu", (unsigned long long)options->max_memory);
	snprintf(command->max_mapped, TEXT_SIZE, "%llu", (unsigned long long)options->max_mapped);
	snprintf(command->max_cpu, TEXT_SIZE, "%u", options->max_cpu);
	snprintf(command->spin, TEXT_SIZE, "%u", options->spin_us);
	add(command, "--context", command->ctx_id);
	add(command, "--name", start->name);
	add(command, "--max-memory", command->max_memory);
	add(command, "--max-mapped", command->max_mapped);
	add(command, "--max-cpu", command->max_cpu);
	add(command, "--spin", command->spin);
	add(command, "--log-level", neep_log_level_name(options->log_level));
	if (!options->has_sandbox) {
		add(command, "--no-sandbox", NULL);
	}
	if (has_namespaces) {
		add(command, "--namespaces", NULL);
	}
	if (start->is_lost) {
		add(command, "--lost", NULL);
	}
}

/* Who we are outside; inside we are root, which is what keeps the right to arrange the new namespaces over exec. */
struct id_maps {
	char uid[TEXT_SIZE];
	char gid[TEXT_SIZE];
};

static void fill_maps(struct id_maps *maps) {
	snprintf(maps->uid, TEXT_SIZE, "0 %u 1", geteuid());
	snprintf(maps->gid, TEXT_SIZE, "0 %u 1", getegid());
}

static int write_file(const char *path, const char *text) {
	neep_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* In the child. A host that lets us make namespaces, but not use them, shows itself in the sandbox. */
static void write_maps(const struct id_maps *maps) {
	if (write_file("/proc/self/setgroups", "deny") < 0 ||
		write_file("/proc/self/uid_map", maps->uid) < 0 ||
		write_file("/proc/self/gid_map", maps->gid) < 0) {
		neep_log("renderer", NEEP_LOG_DEBUG, "cannot name the users of a user namespace");
	}
}

/* In the child; returns only on failure. */
static void become_renderer(const struct command *command, int socket) {
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* It stays in the session of those who wait for it: where the kernel schedules by sessions, a guest thread that waits for a
	 * reply and gives way gives way to its own session only. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(socket, NEEP_WORKER_SPAWNER_FD) >= 0) {
		execv("/proc/self/exe", (char *const *)(uintptr_t)command->args);
	}
	neep_log("renderer", NEEP_LOG_ERROR, "cannot run itself as a renderer: %s", strerror(errno));
	_exit(127);
}

/* As fork(): this process has one thread, and the child only calls the kernel. */
static pid_t start_with(const struct neep_renderer_start *start, unsigned long namespaces) {
	struct command command;
	struct id_maps maps;
	fill_command(&command, start, namespaces != 0);
	fill_maps(&maps);
	pid_t pid = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		if (namespaces != 0) {
			write_maps(&maps);
		}
		become_renderer(&command, start->socket);
	}
	return pid < 0 ? -errno : pid;
}

pid_t neep_renderer_start(const struct neep_renderer_start *start) {
	static bool was_told;
	if (!start->options->has_sandbox) {
		return start_with(start, 0);
	}
	pid_t pid = start_with(start, NAMESPACES);
	if (pid >= 0 || pid == -EAGAIN || pid == -ENOMEM) {
		return pid;
	}
	if (!was_told) {
		was_told = true;
		neep_log("renderer", NEEP_LOG_WARN,
			"this host forbids namespaces (%s): renderers see its files and processes, and only "
			"the system call filter is left; allow unprivileged user namespaces to change that",
			strerror(-pid));
	}
	return start_with(start, 0);
}
