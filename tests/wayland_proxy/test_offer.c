/* linux-dmabuf of the proxy's own: who sees it, what becomes of buffers, and what clients are told who do wrong. */
#include <drm_fourcc.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/buffer.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/offer.h"
#include "wayland/shm.h"
#include "wayland/wayland-protocol.h"
#include "wayland_proxy/compositor.h"

#define SIZE   65536
#define DEVICE UINT64_C(0xe280)
#define WIDTH  RIG_WIDTH
#define HEIGHT RIG_HEIGHT
#define STRIDE RIG_STRIDE

static const struct rig_dmabufs copied = { .render_device = DEVICE };
static const struct rig_dmabufs passed = { .render_device = DEVICE, .are_memory = true };

/* ---- the global ---- */

static uint32_t count_announced(const struct rig *rig, uint32_t name, uint32_t *version) {
	return rig_count_announced(rig, name, "zwp_linux_dmabuf_v1", version);
}

static void global_is_offered_when_the_compositor_has_none(void **state) {
	(void)state;
	struct rig rig;
	uint32_t version = 0;
	rig_start_with_dmabufs(&rig, &copied);
	assert_int_equal(count_announced(&rig, NEEP_WL_OFFER_NAME, &version), 1);
	assert_int_equal(version, 4);
	rig_stop(&rig);
}

static void global_is_offered_when_the_compositors_is_of_no_use(void **state) {
	(void)state;
	static const struct rig_dmabufs both = {
		.render_device = DEVICE, .are_memory = true, .has_global = true
	};
	struct rig rig;
	uint32_t version = 0;
	rig_start_with_dmabufs(&rig, &both);
	assert_int_equal(count_announced(&rig, NEEP_WL_OFFER_NAME, &version), 1);
	assert_int_equal(count_announced(&rig, 3, &version), 0);
	rig_stop(&rig);
}

static void global_is_the_compositors_when_it_takes_dma_bufs(void **state) {
	(void)state;
	static const struct rig_dmabufs both = { .render_device = DEVICE, .has_global = true };
	struct rig rig;
	uint32_t version = 0;
	rig_start_with_dmabufs(&rig, &both);
	assert_int_equal(count_announced(&rig, NEEP_WL_OFFER_NAME, &version), 0);
	assert_int_equal(count_announced(&rig, 3, &version), 1);
	rig_bind_dmabuf(&rig, 4);
	rig_settle(&rig);
	assert_true(rig.has_ended);
	rig_stop(&rig);
}

static void global_is_not_offered_when_nobody_could_use_it(void **state) {
	(void)state;
	static const struct rig_dmabufs cases[] = {
		{ .render_device = 0 },
		{ .render_device = DEVICE, .deny = "zwp_linux_dmabuf_v1" },
	};
	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		uint32_t version = 0;
		rig_start_with_dmabufs(&rig, &cases[i]);
		assert_int_equal(count_announced(&rig, NEEP_WL_OFFER_NAME, &version), 0);
		assert_null(rig.client->offer);
		rig_stop(&rig);
	}
}

static void each_registry_announces_the_global(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	uint32_t registry = rig.next_id++;
	rig_send(&rig, DISPLAY, 1, registry);
	rig_settle(&rig);
	const uint32_t *last = NULL, *words = NULL;
	while ((words = rig_next_event(&rig, words, registry, WL_REGISTRY_GLOBAL)) != NULL) {
		last = words;
	}
	assert_non_null(last);
	assert_int_equal(last[0], NEEP_WL_OFFER_NAME);
	rig_stop(&rig);
}

static void binding_is_refused_when_it_is_of_another_interface_or_version(void **state) {
	(void)state;
	static const struct {
		const char *interface;
		uint32_t version;
	} bad[] = { { "zwp_linux_dmabuf_v1", 0 }, { "zwp_linux_dmabuf_v1", 5 }, { "wl_shm", 1 } };
	for (size_t i = 0; i < 3; i++) {
		struct rig rig;
		uint32_t id;
		rig_start_with_dmabufs(&rig, &copied);
		rig_bind(&rig, &(struct rig_binding){ NEEP_WL_OFFER_NAME, bad[i].interface, bad[i].version },
			rig.next_id++);
		rig_settle(&rig);
		assert_int_equal(rig_error(&rig, &id), WL_DISPLAY_ERROR_INVALID_OBJECT);
		rig_stop(&rig);
	}
}

