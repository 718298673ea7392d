/* Buffers of the compositor's own linux-dmabuf: which are asked for, and what becomes of them after each answer. */
#include <drm_fourcc.h>
#include <string.h>
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

static const struct rig_dmabufs imported = { .render_device = DEVICE,
	.are_memory = true,
	.has_global = true,
	.are_sent = true,
	.import = IMPORT_CREATED };
static const struct rig_dmabufs refused = { .render_device = DEVICE,
	.are_memory = true,
	.has_global = true,
	.are_sent = true,
	.import = IMPORT_FAILED };
static const struct rig_dmabufs asked = { .render_device = DEVICE,
	.are_memory = true,
	.has_global = true,
	.are_sent = true,
	.import = IMPORT_NO_ANSWER };

/* Things of this kind that the compositor has. */
static size_t count_things(const struct rig *rig, const struct wl_interface *interface) {
	size_t count = 0;
	for (size_t i = 0; i < THINGS; i++) {
		count += rig->compositor->things[i].interface == interface;
	}
	for (size_t i = 0; i < SERVERS_THINGS; i++) {
		count += rig->compositor->servers_things[i].interface == interface;
	}
	return count;
}

static void answer(struct rig *rig, uint32_t opcode, size_t count, uint32_t word) {
	rig_event(rig, rig->compositor->import_params, opcode, -1, count, &word);
}

static void buffer_is_the_compositors_when_it_imports(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &imported);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 4096), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	rig_show(&rig, surface, buffer);
	const struct thing *thing = rig_thing(&rig, buffer);
	assert_true(rig_host_id(&rig, buffer) >= NEEP_WL_SERVER_IDS);
	assert_int_equal(rig_thing(&rig, surface)->current, rig_host_id(&rig, buffer));
	assert_int_equal(rig_thing(&rig, surface)->commits, 2);
	assert_int_equal(thing->format, DRM_FORMAT_XRGB8888);
	assert_int_equal(thing->width, RIG_WIDTH);
	assert_int_equal(thing->height, RIG_HEIGHT);
	assert_int_equal(thing->offset, 4096);
	assert_int_equal(thing->stride, RIG_STRIDE);
	assert_int_equal(rig.compositor->pools, 0);
	assert_int_equal(rig.client->shm->copied_bytes, 0);
	assert_int_equal(count_things(&rig, &zwp_linux_buffer_params_v1_interface), 0);
	rig_stop(&rig);
	close(fd);
}

static void imported_buffer_is_released_and_goes(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &imported);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	uint32_t host_id = rig_host_id(&rig, buffer);
	rig_release(&rig, host_id);
	assert_non_null(rig_next_event(&rig, NULL, buffer, WL_BUFFER_RELEASE));
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, buffer), 1);
	assert_int_equal(count_things(&rig, &wl_buffer_interface), 0);
	// What the compositor says of it until it knows is for nobody.
	rig_event(&rig, host_id, WL_BUFFER_RELEASE, -1, 0, NULL);
	assert_false(rig.has_ended);
	// It may use its id again.
	rig.compositor->servers_made = 0;
	uint32_t next = rig_create_dmabuf(&rig, fd, 0);
	rig_show(&rig, surface, next);
	assert_int_equal(rig_host_id(&rig, next), host_id);
	assert_int_equal(rig.client->shm->pool_count, 1);
	rig_stop(&rig);
	close(fd);
}

static void pool_is_made_when_the_compositor_refuses(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &refused);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 4096), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	assert_int_equal(rig.compositor->pools, 1);
	assert_int_equal(rig_thing(&rig, buffer)->offset, 4096);
	assert_int_equal(rig_thing(&rig, surface)->commits, 1);
	// Nor is it asked for another one.
	rig_show(&rig, surface, rig_create_dmabuf(&rig, fd, 0));
	assert_int_equal(rig.compositor->imports, 1);
	assert_int_equal(rig.compositor->pools, 2);
	rig_stop(&rig);
	close(fd);
}

