/* Guest blobs, checks 86 to 99: what may be one, and what an output shows of it. Pixels are compared with what the guest
 * wrote, as they come out at the far end: through QEMU's display socket, and through a screenshot. */
#include "device/harness.h"
#include "device/threed.h"

#include <stdlib.h>
#include <string.h>

#define PAGE   UINT64_C(4096)
#define WIDTH  96
#define HEIGHT 64
#define STRIDE (WIDTH * 4)
#define SIZE   (STRIDE * HEIGHT)

static const char *const displays[] = { "headless", "qemu" };

static struct check *open_display(const char *display) {
	struct check_options options = check_options();
	options.display = display;
	return check_open(&options);
}

static struct virtio_gpu_resource_create_blob blob_cmd(uint32_t resource_id, uint64_t size) {
	return (struct virtio_gpu_resource_create_blob){
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = resource_id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
		.size = size,
	};
}

/* SET_SCANOUT_BLOB of a tight WIDTH x HEIGHT framebuffer at the start of the blob. */
static struct virtio_gpu_set_scanout_blob scanout_cmd(uint32_t resource_id) {
	return (struct virtio_gpu_set_scanout_blob){
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		.r = { .width = WIDTH, .height = HEIGHT },
		.resource_id = resource_id,
		.width = WIDTH,
		.height = HEIGHT,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.strides = { STRIDE },
	};
}

static uint32_t show(struct check *check, uint32_t resource_id) {
	struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(resource_id);
	return check_send(check, &cmd);
}

static uint32_t flush(struct check *check, uint32_t resource_id) {
	const struct neep_rect all = { .width = WIDTH, .height = HEIGHT };
	return check_flush(check, resource_id, &all);
}

static struct check_picture picture(uint32_t seed) {
	return check_picture(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT, seed);
}

static void check_086_blob_of_4096_entries_is_made_when_they_are_scattered_pages(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, 16 << 20);
	assert_int_equal(check_create_blob(check, 5, memory, 16 << 20), CHECK_OK);
	assert_int_equal(check_create_blob(check, 5, memory, 16 << 20), CHECK_BAD_RESOURCE);
	assert_int_equal(check_unref(check, 5), CHECK_OK);
	check_close(check);
}

static void check_087_blob_is_refused_when_its_kind_flags_or_size_are_wrong(void **state) {
	static const uint32_t bad_mems[] = { 0, 2, 3, 4, UINT32_MAX };
	static const uint32_t bad_flags[] = { 8, 0x80000000, UINT32_MAX };
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resource_create_blob cmd = blob_cmd(5, PAGE);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_mems); i++) {
		cmd.blob_mem = bad_mems[i];
		assert_int_equal(check_send(check, &cmd), CHECK_BAD_PARAMETER);
	}
	cmd = blob_cmd(5, PAGE);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_flags); i++) {
		cmd.blob_flags = bad_flags[i];
		assert_int_equal(check_send(check, &cmd), CHECK_BAD_PARAMETER);
	}
	cmd = blob_cmd(5, 0);
	assert_int_equal(check_send(check, &cmd), CHECK_BAD_PARAMETER);
	cmd = blob_cmd(0, PAGE);
	assert_int_equal(check_send(check, &cmd), CHECK_BAD_RESOURCE);
	/* All that a guest may ask for. */
	for (uint32_t flags = 0; flags < 8; flags++) {
		cmd = blob_cmd(10 + flags, PAGE);
		cmd.blob_flags = flags;
		assert_int_equal(check_send(check, &cmd), CHECK_OK);
	}
	assert_int_equal(check_unref(check, 5), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_088_blob_is_refused_when_its_entries_are_shorter_than_it(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, 4 * PAGE);
	assert_int_equal(check_create_blob(check, 5, memory, 4 * PAGE + 1), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_blob(check, 5, memory, UINT64_MAX), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_blob(check, 5, memory, 4 * PAGE - 1), CHECK_OK);
	check_close(check);
}

