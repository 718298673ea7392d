#include "vulkan/sequence.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A hand-over between two running threads takes a few hundred nanoseconds; a sleep and a wake-up some ten thousand. */
#define SPINS_MIN 16
#define SPINS_MAX 1024
/* Who is further from its turn than this sleeps at once. */
#define SPIN_DISTANCE 2

_Static_assert(sizeof(_Atomic(uint32_t)) == sizeof(uint32_t), "a futex is a plain 32-bit word");

static void futex(_Atomic(uint32_t) *word, int operation, uint32_t value) {
	syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void wake(struct neep_vk_sequence *sequence, uint32_t seqno) {
	_Atomic(uint32_t) *wakes = &sequence->buckets[seqno % NEEP_VK_SEQUENCE_BUCKETS].wakes;
	atomic_fetch_add(wakes, 1);
	futex(wakes, FUTEX_WAKE, INT_MAX);
}

static void pause_cpu(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

void neep_vk_sequence_init(struct neep_vk_sequence *sequence, uint32_t last) {
	*sequence = (struct neep_vk_sequence){ 0 };
	atomic_init(&sequence->begun, last);
	atomic_init(&sequence->ended, last);
}

/* How far the turn of `seqno` is: 1: it is now; 0 or negative: it was. */
static int32_t distance(struct neep_vk_sequence *sequence, uint32_t seqno) {
	return (int32_t)(seqno - atomic_load(&sequence->ended));
}

static bool must_wait(struct neep_vk_sequence *sequence, uint32_t seqno) {
	return distance(sequence, seqno) > 1 && !atomic_load(&sequence->is_stopped);
}

bool neep_vk_sequence_is_next(struct neep_vk_sequence *sequence, uint32_t seqno) {
	return !must_wait(sequence, seqno);
}

static void spin(struct neep_vk_sequence *sequence, uint32_t seqno, uint32_t *spins) {
	if (*spins < SPINS_MIN) {
		*spins = SPINS_MIN;
	}
	for (uint32_t i = 0; i < *spins; i++) {
		if (!must_wait(sequence, seqno)) {
			*spins = *spins < SPINS_MAX ? *spins * 2 : SPINS_MAX;
			return;
		}
		pause_cpu();
	}
	*spins /= 2;
}

/* Whoever ends a turn stores `ended` before it looks for sleepers, and a sleeper counts itself before it looks at `ended`: one of them
 * sees the other. */
static void sleep_until(struct neep_vk_sequence *sequence, uint32_t seqno) {
	size_t bucket = seqno % NEEP_VK_SEQUENCE_BUCKETS;
	_Atomic(uint32_t) *wakes = &sequence->buckets[bucket].wakes;
	atomic_fetch_add(&sequence->buckets[bucket].sleepers, 1);
	for (;;) {
		uint32_t seen = atomic_load(wakes);
		if (!must_wait(sequence, seqno)) {
			break;
		}
		futex(wakes, FUTEX_WAIT, seen);
	}
	atomic_fetch_sub(&sequence->buckets[bucket].sleepers, 1);
}

int neep_vk_sequence_begin(struct neep_vk_sequence *sequence, uint32_t seqno, uint32_t *spins) {
	if (must_wait(sequence, seqno) && distance(sequence, seqno) <= SPIN_DISTANCE) {
		spin(sequence, seqno, spins);
	}
	if (must_wait(sequence, seqno)) {
		sleep_until(sequence, seqno);
	}
	if (atomic_load(&sequence->is_stopped)) {
		return -ECANCELED;
	}
	/* Only one of two packets with the same number gets it. */
	uint32_t before = seqno - 1;
	return atomic_compare_exchange_strong(&sequence->begun, &before, seqno) ? 0 : -EPROTO;
}

void neep_vk_sequence_end(struct neep_vk_sequence *sequence) {
	uint32_t seqno = atomic_load_explicit(&sequence->begun, memory_order_relaxed);
	atomic_store(&sequence->ended, seqno);
	if (atomic_load(&sequence->buckets[(seqno + 1) % NEEP_VK_SEQUENCE_BUCKETS].sleepers) != 0) {
		wake(sequence, seqno + 1);
	}
}

void neep_vk_sequence_stop(struct neep_vk_sequence *sequence) {
	atomic_store(&sequence->is_stopped, true);
	for (uint32_t bucket = 0; bucket < NEEP_VK_SEQUENCE_BUCKETS; bucket++) {
		wake(sequence, bucket);
	}
}
