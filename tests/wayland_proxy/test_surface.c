/* wl_surface: what is copied at a commit. */
#include <drm_fourcc.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/shm.h"
#include "wayland/wayland-protocol.h"
#include "wayland_proxy/compositor.h"

#define MAX_SIDE 64
#define SURFACES 2
#define BUFFERS  3

enum { DESTROY_BUFFER = 0, SET_TRANSFORM = 7, SET_SCALE = 8 };

/* ---- a client that draws at random ---- */

/* What the compositor should see of a surface. */
struct picture {
	uint32_t id;
	int32_t scale;
	int shown; // which buffer, or -1
	uint32_t pixels[MAX_SIDE * MAX_SIDE];
};

struct canvas {
	uint32_t id;
	uint32_t *memory;
	bool is_busy;
};

struct scene {
	struct rig rig;
	uint32_t pool;
	int32_t width, height, stride; // the stride in pixels
	struct picture pictures[SURFACES];
	struct canvas canvases[BUFFERS];
	int buffer_count;
	uint32_t *memory;
};

static void make_canvas(struct scene *scene, int index) {
	struct canvas *canvas = &scene->canvases[index];
	size_t offset = (size_t)index * MAX_SIDE * MAX_SIDE;
	canvas->memory = scene->memory + offset;
	canvas->is_busy = false;
	canvas->id = rig_create_buffer(&scene->rig, &(struct buffer_params){
							    .pool = scene->pool,
							    .offset = (int32_t)offset * 4,
							    .width = scene->width,
							    .height = scene->height,
							    .stride = scene->stride * 4,
						    });
}

static void start_scene(struct scene *scene, int buffer_count) {
	size_t size = (size_t)BUFFERS * MAX_SIDE * MAX_SIDE * 4;
	memset(scene, 0, sizeof(*scene));
	rig_start(&scene->rig);
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	scene->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(scene->memory, MAP_FAILED);
	scene->pool = rig_create_pool(&scene->rig, fd, (int32_t)size);
	close(fd);
	scene->width = 40, scene->height = 30, scene->stride = 44;
	scene->buffer_count = buffer_count;
	for (int i = 0; i < buffer_count; i++) {
		make_canvas(scene, i);
	}
	for (int i = 0; i < SURFACES; i++) {
		scene->pictures[i].id = rig_create_surface(&scene->rig);
		scene->pictures[i].scale = 1;
		scene->pictures[i].shown = -1;
	}
}

static void stop_scene(struct scene *scene) {
	munmap(scene->memory, (size_t)BUFFERS * MAX_SIDE * MAX_SIDE * 4);
	rig_stop(&scene->rig);
}

static void release(struct scene *scene, int index) {
	struct canvas *canvas = &scene->canvases[index];
	if (canvas->is_busy) {
		canvas->is_busy = false;
		rig_release(&scene->rig, rig_host_id(&scene->rig, canvas->id));
	}
}

/* A buffer that the compositor does not hold. */
static int find_free(struct scene *scene) {
	int first = rand() % scene->buffer_count;
	for (int i = 0; i < scene->buffer_count; i++) {
		int index = (first + i) % scene->buffer_count;
		if (!scene->canvases[index].is_busy) {
			return index;
		}
	}
	release(scene, first);
	return first;
}

static void draw_rect(struct scene *scene, struct picture *picture) {
	int32_t scale = picture->scale, across = scene->width / scale, down = scene->height / scale;
	int32_t x = rand() % across, y = rand() % down;
	int32_t width = rand() % (across - x) + 1, height = rand() % (down - y) + 1;
	uint32_t color = (uint32_t)rand();
	for (int32_t row = y * scale; row < (y + height) * scale; row++) {
		for (int32_t column = x * scale; column < (x + width) * scale; column++) {
			picture->pixels[row * MAX_SIDE + column] = color++;
		}
	}
	if (rand() % 2 == 0) {
		rig_damage(&scene->rig, picture->id, x, y, width, height);
	} else {
		rig_damage_buffer(
			&scene->rig, picture->id, x * scale, y * scale, width * scale, height * scale);
	}
}

static void draw_all(struct scene *scene, struct picture *picture) {
	for (size_t i = 0; i < MAX_SIDE * MAX_SIDE; i++) {
		picture->pixels[i] = (uint32_t)rand();
	}
	rig_damage(&scene->rig, picture->id, 0, 0, INT_MAX, INT_MAX);
}

static void fill_canvas(struct scene *scene, const struct canvas *canvas, const struct picture *picture) {
	for (int32_t row = 0; row < scene->height; row++) {
		memcpy(canvas->memory + row * scene->stride, picture->pixels + row * MAX_SIDE,
			(size_t)scene->width * 4);
	}
}

