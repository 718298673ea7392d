/* What goes on while a request waits, and what does not: the order of requests to things that have to do with each other. */
#include <string.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/buffer.h"
#include "wayland/hold.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/offer.h"
#include "wayland/surface.h"
#include "wayland/sync.h"
#include "wayland/viewporter-protocol.h"
#include "wayland/wayland-protocol.h"
#include "wayland/xdg-shell-protocol.h"
#include "wayland_proxy/compositor.h"
#include "wayland_proxy/timelines.h"

#define SIZE   65536
#define DEVICE UINT64_C(0xe280)

/* Requests, by interface. */
enum { SYNC_MANAGER_GET_SURFACE = 1, IMPORT_TIMELINE };
enum { SET_ACQUIRE_POINT = 1, SET_RELEASE_POINT };
enum { SURFACE_FRAME = 3, SET_OPAQUE_REGION, SET_BUFFER_SCALE = 8 };
enum { REGION_DESTROY, REGION_ADD };
enum { GET_VIEWPORT = 1, SET_DESTINATION };
enum { WM_BASE_DESTROY, CREATE_POSITIONER, GET_XDG_SURFACE, PONG };
enum { XDG_SURFACE_DESTROY, GET_TOPLEVEL, GET_POPUP, SET_WINDOW_GEOMETRY, ACK_CONFIGURE };
enum { TOPLEVEL_DESTROY, SET_PARENT, SET_TITLE };
enum { SET_POSITION = 1, PLACE_ABOVE, PLACE_BELOW, SET_SYNC, SET_DESYNC };
enum { GET_SUBSURFACE = 1 };

/* Syncobjs: the acquire points of each window, and all release points. */
enum { ACQUIRE_A, ACQUIRE_B, RELEASE };

/* A surface with its synchronization. */
struct window {
	uint32_t surface, sync, acquire, xdg, toplevel;
	uint32_t buffers[2];
	uint32_t point; // of the last commit
};

/* Windows A and B of one client. */
struct desk {
	struct timelines timelines;
	struct rig_dmabufs dmabufs;
	struct rig rig;
	uint32_t manager, release, wm_base, subcompositor;
	struct window a, b;
	int memory;
};

static uint32_t new_id(struct desk *desk) {
	return desk->rig.next_id++;
}

static uint32_t import_syncobj(struct desk *desk, uint8_t syncobj) {
	uint32_t id = new_id(desk);
	int fd = timelines_fd(syncobj);
	rig_send_fd(&desk->rig, fd, desk->manager, IMPORT_TIMELINE, 1, &id);
	close(fd);
	return id;
}

static uint32_t bind(struct desk *desk, uint32_t name, const char *interface) {
	uint32_t id = new_id(desk);
	rig_bind(&desk->rig, &(struct rig_binding){ name, interface, 1 }, id);
	return id;
}

static void open_window(struct desk *desk, struct window *window, uint8_t syncobj) {
	struct rig *rig = &desk->rig;
	*window = (struct window){ .surface = rig_create_surface(rig), .sync = new_id(desk) };
	rig_send(rig, desk->manager, SYNC_MANAGER_GET_SURFACE, window->sync, window->surface);
	window->acquire = import_syncobj(desk, syncobj);
	for (int i = 0; i < 2; i++) {
		window->buffers[i] = rig_create_dmabuf(rig, desk->memory, 0);
	}
}

static void make_toplevel(struct desk *desk, struct window *window) {
	window->xdg = new_id(desk);
	rig_send(&desk->rig, desk->wm_base, GET_XDG_SURFACE, window->xdg, window->surface);
	window->toplevel = new_id(desk);
	rig_send(&desk->rig, window->xdg, GET_TOPLEVEL, window->toplevel);
	rig_settle(&desk->rig);
}

static void start(struct desk *desk) {
	memset(desk, 0, sizeof(*desk));
	desk->dmabufs = (struct rig_dmabufs){ .render_device = DEVICE, .timelines = &desk->timelines };
	rig_start_with_dmabufs(&desk->rig, &desk->dmabufs);
	desk->memory = rig_make_memory(SIZE);
	desk->manager = bind(desk, NEEP_WL_SYNC_NAME, "wp_linux_drm_syncobj_manager_v1");
	desk->wm_base = bind(desk, GLOBAL_WM_BASE, "xdg_wm_base");
	desk->subcompositor = bind(desk, GLOBAL_SUBCOMPOSITOR, "wl_subcompositor");
	desk->release = import_syncobj(desk, RELEASE);
	open_window(desk, &desk->a, ACQUIRE_A);
	open_window(desk, &desk->b, ACQUIRE_B);
	rig_settle(&desk->rig);
	assert_false(desk->rig.has_ended);
	desk->rig.compositor->heard_count = 0;
}

