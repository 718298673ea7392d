/* Checks 29 to 34: display info and EDID. */
#include <string.h>

#include "device/harness.h"
#include "util/macros.h"

#define EDID_BLOCK 128

static void get_info(struct check *check, struct virtio_gpu_resp_display_info *info) {
	assert_int_equal(check_display_info(check, info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

static void get_edid(struct check *check, uint32_t scanout_id, struct virtio_gpu_resp_edid *edid) {
	assert_int_equal(check_get_edid(check, scanout_id, edid), VIRTIO_GPU_RESP_OK_EDID);
}

static void check_029_display_info(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_display_one off = { 0 };
	get_info(check, &info);
	assert_int_equal(info.pmodes[0].r.width, 1280);
	assert_int_equal(info.pmodes[0].r.height, 800);
	assert_int_equal(info.pmodes[0].enabled, 1);
	assert_int_equal(info.pmodes[0].flags, 0);
	assert_int_equal(info.pmodes[1].r.width, 1024);
	assert_int_equal(info.pmodes[1].r.height, 768);
	assert_int_equal(info.pmodes[1].enabled, 1);
	assert_int_equal(info.pmodes[1].flags, 0);
	for (size_t i = 2; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		assert_memory_equal(&info.pmodes[i], &off, sizeof(off));
	}
	assert_true(info.pmodes[1].r.x >= info.pmodes[0].r.x + info.pmodes[0].r.width);
	check_close(check);
}

static void check_029_outputs_lie_side_by_side(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.device.max_outputs = 16;
	struct check *check = check_open(&options);
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(check_set_output(check, 3, 0, 0), 0);
	assert_int_equal(check_set_output(check, 0, 8192, 8192), 0);
	get_info(check, &info);
	uint32_t end = 0;
	for (size_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		assert_int_equal(info.pmodes[i].enabled, i != 3);
		if (i != 3) {
			assert_true(info.pmodes[i].r.x >= end);
			end = info.pmodes[i].r.x + info.pmodes[i].r.width;
		}
	}
	check_close(check);
}

static void assert_edid_is_sound(const struct virtio_gpu_resp_edid *edid) {
	static const uint8_t magic[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	assert_memory_equal(edid->edid, magic, sizeof(magic));
	size_t size = (edid->edid[126] + 1u) * EDID_BLOCK;
	assert_in_range(size, EDID_BLOCK, edid->size);
	assert_in_range(edid->size, EDID_BLOCK, sizeof(edid->edid));
	assert_int_equal(edid->size % EDID_BLOCK, 0);
	for (size_t block = 0; block < size; block += EDID_BLOCK) {
		uint8_t sum = 0;
		for (size_t i = 0; i < EDID_BLOCK; i++) {
			sum = (uint8_t)(sum + edid->edid[block + i]);
		}
		assert_int_equal(sum, 0);
	}
	for (size_t i = edid->size; i < sizeof(edid->edid); i++) {
		assert_int_equal(edid->edid[i], 0);
	}
}

static void check_030_edid_is_sound(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	for (uint32_t i = 0; i < 2; i++) {
		struct virtio_gpu_resp_edid edid, again;
		get_edid(check, i, &edid);
		assert_edid_is_sound(&edid);
		/* Digital input, a size, preferred timing. */
		assert_true(edid.edid[20] & 0x80);
		assert_true(edid.edid[21] != 0 && edid.edid[22] != 0);
		assert_true(edid.edid[24] & 0x02);
		get_edid(check, i, &again);
		assert_memory_equal(&edid, &again, sizeof(edid));
	}
	check_close(check);
}

/* The mode of the first detailed timing descriptor. */
static void preferred_mode(const uint8_t *edid, uint32_t *width, uint32_t *height) {
	const uint8_t *d = edid + 54;
	assert_true(d[0] != 0 || d[1] != 0);
	*width = d[2] | (d[4] & 0xf0u) << 4;
	*height = d[5] | (d[7] & 0xf0u) << 4;
}

static void assert_preferred(struct check *check, uint32_t scanout_id) {
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_resp_edid edid;
	uint32_t width, height;
	get_info(check, &info);
	get_edid(check, scanout_id, &edid);
	assert_edid_is_sound(&edid);
	preferred_mode(edid.edid, &width, &height);
	const struct virtio_gpu_rect *r = &info.pmodes[scanout_id].r;
	/* What Linux accepts. */
	assert_in_range(width, r->width - 16, r->width);
	assert_in_range(height, r->height - 16, r->height);
}

static void check_031_preferred_mode_is_that_of_display_info(void **state) {
	(void)state;
	static const uint32_t modes[][2] = { { 32, 32 }, { 641, 479 }, { 1366, 768 }, { 1920, 1080 },
		{ 1080, 1920 }, { 2560, 1440 }, { 3840, 2160 } };
	struct check *check = check_open(NULL);
	assert_preferred(check, 0);
	assert_preferred(check, 1);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(modes); i++) {
		assert_int_equal(check_set_output(check, 0, modes[i][0], modes[i][1]), 0);
		assert_preferred(check, 0);
	}
	check_close(check);
}

static void check_032_edid_of_no_scanout(void **state) {
	(void)state;
	static const uint32_t ids[] = { 2, 15, 16, 0x7fffffff, 0x80000000, 0xffffffff };
	struct check *check = check_open(NULL);
	struct virtio_gpu_resp_edid edid;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ids); i++) {
		assert_int_equal(check_get_edid(check, ids[i], &edid), CHECK_BAD_SCANOUT);
	}
	check_close(check);
}

/* The mode of the type I timing of a DisplayID extension that is marked preferred. */
static bool displayid_mode(const struct virtio_gpu_resp_edid *edid, uint32_t *width, uint32_t *height) {
	for (size_t block = EDID_BLOCK; block < edid->size; block += EDID_BLOCK) {
		const uint8_t *section = edid->edid + block;
		size_t end = 5 + (size_t)section[2];
		if (section[0] != 0x70 || end > EDID_BLOCK - 2) {
			continue;
		}
		for (size_t at = 5; at + 3 <= end && section[at + 2] != 0;
			at += 3 + (size_t)section[at + 2]) {
			const uint8_t *timing = section + at + 3;
			if (section[at] == 0x03 && (timing[3] & 0x80) != 0) {
				*width = (timing[4] | (uint32_t)timing[5] << 8) + 1;
				*height = (timing[12] | (uint32_t)timing[13] << 8) + 1;
				return true;
			}
		}
	}
	return false;
}

static void check_033_mode_beyond_the_base_block(void **state) {
	(void)state;
	static const uint32_t modes[][2] = { { 5120, 2880 }, { 8192, 8192 }, { 4096, 2160 }, { 1024, 8192 } };
	struct check *check = check_open(NULL);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(modes); i++) {
		struct virtio_gpu_resp_edid edid;
		uint32_t width = 0, height = 0;
		assert_int_equal(check_set_output(check, 0, modes[i][0], modes[i][1]), 0);
		get_edid(check, 0, &edid);
		assert_edid_is_sound(&edid);
		assert_true(displayid_mode(&edid, &width, &height));
		assert_int_equal(width, modes[i][0]);
		assert_int_equal(height, modes[i][1]);
	}
	check_close(check);
}