static void assert_shown(struct scene *scene, const struct picture *picture) {
	struct compositor *compositor = scene->rig.compositor;
	const struct thing *surface = rig_thing(&scene->rig, picture->id);
	const struct thing *buffer = &compositor->things[surface->current];
	assert_ptr_equal(buffer->interface, &wl_buffer_interface);
	assert_int_equal(buffer->width, scene->width);
	const uint8_t *pixels = buffer->memory->data + buffer->offset;
	for (int32_t row = 0; row < scene->height; row++) {
		assert_memory_equal(pixels + row * scene->stride * 4, picture->pixels + row * MAX_SIDE,
			(size_t)scene->width * 4);
	}
}

static void show_frame(struct scene *scene, struct picture *picture) {
	int index = find_free(scene);
	struct canvas *canvas = &scene->canvases[index];
	fill_canvas(scene, canvas, picture);
	rig_attach(&scene->rig, picture->id, canvas->id);
	rig_commit(&scene->rig, picture->id);
	rig_settle(&scene->rig);
	assert_false(scene->rig.has_ended);
	assert_shown(scene, picture);
	canvas->is_busy = true;
	if (picture->shown >= 0 && picture->shown != index && rand() % 4 != 0) {
		release(scene, picture->shown);
	}
	picture->shown = index;
}

static void change_size(struct scene *scene) {
	scene->width = 2 * (rand() % 20 + 2);
	scene->height = 2 * (rand() % 20 + 2);
	scene->stride = scene->width + rand() % 8;
	for (int i = 0; i < scene->buffer_count; i++) {
		rig_destroy(&scene->rig, scene->canvases[i].id, DESTROY_BUFFER);
		make_canvas(scene, i);
	}
	for (int i = 0; i < SURFACES; i++) {
		scene->pictures[i].shown = -1;
		draw_all(scene, &scene->pictures[i]);
	}
}

static void renew_buffer(struct scene *scene) {
	int index = find_free(scene);
	rig_destroy(&scene->rig, scene->canvases[index].id, DESTROY_BUFFER);
	make_canvas(scene, index);
	for (int i = 0; i < SURFACES; i++) {
		struct picture *picture = &scene->pictures[i];
		picture->shown = picture->shown == index ? -1 : picture->shown;
	}
}

static void hide(struct scene *scene, struct picture *picture) {
	rig_attach(&scene->rig, picture->id, 0);
	rig_commit(&scene->rig, picture->id);
	if (picture->shown >= 0) {
		release(scene, picture->shown);
	}
	picture->shown = -1;
}

static void change_scale(struct scene *scene, struct picture *picture) {
	picture->scale = rand() % 2 + 1;
	rig_send(&scene->rig, picture->id, SET_SCALE, (uint32_t)picture->scale);
}

/* Ids of the client's are never used again here, so there is an end. */
static void act(struct scene *scene) {
	struct picture *picture = &scene->pictures[rand() % SURFACES];
	switch (rand() % 40) {
	case 0:
		change_size(scene);
		break;
	case 1:
		renew_buffer(scene);
		break;
	case 2:
		hide(scene, picture);
		break;
	case 3:
		change_scale(scene, picture);
		break;
	case 4:
		rig_commit(&scene->rig, picture->id);
		break;
	case 5:
		rig_send(&scene->rig, picture->id, SET_TRANSFORM, (uint32_t)rand() % 8);
		break;
	default:
		for (int i = rand() % 24; i > 0; i--) {
			draw_rect(scene, picture);
		}
	}
	show_frame(scene, picture);
	scene->rig.event_len = 0;
}

static void play(unsigned seed, int buffer_count) {
	struct scene scene;
	srand(seed);
	start_scene(&scene, buffer_count);
	for (int i = 0; i < 300; i++) {
		act(&scene);
	}
	stop_scene(&scene);
}

static void compositor_sees_each_frame_when_two_buffers_take_turns(void **state) {
	(void)state;
	for (unsigned seed = 0; seed < 10; seed++) {
		play(seed, 2);
	}
}

static void compositor_sees_each_frame_when_three_buffers_take_turns(void **state) {
	(void)state;
	for (unsigned seed = 0; seed < 10; seed++) {
		play(seed, 3);
	}
}

/* ---- how much is copied ---- */

struct window {
	struct rig rig;
	uint32_t pool, surface;
	uint32_t buffers[16];
	uint8_t *memory;
	size_t size;
};

