/* SEND of guest memory that is a file of its own, over the device process; and of guest memory that is not, or is no longer: then
 * nothing may be sent. */
#include <fcntl.h>
#include <linux/virtio_gpu.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/process.h"
#include "driver/frontend.h"
#include "driver/gpu.h"
#include "guest.h"
#include "rutabaga/api.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"

#define OK    VIRTIO_GPU_RESP_OK_NODATA
#define BAD   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define CTX   1
#define BLOB  100
#define SIZE  UINT64_C(250000)
#define SHARE VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE
/* A region of the test's own, where nothing else is. */
#define REGION_ADDR (UINT64_C(1) << 46)

static pid_t device;

struct world {
	struct guest guest;
	int listener;
	int compositor;
};

static int listen_at(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int setup(void **state) {
	static struct world world;
	folder_enter();
	fd_check_setup(state);
	world.listener = listen_at("w");
	device = guest_device_start("--wayland-socket-path w");
	guest_open(&world.guest, RUTABAGA_CHANNEL_TYPE_WAYLAND);
	world.compositor = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(world.compositor >= 0);
	*state = &world;
	return 0;
}

static int teardown(void **state) {
	struct world *world = *state;
	guest_close(&world->guest);
	close(world->compositor);
	close(world->listener);
	return guest_device_stop(state, device, 0);
}

static int file_of(uint64_t size, int seals) {
	int file = memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(file, (off_t)size), 0);
	assert_int_equal(fcntl(file, F_ADD_SEALS, seals), 0);
	return file;
}

static int create(struct world *world, uint32_t flags, uint64_t size, struct neep_guest_buffer *backing) {
	struct neep_cmd_blob blob = {
		.resource_id = BLOB,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.blob_flags = flags,
		.size = size,
		.backing = backing,
	};
	int result = neep_cmd_create_blob(world->guest.driver, &blob);
	return result == OK ? neep_cmd_ctx_attach_resource(world->guest.driver, CTX, BLOB) : result;
}

static int send_blob(struct world *world) {
	const struct guest_id id = { .id = BLOB, .type = NEEP_XD_ID_BLOB };
	return guest_try_send(&world->guest, "x", 1, &id, 1);
}

static void unref(struct world *world, struct neep_guest_buffer *backing) {
	assert_int_equal(neep_cmd_ctx_detach_resource(world->guest.driver, CTX, BLOB), OK);
	assert_int_equal(neep_cmd_unref(world->guest.driver, BLOB), OK);
	neep_driver_free(world->guest.driver, backing);
}

/* What comes to the compositor is one byte, with the file or (-1) with nothing. */
static void expect(struct world *world, char byte, int file) {
	struct neep_fds fds = { 0 };
	char got = 0;
	struct stat want, st;
	assert_int_equal(neep_recv(world->compositor, &got, 1, &fds), 1);
	assert_int_equal(got, byte);
	assert_int_equal(fds.count, file >= 0 ? 1 : 0);
	if (file >= 0) {
		assert_int_equal(fstat(file, &want), 0);
		assert_int_equal(fstat(fds.fd[0], &st), 0);
		assert_int_equal(st.st_ino, want.st_ino);
		assert_int_equal(st.st_dev, want.st_dev);
	}
	neep_fds_finish(&fds);
}

/* The connection goes on, and nothing was sent before. */
static void expect_nothing(struct world *world) {
	guest_send(&world->guest, "y", 1, NULL, 0);
	expect(world, 'y', -1);
}

static void file_of_the_guest_is_sent(void **state) {
	struct world *world = *state;
	int file = file_of(SIZE, F_SEAL_SHRINK);
	struct neep_guest_buffer backing;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(neep_driver_import(world->guest.driver, file, SIZE, &backing), 0);
		assert_int_equal(create(world, SHARE, SIZE, &backing), OK);
		assert_int_equal(send_blob(world), OK);
		assert_int_equal(send_blob(world), OK);
		unref(world, &backing);
		expect(world, 'x', file);
		expect(world, 'x', file);
	}
	close(file);
}

static void file_that_grows_later_is_still_sent(void **state) {
	struct world *world = *state;
	int file = file_of(SIZE, F_SEAL_SHRINK);
	struct neep_guest_buffer backing;
	assert_int_equal(neep_driver_import(world->guest.driver, file, SIZE, &backing), 0);
	assert_int_equal(ftruncate(file, 2 * (off_t)SIZE), 0);
	assert_int_equal(create(world, SHARE, SIZE, &backing), OK);
	assert_int_equal(send_blob(world), OK);
	expect(world, 'x', file);
	unref(world, &backing);
	close(file);
}

/* A blob of `size` bytes of a region of `region` bytes of a file. */
static void check_not_sent(
	struct world *world, int owned_file, uint64_t region, uint64_t size, uint32_t flags) {
	struct neep_guest_buffer backing;
	assert_int_equal(neep_driver_import(world->guest.driver, owned_file, region, &backing), 0);
	backing.first.len = size;
	assert_int_equal(create(world, flags, size, &backing), OK);
	assert_int_equal(send_blob(world), BAD);
	expect_nothing(world);
	unref(world, &backing);
	close(owned_file);
}

