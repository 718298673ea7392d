/* How fast recorded commands go to the driver, by one ring and by four. */
#include <stdio.h>
#include <stdlib.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "util/clock.h"
#include "vulkan_room/guest_vulkan.h"

#define COMMANDS 200000
#define FLUSHES  10
#define THREADS  4

static struct guest guest;
static struct gpu gpu;

struct worker {
	pthread_t thread;
	struct ring *ring;
	uint64_t command_buffer;
};

static struct memory target;

static void *flush_all(void *arg) {
	struct worker *worker = arg;
	for (unsigned i = 0; i < FLUSHES; i++) {
		struct packet payload = record_begin(0);
		for (uint32_t k = 0; k < COMMANDS; k++) {
			record_fill(&payload, &target, k);
		}
		record_send(&gpu, worker->ring, &payload, worker->command_buffer);
		/* Behind the flush, on its ring. */
		fence(&gpu, worker->ring);
	}
	return NULL;
}

static void measure(unsigned threads) {
	struct worker workers[THREADS];
	for (unsigned i = 0; i < threads; i++) {
		workers[i].ring = guest_ring(&guest);
		workers[i].command_buffer =
			command_buffer(&gpu, workers[i].ring, command_pool(&gpu, workers[i].ring), 0);
	}
	int64_t start = neep_clock_ns();
	for (unsigned i = 0; i < threads; i++) {
		pthread_create(&workers[i].thread, NULL, flush_all, &workers[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
	}
	double seconds = (double)(neep_clock_ns() - start) / 1e9;
	printf("%u rings: %.2f M commands/s\n", threads, threads * FLUSHES * COMMANDS / seconds / 1e6);
}

int main(void) {
	if (!host_has_vulkan()) {
		return 0;
	}
	guest_start(&guest, &neep_vk_default_limits);
	struct ring *ring = guest_ring(&guest);
	if (!gpu_open(&gpu, ring)) {
		return 1;
	}
	memory_create(&gpu, &target, 4096);
	measure(1);
	measure(2);
	measure(THREADS);
	guest_stop(&guest);
	return 0;
}
