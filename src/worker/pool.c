/* Theory of operation
 *
 * One epoll instance holds the spawner's socket and pidfd, a timer, and the socket of each renderer; sources are named by tokens
 * and looked up when their event is handled, so that one which went away in the same turn is missed and nothing else.
 *
 * A renderer is running, then broken (it failed, its owner does not know), then ending (it has no socket; the spawner's EXITED is
 * awaited, and at the deadline it is killed). Owners learn of a loss from dispatch only: the functions that send just note it. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "worker/worker_internal.h"

enum {
	TOKEN_SPAWNER = 1,
	TOKEN_PROCESS,
	TOKEN_TIMER,
	TOKEN_FIRST_WORKER = 16,
};

#define EVENTS_MAX 64
/* Ending renderers cost memory that their guest is no longer charged for. */
#define ENDING_MAX 64
/* A spawner that does not live is not started again and again by guests who try. */
#define RESTART_INTERVAL_NS NEEP_NS_PER_S

static struct neep_worker *worker_from_link(struct neep_idmap_link *link) {
	return neep_container_of(link, struct neep_worker, token_link);
}

void neep_worker_pool_say(struct neep_worker_pool *pool, enum neep_log_level level, const char *format, ...) {
	char text[2 * NEEP_WORKER_REASON_SIZE];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pool->speaker->impl->say(pool->speaker, level, text);
}

