/* Explicit synchronization of the proxy's own: who sees it, what waits for which point, who signals which, and what clients are told
 * who do wrong. */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/buffer.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/offer.h"
#include "wayland/pool.h"
#include "wayland/sync.h"
#include "wayland/wayland-protocol.h"
#include "wayland_proxy/compositor.h"
#include "wayland_proxy/timelines.h"

#define SIZE   65536
#define DEVICE UINT64_C(0xe280)
#define NAME   "wp_linux_drm_syncobj_manager_v1"

enum manager_request { DESTROY, GET_SURFACE, IMPORT_TIMELINE };
enum surface_request { SURFACE_DESTROY, SET_ACQUIRE_POINT, SET_RELEASE_POINT };
enum { ACQUIRE, RELEASE }; // syncobjs

#define ERROR(name)         ((int)WP_LINUX_DRM_SYNCOBJ_SURFACE_V1_ERROR_##name)
#define MANAGER_ERROR(name) ((int)WP_LINUX_DRM_SYNCOBJ_MANAGER_V1_ERROR_##name)

/* A client with a surface, its synchronization, two timelines and two buffers. */
struct desk {
	struct timelines timelines;
	struct rig_dmabufs dmabufs;
	struct rig rig;
	uint32_t manager, surface, sync, acquire, release, buffers[2];
	int memory;
};

static uint32_t import(struct desk *desk, int fd) {
	uint32_t id = desk->rig.next_id++;
	rig_send_fd(&desk->rig, fd, desk->manager, IMPORT_TIMELINE, 1, &id);
	return id;
}

static uint32_t import_syncobj(struct desk *desk, uint8_t syncobj) {
	int fd = timelines_fd(syncobj);
	uint32_t id = import(desk, fd);
	close(fd);
	return id;
}

static uint32_t get_sync(struct desk *desk, uint32_t surface) {
	uint32_t id = desk->rig.next_id++;
	rig_send(&desk->rig, desk->manager, GET_SURFACE, id, surface);
	return id;
}

static void start_bare(struct desk *desk) {
	memset(desk, 0, sizeof(*desk));
	desk->dmabufs = (struct rig_dmabufs){ .render_device = DEVICE, .timelines = &desk->timelines };
	rig_start_with_dmabufs(&desk->rig, &desk->dmabufs);
}

/* On a compositor that reads the clients' own dma-bufs. */
static void start_bare_imported(struct desk *desk) {
	memset(desk, 0, sizeof(*desk));
	desk->dmabufs = (struct rig_dmabufs){ .render_device = DEVICE,
		.are_memory = true,
		.has_global = true,
		.are_sent = true,
		.import = IMPORT_CREATED,
		.timelines = &desk->timelines };
	rig_start_with_dmabufs(&desk->rig, &desk->dmabufs);
}

static void furnish(struct desk *desk) {
	struct rig *rig = &desk->rig;
	desk->manager = rig->next_id++;
	rig_bind(rig, &(struct rig_binding){ NEEP_WL_SYNC_NAME, NAME, 1 }, desk->manager);
	desk->surface = rig_create_surface(rig);
	desk->sync = get_sync(desk, desk->surface);
	desk->acquire = import_syncobj(desk, ACQUIRE);
	desk->release = import_syncobj(desk, RELEASE);
	desk->memory = rig_make_memory(SIZE);
	desk->buffers[0] = rig_create_dmabuf(rig, desk->memory, 0);
	desk->buffers[1] = rig_create_dmabuf(rig, desk->memory, 0);
	rig_settle(rig);
	assert_false(rig->has_ended);
}

static void start(struct desk *desk) {
	start_bare(desk);
	furnish(desk);
}

static void stop(struct desk *desk) {
	rig_stop(&desk->rig);
	timelines_finish(&desk->timelines);
	close(desk->memory);
}

