#include "renderer/thread.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

/* A program's main thread, on which many compile shaders, has 8 MiB; worker threads of drivers have less than this. */
#define STACK_SIZE ((size_t)4 << 20)
#define GUARD_SIZE ((size_t)64 << 10)
#define NAME_SIZE  16

/* The C library's own would be backed by huge pages where the host gives those unasked: 2 MiB for a thread that sleeps. */
static void *map_stack(void) {
	uint8_t *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED) {
		return NULL;
	}
	madvise(stack, GUARD_SIZE + STACK_SIZE, MADV_NOHUGEPAGE);
	if (mprotect(stack, GUARD_SIZE, PROT_NONE) < 0) {
		munmap(stack, GUARD_SIZE + STACK_SIZE);
		return NULL;
	}
	return stack;
}

static void unmap_stack(struct neep_renderer_thread *thread) {
	munmap(thread->stack, GUARD_SIZE + STACK_SIZE);
	thread->stack = NULL;
}

static int start_on_stack(struct neep_renderer_thread *thread, void *(*run)(void *data), void *data) {
	pthread_attr_t attributes;
	int result = pthread_attr_init(&attributes);
	if (result != 0) {
		return -result;
	}
	result = pthread_attr_setstack(&attributes, (uint8_t *)thread->stack + GUARD_SIZE, STACK_SIZE);
	if (result == 0) {
		result = pthread_create(&thread->id, &attributes, run, data);
	}
	pthread_attr_destroy(&attributes);
	return -result;
}

int neep_renderer_thread_start(
	struct neep_renderer_thread *thread, const char *name, void *(*run)(void *data), void *data) {
	thread->stack = map_stack();
	if (thread->stack == NULL) {
		return -ENOMEM;
	}
	int result = start_on_stack(thread, run, data);
	if (result < 0) {
		unmap_stack(thread);
		return result;
	}
	char short_name[NAME_SIZE];
	snprintf(short_name, sizeof(short_name), "%s", name);
	pthread_setname_np(thread->id, short_name);
	return 0;
}

void neep_renderer_thread_join(struct neep_renderer_thread *thread) {
	if (thread->stack != NULL) {
		pthread_join(thread->id, NULL);
		unmap_stack(thread);
	}
}