static void stop(struct desk *desk) {
	if (!desk->rig.has_ended) {
		assert_int_equal(desk->rig.client->holds.count, 0);
	}
	rig_stop(&desk->rig);
	timelines_finish(&desk->timelines);
	close(desk->memory);
}

/* The commit's points have the window's next number. */
static void show_unsettled(struct desk *desk, struct window *window, size_t buffer) {
	uint32_t point = ++window->point;
	rig_send(&desk->rig, window->sync, SET_ACQUIRE_POINT, window->acquire, 0, point);
	rig_send(&desk->rig, window->sync, SET_RELEASE_POINT, desk->release, 0, point);
	rig_attach(&desk->rig, window->surface, window->buffers[buffer]);
	rig_damage_buffer(&desk->rig, window->surface, 0, 0, RIG_WIDTH, RIG_HEIGHT);
	rig_commit(&desk->rig, window->surface);
}

static void show(struct desk *desk, struct window *window, size_t buffer) {
	show_unsettled(desk, window, buffer);
	rig_settle(&desk->rig);
	assert_false(desk->rig.has_ended);
}

/* What the window has committed is drawn, up to this number. */
static void draw(struct desk *desk, const struct window *window, uint32_t point) {
	timelines_reach(&desk->timelines, window == &desk->a ? ACQUIRE_A : ACQUIRE_B, point);
	rig_settle(&desk->rig);
	assert_false(desk->rig.has_ended);
}

static uint32_t commits(const struct desk *desk, const struct window *window) {
	return rig_thing(&desk->rig, window->surface)->commits;
}

static size_t heard(const struct desk *desk, uint32_t id, const char *name) {
	return rig_heard(&desk->rig, id, name, 1);
}

static void assert_failed(struct desk *desk, int wanted_code) {
	uint32_t id = 0;
	rig_settle(&desk->rig);
	assert_int_equal(rig_error(&desk->rig, &id), wanted_code);
	stop(desk);
}

/* A request that the compositor heard: which of those of one name. */
struct step {
	uint32_t id;
	const char *name;
	size_t count;
};

#define assert_order(desk, ...)                                                         \
	check_order(desk, sizeof((struct step[]){ __VA_ARGS__ }) / sizeof(struct step), \
		(struct step[]){ __VA_ARGS__ })

static void check_order(const struct desk *desk, size_t count, const struct step *steps) {
	size_t last = 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = rig_heard(&desk->rig, steps[i].id, steps[i].name, steps[i].count);
		if (at <= last) {
			fail_msg("%s of %u: number %zu, behind %zu", steps[i].name, steps[i].id, at, last);
		}
		last = at;
	}
}

/* ---- what goes on ---- */

static void sync_is_answered_while_a_commit_waits(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, &desk.a, 0);
	uint32_t callback = new_id(&desk);
	rig_send(&desk.rig, DISPLAY, 0, callback);
	rig_settle(&desk.rig);
	assert_non_null(rig_next_event(&desk.rig, NULL, callback, WL_CALLBACK_DONE));
	assert_int_equal(commits(&desk, &desk.a), 0);
	draw(&desk, &desk.a, 1);
	assert_int_equal(commits(&desk, &desk.a), 1);
	stop(&desk);
}

static void other_surfaces_go_on_while_a_commit_waits(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, &desk.a, 0);
	for (uint32_t point = 1; point <= 10; point++) {
		timelines_reach(&desk.timelines, ACQUIRE_B, point);
		show(&desk, &desk.b, point % 2);
		assert_int_equal(commits(&desk, &desk.b), point);
	}
	make_toplevel(&desk, &desk.b);
	assert_int_not_equal(rig_host_id(&desk.rig, desk.b.toplevel), 0);
	assert_int_equal(commits(&desk, &desk.a), 0);
	draw(&desk, &desk.a, 1);
	stop(&desk);
}

