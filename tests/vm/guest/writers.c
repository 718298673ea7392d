#include "writers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "kms.h"

#define BURST 64 // writes for each look at what to do

struct writer {
	pthread_t thread;
	struct writers *writers;
	uint64_t random;
	_Atomic uint64_t jobs;
	_Atomic uint64_t done;
	_Atomic uint64_t faults;
};

struct writers {
	writers_choose choose;
	const void *data;
	unsigned count;
	atomic_bool stop;
	struct writer writer[WRITERS_MAX];
};

static _Thread_local sigjmp_buf fault;
static _Thread_local volatile sig_atomic_t is_writing;

static void on_fault(int number) {
	if (is_writing) {
		siglongjmp(fault, 1);
	}
	signal(number, SIG_DFL);
}

static uint64_t next_random(uint64_t *random) {
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

// Returns false when there was no memory.
static bool burst(struct writer *writer, struct writers_job job) {
	if (sigsetjmp(fault, 1) != 0) {
		is_writing = 0;
		return false;
	}
	is_writing = 1;
	for (unsigned i = 0; i < BURST; i++) {
		job.at[next_random(&writer->random) % job.count] = job.value;
	}
	is_writing = 0;
	return true;
}

static void *run(void *data) {
	struct writer *writer = data;
	struct writers *writers = writer->writers;
	/* Of this thread alone. What maps and unmaps, here and in the kernel, gets a processor when it wants one. */
	setpriority(PRIO_PROCESS, 0, 15);
	while (!atomic_load_explicit(&writers->stop, memory_order_relaxed)) {
		atomic_fetch_add(&writer->jobs, 1);
		struct writers_job job = writers->choose(writers->data, next_random(&writer->random));
		if (job.at == NULL) {
			sched_yield();
			continue;
		}
		atomic_fetch_add(burst(writer, job) ? &writer->done : &writer->faults, 1);
	}
	return NULL;
}

struct writers *writers_start(unsigned count, writers_choose choose, const void *data) {
	struct writers *writers = calloc(1, sizeof(*writers));
	struct sigaction action = { .sa_handler = on_fault };
	if (writers == NULL) {
		kms_die("no memory for writers");
	}
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	writers->choose = choose;
	writers->data = data;
	writers->count = count < WRITERS_MAX ? count : WRITERS_MAX;
	for (unsigned i = 0; i < writers->count; i++) {
		struct writer *writer = &writers->writer[i];
		writer->writers = writers;
		writer->random = 88172645463325252u + i;
		errno = pthread_create(&writer->thread, NULL, run, writer);
		if (errno != 0) {
			kms_die("pthread_create");
		}
	}
	return writers;
}

uint64_t writers_done(const struct writers *writers) {
	uint64_t sum = 0;
	for (unsigned i = 0; i < writers->count; i++) {
		sum += atomic_load(&writers->writer[i].done);
	}
	return sum;
}

uint64_t writers_faults(const struct writers *writers) {
	uint64_t sum = 0;
	for (unsigned i = 0; i < writers->count; i++) {
		sum += atomic_load(&writers->writer[i].faults);
	}
	return sum;
}

void writers_settle(const struct writers *writers) {
	for (unsigned i = 0; i < writers->count; i++) {
		uint64_t before = atomic_load(&writers->writer[i].jobs);
		while (atomic_load(&writers->writer[i].jobs) == before) {
			sched_yield();
		}
	}
}

void writers_stop(struct writers *writers) {
	atomic_store(&writers->stop, true);
	for (unsigned i = 0; i < writers->count; i++) {
		pthread_join(writers->writer[i].thread, NULL);
	}
	free(writers);
}