static void set_points(struct desk *desk, uint32_t acquire, uint32_t release) {
	rig_send(&desk->rig, desk->sync, SET_ACQUIRE_POINT, desk->acquire, 0, acquire);
	rig_send(&desk->rig, desk->sync, SET_RELEASE_POINT, desk->release, 0, release);
}

static void commit(struct desk *desk) {
	rig_commit(&desk->rig, desk->surface);
	rig_settle(&desk->rig);
}

/* Commits a buffer whose points have this number; what is drawn there is drawn. */
static void show(struct desk *desk, size_t index, uint32_t point) {
	timelines_reach(&desk->timelines, ACQUIRE, point);
	set_points(desk, point, point);
	rig_attach(&desk->rig, desk->surface, desk->buffers[index]);
	rig_damage_buffer(&desk->rig, desk->surface, 0, 0, RIG_WIDTH, RIG_HEIGHT);
	commit(desk);
	assert_false(desk->rig.has_ended);
}

/* The same before it is drawn. */
static void show_early(struct desk *desk, size_t index, uint32_t point) {
	set_points(desk, point, point);
	rig_attach(&desk->rig, desk->surface, desk->buffers[index]);
	rig_damage_buffer(&desk->rig, desk->surface, 0, 0, RIG_WIDTH, RIG_HEIGHT);
	commit(desk);
}

/* Of the commit that waits. */
static struct neep_timer *limit_of(const struct desk *desk, uint32_t sync_id) {
	const struct neep_wl_object *object = neep_wl_objects_by_client(&desk->rig.client->objects, sync_id);
	struct neep_wl_sync_surface *sync = object->data;
	return &sync->wait.limit;
}

static size_t released(const struct desk *desk, uint64_t point) {
	return timelines_count(&desk->timelines, RELEASE, point);
}

static uint32_t commits(const struct desk *desk) {
	return rig_thing(&desk->rig, desk->surface)->commits;
}

static void let_go(struct desk *desk, size_t index) {
	rig_release(&desk->rig, rig_host_id(&desk->rig, desk->buffers[index]));
}

static void assert_failed(struct desk *desk, uint32_t wanted_id, int wanted_code) {
	uint32_t id = 0;
	rig_settle(&desk->rig);
	assert_int_equal(rig_error(&desk->rig, &id), wanted_code);
	assert_int_equal(id, wanted_id);
	stop(desk);
}

/* ---- the global ---- */

static void global_is_offered_beside_linux_dmabuf(void **state) {
	(void)state;
	struct desk desk;
	uint32_t version = 0;
	start(&desk);
	assert_int_equal(rig_count_announced(&desk.rig, NEEP_WL_SYNC_NAME, NAME, &version), 1);
	assert_int_equal(version, 1);
	stop(&desk);
}

static void global_is_not_offered_when_nobody_could_use_it(void **state) {
	(void)state;
	struct timelines timelines = { 0 };
	const struct rig_dmabufs cases[] = {
		{ .render_device = DEVICE },
		{ .render_device = 0, .timelines = &timelines },
		{ .render_device = DEVICE, .timelines = &timelines, .deny = "zwp_linux_dmabuf_v1" },
		{ .render_device = DEVICE, .timelines = &timelines, .deny = NAME },
		{ .render_device = DEVICE, .timelines = &timelines, .has_global = true },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct rig rig;
		uint32_t version = 0, id = 0;
		rig_start_with_dmabufs(&rig, &cases[i]);
		assert_int_equal(rig_count_announced(&rig, NEEP_WL_SYNC_NAME, NAME, &version), 0);
		rig_bind(&rig, &(struct rig_binding){ NEEP_WL_SYNC_NAME, NAME, 1 }, rig.next_id++);
		rig_settle(&rig);
		assert_int_equal(rig_error(&rig, &id), WL_DISPLAY_ERROR_INVALID_OBJECT);
		rig_stop(&rig);
	}
}