int neep_worker_pool_watch(struct neep_worker_pool *pool, int fd, uint64_t token) {
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = token };
	return epoll_ctl(pool->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void neep_worker_pool_watch_room(
	struct neep_worker_pool *pool, struct neep_worker_channel *channel, uint64_t token) {
	bool wants_out = channel->queued > 0;
	if (wants_out == channel->wants_out) {
		return;
	}
	struct epoll_event event = {
		.events = EPOLLIN | (wants_out ? (uint32_t)EPOLLOUT : 0),
		.data.u64 = token,
	};
	if (epoll_ctl(pool->epoll_fd, EPOLL_CTL_MOD, channel->fd, &event) == 0) {
		channel->wants_out = wants_out;
	}
}

/* Absolute; 0 never fires. */
static void set_timer(struct neep_worker_pool *pool, int64_t at_ns) {
	if (pool->timer_ns == at_ns) {
		return;
	}
	pool->timer_ns = at_ns;
	struct itimerspec spec = {
		.it_value = { .tv_sec = at_ns / NEEP_NS_PER_S, .tv_nsec = at_ns % NEEP_NS_PER_S },
	};
	timerfd_settime(pool->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void neep_worker_pool_wake(struct neep_worker_pool *pool) {
	set_timer(pool, 1);
}

/* "was killed by SIGKILL". */
static void describe_status(int status, char *text, size_t size) {
	if (!WIFSIGNALED(status)) {
		snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
		return;
	}
	const char *name = sigabbrev_np(WTERMSIG(status));
	snprintf(text, size, "was killed by SIG%s%s", name != NULL ? name : "?",
		WTERMSIG(status) == SIGXCPU ? ", its limit of cpu time" : "");
}

/* The spawner's socket is done for; its renderers end with it. */
static void lose_spawner(struct neep_worker_pool *pool) {
	if (pool->spawner.fd < 0) {
		return;
	}
	neep_worker_channel_close(&pool->spawner);
	struct neep_idmap_link *link = neep_idmap_take_all(&pool->workers);
	while (link != NULL) {
		struct neep_worker *worker = worker_from_link(link);
		link = link->next;
		neep_worker_ended(worker, "went with the spawner");
	}
}

static void process_ready(struct neep_worker_pool *pool) {
	int status;
	if (!neep_worker_process_reap(&pool->process, &status)) {
		return;
	}
	char how[64];
	describe_status(status, how, sizeof(how));
	neep_worker_pool_say(pool, NEEP_LOG_ERROR, "%s %s", pool->path, how);
	lose_spawner(pool);
}

void neep_worker_pool_send(struct neep_worker_pool *pool, const void *message, int fd) {
	if (neep_worker_channel_send(&pool->spawner, message, &fd, fd >= 0 ? 1 : 0) < 0) {
		lose_spawner(pool);
		return;
	}
	neep_worker_pool_watch_room(pool, &pool->spawner, TOKEN_SPAWNER);
}

static void worker_exited(struct neep_worker_pool *pool, const struct neep_worker_exited *exited) {
	struct neep_idmap_link *link = neep_idmap_find(&pool->workers, exited->token);
	if (link == NULL || exited->token < TOKEN_FIRST_WORKER) {
		return;
	}
	struct neep_worker *worker = worker_from_link(link);
	/* Its last words may still be on the way. */
	neep_worker_drain(worker);
	char how[128];
	if (exited->error != 0) {
		snprintf(how, sizeof(how), "could not be started: %s", strerror(exited->error));
	} else {
		describe_status(exited->wait_status, how, sizeof(how));
	}
	neep_idmap_remove(&pool->workers, link);
	neep_worker_ended(worker, how);
}

/* One message of the spawner. Returns as neep_worker_channel_receive(). */
static int spawner_message(struct neep_worker_pool *pool) {
	struct neep_fds fds = { .count = 0 };
	union neep_worker_incoming message;
	int rc = neep_worker_channel_receive(&pool->spawner, &message, &fds);
	neep_fds_finish(&fds);
	if (rc <= 0) {
		return rc;
	}
	if (message.header.type != NEEP_WORKER_EXITED || message.header.size != sizeof(message.exited)) {
		return -EPROTO;
	}
	worker_exited(pool, &message.exited);
	return 1;
}

static void spawner_ready(struct neep_worker_pool *pool) {
	int rc = neep_worker_channel_flush(&pool->spawner);
	if (rc == 0) {
		neep_worker_pool_watch_room(pool, &pool->spawner, TOKEN_SPAWNER);
		rc = 1;
	}
	for (size_t i = 0; rc > 0 && i < EVENTS_MAX; i++) {
		rc = spawner_message(pool);
	}
	if (rc < 0) {
		lose_spawner(pool);
	}
}

static void handle(struct neep_worker_pool *pool, const struct epoll_event *event) {
	switch (event->data.u64) {
	case TOKEN_SPAWNER:
		if (pool->spawner.fd >= 0) {
			spawner_ready(pool);
		}
		break;
	case TOKEN_PROCESS:
		process_ready(pool);
		break;
	case TOKEN_TIMER:
		neep_eventfd_drain(pool->timer_fd);
		pool->timer_ns = 0;
		break;
	default: {
		struct neep_idmap_link *link = neep_idmap_find(&pool->workers, event->data.u64);
		if (link != NULL) {
			neep_worker_ready(worker_from_link(link), event->events);
		}
	}
	}
}

static void lose_broken(struct neep_worker_pool *pool) {
	while (!neep_list_is_empty(&pool->broken)) {
		neep_worker_lose(neep_container_of(pool->broken.next, struct neep_worker, link));
	}
}

/* Kills what is late. Returns when there is more to do: 0 if nothing, and while the spawner is behind: dispatch runs when it
 * has read. */
static int64_t kill_late(struct neep_worker_pool *pool) {
	int64_t now = neep_clock_ns();
	while (!neep_list_is_empty(&pool->ending) && pool->spawner.queued == 0) {
		struct neep_worker *first = neep_container_of(pool->ending.next, struct neep_worker, link);
		if (first->deadline_ns > now && pool->ending_count <= ENDING_MAX) {
			return first->deadline_ns;
		}
		neep_worker_kill(first);
	}
	return 0;
}

static int64_t sooner(int64_t a_ns, int64_t b_ns) {
	return a_ns == 0 || (b_ns != 0 && b_ns < a_ns) ? b_ns : a_ns;
}

void neep_worker_pool_set_alarm(struct neep_worker_pool *pool, int64_t at_ns) {
	pool->alarm_ns = at_ns;
	set_timer(pool, sooner(pool->timer_ns, at_ns));
}

void neep_worker_pool_dispatch(struct neep_worker_pool *pool) {
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(pool->epoll_fd, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++) {
		handle(pool, &events[i]);
	}
	lose_broken(pool);
	set_timer(pool, sooner(kill_late(pool), pool->alarm_ns));
	/* Killing may have found the spawner gone, or broken others. */
	if (!neep_list_is_empty(&pool->broken)) {
		neep_worker_pool_wake(pool);
	}
}

static int start_spawner(struct neep_worker_pool *pool, struct neep_error *error) {
	int64_t now = neep_clock_ns();
	if (pool->started_ns != 0 && now - pool->started_ns < RESTART_INTERVAL_NS) {
		return -EAGAIN;
	}
	pool->started_ns = now;
	int socket = -1;
	int rc = neep_worker_process_start(
		&pool->process, pool->path, (const char *const *)pool->arguments, &socket, error);
	if (rc < 0) {
		return rc;
	}
	neep_worker_channel_init(&pool->spawner, socket);
	rc = neep_worker_pool_watch(pool, socket, TOKEN_SPAWNER);
	if (rc == 0) {
		rc = neep_worker_pool_watch(pool, pool->process.pidfd, TOKEN_PROCESS);
	}
	if (rc < 0) {
		neep_worker_channel_close(&pool->spawner);
		return neep_error_set(error, -rc, "cannot watch %s", pool->path);
	}
	return 0;
}

/* The spawner is there, or there again. */
static int ensure_spawner(struct neep_worker_pool *pool) {
	if (pool->spawner.fd >= 0) {
		return 0;
	}
	if (pool->process.pidfd >= 0) {
		return -EAGAIN;
	}
	struct neep_error error = { .code = 0 };
	int rc = start_spawner(pool, &error);
	if (rc == 0) {
		neep_worker_pool_say(pool, NEEP_LOG_WARN, "%s was started again", pool->path);
	} else if (rc != -EAGAIN) {
		neep_worker_pool_say(pool, NEEP_LOG_ERROR, "%s", error.text);
	}
	return rc;
}

static int send_spawn(struct neep_worker_pool *pool, const struct neep_worker *worker, int socket) {
	struct neep_worker_spawn spawn = {
		.header = { NEEP_WORKER_SPAWN, sizeof(spawn) },
		.token = worker->token_link.id,
		.ctx_id = worker->ctx_id,
		.is_lost = worker->is_quiet,
	};
	memcpy(spawn.name, worker->name, sizeof(spawn.name));
	int rc = neep_worker_channel_send(&pool->spawner, &spawn, &socket, 1);
	if (rc == 0) {
		neep_worker_pool_watch_room(pool, &pool->spawner, TOKEN_SPAWNER);
	}
	return rc;
}

static int connect_worker(struct neep_worker_pool *pool, struct neep_worker *worker) {
	neep_autoclose int theirs = -1;
	int rc = neep_worker_channel_pair(&worker->channel.fd, &theirs);
	if (rc == 0) {
		rc = neep_worker_pool_watch(pool, worker->channel.fd, worker->token_link.id);
	}
	return rc < 0 ? rc : send_spawn(pool, worker, theirs);
}

int neep_worker_start(
	struct neep_worker_pool *pool, const struct neep_worker_params *params, struct neep_worker **out) {
	int rc = ensure_spawner(pool);
	if (rc < 0) {
		return rc;
	}
	if (pool->workers.count >= NEEP_WORKERS_MAX) {
		return -ENOSPC;
	}
	struct neep_worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL) {
		return -ENOMEM;
	}
	worker->pool = pool;
	worker->owner = params->owner;
	worker->ctx_id = params->ctx_id;
	worker->is_quiet = params->is_lost;
	snprintf(worker->name, sizeof(worker->name), "%s", params->name);
	neep_list_init(&worker->link);
	neep_worker_channel_init(&worker->channel, -1);
	neep_idmap_insert(&pool->workers, pool->next_token++, &worker->token_link);
	rc = connect_worker(pool, worker);
	if (rc < 0) {
		neep_idmap_remove(&pool->workers, &worker->token_link);
		neep_worker_free(worker);
		return rc;
	}
	*out = worker;
	return 0;
}

static void free_strings(char **strings) {
	for (size_t i = 0; strings != NULL && strings[i] != NULL; i++) {
		free(strings[i]);
	}
	free(strings);
}

static char **copy_strings(const char *const *strings) {
	size_t count = 0;
	while (strings != NULL && strings[count] != NULL) {
		count++;
	}
	char **copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy != NULL && i < count; i++) {
		copy[i] = strdup(strings[i]);
		if (copy[i] == NULL) {
			free_strings(copy);
			return NULL;
		}
	}
	return copy;
}

/* All but the spawner. */
static int pool_init(struct neep_worker_pool *pool, const struct neep_worker_pool_options *options,
	struct neep_error *error) {
	char path[PATH_MAX];
	int rc = neep_worker_process_find(options->path, path, sizeof(path), error);
	if (rc < 0) {
		return rc;
	}
	pool->path = strdup(path);
	pool->arguments = copy_strings(options->arguments);
	pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	pool->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (pool->path == NULL || pool->arguments == NULL || pool->epoll_fd < 0 || pool->timer_fd < 0 ||
		neep_worker_pool_watch(pool, pool->timer_fd, TOKEN_TIMER) < 0) {
		return neep_error_set(error, errno, "cannot get ready for renderers");
	}
	return 0;
}

struct neep_worker_pool *neep_worker_pool_create(
	const struct neep_worker_pool_options *options, struct neep_error *error) {
	struct neep_worker_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL || neep_idmap_init(&pool->workers) < 0) {
		neep_error_set(error, ENOMEM, "cannot get ready for renderers");
		free(pool);
		return NULL;
	}
	pool->speaker = options->speaker;
	pool->epoll_fd = -1;
	pool->timer_fd = -1;
	pool->process.pidfd = -1;
	pool->next_token = TOKEN_FIRST_WORKER;
	neep_worker_channel_init(&pool->spawner, -1);
	neep_list_init(&pool->broken);
	neep_list_init(&pool->ending);
	if (pool_init(pool, options, error) < 0 || start_spawner(pool, error) < 0) {
		neep_worker_pool_destroy(pool);
		return NULL;
	}
	return pool;
}

void neep_worker_pool_destroy(struct neep_worker_pool *pool) {
	if (pool == NULL) {
		return;
	}
	neep_worker_channel_close(&pool->spawner);
	struct neep_idmap_link *link = neep_idmap_take_all(&pool->workers);
	while (link != NULL) {
		struct neep_worker *worker = worker_from_link(link);
		link = link->next;
		neep_worker_free(worker);
	}
	neep_worker_process_end(&pool->process);
	neep_close_fd(&pool->timer_fd);
	neep_close_fd(&pool->epoll_fd);
	neep_idmap_finish(&pool->workers);
	free_strings(pool->arguments);
	free(pool->path);
	free(pool);
}

int neep_worker_pool_fd(const struct neep_worker_pool *pool) {
	return pool->epoll_fd;
}

size_t neep_worker_pool_count(const struct neep_worker_pool *pool) {
	return pool->workers.count;
}
