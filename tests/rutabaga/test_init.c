/* Starting and ending instances, capset names, NULL everywhere, messages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"
#include "support/cmocka.h"

static void mask_of_every_name(void **state) {
	(void)state;
	static const struct {
		const char *names;
		uint64_t mask;
	} rows[] = {
		{ "virgl", 1 << 1 },
		{ "virgl2", 1 << 2 },
		{ "gfxstream-vulkan", 1 << 3 },
		{ "venus", 1 << 4 },
		{ "cross-domain", 1 << 5 },
		{ "drm", 1 << 6 },
		{ "gfxstream-magma", 1 << 7 },
		{ "magma", 1 << 7 },
		{ "gfxstream-gles", 1 << 8 },
		{ "gfxstream-composer", 1 << 9 },
		{ "gfxstream-vulkan:cross-domain", 1 << 3 | 1 << 5 },
		{ "venus:venus", 1 << 4 },
		{ "", 0 },
		{ ":", 0 },
		{ ":drm:", 1 << 6 },
		{ "Virgl:virgl3:virg", 0 },
		{ "nonsense:drm", 1 << 6 },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(rows); i++) {
		uint64_t mask = 99;
		assert_int_equal(rutabaga_calculate_capset_mask(rows[i].names, &mask), 0);
		assert_int_equal(mask, rows[i].mask);
	}
}

static void strict_names_say_what_is_wrong(void **state) {
	(void)state;
	uint64_t mask = 99;
	char message[512];
	assert_int_equal(neep_rutabaga_parse_capset_names("", &mask, message, sizeof(message)), 0);
	assert_int_equal(mask, 0);
	assert_string_equal(message, "");
	assert_int_equal(neep_rutabaga_parse_capset_names("bogus", &mask, message, sizeof(message)), -EINVAL);
	assert_non_null(strstr(message, "'bogus'"));
	assert_non_null(strstr(message, "gfxstream-composer"));
	assert_int_equal(neep_rutabaga_parse_capset_names("drm:", &mask, NULL, 0), -ENOTSUP);
	assert_int_equal(
		neep_rutabaga_parse_capset_names("virgl2", &mask, message, sizeof(message)), -ENOTSUP);
	assert_non_null(strstr(message, "'virgl2' is not built into"));
	assert_int_equal(neep_rutabaga_parse_capset_names("gfxstream-vulkan", &mask, NULL, 0), 0);
	assert_int_equal(mask, 1 << RUTABAGA_CAPSET_GFXSTREAM_VULKAN);
	assert_int_equal(neep_rutabaga_parse_capset_names(":", &mask, message, 4), -EINVAL);
	assert_int_equal(strlen(message), 3);
	assert_int_equal(neep_rutabaga_parse_capset_names(NULL, &mask, NULL, 0), -EINVAL);
	assert_int_equal(neep_rutabaga_parse_capset_names("", NULL, NULL, 0), -EINVAL);
}

static void init_refuses_a_capset_that_is_not_built_in(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga_builder builder = recorder_builder(&r, UINT64_C(1) << RUTABAGA_CAPSET_VENUS);
	struct rutabaga *rutabaga = (struct rutabaga *)&r;
	assert_int_equal(rutabaga_init(&builder, &rutabaga), -ENOTSUP);
	assert_null(rutabaga);
	assert_int_equal(r.messages[RUTABAGA_DEBUG_ERROR], 1);
	assert_non_null(strstr(r.last_message, "venus"));
	assert_non_null(strstr(r.last_message, "not built into"));
}

static void init_refuses_bad_builders(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga *rutabaga;
	struct rutabaga_builder builder = recorder_builder(&r, 0);
	builder.fence_cb = NULL;
	assert_int_equal(rutabaga_init(&builder, &rutabaga), -EINVAL);
	const uint64_t bad_wsi[] = { 0, 2, 3, UINT64_MAX, NEEP_RUTABAGA_WSI_FEATURES, UINT64_C(1) << 62 | 1 };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_wsi); i++) {
		builder = recorder_builder(&r, 0);
		builder.wsi = bad_wsi[i];
		assert_int_equal(rutabaga_init(&builder, &rutabaga), -EINVAL);
		assert_null(rutabaga);
	}
	const uint64_t bad_mask[] = { 1, UINT64_C(1) << 31, UINT64_C(1) << 63, UINT64_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(bad_mask); i++) {
		builder = recorder_builder(&r, bad_mask[i]);
		assert_int_equal(rutabaga_init(&builder, &rutabaga), -EINVAL);
	}
	struct rutabaga_channel channel = { .channel_name = NULL,
		.channel_type = RUTABAGA_CHANNEL_TYPE_WAYLAND };
	struct rutabaga_channels channels = { &channel, 1 };
	builder = recorder_builder(&r, 0);
	builder.channels = &channels;
	assert_int_equal(rutabaga_init(&builder, &rutabaga), -EINVAL);
	channels.num_channels = SIZE_MAX;
	assert_int_equal(rutabaga_init(&builder, &rutabaga), -EINVAL);
	channels = (struct rutabaga_channels){ NULL, 1 };
	assert_int_equal(rutabaga_init(&builder, &rutabaga), -EINVAL);
}

/* A component that records what it was created with. */
static struct {
	char features[32];
	size_t channel_count;
	char channel_name[32];
} seen;

