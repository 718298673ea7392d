/* The turn: packets of all streams of a context are executed in the order of their sequence numbers.
 *
 * A guest process counts its packets modulo 2^32, from 1, whichever stream they go to. The stream whose packet has the number after the
 * last one ended has the turn. Waiting costs no CPU but for a short spin, which each stream adapts to its luck. Any thread.
 *
 * Source: Mesa's gfxstream guest driver (the "seqno" of its packets). */
#ifndef NEEP_VULKAN_SEQUENCE_H
#define NEEP_VULKAN_SEQUENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Power of two. Two that wait in one bucket wake each other, no more. */
#define NEEP_VK_SEQUENCE_BUCKETS 64

struct neep_vk_sequence {
	_Atomic(uint32_t) begun; // whose turn it is, or was last
	_Atomic(uint32_t) ended; // equal to begun, or one less
	atomic_bool is_stopped;
	struct {
		_Atomic(uint32_t) wakes; // futex
		_Atomic(uint32_t) sleepers;
	} buckets[NEEP_VK_SEQUENCE_BUCKETS]; // by the number that is waited for
};

/* `last`: as if the turn of this number had ended. */
void neep_vk_sequence_init(struct neep_vk_sequence *sequence, uint32_t last);

/* Waits for the turn of `seqno`. `spins` is the stream's own, 0 at first. Returns 0, -ECANCELED once stopped, or -EPROTO for a
 * number that has had its turn. One that never comes waits until the stop. */
int neep_vk_sequence_begin(struct neep_vk_sequence *sequence, uint32_t seqno, uint32_t *spins);

/* Whether that would not wait. */
bool neep_vk_sequence_is_next(struct neep_vk_sequence *sequence, uint32_t seqno);

/* Ends the turn, which the caller has. */
void neep_vk_sequence_end(struct neep_vk_sequence *sequence);

/* Ends all waiting, for good. */
void neep_vk_sequence_stop(struct neep_vk_sequence *sequence);

#endif