static void check_088_blob_is_refused_when_its_entries_are_not_there(void **state) {
	static const uint32_t counts[] = { 2, 3, 0x10000001, UINT32_MAX };
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, PAGE);
	const struct virtio_gpu_mem_entry entry = { .addr = memory->first.guest_addr, .length = PAGE };
	const struct virtio_gpu_mem_entry outside = { .addr = UINT64_C(1) << 62, .length = PAGE };
	const struct virtio_gpu_mem_entry wrapping = { .addr = UINT64_MAX - 100, .length = PAGE };
	struct virtio_gpu_resource_create_blob cmd = blob_cmd(5, PAGE);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(counts); i++) {
		cmd.nr_entries = counts[i];
		assert_int_equal(check_create_blob_entries(check, &cmd, &entry, 1), CHECK_BAD_PARAMETER);
	}
	cmd.nr_entries = 1;
	assert_int_equal(check_create_blob_entries(check, &cmd, &outside, 1), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_blob_entries(check, &cmd, &wrapping, 1), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_blob_entries(check, &cmd, &entry, 1), CHECK_OK);
	check_close(check);
}

static void check_089_blob_shows_its_backing_when_that_is_attached_later(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture first = picture(1);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, SIZE);
	struct virtio_gpu_resource_create_blob cmd = blob_cmd(5, SIZE);
	assert_int_equal(check_send(check, &cmd), CHECK_OK);
	check_write(memory, 0, first.bytes, SIZE);
	assert_int_equal(check_attach(check, 5, memory), CHECK_OK);
	assert_int_equal(check_attach(check, 5, memory), CHECK_BAD_PARAMETER);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows(check, 0, &first, NULL);
	check_picture_free(&first);
	check_close(check);
}

static void check_089_blob_without_backing_is_black_when_it_is_shown(void **state) {
	static const uint32_t black[WIDTH * HEIGHT];
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resource_create_blob cmd = blob_cmd(5, SIZE);
	assert_int_equal(check_send(check, &cmd), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows_pixels(check, 0, black, WIDTH, HEIGHT);
	check_close(check);
}

static void check_090_transfer_of_a_guest_blob_does_nothing_and_succeeds(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, SIZE);
	assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
	struct virtio_gpu_transfer_to_host_2d cmd = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = { .width = WIDTH, .height = HEIGHT },
		.resource_id = 5,
	};
	struct check_fenced fenced;
	check_fence_set(&cmd.hdr, 0, CHECK_GLOBAL, 1234);
	check_fenced_send(check, &fenced, &cmd, sizeof(cmd));
	assert_int_equal(check_fenced_finish(check, &fenced), CHECK_OK);
	check_close(check);
}

static void follows_guest(const char *display) {
	struct check *check = open_display(display);
	struct check_picture first = picture(1), second = picture(2);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, SIZE);
	check_write(memory, 0, first.bytes, SIZE);
	assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows(check, 0, &first, NULL);
	check_write(memory, 0, second.bytes, SIZE);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows(check, 0, &second, NULL);
	check_picture_free(&first);
	check_picture_free(&second);
	check_close(check);
}

static void check_091_output_shows_the_guests_pixels_when_they_are_flushed(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		follows_guest(displays[i]);
	}
}

static void flushes_part(const char *display) {
	struct check *check = open_display(display);
	struct check_picture old = picture(1), new = picture(2);
	const struct neep_rect part = { .x = 10, .y = 20, .width = 30, .height = 7 };
	struct neep_guest_buffer *memory = check_alloc(check, SIZE);
	check_write(memory, 0, old.bytes, SIZE);
	assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_write(memory, 0, new.bytes, SIZE);
	assert_int_equal(check_flush(check, 5, &part), CHECK_OK);
	for (uint32_t y = part.y; y < part.y + part.height; y++) {
		memcpy(&old.xrgb[y * WIDTH + part.x], &new.xrgb[y * WIDTH + part.x], part.width * 4);
	}
	check_shows(check, 0, &old, NULL);
	check_picture_free(&old);
	check_picture_free(&new);
	check_close(check);
}

static void check_091_output_changes_only_where_it_is_flushed(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		flushes_part(displays[i]);
	}
}

