/* What the kernel says of a process and all its descendants, the family. */
#ifndef NEEP_BENCH_PROCESSES_H
#define NEEP_BENCH_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes, without the mappings of guest memory. */
struct bench_memory {
	uint64_t rss;
	uint64_t anon;
	uint64_t shmem; // memfds and the like
	uint64_t pss;
};

/* Memory of the family together. Returns 0 or a negative errno. */
int bench_family_memory(pid_t pid, struct bench_memory *memory);

/* CPU time of all threads of the family so far, nanoseconds. */
int64_t bench_family_cpu_ns(pid_t pid);

/* Bytes resident of the largest process of the family; those called `left_out` do not count (NULL: all do), a name that the kernel
 * has cut to 15 characters. 0 when there is none. */
uint64_t bench_family_largest(pid_t pid, const char *left_out);

#endif
