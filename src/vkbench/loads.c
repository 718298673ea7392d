/* Everything that is not frames. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gauge.h"
#include "scenes.h"

#define SAMPLES_MAX     200000
#define RECORD_BUFFERS  4
#define RECORD_COMMANDS 10000
#define THREADS         4
#define PATTERN_SIZE    (16 << 20)

/* Resident memory of this program, KiB. */
static uint64_t own_rss(void) {
	unsigned long long size;
	unsigned long long resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL || fscanf(file, "%llu %llu", &size, &resident) != 2) {
		vkb_die("/proc/self/statm cannot be read");
	}
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

uint64_t vkb_checksum(const void *data, size_t size) {
	const uint8_t *bytes = data;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	}
	return hash;
}

/* ---- info and memory ---- */

void vkb_run_info(struct vkb *vkb, const struct vkb_options *options) {
	(void)options;
	printf("device %s\n", vkb->properties.deviceName);
	printf("cpu %d\n", vkb->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU);
}

void vkb_run_memory(const struct vkb_options *options) {
	struct vkb vkb;
	struct vkb_scene scene;
	uint64_t before = own_rss();
	vkb_open(&vkb);
	vkb_scene_create(&vkb, &vkb_scene_mesh, &scene);
	scene.work = options->work;
	printf("checksum %016" PRIx64 "\n", vkb_scene_checksum(&scene));
	printf("before_kib %" PRIu64 "\nafter_kib %" PRIu64 "\nready 1\n", before, own_rss());
	fflush(stdout);
	/* Whoever wants to look at us from outside does so now, and then closes our standard input. */
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0) {
	}
	vkb_scene_destroy(&scene);
	vkb_close(&vkb);
}

/* ---- latencies ---- */

struct sampler {
	struct vkb *vkb;
	VkFence fence;
	VkBuffer buffer;
	int64_t *samples;
};

static void ask_fence(struct sampler *sampler) {
	vkb_check(vkGetFenceStatus(sampler->vkb->device, sampler->fence), "vkGetFenceStatus");
}

static void ask_requirements(struct sampler *sampler) {
	VkBufferMemoryRequirementsInfo2 info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2,
		.buffer = sampler->buffer,
	};
	VkMemoryRequirements2 needs = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2 };
	vkGetBufferMemoryRequirements2(sampler->vkb->device, &info, &needs);
}

static void submit_nothing(struct sampler *sampler) {
	vkb_submit(sampler->vkb, VK_NULL_HANDLE, sampler->fence);
	vkb_fence_wait(sampler->vkb, sampler->fence);
}

static void reset_fence(struct sampler *sampler) {
	vkb_check(vkResetFences(sampler->vkb->device, 1, &sampler->fence), "vkResetFences");
}

/* Times `step` again and again; `between` (may be NULL) is not part of it. */
static void sample(struct sampler *sampler, const char *key, double seconds,
	void (*step)(struct sampler *sampler), void (*between)(struct sampler *sampler)) {
	int64_t start = vkb_now();
	int64_t before = start;
	size_t count = 0;
	while (count < SAMPLES_MAX && (count < 16 || (double)(before - start) < 1e9 * seconds)) {
		before = vkb_now();
		step(sampler);
		sampler->samples[count++] = vkb_now() - before;
		if (between != NULL) {
			between(sampler);
		}
	}
	gauge_print_percentiles(key, sampler->samples, count);
}

static void sampler_open(struct sampler *sampler, struct vkb *vkb, bool is_signaled) {
	*sampler = (struct sampler){
		.vkb = vkb,
		.fence = vkb_fence_create(vkb, is_signaled),
		.samples = malloc(SAMPLES_MAX * sizeof(*sampler->samples)),
	};
	if (sampler->samples == NULL) {
		vkb_die("no memory");
	}
}

static void sampler_close(struct sampler *sampler) {
	vkDestroyFence(sampler->vkb->device, sampler->fence, NULL);
	free(sampler->samples);
}