/* What was there before is another buffer's. */
static void check_091_output_shows_all_of_a_new_blob_when_a_part_is_flushed_first(void **state) {
	const struct neep_rect part = { .x = 10, .y = 20, .width = 30, .height = 7 };
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct check_picture pictures[2] = { picture(1), picture(2) };
		for (uint32_t k = 0; k < 2; k++) {
			struct neep_guest_buffer *memory = check_alloc(check, SIZE);
			check_write(memory, 0, pictures[k].bytes, SIZE);
			assert_int_equal(check_create_blob(check, 5 + k, memory, SIZE), CHECK_OK);
			assert_int_equal(show(check, 5 + k), CHECK_OK);
			assert_int_equal(check_flush(check, 5 + k, &part), CHECK_OK);
			check_shows(check, 0, &pictures[k], NULL);
		}
		check_picture_free(&pictures[0]);
		check_picture_free(&pictures[1]);
		check_close(check);
	}
}

/* What was flushed of the larger one and never looked at is nothing to the smaller one. */
static void check_091_output_shrinks_when_flushed_parts_of_it_were_never_looked_at(void **state) {
	const struct neep_rect all = { .width = WIDTH, .height = HEIGHT },
			       small = { .width = WIDTH, .height = 3 };
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct check_picture first = picture(1);
		struct neep_guest_buffer *memory = check_alloc(check, SIZE);
		check_write(memory, 0, first.bytes, SIZE);
		assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
		for (uint32_t round = 0; round < 50; round++) {
			struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
			assert_int_equal(check_send(check, &cmd), CHECK_OK);
			assert_int_equal(check_flush(check, 5, &all), CHECK_OK);
			cmd.r.height = small.height;
			assert_int_equal(check_send(check, &cmd), CHECK_OK);
			assert_int_equal(check_flush(check, 5, &small), CHECK_OK);
			assert_int_equal(check_flush(check, 5, &small), CHECK_OK);
		}
		check_shows(check, 0, &first, &small);
		check_picture_free(&first);
		check_close(check);
	}
}

static void check_091_output_has_the_right_colours_in_each_format(void **state) {
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct neep_guest_buffer *memory = check_alloc(check, SIZE);
		assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
		for (size_t k = 0; k < NEEP_ARRAY_LEN(formats); k++) {
			struct check_picture image = check_picture(formats[k], WIDTH, HEIGHT, (uint32_t)k);
			struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
			check_write(memory, 0, image.bytes, SIZE);
			cmd.format = formats[k];
			assert_int_equal(check_send(check, &cmd), CHECK_OK);
			assert_int_equal(flush(check, 5), CHECK_OK);
			check_shows(check, 0, &image, NULL);
			check_picture_free(&image);
		}
		check_close(check);
	}
}

static void check_092_framebuffer_is_refused_when_it_is_not_inside_the_blob(void **state) {
	static const struct {
		uint32_t width, height, format, stride, offset;
	} cases[] = {
		{ WIDTH, HEIGHT, 2, STRIDE - 4, 0 },
		{ WIDTH, HEIGHT, 2, 0, 0 },
		{ WIDTH, HEIGHT, 2, STRIDE + 2, 0 },
		{ WIDTH, HEIGHT, 2, STRIDE, 4 },
		{ WIDTH, HEIGHT, 2, STRIDE, 2 },
		{ WIDTH, HEIGHT, 2, STRIDE + 4, 0 },
		{ WIDTH, HEIGHT, 2, STRIDE, UINT32_MAX },
		{ WIDTH, HEIGHT, 2, STRIDE, UINT32_MAX - 3 },
		{ WIDTH, HEIGHT, 2, UINT32_MAX - 3, 0 },
		{ WIDTH, 16384, 2, UINT32_MAX - 3, UINT32_MAX - 3 },
		{ WIDTH, HEIGHT + 1, 2, STRIDE, 0 },
		{ 0, HEIGHT, 2, STRIDE, 0 },
		{ WIDTH, 0, 2, STRIDE, 0 },
		{ 0x40000000, 1, 2, STRIDE, 0 },
		{ UINT32_MAX, UINT32_MAX, 2, UINT32_MAX, 0 },
		{ 16385, 1, 2, 16385 * 4, 0 },
		{ WIDTH, HEIGHT, 0, STRIDE, 0 },
		{ WIDTH, HEIGHT, 5, STRIDE, 0 },
		{ WIDTH, HEIGHT, UINT32_MAX, STRIDE, 0 },
	};
	(void)state;
	struct check *check = check_open(NULL);
	struct check_picture first = picture(1);
	struct neep_guest_buffer *memory = check_alloc(check, SIZE);
	check_write(memory, 0, first.bytes, SIZE);
	assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
		cmd.width = cases[i].width;
		cmd.height = cases[i].height;
		cmd.format = cases[i].format;
		cmd.strides[0] = cases[i].stride;
		cmd.offsets[0] = cases[i].offset;
		cmd.r = (struct virtio_gpu_rect){ .width = 1, .height = 1 };
		if (check_send(check, &cmd) != CHECK_BAD_PARAMETER) {
			fail_msg("framebuffer %zu is not refused", i);
		}
	}
	/* What was shown still is. */
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows(check, 0, &first, NULL);
	check_picture_free(&first);
	check_close(check);
}