static const struct neep_component_impl witness_impl;

static int witness_create(
	const struct neep_component_config *config, struct neep_component **out, struct neep_error *error) {
	(void)error;
	memset(&seen, 0, sizeof(seen));
	if (config->renderer_features != NULL) {
		strncpy(seen.features, config->renderer_features, sizeof(seen.features) - 1);
	}
	seen.channel_count = config->channel_count;
	if (config->channel_count > 0) {
		strncpy(seen.channel_name, config->channels[0].channel_name, sizeof(seen.channel_name) - 1);
	}
	*out = calloc(1, sizeof(**out));
	(*out)->impl = &witness_impl;
	return 0;
}

static void witness_destroy(struct neep_component *component) {
	free(component);
}

static int witness_capset_info(struct neep_component *component, uint32_t id, struct neep_capset_info *info) {
	(void)component;
	*info = (struct neep_capset_info){ .max_size = id == 20 ? NEEP_CAPSET_SIZE_MAX + 1 : 4 };
	return id == 21 ? -EIO : 0;
}

static int witness_capset(
	struct neep_component *component, uint32_t id, uint32_t version, uint8_t *data, size_t size) {
	(void)component;
	(void)id;
	(void)version;
	(void)data;
	(void)size;
	return 0;
}

static const struct neep_component_impl witness_impl = {
	.name = "witness",
	.capset_mask = 1 << 20 | 1 << 21 | 1 << 22,
	.create = witness_create,
	.destroy = witness_destroy,
	.capset_info = witness_capset_info,
	.capset = witness_capset,
};

static int init_with_witness(struct rutabaga_builder *builder, struct rutabaga **rutabaga) {
	const struct neep_component_impl *extra[] = { &witness_impl };
	return neep_core_init(builder, extra, 1, rutabaga);
}

static void features_are_read_only_when_the_caller_says_so(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga_channel channel = { "/run/wayland-0", RUTABAGA_CHANNEL_TYPE_WAYLAND };
	struct rutabaga_channels channels = { &channel, 1 };
	struct rutabaga_builder builder = recorder_builder(&r, 1 << 22);
	builder.channels = &channels;
	builder.renderer_features = (const char *)1; // garbage behind an old caller's struct
	assert_int_equal(init_with_witness(&builder, &r.rutabaga), 0);
	assert_string_equal(seen.features, "");
	assert_string_equal(seen.channel_name, "/run/wayland-0");
	rutabaga_finish(&r.rutabaga);
	builder.wsi |= NEEP_RUTABAGA_WSI_FEATURES;
	builder.renderer_features = "a:enabled";
	assert_int_equal(init_with_witness(&builder, &r.rutabaga), 0);
	assert_string_equal(seen.features, "a:enabled");
	rutabaga_finish(&r.rutabaga);
	builder.renderer_features = NULL;
	assert_int_equal(init_with_witness(&builder, &r.rutabaga), 0);
	rutabaga_finish(&r.rutabaga);
}