static void part_of_a_file_is_not_sent(void **state) {
	struct world *world = *state;
	check_not_sent(world, file_of(2 * SIZE, F_SEAL_SHRINK), SIZE, SIZE, SHARE);
	check_not_sent(world, file_of(SIZE, F_SEAL_SHRINK), SIZE, SIZE - 1, SHARE);
	check_not_sent(world, file_of(SIZE, F_SEAL_SHRINK), SIZE, 4096, SHARE);
	check_not_sent(world, file_of(SIZE, F_SEAL_SHRINK), SIZE - 1, SIZE - 1, SHARE);
}

static void file_that_may_shrink_is_not_sent(void **state) {
	check_not_sent(*state, file_of(SIZE, 0), SIZE, SIZE, SHARE);
	check_not_sent(*state, file_of(SIZE, F_SEAL_GROW), SIZE, SIZE, SHARE);
}

static void blob_that_is_not_shareable_is_not_sent(void **state) {
	check_not_sent(*state, file_of(SIZE, F_SEAL_SHRINK), SIZE, SIZE, VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE);
}

static void memory_of_the_guest_is_not_sent(void **state) {
	struct world *world = *state;
	struct neep_guest_buffer backing;
	assert_int_equal(neep_driver_alloc(world->guest.driver, SIZE, &backing), 0);
	assert_int_equal(create(world, SHARE, SIZE, &backing), OK);
	assert_int_equal(send_blob(world), BAD);
	expect_nothing(world);
	unref(world, &backing);
}

static void blob_of_two_files_is_not_sent(void **state) {
	struct world *world = *state;
	int file = file_of(8192, F_SEAL_SHRINK);
	struct neep_guest_buffer one, two;
	assert_int_equal(neep_driver_import(world->guest.driver, file, 8192, &one), 0);
	assert_int_equal(neep_driver_import(world->guest.driver, file, 8192, &two), 0);
	struct neep_guest_piece pieces[] = { one.first, two.first };
	struct neep_guest_buffer both = { .size = 16384, .pieces = pieces, .piece_count = 2 };
	assert_int_equal(create(world, SHARE, 16384, &both), OK);
	assert_int_equal(send_blob(world), BAD);
	/* One of them would be a blob of its own; as part of this one it is none. */
	expect_nothing(world);
	unref(world, &one);
	neep_driver_free(world->guest.driver, &two);
	close(file);
}

static void file_that_does_not_begin_with_the_region_is_not_sent(void **state) {
	struct world *world = *state;
	int file = file_of(8192, F_SEAL_SHRINK);
	struct neep_frontend *frontend = neep_driver_frontend(world->guest.driver);
	struct neep_vhost_user_region region = {
		.guest_addr = REGION_ADDR, .size = 4096, .user_addr = REGION_ADDR, .mmap_offset = 4096
	};
	struct neep_guest_buffer backing = {
		.size = 4096, .first = { .guest_addr = REGION_ADDR, .len = 4096 }, .piece_count = 1
	};
	assert_int_equal(neep_frontend_add_region(frontend, &region, file), 0);
	assert_int_equal(create(world, SHARE, 4096, &backing), OK);
	assert_int_equal(send_blob(world), BAD);
	expect_nothing(world);
	assert_int_equal(neep_frontend_remove_region(frontend, &region), 0);
	struct neep_guest_buffer none = { 0 };
	unref(world, &none);
	close(file);
}

static void file_that_the_guest_has_no_more_is_not_sent(void **state) {
	struct world *world = *state;
	int file = file_of(SIZE, F_SEAL_SHRINK);
	struct neep_guest_buffer backing;
	assert_int_equal(neep_driver_import(world->guest.driver, file, SIZE, &backing), 0);
	assert_int_equal(create(world, SHARE, SIZE, &backing), OK);
	neep_driver_free(world->guest.driver, &backing);
	assert_int_equal(send_blob(world), BAD);
	expect_nothing(world);
	unref(world, &backing);
	close(file);
}

static void file_that_backs_nothing_any_more_is_not_sent(void **state) {
	struct world *world = *state;
	int file = file_of(SIZE, F_SEAL_SHRINK);
	struct neep_guest_buffer backing;
	assert_int_equal(neep_driver_import(world->guest.driver, file, SIZE, &backing), 0);
	assert_int_equal(create(world, SHARE, SIZE, &backing), OK);
	assert_int_equal(neep_cmd_detach_backing(world->guest.driver, BLOB), OK);
	assert_int_equal(send_blob(world), BAD);
	expect_nothing(world);
	unref(world, &backing);
	close(file);
}

#define world_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		world_test(file_of_the_guest_is_sent),
		world_test(file_that_grows_later_is_still_sent),
		world_test(part_of_a_file_is_not_sent),
		world_test(file_that_may_shrink_is_not_sent),
		world_test(blob_that_is_not_shareable_is_not_sent),
		world_test(memory_of_the_guest_is_not_sent),
		world_test(blob_of_two_files_is_not_sent),
		world_test(file_that_does_not_begin_with_the_region_is_not_sent),
		world_test(file_that_the_guest_has_no_more_is_not_sent),
		world_test(file_that_backs_nothing_any_more_is_not_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
