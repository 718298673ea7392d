/* wl_shm, pools and buffers: what the compositor is told, and what clients are told who do wrong. */
#include <drm_fourcc.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/shm.h"
#include "wayland/wayland-protocol.h"
#include "wayland_proxy/compositor.h"

#define SIZE 65536

static int make_file(size_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static uint32_t make_pool(struct rig *rig) {
	int fd = make_file(SIZE);
	uint32_t pool = rig_create_pool(rig, fd, SIZE);
	close(fd);
	return pool;
}

static uint32_t start_with_pool(struct rig *rig) {
	rig_start(rig);
	return make_pool(rig);
}

static void assert_failed(struct rig *rig, uint32_t wanted_id, int wanted_code) {
	rig_settle(rig);
	uint32_t id = 0;
	assert_int_equal(rig_error(rig, &id), wanted_code);
	assert_int_equal(id, wanted_id);
	assert_true(rig->has_ended);
	rig_stop(rig);
}

/* ---- what the compositor hears ---- */

static void compositor_hears_of_a_pool_when_a_buffer_of_it_is_attached(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){
			      .pool = pool, .offset = 4096, .width = 10, .height = 20, .stride = 64 });
	uint32_t surface = rig_create_surface(&rig);
	rig_settle(&rig);
	assert_int_equal(rig.compositor->pools, 0);
	rig_attach(&rig, surface, buffer);
	rig_settle(&rig);
	assert_int_equal(rig.compositor->pools, 1);
	const struct thing *thing = rig_thing(&rig, buffer);
	assert_ptr_equal(thing->interface, &wl_buffer_interface);
	assert_int_equal(thing->offset, 0);
	assert_int_equal(thing->width, 10);
	assert_int_equal(thing->height, 20);
	assert_int_equal(thing->stride, 64);
	assert_int_equal(thing->format, WL_SHM_FORMAT_ARGB8888);
	rig_stop(&rig);
}

static void objects_that_the_compositor_never_had_are_deleted_at_once(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){ .pool = pool, .width = 1, .height = 1, .stride = 4 });
	rig_destroy(&rig, pool, 1);
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, pool), 1);
	assert_int_equal(rig_deleted(&rig, buffer), 1);
	assert_int_equal(rig.client->shm->pool_count, 0);
	// Their ids may be used again.
	rig.next_id = pool;
	assert_int_equal(make_pool(&rig), pool);
	rig_settle(&rig);
	assert_false(rig.has_ended);
	rig_stop(&rig);
}

static void buffer_outlives_its_pool(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){ .pool = pool, .width = 8, .height = 8, .stride = 32 });
	rig_destroy(&rig, pool, 1);
	rig_attach(&rig, surface, buffer);
	rig_commit(&rig, surface);
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, buffer), 1);
	assert_false(rig.has_ended);
	rig_stop(&rig);
}

static void pool_is_passed_on_when_the_host_takes_its_fd(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	rig.compositor->passes_fds = true;
	uint32_t pool = make_pool(&rig), surface = rig_create_surface(&rig);
	uint32_t buffer = rig_create_buffer(&rig,
		&(struct buffer_params){ .pool = pool, .offset = 64, .width = 8, .height = 8, .stride = 32 });
	rig_send(&rig, pool, 2, 2 * SIZE);
	rig_attach(&rig, surface, buffer);
	rig_damage(&rig, surface, 0, 0, 8, 8);
	rig_commit(&rig, surface);
	rig_settle(&rig);
	assert_true(rig_thing(&rig, pool)->pool_fd >= 0);
	assert_int_equal(rig_thing(&rig, buffer)->offset, 64);
	assert_int_equal(rig.compositor->allocations, 0);
	assert_int_equal(rig.client->shm->copied_bytes, 0);
	rig_destroy(&rig, pool, 1);
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, pool), 1);
	assert_int_equal(rig_deleted(&rig, buffer), 1);
	rig_stop(&rig);
}