/* One timeline, also with points that are set behind the commit that waits. */
static void surfaces_may_share_what_they_use(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t region = new_id(&desk);
	desk.b.acquire = desk.a.acquire;
	desk.a.point = 10;
	show(&desk, &desk.a, 0);
	show(&desk, &desk.a, 1);
	rig_send(&desk.rig, COMPOSITOR, 1, region);
	rig_send(&desk.rig, desk.a.surface, SET_OPAQUE_REGION, region);
	rig_send(&desk.rig, desk.b.surface, SET_OPAQUE_REGION, region);
	draw(&desk, &desk.a, 1);
	show(&desk, &desk.b, 0);
	assert_int_equal(commits(&desk, &desk.b), 1);
	assert_int_equal(commits(&desk, &desk.a), 0);
	assert_int_not_equal(heard(&desk, desk.b.surface, "set_opaque_region"), 0);
	draw(&desk, &desk.a, 12);
	assert_int_equal(commits(&desk, &desk.a), 2);
	stop(&desk);
}

/* Each for its own point. */
static void waits_end_in_any_order(void **state) {
	(void)state;
	for (int is_b_first = 0; is_b_first < 2; is_b_first++) {
		struct desk desk;
		start(&desk);
		show(&desk, &desk.a, 0);
		show(&desk, &desk.b, 0);
		struct window *first = is_b_first ? &desk.b : &desk.a;
		struct window *second = is_b_first ? &desk.a : &desk.b;
		draw(&desk, first, 1);
		assert_int_equal(commits(&desk, first), 1);
		assert_int_equal(commits(&desk, second), 0);
		draw(&desk, second, 1);
		assert_int_equal(commits(&desk, second), 1);
		stop(&desk);
	}
}

/* ---- what does not ---- */

static void requests_of_a_surface_keep_their_order(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	const struct window *a = &desk.a;
	uint32_t frame = new_id(&desk), first;
	show(&desk, &desk.a, 0);
	first = heard(&desk, a->surface, "attach") != 0;
	rig_send(&desk.rig, a->surface, SURFACE_FRAME, frame);
	rig_send(&desk.rig, a->surface, SET_BUFFER_SCALE, 2);
	show_unsettled(&desk, &desk.a, 1);
	rig_settle(&desk.rig);
	assert_int_equal(first, 1);
	assert_int_equal(heard(&desk, a->surface, "frame"), 0);
	assert_int_equal(rig_heard(&desk.rig, a->surface, "attach", 2), 0);
	draw(&desk, a, 1);
	assert_order(&desk, { a->surface, "attach", 1 }, { a->surface, "commit", 1 },
		{ a->surface, "frame", 1 }, { a->surface, "set_buffer_scale", 1 },
		{ a->surface, "attach", 2 }, { a->surface, "damage_buffer", 2 });
	assert_int_equal(commits(&desk, a), 1);
	draw(&desk, a, 2);
	assert_int_equal(commits(&desk, a), 2);
	stop(&desk);
}

static void state_of_roles_waits_with_its_surface(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	const struct window *a = &desk.a;
	uint32_t viewport = new_id(&desk);
	make_toplevel(&desk, &desk.a);
	rig_send(&desk.rig, VIEWPORTER, GET_VIEWPORT, viewport, a->surface);
	show(&desk, &desk.a, 0);
	rig_send(&desk.rig, a->xdg, ACK_CONFIGURE, 7);
	rig_send(&desk.rig, viewport, SET_DESTINATION, 10, 10);
	rig_send(&desk.rig, desk.wm_base, PONG, 1);
	rig_commit(&desk.rig, a->surface);
	rig_settle(&desk.rig);
	assert_int_equal(heard(&desk, a->xdg, "ack_configure"), 0);
	assert_int_equal(heard(&desk, viewport, "set_destination"), 0);
	assert_int_not_equal(heard(&desk, desk.wm_base, "pong"), 0);
	draw(&desk, a, 1);
	assert_order(&desk, { a->surface, "commit", 1 }, { a->xdg, "ack_configure", 1 },
		{ viewport, "set_destination", 1 }, { a->surface, "commit", 2 });
	stop(&desk);
}

/* Nobody but the proxy knows what is made of a surface that waits. */
static void objects_made_of_a_surface_wait_with_it(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t viewport = new_id(&desk);
	show(&desk, &desk.a, 0);
	make_toplevel(&desk, &desk.a);
	rig_send(&desk.rig, VIEWPORTER, GET_VIEWPORT, viewport, desk.a.surface);
	rig_send(&desk.rig, viewport, SET_DESTINATION, 10, 10);
	rig_destroy(&desk.rig, viewport, 0);
	rig_send(&desk.rig, desk.a.xdg, ACK_CONFIGURE, 7);
	rig_settle(&desk.rig);
	assert_false(desk.rig.has_ended);
	assert_int_equal(rig_host_id(&desk.rig, desk.a.xdg), 0);
	assert_int_equal(rig_host_id(&desk.rig, viewport), 0);
	assert_int_equal(rig_deleted(&desk.rig, viewport), 0);
	draw(&desk, &desk.a, 1);
	assert_int_not_equal(rig_host_id(&desk.rig, desk.a.toplevel), 0);
	assert_int_equal(rig_deleted(&desk.rig, viewport), 1);
	assert_order(&desk, { desk.a.surface, "commit", 1 }, { desk.wm_base, "get_xdg_surface", 1 },
		{ VIEWPORTER, "get_viewport", 1 }, { viewport, "set_destination", 1 },
		{ viewport, "destroy", 1 }, { desk.a.xdg, "ack_configure", 1 });
	stop(&desk);
}

