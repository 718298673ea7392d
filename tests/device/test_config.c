/* Checks 1 to 12: config space and features. */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#include "device/harness.h"
#include "driver/frontend.h"
#include "support/await.h"
#include "util/macros.h"

#define EVENTS_READ  offsetof(struct virtio_gpu_config, events_read)
#define EVENTS_CLEAR offsetof(struct virtio_gpu_config, events_clear)
#define SCANOUTS     offsetof(struct virtio_gpu_config, num_scanouts)

static uint32_t read_word(struct check *check, uint32_t offset) {
	uint32_t word = 0xdeadbeef;
	assert_int_equal(neep_driver_read_config(check_driver(check), offset, &word, sizeof(word)), 0);
	return word;
}

static void write_word(struct check *check, uint32_t offset, uint32_t word) {
	assert_int_equal(neep_driver_write_config(check_driver(check), offset, &word, sizeof(word)), 0);
}

static void wait_change(struct check *check, uint64_t seen) {
	assert_int_equal(neep_driver_wait_config_change(check_driver(check), seen, AWAIT_NS), 0);
}

static void check_001_config_at_start(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_config config;
	assert_int_equal(neep_driver_read_config(check_driver(check), 0, &config, sizeof(config)), 0);
	assert_int_equal(config.events_read, 0);
	assert_int_equal(config.events_clear, 0);
	assert_int_equal(config.num_scanouts, 2);
	assert_int_equal(config.num_capsets, 0);
	check_close(check);
}

static void check_001_config_at_start_with_capsets(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.has_3d = true;
	options.device.max_outputs = 16;
	struct check *check = check_open(&options);
	struct virtio_gpu_config config;
	assert_int_equal(neep_driver_read_config(check_driver(check), 0, &config, sizeof(config)), 0);
	assert_int_equal(config.num_scanouts, 16);
	assert_int_equal(config.num_capsets, 2);
	check_close(check);
}

/* Whatever is read is what the whole structure has there, and zeros behind its end. */
static void check_002_config_of_any_size_and_place(void **state) {
	(void)state;
	static const size_t lengths[] = { 1, 2, 3, 4, 8, 16, 64 };
	struct check *check = check_open(NULL);
	uint8_t whole[256] = { [SCANOUTS] = 2 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(lengths); i++) {
		for (uint32_t offset = 0; offset + lengths[i] <= 72; offset++) {
			uint8_t got[64];
			memset(got, CHECK_SENTINEL, sizeof(got));
			assert_int_equal(
				neep_driver_read_config(check_driver(check), offset, got, lengths[i]), 0);
			assert_memory_equal(got, whole + offset, lengths[i]);
		}
	}
	uint8_t all[256];
	assert_int_equal(neep_driver_read_config(check_driver(check), 0, all, sizeof(all)), 0);
	assert_memory_equal(all, whole, sizeof(all));
	check_close(check);
}

static void check_003_config_is_read_only(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	write_word(check, SCANOUTS, 7);
	write_word(check, EVENTS_READ, 0xffffffff);
	write_word(check, offsetof(struct virtio_gpu_config, num_capsets), 7);
	write_word(check, 64, 7);
	write_word(check, 252, 7);
	assert_int_equal(read_word(check, SCANOUTS), 2);
	assert_int_equal(read_word(check, EVENTS_READ), 0);
	assert_int_equal(read_word(check, offsetof(struct virtio_gpu_config, num_capsets)), 0);
	check_close(check);
}

static void check_004_clear_with_nothing_pending(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	uint64_t seen = neep_driver_config_changes(check_driver(check));
	write_word(check, EVENTS_CLEAR, 0xffffffff);
	write_word(check, EVENTS_CLEAR, 0);
	assert_int_equal(read_word(check, EVENTS_CLEAR), 0);
	assert_int_equal(read_word(check, EVENTS_READ), 0);
	assert_int_equal(neep_driver_config_changes(check_driver(check)), seen);
	check_close(check);
}

/* The generation is the transport's: a front-end counts it up with the interrupt. */
static void check_005_resize_raises_the_event(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	uint64_t seen = neep_driver_config_changes(check_driver(check));
	assert_int_equal(check_set_output(check, 0, 1920, 1080), 0);
	wait_change(check, seen);
	assert_int_equal(read_word(check, EVENTS_READ), VIRTIO_GPU_EVENT_DISPLAY);
	check_close(check);
}

static void check_006_clear_takes_the_event(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(check_set_output(check, 0, 1920, 1080), 0);
	assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, 1920);
	assert_int_equal(read_word(check, EVENTS_READ), VIRTIO_GPU_EVENT_DISPLAY);
	/* Another event's bit clears nothing. */
	write_word(check, EVENTS_CLEAR, 0x2);
	assert_int_equal(read_word(check, EVENTS_READ), VIRTIO_GPU_EVENT_DISPLAY);
	write_word(check, EVENTS_CLEAR, VIRTIO_GPU_EVENT_DISPLAY);
	assert_int_equal(read_word(check, EVENTS_READ), 0);
	check_close(check);
}

