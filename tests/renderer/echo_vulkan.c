#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "renderer/echo.h"
#include "util/fd.h"
#include "util/macros.h"
#include "vulkan/vulkan.h"

struct neep_vk_context {
	struct neep_vk_host *host;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t signalled;
	bool is_stopped;
	bool refuses_all;
};

const struct neep_vk_limits neep_vk_default_limits = { .memory_bytes = UINT64_MAX };

int neep_vk_load(struct neep_error *error) {
	return getenv("LP_ECHO_FAILS") != NULL ? neep_error_set(error, ENOENT, "no driver here") : 0;
}

struct neep_vk_context *neep_vk_context_create(
	struct neep_vk_host *host, const struct neep_vk_limits *limits, struct neep_error *error) {
	(void)limits;
	(void)error;
	struct neep_vk_context *context = calloc(1, sizeof(*context));
	neep_assert(context != NULL);
	context->host = host;
	pthread_mutex_init(&context->lock, NULL);
	pthread_cond_init(&context->changed, NULL);
	return context;
}

void neep_vk_context_refuse_all(struct neep_vk_context *context) {
	context->refuses_all = true;
}

void neep_vk_context_stop(struct neep_vk_context *context) {
	pthread_mutex_lock(&context->lock);
	context->is_stopped = true;
	pthread_cond_broadcast(&context->changed);
	pthread_mutex_unlock(&context->lock);
}

void neep_vk_context_destroy(struct neep_vk_context *context) {
	free(context);
}

void neep_vk_wait_fence(struct neep_vk_context *context, uint64_t device_id, uint64_t fence_id) {
	pthread_mutex_lock(&context->lock);
	while (device_id == ECHO_DEVICE && context->signalled < fence_id && !context->is_stopped) {
		pthread_cond_wait(&context->changed, &context->lock);
	}
	pthread_mutex_unlock(&context->lock);
}

static void signal_fence(struct neep_vk_context *context, uint32_t fence) {
	pthread_mutex_lock(&context->lock);
	context->signalled = fence;
	pthread_cond_broadcast(&context->changed);
	pthread_mutex_unlock(&context->lock);
}

static uint32_t publish(struct neep_vk_context *context, uint32_t blob_id) {
	neep_autoclose int fd = neep_memfd_create("blob", 4096);
	if (fd < 0 || pwrite(fd, &blob_id, sizeof(blob_id), 0) != sizeof(blob_id)) {
		return EIO;
	}
	return (uint32_t)-context->host->impl->publish_blob(context->host, blob_id, 4096, fd);
}

static uint32_t find(struct neep_vk_context *context, uint32_t resource_id) {
	struct neep_vk_resource resource;
	if (context->host->impl->find_resource(context->host, resource_id, &resource) < 0) {
		return 0;
	}
	neep_close_fd(&resource.owned_fd);
	return (uint32_t)resource.size;
}

static uint32_t take(uint32_t mebibytes) {
	char *memory = malloc((size_t)mebibytes << 20);
	if (memory == NULL) {
		return (uint32_t)errno;
	}
	memset(memory, 1, (size_t)mebibytes << 20);
	return 0;
}

static uint32_t count_fds(void) {
	uint32_t count = 0;
	for (int fd = 0; fd < 4096; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static long try_open(const char *path, int flags) {
	int fd = open(path, flags | O_CLOEXEC, 0600);
	neep_close_fd(&fd);
	return fd == -1 && errno != 0 ? -1 : 0;
}

/* Whether there are processes but itself to be seen. */
static long try_others(void) {
	DIR *dir = opendir("/proc");
	int count = 0;
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
	}
	if (dir != NULL) {
		closedir(dir);
	}
	errno = count == 1 ? ENOENT : 0;
	return count == 1 ? -1 : 0;
}

static void *nothing(void *data) {
	return data;
}

static long try_thread(void) {
	pthread_t thread;
	errno = pthread_create(&thread, NULL, nothing, NULL);
	return errno != 0 ? -1 : pthread_join(thread, NULL);
}

static long try_executable(void) {
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long try_raise_limit(void) {
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };
	return setrlimit(RLIMIT_CORE, &limit);
}

static long try_calls(enum echo_try what) {
	static char *const argv[] = { "true", NULL };
	switch (what) {
	case ECHO_TRY_EXEC:
		return execv("/usr/bin/true", argv);
	case ECHO_TRY_FORK: {
		long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) {
			_exit(0);
		}
		return pid;
	}
	case ECHO_TRY_SOCKET:
		return socket(AF_UNIX, SOCK_STREAM, 0);
	case ECHO_TRY_PTRACE:
		return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	case ECHO_TRY_MOUNT:
		return mount("none", "/tmp", "tmpfs", 0, NULL);
	case ECHO_TRY_UNSHARE:
		return unshare(CLONE_NEWUSER);
	case ECHO_TRY_BPF:
		return syscall(SYS_bpf, 0, NULL, 0);
	case ECHO_TRY_KEYCTL:
		return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
	case ECHO_TRY_KILL:
		return kill(-1, 0);
	case ECHO_TRY_IO_URING:
		return syscall(SYS_io_uring_setup, 1, NULL);
	case ECHO_TRY_TYPE_ON_TERMINAL:
		return ioctl(STDERR_FILENO, TIOCSTI, "x");
	case ECHO_TRY_TYPE_WITH_HIGH_BITS:
		return syscall(SYS_ioctl, STDERR_FILENO, UINT64_C(1) << 40 | TIOCSTI, "x");
	case ECHO_TRY_SET_FLAGS:
		return fcntl(STDERR_FILENO, F_SETFL, 0);
	case ECHO_TRY_SET_FLAGS_WITH_HIGH_BITS:
		return syscall(SYS_fcntl, STDERR_FILENO, UINT64_C(1) << 40 | F_SETFL, 0);
	case ECHO_TRY_SET_BLOCKING: {
		int off = 0;
		return ioctl(STDERR_FILENO, FIONBIO, &off);
	}
	default:
		return try_raise_limit();
	}
}

