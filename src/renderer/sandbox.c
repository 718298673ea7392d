#include "renderer/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/macros.h"
#include "worker/protocol.h"

/* How the sanitizers' run-time, which needs more than a driver, is told apart. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* When memory runs out, a renderer goes before the device, whose loss would take the virtual machine along. */
#define OOM_SCORE "500"

static void set_limit(__rlimit_resource_t resource, rlim_t value) {
	struct rlimit limit = { .rlim_cur = value, .rlim_max = value };
	if (setrlimit(resource, &limit) < 0) {
		neep_log("renderer", NEEP_LOG_WARN, "cannot set limit %d to %llu: %s", (int)resource,
			(unsigned long long)value, strerror(errno));
	}
}

static void set_limits(const struct neep_renderer_options *options) {
	struct rlimit files;
	set_limit(RLIMIT_CORE, 0);
	/* Two descriptors for every ring, and one for every blob on its way. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		set_limit(RLIMIT_NOFILE, files.rlim_max);
	}
	if (options->max_memory > 0) {
		set_limit(RLIMIT_DATA, options->max_memory);
	}
	if (options->max_cpu > 0) {
		set_limit(RLIMIT_CPU, options->max_cpu);
	}
	neep_autoclose int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, OOM_SCORE, strlen(OOM_SCORE)) < 0) {
		neep_log("renderer", NEEP_LOG_DEBUG, "cannot offer itself for lack of memory");
	}
}

/* The socket and the standard descriptors stay; what a driver prints is for the log. */
static void close_descriptors(void) {
	close_range(NEEP_WORKER_SPAWNER_FD + 1, ~0u, 0);
	neep_autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
	}
	dup2(STDERR_FILENO, STDOUT_FILENO);
	fcntl(NEEP_WORKER_SPAWNER_FD, F_SETFD, FD_CLOEXEC);
}

/* A shader cache of the process's own: programs make the same pipeline again and again, and with lavapipe that costs 15 ms
 * each time. One that is shared with others holds code that they run, so it is for whoever starts the device to name it
 * (view.c). */
static void keep_shaders_here(void) {
	setenv("MESA_SHADER_CACHE_DIR", "/tmp", 1);
	setenv("MESA_SHADER_CACHE_MAX_SIZE", "32M", 1);
	setenv("MESA_DISK_CACHE_DATABASE_NUM_PARTS", "1", 1);
	setenv("__GL_SHADER_DISK_CACHE", "0", 1);
}

/* NVIDIA's driver has names of its own for it. A compiler that is not needed also spares 15 MiB there. */
static void keep_shaders_in(const char *folder) {
	setenv("__GL_SHADER_DISK_CACHE", "1", 1);
	setenv("__GL_SHADER_DISK_CACHE_PATH", folder, 1);
}

/* No layers of the user's desktop, no display. */
static void set_environment(void) {
	static const char *const set[][2] = {
		{ "HOME", "/tmp" },
		{ "NODEVICE_SELECT", "1" },
		{ "VK_LOADER_LAYERS_DISABLE", "~implicit~" },
	};
	static const char *const unset[] = { "DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XDG_CACHE_HOME",
		"XDG_RUNTIME_DIR", "VK_INSTANCE_LAYERS", "VK_LAYER_PATH", "VK_ADD_LAYER_PATH" };
	const char *shader_cache = getenv("MESA_SHADER_CACHE_DIR");
	if (shader_cache != NULL) {
		keep_shaders_in(shader_cache);
	} else {
		keep_shaders_here();
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(set); i++) {
		setenv(set[i][0], set[i][1], 1);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(unset); i++) {
		unsetenv(unset[i]);
	}
}

static void enter_view(void) {
	int result = neep_renderer_view_enter();
	if (result < 0) {
		neep_log("renderer", NEEP_LOG_WARN,
			"this host forbids to change what a renderer sees (%s): it sees all files that this "
			"user sees",
			strerror(-result));
	}
}

/* Those of a root in a namespace, or of one that started everything as root. */
static void drop_capabilities(void) {
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	if (syscall(SYS_capset, &header, none) < 0) {
		neep_log("renderer", NEEP_LOG_WARN, "cannot give up capabilities: %s", strerror(errno));
	}
}

void neep_renderer_sandbox_prepare(const struct neep_renderer_options *options) {
	set_limits(options);
	close_descriptors();
	if (options->has_namespaces) {
		enter_view();
	}
	/* After the view, which shows the host's folder for shaders: /tmp is meant to be the one inside. */
	set_environment();
	if (options->has_sandbox) {
		drop_capabilities();
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		/* The leak check traces its own process. */
		prctl(PR_SET_DUMPABLE, HAS_SANITIZER, 0, 0, 0);
	}
	/* Other rights than at the start: the kernel has forgotten it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int neep_renderer_sandbox_close(const struct neep_renderer_options *options, struct neep_error *error) {
	if (!options->has_sandbox) {
		return 0;
	}
	if (HAS_SANITIZER) {
		neep_log("renderer", NEEP_LOG_DEBUG, "a build with sanitizers filters no system calls");
		return 0;
	}
	int result = neep_renderer_filter_load();
	if (result < 0) {
		return neep_error_set(error, -result,
			"cannot filter system calls (--no-sandbox runs without, where seccomp does not "
			"work)");
	}
	return 0;
}