static void compositors_global_is_hidden(void **state) {
	(void)state;
	struct desk desk;
	uint32_t words[11] = { 9, sizeof(NAME) }, version = 0;
	start(&desk);
	memcpy(&words[2], NAME, sizeof(NAME));
	words[10] = 1;
	rig_event(&desk.rig, rig_host_id(&desk.rig, REGISTRY), WL_REGISTRY_GLOBAL, -1, 11, words);
	assert_int_equal(rig_count_announced(&desk.rig, 9, NAME, &version), 0);
	assert_false(desk.rig.has_ended);
	stop(&desk);
}

static void binding_is_refused_when_it_is_of_another_interface_or_version(void **state) {
	(void)state;
	static const struct rig_binding bad[] = {
		{ NEEP_WL_SYNC_NAME, NAME, 0 },
		{ NEEP_WL_SYNC_NAME, NAME, 2 },
		{ NEEP_WL_SYNC_NAME, "wl_shm", 1 },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad); i++) {
		struct desk desk;
		uint32_t id;
		start_bare(&desk);
		rig_bind(&desk.rig, &bad[i], desk.rig.next_id++);
		rig_settle(&desk.rig);
		assert_int_equal(rig_error(&desk.rig, &id), WL_DISPLAY_ERROR_INVALID_OBJECT);
		rig_stop(&desk.rig);
	}
}

static void objects_may_go_in_any_order(void **state) {
	(void)state;
	for (int first = 0; first < 4; first++) {
		struct desk desk;
		start(&desk);
		const uint32_t ids[] = { desk.manager, desk.sync, desk.acquire, desk.surface };
		for (int i = 0; i < 4; i++) {
			rig_destroy(&desk.rig, ids[(first + i) % 4], 0);
		}
		rig_settle(&desk.rig);
		assert_false(desk.rig.has_ended);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(rig_deleted(&desk.rig, ids[i]), 1);
		}
		stop(&desk);
	}
}

/* ---- the acquire point ---- */

static void commit_waits_until_its_acquire_point_is_reached(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show_early(&desk, 0, 1);
	uint32_t late = rig_create_surface(&desk.rig);
	rig_settle(&desk.rig);
	// It alone has not gone on.
	assert_int_equal(commits(&desk), 0);
	assert_int_not_equal(rig_host_id(&desk.rig, late), 0);
	// What is drawn meanwhile is what is shown.
	assert_int_equal(pwrite(desk.memory, "late", 4, 0), 4);
	timelines_reach(&desk.timelines, ACQUIRE, 1);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 1);
	assert_memory_equal(rig_thing(&desk.rig, desk.buffers[0])->memory->data, "late", 4);
	// The next one waits as the first did.
	show_early(&desk, 1, 2);
	assert_int_equal(commits(&desk), 1);
	timelines_reach(&desk.timelines, ACQUIRE, 7);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 2);
	stop(&desk);
}

/* All 64 bits count. */
static void points_have_two_words(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	rig_send(&desk.rig, desk.sync, SET_ACQUIRE_POINT, desk.acquire, 1, 2);
	rig_send(&desk.rig, desk.sync, SET_RELEASE_POINT, desk.release, 3, 4);
	rig_attach(&desk.rig, desk.surface, desk.buffers[0]);
	commit(&desk);
	timelines_reach(&desk.timelines, ACQUIRE, UINT64_C(0x100000001));
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 0);
	timelines_reach(&desk.timelines, ACQUIRE, UINT64_C(0x100000002));
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 1);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, UINT64_C(0x300000004)), 1);
	stop(&desk);
}

static void commit_does_not_wait_for_the_dma_bufs_own_fences(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	const struct neep_wl_object *object =
		neep_wl_objects_by_client(&desk.rig.client->objects, desk.buffers[0]);
	int event = eventfd(0, EFD_CLOEXEC), pool_fd = neep_wl_buffer_from_object(object)->pool->fd;
	assert_int_equal(dup3(event, pool_fd, O_CLOEXEC), pool_fd);
	show(&desk, 0, 1);
	commit(&desk);
	assert_int_equal(commits(&desk), 2);
	stop(&desk);
	close(event);
}

