/* Surfaces: how a buffer is placed, scaled and cut, and surfaces in surfaces. */
#include "paint.h"
#include "scenes.h"

#define WIDTH  320
#define HEIGHT 240

static void make(struct stage *stage, uint32_t seed) {
	stage_make_picture(stage, WIDTH, HEIGHT, WL_SHM_FORMAT_XRGB8888);
	paint(&stage->memory, &stage->pictures[0], seed);
}

static void show_scale(struct stage *stage) {
	make(stage, 1);
	wl_surface_set_buffer_scale(stage->window.surface, 2);
	stage_show(stage, 0);
}

static void show_transform(struct stage *stage) {
	make(stage, 2);
	wl_surface_set_buffer_transform(stage->window.surface, WL_OUTPUT_TRANSFORM_FLIPPED_270);
	stage_show(stage, 0);
}

static void show_offset(struct stage *stage) {
	make(stage, 3);
	stage_show(stage, 0);
	wl_surface_attach(stage->window.surface, stage->pictures[0].buffer, 17, -11);
	wl_surface_damage(stage->window.surface, 0, 0, WIDTH, HEIGHT);
	wlb_commit_and_wait(&stage->client, stage->window.surface);
}

static void show_viewport(struct stage *stage) {
	if (stage->client.viewporter == NULL) {
		wlb_die("no wp_viewporter");
	}
	make(stage, 4);
	struct wp_viewport *viewport =
		wp_viewporter_get_viewport(stage->client.viewporter, stage->window.surface);
	wp_viewport_set_source(viewport, wl_fixed_from_double(20.5), wl_fixed_from_double(10.25),
		wl_fixed_from_double(150), wl_fixed_from_double(111.75));
	wp_viewport_set_destination(viewport, 503, 301);
	stage_show(stage, 0);
}

/* Shown, withdrawn, and shown again, which a window asks for anew. */
static void show_remap(struct stage *stage) {
	make(stage, 5);
	stage_show(stage, 0);
	wl_surface_attach(stage->window.surface, NULL, 0, 0);
	wl_surface_commit(stage->window.surface);
	wlb_roundtrip(&stage->client);
	/* weston has no new size to tell. */
	wl_surface_commit(stage->window.surface);
	wlb_roundtrip(&stage->client);
	stage_await_release(stage, 0);
	paint(&stage->memory, &stage->pictures[0], 6);
	stage_show(stage, 0);
}

/* A child with a picture of its own at (x, y), 64 x 48, which lies in the memory after the first one. */
static struct wl_subsurface *add_child(struct stage *stage, size_t index, int32_t x, int32_t y) {
	const struct wlb_shape shape = { (size_t)WIDTH * HEIGHT * 4 + (index - 1) * 64 * 48 * 4, 64, 48,
		64 * 4, index % 2 == 0 ? WL_SHM_FORMAT_XRGB8888 : WL_SHM_FORMAT_ARGB8888 };
	struct wl_surface *surface = wl_compositor_create_surface(stage->client.compositor);
	struct wl_subsurface *child =
		wl_subcompositor_get_subsurface(stage->client.subcompositor, surface, stage->window.surface);
	wl_subsurface_set_position(child, x, y);
	wlb_picture_create(&stage->memory, &shape, &stage->pictures[index]);
	paint(&stage->memory, &stage->pictures[index], (uint32_t)index);
	wlb_attach(surface, &stage->pictures[index]);
	wl_surface_commit(surface);
	return child;
}

static void make_family(struct stage *stage, size_t children) {
	const struct wlb_shape shape = { 0, WIDTH, HEIGHT, WIDTH * 4, WL_SHM_FORMAT_XRGB8888 };
	wlb_memory_create(
		&stage->client, (size_t)WIDTH * HEIGHT * 4 + children * 64 * 48 * 4, &stage->memory);
	wlb_picture_create(&stage->memory, &shape, &stage->pictures[0]);
	paint(&stage->memory, &stage->pictures[0], 7);
}

/* Children within, beyond the edges, and below their parent. */
static void show_children(struct stage *stage) {
	make_family(stage, 3);
	add_child(stage, 1, 30, 40);
	wl_subsurface_set_desync(add_child(stage, 2, WIDTH - 20, HEIGHT - 10));
	wl_subsurface_place_below(add_child(stage, 3, -32, -24), stage->window.surface);
	stage_show(stage, 0);
}

/* Thirty buffers of one pool at a time. */
static void show_crowd(struct stage *stage) {
	make_family(stage, 30);
	for (int32_t i = 0; i < 30; i++) {
		add_child(stage, (size_t)i + 1, i % 6 * 66 - 30, i / 6 * 50);
	}
	stage_show(stage, 0);
}

/* One buffer in two surfaces. */
static void show_shared(struct stage *stage) {
	make_family(stage, 2);
	add_child(stage, 1, 10, 10);
	struct wl_surface *surface = wl_compositor_create_surface(stage->client.compositor);
	struct wl_subsurface *child =
		wl_subcompositor_get_subsurface(stage->client.subcompositor, surface, stage->window.surface);
	wl_subsurface_set_position(child, 100, 120);
	wlb_attach(surface, &stage->pictures[1]);
	wl_surface_commit(surface);
	stage_show(stage, 0);
}

static void configure_popup(void *data, struct xdg_surface *surface, uint32_t serial) {
	bool *is_configured = data;
	xdg_surface_ack_configure(surface, serial);
	*is_configured = true;
}

static const struct xdg_surface_listener popup_listener = { .configure = configure_popup };

/* At the right bottom of a rectangle within the window. */
static struct xdg_positioner *make_positioner(const struct stage *stage) {
	struct xdg_positioner *positioner = xdg_wm_base_create_positioner(stage->client.shell);
	xdg_positioner_set_size(positioner, 64, 48);
	xdg_positioner_set_anchor_rect(positioner, 40, 50, 60, 70);
	xdg_positioner_set_anchor(positioner, XDG_POSITIONER_ANCHOR_BOTTOM_RIGHT);
	xdg_positioner_set_gravity(positioner, XDG_POSITIONER_GRAVITY_BOTTOM_RIGHT);
	return positioner;
}

static void show_popup(struct stage *stage) {
	const struct wlb_shape shape = { (size_t)WIDTH * HEIGHT * 4, 64, 48, 64 * 4, WL_SHM_FORMAT_XRGB8888 };
	bool is_configured = false;
	make_family(stage, 1);
	stage_show(stage, 0);
	struct wl_surface *surface = wl_compositor_create_surface(stage->client.compositor);
	struct xdg_surface *shell_surface = xdg_wm_base_get_xdg_surface(stage->client.shell, surface);
	xdg_surface_add_listener(shell_surface, &popup_listener, &is_configured);
	xdg_surface_get_popup(shell_surface, stage->window.shell_surface, make_positioner(stage));
	wl_surface_commit(surface);
	while (!is_configured) {
		wlb_dispatch(&stage->client);
	}
	wlb_picture_create(&stage->memory, &shape, &stage->pictures[1]);
	paint(&stage->memory, &stage->pictures[1], 4);
	wlb_attach(surface, &stage->pictures[1]);
	wlb_commit_and_wait(&stage->client, surface);
}

const struct scene scenes_surfaces[] = {
	{ "scale", show_scale },
	{ "transform", show_transform },
	{ "offset", show_offset },
	{ "viewport", show_viewport },
	{ "remap", show_remap },
	{ "children", show_children },
	{ "crowd", show_crowd },
	{ "shared", show_shared },
	{ "popup", show_popup },
	{ 0 },
};
