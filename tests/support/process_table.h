/* What /proc says of processes. One that ended and was not waited for is still there. */
#ifndef NEEP_TESTS_SUPPORT_PROCESS_TABLE_H
#define NEEP_TESTS_SUPPORT_PROCESS_TABLE_H

#include <stdint.h>
#include <sys/types.h>

/* A field of /proc/PID/stat, counted from 1 as in proc(5), from the parent (4) on; 0 when there is no such process. */
uint64_t process_stat(pid_t pid, int field);

/* The children of `pid`, the first `max` of them; returns how many those are. */
size_t process_children(pid_t pid, pid_t *children, size_t max);

/* How many processes descend from `pid`. */
size_t process_descendants(pid_t pid);

/* How many fds it has open, which is asserted to be known. */
size_t process_fds(pid_t pid);

#endif
