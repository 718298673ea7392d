#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder.h"
#include "support/cmocka.h"
#include "util/fd.h"

static uint8_t pages[4][4096];

static int create_2d(struct recorder *r, uint32_t resource_id, uint32_t width, uint32_t height) {
	struct rutabaga_create_3d args = create_2d_args(1, width, height);
	return rutabaga_resource_create_3d(r->rutabaga, resource_id, &args);
}

static int attach(struct recorder *r, uint32_t resource_id, struct iovec *iov, size_t count) {
	struct rutabaga_iovecs iovecs = { iov, count };
	return rutabaga_resource_attach_backing(r->rutabaga, resource_id, &iovecs);
}

static struct neep_rutabaga_usage usage_of(struct recorder *r) {
	struct neep_rutabaga_usage usage;
	assert_int_equal(neep_rutabaga_get_usage(r->rutabaga, &usage), 0);
	return usage;
}

static int guest_blob(
	struct recorder *r, uint32_t resource_id, uint64_t size, struct iovec *iov, size_t count) {
	struct rutabaga_create_blob create = { .blob_mem = RUTABAGA_BLOB_MEM_GUEST, .size = size };
	struct rutabaga_iovecs iovecs = { iov, count };
	return rutabaga_resource_create_blob(r->rutabaga, 0, resource_id, &create, &iovecs, NULL);
}

static void ids_are_checked(void **state) {
	struct recorder *r = *state;
	assert_int_equal(create_2d(r, 0, 1, 1), -EINVAL);
	assert_int_equal(create_2d(r, 1, 1, 1), 0);
	assert_int_equal(create_2d(r, 1, 1, 1), -EEXIST);
	assert_int_equal(guest_blob(r, 1, 4096, NULL, 0), -EEXIST);
	assert_int_equal(guest_blob(r, 0, 4096, NULL, 0), -EINVAL);
	assert_int_equal(guest_blob(r, UINT32_MAX, 4096, NULL, 0), 0);
	assert_int_equal(create_2d(r, UINT32_MAX, 1, 1), -EEXIST);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 0), -ENOENT);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 2), -ENOENT);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), 0);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), -ENOENT);
	assert_int_equal(create_2d(r, 1, 1, 1), 0);
}

static void backing_is_attached_once(void **state) {
	struct recorder *r = *state;
	struct iovec iov = { pages, sizeof(pages) };
	assert_int_equal(attach(r, 1, &iov, 1), -ENOENT);
	assert_int_equal(create_2d(r, 1, 8, 8), 0);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 1), -EINVAL);
	assert_int_equal(attach(r, 1, &iov, 0), -EINVAL);
	assert_int_equal(attach(r, 1, NULL, 1), -EINVAL);
	assert_int_equal(attach(r, 1, &iov, 1), 0);
	assert_int_equal(attach(r, 1, &iov, 1), -EBUSY);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 1), 0);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 1), -EINVAL);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 2), -ENOENT);
	assert_int_equal(attach(r, 1, &iov, 1), 0);
	assert_int_equal(usage_of(r).backing_entries, 1);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), 0);
	assert_int_equal(usage_of(r).backing_entries, 0);
}

static void limits_refuse_and_recover(void **state) {
	struct recorder *r = *state;
	struct neep_rutabaga_limits limits = { .resources = 2,
		.backing_entries = 2,
		.total_entries = 3,
		.image_bytes = 100,
		.pending_fences = 1 };
	assert_int_equal(neep_rutabaga_set_limits(r->rutabaga, &limits), 0);
	assert_int_equal(create_2d(r, 1, 4, 4), 0);
	assert_int_equal(create_2d(r, 2, 4, 4), -ENOMEM);
	assert_int_equal(create_2d(r, 2, 3, 3), 0);
	assert_int_equal(usage_of(r).image_bytes, 100);
	assert_int_equal(create_2d(r, 3, 1, 1), -ENOMEM);
	struct iovec iov[] = { { pages[0], 1 }, { pages[1], 1 }, { pages[2], 1 } };
	assert_int_equal(attach(r, 1, iov, 3), -ENOMEM);
	assert_int_equal(attach(r, 1, iov, 2), 0);
	assert_int_equal(attach(r, 2, iov, 2), -ENOMEM);
	assert_int_equal(attach(r, 2, iov, 1), 0);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), 0);
	assert_int_equal(usage_of(r).image_bytes, 36);
	assert_int_equal(usage_of(r).backing_entries, 1);
	assert_int_equal(create_2d(r, 3, 4, 4), 0);
	assert_int_equal(neep_rutabaga_reset(r->rutabaga), 0);
	struct neep_rutabaga_usage none = { 0 }, usage = usage_of(r);
	assert_memory_equal(&usage, &none, sizeof(none));
}