static long try_files(enum echo_try what) {
	switch (what) {
	case ECHO_TRY_READ_HOME:
		return try_open("/root", O_RDONLY | O_DIRECTORY);
	case ECHO_TRY_READ_PASSWD:
		return try_open("/etc/passwd", O_RDONLY);
	case ECHO_TRY_READ_OTHERS:
		return try_others();
	case ECHO_TRY_WRITE_USR:
		return try_open("/usr/neep-was-here", O_RDWR | O_CREAT);
	case ECHO_TRY_WRITE_ROOT:
		return try_open("/neep-was-here", O_RDWR | O_CREAT);
	case ECHO_TRY_WRITE_SYSCTL:
		return try_open("/proc/sys/kernel/panic", O_RDWR);
	case ECHO_TRY_THREAD:
		return try_thread();
	case ECHO_TRY_EXECUTABLE_MEMORY:
		return try_executable();
	case ECHO_TRY_READ_USR:
		return try_open("/usr/share", O_RDONLY | O_DIRECTORY);
	case ECHO_TRY_WRITE_TMP:
		return try_open("/tmp/neep-was-here", O_RDWR | O_CREAT);
	case ECHO_TRY_READ_CPUS:
		return try_open("/sys/devices/system/cpu/possible", O_RDONLY);
	case ECHO_TRY_READ_SELF:
		return try_open("/proc/self/maps", O_RDONLY);
	case ECHO_TRY_IOCTL:
		return ioctl(STDIN_FILENO, FIOCLEX);
	default:
		return try_open("/dev/null", O_RDWR);
	}
}

static uint32_t try_it(enum echo_try what) {
	errno = 0;
	long result = what < ECHO_TRY_END_OF_SYSTEM_CALLS ? try_calls(what) : try_files(what);
	return result < 0 ? (uint32_t)errno : 0;
}

static void hang(bool burns) {
	static atomic_uint count;
	for (;;) {
		if (burns) {
			atomic_fetch_add(&count, 1);
		} else {
			sleep(1000);
		}
	}
}

static uint32_t keep_shader(void) {
	const char *folder = getenv("__GL_SHADER_DISK_CACHE_PATH");
	const char *is_on = getenv("__GL_SHADER_DISK_CACHE");
	char path[256];
	if (folder == NULL || is_on == NULL || strcmp(is_on, "1") != 0) {
		return ENOENT;
	}
	snprintf(path, sizeof(path), "%s/shader", folder);
	return try_open(path, O_RDWR | O_CREAT) < 0 ? (uint32_t)errno : 0;
}

static uint32_t answer(struct neep_vk_context *context, const struct echo_request *request) {
	switch ((enum echo_op)request->op) {
	case ECHO_CRASH:
		/* The first process of a namespace gets no signal that it sends itself. */
		return *(volatile uint32_t *)(uintptr_t)sysconf(_SC_PAGESIZE);
	case ECHO_ABORT:
		abort();
	case ECHO_HANG:
	case ECHO_BURN:
		hang(request->op == ECHO_BURN);
		return 0;
	case ECHO_PUBLISH:
		return publish(context, request->argument);
	case ECHO_FIND:
		return find(context, request->argument);
	case ECHO_SIGNAL:
		signal_fence(context, request->argument);
		return 0;
	case ECHO_TAKE:
		return take(request->argument);
	case ECHO_TRY:
		return try_it((enum echo_try)request->argument);
	case ECHO_PID:
		return (uint32_t)getpid();
	case ECHO_CACHE:
		return keep_shader();
	case ECHO_FDS:
		return count_fds();
	default:
		return request->argument;
	}
}

static int read_request(struct neep_vk_transport *transport, struct echo_request *request) {
	uint8_t *at = (uint8_t *)request;
	for (size_t left = sizeof(*request); left > 0;) {
		int64_t got = transport->impl->read(transport, at, left);
		if (got < 0) {
			return (int)got;
		}
		at += got;
		left -= (size_t)got;
	}
	return 0;
}

int neep_vk_serve(struct neep_vk_context *context, struct neep_vk_transport *transport) {
	struct echo_request request;
	int result;
	while ((result = read_request(transport, &request)) == 0) {
		if (context->refuses_all) {
			request = (struct echo_request){ ECHO_ARGUMENT, ECHO_LOST };
		}
		if (request.op == ECHO_LOSE) {
			context->host->impl->lost(context->host, "asked to");
			return -EIO;
		}
		if (request.op == ECHO_BREAK) {
			return -EPROTO;
		}
		uint32_t reply = answer(context, &request);
		result = transport->impl->write(transport, &reply, sizeof(reply));
		if (result < 0) {
			break;
		}
	}
	return result;
}