/* The compositor has the client's file, and hears of all that happens to the pool. */
static void pool_is_passed_on_when_the_host_imports_its_fd(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	rig.compositor->imports_fds = true;
	uint32_t pool = make_pool(&rig), surface = rig_create_surface(&rig);
	uint32_t first = rig_create_buffer(&rig,
		&(struct buffer_params){ .pool = pool, .offset = 64, .width = 8, .height = 8, .stride = 32 });
	rig_send(&rig, pool, 2, 2 * SIZE);
	rig_settle(&rig);
	assert_int_equal(rig_thing(&rig, pool)->memory->refs, 2); // of the pool and of the buffer
	assert_int_equal(rig_thing(&rig, first)->offset, 64);
	assert_int_equal(rig.compositor->resizes, 1);
	rig_attach(&rig, surface, first);
	rig_damage(&rig, surface, 0, 0, 8, 8);
	rig_commit(&rig, surface);
	rig_destroy(&rig, pool, 1);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, pool), 1);
	assert_int_equal(rig_thing(&rig, surface)->current, rig_host_id(&rig, first));
	assert_int_equal(rig.compositor->memories, 1);
	rig_destroy(&rig, first, 0);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, first), 1);
	assert_int_equal(rig.compositor->memories, 0);
	assert_int_equal(rig.compositor->allocations, 0);
	assert_true(rig.client->shm == NULL || rig.client->shm->copied_bytes == 0);
	/* The client goes with another one. */
	make_pool(&rig);
	rig_settle(&rig);
	rig_stop(&rig);
}

static void pools_are_copied_where_there_is_no_more_to_import(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	rig.compositor->imports_fds = true;
	uint32_t passed = make_pool(&rig), surface = rig_create_surface(&rig);
	rig_settle(&rig);
	rig.compositor->imports_fds = false;
	uint32_t kept = make_pool(&rig);
	const uint32_t pools[] = { passed, kept, passed, kept };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(pools); i++) {
		uint32_t buffer = rig_create_buffer(&rig,
			&(struct buffer_params){ .pool = pools[i], .width = 8, .height = 8, .stride = 32 });
		rig_attach(&rig, surface, buffer);
		rig_damage(&rig, surface, 0, 0, 8, 8);
		rig_commit(&rig, surface);
	}
	rig_settle(&rig);
	assert_int_equal(rig.client->shm->copied_bytes, 2 * 8 * 32);
	rig_stop(&rig);
}

static void format_is_told_only_when_it_can_be_copied(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	uint32_t shm = rig_host_id(&rig, SHM);
	rig.event_len = 0;
	rig_event(&rig, shm, WL_SHM_FORMAT, -1, 1, (uint32_t[]){ WL_SHM_FORMAT_XRGB8888 });
	rig_event(&rig, shm, WL_SHM_FORMAT, -1, 1, (uint32_t[]){ DRM_FORMAT_YUV420_8BIT });
	rig_event(&rig, shm, WL_SHM_FORMAT, -1, 1, (uint32_t[]){ DRM_FORMAT_RGB565 });
	assert_int_equal(rig.event_len, 2 * 12);
	rig_stop(&rig);
}

/* Tables of old wayland-protocols lack the request, so the handler is called by hand. */
static void pools_are_made_after_the_client_has_released_its_wl_shm(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){ .pool = pool, .width = 8, .height = 8, .stride = 32 });
	rig_settle(&rig);
	struct neep_wl_call release = {
		.client = rig.client,
		.object = neep_wl_objects_by_client(&rig.client->objects, SHM),
	};
	assert_int_equal(neep_wl_shm_handlers.requests[1](&release), NEEP_WL_DONE);
	rig_settle(&rig);
	assert_int_equal(rig_deleted(&rig, SHM), 1);
	assert_null(neep_wl_objects_by_client(&rig.client->objects, SHM));
	// What the compositor says of it is for nobody.
	rig.event_len = 0;
	rig_event(
		&rig, release.object->host_id, WL_SHM_FORMAT, -1, 1, (uint32_t[]){ WL_SHM_FORMAT_XRGB8888 });
	assert_int_equal(rig.event_len, 0);
	rig_attach(&rig, surface, buffer);
	rig_commit(&rig, surface);
	rig_settle(&rig);
	assert_false(rig.has_ended);
	assert_int_equal(rig.compositor->pools, 1);
	rig_stop(&rig);
}