static void many_resources_are_created_and_reset(void **state) {
	struct recorder *r = *state;
	for (uint32_t i = 1; i <= 20000; i++) {
		assert_int_equal(create_2d(r, i * 2654435761u, 1, 1), 0);
	}
	assert_int_equal(usage_of(r).resources, 20000);
	assert_int_equal(neep_rutabaga_reset(r->rutabaga), 0);
	assert_int_equal(usage_of(r).resources, 0);
}

static void info_describes_each_kind(void **state) {
	struct recorder *r = *state;
	struct neep_rutabaga_resource_info info;
	assert_int_equal(neep_rutabaga_resource_info(r->rutabaga, 1, &info), -ENOENT);
	assert_int_equal(create_2d(r, 1, 6, 5), 0);
	assert_int_equal(neep_rutabaga_resource_info(r->rutabaga, 1, &info), 0);
	assert_int_equal(info.kind, NEEP_RUTABAGA_RESOURCE_2D);
	assert_int_equal(info.width, 6);
	assert_int_equal(info.height, 5);
	assert_int_equal(info.format, 1);
	assert_int_equal(info.size, 120);
	assert_false(info.has_backing);
	struct iovec iov = { pages, sizeof(pages) };
	assert_int_equal(guest_blob(r, 2, 5000, &iov, 1), 0);
	assert_int_equal(neep_rutabaga_resource_info(r->rutabaga, 2, &info), 0);
	assert_int_equal(info.kind, NEEP_RUTABAGA_RESOURCE_BLOB);
	assert_int_equal(info.blob_mem, RUTABAGA_BLOB_MEM_GUEST);
	assert_int_equal(info.size, 5000);
	assert_true(info.has_backing);
	assert_int_equal(info.map_info, 0);
	struct rutabaga_create_3d texture = create_2d_args(1, 8, 4);
	texture.flags = 0;
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 3, &texture), 0);
	assert_int_equal(neep_rutabaga_resource_info(r->rutabaga, 3, &info), 0);
	assert_int_equal(info.kind, NEEP_RUTABAGA_RESOURCE_3D);
	assert_int_equal(info.size, 128);
	struct neep_rutabaga_image *image;
	assert_int_equal(neep_rutabaga_resource_image(r->rutabaga, 3, &image), -EINVAL);
	assert_int_equal(neep_rutabaga_resource_image(r->rutabaga, 2, &image), -EINVAL);
}

static void backing_can_be_looked_at(void **state) {
	struct recorder *r = *state;
	const struct iovec *iovecs;
	size_t count;
	struct iovec iov[] = { { pages[0], 4096 }, { pages[1], 4096 }, { pages[3], 4096 } };
	assert_int_equal(neep_rutabaga_resource_backing(r->rutabaga, 1, &iovecs, &count), -ENOENT);
	assert_int_equal(guest_blob(r, 1, 8192, iov, 3), 0);
	assert_int_equal(neep_rutabaga_resource_backing(r->rutabaga, 1, &iovecs, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(iovecs[0].iov_len, 8192);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 1), 0);
	assert_int_equal(neep_rutabaga_resource_backing(r->rutabaga, 1, &iovecs, &count), 0);
	assert_int_equal(count, 0);
}

