#include "device/touch.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static _Thread_local sigjmp_buf touch_failed;
static _Thread_local volatile sig_atomic_t is_touching;

static void on_fault(int signal_number) {
	if (is_touching) {
		siglongjmp(touch_failed, 1);
	}
	signal(signal_number, SIG_DFL);
}

void touch_catch_faults(void) {
	struct sigaction action = { .sa_handler = on_fault };
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

bool touch(volatile uint32_t *at, uint32_t *word) {
	if (sigsetjmp(touch_failed, 1) != 0) {
		is_touching = false;
		return false;
	}
	is_touching = true;
	*word = *at;
	*at = *word;
	is_touching = false;
	return true;
}

bool touch_write(volatile uint32_t *at, uint32_t word) {
	if (sigsetjmp(touch_failed, 1) != 0) {
		is_touching = false;
		return false;
	}
	is_touching = true;
	*at = word;
	is_touching = false;
	return true;
}
