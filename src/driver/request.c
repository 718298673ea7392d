/* Theory of operation: requests and waiting.
 *
 * A request is copied into one piece of guest memory and put on its ring under the lock. Whoever waits and finds no pump
 * becomes the pump: it asks both rings for interrupts, leaves the lock, sleeps on poll_fd, takes the lock again and
 * collects. A completion of somebody else's request wakes the sleepers on `changed`. When the pump's own wait is over it
 * wakes them too, and one of them pumps on. Interrupts are asked for before every sleep and when the last pump leaves, so
 * that poll_fd becomes readable for neep_driver_dispatch(). */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "driver/driver.h"
#include "driver/driver_internal.h"
#include "util/clock.h"
#include "util/fd.h"

#define PIECE_ALIGN 16

/* Commands up to this size find memory that an earlier one left. */
#define SMALL_MEMORY 512

/* ---- fds ---- */

/* Sockets have no number in their event: their owner looks at all of them. */
#define EVENT_IS_SOCKET (-1)

static int watch(int poll_fd, int fd, int event_fd) {
	struct epoll_event event = { .events = EPOLLIN, .data.fd = event_fd };
	if (fd < 0) {
		return 0;
	}
	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST ? -errno : 0;
}

int neep_driver_watch_fds(struct neep_driver *driver) {
	int result = watch(driver->poll_fd, driver->wake_fd, driver->wake_fd);
	for (size_t i = 0; result == 0 && i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		int call_fd = neep_queue_call_fd(driver->queues[i]);
		result = watch(driver->poll_fd, call_fd, call_fd);
	}
	if (result == 0) {
		result = watch(driver->poll_fd, neep_frontend_socket(driver->frontend), EVENT_IS_SOCKET);
	}
	if (result == 0) {
		result = watch(driver->poll_fd, neep_frontend_channel(driver->frontend), EVENT_IS_SOCKET);
	}
	return result;
}

int neep_driver_fd(const struct neep_driver *driver) {
	return driver->poll_fd;
}

/* ---- pendings ---- */

static struct neep_driver_pending *take_pending(struct neep_driver *driver) {
	if (neep_list_is_empty(&driver->spare)) {
		struct neep_driver_pending *fresh = calloc(1, sizeof(*fresh));
		if (fresh != NULL) {
			neep_list_init(&fresh->link);
		}
		return fresh;
	}
	struct neep_driver_pending *pending =
		neep_container_of(driver->spare.next, struct neep_driver_pending, link);
	neep_list_remove(&pending->link);
	return pending;
}

static void give_pending(struct neep_driver *driver, struct neep_driver_pending *pending) {
	if (pending->memory.size > SMALL_MEMORY) {
		neep_guest_free(driver->memory, &pending->memory);
	}
	pending->request = NULL;
	neep_list_remove(&pending->link);
	neep_list_insert(&driver->spare, &pending->link);
}

void neep_driver_finish_requests(struct neep_driver *driver) {
	neep_list_for_each_safe (pending, &driver->spare, struct neep_driver_pending, link) {
		neep_guest_free(driver->memory, &pending->memory);
		free(pending);
	}
	neep_list_init(&driver->spare);
}

/* A completed request may be gone for its owner as soon as is_done is set: the lock is what keeps it. */
static void complete(struct neep_driver *driver, struct neep_driver_pending *pending, int result) {
	struct neep_driver_request *request = pending->request;
	driver->sequence++;
	if (request != NULL) {
		if (request->reply_len > 0 && result == 0) {
			memcpy(request->reply, pending->reply, request->reply_len);
		}
		request->result = result;
		request->used_len = pending->buffer.used_len;
		request->sequence = driver->sequence;
		request->pending = NULL;
		request->is_done = true;
	}
	give_pending(driver, pending);
}

void neep_driver_fail_all_locked(struct neep_driver *driver, int result) {
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		neep_queue_reset(driver->queues[i]);
		driver->bases[i] = neep_queue_setup(driver->queues[i]).base;
	}
	neep_list_for_each_safe (pending, &driver->pending, struct neep_driver_pending, link) {
		complete(driver, pending, result);
	}
	neep_driver_wake_locked(driver);
}

/* ---- collecting ---- */

static bool collect_queue(struct neep_driver *driver, struct neep_queue *queue) {
	struct neep_queue_buffer *buffer;
	bool found = false;
	while ((buffer = neep_queue_get(queue)) != NULL) {
		complete(driver, neep_container_of(buffer, struct neep_driver_pending, buffer), 0);
		found = true;
	}
	return found;
}