static void guest_blob_checks_its_arguments(void **state) {
	struct recorder *r = *state;
	struct iovec iov[] = { { pages[0], 4096 }, { pages[2], 100 } };
	assert_int_equal(guest_blob(r, 1, 4197, iov, 2), -EINVAL);
	assert_int_equal(guest_blob(r, 1, 1 << 20, iov + 1, 1), -EINVAL);
	assert_int_equal(guest_blob(r, 1, 0, iov, 2), -EINVAL);
	assert_int_equal(guest_blob(r, 1, UINT64_MAX, iov, 2), -EINVAL);
	assert_int_equal(guest_blob(r, 1, UINT64_MAX, NULL, 0), -EINVAL);
	assert_int_equal(guest_blob(r, 1, 4096, NULL, 2), -EINVAL);
	struct rutabaga_create_blob create = { .blob_mem = RUTABAGA_BLOB_MEM_GUEST, .size = 4096 };
	for (uint32_t mem = 0; mem < 6; mem += mem == 0 ? 4 : 1) {
		create.blob_mem = mem;
		assert_int_equal(
			rutabaga_resource_create_blob(r->rutabaga, 0, 1, &create, NULL, NULL), -EINVAL);
	}
	create.blob_mem = RUTABAGA_BLOB_MEM_GUEST;
	create.blob_flags = UINT32_C(1) << 31;
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 0, 1, &create, NULL, NULL), -EINVAL);
	create.blob_flags = 7;
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 0, 1, &create, NULL, NULL), 0);
	assert_int_equal(usage_of(r).resources, 1);
	assert_int_equal(guest_blob(r, 2, 4196, iov, 2), 0);
}

static void guest_blob_transfers_are_nothing(void **state) {
	struct recorder *r = *state;
	struct iovec iov = { pages, sizeof(pages) };
	assert_int_equal(guest_blob(r, 1, 4096, &iov, 1), 0);
	struct rutabaga_transfer t = { .w = UINT32_MAX, .h = 1, .d = 1 };
	assert_int_equal(rutabaga_resource_transfer_write(r->rutabaga, 0, 1, &t), 0);
	assert_int_equal(rutabaga_resource_transfer_read(r->rutabaga, 0, 1, &t, NULL), 0);
	assert_int_equal(rutabaga_resource_transfer_read(r->rutabaga, 0, 1, &t, &iov), -ENOTSUP);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 1), 0);
	assert_int_equal(rutabaga_resource_detach_backing(r->rutabaga, 1), 0);
	assert_int_equal(attach(r, 1, &iov, 1), 0);
}

static void guest_blob_is_not_mapped_nor_exported(void **state) {
	struct recorder *r = *state;
	struct iovec iov = { pages, sizeof(pages) };
	struct rutabaga_mapping mapping;
	struct rutabaga_handle handle;
	uint32_t map_info;
	assert_int_equal(guest_blob(r, 1, 4096, &iov, 1), 0);
	assert_int_equal(create_2d(r, 2, 4, 4), 0);
	for (uint32_t id = 1; id <= 2; id++) {
		assert_int_equal(rutabaga_resource_map(r->rutabaga, id, &mapping), -EINVAL);
		assert_int_equal(rutabaga_resource_unmap(r->rutabaga, id), -EINVAL);
		assert_int_equal(rutabaga_resource_map_info(r->rutabaga, id, &map_info), -EINVAL);
		assert_int_equal(rutabaga_resource_export_blob(r->rutabaga, id, &handle), -EINVAL);
	}
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 9, &mapping), -ENOENT);
	assert_int_equal(rutabaga_resource_unmap(r->rutabaga, 9), -ENOENT);
	assert_int_equal(rutabaga_resource_map_info(r->rutabaga, 9, &map_info), -ENOENT);
	assert_int_equal(rutabaga_resource_export_blob(r->rutabaga, 9, &handle), -ENOENT);
}

static bool is_open(int fd) {
	return fcntl(fd, F_GETFD) >= 0;
}

