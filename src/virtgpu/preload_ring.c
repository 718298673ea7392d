/* How a thread of Mesa's gfxstream driver waits for its ring, and wakes who serves it.
 *
 * Theory of operation. The driver waits in a loop around sched_yield(), for as long as the GPU works. On a machine whose
 * processors are the GPU (lavapipe), or with more waiting threads than processors, that takes from the renderer what the
 * driver waits for. A thread has a ring of its own, so its sched_yield() is told from others': it only returns for SPIN_NS, as most
 * replies are there by then, and goes to sleep on the ring's bell (asg/bell.h) after that. Calls between which the thread has sent or
 * taken something belong to two waits.
 *
 * Where others want the processors, the renderer does not even run while a thread looks. One that has looked in vain MISSES_MAX times
 * in a row sleeps at once the next times, and looks again after longer and longer: for PROBE_NS then, as the renderer, which watches
 * for guests that are awake only, has to be woken first.
 *
 * No bell is missed: a thread first says that it will sleep and returns, so that the driver's loop looks once more, and
 * sleeps at its next call only if the bell has not rung since. A sleep has an end all the same, since what wakes
 * the thread may have died. The ring is looked at through a mapping of our own, which stays when the driver unmaps
 * its own.
 *
 * The driver's wake-ups would cross the node and the device process on their way to the renderer. Those of a thread for its own
 * ring are done here, with one call of the kernel, as long as somebody serves the ring.
 *
 * When the device process dies, the device sees to the rings no more, and its renderers are gone too. A thread that has
 * slept in vain for a while asks whether the node is still there, which ends with its device, and answers itself from then
 * on as the device does for a renderer that died: that the Vulkan device is lost. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "asg/bell.h"
#include "asg/ring.h"
#include "util/clock.h"
#include "util/cpu.h"
#include "virtgpu/preload.h"

/* The submits that make a blob a ring and wake who serves it: these words, each before the resource's id. */
#define CONTEXT_CREATE UINT32_C(0x1001)
#define CONTEXT_PING   UINT32_C(0x1002)
#define COMMAND_LEN    8

/* How long a wait looks before it sleeps, without giving way: who does may have to wait for a whole time slice of a third. Quick
 * replies are there by then; on two processors that are the GPU too, 50 us cost a tenth of the frames of a millisecond. */
#define SPIN_NS (10 * NEEP_NS_PER_US)
/* Waits in a row in which to look was in vain, before it is left out; the first of those that are left out in a row are few. */
#define MISSES_MAX   3
#define LEFT_OUT_MAX UINT32_C(31)
#define PROBE_NS     (50 * NEEP_NS_PER_US)
#define SLEEP_MAX_NS (10 * NEEP_NS_PER_MS)
/* Sleeps in vain between two looks for the node. */
#define SLEEPS_PER_LOOK 10

/* VK_ERROR_DEVICE_LOST */
#define DEVICE_LOST (-4)

#define RING_LEN (NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE)

struct wait {
	uint8_t *ring; // NULL: this thread has none
	uint32_t resource_id;
	uint32_t expected_id; // of the ring that is about to be mapped; 0: none
	bool is_armed;        // has said that it sleeps
	uint32_t bell;        // as it was then
	uint32_t sleeps_in_vain;
	uint64_t progress; // as it was at the last call
	uint32_t misses;   // in a row
	uint32_t left_out; // since the last time it has looked
	int64_t look_ns;   // in this wait
	bool has_slept;    // in this wait
	int64_t started_at;
};

/* Found by the thread alone; the library is loaded with the program, so it costs no call. */
static _Thread_local struct wait this_wait __attribute__((tls_model("initial-exec")));

static _Atomic uint32_t *word_at(const struct wait *wait, uint32_t offset) {
	return neep_asg_bell_word(wait->ring + NEEP_ASG_BELL_PAGE, offset);
}

void neep_preload_ring_submitted(const void *commands, uint32_t len) {
	const uint32_t *words = commands;
	if (len == COMMAND_LEN && words[0] == CONTEXT_CREATE) {
		this_wait.expected_id = words[1];
	}
}

bool neep_preload_ring_wake(const void *commands, uint32_t len) {
	struct wait *wait = &this_wait;
	const uint32_t *words = commands;
	return wait->ring != NULL && len == COMMAND_LEN && words[0] == CONTEXT_PING &&
	       words[1] == wait->resource_id && neep_asg_host_wake(wait->ring + NEEP_ASG_BELL_PAGE);
}

void neep_preload_ring_mapped(int fd, uint64_t offset, size_t len) {
	struct wait *wait = &this_wait;
	uint32_t resource_id = wait->expected_id;
	if (resource_id == 0 || len < RING_LEN) {
		return;
	}
	wait->expected_id = 0;
	void *ring = (void *)syscall(
		SYS_mmap, NULL, RING_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset); // NOLINT
	if (ring == MAP_FAILED) {
		return;
	}
	if (wait->ring != NULL) {
		munmap(wait->ring, RING_LEN);
	}
	*wait = (struct wait){ .ring = ring, .resource_id = resource_id };
}

static void arm(struct wait *wait) {
	wait->bell = atomic_load(word_at(wait, NEEP_ASG_BELL));
	atomic_store(word_at(wait, NEEP_ASG_SLEEPER), 1);
	wait->is_armed = true;
}

static void sleep_until_bell(struct wait *wait) {
	struct timespec limit = { .tv_nsec = SLEEP_MAX_NS };
	bool is_in_vain = neep_asg_bell_wait(word_at(wait, NEEP_ASG_BELL), wait->bell, &limit);
	wait->is_armed = false;
	wait->has_slept = true;
	wait->sleeps_in_vain = is_in_vain ? wait->sleeps_in_vain + 1 : 0;
	if (wait->sleeps_in_vain == SLEEPS_PER_LOOK) {
		wait->sleeps_in_vain = 0;
		neep_preload_look_for_node();
	}
}

static int64_t choose_look(const struct wait *wait) {
	if (wait->misses <= MISSES_MAX) {
		return SPIN_NS;
	}
	uint32_t doublings = wait->misses - MISSES_MAX;
	uint32_t left_out = doublings < 5 ? (UINT32_C(1) << doublings) - 1 : LEFT_OUT_MAX;
	return wait->left_out >= left_out ? PROBE_NS : 0;
}

/* The first call of a wait; the last one has ended. */
static void begin_wait(struct wait *wait, uint64_t progress) {
	if (wait->look_ns > 0) {
		wait->misses = wait->has_slept ? wait->misses + 1 : 0;
	}
	wait->look_ns = choose_look(wait);
	wait->left_out = wait->look_ns > 0 ? 0 : wait->left_out + 1;
	wait->progress = progress;
	wait->is_armed = false;
	wait->has_slept = false;
	wait->started_at = neep_clock_ns();
}

static void pause_wait(struct wait *wait) {
	if (neep_preload_node_is_gone()) {
		neep_asg_fail_mapped(wait->ring, DEVICE_LOST);
		return;
	}
	uint64_t progress = neep_asg_guest_progress(wait->ring);
	if (progress != wait->progress) {
		begin_wait(wait, progress);
	}
	if (neep_clock_ns() - wait->started_at < wait->look_ns) {
		neep_cpu_relax();
	} else if (!wait->is_armed) {
		arm(wait);
	} else {
		sleep_until_bell(wait);
	}
}

PRELOAD_EXPORT int sched_yield(void) {
	struct wait *wait = &this_wait;
	if (wait->ring == NULL) {
		return (int)syscall(SYS_sched_yield);
	}
	int saved = errno;
	pause_wait(wait);
	errno = saved;
	return 0;
}
