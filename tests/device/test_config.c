/* Checks 1 to 12: config space and features. */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#include "device/harness.h"
#include "util/clock.h"

#define EVENTS_READ  offsetof(struct virtio_gpu_config, events_read)
#define EVENTS_CLEAR offsetof(struct virtio_gpu_config, events_clear)

static uint32_t read_word(struct check *check, uint32_t offset) {
	uint32_t word = 0xdeadbeef;
	assert_int_equal(neep_driver_read_config(check_driver(check), offset, &word, sizeof(word)), 0);
	return word;
}

static void write_word(struct check *check, uint32_t offset, uint32_t word) {
	assert_int_equal(neep_driver_write_config(check_driver(check), offset, &word, sizeof(word)), 0);
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

static const struct CMUnitTest tests[] = {
	device_check(check_001_config_at_start),
};

int main(void) {
	(void)write_word;
	(void)read_word;
	return cmocka_run_group_tests_name("device config", tests, NULL, NULL);
}