static void blob_handle_is_consumed_in_every_case(void **state) {
	struct recorder *r = *state;
	struct rutabaga_create_blob create = { .blob_mem = RUTABAGA_BLOB_MEM_GUEST, .size = 4096 };
	int fd = neep_memfd_create("handle", 4096);
	struct rutabaga_handle handle = { fd, RUTABAGA_HANDLE_TYPE_MEM_SHM }, out;
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 0, 1, &create, NULL, &handle), 0);
	assert_int_equal(rutabaga_resource_export_blob(r->rutabaga, 1, &out), 0);
	assert_int_not_equal(out.os_handle, fd);
	assert_int_equal(out.handle_type, RUTABAGA_HANDLE_TYPE_MEM_SHM);
	close((int)out.os_handle);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), 0);
	assert_false(is_open(fd));
	handle.os_handle = neep_memfd_create("handle", 4096);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 0, 0, &create, NULL, &handle), -EINVAL);
	assert_false(is_open((int)handle.os_handle));
	handle.os_handle = neep_memfd_create("handle", 4096);
	assert_int_equal(rutabaga_resource_create_blob(NULL, 0, 1, &create, NULL, &handle), -EINVAL);
	assert_false(is_open((int)handle.os_handle));
	handle.os_handle = INT64_MAX;
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 0, 1, &create, NULL, &handle), 0);
}

static void make_context(struct recorder *r, uint32_t ctx_id) {
	assert_int_equal(rutabaga_context_create(r->rutabaga, ctx_id, NEEP_FAKE_CAPSET, NULL, 0), 0);
}

static void host_blob_is_mapped_and_exported_as_the_same_memory(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	assert_int_equal(create_host_blob(r, 1, 5, 77, 5000), 0);
	uint32_t map_info;
	assert_int_equal(rutabaga_resource_map_info(r->rutabaga, 5, &map_info), 0);
	assert_int_equal(map_info, RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_RW);
	struct rutabaga_mapping mapping, again;
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), 0);
	assert_int_equal(mapping.size, 8192);
	assert_int_equal(((uint8_t *)mapping.ptr)[4999], 0xab);
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &again), -EBUSY);
	struct rutabaga_handle handle;
	assert_int_equal(rutabaga_resource_export_blob(r->rutabaga, 5, &handle), 0);
	((uint8_t *)mapping.ptr)[1] = 0x11;
	uint8_t byte = 0;
	assert_int_equal(pread((int)handle.os_handle, &byte, 1, 1), 1);
	assert_int_equal(byte, 0x11);
	assert_true(fcntl((int)handle.os_handle, F_GETFD) & FD_CLOEXEC);
	close((int)handle.os_handle);
	assert_int_equal(rutabaga_resource_unmap(r->rutabaga, 5), 0);
	assert_int_equal(rutabaga_resource_unmap(r->rutabaga, 5), -EINVAL);
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &again), 0);
	assert_int_equal(((uint8_t *)again.ptr)[1], 0x11);
}

static void address_stays_accessible_after_unmap_and_unref(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	struct rutabaga_mapping mapping;
	assert_int_equal(create_host_blob(r, 1, 5, 1, 4096), 0);
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), 0);
	assert_int_equal(rutabaga_resource_unmap(r->rutabaga, 5), 0);
	volatile uint8_t *late = mapping.ptr;
	assert_int_equal(late[0], 0); // zero pages, no blob
	late[0] = 1;
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), 0);
	assert_int_equal(((uint8_t *)mapping.ptr)[0], 0xab);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 5), 0);
	late = mapping.ptr;
	assert_int_equal(late[0], 0);
}