/* ---- mirrors ---- */

static uint32_t show(struct rig *rig, uint32_t surface, uint32_t pool, int32_t width) {
	uint32_t buffer = rig_create_buffer(rig,
		&(struct buffer_params){ .pool = pool, .width = width, .height = 100, .stride = width * 4 });
	rig_attach(rig, surface, buffer);
	rig_commit(rig, surface);
	rig_settle(rig);
	return buffer;
}

static void mirror_is_used_again_when_the_compositor_has_released_it(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	for (int i = 0; i < 20; i++) {
		uint32_t buffer = show(&rig, surface, pool, 100 + i % 3);
		rig_release(&rig, rig_host_id(&rig, buffer));
		rig_destroy(&rig, buffer, 0);
		rig_settle(&rig);
	}
	assert_int_equal(rig.compositor->allocations, 1);
	assert_int_equal(rig.compositor->pools, 1);
	rig_stop(&rig);
}

static void mirror_is_not_used_again_when_the_compositor_may_read_it(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	for (int i = 0; i < 20; i++) {
		rig_destroy(&rig, show(&rig, surface, pool, 100), 0);
		rig_settle(&rig);
	}
	assert_int_equal(rig.compositor->allocations, 20);
	assert_int_equal(rig.compositor->memories, 0);
	rig_stop(&rig);
}

static void spare_mirrors_are_few(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig), buffers[10];
	for (int i = 0; i < 10; i++) {
		buffers[i] = show(&rig, surface, pool, 100);
	}
	assert_int_equal(rig.compositor->memories, 10);
	for (int i = 0; i < 10; i++) {
		rig_release(&rig, rig_host_id(&rig, buffers[i]));
		rig_destroy(&rig, buffers[i], 0);
	}
	rig_settle(&rig);
	assert_int_equal(rig.compositor->memories, NEEP_WL_SPARE_MAX);
	rig_stop(&rig);
}

static void spare_mirrors_go_when_time_passes(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	uint32_t buffer = show(&rig, surface, pool, 100);
	rig_release(&rig, rig_host_id(&rig, buffer));
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_int_equal(rig.compositor->memories, 1);
	neep_timer_arm(rig.loop, &rig.client->shm->mirrors.expiry, 0);
	rig_settle(&rig);
	assert_int_equal(rig.compositor->memories, 0);
	show(&rig, surface, pool, 100);
	assert_int_equal(rig.compositor->allocations, 2);
	rig_stop(&rig);
}

static void client_is_told_when_the_host_has_no_memory(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	rig.compositor->has_no_memory = true;
	uint32_t pool = make_pool(&rig), surface = rig_create_surface(&rig);
	show(&rig, surface, pool, 10);
	assert_failed(&rig, DISPLAY, WL_DISPLAY_ERROR_NO_MEMORY);
}

static void client_is_told_when_the_compositor_has_deleted_what_pools_are_made_with(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	rig_settle(&rig);
	rig_event(&rig, 1, WL_DISPLAY_DELETE_ID, -1, 1, (uint32_t[]){ rig_host_id(&rig, SHM) });
	show(&rig, surface, pool, 10);
	assert_failed(&rig, DISPLAY, WL_DISPLAY_ERROR_NO_MEMORY);
}