static void check_092_scanout_is_refused_when_its_rectangle_or_number_is_wrong(void **state) {
	static const struct virtio_gpu_rect rects[] = { { 0, 0, 0, HEIGHT }, { 0, 0, WIDTH, 0 },
		{ 1, 0, WIDTH, HEIGHT }, { 0, 1, WIDTH, HEIGHT }, { UINT32_MAX, 0, 2, 1 },
		{ 0, UINT32_MAX, 1, 2 }, { WIDTH, HEIGHT, 1, 1 }, { 0, 0, UINT32_MAX, UINT32_MAX } };
	static const uint32_t bad_scanouts[] = { 2, 15, 16, UINT32_MAX };
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resource_create_blob create = blob_cmd(5, SIZE);
	assert_int_equal(check_send(check, &create), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rects); i++) {
		struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
		cmd.r = rects[i];
		assert_int_equal(check_send(check, &cmd), CHECK_BAD_PARAMETER);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_scanouts); i++) {
		struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
		cmd.scanout_id = bad_scanouts[i];
		assert_int_equal(check_send(check, &cmd), CHECK_BAD_SCANOUT);
		cmd.resource_id = 0;
		assert_int_equal(check_send(check, &cmd), CHECK_BAD_SCANOUT);
	}
	assert_int_equal(show(check, 6), CHECK_BAD_RESOURCE);
	check_close(check);
}

static void check_093_last_row_needs_no_padding_behind_it(void **state) {
	const uint32_t stride = STRIDE + 64;
	const size_t size = (size_t)stride * (HEIGHT - 1) + STRIDE;
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct check_picture first = picture(1);
		struct neep_guest_buffer *memory = check_alloc_scattered(check, size);
		for (uint32_t y = 0; y < HEIGHT; y++) {
			check_write(memory, (uint64_t)y * stride, first.bytes + (size_t)y * STRIDE, STRIDE);
		}
		assert_int_equal(check_create_blob(check, 5, memory, size), CHECK_OK);
		struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
		cmd.strides[0] = stride;
		assert_int_equal(check_send(check, &cmd), CHECK_OK);
		assert_int_equal(flush(check, 5), CHECK_OK);
		check_shows(check, 0, &first, NULL);
		cmd.offsets[0] = 4;
		assert_int_equal(check_send(check, &cmd), CHECK_BAD_PARAMETER);
		check_picture_free(&first);
		check_close(check);
	}
}

static void check_094_output_shows_the_part_that_the_rectangle_names(void **state) {
	const struct neep_rect part = { .x = WIDTH / 2, .y = 5, .width = WIDTH / 2, .height = HEIGHT - 5 };
	const size_t offset = 3 * PAGE + 12;
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct check_picture first = picture(1);
		struct neep_guest_buffer *memory = check_alloc_scattered(check, offset + SIZE);
		check_write(memory, offset, first.bytes, SIZE);
		assert_int_equal(check_create_blob(check, 5, memory, offset + SIZE), CHECK_OK);
		struct virtio_gpu_set_scanout_blob cmd = scanout_cmd(5);
		cmd.r = (struct virtio_gpu_rect){ part.x, part.y, part.width, part.height };
		cmd.offsets[0] = (uint32_t)offset;
		assert_int_equal(check_send(check, &cmd), CHECK_OK);
		/* The other half on the other output, from the same blob. */
		cmd.r = (struct virtio_gpu_rect){ 0, 0, WIDTH / 2, HEIGHT };
		cmd.scanout_id = 1;
		assert_int_equal(check_send(check, &cmd), CHECK_OK);
		assert_int_equal(flush(check, 5), CHECK_OK);
		check_shows(check, 0, &first, &part);
		check_shows(check, 1, &first, &(struct neep_rect){ .width = WIDTH / 2, .height = HEIGHT });
		check_picture_free(&first);
		check_close(check);
	}
}