static void clients_of_version_3_hear_modifiers(void **state) {
	(void)state;
	static const uint32_t formats[] = { DRM_FORMAT_ARGB8888, DRM_FORMAT_XRGB8888, DRM_FORMAT_RGB565 };
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	uint32_t dmabuf = rig_bind_dmabuf(&rig, 3), count = 0;
	rig_settle(&rig);
	const uint32_t *words = NULL;
	while ((words = rig_next_event(&rig, words, dmabuf, ZWP_LINUX_DMABUF_V1_MODIFIER)) != NULL) {
		assert_int_equal(words[0], formats[count++]);
		assert_int_equal(words[1], 0);
		assert_int_equal(words[2], 0);
	}
	assert_int_equal(count, 3);
	rig_destroy(&rig, dmabuf, DMABUF_DESTROY);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, dmabuf), 1);
	rig_stop(&rig);
}

static void assert_device(const struct rig *rig, uint32_t id, uint32_t opcode) {
	const uint32_t *words = rig_next_event(rig, NULL, id, opcode);
	uint64_t device;
	assert_non_null(words);
	assert_int_equal(words[0], sizeof(device));
	memcpy(&device, &words[1], sizeof(device));
	assert_int_equal(device, DEVICE);
}

static void feedback_names_formats_and_the_device(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	uint32_t dmabuf = rig_bind_dmabuf(&rig, 4), surface = rig_create_surface(&rig);
	uint32_t ids[] = { rig.next_id++, rig.next_id++ };
	rig_send(&rig, dmabuf, GET_DEFAULT_FEEDBACK, ids[0]);
	rig_send(&rig, dmabuf, GET_SURFACE_FEEDBACK, ids[1], surface);
	rig_settle(&rig);
	assert_int_equal(rig.event_fd_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const uint32_t *words =
			rig_next_event(&rig, NULL, ids[i], ZWP_LINUX_DMABUF_FEEDBACK_V1_FORMAT_TABLE);
		uint32_t table[12] = { 0 };
		assert_int_equal(words[0], sizeof(table));
		assert_int_equal(pread(rig.event_fds[i], table, sizeof(table), 0), sizeof(table));
		assert_int_equal(table[0], DRM_FORMAT_ARGB8888);
		assert_int_equal(table[8], DRM_FORMAT_RGB565);
		assert_int_equal(table[10] | table[11], 0);
		assert_device(&rig, ids[i], ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE);
		assert_device(&rig, ids[i], ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_TARGET_DEVICE);
		words = rig_next_event(&rig, NULL, ids[i], ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_FORMATS);
		assert_int_equal(words[0], 6);
		assert_non_null(rig_next_event(&rig, NULL, ids[i], ZWP_LINUX_DMABUF_FEEDBACK_V1_DONE));
		rig_destroy(&rig, ids[i], 0);
	}
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, ids[0]), 1);
	rig_stop(&rig);
}

/* ---- buffers ---- */

static void buffer_is_mirrored_when_the_host_has_no_file_of_it(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	assert_int_equal(pwrite(fd, "pixel", 5, 4096), 5);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 4096), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	const struct thing *thing = rig_thing(&rig, buffer);
	assert_int_equal(thing->format, WL_SHM_FORMAT_XRGB8888);
	assert_int_equal(thing->offset, 0);
	assert_int_equal(thing->stride, STRIDE);
	assert_memory_equal(thing->memory->data, "pixel", 5);
	assert_int_equal(rig.client->shm->copied_bytes, STRIDE * HEIGHT);
	rig_stop(&rig);
	close(fd);
}

static void only_damage_is_copied(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	uint64_t before = rig.client->shm->copied_bytes;
	assert_int_equal(pwrite(fd, "new!", 4, 5 * STRIDE + 7 * 4), 4);
	assert_int_equal(pwrite(fd, "old!", 4, 20 * STRIDE), 4);
	rig_damage_buffer(&rig, surface, 7, 5, 3, 2);
	rig_commit(&rig, surface);
	rig_settle(&rig);
	assert_int_equal(rig.client->shm->copied_bytes - before, 3 * 2 * 4);
	const uint8_t *seen = rig_thing(&rig, buffer)->memory->data;
	assert_memory_equal(seen + 5 * STRIDE + 7 * 4, "new!", 4);
	assert_int_equal(seen[20 * STRIDE], 0);
	rig_stop(&rig);
	close(fd);
}