/* What the sleepers and the pump wait for may have come to pass by this thread's doing. */
void neep_driver_wake_locked(struct neep_driver *driver) {
	if (driver->waiters > 0) {
		pthread_cond_broadcast(&driver->changed);
	}
	if (driver->is_pump_asleep) {
		neep_eventfd_signal(driver->wake_fd);
	}
}

static bool collect_queues(struct neep_driver *driver) {
	bool found = false;
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		found |= collect_queue(driver, driver->queues[i]);
	}
	if (found) {
		neep_driver_wake_locked(driver);
	}
	return found;
}

static void serve_frontend(struct neep_driver *driver) {
	bool was_dead = neep_frontend_is_dead(driver->frontend);
	uint64_t changes = neep_frontend_config_changes(driver->frontend);
	neep_frontend_serve(driver->frontend);
	if (was_dead != neep_frontend_is_dead(driver->frontend) ||
		changes != neep_frontend_config_changes(driver->frontend)) {
		neep_driver_wake_locked(driver);
	}
}

bool neep_driver_collect_locked(struct neep_driver *driver) {
	serve_frontend(driver);
	return collect_queues(driver);
}

static bool arm_queues(struct neep_driver *driver) {
	bool found = false;
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		found |= neep_queue_arm(driver->queues[i]);
	}
	return found;
}

static void disarm_queues(struct neep_driver *driver) {
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		neep_queue_disarm(driver->queues[i]);
	}
}

/* Whoever leaves the rings alone asks for interrupts first, also while nothing is outstanding: the next request may be
 * submitted by somebody who sleeps on poll_fd. */
static void arm_for_dispatch(struct neep_driver *driver) {
	if (arm_queues(driver)) {
		neep_eventfd_signal(driver->wake_fd);
	}
}

/* ---- pumping ---- */

static void relax_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Looks per yield: on few CPUs the device may stand in line behind us. */
#define SPIN_LOOKS 32

static bool spin(struct neep_driver *driver) {
	int64_t end = neep_clock_ns() + driver->options.spin_ns;
	disarm_queues(driver);
	for (uint32_t looks = 1; !collect_queues(driver); looks++) {
		if (neep_clock_ns() >= end) {
			return false;
		}
		/* Others submit meanwhile. */
		pthread_mutex_unlock(&driver->lock);
		if (looks % SPIN_LOOKS == 0) {
			sched_yield();
		} else {
			relax_cpu();
		}
		pthread_mutex_lock(&driver->lock);
	}
	return true;
}

static void sleep_on_fds(struct neep_driver *driver, int64_t deadline) {
	int64_t left = deadline - neep_clock_ns();
	int timeout_ms = left <= 0 ? 0 : (int)((left + NEEP_NS_PER_MS - 1) / NEEP_NS_PER_MS);
	struct epoll_event events[8];
	driver->is_pump_asleep = true;
	pthread_mutex_unlock(&driver->lock);
	int count = epoll_wait(driver->poll_fd, events, (int)NEEP_ARRAY_LEN(events), timeout_ms);
	pthread_mutex_lock(&driver->lock);
	driver->is_pump_asleep = false;
	bool has_socket = false;
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd != EVENT_IS_SOCKET) {
			neep_eventfd_drain(events[i].data.fd);
		} else {
			has_socket = true;
		}
	}
	if (has_socket) {
		serve_frontend(driver);
	}
}

/* One turn of the pump: returns when something may have changed, or at the deadline. */
static void pump(struct neep_driver *driver, int64_t deadline) {
	driver->is_pumping = true;
	bool found = collect_queues(driver);
	if (!found && driver->options.spin_ns > 0) {
		found = spin(driver);
	}
	if (!found && !arm_queues(driver)) {
		sleep_on_fds(driver, deadline);
	}
	collect_queues(driver);
	driver->is_pumping = false;
}

static void sleep_for_pump(struct neep_driver *driver, int64_t deadline) {
	struct timespec until = { .tv_sec = deadline / NEEP_NS_PER_S, .tv_nsec = deadline % NEEP_NS_PER_S };
	driver->waiters++;
	pthread_cond_timedwait(&driver->changed, &driver->lock, &until);
	driver->waiters--;
}

/* What a wait waits for: one of these. */
struct condition {
	const struct neep_driver_request *request; // it is done
	const struct neep_queue *queue;            // it has more free slots than that
	uint32_t free_slots;
	uint64_t config_changes; // there were more than that
};

static bool is_met(const struct neep_driver *driver, const struct condition *condition) {
	if (condition->request != NULL) {
		return condition->request->is_done;
	}
	if (condition->queue != NULL) {
		return neep_queue_free_slots(condition->queue) > condition->free_slots;
	}
	return neep_frontend_config_changes(driver->frontend) > condition->config_changes;
}