static void commit_does_not_wait_for_ever(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show_early(&desk, 0, 1);
	assert_int_equal(commits(&desk), 0);
	neep_timer_arm(desk.rig.loop, limit_of(&desk, desk.sync), 0);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 1);
	show_early(&desk, 1, 2);
	assert_int_equal(commits(&desk), 1);
	timelines_reach(&desk.timelines, ACQUIRE, 2);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 2);
	stop(&desk);
}

static void client_ends_when_its_point_cannot_be_watched(void **state) {
	(void)state;
	struct desk desk;
	uint32_t id;
	start(&desk);
	desk.timelines.is_broken = true;
	show_early(&desk, 0, 1);
	assert_int_equal(rig_error(&desk.rig, &id), WL_DISPLAY_ERROR_IMPLEMENTATION);
	stop(&desk);
}

static void client_may_be_resumed_for_something_else(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show_early(&desk, 0, 1);
	neep_wl_client_resume(desk.rig.client);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 0);
	assert_int_equal(desk.timelines.watch_count, 1);
	timelines_reach(&desk.timelines, ACQUIRE, 1);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 1);
	stop(&desk);
}

/* ---- the release point ---- */

static void release_point_is_signalled_once_when_the_compositor_releases_the_buffer(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	show(&desk, 1, 2);
	// Points that are reached already are not waited for.
	assert_int_equal(commits(&desk), 2);
	assert_int_equal(desk.timelines.watch_count + desk.timelines.signal_count, 0);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	assert_int_equal(released(&desk, 2), 0);
	// The event is for those who want it.
	assert_non_null(rig_next_event(&desk.rig, NULL, desk.buffers[0], WL_BUFFER_RELEASE));
	show(&desk, 0, 3);
	let_go(&desk, 0);
	let_go(&desk, 1);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 2), 1);
	assert_int_equal(released(&desk, 3), 1);
	stop(&desk);
	assert_int_equal(desk.timelines.signal_count, 3);
}

static void one_release_is_of_all_commits_of_a_buffer(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	show(&desk, 0, 2);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	assert_int_equal(released(&desk, 2), 1);
	stop(&desk);
	assert_int_equal(desk.timelines.signal_count, 2);
}

static void commits_without_a_buffer_have_no_points(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	commit(&desk);
	show(&desk, 0, 1);
	commit(&desk);
	rig_attach(&desk.rig, desk.surface, 0);
	commit(&desk);
	assert_int_equal(commits(&desk), 4);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	stop(&desk);
}

static void last_points_before_a_commit_are_those_of_it(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	set_points(&desk, 50, 60);
	set_points(&desk, 40, 30);
	show(&desk, 0, 1);
	assert_int_equal(commits(&desk), 1);
	let_go(&desk, 0);
	stop(&desk);
	assert_int_equal(desk.timelines.signal_count, 1);
	assert_int_equal(released(&desk, 1), 1);
}

static void points_stay_when_their_timelines_objects_go(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	set_points(&desk, 1, 1);
	rig_destroy(&desk.rig, desk.acquire, 0);
	rig_destroy(&desk.rig, desk.release, 0);
	rig_attach(&desk.rig, desk.surface, desk.buffers[0]);
	commit(&desk);
	assert_int_equal(commits(&desk), 0);
	timelines_reach(&desk.timelines, ACQUIRE, 1);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 1);
	assert_int_equal(desk.timelines.live, 1);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	assert_int_equal(desk.timelines.live, 0);
	stop(&desk);
}

