/* The other end of a test's ring: a thread that answers requests {u32 bytes that follow, u32 bytes of the reply}, whose
 * reply's byte i is (uint8_t)(i + the first byte that followed, if any). */
#ifndef NEEP_TESTS_ASG_CONSUMER_H
#define NEEP_TESTS_ASG_CONSUMER_H

#include <pthread.h>

#include "asg/guest.h"
#include "asg/ring.h"

struct asg_consumer {
	struct neep_asg_ring *ring;
	pthread_t thread;
	int64_t result;    // why it ended, after the join
	uint64_t received; // bytes, after the join
	uint8_t *buf;
	size_t buf_size;
};

struct asg_request {
	uint32_t payload;
	uint32_t reply;
};

/* The guest keeps its memory: the ring gets a copy of the fd. */
struct neep_asg_ring *asg_consumer_ring(struct asg_guest *guest, int64_t spin_ns);

/* Takes over a ring whose consumer is gone; NULL where that cannot be. */
struct neep_asg_ring *asg_consumer_successor(struct asg_guest *guest);

/* Serves until the ring ends. */
void asg_consumer_start(struct asg_consumer *consumer, struct asg_guest *guest, int64_t spin_ns);

/* Waits for the thread to end by itself, and frees all. Returns why it ended. */
int64_t asg_consumer_join(struct asg_consumer *consumer);

/* Stops it first. */
int64_t asg_consumer_stop(struct asg_consumer *consumer);

#endif