static void held_mapping_keeps_the_pages(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	struct rutabaga_mapping mapping;
	struct neep_rutabaga_mapping *held = NULL;
	assert_int_equal(create_host_blob(r, 1, 5, 1, 4096), 0);
	assert_int_equal(neep_rutabaga_resource_mapping(r->rutabaga, 5, &held), -EINVAL);
	assert_int_equal(neep_rutabaga_resource_mapping(r->rutabaga, 6, &held), -ENOENT);
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), 0);
	assert_int_equal(neep_rutabaga_resource_mapping(r->rutabaga, 5, &held), 0);
	assert_ptr_equal(held->ptr, mapping.ptr);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 5), 0);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	assert_int_equal(((uint8_t *)held->ptr)[7], 0xab);
	neep_rutabaga_mapping_unref(neep_rutabaga_mapping_ref(held));
	assert_int_equal(((uint8_t *)held->ptr)[7], 0xab);
	neep_rutabaga_mapping_unref(held);
	neep_rutabaga_mapping_unref(NULL);
	assert_null(neep_rutabaga_mapping_ref(NULL));
}

static void map_and_unmap_go_on_for_ever(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	assert_int_equal(create_host_blob(r, 1, 5, 1, 1 << 20), 0);
	for (int i = 0; i < 3000; i++) {
		struct rutabaga_mapping mapping;
		assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), 0);
		((uint8_t *)mapping.ptr)[i] = 1;
		assert_int_equal(rutabaga_resource_unmap(r->rutabaga, 5), 0);
	}
}

static void host_blob_needs_its_context_and_id(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	make_context(r, 2);
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_blob(&stream, 9, 4096, RUTABAGA_MAP_CACHE_WC, 0);
	assert_int_equal(submit_stream(r, 1, &stream), 0);
	struct rutabaga_create_blob create = { RUTABAGA_BLOB_MEM_HOST3D, 0, 9, 4096 };
	struct iovec iov = { pages, sizeof(pages) };
	struct rutabaga_iovecs iovecs = { &iov, 1 };
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 0, 5, &create, NULL, NULL), -ESRCH);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 3, 5, &create, NULL, NULL), -ESRCH);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 2, 5, &create, NULL, NULL), -EINVAL);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 5, &create, &iovecs, NULL), -EINVAL);
	create.size = 4097;
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 5, &create, NULL, NULL), -EINVAL);
	create.size = 4096;
	neep_fake_refuse(r->fake, NEEP_FAKE_CALL_CREATE_BLOB, EIO, 1);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 5, &create, NULL, NULL), -EIO);
	assert_int_equal(usage_of(r).resources, 0);
	assert_int_equal(usage_of(r).blob_bytes, 0);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 5, &create, NULL, NULL), 0);
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 6, &create, NULL, NULL), -EINVAL);
	assert_int_equal(usage_of(r).blob_bytes, 4096);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 5), 0);
	assert_int_equal(usage_of(r).blob_bytes, 0);
	assert_int_equal(neep_fake_get_counts(r->fake).blobs, 0);
}

static void host_blob_with_guest_memory_has_both(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_blob(&stream, 9, 4096, 0, 0);
	assert_int_equal(submit_stream(r, 1, &stream), 0);
	struct rutabaga_create_blob create = { RUTABAGA_BLOB_MEM_HOST3D_GUEST, 0, 9, 4096 };
	struct iovec iov = { pages, 4095 };
	struct rutabaga_iovecs iovecs = { &iov, 1 };
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 5, &create, &iovecs, NULL), -EINVAL);
	iov.iov_len = 4096;
	assert_int_equal(rutabaga_resource_create_blob(r->rutabaga, 1, 5, &create, &iovecs, NULL), 0);
	struct rutabaga_mapping mapping;
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), -EINVAL); // map_info 0
	struct rutabaga_transfer t = { .w = 1, .h = 1, .d = 1 };
	assert_int_equal(rutabaga_resource_transfer_write(r->rutabaga, 1, 5, &t), -ENOTSUP);
}