static void second_acquire_point_waits_behind_the_first(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	const struct window *a = &desk.a;
	uint32_t other = import_syncobj(&desk, ACQUIRE_B), first = a->acquire;
	show(&desk, &desk.a, 0);
	desk.a.acquire = other;
	show(&desk, &desk.a, 1);
	desk.a.acquire = first;
	show(&desk, &desk.a, 0);
	draw(&desk, &desk.b, 2);
	assert_int_equal(commits(&desk, a), 0);
	draw(&desk, a, 1);
	assert_int_equal(commits(&desk, a), 2);
	assert_int_equal(rig_thing(&desk.rig, a->surface)->current, rig_host_id(&desk.rig, a->buffers[1]));
	draw(&desk, a, 3);
	assert_int_equal(commits(&desk, a), 3);
	stop(&desk);
}

/* ---- what goes meanwhile ---- */

static void buffer_is_shown_that_was_destroyed_behind_its_commit(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	const struct window *a = &desk.a;
	show(&desk, &desk.a, 0);
	show_unsettled(&desk, &desk.a, 1);
	for (int i = 0; i < 2; i++) {
		rig_destroy(&desk.rig, a->buffers[i], 0);
	}
	rig_settle(&desk.rig);
	assert_int_equal(rig_deleted(&desk.rig, a->buffers[0]) + rig_deleted(&desk.rig, a->buffers[1]), 0);
	assert_int_equal(pwrite(desk.memory, "late", 4, 0), 4);
	uint32_t ids[2] = { rig_host_id(&desk.rig, a->buffers[0]), 0 };
	draw(&desk, a, 1);
	assert_memory_equal(desk.rig.compositor->things[ids[0]].memory->data, "late", 4);
	assert_int_equal(rig_deleted(&desk.rig, a->buffers[0]), 0);
	ids[1] = rig_host_id(&desk.rig, a->buffers[1]);
	draw(&desk, a, 2);
	assert_memory_equal(desk.rig.compositor->things[ids[1]].memory->data, "late", 4);
	assert_int_equal(commits(&desk, a), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(rig_deleted(&desk.rig, a->buffers[i]), 1);
		assert_int_equal(timelines_count(&desk.timelines, RELEASE, i + 1), 0);
		rig_release(&desk.rig, ids[i]);
		assert_int_equal(timelines_count(&desk.timelines, RELEASE, i + 1), 1);
	}
	stop(&desk);
}

/* A region that is named before it is changed keeps what it was. */
static void things_that_are_used_do_not_change_before(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t region = new_id(&desk);
	rig_send(&desk.rig, COMPOSITOR, 1, region);
	show(&desk, &desk.a, 0);
	rig_send(&desk.rig, desk.a.surface, SET_OPAQUE_REGION, region);
	rig_send(&desk.rig, region, REGION_ADD, 0, 0, 1, 1);
	rig_send(&desk.rig, desk.b.surface, SET_OPAQUE_REGION, region);
	rig_destroy(&desk.rig, region, REGION_DESTROY);
	draw(&desk, &desk.a, 1);
	assert_order(&desk, { desk.a.surface, "commit", 1 }, { desk.a.surface, "set_opaque_region", 1 },
		{ region, "add", 1 }, { desk.b.surface, "set_opaque_region", 1 }, { region, "destroy", 1 });
	stop(&desk);
}

static void surface_may_go_while_its_commit_waits(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	make_toplevel(&desk, &desk.a);
	const struct window *a = &desk.a;
	const uint32_t gone[] = { a->toplevel, a->xdg, a->sync, a->acquire, desk.release, a->surface,
		a->buffers[0], a->buffers[1] };
	show(&desk, &desk.a, 0);
	show(&desk, &desk.a, 1);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(gone); i++) {
		rig_destroy(&desk.rig, gone[i], 0);
	}
	rig_settle(&desk.rig);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(gone); i++) {
		assert_int_equal(rig_deleted(&desk.rig, gone[i]), 0);
	}
	draw(&desk, a, 2);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(gone); i++) {
		assert_int_equal(rig_deleted(&desk.rig, gone[i]), 1);
	}
	assert_order(&desk, { a->surface, "commit", 1 }, { a->surface, "commit", 2 },
		{ a->toplevel, "destroy", 1 }, { a->xdg, "destroy", 1 }, { a->surface, "destroy", 1 });
	stop(&desk);
}