void vkb_run_reply(struct vkb *vkb, const struct vkb_options *options) {
	struct vkb_buffer buffer;
	struct vkb_buffer_params params = { .size = 4096, .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	struct sampler sampler;
	sampler_open(&sampler, vkb, true);
	vkb_buffer_create(vkb, &params, &buffer);
	sampler.buffer = buffer.buffer;
	sample(&sampler, "fence_status", options->seconds / 2, ask_fence, NULL);
	sample(&sampler, "requirements", options->seconds / 2, ask_requirements, NULL);
	vkb_buffer_destroy(vkb, &buffer);
	sampler_close(&sampler);
}

void vkb_run_submit(struct vkb *vkb, const struct vkb_options *options) {
	struct sampler sampler;
	sampler_open(&sampler, vkb, false);
	sample(&sampler, "submit", options->seconds, submit_nothing, reset_fence);
	sampler_close(&sampler);
}

/* ---- recording ---- */

static void record_buffer(const struct vkb_scene *scene, VkCommandBuffer commands) {
	vkb_commands_begin(commands);
	vkb_scene_begin_pass(scene, commands, 0);
	for (uint32_t i = 0; i < RECORD_COMMANDS; i++) {
		vkb_scene_draws_command(scene, commands, i);
	}
	vkCmdEndRenderPass(commands);
	vkb_commands_end(commands);
}

/* Nanoseconds until the buffers are recorded, handed over and known to be: a fence is made last, which is answered after all that
 * went before (the status of one may be answered earlier). Executing them is not part of it. */
static int64_t record_round(
	const struct vkb_scene *scene, const VkCommandBuffer *commands, const VkFence fence) {
	struct vkb *vkb = scene->vkb;
	int64_t start = vkb_now();
	for (size_t i = 0; i < RECORD_BUFFERS; i++) {
		record_buffer(scene, commands[i]);
	}
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = RECORD_BUFFERS,
		.pCommandBuffers = commands,
	};
	vkb_check(vkQueueSubmit(vkb->queue, 1, &info, fence), "vkQueueSubmit");
	VkFence last = vkb_fence_create(vkb, false);
	int64_t took = vkb_now() - start;
	vkDestroyFence(vkb->device, last, NULL);
	vkb_fence_wait(vkb, fence);
	vkb_check(vkResetFences(vkb->device, 1, &fence), "vkResetFences");
	return took;
}

void vkb_run_record(struct vkb *vkb, const struct vkb_options *options) {
	struct vkb_scene scene;
	VkCommandBuffer commands[RECORD_BUFFERS];
	VkFence fence = vkb_fence_create(vkb, false);
	vkb_scene_create(vkb, &vkb_scene_draws, &scene);
	for (size_t i = 0; i < RECORD_BUFFERS; i++) {
		commands[i] = vkb_commands_allocate(vkb, vkb->pool);
	}
	record_round(&scene, commands, fence);
	int64_t start = vkb_now();
	int64_t total = 0;
	uint32_t rounds = 0;
	while (rounds < 3 || (double)(vkb_now() - start) < 1e9 * options->seconds) {
		total += record_round(&scene, commands, fence);
		rounds++;
	}
	printf("commands %.4f\n", 1e3 * rounds * RECORD_BUFFERS * RECORD_COMMANDS / (double)total);
	vkDestroyFence(vkb->device, fence, NULL);
	vkb_scene_destroy(&scene);
}

/* ---- threads ---- */

struct submitters {
	const struct vkb_scene *scene;
	pthread_mutex_t queue_lock;
	pthread_barrier_t start;
	double seconds;
};

struct submitter {
	struct submitters *all;
	pthread_t thread;
	double rate; // submissions per second
};

static void submit_once(struct submitters *all, VkCommandBuffer commands, VkFence fence, uint32_t frame) {
	struct vkb *vkb = all->scene->vkb;
	vkb_commands_begin(commands);
	all->scene->impl->record(all->scene, commands, frame);
	vkb_commands_end(commands);
	pthread_mutex_lock(&all->queue_lock);
	vkb_submit(vkb, commands, fence);
	pthread_mutex_unlock(&all->queue_lock);
	vkb_fence_wait(vkb, fence);
	vkb_check(vkResetFences(vkb->device, 1, &fence), "vkResetFences");
}

static void *submit_thread(void *arg) {
	struct submitter *submitter = arg;
	struct submitters *all = submitter->all;
	struct vkb *vkb = all->scene->vkb;
	VkCommandPool pool = vkb_pool_create(vkb);
	VkCommandBuffer commands = vkb_commands_allocate(vkb, pool);
	VkFence fence = vkb_fence_create(vkb, false);
	submit_once(all, commands, fence, 0);
	pthread_barrier_wait(&all->start);
	int64_t start = vkb_now();
	uint32_t count = 0;
	while ((double)(vkb_now() - start) < 1e9 * all->seconds) {
		submit_once(all, commands, fence, count++);
	}
	submitter->rate = 1e9 * count / (double)(vkb_now() - start);
	vkDestroyFence(vkb->device, fence, NULL);
	vkDestroyCommandPool(vkb->device, pool, NULL);
	return NULL;
}

void vkb_run_threads(struct vkb *vkb, const struct vkb_options *options) {
	struct vkb_scene scene;
	struct submitters all = { .scene = &scene, .seconds = options->seconds };
	struct submitter submitters[THREADS];
	double rate = 0;
	vkb_scene_create(vkb, &vkb_scene_compute, &scene);
	scene.work = options->work;
	pthread_mutex_init(&all.queue_lock, NULL);
	pthread_barrier_init(&all.start, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		submitters[i] = (struct submitter){ .all = &all };
		if (pthread_create(&submitters[i].thread, NULL, submit_thread, &submitters[i]) != 0) {
			vkb_die("no thread");
		}
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(submitters[i].thread, NULL);
		rate += submitters[i].rate;
	}
	printf("submissions %.3f\n", rate);
	printf("checksum %016" PRIx64 "\n", vkb_scene_checksum(&scene));
	pthread_barrier_destroy(&all.start);
	pthread_mutex_destroy(&all.queue_lock);
	vkb_scene_destroy(&scene);
}

