/* How a thread of Mesa's gfxstream driver waits for its ring, and wakes who serves it.
 *
 * Theory of operation. The driver waits in a loop around sched_yield(), for as long as the GPU works. On a machine whose
 * processors are the GPU (lavapipe), or with more waiting threads than processors, that takes from the renderer what the
 * driver waits for. A thread has a ring of its own, so its sched_yield() is told from others': it only returns for SPIN_NS, as most
 * replies are there by then, and goes to sleep on the ring's bell (asg/bell.h) after that.
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
/* Calls that lie further apart belong to two waits. */
#define SAME_WAIT_NS (20 * NEEP_NS_PER_US)
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
	int64_t started_at;
	int64_t called_at;
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
	wait->sleeps_in_vain = is_in_vain ? wait->sleeps_in_vain + 1 : 0;
	if (wait->sleeps_in_vain == SLEEPS_PER_LOOK) {
		wait->sleeps_in_vain = 0;
		neep_preload_look_for_node();
	}
}

static void pause_wait(struct wait *wait) {
	if (neep_preload_node_is_gone()) {
		neep_asg_fail_mapped(wait->ring, DEVICE_LOST);
		return;
	}
	int64_t now = neep_clock_ns();
	if (now - wait->called_at > SAME_WAIT_NS && !wait->is_armed) {
		wait->started_at = now;
	}
	if (now - wait->started_at < SPIN_NS) {
		neep_cpu_relax();
	} else if (!wait->is_armed) {
		arm(wait);
	} else {
		sleep_until_bell(wait);
		now = neep_clock_ns();
	}
	wait->called_at = now;
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