static void blob_bytes_are_limited(void **state) {
	struct recorder *r = *state;
	make_context(r, 1);
	struct neep_rutabaga_limits limits;
	neep_rutabaga_get_limits(r->rutabaga, &limits);
	limits.blob_bytes = 8192;
	neep_rutabaga_set_limits(r->rutabaga, &limits);
	assert_int_equal(create_host_blob(r, 1, 1, 1, 4096), 0);
	assert_int_equal(create_host_blob(r, 1, 2, 2, 4097), -ENOMEM);
	assert_int_equal(create_host_blob(r, 1, 2, 3, 4096), 0);
	assert_int_equal(create_host_blob(r, 1, 3, 4, 1), -ENOMEM);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), 0);
	assert_int_equal(create_host_blob(r, 1, 3, 5, 1), 0);
}

static void texture_goes_to_the_component_and_2d_does_not(void **state) {
	struct recorder *r = *state;
	struct rutabaga_create_3d texture = create_2d_args(1, 8, 4);
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 1, &texture), 0);
	assert_int_equal(neep_fake_get_counts(r->fake).textures, 0);
	texture.bind = 8;
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 2, &texture), 0);
	assert_int_equal(neep_fake_get_counts(r->fake).textures, 1);
	neep_fake_refuse(r->fake, NEEP_FAKE_CALL_CREATE_3D, ENOMEM, 1);
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 3, &texture), -ENOMEM);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 3), -ENOENT);
	uint32_t pixels[32], back[32] = { 0 };
	for (uint32_t i = 0; i < 32; i++) {
		pixels[i] = i * 0x01010101;
	}
	struct iovec iov = { pixels, sizeof(pixels) }, to = { back, sizeof(back) };
	assert_int_equal(attach(r, 2, &iov, 1), 0);
	struct rutabaga_transfer t = { .w = 8, .h = 4, .d = 1 };
	assert_int_equal(rutabaga_resource_transfer_write(r->rutabaga, 0, 2, &t), 0);
	assert_int_equal(rutabaga_resource_transfer_read(r->rutabaga, 0, 2, &t, &to), 0);
	assert_memory_equal(back, pixels, sizeof(back));
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 2), 0);
	assert_int_equal(neep_fake_get_counts(r->fake).textures, 0);
}

static void texture_without_a_component_is_an_image(void **state) {
	struct recorder *r = *state;
	struct rutabaga_create_3d texture = create_2d_args(2, 8, 4);
	texture.bind = 10;
	texture.flags = 0;
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 1, &texture), 0);
	struct neep_rutabaga_image *image = NULL;
	assert_int_equal(neep_rutabaga_resource_image(r->rutabaga, 1, &image), 0);
	neep_rutabaga_image_unref(image);
	texture.last_level = 3;
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 2, &texture), -ENOTSUP);
}

#define WITH_2D(f)   cmocka_unit_test_setup_teardown(f, recorder_setup_2d, recorder_teardown)
#define WITH_FAKE(f) cmocka_unit_test_setup_teardown(f, recorder_setup_fake, recorder_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_2D(ids_are_checked),
		WITH_2D(backing_is_attached_once),
		WITH_2D(limits_refuse_and_recover),
		WITH_2D(many_resources_are_created_and_reset),
		WITH_FAKE(info_describes_each_kind),
		WITH_2D(backing_can_be_looked_at),
		WITH_2D(guest_blob_checks_its_arguments),
		WITH_2D(guest_blob_transfers_are_nothing),
		WITH_2D(guest_blob_is_not_mapped_nor_exported),
		WITH_2D(blob_handle_is_consumed_in_every_case),
		WITH_FAKE(host_blob_is_mapped_and_exported_as_the_same_memory),
		WITH_FAKE(address_stays_accessible_after_unmap_and_unref),
		WITH_FAKE(held_mapping_keeps_the_pages),
		WITH_FAKE(map_and_unmap_go_on_for_ever),
		WITH_FAKE(host_blob_needs_its_context_and_id),
		WITH_FAKE(host_blob_with_guest_memory_has_both),
		WITH_FAKE(blob_bytes_are_limited),
		WITH_FAKE(texture_goes_to_the_component_and_2d_does_not),
		WITH_2D(texture_without_a_component_is_an_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