static void synchronization_is_implicit_again_when_its_object_has_gone(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	set_points(&desk, 9, 9);
	rig_destroy(&desk.rig, desk.sync, SURFACE_DESTROY);
	rig_attach(&desk.rig, desk.surface, desk.buffers[1]);
	commit(&desk);
	assert_int_equal(commits(&desk), 2);
	let_go(&desk, 0);
	let_go(&desk, 1);
	assert_int_equal(released(&desk, 1), 1);
	desk.sync = get_sync(&desk, desk.surface);
	show(&desk, 0, 2);
	assert_int_equal(commits(&desk), 3);
	stop(&desk);
	// What was not committed is nobody's.
	assert_int_equal(released(&desk, 9), 0);
}

static void compositor_keeps_a_buffer_that_is_destroyed_before_its_release(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	uint32_t host_id = rig_host_id(&desk.rig, desk.buffers[0]);
	rig_destroy(&desk.rig, desk.buffers[0], 0);
	rig_settle(&desk.rig);
	// The client has its id back, and may use it.
	assert_int_equal(rig_deleted(&desk.rig, desk.buffers[0]), 1);
	rig_send(&desk.rig, COMPOSITOR, 0, desk.buffers[0]);
	rig_settle(&desk.rig);
	assert_int_equal(desk.rig.compositor->things[host_id].interface == &wl_buffer_interface, true);
	assert_int_equal(released(&desk, 1), 0);
	rig_release(&desk.rig, host_id);
	assert_int_equal(released(&desk, 1), 1);
	assert_null(desk.rig.compositor->things[host_id].interface);
	assert_null(neep_wl_objects_by_host(&desk.rig.client->objects, host_id));
	assert_false(desk.rig.has_ended);
	assert_int_equal(rig_deleted(&desk.rig, desk.buffers[0]), 1);
	stop(&desk);
	assert_int_equal(desk.timelines.signal_count, 1);
}

static void imported_buffer_is_released_when_the_compositor_says_so(void **state) {
	(void)state;
	struct desk desk;
	start_bare_imported(&desk);
	furnish(&desk);
	show(&desk, 0, 1);
	show(&desk, 1, 2);
	assert_true(rig_host_id(&desk.rig, desk.buffers[0]) >= NEEP_WL_SERVER_IDS);
	assert_int_equal(released(&desk, 1) + released(&desk, 2), 0);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	assert_int_equal(released(&desk, 2), 0);
	stop(&desk);
}

static void compositor_keeps_an_imported_buffer_that_is_destroyed_before_its_release(void **state) {
	(void)state;
	struct desk desk;
	start_bare_imported(&desk);
	furnish(&desk);
	show(&desk, 0, 1);
	const struct thing *thing = rig_thing(&desk.rig, desk.buffers[0]);
	uint32_t host_id = rig_host_id(&desk.rig, desk.buffers[0]);
	rig_destroy(&desk.rig, desk.buffers[0], 0);
	rig_settle(&desk.rig);
	assert_int_equal(rig_deleted(&desk.rig, desk.buffers[0]), 1);
	assert_ptr_equal(thing->interface, &wl_buffer_interface);
	assert_int_equal(released(&desk, 1), 0);
	rig_release(&desk.rig, host_id);
	assert_int_equal(released(&desk, 1), 1);
	assert_null(thing->interface);
	assert_null(neep_wl_objects_by_host(&desk.rig.client->objects, host_id));
	assert_false(desk.rig.has_ended);
	stop(&desk);
	assert_int_equal(desk.timelines.signal_count, 1);
}

/* Which the protocol leaves open: nothing hangs. */
static void buffer_may_go_between_attach_and_commit(void **state) {
	(void)state;
	for (int is_shown = 0; is_shown < 2; is_shown++) {
		struct desk desk;
		start(&desk);
		if (is_shown) {
			show(&desk, 0, 1);
		}
		set_points(&desk, 2, 2);
		timelines_reach(&desk.timelines, ACQUIRE, 2);
		uint32_t host_id = rig_host_id(&desk.rig, desk.buffers[0]);
		rig_attach(&desk.rig, desk.surface, desk.buffers[0]);
		rig_destroy(&desk.rig, desk.buffers[0], 0);
		commit(&desk);
		assert_int_equal(commits(&desk), 1 + is_shown);
		assert_int_equal(released(&desk, 2), !is_shown);
		if (is_shown) {
			rig_release(&desk.rig, host_id);
		}
		assert_int_equal(released(&desk, 2), 1);
		stop(&desk);
		assert_int_equal(desk.timelines.signal_count, 1 + is_shown);
	}
}