static void attach_waits_for_the_answer(void **state) {
	(void)state;
	for (int is_created = 0; is_created < 2; is_created++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &asked);
		int fd = rig_make_memory(SIZE);
		uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
		rig_show(&rig, surface, buffer);
		uint32_t late = rig_create_surface(&rig);
		rig_settle(&rig);
		// What is of other things goes on.
		assert_int_equal(rig_thing(&rig, surface)->commits, 0);
		assert_int_not_equal(rig_host_id(&rig, late), 0);
		if (is_created) {
			answer(&rig, ZWP_LINUX_BUFFER_PARAMS_V1_CREATED, 1, rig_new_import(rig.compositor));
		} else {
			answer(&rig, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED, 0, 0);
		}
		assert_int_equal(rig_thing(&rig, surface)->commits, 1);
		assert_int_equal(rig_host_id(&rig, buffer) >= NEEP_WL_SERVER_IDS, is_created);
		assert_int_equal(rig_thing(&rig, late)->commits, 0);
		rig_stop(&rig);
		close(fd);
	}
}

static void buffer_may_go_before_the_answer(void **state) {
	(void)state;
	for (int is_created = 0; is_created < 2; is_created++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &asked);
		int fd = rig_make_memory(SIZE);
		uint32_t buffer = rig_create_dmabuf(&rig, fd, 0);
		close(fd);
		rig_destroy(&rig, buffer, 0);
		rig_settle(&rig);
		assert_int_equal(rig_deleted(&rig, buffer), 1);
		if (is_created) {
			answer(&rig, ZWP_LINUX_BUFFER_PARAMS_V1_CREATED, 1, rig_new_import(rig.compositor));
		} else {
			answer(&rig, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED, 0, 0);
		}
		assert_false(rig.has_ended);
		assert_int_equal(count_things(&rig, &wl_buffer_interface), 0);
		assert_int_equal(count_things(&rig, &zwp_linux_buffer_params_v1_interface), 0);
		assert_int_equal(rig.client->shm->pool_count, 0);
		rig_stop(&rig);
	}
}

static void compositor_may_end_before_it_answers(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &asked);
	int fd = rig_make_memory(SIZE);
	rig_show(&rig, rig_create_surface(&rig), rig_create_dmabuf(&rig, fd, 0));
	rig.compositor->base.listener->closed(rig.compositor->base.listener_data, NULL);
	rig_settle(&rig);
	assert_true(rig.has_ended);
	rig_stop(&rig);
	close(fd);
}

/* Not of other formats, not where memory is mapped here, and not by hosts or compositors that cannot. */
static void nothing_is_asked_for_that_cannot_be(void **state) {
	(void)state;
	static const struct rig_dmabufs cases[] = {
		{ .render_device = DEVICE, .are_memory = true, .has_global = true, .import = IMPORT_CREATED },
		{ .render_device = DEVICE, .are_memory = true, .are_sent = true, .import = IMPORT_CREATED },
	};
	int fd = rig_make_memory(SIZE);
	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &cases[i]);
		rig_show(&rig, rig_create_surface(&rig), rig_create_dmabuf(&rig, fd, 0));
		assert_int_equal(rig.compositor->imports, 0);
		assert_int_equal(rig.compositor->pools, 1);
		rig_stop(&rig);
	}
	struct rig rig;
	rig_start_with_dmabufs(&rig, &imported);
	uint32_t params = rig_create_params(&rig), buffer = rig.next_id++;
	rig_add_plane(&rig, params, &(struct rig_plane){ .fd = fd, .stride = RIG_STRIDE });
	rig_send(&rig, params, CREATE_IMMED, buffer, RIG_WIDTH, RIG_HEIGHT, DRM_FORMAT_ARGB8888, 0);
	rig_show(&rig, rig_create_surface(&rig), buffer);
	rig.compositor->passes_fds = false;
	rig_show(&rig, rig_create_surface(&rig), rig_create_dmabuf(&rig, fd, 0));
	assert_int_equal(rig.compositor->imports, 0);
	assert_int_equal(rig.compositor->pools, 2);
	rig_stop(&rig);
	close(fd);
}