static void start_window(struct window *window, int32_t width, int32_t height, int count) {
	window->size = (size_t)width * (size_t)height * 4 * (size_t)count;
	rig_start(&window->rig);
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)window->size), 0);
	window->memory = mmap(NULL, window->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	window->pool = rig_create_pool(&window->rig, fd, (int32_t)window->size);
	close(fd);
	for (int i = 0; i < count; i++) {
		window->buffers[i] = rig_create_buffer(&window->rig, &(struct buffer_params){
									     .pool = window->pool,
									     .offset = width * height * 4 * i,
									     .width = width,
									     .height = height,
									     .stride = width * 4,
								     });
	}
	window->surface = rig_create_surface(&window->rig);
}

static void stop_window(struct window *window) {
	munmap(window->memory, window->size);
	rig_stop(&window->rig);
}

/* Shows the buffer; returns how many bytes were copied. */
static uint64_t show(struct window *window, int index) {
	uint64_t before = window->rig.client->shm != NULL ? window->rig.client->shm->copied_bytes : 0;
	rig_attach(&window->rig, window->surface, window->buffers[index]);
	rig_commit(&window->rig, window->surface);
	rig_settle(&window->rig);
	assert_false(window->rig.has_ended);
	return window->rig.client->shm->copied_bytes - before;
}

static void only_damage_is_copied_when_a_4k_surface_changes_a_little(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 3840, 2160, 2);
	assert_int_equal(show(&window, 0), 3840 * 2160 * 4);
	rig_damage_buffer(&window.rig, window.surface, 100, 100, 64, 64);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	rig_damage(&window.rig, window.surface, 100, 100, 64, 64);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	// The second buffer is new; then each lacks what was shown with the other.
	assert_int_equal(show(&window, 1), 3840 * 2160 * 4);
	rig_damage_buffer(&window.rig, window.surface, 500, 500, 64, 64);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	rig_damage_buffer(&window.rig, window.surface, 1000, 1000, 64, 64);
	assert_int_equal(show(&window, 1), 2 * 64 * 64 * 4);
	assert_int_equal(show(&window, 1), 0);
	stop_window(&window);
}

static void nothing_is_copied_when_only_other_state_is_committed(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	show(&window, 0);
	uint64_t before = window.rig.client->shm->copied_bytes;
	rig_send(&window.rig, window.surface, 5, 0);
	rig_commit(&window.rig, window.surface);
	rig_settle(&window.rig);
	assert_int_equal(window.rig.client->shm->copied_bytes, before);
	stop_window(&window);
}

static void damage_is_copied_when_the_buffer_stays_attached(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	show(&window, 0);
	memset(window.memory, 0x77, window.size);
	rig_damage_buffer(&window.rig, window.surface, 0, 10, 64, 1);
	rig_commit(&window.rig, window.surface);
	rig_settle(&window.rig);
	const uint8_t *seen = rig_thing(&window.rig, window.buffers[0])->memory->data;
	assert_int_equal(seen[64 * 4 * 10 - 1], 0);
	assert_int_equal(seen[64 * 4 * 10], 0x77);
	assert_int_equal(seen[64 * 4 * 11 - 1], 0x77);
	assert_int_equal(seen[64 * 4 * 11], 0);
	stop_window(&window);
}

static void buffer_is_copied_whole_when_it_was_away_for_long(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 16, 16, 16);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(show(&window, i), 16 * 16 * 4);
	}
	for (int i = 0; i < 16; i++) {
		rig_damage_buffer(&window.rig, window.surface, 0, 0, 1, 1);
		assert_int_equal(show(&window, i), 16 * 16 * 4);
	}
	stop_window(&window);
}

static void buffer_is_copied_whole_when_the_surface_was_another_between(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	window.buffers[1] = rig_create_buffer(&window.rig,
		&(struct buffer_params){ .pool = window.pool, .width = 32, .height = 64, .stride = 128 });
	show(&window, 0);
	assert_int_equal(show(&window, 1), 32 * 64 * 4);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	rig_attach(&window.rig, window.surface, 0);
	rig_commit(&window.rig, window.surface);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	assert_int_equal(show(&window, 0), 0);
	stop_window(&window);
}

static void surface_damage_means_everything_when_a_viewport_stretches_it(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	rig_send(&window.rig, VIEWPORTER, 1, window.rig.next_id++, window.surface);
	show(&window, 0);
	rig_damage_buffer(&window.rig, window.surface, 0, 0, 1, 1);
	assert_int_equal(show(&window, 0), 4);
	rig_damage(&window.rig, window.surface, 0, 0, 1, 1);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	stop_window(&window);
}