static void surface_may_go_before_the_release(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	rig_destroy(&desk.rig, desk.surface, 0);
	rig_settle(&desk.rig);
	assert_int_equal(released(&desk, 1), 0);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	stop(&desk);
}

/* Of the commit before; the mirror is the compositor's until the one that waits is released, too. */
static void release_while_a_commit_waits_is_not_of_it(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	show_early(&desk, 0, 2);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 1), 1);
	timelines_reach(&desk.timelines, ACQUIRE, 2);
	rig_settle(&desk.rig);
	assert_int_equal(commits(&desk), 2);
	assert_int_equal(released(&desk, 2), 0);
	const struct neep_wl_object *object =
		neep_wl_objects_by_client(&desk.rig.client->objects, desk.buffers[0]);
	assert_true(neep_wl_buffer_from_object(object)->is_busy);
	let_go(&desk, 0);
	assert_int_equal(released(&desk, 2), 1);
	stop(&desk);
}

static void points_are_signalled_when_the_client_ends(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	rig_destroy(&desk.rig, desk.buffers[0], 0);
	show(&desk, 1, 2);
	show_early(&desk, 1, 3);
	stop(&desk);
	// Also that of a commit that waits.
	assert_int_equal(released(&desk, 1), 1);
	assert_int_equal(released(&desk, 2), 1);
	assert_int_equal(released(&desk, 3), 1);
	assert_int_equal(desk.timelines.signal_count, 3);
}

static void points_are_signalled_when_the_compositor_ends(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	show(&desk, 0, 1);
	struct neep_wl_host *host = &desk.rig.compositor->base;
	host->listener->closed(host->listener_data, NULL);
	rig_settle(&desk.rig);
	assert_true(desk.rig.has_ended);
	assert_int_equal(released(&desk, 1), 1);
	stop(&desk);
}

/* ---- bounds ---- */

static void timelines_have_a_bound(void **state) {
	(void)state;
	struct desk desk;
	uint32_t id;
	start(&desk);
	int fd = timelines_fd(ACQUIRE);
	for (uint32_t i = 2; i < NEEP_WL_TIMELINES_MAX; i++) {
		import(&desk, fd);
		rig_settle(&desk.rig);
	}
	assert_false(desk.rig.has_ended);
	rig_destroy(&desk.rig, import(&desk, fd), 0);
	rig_settle(&desk.rig);
	assert_int_equal(rig_error(&desk.rig, &id), WL_DISPLAY_ERROR_NO_MEMORY);
	close(fd);
	stop(&desk);
}

static void releases_that_wait_have_a_bound(void **state) {
	(void)state;
	struct desk desk;
	uint32_t id;
	start(&desk);
	timelines_reach(&desk.timelines, ACQUIRE, NEEP_WL_RELEASES_MAX + 1);
	for (uint32_t point = 1; point <= NEEP_WL_RELEASES_MAX; point++) {
		set_points(&desk, point, point);
		rig_attach(&desk.rig, desk.surface, desk.buffers[0]);
		commit(&desk);
	}
	assert_false(desk.rig.has_ended);
	assert_int_equal(desk.timelines.signal_count, 0);
	show_early(&desk, 0, NEEP_WL_RELEASES_MAX + 1);
	assert_int_equal(rig_error(&desk.rig, &id), WL_DISPLAY_ERROR_NO_MEMORY);
	stop(&desk);
	// That of the commit that was one too many is signalled, too.
	assert_int_equal(desk.timelines.signal_count, NEEP_WL_RELEASES_MAX + 1);
	assert_int_equal(desk.timelines.values[RELEASE], NEEP_WL_RELEASES_MAX + 1);
}

