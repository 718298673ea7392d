/* The guest that neep vm makes itself, and folders that it makes disks of: kept in the user's cache. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/run.h"
#include "cli/vm.h"
#include "config.h"

/* What vm-guest.sh makes of packages; a new name where guests of before will not do. Theirs stay: people work in them. */
#define DEBIAN_GUEST "debian-2"

static int find_cache(char path[PATH_MAX], struct neep_error *error) {
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	if (cache != NULL && cache[0] == '/') {
		snprintf(path, PATH_MAX, "%s/neep/vm", cache);
	} else if (home != NULL && home[0] == '/') {
		snprintf(path, PATH_MAX, "%s/.cache/neep/vm", home);
	} else {
		return neep_error_set(error, 0, "no place for the guest: set HOME or XDG_CACHE_HOME");
	}
	return 0;
}

/* A folder's disk has a name made of the folder's: one for each. */
static int name_guest(struct vm *vm, struct neep_error *error) {
	char cache[PATH_MAX], folder[PATH_MAX];
	int result = find_cache(cache, error);
	if (result < 0) {
		return result;
	}
	if (vm->options->rootfs == NULL) {
		snprintf(vm->guest, sizeof(vm->guest), "%.*s/" DEBIAN_GUEST, PATH_MAX - 16, cache);
		return 0;
	}
	if (realpath(vm->options->rootfs, folder) == NULL) {
		return neep_error_set(error, errno, "--rootfs: %s", vm->options->rootfs);
	}
	for (char *c = folder; *c != '\0'; c++) {
		*c = *c == '/' ? '-' : *c;
	}
	if (snprintf(vm->guest, sizeof(vm->guest), "%s/rootfs%s", cache, folder) >= (int)sizeof(vm->guest)) {
		return neep_error_set(error, ENAMETOOLONG, "--rootfs: %s", vm->options->rootfs);
	}
	return 0;
}

static bool is_made(const struct vm *vm) {
	char path[PATH_MAX + 8];
	/* Written last. */
	snprintf(path, sizeof(path), "%s/made", vm->guest);
	return access(path, F_OK) == 0;
}

/* What is missing in guests of distributions is brought along. */
static int make(struct vm *vm, const char *script, const char *proxy, struct neep_error *error) {
	struct vm_words words = { 0 };
	vm_words_add(&words, "%s", script);
	vm_words_add(&words, "--dir");
	vm_words_add(&words, "%s", vm->guest);
	if (proxy[0] != '\0') {
		vm_words_add(&words, "--program");
		vm_words_add(&words, "%s", proxy);
	}
	if (vm->options->rootfs != NULL) {
		vm_words_add(&words, "--rootfs");
		vm_words_add(&words, "%s", vm->options->rootfs);
	}
	pid_t pid = fork();
	if (pid == 0) {
		/* Our standard output is the guest's console. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execv(script, words.argv);
		_exit(127);
	}
	vm_words_finish(&words);
	int status = -1;
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		return neep_error_set(error, errno, "cannot run %s", script);
	}
	return status == 0 ? 0 : neep_error_set(error, 0, "the guest could not be made: see above");
}

int vm_find_guest(struct vm *vm, struct neep_error *error) {
	char script[PATH_MAX], proxy[PATH_MAX];
	if (vm->options->disk != NULL) {
		return access(vm->options->disk, R_OK) == 0
			       ? 0
			       : neep_error_set(error, errno, "%s", vm->options->disk);
	}
	int result = name_guest(vm, error);
	if (result < 0 || (is_made(vm) && !vm->options->is_rebuilt) || vm->options->is_dry_run) {
		return result;
	}
	if (run_find_part("../../../scripts/vm-guest.sh", NEEP_LIBEXECDIR "/neep/vm-guest.sh", script) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", script);
	}
	if (run_find_part("../../guest/wayland/neep-wayland", NEEP_WAYLAND, proxy) < 0) {
		proxy[0] = '\0';
	}
	return make(vm, script, proxy, error);
}
