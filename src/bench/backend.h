/* A back-end program as a child process, and what the kernel says of it. */
#ifndef NEEP_BENCH_BACKEND_H
#define NEEP_BENCH_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/processes.h"
#include "util/error.h"

struct bench_backend;

/* Runs `command`, in which every {socket} becomes the path of a socket in a new folder, by the shell. NULL with `error`
 * set. */
struct bench_backend *bench_backend_start(const char *command, struct neep_error *error);

/* Connects to its socket; fails early when the program has ended. Returns the fd or a negative errno with `error` set. */
int bench_backend_connect(struct bench_backend *backend, struct neep_error *error);

/* Ends the program, removes the folder. NULL is fine. */
void bench_backend_stop(struct bench_backend *backend);

/* Whether the program has ended by itself; `text` says how. */
bool bench_backend_has_ended(struct bench_backend *backend, char *text, size_t text_size);

/* As bench_family_memory() and bench_family_cpu_ns(); -ESRCH when the program has ended. */
int bench_backend_memory(struct bench_backend *backend, struct bench_memory *memory);
int64_t bench_backend_cpu_ns(struct bench_backend *backend);

#endif