static void init_fails_when_a_capset_does_not_describe_itself(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga_builder builder = recorder_builder(&r, 1 << 20);
	assert_int_equal(init_with_witness(&builder, &r.rutabaga), -EIO);
	builder.capset_mask = 1 << 21;
	assert_int_equal(init_with_witness(&builder, &r.rutabaga), -EIO);
	assert_int_equal(r.messages[RUTABAGA_DEBUG_ERROR], 2);
}

static void messages_come_at_three_levels(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga_builder builder = recorder_builder(&r, 0);
	assert_int_equal(rutabaga_init(&builder, &r.rutabaga), 0);
	assert_int_equal(r.messages[RUTABAGA_DEBUG_INFO], 1);
	assert_int_equal(rutabaga_resource_unref(r.rutabaga, 77), -ENOENT);
	assert_int_equal(r.messages[RUTABAGA_DEBUG_WARN], 1);
	assert_string_equal(r.last_message, "resource_unref(77): no such resource");
	rutabaga_finish(&r.rutabaga);
	builder.wsi = 0;
	assert_int_equal(rutabaga_init(&builder, &r.rutabaga), -EINVAL);
	assert_int_equal(r.messages[RUTABAGA_DEBUG_ERROR], 1);
}

static void messages_of_a_flood_are_few(void **state) {
	(void)state;
	struct recorder r = { .rutabaga = NULL };
	struct rutabaga_builder builder = recorder_builder(&r, 0);
	assert_int_equal(rutabaga_init(&builder, &r.rutabaga), 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(rutabaga_resource_unref(r.rutabaga, 77), -ENOENT);
	}
	assert_true(r.messages[RUTABAGA_DEBUG_WARN] < 100);
	rutabaga_finish(&r.rutabaga);
}

static void two_instances_share_nothing(void **state) {
	(void)state;
	struct recorder a = { .rutabaga = NULL }, b = { .rutabaga = NULL };
	struct rutabaga_builder build_a = recorder_builder(&a, 0), build_b = recorder_builder(&b, 0);
	assert_int_equal(rutabaga_init(&build_a, &a.rutabaga), 0);
	assert_int_equal(neep_fake_rutabaga_init(&build_b, &b.rutabaga), 0);
	struct rutabaga_create_3d args = create_2d_args(1, 4, 4);
	assert_int_equal(rutabaga_resource_create_3d(a.rutabaga, 1, &args), 0);
	assert_int_equal(rutabaga_resource_unref(b.rutabaga, 1), -ENOENT);
	assert_int_equal(rutabaga_resource_create_3d(b.rutabaga, 1, &args), 0);
	assert_int_equal(rutabaga_context_create(b.rutabaga, 1, 0, NULL, 0), 0);
	assert_int_equal(rutabaga_context_create(a.rutabaga, 1, 0, NULL, 0), -ENOTSUP);
	struct rutabaga_fence fence = global_fence(1);
	assert_int_equal(rutabaga_create_fence(a.rutabaga, &fence), 0);
	assert_int_equal(a.fence_count, 1);
	assert_int_equal(b.fence_count, 0);
	assert_int_equal(rutabaga_finish(&a.rutabaga), 0);
	assert_int_equal(rutabaga_resource_unref(b.rutabaga, 1), 0);
	assert_int_equal(rutabaga_finish(&b.rutabaga), 0);
	assert_int_equal(rutabaga_finish(&b.rutabaga), 0);
}

static void expect_invalid(const int *results, size_t count) {
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(results[i], -EINVAL);
	}
}