static void check_007_resize_between_info_and_clear(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(check_set_output(check, 0, 1920, 1080), 0);
	assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(check_set_output(check, 0, 1600, 900), 0);
	uint64_t seen = neep_driver_config_changes(check_driver(check));
	write_word(check, EVENTS_CLEAR, VIRTIO_GPU_EVENT_DISPLAY);
	wait_change(check, seen);
	assert_int_equal(read_word(check, EVENTS_READ), VIRTIO_GPU_EVENT_DISPLAY);
	assert_int_equal(check_display_info(check, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, 1600);
	write_word(check, EVENTS_CLEAR, VIRTIO_GPU_EVENT_DISPLAY);
	assert_int_equal(read_word(check, EVENTS_READ), 0);
	check_close(check);
}

static struct check *open_without(uint64_t features, bool has_3d) {
	struct check_options options = check_options();
	options.driver.features &= ~features;
	options.has_3d = has_3d;
	options.device.hostmem = UINT64_C(16) << 20;
	return check_open(&options);
}

/* A command of this type, with a body that is long enough for any. */
static uint32_t send_type(struct check *check, uint32_t type) {
	uint8_t bytes[256] = { 0 };
	struct virtio_gpu_ctrl_hdr hdr = { .type = type };
	memcpy(bytes, &hdr, sizeof(hdr));
	return check_cmd(check, bytes, sizeof(bytes), NULL, 2048);
}

static void check_008_edid_needs_its_feature(void **state) {
	(void)state;
	struct check *check = open_without(CHECK_BIT(VIRTIO_GPU_F_EDID), false);
	assert_int_equal(send_type(check, VIRTIO_GPU_CMD_GET_EDID), CHECK_UNSPEC);
	check_close(check);
}

static void check_009_blobs_need_their_feature(void **state) {
	(void)state;
	static const uint32_t types[] = { VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
		VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB };
	struct check *check = open_without(CHECK_BIT(VIRTIO_GPU_F_RESOURCE_BLOB), true);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(types); i++) {
		assert_int_equal(send_type(check, types[i]), CHECK_UNSPEC);
	}
	check_close(check);
}

static void assert_no_3d(struct check *check) {
	for (uint32_t type = VIRTIO_GPU_CMD_CTX_CREATE; type <= VIRTIO_GPU_CMD_SUBMIT_3D; type++) {
		assert_int_equal(send_type(check, type), CHECK_UNSPEC);
	}
	assert_int_equal(send_type(check, VIRTIO_GPU_CMD_GET_CAPSET_INFO), CHECK_UNSPEC);
	assert_int_equal(send_type(check, VIRTIO_GPU_CMD_GET_CAPSET), CHECK_UNSPEC);
}

static void check_010_3d_needs_its_feature(void **state) {
	(void)state;
	struct check *check =
		open_without(CHECK_BIT(VIRTIO_GPU_F_VIRGL) | CHECK_BIT(VIRTIO_GPU_F_CONTEXT_INIT), true);
	assert_no_3d(check);
	check_close(check);
}

static void check_010_no_3d_without_capsets(void **state) {
	(void)state;
	struct check *check = check_open(NULL);
	assert_false(neep_frontend_offered_features(neep_driver_frontend(check_driver(check))) &
		     (CHECK_BIT(VIRTIO_GPU_F_VIRGL) | CHECK_BIT(VIRTIO_GPU_F_CONTEXT_INIT)));
	assert_no_3d(check);
	check_close(check);
}

static void check_011_uuid_needs_its_feature(void **state) {
	(void)state;
	struct check *check = open_without(CHECK_BIT(VIRTIO_GPU_F_RESOURCE_UUID), false);
	assert_int_equal(send_type(check, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID), CHECK_UNSPEC);
	check_close(check);
}

/* vhost-user has no FEATURES_OK to refuse: a bit whose base is missing has no effect. */
static void check_012_context_init_without_virgl_is_nothing(void **state) {
	(void)state;
	struct check *check = open_without(CHECK_BIT(VIRTIO_GPU_F_VIRGL), true);
	assert_no_3d(check);
	check_close(check);
}

static void check_012_blob_alignment_without_blobs_is_nothing(void **state) {
	(void)state;
	struct check_options options = check_options();
	options.driver.features &= ~CHECK_BIT(VIRTIO_GPU_F_RESOURCE_BLOB);
	options.driver.features |= CHECK_BIT(CHECK_F_BLOB_ALIGNMENT);
	options.device.blob_alignment = 65536;
	struct check *check = check_open(&options);
	assert_int_equal(read_word(check, 16), 65536);
	assert_int_equal(send_type(check, VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB), CHECK_UNSPEC);
	check_close(check);
}

static const struct CMUnitTest tests[] = {
	device_check(check_001_config_at_start),
	device_check(check_001_config_at_start_with_capsets),
	device_check(check_002_config_of_any_size_and_place),
	device_check(check_003_config_is_read_only),
	device_check(check_004_clear_with_nothing_pending),
	device_check(check_005_resize_raises_the_event),
	device_check(check_006_clear_takes_the_event),
	device_check(check_007_resize_between_info_and_clear),
	device_check(check_008_edid_needs_its_feature),
	device_check(check_009_blobs_need_their_feature),
	device_check(check_010_3d_needs_its_feature),
	device_check(check_010_no_3d_without_capsets),
	device_check(check_011_uuid_needs_its_feature),
	device_check(check_012_context_init_without_virgl_is_nothing),
	device_check(check_012_blob_alignment_without_blobs_is_nothing),
};

int main(void) {
	return cmocka_run_group_tests_name("device config", tests, NULL, NULL);
}