static void check_034_edid_of_a_disabled_output(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_resp_edid edid;
	assert_int_equal(check_set_output(check, 1, 0, 0), 0);
	get_info(check, &info);
	assert_int_equal(info.pmodes[1].enabled, 0);
	get_edid(check, 1, &edid);
	assert_edid_is_sound(&edid);
	check_close(check);
}

/* The far side of the display socket answers in its own way; what goes to the guest is as well formed. */
static void check_034_edid_through_the_display_socket(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.display = "qemu";
	struct check *check = check_open(&options);
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_resp_edid edid;
	get_info(check, &info);
	assert_int_equal(info.pmodes[0].r.width, 1280);
	assert_int_equal(info.pmodes[1].r.width, 1024);
	get_edid(check, 0, &edid);
	assert_edid_is_sound(&edid);
	neep_display_peer_set_mode(check_display(check), 1, 0, 0);
	get_info(check, &info);
	assert_int_equal(info.pmodes[1].enabled, 0);
	get_edid(check, 1, &edid);
	assert_edid_is_sound(&edid);
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_029_display_info),
	device_check(check_029_outputs_lie_side_by_side),
	device_check(check_030_edid_is_sound),
	device_check(check_031_preferred_mode_is_that_of_display_info),
	device_check(check_032_edid_of_no_scanout),
	device_check(check_033_mode_beyond_the_base_block),
	device_check(check_034_edid_of_a_disabled_output),
	device_check(check_034_edid_through_the_display_socket),
};

int main(void) {
	return cmocka_run_group_tests_name("device display info", tests, NULL, NULL);
}