static void null_is_an_error_for_instances_and_contexts(void **state) {
	struct recorder *r = *state;
	struct rutabaga *p = r->rutabaga, *none = NULL;
	uint32_t u;
	uint64_t mask;
	struct rutabaga_command command = { .ctx_id = 1 };
	struct rutabaga_fence fence = global_fence(1);
	struct rutabaga_builder builder = recorder_builder(r, 0);
	const int results[] = {
		rutabaga_calculate_capset_mask(NULL, &mask),
		rutabaga_calculate_capset_mask("", NULL),
		rutabaga_init(NULL, &none),
		rutabaga_init(&builder, NULL),
		rutabaga_finish(NULL),
		rutabaga_get_num_capsets(NULL, &u),
		rutabaga_get_num_capsets(p, NULL),
		rutabaga_get_capset_info(NULL, 0, &u, &u, &u),
		rutabaga_get_capset_info(p, 0, NULL, &u, &u),
		rutabaga_get_capset_info(p, 0, &u, NULL, &u),
		rutabaga_get_capset_info(p, 0, &u, &u, NULL),
		rutabaga_get_capset(NULL, 6, 0, NULL, 0),
		rutabaga_context_create(NULL, 1, 0, NULL, 0),
		rutabaga_context_destroy(NULL, 1),
		rutabaga_context_attach_resource(NULL, 1, 1),
		rutabaga_context_detach_resource(NULL, 1, 1),
		rutabaga_submit_command(NULL, &command),
		rutabaga_submit_command(p, NULL),
		rutabaga_create_fence(NULL, &fence),
		rutabaga_create_fence(p, NULL),
		rutabaga_snapshot(NULL, "/"),
		rutabaga_snapshot(p, NULL),
		rutabaga_restore(NULL, "/"),
		rutabaga_restore(p, NULL),
	};
	expect_invalid(results, NEEP_ARRAY_LEN(results));
	assert_int_equal(rutabaga_finish(&none), 0);
}

static void null_is_an_error_for_resources(void **state) {
	struct recorder *r = *state;
	struct rutabaga *p = r->rutabaga;
	uint32_t u;
	struct rutabaga_create_3d create = create_2d_args(1, 1, 1);
	struct rutabaga_create_blob blob = { 1, 0, 0, 4096 };
	struct rutabaga_iovecs iovecs = { NULL, 0 };
	struct rutabaga_transfer transfer = { .w = 1, .h = 1, .d = 1 };
	struct rutabaga_handle handle = { -1, 0 };
	struct rutabaga_mapping mapping;
	struct rutabaga_import_data import = { .flags = 0 };
	const int results[] = {
		rutabaga_resource_create_3d(NULL, 1, &create),
		rutabaga_resource_create_3d(p, 1, NULL),
		rutabaga_resource_attach_backing(NULL, 1, &iovecs),
		rutabaga_resource_attach_backing(p, 1, NULL),
		rutabaga_resource_detach_backing(NULL, 1),
		rutabaga_resource_transfer_read(NULL, 0, 1, &transfer, NULL),
		rutabaga_resource_transfer_read(p, 0, 1, NULL, NULL),
		rutabaga_resource_transfer_write(NULL, 0, 1, &transfer),
		rutabaga_resource_transfer_write(p, 0, 1, NULL),
		rutabaga_resource_create_blob(NULL, 0, 1, &blob, NULL, &handle),
		rutabaga_resource_create_blob(p, 0, 1, NULL, NULL, NULL),
		rutabaga_resource_unref(NULL, 1),
		rutabaga_resource_export_blob(NULL, 1, &handle),
		rutabaga_resource_export_blob(p, 1, NULL),
		rutabaga_resource_map(NULL, 1, &mapping),
		rutabaga_resource_map(p, 1, NULL),
		rutabaga_resource_unmap(NULL, 1),
		rutabaga_resource_map_info(NULL, 1, &u),
		rutabaga_resource_map_info(p, 1, NULL),
		rutabaga_resource_import(NULL, 1, &handle, &import),
		rutabaga_resource_import(p, 1, NULL, &import),
		rutabaga_resource_import(p, 1, &handle, NULL),
		rutabaga_resource_wait_sync(NULL, 1),
	};
	expect_invalid(results, NEEP_ARRAY_LEN(results));
}