static void compositor_that_says_nonsense_ends_its_client(void **state) {
	(void)state;
	static const struct {
		uint32_t opcode, id;
	} bad[] = {
		{ ZWP_LINUX_BUFFER_PARAMS_V1_CREATED, 0 },
		{ ZWP_LINUX_BUFFER_PARAMS_V1_CREATED, 77 },
	};
	int fd = rig_make_memory(SIZE);
	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		rig_start_with_dmabufs(&rig, &asked);
		rig_create_dmabuf(&rig, fd, 0);
		answer(&rig, bad[i].opcode, 1, bad[i].id);
		assert_true(rig.has_ended);
		rig_stop(&rig);
	}
	close(fd);
}

static void compositor_that_answers_twice_ends_its_client(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &asked);
	int fd = rig_make_memory(SIZE);
	rig_create_dmabuf(&rig, fd, 0);
	/* Both before the params can be gone. */
	uint32_t params = rig.compositor->import_params;
	struct neep_wl_writer writer;
	uint8_t twice[16];
	neep_wl_writer_begin(&writer, params, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED);
	int size = neep_wl_writer_end(&writer);
	memcpy(twice, writer.data, (size_t)size);
	memcpy(twice + size, writer.data, (size_t)size);
	rig.compositor->base.listener->received(
		rig.compositor->base.listener_data, twice, 2 * (size_t)size, NULL, 0);
	rig_settle(&rig);
	assert_true(rig.has_ended);
	rig_stop(&rig);
	close(fd);
}

static void delete (struct rig *rig, uint32_t host_id) {
	struct thing *thing = &rig->compositor->things[host_id];
	if (thing->pool_fd >= 0) {
		close(thing->pool_fd);
	}
	*thing = (struct thing){ .pool_fd = -1 };
	rig_event(rig, 1, WL_DISPLAY_DELETE_ID, -1, 1, &host_id);
}

/* Ids that are not its to delete; a wait for what is gone would never end. */
static void compositor_that_deletes_the_params_has_refused(void **state) {
	(void)state;
	struct rig rig;
	rig_start_with_dmabufs(&rig, &asked);
	int fd = rig_make_memory(SIZE);
	uint32_t buffer = rig_create_dmabuf(&rig, fd, 0), surface = rig_create_surface(&rig);
	rig_show(&rig, surface, buffer);
	delete (&rig, rig.compositor->import_params);
	assert_int_equal(rig_thing(&rig, surface)->commits, 1);
	assert_int_equal(rig.compositor->pools, 1);
	delete (&rig, rig.client->offer->imports.dmabuf->host_id);
	assert_null(rig.client->offer->imports.dmabuf);
	rig_show(&rig, surface, rig_create_dmabuf(&rig, fd, 0));
	assert_int_equal(rig.compositor->imports, 1);
	rig_stop(&rig);
	close(fd);
}

static void client_does_not_see_the_compositors_global(void **state) {
	(void)state;
	struct rig rig;
	uint32_t id;
	rig_start_with_dmabufs(&rig, &imported);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, REGISTRY, 0);
	neep_wl_writer_word(&writer, rig.client->dmabuf_name);
	neep_wl_writer_string(&writer, "zwp_linux_dmabuf_v1");
	neep_wl_writer_word(&writer, 3);
	neep_wl_writer_word(&writer, rig.next_id++);
	int size = neep_wl_writer_end(&writer);
	assert_int_equal(rig.client->dmabuf_name, 3);
	assert_int_equal(write(rig.socket, writer.data, (size_t)size), size);
	rig_settle(&rig);
	assert_int_equal(rig_error(&rig, &id), WL_DISPLAY_ERROR_INVALID_OBJECT);
	rig_stop(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(buffer_is_the_compositors_when_it_imports),
		fd_checked_test(imported_buffer_is_released_and_goes),
		fd_checked_test(pool_is_made_when_the_compositor_refuses),
		fd_checked_test(attach_waits_for_the_answer),
		fd_checked_test(buffer_may_go_before_the_answer),
		fd_checked_test(compositor_may_end_before_it_answers),
		fd_checked_test(nothing_is_asked_for_that_cannot_be),
		fd_checked_test(compositor_that_says_nonsense_ends_its_client),
		fd_checked_test(compositor_that_answers_twice_ends_its_client),
		fd_checked_test(compositor_that_deletes_the_params_has_refused),
		fd_checked_test(client_does_not_see_the_compositors_global),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
