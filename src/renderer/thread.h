/* Threads that cost little while they sleep. Room-internal. */
#ifndef NEEP_RENDERER_THREAD_H
#define NEEP_RENDERER_THREAD_H

#include <pthread.h>

struct neep_renderer_thread {
	pthread_t id;
	void *stack; // NULL: not started
};

/* Starts `run` with `data` on a stack that is large enough for the compilers of drivers, and of which only what is used takes
 * memory. `name` is cut to what the kernel keeps. Returns 0 or a negative errno. */
int neep_renderer_thread_start(
	struct neep_renderer_thread *thread, const char *name, void *(*run)(void *data), void *data);

/* Waits for its end. One that was not started is fine. */
void neep_renderer_thread_join(struct neep_renderer_thread *thread);

#endif