static void check_095_scanout_of_a_blob_is_refused_when_the_resource_is_none(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_int_equal(
		check_create_2d(check, 5, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_BAD_PARAMETER);
	check_close(check);
}

static void check_096_blob_is_refused_when_one_short_entry_claims_to_be_it(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct neep_guest_buffer *memory = check_alloc(check, PAGE);
	const struct virtio_gpu_mem_entry entry = { .addr = memory->first.guest_addr, .length = 100 };
	struct virtio_gpu_resource_create_blob cmd = blob_cmd(5, 1 << 20);
	cmd.nr_entries = 1;
	assert_int_equal(check_create_blob_entries(check, &cmd, &entry, 1), CHECK_BAD_PARAMETER);
	/* Attached afterwards it may be short: nothing beyond it is read. */
	cmd.nr_entries = 0;
	assert_int_equal(check_send(check, &cmd), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 5, 1, &entry, 1), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_close(check);
}

/* The picture stays, and what the guest writes to those pages does not show. */
static void keeps_frame_after_detach(const char *display) {
	struct check *check = open_display(display);
	struct check_picture first = picture(1), second = picture(2);
	struct neep_guest_buffer *memory = check_alloc_scattered(check, SIZE);
	check_write(memory, 0, first.bytes, SIZE);
	assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
	assert_int_equal(show(check, 5), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	assert_int_equal(check_detach(check, 5), CHECK_OK);
	check_write(memory, 0, second.bytes, SIZE);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows(check, 0, &first, NULL);
	assert_int_equal(check_attach(check, 5, memory), CHECK_OK);
	assert_int_equal(flush(check, 5), CHECK_OK);
	check_shows(check, 0, &second, NULL);
	check_picture_free(&first);
	check_picture_free(&second);
	check_close(check);
}

static void check_097_output_keeps_the_last_frame_when_the_backing_is_detached(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		keeps_frame_after_detach(displays[i]);
	}
}

static void check_098_blob_is_refused_when_its_size_is_not_aligned(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.device.blob_alignment = 65536;
	options.driver.features |= CHECK_BIT(CHECK_F_BLOB_ALIGNMENT);
	struct check *check = check_open(&options);
	struct neep_guest_buffer *memory = check_alloc(check, 65536);
	uint32_t alignment;
	assert_int_equal(neep_driver_read_config(check_driver(check), 16, &alignment, sizeof(alignment)), 0);
	assert_int_equal(alignment, 65536);
	assert_int_equal(check_create_blob(check, 5, memory, PAGE), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_blob(check, 5, memory, 65535), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_blob(check, 5, memory, 65536), CHECK_OK);
	check_close(check);
}

static void check_098_size_is_free_when_the_driver_does_not_take_the_feature(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.device.blob_alignment = 65536;
	struct check *check = check_open(&options);
	struct neep_guest_buffer *memory = check_alloc(check, PAGE);
	assert_int_equal(check_create_blob(check, 5, memory, PAGE), CHECK_OK);
	check_close(check);
}

static void check_099_output_is_off_when_the_blob_on_it_is_unreferenced(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct check_picture first = picture(1), second = picture(2);
		struct neep_guest_buffer *memory = check_alloc(check, SIZE);
		check_write(memory, 0, first.bytes, SIZE);
		assert_int_equal(check_create_blob(check, 5, memory, SIZE), CHECK_OK);
		assert_int_equal(show(check, 5), CHECK_OK);
		assert_int_equal(flush(check, 5), CHECK_OK);
		check_shows(check, 0, &first, NULL);
		assert_int_equal(check_unref(check, 5), CHECK_OK);
		check_write(memory, 0, second.bytes, SIZE);
		assert_int_equal(flush(check, 5), CHECK_BAD_RESOURCE);
		check_shows_nothing(check, 0);
		check_picture_free(&first);
		check_picture_free(&second);
		check_close(check);
	}
}

