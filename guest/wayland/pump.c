#include "wayland/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fd.h"
#include "wayland/channel.h"

/* Of the client's pipe: what is read at once. The kernel may refuse it. */
#define PIPE_SIZE (256 << 10)
/* Commands for what is left in a pipe: more than it has room for, so whoever writes on goes unheard. */
#define DRAIN_MAX 16

struct to_client {
	struct neep_list link; // neep_wl_pumps.to_client
	struct neep_wl_pumps *pumps;
	uint32_t id;
	int fd; // -1: the client does not want any more, the host cannot be told
	struct neep_source source;
	uint8_t *queue;
	size_t start; // bytes that the client has taken
	size_t end;
	size_t capacity;
	bool is_full;
	bool hangs_up; // when the queue is empty
};

struct to_host {
	struct neep_list link; // neep_wl_pumps.to_host
	struct neep_wl_pumps *pumps;
	uint32_t id;
	uint32_t lane;
	int fd;
	struct neep_source source; // of fd, unless that rests
	int fence_fd;
	struct neep_source fence_source; // of the fence
	size_t unfenced;                 // bytes since the last fence
};

/* ---- to the client ---- */

static void set_full(struct to_client *pump, bool is_full) {
	struct neep_wl_pumps *pumps = pump->pumps;
	if (pump->is_full != is_full) {
		pump->is_full = is_full;
		pumps->full_count += is_full ? 1 : (size_t)-1;
	}
}

static void close_client(struct to_client *pump) {
	neep_source_remove(&pump->source);
	neep_close_fd(&pump->fd);
	free(pump->queue);
	pump->queue = NULL;
	pump->start = pump->end = pump->capacity = 0;
	set_full(pump, false);
}

static void destroy_to_client(struct to_client *pump) {
	close_client(pump);
	neep_list_remove(&pump->link);
	free(pump);
}

/* Returns how many bytes the client has taken, or a negative errno. */
static ssize_t write_some(int fd, const uint8_t *bytes, size_t len) {
	size_t done = 0;
	while (done < len) {
		ssize_t wrote = write(fd, bytes + done, len - done);
		if (wrote < 0 && errno != EINTR) {
			return errno == EAGAIN ? (ssize_t)done : -errno;
		}
		done += wrote < 0 ? 0 : (size_t)wrote;
	}
	return (ssize_t)done;
}

static int enqueue(struct to_client *pump, const uint8_t *bytes, size_t len) {
	if (pump->capacity - pump->end < len && pump->start > 0) {
		memmove(pump->queue, pump->queue + pump->start, pump->end - pump->start);
		pump->end -= pump->start;
		pump->start = 0;
	}
	if (pump->capacity - pump->end < len) {
		size_t capacity = 2 * (pump->end + len);
		uint8_t *queue = realloc(pump->queue, capacity);
		if (queue == NULL) {
			return -ENOMEM;
		}
		pump->queue = queue;
		pump->capacity = capacity;
	}
	memcpy(pump->queue + pump->end, bytes, len);
	pump->end += len;
	set_full(pump, pump->end - pump->start > NEEP_WL_PUMP_QUEUE_MAX);
	return 0;
}

static int watch_client(struct to_client *pump) {
	return pump->source.loop != NULL ? 0 : neep_source_add(pump->pumps->loop, &pump->source, EPOLLOUT);
}

/* Writes what is queued. */
static int flush(struct to_client *pump) {
	ssize_t wrote = write_some(pump->fd, pump->queue + pump->start, pump->end - pump->start);
	if (wrote < 0) {
		return (int)wrote;
	}
	pump->start += (size_t)wrote;
	set_full(pump, pump->end - pump->start > NEEP_WL_PUMP_QUEUE_MAX);
	if (pump->start == pump->end) {
		pump->start = pump->end = 0;
		neep_source_remove(&pump->source);
	}
	return 0;
}

