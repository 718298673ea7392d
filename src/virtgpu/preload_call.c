#include "virtgpu/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Where connections go, out of the way of programs that count on low numbers. */
#define LOW_FDS 100

/* ---- what the environment says ---- */

static char node_name[NEEP_VIRTGPU_NAME_LEN + 1];
static atomic_int node_state; // 0: not looked yet, 1: there is one, 2: there is none

/* Read once, because programs clear their environment. Two threads that come first write the same. */
static void read_environment(void) {
	const char *name = getenv(NEEP_VIRTGPU_ENV_SOCKET);
	bool is_valid = name != NULL && strlen(name) == NEEP_VIRTGPU_NAME_LEN;
	if (is_valid) {
		memcpy(node_name, name, NEEP_VIRTGPU_NAME_LEN);
	}
	atomic_store_explicit(&node_state, is_valid ? 1 : 2, memory_order_release);
}

bool neep_preload_is_active(void) {
	int state = atomic_load_explicit(&node_state, memory_order_acquire);
	if (state == 0) {
		read_environment();
		state = atomic_load_explicit(&node_state, memory_order_acquire);
	}
	return state == 1;
}

__attribute__((constructor)) static void start(void) {
	neep_preload_is_active();
}

/* ---- tokens ---- */

/* Raw calls: those of the C library are points where a thread may be cancelled. */
static long raw_result(long result) {
	return result < 0 ? -errno : result;
}

static bool parse_id(const char *digits, uint64_t *id) {
	*id = 0;
	for (size_t i = 0; i < 16; i++) {
		char c = digits[i];
		if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
			return false;
		}
		*id = *id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return true;
}

/* The name of the far end, if it is of our node: how many bytes behind the node's own name. Else -1. */
static int far_end(int fd, struct sockaddr_un *address) {
	socklen_t len = sizeof(*address);
	int saved = errno;
	int result = (int)syscall(SYS_getpeername, fd, address, &len);
	errno = saved;
	size_t head = offsetof(struct sockaddr_un, sun_path) + 1;
	if (result < 0 || address->sun_family != AF_UNIX || len < head + NEEP_VIRTGPU_NAME_LEN ||
		address->sun_path[0] != '\0' ||
		memcmp(address->sun_path + 1, node_name, NEEP_VIRTGPU_NAME_LEN) != 0) {
		return -1;
	}
	return (int)(len - head - NEEP_VIRTGPU_NAME_LEN);
}

bool neep_preload_token(int fd, struct neep_preload_token *token) {
	struct sockaddr_un address;
	if (!neep_preload_is_active() || far_end(fd, &address) != 17) {
		return false;
	}
	const char *rest = address.sun_path + 1 + NEEP_VIRTGPU_NAME_LEN;
	token->kind = (enum neep_virtgpu_token_kind)rest[0];
	return parse_id(rest + 1, &token->id);
}

/* ---- the connection ---- */

/* In a page that a child of fork() finds zeroed: so it has no connection yet, and nobody holds its lock. */
struct connection {
	pthread_mutex_t lock;
	int fd_plus_1; // guarded by lock
	uint32_t sequence;
	int stale_fd_plus_1;
};

static struct connection *_Atomic connection_page;
static atomic_int inherited_fd; // the last connection of any process of this family, plus 1

static struct connection *connection_get(void) {
	struct connection *page = atomic_load_explicit(&connection_page, memory_order_acquire);
	if (page != NULL) {
		return page;
	}
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		return NULL;
	}
	madvise(page, sizeof(*page), MADV_WIPEONFORK);
	struct connection *expected = NULL;
	if (!atomic_compare_exchange_strong(&connection_page, &expected, page)) {
		munmap(page, sizeof(*page));
		page = expected;
	}
	return page;
}

static bool is_connection(int fd) {
	struct sockaddr_un address;
	return far_end(fd, &address) == 0;
}

