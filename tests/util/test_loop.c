#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/loop.h"

struct fixture {
	struct neep_source source;
	struct neep_source other;
	struct neep_timer timer;
	struct neep_task task;
	struct neep_poller poller;
	int ready, fired, ran, polled, armed;
	bool remove_other;
	int work_left;
};

static void source_ready(struct neep_source *source, uint32_t events) {
	struct fixture *f = neep_container_of(source, struct fixture, source);
	(void)events;
	neep_eventfd_drain(source->fd);
	f->ready++;
	if (f->remove_other) {
		neep_source_remove(&f->other);
	}
}

static void other_ready(struct neep_source *source, uint32_t events) {
	struct fixture *f = neep_container_of(source, struct fixture, other);
	(void)events;
	neep_eventfd_drain(source->fd);
	f->ready += 100;
	if (f->remove_other) {
		neep_source_remove(&f->source);
	}
}

static void timer_fire(struct neep_timer *timer) {
	neep_container_of(timer, struct fixture, timer)->fired++;
}

static void task_run(struct neep_task *task) {
	struct fixture *f = neep_container_of(task, struct fixture, task);
	f->ran++;
}

static bool poller_poll(struct neep_poller *poller) {
	struct fixture *f = neep_container_of(poller, struct fixture, poller);
	f->polled++;
	return f->work_left > 0 && f->work_left-- > 0;
}

static bool poller_arm(struct neep_poller *poller) {
	neep_container_of(poller, struct fixture, poller)->armed++;
	return false;
}

static void source_is_called_when_readable(void **state) {
	(void)state;
	struct neep_loop *loop = neep_loop_create();
	struct fixture f = { .source = { .fd = neep_eventfd_create(), .ready = source_ready } };
	assert_int_equal(neep_source_add(loop, &f.source, EPOLLIN), 0);
	assert_int_equal(neep_loop_step(loop, 0), 0);
	assert_int_equal(f.ready, 0);
	neep_eventfd_signal(f.source.fd);
	assert_int_equal(neep_loop_step(loop, 1000), 0);
	assert_int_equal(f.ready, 1);
	neep_source_remove(&f.source);
	neep_source_remove(&f.source);
	neep_close_fd(&f.source.fd);
	neep_loop_destroy(loop);
}

static void removed_source_gets_no_event_of_the_same_turn(void **state) {
	(void)state;
	struct neep_loop *loop = neep_loop_create();
	struct fixture f = {
		.source = { .fd = neep_eventfd_create(), .ready = source_ready },
		.other = { .fd = neep_eventfd_create(), .ready = other_ready },
		.remove_other = true,
	};
	assert_int_equal(neep_source_add(loop, &f.source, EPOLLIN), 0);
	assert_int_equal(neep_source_add(loop, &f.other, EPOLLIN), 0);
	neep_eventfd_signal(f.source.fd);
	neep_eventfd_signal(f.other.fd);
	assert_int_equal(neep_loop_step(loop, 1000), 0);
	assert_true(f.ready == 1 || f.ready == 100);
	neep_source_remove(&f.source);
	neep_source_remove(&f.other);
	neep_close_fd(&f.source.fd);
	neep_close_fd(&f.other.fd);
	neep_loop_destroy(loop);
}

static void timer_fires_once_and_not_early(void **state) {
	(void)state;
	struct neep_loop *loop = neep_loop_create();
	struct fixture f = { .timer = { .fire = timer_fire } };
	int64_t start = neep_clock_ns();
	neep_timer_arm(loop, &f.timer, 5 * NEEP_NS_PER_MS);
	while (f.fired == 0) {
		assert_int_equal(neep_loop_step(loop, 1000), 0);
	}
	assert_true(neep_clock_ns() - start >= 5 * NEEP_NS_PER_MS);
	assert_int_equal(neep_loop_step(loop, 10), 0);
	assert_int_equal(f.fired, 1);
	neep_timer_arm(loop, &f.timer, 1);
	neep_timer_cancel(&f.timer);
	assert_int_equal(neep_loop_step(loop, 10), 0);
	assert_int_equal(f.fired, 1);
	neep_loop_destroy(loop);
}

static void task_runs_once_however_often_queued(void **state) {
	(void)state;
	struct neep_loop *loop = neep_loop_create();
	struct fixture f = { .task = { .run = task_run } };
	neep_task_queue(loop, &f.task);
	neep_task_queue(loop, &f.task);
	assert_int_equal(f.ran, 0);
	assert_int_equal(neep_loop_step(loop, 1000), 0);
	assert_int_equal(neep_loop_step(loop, 0), 0);
	assert_int_equal(f.ran, 1);
	neep_loop_destroy(loop);
}

static void poller_is_armed_before_the_loop_sleeps(void **state) {
	(void)state;
	struct neep_loop *loop = neep_loop_create();
	struct fixture f = { .poller = { .poll = poller_poll, .arm = poller_arm }, .work_left = 1 };
	neep_poller_add(loop, &f.poller);
	assert_int_equal(neep_loop_step(loop, 5), 0);
	assert_int_equal(f.armed, 0);
	assert_int_equal(neep_loop_step(loop, 5), 0);
	assert_int_equal(f.armed, 1);
	neep_poller_remove(&f.poller);
	neep_loop_destroy(loop);
}

static void stop_ends_a_sleeping_run(void **state) {
	(void)state;
	struct neep_loop *loop = neep_loop_create();
	neep_loop_stop(loop);
	assert_int_equal(neep_loop_run(loop), 0);
	neep_loop_destroy(loop);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(source_is_called_when_readable),
		fd_checked_test(removed_source_gets_no_event_of_the_same_turn),
		fd_checked_test(timer_fires_once_and_not_early),
		fd_checked_test(task_runs_once_however_often_queued),
		fd_checked_test(poller_is_armed_before_the_loop_sleeps),
		fd_checked_test(stop_ends_a_sleeping_run),
	};
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
