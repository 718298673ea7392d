/* Loads that move no pixels: round trips, pipelines, many resources, idleness, memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench_internal.h"
#include "bench/figures.h"
#include "bench/work.h"
#include "driver/gpu.h"
#include "util/clock.h"

#define SAMPLES_MAX    200000
#define WARM_UP        200
#define MANY_RESOURCES 20000
#define IDLE_NS        (2 * NEEP_NS_PER_S)
#define LOADED_COUNT   16u

static const struct virtio_gpu_rect one_pixel = { .width = 1, .height = 1 };

int bench_expect_ok(int response) {
	if (response < 0) {
		return response;
	}
	return response >= VIRTIO_GPU_RESP_ERR_UNSPEC ? -EREMOTEIO : 0;
}

static int create_small(struct neep_driver *driver, uint32_t resource_id) {
	return bench_expect_ok(
		neep_cmd_create_2d(driver, resource_id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1, 1));
}

/* RESOURCE_FLUSH of a resource that no scanout shows: every device looks the resource up, checks the rectangle, walks its
 * scanouts and answers; no pixel and no message to the display. */
static int flush(struct neep_driver *driver, uint32_t resource_id) {
	return bench_expect_ok(neep_cmd_flush(driver, resource_id, &one_pixel));
}

/* Round trips over the resources 1..resource_count in no order, microseconds. */
static int sample_round_trips(struct bench_session *session, uint32_t resource_count, enum bench_metric p50,
	enum bench_metric p99) {
	double *samples = calloc(SAMPLES_MAX, sizeof(*samples));
	if (samples == NULL) {
		return -ENOMEM;
	}
	size_t count = 0;
	uint32_t random = 1;
	int result = 0;
	int64_t end = neep_clock_ns() + (int64_t)(session->options->seconds * (double)NEEP_NS_PER_S);
	int64_t now = 0;
	/* A busy machine may take longer than that to warm up. */
	for (size_t i = 0; result == 0 && count < SAMPLES_MAX && (now < end || count == 0); i++) {
		random = random * 1664525u + 1013904223u;
		int64_t start = neep_clock_ns();
		result = flush(session->driver, 1 + (random >> 8) % resource_count);
		now = neep_clock_ns();
		if (i >= WARM_UP) {
			samples[count++] = (double)(now - start) / (double)NEEP_NS_PER_US;
		}
	}
	if (result == 0) {
		session->values[p50] = bench_percentile(samples, count, 50);
		session->values[p99] = bench_percentile(samples, count, 99);
	}
	free(samples);
	return result;
}

int bench_run_latency(struct bench_session *session) {
	int result = create_small(session->driver, 1);
	return result < 0 ? result : sample_round_trips(session, 1, BENCH_LATENCY_P50, BENCH_LATENCY_P99);
}

/* ---- pipeline ---- */

/* Half a ring of requests, submitted with one kick and waited for by its last. */
struct half {
	struct neep_driver_request *requests;
	struct virtio_gpu_ctrl_hdr *replies;
	size_t count;
};

static const struct virtio_gpu_resource_flush flush_command = {
	.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
	.r = { .width = 1, .height = 1 },
	.resource_id = 1,
};

static int half_init(struct half *half, size_t count) {
	half->requests = calloc(count, sizeof(*half->requests));
	half->replies = calloc(count, sizeof(*half->replies));
	half->count = count;
	if (half->requests == NULL || half->replies == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		half->requests[i] = (struct neep_driver_request){
			.cmd = &flush_command,
			.cmd_len = sizeof(flush_command),
			.reply = &half->replies[i],
			.reply_len = sizeof(half->replies[i]),
		};
	}
	return 0;
}

static void half_finish(struct neep_driver *driver, struct half *half) {
	for (size_t i = 0; half->requests != NULL && i < half->count; i++) {
		neep_driver_abandon(driver, &half->requests[i]);
	}
	free(half->requests);
	free(half->replies);
}

static int half_wait(struct neep_driver *driver, struct half *half) {
	for (size_t i = half->count; i > 0; i--) {
		int result = neep_driver_wait(driver, &half->requests[i - 1]);
		if (result < 0) {
			return result;
		}
	}
	return bench_expect_ok((int)half->replies[half->count - 1].type);
}

static int pump_halves(struct bench_session *session, struct half halves[2]) {
	struct neep_driver *driver = session->driver;
	int result = neep_driver_submit(driver, halves[1].requests, halves[1].count);
	int64_t start = neep_clock_ns();
	int64_t end = start + (int64_t)(session->options->seconds * (double)NEEP_NS_PER_S);
	int64_t now = start;
	uint64_t done = 0;
	for (size_t turn = 0; result == 0 && now < end; turn++) {
		/* While one half is with the device the other is refilled: the ring is never empty. */
		struct half *idle = &halves[turn & 1];
		result = neep_driver_submit(driver, idle->requests, idle->count);
		if (result == 0) {
			result = half_wait(driver, &halves[(turn + 1) & 1]);
		}
		now = neep_clock_ns();
		done += idle->count;
	}
	if (result == 0) {
		session->values[BENCH_PIPELINE] =
			(double)done * (double)NEEP_NS_PER_S / (double)(now - start);
	}
	return result;
}

