#include "util/loop.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/cpu.h"
#include "util/fd.h"

/* Theory of operation
 *
 * A turn is: run the tasks, poll the pollers, and either spin (look at the sources without sleeping) or arm the
 * pollers and sleep in epoll. Spinning is worth it when the next request follows the last reply within
 * microseconds: then neither side pays for a wake-up. The window adapts like halt polling does: work that
 * arrives soon after the loop fell asleep opens it, a spin that found nothing halves it down to nothing, so an
 * idle or a slowly ticking guest costs no CPU. A spin also yields: on few CPUs whoever was woken by the last reply
 * may stand in line behind us. */

#define EVENTS_PER_TURN 32
/* A window below this is not worth its own clock reads. */
#define SPIN_MIN_NS INT64_C(2000)
/* How often a spinning loop looks at its sources: each look is a system call. */
#define SPIN_EPOLL_INTERVAL_NS INT64_C(7000)
/* Looks at the pollers per look at the clock, which costs as much as several of them. */
#define SPIN_POLLS 8

struct neep_loop {
	int epoll_fd;
	struct neep_list timers;  // neep_timer.link
	struct neep_list tasks;   // neep_task.link
	struct neep_list pollers; // neep_poller.link
	struct epoll_event events[EVENTS_PER_TURN];
	int event_count;
	int64_t spin_max_ns;
	int64_t spin_ns;
	int64_t slept_at_ns; // when the last sleep began
	atomic_bool stopped; // atomic: signal handlers, the loop
	int stop_fd;         // makes epoll return for neep_loop_stop()
	struct neep_source stop_source;
};

static void stop_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	neep_eventfd_drain(source->fd);
}

struct neep_loop *neep_loop_create(void) {
	struct neep_loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL) {
		return NULL;
	}
	loop->spin_max_ns = NEEP_LOOP_SPIN_NS;
	neep_list_init(&loop->timers);
	neep_list_init(&loop->tasks);
	neep_list_init(&loop->pollers);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		goto err_loop;
	}
	loop->stop_fd = neep_eventfd_create();
	if (loop->stop_fd < 0) {
		goto err_epoll;
	}
	loop->stop_source = (struct neep_source){ .fd = loop->stop_fd, .ready = stop_ready };
	if (neep_source_add(loop, &loop->stop_source, EPOLLIN) < 0) {
		goto err_stop;
	}
	return loop;

err_stop:
	neep_close_fd(&loop->stop_fd);
err_epoll:
	neep_close_fd(&loop->epoll_fd);
err_loop:
	free(loop);
	return NULL;
}

void neep_loop_destroy(struct neep_loop *loop) {
	if (loop == NULL) {
		return;
	}
	neep_source_remove(&loop->stop_source);
	neep_close_fd(&loop->stop_fd);
	neep_close_fd(&loop->epoll_fd);
	free(loop);
}

void neep_loop_set_spin(struct neep_loop *loop, int64_t max_ns) {
	loop->spin_max_ns = max_ns;
	loop->spin_ns = 0;
}

void neep_loop_stop(struct neep_loop *loop) {
	atomic_store_explicit(&loop->stopped, true, memory_order_relaxed);
	neep_eventfd_signal(loop->stop_fd);
}

static bool run_tasks(struct neep_loop *loop) {
	struct neep_list now;
	neep_list_init(&now);
	/* Tasks that a task queues belong to the next turn. */
	while (!neep_list_is_empty(&loop->tasks)) {
		struct neep_list *link = loop->tasks.next;
		neep_list_remove(link);
		neep_list_append(&now, link);
	}
	bool any = !neep_list_is_empty(&now);
	while (!neep_list_is_empty(&now)) {
		struct neep_task *task = neep_container_of(now.next, struct neep_task, link);
		neep_task_cancel(task);
		task->run(task);
	}
	return any;
}

static bool run_timers(struct neep_loop *loop) {
	bool any = false;
	if (neep_list_is_empty(&loop->timers)) {
		return false;
	}
	int64_t now = neep_clock_ns();
	while (!neep_list_is_empty(&loop->timers)) {
		struct neep_timer *timer = neep_container_of(loop->timers.next, struct neep_timer, link);
		if (timer->deadline_ns > now) {
			break;
		}
		neep_timer_cancel(timer);
		timer->fire(timer);
		any = true;
	}
	return any;
}

static bool run_pollers(struct neep_loop *loop) {
	bool worked = false;
	neep_list_for_each_safe (poller, &loop->pollers, struct neep_poller, link) {
		worked |= poller->poll(poller);
	}
	return worked;
}

static bool arm_pollers(struct neep_loop *loop) {
	bool worked = false;
	neep_list_for_each_safe (poller, &loop->pollers, struct neep_poller, link) {
		worked |= poller->arm(poller);
	}
	return worked;
}

/* How long epoll may sleep, in milliseconds rounded up, so that a timer is never early. */
static int sleep_ms(const struct neep_loop *loop, int timeout_ms) {
	if (neep_list_is_empty(&loop->timers)) {
		return timeout_ms;
	}
	struct neep_timer *first = neep_container_of(loop->timers.next, struct neep_timer, link);
	int64_t left = first->deadline_ns - neep_clock_ns();
	int64_t ms = left <= 0 ? 0 : (left + NEEP_NS_PER_MS - 1) / NEEP_NS_PER_MS;
	if (ms > INT_MAX) {
		ms = INT_MAX;
	}
	return timeout_ms >= 0 && timeout_ms < ms ? timeout_ms : (int)ms;
}