/* ---- mistakes ---- */

static void timeline_is_refused_when_it_is_none(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	int fd = eventfd(0, EFD_CLOEXEC);
	import(&desk, fd);
	close(fd);
	assert_failed(&desk, desk.manager, MANAGER_ERROR(INVALID_TIMELINE));
}

static void second_synchronization_of_a_surface_is_refused(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	get_sync(&desk, desk.surface);
	assert_failed(&desk, desk.manager, MANAGER_ERROR(SURFACE_EXISTS));
}

static void objects_of_another_kind_are_refused(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	get_sync(&desk, desk.buffers[0]);
	assert_failed(&desk, DISPLAY, WL_DISPLAY_ERROR_INVALID_OBJECT);
	start(&desk);
	rig_send(&desk.rig, desk.sync, SET_ACQUIRE_POINT, desk.surface, 0, 1);
	assert_failed(&desk, DISPLAY, WL_DISPLAY_ERROR_INVALID_OBJECT);
}

static void point_is_refused_when_the_surface_has_gone(void **state) {
	(void)state;
	for (uint32_t request = SET_ACQUIRE_POINT; request <= SET_RELEASE_POINT; request++) {
		for (int is_known = 0; is_known < 2; is_known++) {
			struct desk desk;
			start(&desk);
			rig_destroy(&desk.rig, desk.surface, 0);
			if (is_known) {
				rig_settle(&desk.rig);
			}
			rig_send(&desk.rig, desk.sync, request, desk.acquire, 0, 1);
			assert_failed(&desk, desk.sync, ERROR(NO_SURFACE));
		}
	}
}

static void commit_is_refused_when_a_point_is_missing_or_too_much(void **state) {
	(void)state;
	static const struct {
		bool has_acquire, has_release, has_attach, has_buffer;
		int code;
	} cases[] = {
		{ true, true, false, false, ERROR(NO_BUFFER) },
		{ true, false, false, false, ERROR(NO_BUFFER) },
		{ false, true, true, false, ERROR(NO_BUFFER) },
		{ false, true, true, true, ERROR(NO_ACQUIRE_POINT) },
		{ false, false, true, true, ERROR(NO_ACQUIRE_POINT) },
		{ true, false, true, true, ERROR(NO_RELEASE_POINT) },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct desk desk;
		start(&desk);
		if (cases[i].has_acquire) {
			rig_send(&desk.rig, desk.sync, SET_ACQUIRE_POINT, desk.acquire, 0, 1);
		}
		if (cases[i].has_release) {
			rig_send(&desk.rig, desk.sync, SET_RELEASE_POINT, desk.release, 0, 1);
		}
		if (cases[i].has_attach) {
			rig_attach(&desk.rig, desk.surface, cases[i].has_buffer ? desk.buffers[0] : 0);
		}
		rig_commit(&desk.rig, desk.surface);
		assert_failed(&desk, desk.sync, cases[i].code);
		assert_int_equal(desk.timelines.signal_count, 0);
	}
}

static void commit_is_refused_when_its_release_is_not_behind_its_acquire(void **state) {
	(void)state;
	for (uint32_t release = 4; release <= 5; release++) {
		struct desk desk;
		start(&desk);
		rig_send(&desk.rig, desk.sync, SET_ACQUIRE_POINT, desk.acquire, 0, 5);
		rig_send(&desk.rig, desk.sync, SET_RELEASE_POINT, desk.acquire, 0, release);
		rig_attach(&desk.rig, desk.surface, desk.buffers[0]);
		rig_commit(&desk.rig, desk.surface);
		assert_failed(&desk, desk.sync, ERROR(CONFLICTING_POINTS));
	}
}