static void null_is_an_error_for_what_neep_adds(void **state) {
	struct recorder *r = *state;
	struct rutabaga *p = r->rutabaga;
	struct neep_rutabaga_image *image;
	struct neep_rutabaga_mapping *counted;
	struct neep_rutabaga_resource_info info;
	struct neep_rutabaga_limits limits;
	struct neep_rutabaga_usage usage;
	const struct iovec *iov;
	size_t count;
	const int results[] = {
		neep_rutabaga_event_fd(NULL),
		neep_rutabaga_dispatch(NULL),
		neep_rutabaga_reset(NULL),
		neep_rutabaga_resource_image(NULL, 1, &image),
		neep_rutabaga_resource_image(p, 1, NULL),
		neep_rutabaga_resource_info(NULL, 1, &info),
		neep_rutabaga_resource_info(p, 1, NULL),
		neep_rutabaga_resource_backing(NULL, 1, &iov, &count),
		neep_rutabaga_resource_backing(p, 1, NULL, &count),
		neep_rutabaga_resource_backing(p, 1, &iov, NULL),
		neep_rutabaga_resource_mapping(NULL, 1, &counted),
		neep_rutabaga_resource_mapping(p, 1, NULL),
		neep_rutabaga_get_limits(NULL, &limits),
		neep_rutabaga_get_limits(p, NULL),
		neep_rutabaga_set_limits(NULL, &limits),
		neep_rutabaga_set_limits(p, NULL),
		neep_rutabaga_get_usage(NULL, &usage),
		neep_rutabaga_get_usage(p, NULL),
	};
	expect_invalid(results, NEEP_ARRAY_LEN(results));
	assert_null(neep_rutabaga_image_ref(NULL));
	neep_rutabaga_image_unref(NULL);
}

static void unstable_functions_say_they_are_not_there(void **state) {
	struct recorder *r = *state;
	struct rutabaga_handle handle = { -1, 0 };
	struct rutabaga_import_data import = { .flags = 0 };
	struct rutabaga_create_3d create = create_2d_args(1, 1, 1);
	assert_int_equal(rutabaga_snapshot(r->rutabaga, "/nowhere"), -ENOTSUP);
	assert_int_equal(rutabaga_restore(r->rutabaga, "/nowhere"), -ENOTSUP);
	assert_int_equal(rutabaga_resource_import(r->rutabaga, 1, &handle, &import), -ENOTSUP);
	assert_int_equal(rutabaga_resource_wait_sync(r->rutabaga, 1), -ENOENT);
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, 1, &create), 0);
	assert_int_equal(rutabaga_resource_wait_sync(r->rutabaga, 1), 0);
}

#define WITH_2D(f) cmocka_unit_test_setup_teardown(f, recorder_setup_2d, recorder_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mask_of_every_name),
		cmocka_unit_test(strict_names_say_what_is_wrong),
		cmocka_unit_test(init_refuses_a_capset_that_is_not_built_in),
		cmocka_unit_test(init_refuses_bad_builders),
		cmocka_unit_test(features_are_read_only_when_the_caller_says_so),
		cmocka_unit_test(init_fails_when_a_capset_does_not_describe_itself),
		cmocka_unit_test(messages_come_at_three_levels),
		cmocka_unit_test(messages_of_a_flood_are_few),
		cmocka_unit_test(two_instances_share_nothing),
		WITH_2D(null_is_an_error_for_instances_and_contexts),
		WITH_2D(null_is_an_error_for_resources),
		WITH_2D(null_is_an_error_for_what_neep_adds),
		WITH_2D(unstable_functions_say_they_are_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
