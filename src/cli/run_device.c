#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run.h"
#include "util/child.h"
#include "util/clock.h"
#include "util/fd.h"

/* Where Mesa looks, and what the sandbox of a renderer opens for it. */
#define NEEP_RUN_SHADER_CACHE "MESA_SHADER_CACHE_DIR"

#define STOP_NS (2 * NEEP_NS_PER_S)

#define WORDS_MAX 24

struct words {
	const char *argv[WORDS_MAX];
	size_t count;
	char capset_names[256];
};

static void add(struct words *words, const char *option, const char *value) {
	words->argv[words->count++] = option;
	words->argv[words->count++] = value;
}

/* The largest window that this process may reserve: it is address space only, but that may be limited, too. */
static const char *default_hostmem(void) {
	static const char *const sizes[] = { "64G", "16G", "4G", "1G" };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		size_t size = (size_t)atoi(sizes[i]) << 30;
		void *window =
			mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (window != MAP_FAILED) {
			munmap(window, size);
			return sizes[i];
		}
	}
	return "256M";
}

/* What was asked for, or else what the driver needs; and what Wayland needs. */
static void name_capsets(struct words *words, const struct run_options *options) {
	const char *names = options->capset_names;
	if (names == NULL) {
		names = options->has_guest_driver ? "gfxstream-vulkan" : "";
	}
	bool adds_wayland = options->has_wayland && strstr(names, "cross-domain") == NULL;
	snprintf(words->capset_names, sizeof(words->capset_names), "%s%s%s", names,
		adds_wayland && names[0] != '\0' ? ":" : "", adds_wayland ? "cross-domain" : "");
}

static void fill_words(struct words *words, const struct run_options *options,
	const struct run_places *places, const char *fd_text) {
	words->argv[words->count++] = places->device;
	add(words, "--fd", fd_text);
	add(words, "--display", "none");
	add(words, "--log-level", neep_log_level_name(options->log_level));
	add(words, "--hostmem", options->hostmem != NULL ? options->hostmem : default_hostmem());
	/* This side knows no limit of regions as QEMU does: a program may map thousands of allocations. */
	add(words, "--max-maps", "16384");
	if (words->capset_names[0] != '\0') {
		add(words, "--capset-names", words->capset_names);
	}
	if (places->compositor[0] != '\0') {
		add(words, "--wayland-socket-path", places->compositor);
	}
	if (options->control != NULL) {
		add(words, "--control", options->control);
	}
	words->argv[words->count] = NULL;
}

/* What drivers compile is kept as they keep it without neep: in the user's cache. Without one each program starts anew. */
static void keep_shaders(void) {
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char folder[PATH_MAX], own[PATH_MAX];
	if (getenv(NEEP_RUN_SHADER_CACHE) != NULL) {
		return;
	}
	int len = cache != NULL && cache[0] == '/'
			  ? snprintf(folder, sizeof(folder), "%s", cache)
			  : snprintf(folder, sizeof(folder), "%s/.cache", home != NULL ? home : "");
	if (len >= (int)sizeof(folder) || folder[0] != '/' ||
		snprintf(own, sizeof(own), "%s/neep", folder) >= (int)sizeof(own)) {
		return;
	}
	mkdir(folder, 0700);
	if (mkdir(own, 0700) == 0 || errno == EEXIST) {
		setenv(NEEP_RUN_SHADER_CACHE, own, 0);
	}
}

/* In a process group of its own, as the keys of the terminal are for the program; in its session, though: Linux shares the
 * processors out by sessions, and a renderer shall not compete with the program that waits for it. */
_Noreturn static void become(const struct words *words, int fd, pid_t parent) {
	setpgid(0, 0);
	keep_shaders();
	run_vulkan_hide_guest_parts();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	fcntl(fd, F_SETFD, 0);
	if (getppid() == parent) {
		execv(words->argv[0], (char *const *)(uintptr_t)words->argv);
		fprintf(stderr, "neep run: cannot start %s: %s\n", words->argv[0], strerror(errno));
	}
	_exit(127);
}

int run_device_start(struct run_device *device, const struct run_options *options,
	const struct run_places *places, struct neep_error *error) {
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		return neep_error_set(error, errno, "cannot start the device");
	}
	char fd_text[16];
	struct words words = { .count = 0 };
	snprintf(fd_text, sizeof(fd_text), "%d", pair[1]);
	name_capsets(&words, options);
	fill_words(&words, options, places, fd_text);
	pid_t parent = getpid();
	device->pid = fork();
	if (device->pid == 0) {
		become(&words, pair[1], parent);
	}
	int saved = errno;
	neep_close_fd(&pair[1]);
	if (device->pid < 0) {
		neep_close_fd(&pair[0]);
		return neep_error_set(error, saved, "cannot start the device");
	}
	device->fd = pair[0];
	return 0;
}

void run_device_stop(struct run_device *device) {
	if (device->pid <= 0) {
		return;
	}
	neep_child_end(device->pid, STOP_NS);
	device->pid = 0;
}
