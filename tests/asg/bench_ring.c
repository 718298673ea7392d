/* What a ring costs: a request of 32 bytes and its reply of 4, for several guest threads at a time, each with a ring and a
 * consumer thread; and bytes per second through records and through the large ring.
 * usage: bench_ring [SPIN_US [PING_US [THINK_US]]]: how long a consumer watches, what a wake-up costs the guest, and what the
 * guest does between two requests. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "asg/consumer.h"
#include "asg/guest.h"
#include "util/clock.h"
#include "util/macros.h"

#define REQUESTS    20000
#define BULK_BYTES  ((size_t)512 << 20)
#define THREADS_MAX 8

struct worker {
	struct asg_guest *guest;
	struct asg_consumer consumer;
	pthread_t thread;
	int64_t *took_ns;
};

static int64_t think_ns;

static void ask(struct asg_guest *guest) {
	uint8_t buf[32] = { 0 };
	struct asg_request request = { .payload = 24, .reply = 4 };
	memcpy(buf, &request, sizeof(request));
	asg_guest_send(guest, buf, sizeof(buf));
	asg_guest_receive(guest, buf, 4);
}

static void *run_worker(void *data) {
	struct worker *worker = data;
	for (int i = 0; i < REQUESTS; i++) {
		int64_t start = neep_clock_ns();
		ask(worker->guest);
		worker->took_ns[i] = neep_clock_ns() - start;
		for (int64_t end = neep_clock_ns() + think_ns; neep_clock_ns() < end;) {
		}
	}
	return NULL;
}

static int compare(const void *a, const void *b) {
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static double cpu_s(void) {
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure_requests(int threads, int64_t spin_ns, int64_t ping_ns) {
	struct worker workers[THREADS_MAX];
	int64_t *took_ns = calloc((size_t)threads * REQUESTS, sizeof(*took_ns));
	neep_assert(took_ns != NULL);
	double cpu = cpu_s();
	int64_t start = neep_clock_ns();
	for (int i = 0; i < threads; i++) {
		workers[i].guest = asg_guest_create();
		workers[i].guest->ping_ns = ping_ns;
		workers[i].took_ns = took_ns + (size_t)i * REQUESTS;
		asg_guest_init(workers[i].guest);
		asg_consumer_start(&workers[i].consumer, workers[i].guest, spin_ns);
		pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]);
	}
	uint64_t pings = 0;
	for (int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		asg_consumer_stop(&workers[i].consumer);
		pings += workers[i].guest->pings;
		asg_guest_destroy(workers[i].guest);
	}
	double seconds = (double)(neep_clock_ns() - start) / 1e9;
	size_t count = (size_t)threads * REQUESTS;
	qsort(took_ns, count, sizeof(*took_ns), compare);
	printf("%d threads: %8.0f requests/s, p50 %6.1f us, p99 %7.1f us, max %8.1f us, %.3f pings each, "
	       "%.1f us CPU each\n",
		threads, (double)count / seconds, (double)took_ns[count / 2] / 1e3,
		(double)took_ns[count / 100 * 99] / 1e3, (double)took_ns[count - 1] / 1e3,
		(double)pings / (double)count, (cpu_s() - cpu) * 1e6 / (double)count);
	free(took_ns);
}

static void measure_bytes(bool is_large, int64_t spin_ns) {
	struct asg_guest *guest = asg_guest_create();
	struct asg_consumer consumer;
	size_t piece = is_large ? (size_t)16 << 20 : NEEP_ASG_FLUSH_INTERVAL;
	uint8_t *buf = calloc(1, piece);
	neep_assert(buf != NULL);
	struct asg_request request = { .payload = (uint32_t)(piece - sizeof(request)) };
	memcpy(buf, &request, sizeof(request));
	asg_guest_init(guest);
	asg_consumer_start(&consumer, guest, spin_ns);
	int64_t start = neep_clock_ns();
	for (size_t sent = 0; sent < BULK_BYTES; sent += piece) {
		if (is_large) {
			asg_guest_send_large(guest, buf, piece, true);
		} else {
			asg_guest_send(guest, buf, piece);
		}
	}
	ask(guest);
	printf("%s: %.2f GB/s\n", is_large ? "large ring" : "records",
		(double)BULK_BYTES / (double)(neep_clock_ns() - start));
	asg_consumer_stop(&consumer);
	asg_guest_destroy(guest);
	free(buf);
}

int main(int argc, char **argv) {
	int64_t spin_ns = (argc > 1 ? atoll(argv[1]) : NEEP_ASG_SPIN_NS / NEEP_NS_PER_US) * NEEP_NS_PER_US;
	int64_t ping_ns = (argc > 2 ? atoll(argv[2]) : 20) * NEEP_NS_PER_US;
	think_ns = (argc > 3 ? atoll(argv[3]) : 0) * NEEP_NS_PER_US;
	for (int threads = 1; threads <= 4; threads *= 2) {
		measure_requests(threads, spin_ns, ping_ns);
	}
	measure_bytes(false, spin_ns);
	measure_bytes(true, spin_ns);
	return 0;
}