/* A HOST3D blob that the renderer draws into. */
static void check_099_output_shows_the_renderers_pixels_when_the_blob_is_the_hosts(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check_options options = check_3d_options(0);
		options.display = displays[i];
		struct check *check = check_open(&options);
		uint32_t expected[WIDTH * HEIGHT];
		memset(expected, 0x11, sizeof(expected));
		assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
		check_host_blob(check, 1, 5, SIZE, 0x11);
		assert_int_equal(show(check, 5), CHECK_OK);
		assert_int_equal(flush(check, 5), CHECK_OK);
		check_shows_pixels(check, 0, expected, WIDTH, HEIGHT);
		assert_int_equal(check_poke(check, 1, 5, 4 * (7 * WIDTH + 3), 0x00c0ffee), CHECK_OK);
		expected[7 * WIDTH + 3] = 0x00c0ffee;
		assert_int_equal(flush(check, 5), CHECK_OK);
		check_shows_pixels(check, 0, expected, WIDTH, HEIGHT);
		assert_int_equal(check_unref(check, 5), CHECK_OK);
		check_shows_nothing(check, 0);
		assert_int_equal(check_counts(check).fake.blobs, 0);
		check_close(check);
	}
}

static void check_099_frames_alternate_when_the_guest_flips_between_two_blobs(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(displays); i++) {
		struct check *check = open_display(displays[i]);
		struct check_picture pictures[2] = { picture(1), picture(2) };
		for (uint32_t k = 0; k < 2; k++) {
			struct neep_guest_buffer *memory = check_alloc(check, SIZE);
			check_write(memory, 0, pictures[k].bytes, SIZE);
			assert_int_equal(check_create_blob(check, 5 + k, memory, SIZE), CHECK_OK);
		}
		for (uint32_t frame = 0; frame < 20; frame++) {
			assert_int_equal(show(check, 5 + frame % 2), CHECK_OK);
			assert_int_equal(flush(check, 5 + frame % 2), CHECK_OK);
			check_shows(check, 0, &pictures[frame % 2], NULL);
		}
		check_picture_free(&pictures[0]);
		check_picture_free(&pictures[1]);
		check_close(check);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		device_check(check_086_blob_of_4096_entries_is_made_when_they_are_scattered_pages),
		device_check(check_087_blob_is_refused_when_its_kind_flags_or_size_are_wrong),
		device_check(check_088_blob_is_refused_when_its_entries_are_shorter_than_it),
		device_check(check_088_blob_is_refused_when_its_entries_are_not_there),
		device_check(check_089_blob_shows_its_backing_when_that_is_attached_later),
		device_check(check_089_blob_without_backing_is_black_when_it_is_shown),
		device_check(check_090_transfer_of_a_guest_blob_does_nothing_and_succeeds),
		device_check(check_091_output_shows_the_guests_pixels_when_they_are_flushed),
		device_check(check_091_output_changes_only_where_it_is_flushed),
		device_check(check_091_output_shows_all_of_a_new_blob_when_a_part_is_flushed_first),
		device_check(check_091_output_shrinks_when_flushed_parts_of_it_were_never_looked_at),
		device_check(check_091_output_has_the_right_colours_in_each_format),
		device_check(check_092_framebuffer_is_refused_when_it_is_not_inside_the_blob),
		device_check(check_092_scanout_is_refused_when_its_rectangle_or_number_is_wrong),
		device_check(check_093_last_row_needs_no_padding_behind_it),
		device_check(check_094_output_shows_the_part_that_the_rectangle_names),
		device_check(check_095_scanout_of_a_blob_is_refused_when_the_resource_is_none),
		device_check(check_096_blob_is_refused_when_one_short_entry_claims_to_be_it),
		device_check(check_097_output_keeps_the_last_frame_when_the_backing_is_detached),
		device_check(check_098_blob_is_refused_when_its_size_is_not_aligned),
		device_check(check_098_size_is_free_when_the_driver_does_not_take_the_feature),
		device_check(check_099_output_is_off_when_the_blob_on_it_is_unreferenced),
		device_check(check_099_output_shows_the_renderers_pixels_when_the_blob_is_the_hosts),
		device_check(check_099_frames_alternate_when_the_guest_flips_between_two_blobs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
