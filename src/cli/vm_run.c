#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/vm.h"
#include "util/child.h"
#include "util/clock.h"

#define DEVICE_START_NS (10 * NEEP_NS_PER_S)
#define DEVICE_STOP_NS  (3 * NEEP_NS_PER_S)

static int set_signals(void *data) {
	return sigprocmask(SIG_SETMASK, data, NULL) < 0 ? -errno : 0;
}

/* In a process group of its own: the keys of the terminal are QEMU's. */
_Noreturn static void become_device(struct vm *vm, const struct vm_words *words, pid_t parent) {
	setpgid(0, 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	set_signals(&vm->signals);
	if (getppid() == parent) {
		execv(words->argv[0], words->argv);
		fprintf(stderr, "neep vm: cannot start %s: %s\n", words->argv[0], strerror(errno));
	}
	_exit(127);
}

/* Returns its id, or a negative errno. */
static pid_t start_device(struct vm *vm, struct neep_error *error) {
	struct vm_words words = { 0 };
	vm_device_words(vm, &words);
	pid_t parent = getpid();
	pid_t pid = words.is_bad ? -1 : fork();
	if (pid == 0) {
		become_device(vm, &words, parent);
	}
	int code = words.is_bad ? E2BIG : errno;
	vm_words_finish(&words);
	return pid < 0 ? neep_error_set(error, code, "cannot start the device") : pid;
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

static int run_qemu(struct vm *vm, struct neep_error *error) {
	struct vm_words words = { 0 };
	vm_qemu_words(vm, &words);
	const struct neep_child_params params = {
		.name = "neep vm",
		.argv = words.argv,
		.prepare = set_signals,
		.data = &vm->signals,
	};
	struct neep_loop *loop = neep_loop_create();
	int result;
	if (words.is_bad || loop == NULL) {
		result = neep_error_set(
			error, words.is_bad ? E2BIG : ENOMEM, "cannot run %s", vm->qemu.program);
	} else {
		result = neep_child_run(loop, &params, error);
	}
	neep_loop_destroy(loop);
	vm_words_finish(&words);
	return result;
}

int vm_run(struct vm *vm, struct neep_error *error) {
	pid_t device = 0;
	int result = 0;
	if (vm_has_device(vm)) {
		device = start_device(vm, error);
		result = device < 0 ? device : await_device(vm, &device, error);
	}
	if (result == 0) {
		result = run_qemu(vm, error);
	}
	if (device > 0) {
		kill(device, SIGTERM);
		neep_child_end(device, DEVICE_STOP_NS);
	}
	unlink(vm->socket);
	unlink(vm->control);
	rmdir(vm->folder);
	return result;
}