/* Ends what has come to its end. */
static void settle(struct to_client *pump, int result) {
	if (result < 0) {
		close_client(pump);
	}
	if (pump->hangs_up && pump->start == pump->end) {
		destroy_to_client(pump);
	}
}

static void client_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct to_client *pump = neep_container_of(source, struct to_client, source);
	struct neep_wl_pumps *pumps = pump->pumps;
	/* A client that has gone shows in the result of the write. */
	settle(pump, flush(pump));
	pumps->listener->changed(pumps->listener_data);
}

int neep_wl_pumps_add_to_client(struct neep_wl_pumps *pumps, int owned_fd, uint32_t *read_id) {
	neep_autoclose int fd = owned_fd;
	struct to_client *pump = calloc(1, sizeof(*pump));
	int result = pump == NULL ? -ENOMEM : neep_fd_set_nonblocking(fd);
	if (result < 0) {
		free(pump);
		return result;
	}
	*pump = (struct to_client){ .pumps = pumps, .id = pumps->next_read_id++, .fd = neep_steal_fd(&fd) };
	pump->source = (struct neep_source){ .fd = pump->fd, .ready = client_ready };
	neep_list_append(&pumps->to_client, &pump->link);
	*read_id = pump->id;
	return 0;
}

static struct to_client *find(const struct neep_wl_pumps *pumps, uint32_t id) {
	neep_list_for_each (pump, &pumps->to_client, struct to_client, link) {
		if (pump->id == id && !pump->hangs_up) {
			return pump;
		}
	}
	return NULL;
}

static int pass_on(struct to_client *pump, const uint8_t *bytes, size_t len) {
	ssize_t wrote = pump->start == pump->end ? write_some(pump->fd, bytes, len) : 0;
	if (wrote < 0 || (size_t)wrote == len) {
		return wrote < 0 ? (int)wrote : 0;
	}
	int result = enqueue(pump, bytes + wrote, len - (size_t)wrote);
	return result < 0 ? result : watch_client(pump);
}

void neep_wl_pumps_read(struct neep_wl_pumps *pumps, const struct neep_wl_pump_read *read) {
	struct to_client *pump = find(pumps, read->id);
	if (pump == NULL) {
		return;
	}
	pump->hangs_up = read->hang_up;
	settle(pump, pump->fd < 0 ? 0 : pass_on(pump, read->bytes, read->len));
}

/* ---- to the host ---- */

static void destroy_to_host(struct to_host *pump) {
	neep_source_remove(&pump->source);
	neep_source_remove(&pump->fence_source);
	neep_close_fd(&pump->fd);
	neep_close_fd(&pump->fence_fd);
	neep_list_remove(&pump->link);
	free(pump);
}

/* Rests until the host has passed on what it got. A source without events would still tell of the client's end. */
static int rest(struct to_host *pump, int fence_fd) {
	pump->unfenced = 0;
	if (fence_fd < 0 || pump->fence_fd >= 0) {
		neep_close_fd(&fence_fd);
		return 0;
	}
	pump->fence_fd = fence_fd;
	pump->fence_source.fd = fence_fd;
	neep_source_remove(&pump->source);
	return neep_source_add(pump->pumps->loop, &pump->fence_source, EPOLLIN);
}

static void fence_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct to_host *pump = neep_container_of(source, struct to_host, fence_source);
	neep_source_remove(&pump->fence_source);
	neep_close_fd(&pump->fence_fd);
	if (neep_source_add(pump->pumps->loop, &pump->source, EPOLLIN) < 0) {
		destroy_to_host(pump);
	}
}

/* Sends `len` bytes that are in the command already; 0 is the end. Returns 0 or a negative errno. */
static int send_on(struct to_host *pump, size_t len) {
	struct neep_wl_pumps *pumps = pump->pumps;
	int fence_fd = -1;
	pump->unfenced += len;
	bool wants_fence = pump->unfenced >= NEEP_WL_PUMP_WINDOW;
	size_t head = neep_wl_channel_write(pumps->buf, pump->id, len, len == 0);
	int result = pumps->listener->write(
		pumps->listener_data, pumps->buf, head + len, pump->lane, wants_fence ? &fence_fd : NULL);
	if (result == 0 && wants_fence) {
		result = rest(pump, fence_fd);
	}
	return result;
}

