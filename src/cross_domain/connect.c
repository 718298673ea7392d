/* Connecting. A listener that has as many connections waiting as it wants says so at once, and nothing tells when it has room:
 * so a timer tries again. Until then everything that is sent is queued. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "cross_domain/cross_domain_internal.h"
#include "util/clock.h"

/* A compositor accepts between two frames. */
#define RETRY_NS (4 * NEEP_NS_PER_MS)
/* One that has accepted nobody for so long does not run. */
#define PATIENCE_NS (10 * NEEP_NS_PER_S)

static int try_connect(int fd, const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, len + 1);
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static void arm_timer(struct neep_xd *xd) {
	struct itimerspec in = { .it_value.tv_nsec = RETRY_NS };
	(void)timerfd_settime(xd->retry_fd, 0, &in, NULL);
}

static void wait_for_room(struct neep_xd_context *context, const char *path) {
	context->connecting_path = path;
	context->connecting_until_ns = neep_clock_ns() + PATIENCE_NS;
	neep_list_append(&context->xd->connecting, &context->connecting_link);
	arm_timer(context->xd);
}

int neep_xd_channel_connect(struct neep_xd_context *context, const char *path) {
	if (!neep_xd_take_fds(context->xd, 1)) {
		return -EMFILE;
	}
	context->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (context->socket < 0) {
		neep_xd_put_fds(context->xd, 1);
		return -errno;
	}
	int rc = try_connect(context->socket, path);
	if (rc == 0) {
		return neep_xd_context_watch(context, NEEP_XD_TOKEN_SOCKET, context->socket);
	}
	if (rc != -EAGAIN) {
		return rc;
	}
	wait_for_room(context, path);
	return 0;
}

void neep_xd_channel_stop_connecting(struct neep_xd_context *context) {
	context->connecting_path = NULL;
	neep_list_remove(&context->connecting_link);
}

static void try_again(struct neep_xd_context *context) {
	const char *path = context->connecting_path;
	int rc = try_connect(context->socket, path);
	if (rc == -EAGAIN && neep_clock_ns() < context->connecting_until_ns) {
		return;
	}
	neep_xd_channel_stop_connecting(context);
	if (rc == 0) {
		rc = neep_xd_context_watch(context, NEEP_XD_TOKEN_SOCKET, context->socket);
	}
	if (rc == 0) {
		neep_xd_channel_flush(context);
		return;
	}
	neep_xd_tell(context, "cannot connect a guest program at %s: %s", path, strerror(-rc));
	neep_xd_context_kill(context);
}

void neep_xd_connect_retry(struct neep_xd *xd) {
	uint64_t expirations;
	(void)!read(xd->retry_fd, &expirations, sizeof(expirations));
	neep_list_for_each_safe (context, &xd->connecting, struct neep_xd_context, connecting_link) {
		try_again(context);
	}
	if (!neep_list_is_empty(&xd->connecting)) {
		arm_timer(xd);
	}
}