/* The parent's popup must be there until that of the child has gone: else the compositor ends the client. */
static void popups_go_in_their_order(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t positioner = new_id(&desk), xdg = new_id(&desk), popup = new_id(&desk);
	make_toplevel(&desk, &desk.b);
	rig_send(&desk.rig, desk.wm_base, CREATE_POSITIONER, positioner);
	rig_send(&desk.rig, desk.wm_base, GET_XDG_SURFACE, xdg, desk.a.surface);
	rig_send(&desk.rig, xdg, GET_POPUP, popup, desk.b.xdg, positioner);
	show(&desk, &desk.a, 0);
	rig_send(&desk.rig, desk.b.toplevel, SET_TITLE, 2, 'B');
	rig_settle(&desk.rig);
	assert_int_not_equal(heard(&desk, desk.b.toplevel, "set_title"), 0);
	const uint32_t gone[] = { popup, xdg, desk.b.toplevel, desk.b.xdg, desk.wm_base };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(gone); i++) {
		rig_destroy(&desk.rig, gone[i], 0);
	}
	rig_settle(&desk.rig);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(gone); i++) {
		assert_int_equal(heard(&desk, gone[i], "destroy"), 0);
	}
	draw(&desk, &desk.a, 1);
	assert_order(&desk, { popup, "destroy", 1 }, { xdg, "destroy", 1 }, { desk.b.toplevel, "destroy", 1 },
		{ desk.b.xdg, "destroy", 1 }, { desk.wm_base, "destroy", 1 });
	stop(&desk);
}

/* ---- surfaces that have to do with each other ---- */

/* Makes A a child of B. */
static uint32_t make_child(struct desk *desk) {
	uint32_t id = new_id(desk);
	rig_send(&desk->rig, desk->subcompositor, GET_SUBSURFACE, id, desk->a.surface, desk->b.surface);
	rig_settle(&desk->rig);
	return id;
}

/* Whichever of the two waits: a commit of the parent shows what the child has committed. */
static void synchronized_subsurface_waits_with_its_parent(void **state) {
	(void)state;
	for (int is_parent_first = 0; is_parent_first < 2; is_parent_first++) {
		struct desk desk;
		start(&desk);
		make_child(&desk);
		struct window *first = is_parent_first ? &desk.b : &desk.a;
		struct window *second = is_parent_first ? &desk.a : &desk.b;
		show(&desk, first, 0);
		draw(&desk, second, 1);
		show(&desk, second, 0);
		assert_int_equal(commits(&desk, second), 0);
		draw(&desk, first, 1);
		assert_order(&desk, { first->surface, "commit", 1 }, { second->surface, "commit", 1 });
		stop(&desk);
	}
}

static void other_subsurface_does_not_wait_with_its_parent(void **state) {
	(void)state;
	for (int is_parent_first = 0; is_parent_first < 2; is_parent_first++) {
		struct desk desk;
		start(&desk);
		uint32_t subsurface = make_child(&desk);
		rig_send(&desk.rig, subsurface, SET_DESYNC);
		struct window *first = is_parent_first ? &desk.b : &desk.a;
		struct window *second = is_parent_first ? &desk.a : &desk.b;
		show(&desk, first, 0);
		draw(&desk, second, 1);
		show(&desk, second, 0);
		assert_int_equal(commits(&desk, second), 1);
		draw(&desk, first, 1);
		// And again as before.
		rig_send(&desk.rig, subsurface, SET_SYNC);
		show(&desk, first, 1);
		rig_commit(&desk.rig, second->surface);
		rig_settle(&desk.rig);
		assert_int_equal(commits(&desk, second), 1);
		draw(&desk, first, 2);
		assert_int_equal(commits(&desk, second), 2);
		stop(&desk);
	}
}