/* With the ring kept full a driver does not get to sleep; one that did would measure its own wake-ups. */
#define PIPELINE_SPIN_NS (50 * NEEP_NS_PER_US)

int bench_run_pipeline(struct bench_session *session) {
	neep_driver_set_spin(session->driver, PIPELINE_SPIN_NS);
	struct half halves[2] = { 0 };
	size_t count = session->options->queue_size / 2;
	int result = create_small(session->driver, 1);
	if (result == 0) {
		result = half_init(&halves[0], count);
	}
	if (result == 0) {
		result = half_init(&halves[1], count);
	}
	if (result == 0) {
		result = pump_halves(session, halves);
	}
	half_finish(session->driver, &halves[0]);
	half_finish(session->driver, &halves[1]);
	return result;
}

static int create_many(struct bench_session *session) {
	int64_t start = neep_clock_ns();
	for (uint32_t i = 2; i <= MANY_RESOURCES; i++) {
		int result = create_small(session->driver, i);
		if (result < 0) {
			fprintf(stderr, "refused resource %u\n", i);
			return result;
		}
	}
	double seconds = (double)(neep_clock_ns() - start) / (double)NEEP_NS_PER_S;
	session->values[BENCH_MANY_CREATE] = (MANY_RESOURCES - 1) / seconds;
	return 0;
}

/* The driver polls throughout, so that neither side of the comparison is a measure of how long the machine takes to wake
 * a thread up. */
int bench_run_many(struct bench_session *session) {
	neep_driver_set_spin(session->driver, PIPELINE_SPIN_NS);
	int result = create_small(session->driver, 1);
	if (result == 0) {
		result = sample_round_trips(session, 1, BENCH_ONE_P50, BENCH_ONE_P99);
	}
	if (result == 0) {
		result = create_many(session);
	}
	if (result == 0) {
		result = sample_round_trips(session, MANY_RESOURCES, BENCH_MANY_P50, BENCH_MANY_P99);
		session->values[BENCH_MANY_RATIO] =
			session->values[BENCH_MANY_P50] / session->values[BENCH_ONE_P50];
	}
	return result;
}

/* ---- memory and idleness ---- */

#define MIB (1024.0 * 1024.0)

static int note_memory(struct bench_session *session, enum bench_metric first) {
	struct bench_memory memory;
	int result = bench_backend_memory(session->backend, &memory);
	if (result < 0) {
		return result;
	}
	session->values[first] = (double)memory.rss / MIB;
	session->values[first + 1] = (double)memory.anon / MIB;
	session->values[first + 2] = (double)memory.shmem / MIB;
	session->values[first + 3] = (double)memory.pss / MIB;
	return 0;
}

/* Sixteen 1080p resources with transferred pixels, one of them shown. */
int bench_run_memory(struct bench_session *session) {
	int result = create_small(session->driver, 1);
	if (result == 0) {
		result = note_memory(session, BENCH_IDLE_RSS);
	}
	struct bench_image image = { .width = 1920, .height = 1080 };
	for (uint32_t i = 0; result == 0 && i < LOADED_COUNT; i++) {
		image.resource_id = 100 + i;
		result = bench_image_create(session->driver, &image);
		if (result == 0) {
			result = bench_image_upload(session->driver, &image);
		}
		/* The device keeps its copy: the pages behind it are no longer needed. */
		if (result == 0) {
			result = bench_image_drop_backing(session->driver, &image);
		}
	}
	if (result == 0) {
		result = bench_image_show(session->driver, &image);
	}
	return result < 0 ? result : note_memory(session, BENCH_LOADED_RSS);
}

int bench_run_idle(struct bench_session *session) {
	int result = flush(session->driver, 1);
	if (result < 0 && result != -EREMOTEIO) {
		return result;
	}
	struct timespec pause = { .tv_sec = IDLE_NS / NEEP_NS_PER_S };
	int64_t before = bench_backend_cpu_ns(session->backend);
	nanosleep(&pause, NULL);
	int64_t after = bench_backend_cpu_ns(session->backend);
	if (before < 0 || after < 0) {
		return -ESRCH;
	}
	session->values[BENCH_IDLE_CPU] =
		(double)(after - before) / (double)NEEP_NS_PER_US / ((double)IDLE_NS / (double)NEEP_NS_PER_S);
	return 0;
}
