/*
 * A client of a Wayland compositor: SCENE [APP_ID] draws what the scene says, says "shown" on stdout, and stays until its standard
 * input ends. --list prints the scenes.
 */
#include <stdio.h>
#include <string.h>

#include "scenes.h"

static const struct scene *const tables[] = { scenes_formats, scenes_memory, scenes_damage, scenes_surfaces };
#define TABLE_COUNT (sizeof(tables) / sizeof(*tables))

void stage_make_picture(struct stage *stage, int32_t width, int32_t height, enum wl_shm_format format) {
	const struct wlb_shape shape = { 0, width, height, width * 4, format };
	wlb_memory_create(&stage->client, (size_t)width * (size_t)height * 4, &stage->memory);
	wlb_picture_create(&stage->memory, &shape, &stage->pictures[0]);
}

void stage_show(struct stage *stage, size_t index) {
	wlb_attach(stage->window.surface, &stage->pictures[index]);
	wlb_commit_and_wait(&stage->client, stage->window.surface);
}

void stage_await_release(struct stage *stage, size_t index) {
	while (stage->pictures[index].is_busy) {
		wlb_dispatch(&stage->client);
	}
}

static void list(void) {
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		for (const struct scene *scene = tables[i]; scene->name != NULL; scene++) {
			printf("%s\n", scene->name);
		}
	}
}

static const struct scene *find(const char *name) {
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		for (const struct scene *scene = tables[i]; scene->name != NULL; scene++) {
			if (strcmp(scene->name, name) == 0) {
				return scene;
			}
		}
	}
	wlb_die("no scene \"%s\"", name);
}

int main(int argc, char **argv) {
	if (argc != 2 && argc != 3) {
		wlb_die("usage: wl-still SCENE [APP_ID] | --list");
	}
	if (strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	const struct scene *scene = find(argv[1]);
	static struct stage stage;
	wlb_client_open(&stage.client);
	wlb_window_open(&stage.client, argc == 3 ? argv[2] : "neep-test", &stage.window);
	scene->show(&stage);
	wlb_roundtrip(&stage.client);
	printf("shown\n");
	fflush(stdout);
	wlb_dispatch_until(&stage.client, 0, -1);
	wlb_client_close(&stage.client);
	return 0;
}
