/* What wl-still shows. A scene ends with its last picture committed; the program stays until it is told to end. */
#ifndef NEEP_TESTS_WAYLAND_SCENES_H
#define NEEP_TESTS_WAYLAND_SCENES_H

#include "wlb.h"

#define STAGE_PICTURES 40

struct stage {
	struct wlb_client client;
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture pictures[STAGE_PICTURES];
};

struct scene {
	const char *name;
	void (*show)(struct stage *stage);
};

/* Each ends with a NULL name. */
extern const struct scene scenes_formats[];
extern const struct scene scenes_memory[];
extern const struct scene scenes_damage[];
extern const struct scene scenes_surfaces[];

/* A picture of 4 bytes per pixel at the start of the stage's memory, which is made for it. */
void stage_make_picture(struct stage *stage, int32_t width, int32_t height, enum wl_shm_format format);

/* Attaches picture number `index`, all of it damaged, and waits until it is shown. */
void stage_show(struct stage *stage, size_t index);

/* Waits until picture number `index` may be drawn again. */
void stage_await_release(struct stage *stage, size_t index);

#endif