static void buffer_is_passed_when_the_host_has_its_memory(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &passed);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 4096), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	rig_show(&rig, surface, buffer);
	assert_int_equal(rig.compositor->pools, 1);
	assert_int_equal(rig.compositor->allocations, 0);
	assert_int_equal(rig.client->shm->copied_bytes, 0);
	const struct thing *thing = rig_thing(&rig, buffer);
	assert_int_equal(thing->offset, 4096);
	assert_int_equal(thing->stride, STRIDE);
	rig_release(&rig, rig_host_id(&rig, buffer));
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, buffer), 1);
	// Nor does the compositor keep its pool.
	for (uint32_t id = 1; id < THINGS; id++) {
		assert_true(rig.compositor->things[id].interface != &wl_shm_pool_interface);
	}
	rig_stop(&rig);
	close(fd);
}

static void buffer_may_go_at_any_time(void **state) {
	(void)state;
	for (int moment = 0; moment < 3; moment++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, moment == 1 ? &passed : &copied);
		int fd = rig_make_memory(SIZE);
		uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
		close(fd);
		if (moment > 0) {
			rig_attach(&rig, surface, buffer);
		}
		rig_destroy(&rig, buffer, 0);
		rig_commit(&rig, surface);
		rig_settle(&rig);
		assert_false(rig.has_ended);
		assert_int_equal(rig_deleted(&rig, buffer), 1);
		assert_int_equal(rig.client->shm->pool_count, moment > 0 ? 1 : 0);
		rig_attach(&rig, surface, 0);
		rig_commit(&rig, surface);
		rig_settle(&rig);
		assert_int_equal(rig.client->shm->pool_count, 0);
		rig_stop(&rig);
	}
}

static void client_ends_when_it_attaches_what_it_has_destroyed(void **state) {
	(void)state;
	struct rig rig;
	uint32_t id;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	rig_destroy(&rig, buffer, 0);
	rig_attach(&rig, surface, buffer);
	rig_settle(&rig);
	assert_int_equal(rig_error(&rig, &id), WL_DISPLAY_ERROR_INVALID_OBJECT);
	rig_stop(&rig);
	close(fd);
}

static void client_ends_when_it_has_cut_its_memory(void **state) {
	(void)state;
	struct rig rig;
	uint32_t id = 0;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 4096), surface = rig_create_surface(&rig);
	assert_int_equal(ftruncate(fd, 4096), 0);
	rig_show(&rig, surface, buffer);
	assert_int_equal(rig_error(&rig, &id), ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_WL_BUFFER);
	assert_int_equal(id, buffer);
	rig_stop(&rig);
	close(fd);
}

static void client_is_told_when_the_compositor_has_deleted_the_proxys_wl_shm(void **state) {
	(void)state;
	struct rig rig;
	uint32_t id;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	rig_settle(&rig);
	uint32_t shm = rig.client->offer->shm->host_id;
	rig_event(&rig, 1, WL_DISPLAY_DELETE_ID, -1, 1, &shm);
	assert_null(rig.client->offer->shm);
	rig_show(&rig, surface, buffer);
	assert_int_equal(rig_error(&rig, &id), WL_DISPLAY_ERROR_NO_MEMORY);
	rig_stop(&rig);
	close(fd);
}

/* ---- what is not drawn yet ---- */

/* Puts a file that is not ready in place of the dma-buf; its mapping stays. Returns it. */
static int make_busy(struct rig *rig, uint32_t buffer) {
	const struct neep_wl_object *object = neep_wl_objects_by_client(&rig->client->objects, buffer);
	int event = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(dup3(event, neep_wl_buffer_from_object(object)->pool->fd, O_CLOEXEC),
		neep_wl_buffer_from_object(object)->pool->fd);
	return event;
}

