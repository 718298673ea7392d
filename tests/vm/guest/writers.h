// Threads that write words without pause where they are told to, also where there is no memory any more: processors of a
// guest that care for nothing. Faults of their own are counted. As in kms.h, what fails ends the program with a message.
#ifndef NEEP_TESTS_VM_WRITERS_H
#define NEEP_TESTS_VM_WRITERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WRITERS_MAX 8

// What a writer does next: up to `count` writes of `value` from `at` on, in its own order.
struct writers_job {
	volatile uint32_t *at; // NULL: nothing to do
	size_t count;          // words
	uint32_t value;
};

// Says what to do next; called by each writer over and over. `random` is a number that differs from call to call.
typedef struct writers_job (*writers_choose)(const void *data, uint64_t random);

struct writers;

// Starts `count` threads, WRITERS_MAX at most. `data` outlives them.
struct writers *writers_start(unsigned count, writers_choose choose, const void *data);

// How many bursts were written to their end, and how many ended with a fault.
uint64_t writers_done(const struct writers *writers);
uint64_t writers_faults(const struct writers *writers);

// Waits until every writer has begun a job after this call.
void writers_settle(const struct writers *writers);

// Ends the threads and frees. The counts are gone then.
void writers_stop(struct writers *writers);

#endif
