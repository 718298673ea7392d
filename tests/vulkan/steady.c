/*
 * Works for so many rounds, or with 0 until its standard input ends, and holds every result against what it must be:
 * STEADY [FOLDER [ROUNDS]]. One line tells that the first round is done. For runs beside other programs, which come and go.
 */
#include <poll.h>
#include <string.h>

#include "hash.h"
#include "scene.h"

#define COUNT (1u << 16)

struct picture {
	uint8_t *pixels;
	size_t size;
};

/* The first picture is the standard for all. */
static void draw(const struct vk *vk, const struct scene *scene, struct picture *standard) {
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdDraw(commands, SCENE_VERTICES, 1, 0, 0);
	vkCmdEndRenderPass(commands);
	vk_end(vk, commands);
	uint8_t *pixels = vk_read_image(vk, vk_target_picture(&scene->target));
	if (standard->pixels == NULL) {
		*standard = (struct picture){ pixels, (size_t)SCENE_SIZE * SCENE_SIZE * 4 };
		out_picture("steady", pixels, SCENE_SIZE, SCENE_SIZE);
		return;
	}
	expect(memcmp(pixels, standard->pixels, standard->size) == 0);
	free(pixels);
}

static void compute(const struct vk *vk, uint32_t seed) {
	struct vk_buffer words;
	vk_buffer_create(vk, &words, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, seed, COUNT);
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(words.map, seed, COUNT);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
}

static bool goes_on(uint32_t round, uint32_t rounds) {
	struct pollfd input = { .events = POLLIN };
	return rounds != 0 ? round < rounds : poll(&input, 1, 0) == 0;
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	uint32_t rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 50;
	struct vk vk;
	vk_open(&vk, NULL);
	struct scene scene;
	scene_create(&vk, &scene, true);
	struct picture standard = { 0 };
	for (uint32_t i = 0; goes_on(i, rounds); i++) {
		draw(&vk, &scene, &standard);
		compute(&vk, i);
		if (i == 0) {
			printf("working\n");
		}
	}
	free(standard.pixels);
	scene_destroy(&vk, &scene);
	vk_close(&vk);
}