static int deliver(struct neep_loop *loop, int timeout_ms) {
	int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, timeout_ms);
	if (count < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	loop->event_count = count;
	for (int i = 0; i < count; i++) {
		/* neep_source_remove() clears what it takes away during this very walk. */
		struct neep_source *source = loop->events[i].data.ptr;
		if (source != NULL) {
			source->ready(source, loop->events[i].events);
		}
	}
	loop->event_count = 0;
	return count;
}

static bool poll_often(struct neep_loop *loop) {
	for (int i = 0; i < SPIN_POLLS; i++) {
		if (run_pollers(loop)) {
			return true;
		}
		neep_cpu_relax();
	}
	return false;
}

/* Looks for work without sleeping for up to the window. Returns the events delivered, or 0 after a fruitless
 * spin, or a negative errno. */
static int spin(struct neep_loop *loop) {
	int64_t now = neep_clock_ns();
	int64_t end = now + loop->spin_ns;
	int64_t look_at = now + SPIN_EPOLL_INTERVAL_NS;
	while (now < end) {
		if (poll_often(loop)) {
			loop->spin_ns = loop->spin_max_ns;
			return 1;
		}
		if (now >= look_at) {
			int count = deliver(loop, 0);
			if (count != 0) {
				return count;
			}
			sched_yield();
			look_at = now + SPIN_EPOLL_INTERVAL_NS;
		}
		now = neep_clock_ns();
	}
	loop->spin_ns = loop->spin_ns / 2 < SPIN_MIN_NS ? 0 : loop->spin_ns / 2;
	return 0;
}

static int sleep_until_event(struct neep_loop *loop, int timeout_ms) {
	if (arm_pollers(loop)) {
		return 0;
	}
	loop->slept_at_ns = neep_clock_ns();
	int count = deliver(loop, sleep_ms(loop, timeout_ms));
	if (count > 0 && neep_clock_ns() - loop->slept_at_ns < loop->spin_max_ns) {
		loop->spin_ns = loop->spin_max_ns;
	}
	return count;
}

int neep_loop_step(struct neep_loop *loop, int timeout_ms) {
	bool worked = run_tasks(loop);
	worked |= run_timers(loop);
	worked |= run_pollers(loop);
	int count = 0;
	if (loop->spin_ns > 0 && !neep_list_is_empty(&loop->pollers) && timeout_ms != 0) {
		count = spin(loop);
	}
	if (count == 0) {
		bool must_look_only = worked || !neep_list_is_empty(&loop->tasks);
		count = must_look_only ? deliver(loop, 0) : sleep_until_event(loop, timeout_ms);
	}
	return count < 0 ? count : 0;
}

int neep_loop_run(struct neep_loop *loop) {
	while (!atomic_load_explicit(&loop->stopped, memory_order_relaxed)) {
		int ret = neep_loop_step(loop, -1);
		if (ret < 0) {
			return ret;
		}
	}
	return 0;
}

int neep_source_add(struct neep_loop *loop, struct neep_source *source, uint32_t events) {
	struct epoll_event event = { .events = events, .data.ptr = source };
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0) {
		return -errno;
	}
	source->loop = loop;
	source->events = events;
	return 0;
}

int neep_source_set_events(struct neep_source *source, uint32_t events) {
	if (source->events == events) {
		return 0;
	}
	struct epoll_event event = { .events = events, .data.ptr = source };
	if (epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0) {
		return -errno;
	}
	source->events = events;
	return 0;
}

void neep_source_remove(struct neep_source *source) {
	struct neep_loop *loop = source->loop;
	if (loop == NULL) {
		return;
	}
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	for (int i = 0; i < loop->event_count; i++) {
		if (loop->events[i].data.ptr == source) {
			loop->events[i].data.ptr = NULL;
		}
	}
	source->loop = NULL;
}

void neep_timer_arm(struct neep_loop *loop, struct neep_timer *timer, int64_t delay_ns) {
	neep_timer_cancel(timer);
	timer->loop = loop;
	timer->deadline_ns = neep_clock_ns() + delay_ns;
	struct neep_list *after = &loop->timers;
	neep_list_for_each (other, &loop->timers, struct neep_timer, link) {
		if (other->deadline_ns > timer->deadline_ns) {
			break;
		}
		after = &other->link;
	}
	neep_list_insert(after, &timer->link);
}

void neep_timer_cancel(struct neep_timer *timer) {
	if (timer->loop != NULL) {
		neep_list_remove(&timer->link);
		timer->loop = NULL;
	}
}

void neep_task_queue(struct neep_loop *loop, struct neep_task *task) {
	if (task->loop == NULL) {
		task->loop = loop;
		neep_list_append(&loop->tasks, &task->link);
	}
}

void neep_task_cancel(struct neep_task *task) {
	if (task->loop != NULL) {
		neep_list_remove(&task->link);
		task->loop = NULL;
	}
}

void neep_poller_add(struct neep_loop *loop, struct neep_poller *poller) {
	poller->loop = loop;
	neep_list_append(&loop->pollers, &poller->link);
}

void neep_poller_remove(struct neep_poller *poller) {
	if (poller->loop != NULL) {
		neep_list_remove(&poller->link);
		poller->loop = NULL;
	}
}