/* Without it, its commit would show a surface of another kind. */
static void surface_waits_for_what_makes_it_a_child(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, &desk.b, 0);
	uint32_t subsurface = make_child(&desk);
	draw(&desk, &desk.a, 1);
	show(&desk, &desk.a, 0);
	assert_int_equal(commits(&desk, &desk.a), 0);
	draw(&desk, &desk.b, 1);
	assert_order(&desk, { desk.subcompositor, "get_subsurface", 1 }, { desk.a.surface, "commit", 1 });
	assert_int_not_equal(rig_host_id(&desk.rig, subsurface), 0);
	stop(&desk);
}

/* Of a child that is shown alone, too: its place is the parent's state, its mode its own. */
static void requests_to_a_subsurface_wait_with_either(void **state) {
	(void)state;
	for (int is_parents = 0; is_parents < 2; is_parents++) {
		struct desk desk;
		start(&desk);
		uint32_t subsurface = make_child(&desk);
		rig_send(&desk.rig, subsurface, SET_DESYNC);
		struct window *window = is_parents ? &desk.b : &desk.a;
		show(&desk, window, 0);
		rig_send(&desk.rig, subsurface, SET_POSITION, 1, 1);
		rig_send(&desk.rig, subsurface, SET_SYNC);
		rig_commit(&desk.rig, desk.b.surface);
		draw(&desk, window, 1);
		assert_order(&desk, { window->surface, "commit", 1 }, { subsurface, "set_position", 1 },
			{ subsurface, "set_sync", 1 }, { desk.b.surface, "commit", is_parents ? 2 : 1 });
		stop(&desk);
	}
}

static void subsurface_is_free_when_its_object_has_gone(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t subsurface = make_child(&desk);
	draw(&desk, &desk.a, 1);
	// Before the compositor has said so.
	rig_destroy(&desk.rig, subsurface, 0);
	show_unsettled(&desk, &desk.b, 0);
	show(&desk, &desk.a, 0);
	assert_int_equal(commits(&desk, &desk.a), 1);
	draw(&desk, &desk.b, 1);
	stop(&desk);
}

/* Which a compositor would refuse: nothing hangs here. */
static void rings_of_subsurfaces_are_no_trap(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t id = new_id(&desk);
	make_child(&desk);
	rig_send(&desk.rig, desk.subcompositor, GET_SUBSURFACE, id, desk.b.surface, desk.a.surface);
	show(&desk, &desk.a, 0);
	show(&desk, &desk.b, 0);
	draw(&desk, &desk.b, 1);
	draw(&desk, &desk.a, 1);
	assert_int_equal(commits(&desk, &desk.a) + commits(&desk, &desk.b), 2);
	stop(&desk);
}

/* Popups of layers get their parents so: it must be heard before the commit that needs it. */
static void surface_waits_that_a_kept_request_names(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	make_toplevel(&desk, &desk.a);
	make_toplevel(&desk, &desk.b);
	show(&desk, &desk.a, 0);
	draw(&desk, &desk.b, 1);
	rig_send(&desk.rig, desk.a.toplevel, SET_PARENT, desk.b.toplevel);
	show(&desk, &desk.b, 0);
	assert_int_equal(commits(&desk, &desk.b), 0);
	draw(&desk, &desk.a, 1);
	assert_order(&desk, { desk.a.toplevel, "set_parent", 1 }, { desk.b.surface, "commit", 1 });
	stop(&desk);
}

/* From there on they wait for each other's; before, they do not. */
static void request_between_two_that_wait_comes_behind_both(void **state) {
	(void)state;
	for (int is_b_first = 0; is_b_first < 2; is_b_first++) {
		struct desk desk;
		start(&desk);
		const struct window *a = &desk.a, *b = &desk.b;
		make_toplevel(&desk, &desk.a);
		make_toplevel(&desk, &desk.b);
		show(&desk, &desk.a, 0);
		show(&desk, &desk.b, 0);
		rig_send(&desk.rig, a->toplevel, SET_PARENT, b->toplevel);
		rig_send(&desk.rig, b->toplevel, SET_TITLE, 2, 'B');
		rig_commit(&desk.rig, b->surface);
		rig_send(&desk.rig, b->toplevel, SET_PARENT, 0);
		rig_send(&desk.rig, b->toplevel, SET_PARENT, a->toplevel);
		rig_commit(&desk.rig, a->surface);
		draw(&desk, is_b_first ? b : a, 1);
		assert_int_equal(commits(&desk, a), !is_b_first);
		assert_int_equal(commits(&desk, b), is_b_first);
		assert_int_equal(heard(&desk, a->toplevel, "set_parent"), 0);
		draw(&desk, is_b_first ? a : b, 1);
		assert_order(&desk, { a->toplevel, "set_parent", 1 }, { b->toplevel, "set_title", 1 },
			{ b->surface, "commit", 2 }, { b->toplevel, "set_parent", 2 },
			{ a->surface, "commit", 2 });
		stop(&desk);
	}
}