static int move_up(int fd) {
	int high = fcntl(fd, F_DUPFD_CLOEXEC, LOW_FDS);
	if (high < 0) {
		return fd;
	}
	close(fd);
	return high;
}

static int connect_to_node(void) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path + 1, node_name, NEEP_VIRTGPU_NAME_LEN);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + NEEP_VIRTGPU_NAME_LEN);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	if (raw_result(syscall(SYS_connect, fd, &address, len)) < 0) {
		int result = -errno;
		close(fd);
		return result;
	}
	return move_up(fd);
}

/* The connection of this process, made anew where the program closed it (it may close all fds, and open others at the
 * same number). Lock held. */
static int connection_fd(struct connection *connection) {
	int fd = connection->fd_plus_1 - 1;
	if (fd >= 0 && is_connection(fd)) {
		return fd;
	}
	connection->fd_plus_1 = 0;
	/* A parent's, which fork() copied. */
	int inherited = atomic_exchange(&inherited_fd, 0) - 1;
	if (fd < 0 && inherited >= 0 && is_connection(inherited)) {
		close(inherited);
	}
	fd = connect_to_node();
	if (fd >= 0) {
		connection->fd_plus_1 = fd + 1;
		atomic_store(&inherited_fd, fd + 1);
	}
	return fd;
}

/* ---- the end of the node ---- */

static atomic_bool is_gone;

bool neep_preload_node_is_gone(void) {
	return atomic_load_explicit(&is_gone, memory_order_relaxed);
}

static bool has_hung_up(int fd) {
	struct pollfd poller = { .fd = fd };
	struct timespec now = { 0 };
	return syscall(SYS_ppoll, &poller, 1, &now, NULL, 0) == 1 && (poller.revents & POLLHUP) != 0;
}

/* Lock held. A connection may end alone; a node that has ended takes no other one. */
static void look(struct connection *connection) {
	int fd = connection_fd(connection);
	if (fd >= 0 && has_hung_up(fd)) {
		fd = connect_to_node();
		if (fd >= 0) {
			close(fd);
		}
	}
	if (fd == -ECONNREFUSED) {
		atomic_store_explicit(&is_gone, true, memory_order_relaxed);
	}
}

/* ---- exchanges ---- */

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(3 * sizeof(int))];
};

static int send_call(int fd, struct neep_preload_exchange *exchange) {
	union control control;
	struct msghdr msg = { .msg_iov = exchange->iov, .msg_iovlen = exchange->iov_count };
	if (exchange->fd_count > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(exchange->fd_count * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(exchange->fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), exchange->fds, exchange->fd_count * sizeof(int));
	}
	return (int)raw_result(syscall(SYS_sendmsg, fd, &msg, MSG_NOSIGNAL));
}

static int take_fd(struct msghdr *msg) {
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	int fd = -1;
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	}
	return fd;
}

static int receive_answer(int fd, struct neep_preload_exchange *exchange) {
	union control control;
	struct iovec iov[] = {
		{ &exchange->answer, sizeof(exchange->answer) },
		{ exchange->body, sizeof(exchange->body) },
	};
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int)),
	};
	int flags = exchange->wants_cloexec ? MSG_CMSG_CLOEXEC : 0;
	long got = raw_result(syscall(SYS_recvmsg, fd, &msg, flags));
	if (got < (long)sizeof(exchange->answer)) {
		return -ENODEV;
	}
	exchange->fd = take_fd(&msg);
	/* The node sent one and there was no room for it. */
	return (msg.msg_flags & MSG_CTRUNC) != 0 && exchange->fd < 0 ? -EMFILE : 0;
}