static void one_timeline_may_have_both_points(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	timelines_reach(&desk.timelines, ACQUIRE, 5);
	rig_send(&desk.rig, desk.sync, SET_ACQUIRE_POINT, desk.acquire, 0, 5);
	rig_send(&desk.rig, desk.sync, SET_RELEASE_POINT, desk.acquire, 0, 6);
	rig_attach(&desk.rig, desk.surface, desk.buffers[0]);
	commit(&desk);
	let_go(&desk, 0);
	assert_int_equal(timelines_count(&desk.timelines, ACQUIRE, 6), 1);
	stop(&desk);
}

static void commit_is_refused_when_its_buffer_is_no_dma_buf(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	int fd = rig_make_memory(SIZE);
	uint32_t pool = rig_create_pool(&desk.rig, fd, SIZE);
	const struct buffer_params params = { pool, 0, RIG_WIDTH, RIG_HEIGHT, RIG_STRIDE,
		WL_SHM_FORMAT_XRGB8888 };
	set_points(&desk, 1, 1);
	rig_attach(&desk.rig, desk.surface, rig_create_buffer(&desk.rig, &params));
	rig_commit(&desk.rig, desk.surface);
	close(fd);
	assert_failed(&desk, desk.sync, ERROR(UNSUPPORTED_BUFFER));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(global_is_offered_beside_linux_dmabuf),
		fd_checked_test(global_is_not_offered_when_nobody_could_use_it),
		fd_checked_test(compositors_global_is_hidden),
		fd_checked_test(binding_is_refused_when_it_is_of_another_interface_or_version),
		fd_checked_test(objects_may_go_in_any_order),
		fd_checked_test(commit_waits_until_its_acquire_point_is_reached),
		fd_checked_test(points_have_two_words),
		fd_checked_test(commit_does_not_wait_for_the_dma_bufs_own_fences),
		fd_checked_test(commit_does_not_wait_for_ever),
		fd_checked_test(client_ends_when_its_point_cannot_be_watched),
		fd_checked_test(client_may_be_resumed_for_something_else),
		fd_checked_test(release_point_is_signalled_once_when_the_compositor_releases_the_buffer),
		fd_checked_test(one_release_is_of_all_commits_of_a_buffer),
		fd_checked_test(commits_without_a_buffer_have_no_points),
		fd_checked_test(last_points_before_a_commit_are_those_of_it),
		fd_checked_test(points_stay_when_their_timelines_objects_go),
		fd_checked_test(synchronization_is_implicit_again_when_its_object_has_gone),
		fd_checked_test(compositor_keeps_a_buffer_that_is_destroyed_before_its_release),
		fd_checked_test(imported_buffer_is_released_when_the_compositor_says_so),
		fd_checked_test(compositor_keeps_an_imported_buffer_that_is_destroyed_before_its_release),
		fd_checked_test(buffer_may_go_between_attach_and_commit),
		fd_checked_test(surface_may_go_before_the_release),
		fd_checked_test(release_while_a_commit_waits_is_not_of_it),
		fd_checked_test(points_are_signalled_when_the_client_ends),
		fd_checked_test(points_are_signalled_when_the_compositor_ends),
		fd_checked_test(timelines_have_a_bound),
		fd_checked_test(releases_that_wait_have_a_bound),
		fd_checked_test(timeline_is_refused_when_it_is_none),
		fd_checked_test(second_synchronization_of_a_surface_is_refused),
		fd_checked_test(objects_of_another_kind_are_refused),
		fd_checked_test(point_is_refused_when_the_surface_has_gone),
		fd_checked_test(commit_is_refused_when_a_point_is_missing_or_too_much),
		fd_checked_test(commit_is_refused_when_its_release_is_not_behind_its_acquire),
		fd_checked_test(one_timeline_may_have_both_points),
		fd_checked_test(commit_is_refused_when_its_buffer_is_no_dma_buf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