/* ---- ends and bounds ---- */

static void nothing_is_left_when_the_client_goes(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t viewport = new_id(&desk);
	make_toplevel(&desk, &desk.a);
	show(&desk, &desk.a, 0);
	show(&desk, &desk.b, 0);
	show(&desk, &desk.a, 1);
	rig_send(&desk.rig, VIEWPORTER, GET_VIEWPORT, viewport, desk.a.surface);
	rig_settle(&desk.rig);
	assert_int_not_equal(desk.rig.client->holds.count, 0);
	rig_stop(&desk.rig);
	timelines_finish(&desk.timelines);
	close(desk.memory);
	// Those of the commits that waited for their points.
	assert_int_equal(timelines_count(&desk.timelines, RELEASE, 1), 2);
}

/* Sends so many that keep a window's place in the queue. */
static void scale(struct desk *desk, const struct window *window, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		rig_send(&desk->rig, window->surface, SET_BUFFER_SCALE, i + 1);
		// A socket has no room for more.
		if (i % 100 == 99) {
			rig_settle(&desk->rig);
		}
	}
	rig_settle(&desk->rig);
}

static void client_is_not_read_when_too_much_waits(void **state) {
	(void)state;
	for (int leaves = 0; leaves < 2; leaves++) {
		struct desk desk;
		start(&desk);
		const struct neep_wl_holds *holds = &desk.rig.client->holds;
		show(&desk, &desk.a, 0);
		scale(&desk, &desk.a, NEEP_WL_HOLD_REQUESTS_MAX - 2);
		assert_false(neep_wl_holds_is_full(holds));
		rig_commit(&desk.rig, desk.b.surface);
		rig_settle(&desk.rig);
		assert_int_equal(commits(&desk, &desk.b), 1);
		scale(&desk, &desk.a, 150);
		rig_commit(&desk.rig, desk.b.surface);
		rig_settle(&desk.rig);
		assert_int_equal(holds->count, NEEP_WL_HOLD_REQUESTS_MAX);
		assert_int_equal(commits(&desk, &desk.b), 1);
		if (leaves) {
			rig_stop(&desk.rig);
			timelines_finish(&desk.timelines);
			close(desk.memory);
			continue;
		}
		draw(&desk, &desk.a, 1);
		assert_int_not_equal(rig_heard(&desk.rig, desk.a.surface, "set_buffer_scale",
					     NEEP_WL_HOLD_REQUESTS_MAX - 2 + 150),
			0);
		assert_int_equal(commits(&desk, &desk.b), 2);
		stop(&desk);
	}
}

/* Who knows what an object is that a registry makes later? Its requests could not be read. */
static void nothing_is_read_behind_a_binding_that_waits(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t callback = new_id(&desk), dmabuf, params = new_id(&desk);
	desk.rig.client->offer->has_formats = false;
	dmabuf = rig_bind_dmabuf(&desk.rig, 4);
	rig_send(&desk.rig, dmabuf, CREATE_PARAMS, params);
	rig_send(&desk.rig, DISPLAY, 0, callback);
	rig_settle(&desk.rig);
	assert_false(desk.rig.has_ended);
	assert_null(rig_next_event(&desk.rig, NULL, callback, WL_CALLBACK_DONE));
	desk.rig.client->offer->has_formats = true;
	neep_wl_client_resume(desk.rig.client);
	rig_settle(&desk.rig);
	assert_non_null(rig_next_event(&desk.rig, NULL, callback, WL_CALLBACK_DONE));
	stop(&desk);
}

static void bytes_that_wait_have_a_bound(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	const struct neep_wl_holds *holds = &desk.rig.client->holds;
	uint32_t words[1001] = { 4000 }, sent = 0;
	memset(&words[1], 'n', 3999);
	make_toplevel(&desk, &desk.a);
	show(&desk, &desk.a, 0);
	for (; sent < 100; sent++) {
		rig_send_fd(&desk.rig, -1, desk.a.toplevel, SET_TITLE, 1001, words);
		rig_settle(&desk.rig);
	}
	assert_true(holds->bytes >= NEEP_WL_HOLD_BYTES_MAX && holds->bytes < NEEP_WL_HOLD_BYTES_MAX + 4096);
	draw(&desk, &desk.a, 1);
	assert_int_not_equal(rig_heard(&desk.rig, desk.a.toplevel, "set_title", 100), 0);
	stop(&desk);
}