static void mirror_goes_when_the_compositor_has_deleted_its_pool(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig), surface = rig_create_surface(&rig);
	uint32_t buffer = show(&rig, surface, pool, 10);
	uint32_t pool_id = 0;
	while (rig.compositor->things[++pool_id].interface != &wl_shm_pool_interface) {
	}
	rig_event(&rig, 1, WL_DISPLAY_DELETE_ID, -1, 1, &pool_id);
	rig_destroy(&rig, buffer, 0);
	rig_settle(&rig);
	assert_false(rig.has_ended);
	assert_int_equal(rig_deleted(&rig, buffer), 1);
	rig_stop(&rig);
}

/* ---- bad pools ---- */

static void pool_is_refused_when_its_size_is_not_positive(void **state) {
	(void)state;
	static const int32_t sizes[] = { 0, -1, INT_MIN };
	for (size_t i = 0; i < 3; i++) {
		struct rig rig;
		rig_start(&rig);
		int fd = make_file(SIZE);
		rig_create_pool(&rig, fd, sizes[i]);
		close(fd);
		assert_failed(&rig, SHM, WL_SHM_ERROR_INVALID_STRIDE);
	}
}

static void pool_is_refused_when_its_fd_cannot_be_mapped(void **state) {
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	int bad[] = { fds[0], fds[1], open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) };
	for (size_t i = 0; i < 4; i++) {
		struct rig rig;
		rig_start(&rig);
		rig_create_pool(&rig, bad[i], SIZE);
		assert_failed(&rig, SHM, WL_SHM_ERROR_INVALID_FD);
		close(bad[i]);
	}
}

static void pool_is_refused_when_there_are_too_many(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	for (int i = 0; i < NEEP_WL_POOLS_MAX; i++) {
		make_pool(&rig);
		if (i % 16 == 0) {
			rig_settle(&rig);
		}
	}
	rig_settle(&rig);
	assert_false(rig.has_ended);
	make_pool(&rig);
	assert_failed(&rig, DISPLAY, WL_DISPLAY_ERROR_NO_MEMORY);
}

static void buffer_is_refused_when_it_is_not_within_its_pool(void **state) {
	(void)state;
	static const struct buffer_params bad[] = {
		{ .offset = -1, .width = 1, .height = 1, .stride = 4 },
		{ .offset = SIZE, .width = 1, .height = 1, .stride = 4 },
		{ .offset = SIZE - 3, .width = 1, .height = 1, .stride = 4 },
		{ .offset = INT_MAX, .width = 1, .height = 1, .stride = 4 },
		{ .width = 0, .height = 1, .stride = 4 },
		{ .width = 1, .height = -1, .stride = 4 },
		{ .width = 10, .height = 1, .stride = 39 },
		{ .width = 1, .height = 65537, .stride = 65536 },
		{ .width = 1, .height = 17, .stride = 4096 },
		{ .width = 256, .height = 256, .stride = 256, .format = DRM_FORMAT_NV12 },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig rig;
		rig_start(&rig);
		struct buffer_params params = bad[i];
		params.pool = make_pool(&rig);
		rig_create_buffer(&rig, &params);
		assert_failed(&rig, params.pool, WL_SHM_ERROR_INVALID_STRIDE);
	}
}

static void buffer_is_refused_when_its_format_is_unknown(void **state) {
	(void)state;
	struct rig rig;
	uint32_t pool = start_with_pool(&rig);
	rig_create_buffer(&rig,
		&(struct buffer_params){ .pool = pool, .width = 1, .height = 1, .stride = 4, .format = 77 });
	assert_failed(&rig, pool, WL_SHM_ERROR_INVALID_FORMAT);
}

