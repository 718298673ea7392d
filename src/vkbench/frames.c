/* Frames per second of a scene, as a program with two frames in flight sees it: every frame is recorded anew. */
#include <inttypes.h>
#include <stdio.h>

#include "vkb.h"

#define IN_FLIGHT          2
#define WARM_UP_NS         50000000
#define CALIBRATE_NS       30000000
#define CALIBRATE_STEPS    10
#define CALIBRATE_WORK_MAX 4000000

struct frames {
	const struct vkb_scene *scene;
	VkCommandBuffer commands[IN_FLIGHT];
	VkFence fences[IN_FLIGHT];
	uint32_t next;
};

static void frames_open(struct frames *frames, const struct vkb_scene *scene) {
	*frames = (struct frames){ .scene = scene };
	for (size_t i = 0; i < IN_FLIGHT; i++) {
		frames->commands[i] = vkb_commands_allocate(scene->vkb, scene->vkb->pool);
		frames->fences[i] = vkb_fence_create(scene->vkb, true);
	}
}

static void frames_close(struct frames *frames) {
	struct vkb *vkb = frames->scene->vkb;
	for (size_t i = 0; i < IN_FLIGHT; i++) {
		vkDestroyFence(vkb->device, frames->fences[i], NULL);
	}
	vkFreeCommandBuffers(vkb->device, vkb->pool, IN_FLIGHT, frames->commands);
}

static void render_frame(struct frames *frames) {
	struct vkb *vkb = frames->scene->vkb;
	uint32_t slot = frames->next % IN_FLIGHT;
	vkb_fence_wait(vkb, frames->fences[slot]);
	vkb_check(vkResetFences(vkb->device, 1, &frames->fences[slot]), "vkResetFences");
	vkb_commands_begin(frames->commands[slot]);
	frames->scene->impl->record(frames->scene, frames->commands[slot], frames->next);
	vkb_commands_end(frames->commands[slot]);
	vkb_submit(vkb, frames->commands[slot], frames->fences[slot]);
	frames->next++;
}

/* Renders for about that long, at least four frames; returns the nanoseconds of one. */
static double render_for(struct frames *frames, int64_t duration) {
	struct vkb *vkb = frames->scene->vkb;
	int64_t start = vkb_now();
	uint32_t count = 0;
	while (count < 4 || vkb_now() - start < duration) {
		render_frame(frames);
		count++;
	}
	vkb_check(vkDeviceWaitIdle(vkb->device), "vkDeviceWaitIdle");
	return (double)(vkb_now() - start) / count;
}

/* Whatever else the machine does only makes it slower: the best of three. */
static double best_time(struct frames *frames) {
	double best = render_for(frames, CALIBRATE_NS);
	for (int i = 1; i < 3; i++) {
		double time = render_for(frames, CALIBRATE_NS);
		best = time < best ? time : best;
	}
	return best;
}

/* The amount of work at which a frame takes about that long here. */
static uint32_t calibrate(struct vkb_scene *scene, struct frames *frames, double wanted) {
	scene->work = 1;
	for (int step = 0; step < CALIBRATE_STEPS; step++) {
		double ratio = wanted / best_time(frames);
		if (ratio > 0.97 && ratio < 1.03) {
			break;
		}
		double work = scene->work * (ratio > 8 ? 8 : ratio) + 0.5;
		scene->work = work < 1 ? 1 : work > CALIBRATE_WORK_MAX ? CALIBRATE_WORK_MAX : (uint32_t)work;
	}
	return scene->work;
}

void vkb_run_scene(struct vkb *vkb, const struct vkb_scene_impl *impl, const struct vkb_options *options) {
	struct vkb_scene scene;
	struct frames frames;
	vkb_scene_create(vkb, impl, &scene);
	scene.work = options->work;
	frames_open(&frames, &scene);
	render_for(&frames, WARM_UP_NS);
	if (options->calibrate_us != 0) {
		printf("work %" PRIu32 "\n", calibrate(&scene, &frames, 1e3 * options->calibrate_us));
	} else {
		printf("frames %.3f\n", 1e9 / render_for(&frames, (int64_t)(1e9 * options->seconds)));
		printf("checksum %016" PRIx64 "\n", vkb_scene_checksum(&scene));
	}
	frames_close(&frames);
	vkb_scene_destroy(&scene);
}