static void commit_waits_until_the_buffer_is_drawn(void **state) {
	(void)state;
	struct rig rig, other;
	rig_start_with_dmabufs(&rig, &copied);
	rig_start_with_dmabufs(&other, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	uint32_t other_buffer = rig_create_dmabuf(&other, fd, 0), other_surface = rig_create_surface(&other);
	int event = make_busy(&rig, buffer);
	rig_show(&rig, surface, buffer);
	uint32_t late = rig_create_surface(&rig);
	rig_settle(&rig);
	// It alone has not gone on.
	assert_int_equal(rig_thing(&rig, surface)->commits, 0);
	assert_int_not_equal(rig_host_id(&rig, late), 0);
	rig_show(&other, other_surface, other_buffer);
	assert_int_equal(rig_thing(&other, other_surface)->commits, 1);
	// What is drawn meanwhile is what is shown.
	assert_int_equal(pwrite(fd, "late", 4, 0), 4);
	assert_int_equal(eventfd_write(event, 1), 0);
	rig_settle(&rig);
	assert_int_equal(rig_thing(&rig, surface)->commits, 1);
	assert_memory_equal(rig_thing(&rig, buffer)->memory->data, "late", 4);
	assert_int_equal(rig_thing(&rig, late)->commits, 0);
	rig_stop(&rig);
	rig_stop(&other);
	close(event);
	close(fd);
}

static void commit_does_not_wait_for_ever(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	int event = make_busy(&rig, buffer);
	rig_show(&rig, surface, buffer);
	const struct neep_wl_object *object = neep_wl_objects_by_client(&rig.client->objects, buffer);
	neep_timer_arm(rig.loop, &neep_wl_buffer_from_object(object)->pool->limit, 0);
	rig_settle(&rig);
	assert_int_equal(rig_thing(&rig, surface)->commits, 1);
	// The next one is waited for as the first was.
	rig_commit(&rig, surface);
	rig_settle(&rig);
	assert_int_equal(rig_thing(&rig, surface)->commits, 1);
	assert_int_equal(eventfd_write(event, 1), 0);
	rig_stop(&rig);
	close(event);
	close(fd);
}

static void events_come_while_a_commit_waits(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t first = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	uint32_t second = rig_create_dmabuf(&rig, fd, 0);
	rig_show(&rig, surface, first);
	int event = make_busy(&rig, second);
	rig_show(&rig, surface, second);
	rig_release(&rig, rig_host_id(&rig, first));
	assert_non_null(rig_next_event(&rig, NULL, first, WL_BUFFER_RELEASE));
	assert_int_equal(eventfd_write(event, 1), 0);
	rig_stop(&rig);
	close(event);
	close(fd);
}

/* Its objects go with what waits for them. */
static void client_may_be_ended_while_its_commit_waits(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	int event = make_busy(&rig, buffer);
	rig_show(&rig, surface, buffer);
	uint32_t bad = 77;
	rig_event(&rig, 1, WL_DISPLAY_ERROR, -1, 1, &bad);
	assert_true(rig.has_ended);
	rig_stop(&rig);
	close(event);
	close(fd);
}

/* ---- mistakes ---- */

static void assert_failed(struct rig *rig, uint32_t wanted_id, int wanted_code) {
	uint32_t id = 0;
	rig_settle(rig);
	assert_int_equal(rig_error(rig, &id), wanted_code);
	assert_int_equal(id, wanted_id);
	rig_stop(rig);
}

static void plane_is_refused_when_it_is_none(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t params = rig_create_params(&rig);
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .index = 4, .stride = STRIDE });
	assert_failed(&rig, params, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_IDX);
	rig_start_with_dmabufs(&rig, &copied);
	params = rig_create_params(&rig);
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .stride = STRIDE });
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .stride = STRIDE });
	assert_failed(&rig, params, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_SET);
	close(fd);
}

static void params_are_refused_when_they_are_used_twice(void **state) {
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &copied);
		int fd = rig_make_memory(SIZE);
		uint32_t params = rig_create_params(&rig);
		const struct rig_plane plane = { .fd = fd, .stride = STRIDE };
		rig_add_plane(&rig, params, &plane);
		rig_create_immed(&rig, params, WIDTH, HEIGHT);
		if (i == 0) {
			rig_create_immed(&rig, params, WIDTH, HEIGHT);
		} else if (i == 1) {
			rig_send(&rig, params, CREATE, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0);
		} else {
			rig_add_plane(&rig, params, &plane);
		}
		assert_failed(&rig, params, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_ALREADY_USED);
		close(fd);
	}
}

struct mistake {
	struct rig_plane plane;
	int32_t width, height;
	uint32_t format, flags;
	uint32_t code;
};

#define ERROR(name) ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_##name