/* What was kept goes on when there is room, and only then anything new. */
static void kept_requests_wait_for_the_compositor(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	uint32_t words[1001] = { 4000 };
	memset(&words[1], 'n', 3999);
	make_toplevel(&desk, &desk.a);
	show(&desk, &desk.a, 0);
	for (int i = 0; i < 60; i++) {
		rig_send_fd(&desk.rig, -1, desk.a.toplevel, SET_TITLE, 1001, words);
		rig_settle(&desk.rig);
	}
	desk.rig.compositor->is_full = true;
	draw(&desk, &desk.a, 1);
	assert_int_not_equal(desk.rig.client->holds.count, 0);
	rig_send(&desk.rig, desk.a.surface, SET_BUFFER_SCALE, 2);
	rig_settle(&desk.rig);
	rig_drain(&desk.rig);
	assert_order(&desk, { desk.a.surface, "commit", 1 }, { desk.a.toplevel, "set_title", 60 },
		{ desk.a.surface, "set_buffer_scale", 1 });
	stop(&desk);
}

/* ---- mistakes ---- */

static void new_id_is_refused_that_is_in_use_or_promised(void **state) {
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct desk desk;
		start(&desk);
		uint32_t promised = new_id(&desk);
		const uint32_t bad[] = { 0, desk.b.surface, NEEP_WL_SERVER_IDS + 5, promised };
		show(&desk, &desk.a, 0);
		rig_send(&desk.rig, desk.a.surface, SURFACE_FRAME, promised);
		rig_send(&desk.rig, desk.a.surface, SURFACE_FRAME, bad[i]);
		assert_failed(&desk, WL_DISPLAY_ERROR_INVALID_METHOD);
	}
}

static void requests_are_refused_behind_the_end_of_their_object(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, &desk.a, 0);
	rig_destroy(&desk.rig, desk.a.surface, 0);
	rig_commit(&desk.rig, desk.a.surface);
	rig_settle(&desk.rig);
	assert_false(desk.rig.has_ended);
	timelines_reach(&desk.timelines, ACQUIRE_A, 1);
	assert_failed(&desk, WL_DISPLAY_ERROR_INVALID_OBJECT);
}

static void arguments_that_wait_are_checked(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, &desk.a, 0);
	rig_attach(&desk.rig, desk.a.surface, 4000);
	rig_settle(&desk.rig);
	assert_false(desk.rig.has_ended);
	timelines_reach(&desk.timelines, ACQUIRE_A, 1);
	assert_failed(&desk, WL_DISPLAY_ERROR_INVALID_OBJECT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(sync_is_answered_while_a_commit_waits),
		fd_checked_test(other_surfaces_go_on_while_a_commit_waits),
		fd_checked_test(surfaces_may_share_what_they_use),
		fd_checked_test(waits_end_in_any_order),
		fd_checked_test(requests_of_a_surface_keep_their_order),
		fd_checked_test(state_of_roles_waits_with_its_surface),
		fd_checked_test(objects_made_of_a_surface_wait_with_it),
		fd_checked_test(second_acquire_point_waits_behind_the_first),
		fd_checked_test(buffer_is_shown_that_was_destroyed_behind_its_commit),
		fd_checked_test(things_that_are_used_do_not_change_before),
		fd_checked_test(surface_may_go_while_its_commit_waits),
		fd_checked_test(popups_go_in_their_order),
		fd_checked_test(synchronized_subsurface_waits_with_its_parent),
		fd_checked_test(other_subsurface_does_not_wait_with_its_parent),
		fd_checked_test(surface_waits_for_what_makes_it_a_child),
		fd_checked_test(requests_to_a_subsurface_wait_with_either),
		fd_checked_test(subsurface_is_free_when_its_object_has_gone),
		fd_checked_test(rings_of_subsurfaces_are_no_trap),
		fd_checked_test(surface_waits_that_a_kept_request_names),
		fd_checked_test(request_between_two_that_wait_comes_behind_both),
		fd_checked_test(nothing_is_left_when_the_client_goes),
		fd_checked_test(client_is_not_read_when_too_much_waits),
		fd_checked_test(nothing_is_read_behind_a_binding_that_waits),
		fd_checked_test(bytes_that_wait_have_a_bound),
		fd_checked_test(kept_requests_wait_for_the_compositor),
		fd_checked_test(new_id_is_refused_that_is_in_use_or_promised),
		fd_checked_test(requests_are_refused_behind_the_end_of_their_object),
		fd_checked_test(arguments_that_wait_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