static void damage_is_cut_when_it_is_larger_than_the_buffer(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	show(&window, 0);
	rig_damage_buffer(&window.rig, window.surface, -5, -5, INT_MAX, INT_MAX);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	rig_damage_buffer(&window.rig, window.surface, INT_MIN, 63, INT_MAX, 10);
	assert_int_equal(show(&window, 0), 0);
	rig_damage(&window.rig, window.surface, 60, 60, INT_MAX, INT_MAX);
	assert_int_equal(show(&window, 0), 4 * 4 * 4);
	stop_window(&window);
}

static void scale_that_is_wrong_is_left_to_the_compositor(void **state) {
	(void)state;
	static const int32_t scales[] = { 0, -1, INT_MIN, INT_MAX };
	struct window window;
	start_window(&window, 64, 64, 1);
	for (size_t i = 0; i < 4; i++) {
		rig_send(&window.rig, window.surface, SET_SCALE, (uint32_t)scales[i]);
		rig_damage(&window.rig, window.surface, -1, -1, 3, 3);
		rig_damage_buffer(&window.rig, window.surface, 1, 1, 3, 3);
		show(&window, 0);
	}
	stop_window(&window);
}

static void planes_are_copied_as_a_whole(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	window.buffers[1] = rig_create_buffer(&window.rig, &(struct buffer_params){ .pool = window.pool,
								   .width = 64,
								   .height = 64,
								   .stride = 64,
								   .format = DRM_FORMAT_NV12 });
	memset(window.memory, 0x33, window.size);
	assert_int_equal(show(&window, 1), 64 * 64 + 32 * 32 * 2);
	const struct thing *seen = rig_thing(&window.rig, window.buffers[1]);
	assert_memory_equal(seen->memory->data, window.memory, 64 * 64 + 32 * 32 * 2);
	rig_damage_buffer(&window.rig, window.surface, 3, 3, 1, 1);
	assert_int_equal(show(&window, 1), 64 * 64 + 32 * 32 * 2);
	stop_window(&window);
}

/* ---- life ---- */

static void buffer_may_go_between_attach_and_commit(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 2);
	rig_attach(&window.rig, window.surface, window.buffers[0]);
	rig_destroy(&window.rig, window.buffers[0], DESTROY_BUFFER);
	rig_damage(&window.rig, window.surface, 0, 0, 64, 64);
	rig_commit(&window.rig, window.surface);
	rig_settle(&window.rig);
	assert_false(window.rig.has_ended);
	assert_int_equal(window.rig.client->shm->copied_bytes, 0);
	assert_int_equal(show(&window, 1), 64 * 64 * 4);
	stop_window(&window);
}

static void surface_may_go_with_a_buffer_attached(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 2);
	show(&window, 0);
	rig_attach(&window.rig, window.surface, window.buffers[1]);
	rig_destroy(&window.rig, window.surface, 0);
	rig_settle(&window.rig);
	assert_int_equal(rig_deleted(&window.rig, window.surface), 1);
	window.surface = rig_create_surface(&window.rig);
	assert_int_equal(show(&window, 0), 64 * 64 * 4);
	stop_window(&window);
}

static void surface_takes_only_buffers(void **state) {
	(void)state;
	struct window window;
	start_window(&window, 64, 64, 1);
	rig_attach(&window.rig, window.surface, window.pool);
	rig_settle(&window.rig);
	assert_true(window.rig.has_ended);
	stop_window(&window);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(compositor_sees_each_frame_when_two_buffers_take_turns),
		fd_checked_test(compositor_sees_each_frame_when_three_buffers_take_turns),
		fd_checked_test(only_damage_is_copied_when_a_4k_surface_changes_a_little),
		fd_checked_test(nothing_is_copied_when_only_other_state_is_committed),
		fd_checked_test(damage_is_copied_when_the_buffer_stays_attached),
		fd_checked_test(buffer_is_copied_whole_when_it_was_away_for_long),
		fd_checked_test(buffer_is_copied_whole_when_the_surface_was_another_between),
		fd_checked_test(surface_damage_means_everything_when_a_viewport_stretches_it),
		fd_checked_test(damage_is_cut_when_it_is_larger_than_the_buffer),
		fd_checked_test(scale_that_is_wrong_is_left_to_the_compositor),
		fd_checked_test(planes_are_copied_as_a_whole),
		fd_checked_test(buffer_may_go_between_attach_and_commit),
		fd_checked_test(surface_may_go_with_a_buffer_attached),
		fd_checked_test(surface_takes_only_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