static void buffer_is_refused_when_it_does_not_fit(void **state) {
	(void)state;
	static const struct mistake mistakes[] = {
		{ { .index = 1, .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0,
			ERROR(INCOMPLETE) },
		{ { .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_NV12, 0, ERROR(INVALID_FORMAT) },
		{ { .stride = STRIDE }, WIDTH, HEIGHT, WL_SHM_FORMAT_ARGB8888, 0, ERROR(INVALID_FORMAT) },
		{ { .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_BGRA8888, 0, ERROR(INVALID_FORMAT) },
		{ { .stride = STRIDE, .modifier = DRM_FORMAT_MOD_INVALID }, WIDTH, HEIGHT,
			DRM_FORMAT_XRGB8888, 0, ERROR(INVALID_FORMAT) },
		{ { .stride = STRIDE, .modifier = UINT64_C(1) << 32 }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0,
			ERROR(INVALID_FORMAT) },
		{ { .stride = STRIDE }, 0, HEIGHT, DRM_FORMAT_XRGB8888, 0, ERROR(INVALID_DIMENSIONS) },
		{ { .stride = STRIDE }, WIDTH, -1, DRM_FORMAT_XRGB8888, 0, ERROR(INVALID_DIMENSIONS) },
		{ { .stride = STRIDE - 1 }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0, ERROR(OUT_OF_BOUNDS) },
		{ { .stride = 0 }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0, ERROR(OUT_OF_BOUNDS) },
		{ { .stride = UINT32_MAX }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0, ERROR(OUT_OF_BOUNDS) },
		{ { .stride = STRIDE }, WIDTH, 257, DRM_FORMAT_XRGB8888, 0, ERROR(OUT_OF_BOUNDS) },
		{ { .stride = STRIDE, .offset = SIZE - 1 }, WIDTH, 1, DRM_FORMAT_XRGB8888, 0,
			ERROR(OUT_OF_BOUNDS) },
		{ { .stride = STRIDE, .offset = UINT32_MAX }, WIDTH, 1, DRM_FORMAT_XRGB8888, 0,
			ERROR(OUT_OF_BOUNDS) },
		{ { .stride = 1 << 30 }, WIDTH, 1 << 30, DRM_FORMAT_XRGB8888, 0, ERROR(OUT_OF_BOUNDS) },
		{ { .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 1, ERROR(INVALID_WL_BUFFER) },
	};
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const struct mistake *mistake = &mistakes[i];
		struct rig rig;
		rig_start_with_dmabufs(&rig, i % 2 == 0 ? &copied : &passed);
		struct rig_plane plane = mistake->plane;
		plane.fd = rig_make_memory(SIZE);
		uint32_t params = rig_create_params(&rig);
		rig_add_plane(&rig, params, &plane);
		rig_send(&rig, params, CREATE_IMMED, rig.next_id++, (uint32_t)mistake->width,
			(uint32_t)mistake->height, mistake->format, mistake->flags);
		assert_failed(&rig, params, (int)mistake->code);
		close(plane.fd);
	}
}

static void second_plane_is_refused(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	uint32_t params = rig_create_params(&rig);
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .stride = STRIDE });
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .index = 1, .stride = STRIDE });
	rig_create_immed(&rig, params, WIDTH, HEIGHT);
	assert_failed(&rig, params, ERROR(INVALID_FORMAT));
	close(fd);
}

static void buffer_is_refused_when_its_fd_is_no_memory(void **state) {
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	int bad[] = { fds[0], fds[1], open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		open("/dev/null", O_RDWR | O_CLOEXEC), rig_make_memory(0) };
	for (size_t i = 0; i < 5; i++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &copied);
		uint32_t params = rig_create_params(&rig);
		rig_add_plane(&rig, params, &(struct rig_plane){ .fd = bad[i], .stride = STRIDE });
		rig_create_immed(&rig, params, WIDTH, HEIGHT);
		assert_failed(&rig, params, ERROR(INVALID_WL_BUFFER));
		close(bad[i]);
	}
}

static void create(struct rig *rig, uint32_t params, const struct mistake *mistake) {
	rig_send(rig, params, CREATE, (uint32_t)mistake->width, (uint32_t)mistake->height, mistake->format,
		mistake->flags);
	rig_settle(rig);
}