static int turn(struct neep_driver *driver, int64_t deadline) {
	if (neep_frontend_is_dead(driver->frontend)) {
		return -EPIPE;
	}
	if (neep_clock_ns() >= deadline) {
		return -ETIMEDOUT;
	}
	if (driver->is_pumping) {
		sleep_for_pump(driver, deadline);
	} else {
		pump(driver, deadline);
	}
	return 0;
}

static int wait_locked(struct neep_driver *driver, const struct condition *condition, int64_t timeout_ns) {
	/* Who collected it has armed the rings when it left. */
	if (is_met(driver, condition)) {
		return 0;
	}
	int64_t deadline = neep_clock_ns() + timeout_ns;
	int result = 0;
	while (result == 0 && !is_met(driver, condition)) {
		result = turn(driver, deadline);
	}
	if (!driver->is_pumping && driver->waiters > 0) {
		/* One of those who sleep takes over. */
		pthread_cond_signal(&driver->changed);
	} else if (!driver->is_pumping) {
		arm_for_dispatch(driver);
	}
	/* What is met at the last moment counts. */
	return is_met(driver, condition) ? 0 : result;
}

/* ---- submitting ---- */

static uint64_t align_piece(uint64_t len) {
	return (len + PIECE_ALIGN - 1) & ~(uint64_t)(PIECE_ALIGN - 1);
}

/* Appends a piece at `offset` of the pending's memory; returns the offset behind it. */
static uint64_t place_piece(
	struct neep_driver_pending *pending, uint64_t offset, const void *from, size_t len) {
	if (len == 0) {
		return offset;
	}
	struct neep_queue_buffer *buffer = &pending->buffer;
	struct neep_guest_piece *piece = &pending->pieces[buffer->readable_count + buffer->writable_count];
	*piece = (struct neep_guest_piece){
		.guest_addr = pending->memory.first.guest_addr + offset,
		.host = (char *)pending->memory.first.host + offset,
		.len = len,
	};
	memcpy(piece->host, from, len);
	return offset + align_piece(len);
}

static int ensure_memory(struct neep_driver *driver, struct neep_driver_pending *pending, uint64_t size) {
	if (pending->memory.size >= size && size > 0) {
		return 0;
	}
	neep_guest_free(driver->memory, &pending->memory);
	bool is_small = size > 0 && size <= SMALL_MEMORY;
	return neep_guest_alloc(driver->memory, is_small ? SMALL_MEMORY : size, &pending->memory);
}

static int fill_pending(struct neep_driver *driver, struct neep_driver_pending *pending,
	const struct neep_driver_request *request) {
	uint64_t size = align_piece(request->cmd_len) + align_piece(request->payload_len) +
			align_piece(request->reply_len);
	int result = ensure_memory(driver, pending, size);
	if (result < 0) {
		return result;
	}
	struct neep_queue_buffer *buffer = &pending->buffer;
	*buffer = (struct neep_queue_buffer){ .pieces = pending->pieces };
	uint64_t offset = 0;
	offset = place_piece(pending, offset, request->cmd, request->cmd_len);
	buffer->readable_count += request->cmd_len > 0;
	offset = place_piece(pending, offset, request->payload, request->payload_len);
	buffer->readable_count += request->payload_len > 0;
	pending->reply = (char *)pending->memory.first.host + offset;
	place_piece(pending, offset, request->reply, request->reply_len);
	buffer->writable_count = request->reply_len > 0;
	return 0;
}

static int add_with_wait(
	struct neep_driver *driver, struct neep_queue *queue, struct neep_driver_pending *pending) {
	for (;;) {
		int result = neep_queue_add(queue, &pending->buffer);
		if (result != -ENOSPC) {
			return result;
		}
		neep_queue_kick(queue);
		struct condition room = { .queue = queue, .free_slots = neep_queue_free_slots(queue) };
		result = wait_locked(driver, &room, driver->options.timeout_ns);
		if (result < 0) {
			return result;
		}
	}
}

static int submit_one(struct neep_driver *driver, struct neep_driver_request *request) {
	struct neep_driver_pending *pending = take_pending(driver);
	if (pending == NULL) {
		return -ENOMEM;
	}
	int result =
		neep_frontend_is_dead(driver->frontend) ? -EPIPE : fill_pending(driver, pending, request);
	if (result == 0) {
		result = add_with_wait(driver, driver->queues[request->queue], pending);
	}
	if (result < 0) {
		give_pending(driver, pending);
		return result;
	}
	request->is_done = false;
	request->result = 0;
	request->pending = pending;
	pending->request = request;
	neep_list_append(&driver->pending, &pending->link);
	return 0;
}

