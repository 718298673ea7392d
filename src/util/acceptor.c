#include "util/acceptor.h"

#include <errno.h>
#include <sys/socket.h>

#include "util/clock.h"
#include "util/macros.h"

#define RETRY_NS (50 * NEEP_NS_PER_MS)

static void source_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_acceptor *acceptor = neep_container_of(source, struct neep_acceptor, source);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		acceptor->accepted(acceptor, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Whoever waits there would wake the loop for ever. */
		neep_source_remove(source);
		neep_timer_arm(acceptor->loop, &acceptor->retry, RETRY_NS);
	}
}

static void retry_fire(struct neep_timer *timer) {
	struct neep_acceptor *acceptor = neep_container_of(timer, struct neep_acceptor, retry);
	if (neep_source_add(acceptor->loop, &acceptor->source, EPOLLIN) < 0) {
		neep_timer_arm(acceptor->loop, timer, RETRY_NS);
	}
}

int neep_acceptor_start(struct neep_loop *loop, struct neep_acceptor *acceptor, int listening_fd) {
	acceptor->loop = loop;
	acceptor->source = (struct neep_source){ .fd = listening_fd, .ready = source_ready };
	acceptor->retry.fire = retry_fire;
	return neep_source_add(loop, &acceptor->source, EPOLLIN);
}

void neep_acceptor_stop(struct neep_acceptor *acceptor) {
	neep_timer_cancel(&acceptor->retry);
	neep_source_remove(&acceptor->source);
}