/* What create_immed is told of at once, create is, too. */
static void buffer_of_create_is_refused_when_it_does_not_fit(void **state) {
	(void)state;
	static const struct mistake mistakes[] = {
		{ { .index = 1, .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0,
			ERROR(INCOMPLETE) },
		{ { .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_NV12, 0, ERROR(INVALID_FORMAT) },
		{ { .stride = STRIDE }, 0, HEIGHT, DRM_FORMAT_XRGB8888, 0, ERROR(INVALID_DIMENSIONS) },
		{ { .stride = STRIDE }, WIDTH, 257, DRM_FORMAT_XRGB8888, 0, ERROR(OUT_OF_BOUNDS) },
		{ { .stride = 0 }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 1, ERROR(OUT_OF_BOUNDS) },
	};
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &copied);
		struct rig_plane plane = mistakes[i].plane;
		plane.fd = rig_make_memory(SIZE);
		uint32_t params = rig_create_params(&rig);
		rig_add_plane(&rig, params, &plane);
		create(&rig, params, &mistakes[i]);
		assert_null(rig_next_event(&rig, NULL, params, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED));
		assert_failed(&rig, params, (int)mistakes[i].code);
		close(plane.fd);
	}
}

static void create_fails_when_the_dma_buf_cannot_be_used(void **state) {
	(void)state;
	const struct mistake good = { { .stride = STRIDE }, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0, 0 };
	struct mistake with_flags = good;
	with_flags.flags = 1;
	for (int is_file = 0; is_file < 2; is_file++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &copied);
		int fd = is_file ? rig_make_memory(SIZE) : open("/dev/null", O_RDWR | O_CLOEXEC);
		uint32_t params = rig_create_params(&rig);
		rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .stride = STRIDE });
		create(&rig, params, is_file ? &with_flags : &good);
		assert_non_null(rig_next_event(&rig, NULL, params, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED));
		assert_false(rig.has_ended);
		create(&rig, params, &good);
		assert_failed(&rig, params, ERROR(ALREADY_USED));
		close(fd);
	}
}

static void dma_bufs_are_refused_when_there_are_too_many(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &copied);
	int fd = rig_make_memory(SIZE);
	rig_create_dmabuf(&rig, fd, 0);
	rig.client->shm->pool_count += NEEP_WL_POOLS_MAX - 1;
	uint32_t params = rig_create_params(&rig);
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .stride = STRIDE });
	rig_create_immed(&rig, params, WIDTH, HEIGHT);
	assert_failed(&rig, params, ERROR(INVALID_WL_BUFFER));
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(global_is_offered_when_the_compositor_has_none),
		fd_checked_test(global_is_offered_when_the_compositors_is_of_no_use),
		fd_checked_test(global_is_the_compositors_when_it_takes_dma_bufs),
		fd_checked_test(global_is_not_offered_when_nobody_could_use_it),
		fd_checked_test(each_registry_announces_the_global),
		fd_checked_test(binding_is_refused_when_it_is_of_another_interface_or_version),
		fd_checked_test(clients_of_version_3_hear_modifiers),
		fd_checked_test(feedback_names_formats_and_the_device),
		fd_checked_test(buffer_is_mirrored_when_the_host_has_no_file_of_it),
		fd_checked_test(only_damage_is_copied),
		fd_checked_test(buffer_is_passed_when_the_host_has_its_memory),
		fd_checked_test(buffer_may_go_at_any_time),
		fd_checked_test(client_ends_when_it_attaches_what_it_has_destroyed),
		fd_checked_test(client_ends_when_it_has_cut_its_memory),
		fd_checked_test(client_is_told_when_the_compositor_has_deleted_the_proxys_wl_shm),
		fd_checked_test(commit_waits_until_the_buffer_is_drawn),
		fd_checked_test(commit_does_not_wait_for_ever),
		fd_checked_test(events_come_while_a_commit_waits),
		fd_checked_test(client_may_be_ended_while_its_commit_waits),
		fd_checked_test(plane_is_refused_when_it_is_none),
		fd_checked_test(params_are_refused_when_they_are_used_twice),
		fd_checked_test(buffer_is_refused_when_it_does_not_fit),
		fd_checked_test(second_plane_is_refused),
		fd_checked_test(buffer_is_refused_when_its_fd_is_no_memory),
		fd_checked_test(buffer_of_create_is_refused_when_it_does_not_fit),
		fd_checked_test(create_fails_when_the_dma_buf_cannot_be_used),
		fd_checked_test(dma_bufs_are_refused_when_there_are_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