static void resize_makes_room_and_never_takes_it(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	int fd = make_file(SIZE);
	uint32_t pool = rig_create_pool(&rig, fd, SIZE), surface = rig_create_surface(&rig);
	assert_int_equal(ftruncate(fd, 2 * SIZE), 0);
	assert_int_equal(pwrite(fd, "x", 1, SIZE), 1);
	close(fd);
	rig_send(&rig, pool, 2, 2 * SIZE);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){
			      .pool = pool, .offset = SIZE, .width = 16, .height = 16, .stride = 64 });
	rig_attach(&rig, surface, buffer);
	rig_commit(&rig, surface);
	rig_settle(&rig);
	assert_int_equal(rig_thing(&rig, buffer)->memory->data[0], 'x');
	rig_send(&rig, pool, 2, SIZE);
	assert_failed(&rig, pool, WL_SHM_ERROR_INVALID_FD);
}

static void client_ends_when_it_has_cut_its_file(void **state) {
	(void)state;
	struct rig rig, other;
	rig_start(&rig);
	rig_start(&other);
	int fd = make_file(SIZE);
	uint32_t pool = rig_create_pool(&rig, fd, SIZE), surface = rig_create_surface(&rig);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){ .pool = pool, .width = 128, .height = 128, .stride = 512 });
	rig_settle(&rig);
	assert_int_equal(ftruncate(fd, 4096), 0);
	close(fd);
	rig_attach(&rig, surface, buffer);
	rig_commit(&rig, surface);
	assert_failed(&rig, buffer, WL_SHM_ERROR_INVALID_FD);
	pool = make_pool(&other);
	surface = rig_create_surface(&other);
	show(&other, surface, pool, 100);
	assert_false(other.has_ended);
	rig_stop(&other);
}

static void pool_may_be_larger_than_its_file_while_that_part_is_not_read(void **state) {
	(void)state;
	struct rig rig;
	rig_start(&rig);
	int fd = make_file(4096);
	uint32_t pool = rig_create_pool(&rig, fd, SIZE), surface = rig_create_surface(&rig);
	close(fd);
	uint32_t buffer = rig_create_buffer(
		&rig, &(struct buffer_params){ .pool = pool, .width = 32, .height = 32, .stride = 128 });
	rig_attach(&rig, surface, buffer);
	rig_commit(&rig, surface);
	rig_settle(&rig);
	assert_false(rig.has_ended);
	rig_stop(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(compositor_hears_of_a_pool_when_a_buffer_of_it_is_attached),
		fd_checked_test(objects_that_the_compositor_never_had_are_deleted_at_once),
		fd_checked_test(buffer_outlives_its_pool),
		fd_checked_test(pool_is_passed_on_when_the_host_takes_its_fd),
		fd_checked_test(pool_is_passed_on_when_the_host_imports_its_fd),
		fd_checked_test(pools_are_copied_where_there_is_no_more_to_import),
		fd_checked_test(format_is_told_only_when_it_can_be_copied),
		fd_checked_test(pools_are_made_after_the_client_has_released_its_wl_shm),
		fd_checked_test(mirror_is_used_again_when_the_compositor_has_released_it),
		fd_checked_test(mirror_is_not_used_again_when_the_compositor_may_read_it),
		fd_checked_test(spare_mirrors_are_few),
		fd_checked_test(spare_mirrors_go_when_time_passes),
		fd_checked_test(client_is_told_when_the_host_has_no_memory),
		fd_checked_test(client_is_told_when_the_compositor_has_deleted_what_pools_are_made_with),
		fd_checked_test(mirror_goes_when_the_compositor_has_deleted_its_pool),
		fd_checked_test(pool_is_refused_when_its_size_is_not_positive),
		fd_checked_test(pool_is_refused_when_its_fd_cannot_be_mapped),
		fd_checked_test(pool_is_refused_when_there_are_too_many),
		fd_checked_test(buffer_is_refused_when_it_is_not_within_its_pool),
		fd_checked_test(buffer_is_refused_when_its_format_is_unknown),
		fd_checked_test(resize_makes_room_and_never_takes_it),
		fd_checked_test(client_ends_when_it_has_cut_its_file),
		fd_checked_test(pool_may_be_larger_than_its_file_while_that_part_is_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
