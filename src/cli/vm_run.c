#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/vm.h"
#include "util/clock.h"

#define DEVICE_START_NS (10 * NEEP_NS_PER_S)
#define DEVICE_STOP_NS  (3 * NEEP_NS_PER_S)
#define STATUS_SIGNAL   128
#define STATUS_NO_QEMU  127

static pid_t qemu_pid;

/* What somebody sent to us is for QEMU; what the terminal sends it has got itself. */
static void forward(int number, siginfo_t *info, void *context) {
	(void)context;
	if (qemu_pid > 0 && info->si_code <= 0) {
		kill(qemu_pid, number);
	}
}

static void catch_signals(void) {
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(numbers); i++) {
		sigaction(numbers[i], &action, NULL);
	}
}

_Noreturn static void become(const struct vm_words *words, pid_t parent, int death_signal) {
	prctl(PR_SET_PDEATHSIG, death_signal);
	if (getppid() == parent) {
		execvp(words->argv[0], words->argv);
		fprintf(stderr, "neep vm: cannot run %s: %s\n", words->argv[0], strerror(errno));
	}
	_exit(STATUS_NO_QEMU);
}

static pid_t start(void (*fill)(const struct vm *vm, struct vm_words *words), const struct vm *vm,
	bool is_background, struct neep_error *error) {
	struct vm_words words = { 0 };
	fill(vm, &words);
	pid_t parent = getpid();
	pid_t pid = words.is_bad ? -1 : fork();
	if (pid == 0) {
		if (is_background) {
			/* The keys of the terminal are QEMU's. */
			setpgid(0, 0);
			int null = open("/dev/null", O_RDWR | O_CLOEXEC);
			dup2(null, STDIN_FILENO);
		}
		become(&words, parent, is_background ? SIGTERM : SIGKILL);
	}
	if (pid < 0) {
		neep_error_set(error, words.is_bad ? E2BIG : errno, "cannot start %s",
			words.count > 0 ? words.argv[0] : "a program");
	}
	vm_words_finish(&words);
	return pid;
}

/* Whether something listens there; the kernel's own list, so that no connection is used up. */
static bool is_listening(const char *path) {
	char line[512];
	bool is_found = false;
	FILE *table = fopen("/proc/net/unix", "re");
	while (table != NULL && !is_found && fgets(line, sizeof(line), table) != NULL) {
		unsigned flags = 0;
		char found[256] = "";
		is_found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %255s", &flags, found) == 2 &&
			   (flags & 0x10000) != 0 && strcmp(found, path) == 0;
	}
	if (table != NULL) {
		fclose(table);
	}
	return is_found;
}

static void pause_a_moment(void) {
	nanosleep(&(struct timespec){ .tv_nsec = 2 * NEEP_NS_PER_MS }, NULL);
}

static int await_device(const struct vm *vm, pid_t *pid, struct neep_error *error) {
	int64_t deadline = neep_clock_ns() + DEVICE_START_NS;
	while (!is_listening(vm->socket)) {
		if (waitpid(*pid, NULL, WNOHANG) == *pid) {
			*pid = 0;
			return neep_error_set(error, 0, "the device did not start: see above");
		}
		if (neep_clock_ns() > deadline) {
			return neep_error_set(error, ETIMEDOUT, "the device does not serve %s", vm->socket);
		}
		pause_a_moment();
	}
	return 0;
}

static void stop_device(pid_t pid) {
	int64_t deadline = neep_clock_ns() + DEVICE_STOP_NS;
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (neep_clock_ns() > deadline) {
			kill(pid, SIGKILL);
		}
		pause_a_moment();
	}
}

static int await_qemu(pid_t pid) {
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int vm_run(struct vm *vm, struct neep_error *error) {
	pid_t device = 0;
	int result = 0;
	catch_signals();
	if (vm_has_device(vm)) {
		device = start(vm_device_words, vm, true, error);
		result = device < 0 ? -ECHILD : await_device(vm, &device, error);
	}
	if (result == 0) {
		qemu_pid = start(vm_qemu_words, vm, false, error);
		result = qemu_pid < 0 ? -ECHILD : await_qemu(qemu_pid);
		qemu_pid = 0;
	}
	if (device > 0) {
		stop_device(device);
	}
	unlink(vm->socket);
	unlink(vm->control);
	rmdir(vm->folder);
	return result;
}