static int exchange_locked(struct connection *connection, struct neep_preload_exchange *exchange) {
	int fd = connection_fd(connection);
	if (fd < 0) {
		return -ENODEV;
	}
	exchange->call.sequence = ++connection->sequence;
	exchange->iov[0] = (struct iovec){ &exchange->call, sizeof(exchange->call) };
	int result = send_call(fd, exchange);
	if (result < 0) {
		return result == -EPIPE || result == -ECONNRESET ? -ENODEV : result;
	}
	if ((exchange->call.flags & NEEP_VIRTGPU_CALL_SILENT) != 0) {
		return 0;
	}
	result = receive_answer(fd, exchange);
	return result < 0 ? result : exchange->answer.result;
}

/* With all signals blocked: a handler that comes here too must not find its own thread holding the lock. Returns whether it
 * is held. */
static bool lock(struct connection *connection, sigset_t *signals, int (*take)(pthread_mutex_t *)) {
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, signals);
	bool is_held = take(&connection->lock) == 0;
	if (!is_held) {
		pthread_sigmask(SIG_SETMASK, signals, NULL);
	}
	return is_held;
}

static void unlock(struct connection *connection, const sigset_t *signals) {
	pthread_mutex_unlock(&connection->lock);
	pthread_sigmask(SIG_SETMASK, signals, NULL);
}

int neep_preload_exchange(struct neep_preload_exchange *exchange) {
	struct connection *connection = connection_get();
	exchange->fd = -1;
	if (connection == NULL || !neep_preload_is_active()) {
		return -ENODEV;
	}
	sigset_t signals;
	int saved = errno;
	lock(connection, &signals, pthread_mutex_lock);
	int result = exchange_locked(connection, exchange);
	if (result == -ENODEV) {
		look(connection);
	}
	unlock(connection, &signals);
	errno = saved;
	if (result < 0 && exchange->fd >= 0) {
		close(exchange->fd);
		exchange->fd = -1;
	}
	return result;
}

void neep_preload_look_for_node(void) {
	struct connection *connection = connection_get();
	sigset_t signals;
	/* Who holds the lock will look too. */
	if (connection == NULL || !lock(connection, &signals, pthread_mutex_trylock)) {
		return;
	}
	look(connection);
	unlock(connection, &signals);
}

int neep_preload_open_node(bool cloexec) {
	struct iovec iov[1];
	struct neep_preload_exchange exchange = {
		.call = { .op = NEEP_VIRTGPU_OP_OPEN },
		.iov = iov,
		.iov_count = 1,
		.wants_cloexec = cloexec,
	};
	int result = neep_preload_exchange(&exchange);
	return result < 0 ? result : exchange.fd >= 0 ? exchange.fd : -ENODEV;
}

/* ---- info ---- */

static const struct neep_virtgpu_info *_Atomic info_page;

static const struct neep_virtgpu_info *map_info(int fd) {
	struct stat st;
	void *info = MAP_FAILED;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof(struct neep_virtgpu_info)) {
		info = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	}
	return info == MAP_FAILED ? NULL : info;
}

const struct neep_virtgpu_info *neep_preload_info(void) {
	const struct neep_virtgpu_info *info = atomic_load_explicit(&info_page, memory_order_acquire);
	if (info != NULL) {
		return info;
	}
	struct neep_virtgpu_debug_name name = { 0 };
	prctl(PR_GET_NAME, name.text);
	struct iovec iov[] = { { 0 }, { &name, sizeof(name) } };
	struct neep_preload_exchange exchange = {
		.call = { .op = NEEP_VIRTGPU_OP_INFO, .size = sizeof(name) },
		.iov = iov,
		.iov_count = 2,
		.wants_cloexec = true,
	};
	if (neep_preload_exchange(&exchange) < 0 || exchange.fd < 0) {
		return NULL;
	}
	info = map_info(exchange.fd);
	close(exchange.fd);
	const struct neep_virtgpu_info *expected = NULL;
	if (info != NULL && !atomic_compare_exchange_strong(&info_page, &expected, info)) {
		munmap((void *)(uintptr_t)info, info->size);
		info = expected;
	}
	return info;
}
