/* The event loop: one thread, epoll, level-triggered sources, timers, and pollers for shared memory.
 *
 * Sources, timers, tasks and pollers are embedded in their owners, which recover themselves with
 * neep_container_of(); the loop allocates nothing per object. Everything here belongs to the loop's thread,
 * except neep_loop_stop(), which is safe from a signal handler. */
#ifndef NEEP_UTIL_LOOP_H
#define NEEP_UTIL_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "util/list.h"

struct neep_loop;
struct neep_source;
struct neep_timer;
struct neep_task;
struct neep_poller;

/* A file descriptor that the loop watches. The fd is borrowed: remove the source before closing it. */
struct neep_source {
	struct neep_loop *loop; // NULL while not added
	int fd;
	uint32_t events; // EPOLLIN, EPOLLOUT; EPOLLHUP and EPOLLERR always come
	void (*ready)(struct neep_source *source, uint32_t events);
};

/* Fires once at `deadline_ns`; arm it again for more. */
struct neep_timer {
	struct neep_loop *loop; // NULL while not armed
	struct neep_list link;  // neep_loop.timers, soonest first
	int64_t deadline_ns;    // neep_clock_ns() time
	void (*fire)(struct neep_timer *timer);
};

/* Runs once, from the loop and not from the caller's stack. */
struct neep_task {
	struct neep_loop *loop; // NULL while not queued
	struct neep_list link;  // neep_loop.tasks
	void (*run)(struct neep_task *task);
};

/* Work that shows up in shared memory, with a wake-up fd that can be suppressed while the loop looks anyway.
 * Right after work the loop spins for some microseconds before it sleeps, as long as that has paid off. */
struct neep_poller {
	struct neep_loop *loop; // NULL while not added
	struct neep_list link;  // neep_loop.pollers
	/* Does what work there is; returns whether there was any. */
	bool (*poll)(struct neep_poller *poller);
	/* The loop is about to sleep: ask for wake-ups, look once more; returns true when work has shown up. */
	bool (*arm)(struct neep_poller *poller);
};

/* Returns NULL when the kernel refuses an epoll instance. */
struct neep_loop *neep_loop_create(void);

/* Everything must have been removed before. NULL is fine. */
void neep_loop_destroy(struct neep_loop *loop);

/* Runs until neep_loop_stop(). Returns 0, or a negative errno when epoll itself failed. */
int neep_loop_run(struct neep_loop *loop);

/* One turn: waits at most `timeout_ms` (-1: for ever) for an event, then handles what there is. For tests and
 * for embedding in another loop. Returns 0 or a negative errno. */
int neep_loop_step(struct neep_loop *loop, int timeout_ms);

/* Makes neep_loop_run() return after the current turn. Async-signal-safe. */
void neep_loop_stop(struct neep_loop *loop);

/* The longest spin after work, in nanoseconds; 0 never spins. The default, NEEP_LOOP_SPIN_NS, is what a driver takes
 * from one reply to its next request, a few times over. */
#define NEEP_LOOP_SPIN_NS INT64_C(20000)
void neep_loop_set_spin(struct neep_loop *loop, int64_t max_ns);

/* Starts watching source->fd for `events`; fd and ready are set by the caller. Returns 0 or a negative errno. */
int neep_source_add(struct neep_loop *loop, struct neep_source *source, uint32_t events);

/* Changes the events. The source must be added. Returns 0 or a negative errno. */
int neep_source_set_events(struct neep_source *source, uint32_t events);

/* Stops watching; events of the current turn that were not delivered yet are dropped, so the owner may be freed
 * at once. A source that is not added is fine. */
void neep_source_remove(struct neep_source *source);

/* (Re)arms `timer` to fire `delay_ns` from now. */
void neep_timer_arm(struct neep_loop *loop, struct neep_timer *timer, int64_t delay_ns);

/* Disarms; a timer that is not armed is fine. */
void neep_timer_cancel(struct neep_timer *timer);

/* Queues `task` for the next turn; a queued task stays queued once. */
void neep_task_queue(struct neep_loop *loop, struct neep_task *task);
void neep_task_cancel(struct neep_task *task);

void neep_poller_add(struct neep_loop *loop, struct neep_poller *poller);
void neep_poller_remove(struct neep_poller *poller);

#endif
