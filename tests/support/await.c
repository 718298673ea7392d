#include "support/await.h"

#include <sched.h>
#include <unistd.h>

#include "support/cmocka.h"

#define PAUSE_US 1000

void await_check(int64_t end_ns, const char *claim, const char *file, int line) {
	if (neep_clock_ns() >= end_ns) {
		print_error("%s:%d: not within %d s: %s\n", file, line, (int)(AWAIT_MS / 1000), claim);
		_fail(file, line);
	}
	sched_yield();
}

void await_pause(int64_t end_ns, const char *claim, const char *file, int line) {
	await_check(end_ns, claim, file, line);
	usleep(PAUSE_US);
}

void await_idle(uint64_t (*used)(void *data), void *data, int window_ms, uint64_t most) {
	int64_t end = await_end_ns();
	for (;;) {
		uint64_t before = used(data);
		usleep((useconds_t)window_ms * 1000);
		if (used(data) - before <= most) {
			return;
		}
		await_check(end, "nothing is at work", __FILE__, __LINE__);
	}
}
