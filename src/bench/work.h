/* Images that loads move about. Room-internal. */
#ifndef NEEP_BENCH_WORK_H
#define NEEP_BENCH_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "driver/driver.h"

/* 0 for an OK response, -EREMOTEIO for an error response, a negative errno as it is. */
int bench_expect_ok(int response);

/* An x8r8g8b8 resource and its backing, which covers all of it. */
struct bench_image {
	uint32_t resource_id;
	uint32_t width, height;
	bool is_scattered; // backing in single pages
	struct neep_guest_buffer backing;
};

/* All return 0 or a negative errno; create leaves nothing behind that needs freeing but the backing. */
int bench_image_create(struct neep_driver *driver, struct bench_image *image);
int bench_image_upload(struct neep_driver *driver, const struct bench_image *image); // all of it
int bench_image_show(struct neep_driver *driver, const struct bench_image *image);   // set scanout 0, flush
int bench_image_drop_backing(struct neep_driver *driver, struct bench_image *image); // detach and free

#endif