/* ---- uploads ---- */

/* Some drivers allow no larger allocation than 512 MiB. */
#define PIECE_SIZE ((VkDeviceSize)256 << 20)
#define PIECES_MAX 64

struct upload {
	struct vkb *vkb;
	struct piece {
		struct vkb_buffer staging;
		struct vkb_buffer device;
	} pieces[PIECES_MAX];
	size_t piece_count;
	uint8_t *pattern; // PATTERN_SIZE bytes
};

static void copy_buffer(struct vkb *vkb, const struct vkb_buffer *from, const struct vkb_buffer *to) {
	VkBufferCopy copy = { .size = to->size };
	VkCommandBuffer commands = vkb_once_begin(vkb);
	vkCmdCopyBuffer(commands, from->buffer, to->buffer, 1, &copy);
	vkb_once_end(vkb, commands);
}

/* Writes all of a piece's mapping, has the device copy it, and so on. */
static void upload_once(const struct upload *upload) {
	for (size_t i = 0; i < upload->piece_count; i++) {
		const struct piece *piece = &upload->pieces[i];
		uint8_t *out = piece->staging.ptr;
		for (VkDeviceSize done = 0; done < piece->staging.size; done += PATTERN_SIZE) {
			memcpy(out + done, upload->pattern, PATTERN_SIZE);
		}
		copy_buffer(upload->vkb, &piece->staging, &piece->device);
	}
}

static void upload_open(struct upload *upload, VkDeviceSize size) {
	for (VkDeviceSize done = 0; done < size && upload->piece_count < PIECES_MAX; done += PIECE_SIZE) {
		struct piece *piece = &upload->pieces[upload->piece_count++];
		VkDeviceSize piece_size = size - done < PIECE_SIZE ? size - done : PIECE_SIZE;
		const struct vkb_buffer_params staging = { piece_size, VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
			true };
		const struct vkb_buffer_params device = { piece_size,
			VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT, false };
		vkb_buffer_create(upload->vkb, &staging, &piece->staging);
		vkb_buffer_create(upload->vkb, &device, &piece->device);
	}
}

static void upload_close(struct upload *upload) {
	for (size_t i = 0; i < upload->piece_count; i++) {
		vkb_buffer_destroy(upload->vkb, &upload->pieces[i].staging);
		vkb_buffer_destroy(upload->vkb, &upload->pieces[i].device);
	}
	free(upload->pattern);
}

/* Of the last part, as the device has it. */
static uint64_t upload_checksum(const struct upload *upload) {
	struct vkb *vkb = upload->vkb;
	const struct vkb_buffer *last = &upload->pieces[upload->piece_count - 1].device;
	struct vkb_buffer back;
	const struct vkb_buffer_params params = { PATTERN_SIZE, VK_BUFFER_USAGE_TRANSFER_DST_BIT, true };
	VkBufferCopy copy = { .srcOffset = last->size - PATTERN_SIZE, .size = PATTERN_SIZE };
	vkb_buffer_create(vkb, &params, &back);
	VkCommandBuffer commands = vkb_once_begin(vkb);
	vkCmdCopyBuffer(commands, last->buffer, back.buffer, 1, &copy);
	vkb_once_end(vkb, commands);
	uint64_t checksum = vkb_checksum(back.ptr, PATTERN_SIZE);
	vkb_buffer_destroy(vkb, &back);
	return checksum;
}

static uint8_t *make_pattern(void) {
	uint8_t *pattern = malloc(PATTERN_SIZE);
	if (pattern == NULL) {
		vkb_die("no memory");
	}
	for (uint32_t i = 0; i < PATTERN_SIZE; i++) {
		pattern[i] = (uint8_t)((i * UINT32_C(2654435761)) >> 24);
	}
	return pattern;
}

void vkb_run_upload(struct vkb *vkb, const struct vkb_options *options) {
	struct upload upload = { .vkb = vkb, .pattern = make_pattern() };
	VkDeviceSize size = (VkDeviceSize)options->mib << 20;
	upload_open(&upload, size);
	/* The first time maps pages. */
	upload_once(&upload);
	int64_t start = vkb_now();
	uint32_t count = 0;
	while (count < 2 || (double)(vkb_now() - start) < 1e9 * options->seconds) {
		upload_once(&upload);
		count++;
	}
	double seconds = (double)(vkb_now() - start) / 1e9;
	printf("bandwidth %.4f\n", (double)size * count / seconds / 1e9);
	printf("checksum %016" PRIx64 "\n", upload_checksum(&upload));
	upload_close(&upload);
}