int neep_driver_submit(struct neep_driver *driver, struct neep_driver_request *requests, size_t count) {
	pthread_mutex_lock(&driver->lock);
	int result = 0;
	for (size_t i = 0; result == 0 && i < count; i++) {
		result = submit_one(driver, &requests[i]);
	}
	for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
		neep_queue_kick(driver->queues[i]);
	}
	pthread_mutex_unlock(&driver->lock);
	return result;
}

/* ---- waiting ---- */

bool neep_driver_poll(struct neep_driver *driver, struct neep_driver_request *request) {
	pthread_mutex_lock(&driver->lock);
	neep_driver_collect_locked(driver);
	bool is_done = request->is_done;
	pthread_mutex_unlock(&driver->lock);
	return is_done;
}

int neep_driver_wait_for(
	struct neep_driver *driver, struct neep_driver_request *request, int64_t timeout_ns) {
	struct condition done = { .request = request };
	pthread_mutex_lock(&driver->lock);
	int result = wait_locked(driver, &done, timeout_ns);
	pthread_mutex_unlock(&driver->lock);
	return result < 0 ? result : request->result;
}

void neep_driver_set_spin(struct neep_driver *driver, int64_t spin_ns) {
	pthread_mutex_lock(&driver->lock);
	driver->options.spin_ns = spin_ns;
	pthread_mutex_unlock(&driver->lock);
}

int neep_driver_wait(struct neep_driver *driver, struct neep_driver_request *request) {
	return neep_driver_wait_for(driver, request, driver->options.timeout_ns);
}

void neep_driver_abandon(struct neep_driver *driver, struct neep_driver_request *request) {
	pthread_mutex_lock(&driver->lock);
	if (!request->is_done && request->pending != NULL) {
		request->pending->request = NULL;
		request->pending = NULL;
		request->result = -ECANCELED;
		request->is_done = true;
	}
	pthread_mutex_unlock(&driver->lock);
}

int64_t neep_driver_call(
	struct neep_driver *driver, const void *cmd, size_t cmd_len, void *reply, size_t reply_len) {
	struct neep_driver_request request = {
		.queue = NEEP_DRIVER_CONTROLQ,
		.cmd = cmd,
		.cmd_len = cmd_len,
		.reply = reply,
		.reply_len = reply_len,
	};
	return neep_driver_run(driver, &request);
}

int64_t neep_driver_run(struct neep_driver *driver, struct neep_driver_request *request) {
	int result = neep_driver_submit(driver, request, 1);
	if (result < 0) {
		return result;
	}
	result = neep_driver_wait(driver, request);
	if (result < 0) {
		neep_driver_abandon(driver, request);
		return result;
	}
	return request->used_len;
}

int neep_driver_wait_config_change(struct neep_driver *driver, uint64_t seen, int64_t timeout_ns) {
	struct condition changed = { .config_changes = seen };
	pthread_mutex_lock(&driver->lock);
	int result = wait_locked(driver, &changed, timeout_ns);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

/* ---- without a waiting thread ---- */

int neep_driver_dispatch(struct neep_driver *driver) {
	pthread_mutex_lock(&driver->lock);
	if (!driver->is_pumping) {
		neep_eventfd_drain(driver->wake_fd);
		for (size_t i = 0; i < NEEP_DRIVER_QUEUE_COUNT; i++) {
			neep_eventfd_drain(neep_queue_call_fd(driver->queues[i]));
		}
		neep_driver_collect_locked(driver);
		arm_for_dispatch(driver);
	}
	int result = neep_frontend_is_dead(driver->frontend) ? -EPIPE : 0;
	pthread_mutex_unlock(&driver->lock);
	return result;
}

/* Long enough to cost nothing, and nobody waits for it: wake_fd and `changed` end every sleep. */
#define SERVICE_TURN_NS (3600 * NEEP_NS_PER_S)

static void *serve(void *data) {
	struct neep_driver *driver = data;
	pthread_mutex_lock(&driver->lock);
	while (!driver->is_stopping) {
		int64_t deadline = neep_clock_ns() + SERVICE_TURN_NS;
		if (driver->is_pumping || neep_frontend_is_dead(driver->frontend)) {
			sleep_for_pump(driver, deadline);
		} else {
			pump(driver, deadline);
		}
	}
	pthread_mutex_unlock(&driver->lock);
	return NULL;
}

int neep_driver_start_service(struct neep_driver *driver) {
	if (driver->has_service) {
		return 0;
	}
	int result = pthread_create(&driver->service, NULL, serve, driver);
	driver->has_service = result == 0;
	return -result;
}

void neep_driver_stop_service(struct neep_driver *driver) {
	if (!driver->has_service) {
		return;
	}
	pthread_mutex_lock(&driver->lock);
	driver->is_stopping = true;
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	pthread_join(driver->service, NULL);
	driver->has_service = false;
}
