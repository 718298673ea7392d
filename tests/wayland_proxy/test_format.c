#include <drm_fourcc.h>
#include <limits.h>

#include "support/cmocka.h"
#include "wayland/format.h"
#include "wayland/wayland-protocol.h"

static bool init(
	struct neep_wl_layout *layout, uint32_t format, int32_t width, int32_t height, int32_t stride) {
	return neep_wl_layout_init(
		layout, &(struct neep_wl_image){
				.format = format, .width = width, .height = height, .stride = stride });
}

static void format_is_known_by_the_numbers_of_wl_shm_and_of_drm(void **state) {
	(void)state;
	assert_true(neep_wl_format_is_known(WL_SHM_FORMAT_ARGB8888));
	assert_true(neep_wl_format_is_known(WL_SHM_FORMAT_XRGB8888));
	assert_true(neep_wl_format_is_known(DRM_FORMAT_RGB565));
	assert_false(neep_wl_format_is_known(DRM_FORMAT_ARGB8888));
	assert_false(neep_wl_format_is_known(DRM_FORMAT_YUV420_10BIT));
	assert_false(neep_wl_format_is_known(UINT32_MAX));
}

static void layout_of_packed_pixels_is_that_of_their_rows(void **state) {
	(void)state;
	static const struct {
		uint32_t format, pixel_size;
	} cases[] = {
		{ DRM_FORMAT_R8, 1 },
		{ DRM_FORMAT_RGB565, 2 },
		{ DRM_FORMAT_BGR888, 3 },
		{ WL_SHM_FORMAT_ARGB8888, 4 },
		{ DRM_FORMAT_ABGR2101010, 4 },
		{ DRM_FORMAT_ABGR16161616F, 8 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct neep_wl_layout layout;
		assert_true(init(&layout, cases[i].format, 10, 4, 100));
		assert_int_equal(layout.pixel_size, cases[i].pixel_size);
		assert_int_equal(layout.row_size, 10 * cases[i].pixel_size);
		assert_int_equal(layout.size, 400);
		assert_false(layout.is_indivisible);
	}
}

static void layout_of_planes_has_all_of_them(void **state) {
	(void)state;
	static const struct {
		uint32_t format;
		int32_t stride;
		size_t size;
	} cases[] = {
		{ DRM_FORMAT_NV12, 10, 10 * 10 + 5 * 5 * 2 },
		{ DRM_FORMAT_YUV420, 11, 11 * 10 + 6 * 5 * 2 },
		{ DRM_FORMAT_NV16, 10, 10 * 10 * 2 },
		{ DRM_FORMAT_YUV444, 10, 10 * 10 * 3 },
		{ DRM_FORMAT_P010, 20, 20 * 10 + 5 * 5 * 4 },
		{ DRM_FORMAT_YUV410, 12, 12 * 10 + 3 * 3 * 2 },
		{ DRM_FORMAT_YUYV, 20, 20 * 10 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct neep_wl_layout layout;
		assert_true(init(&layout, cases[i].format, 10, 10, cases[i].stride));
		assert_int_equal(layout.size, cases[i].size);
		assert_true(layout.is_indivisible);
	}
}

static void layout_is_refused_when_numbers_are_bad(void **state) {
	(void)state;
	struct neep_wl_layout layout;
	assert_false(init(&layout, UINT32_MAX, 1, 1, 4));
	assert_false(init(&layout, 0, 0, 1, 4));
	assert_false(init(&layout, 0, 1, 0, 4));
	assert_false(init(&layout, 0, 1, 1, 0));
	assert_false(init(&layout, 0, -1, 1, 4));
	assert_false(init(&layout, 0, 1, -1, 4));
	assert_false(init(&layout, 0, 1, 1, -4));
	assert_false(init(&layout, 0, INT_MIN, INT_MIN, INT_MIN));
	assert_false(init(&layout, 0, 10, 1, 39));
	assert_false(init(&layout, DRM_FORMAT_YUYV, 11, 1, 22));
	assert_false(init(&layout, 0, INT_MAX, 1, INT_MAX));
	assert_false(init(&layout, 0, 1, INT_MAX, 4));
	assert_false(init(&layout, 0, 1, 65536, 32768));
	assert_true(init(&layout, 0, 1, 65535, 32768));
	assert_false(init(&layout, DRM_FORMAT_NV12, 1, 65535, 32768));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_is_known_by_the_numbers_of_wl_shm_and_of_drm),
		cmocka_unit_test(layout_of_packed_pixels_is_that_of_their_rows),
		cmocka_unit_test(layout_of_planes_has_all_of_them),
		cmocka_unit_test(layout_is_refused_when_numbers_are_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