/* Passes on one command of what is in the pipe. Returns whether there was something; not at the end, and of the pump. */
static bool pass_to_host(struct to_host *pump) {
	struct neep_wl_pumps *pumps = pump->pumps;
	ssize_t got = read(pump->fd, pumps->buf + NEEP_WL_CHANNEL_WRITE_HEAD, NEEP_WL_CHANNEL_WRITE_MAX);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return false;
	}
	/* Nothing at all is the end; little is not. */
	if (send_on(pump, got < 0 ? 0 : (size_t)got) < 0 || got <= 0) {
		destroy_to_host(pump);
		return false;
	}
	return true;
}

/* One command a turn: others have theirs. */
static void host_pipe_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	pass_to_host(neep_container_of(source, struct to_host, source));
}

void neep_wl_pumps_drain(struct neep_wl_pumps *pumps) {
	neep_list_for_each_safe (pump, &pumps->to_host, struct to_host, link) {
		for (int i = 0; i < DRAIN_MAX && pass_to_host(pump); i++) {
		}
	}
}

int neep_wl_pumps_add_to_host(struct neep_wl_pumps *pumps, uint32_t write_id) {
	int ends[2];
	struct to_host *pump = calloc(1, sizeof(*pump));
	if (pump == NULL || pipe2(ends, O_CLOEXEC) < 0) {
		int result = pump == NULL ? -ENOMEM : -errno;
		free(pump);
		return result;
	}
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	*pump = (struct to_host){
		.pumps = pumps, .id = write_id, .lane = pumps->next_lane++, .fd = ends[0], .fence_fd = -1
	};
	pump->source = (struct neep_source){ .fd = pump->fd, .ready = host_pipe_ready };
	pump->fence_source = (struct neep_source){ .fd = -1, .ready = fence_ready };
	neep_list_append(&pumps->to_host, &pump->link);
	int result = neep_fd_set_nonblocking(pump->fd);
	if (result == 0) {
		result = neep_source_add(pumps->loop, &pump->source, EPOLLIN);
	}
	if (result < 0) {
		destroy_to_host(pump);
		neep_close_fd(&ends[1]);
		return result;
	}
	return ends[1];
}

/* ---- all of them ---- */

int neep_wl_pumps_init(struct neep_wl_pumps *pumps, struct neep_loop *loop,
	const struct neep_wl_pumps_listener *listener, void *listener_data) {
	*pumps = (struct neep_wl_pumps){
		.loop = loop,
		.listener = listener,
		.listener_data = listener_data,
		.next_read_id = NEEP_WL_READ_PIPE_FIRST,
		.buf = malloc(NEEP_WL_CHANNEL_WRITE_HEAD + NEEP_WL_CHANNEL_WRITE_MAX),
	};
	neep_list_init(&pumps->to_client);
	neep_list_init(&pumps->to_host);
	return pumps->buf == NULL ? -ENOMEM : 0;
}

void neep_wl_pumps_finish(struct neep_wl_pumps *pumps) {
	neep_list_for_each_safe (pump, &pumps->to_client, struct to_client, link) {
		destroy_to_client(pump);
	}
	neep_list_for_each_safe (pump, &pumps->to_host, struct to_host, link) {
		destroy_to_host(pump);
	}
	free(pumps->buf);
	pumps->buf = NULL;
}

bool neep_wl_pumps_is_full(const struct neep_wl_pumps *pumps) {
	return pumps->full_count > 0;
}

bool neep_wl_pumps_is_idle(const struct neep_wl_pumps *pumps) {
	return neep_list_is_empty(&pumps->to_client) && neep_list_is_empty(&pumps->to_host);
}
