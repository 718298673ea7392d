/* A program built against the installed headers only: the long builder, with and without the word that it is long. */
#include <rutabaga_gfx/neep_rutabaga.h>
#include <rutabaga_gfx/rutabaga_gfx_ffi.h>
#include <stdio.h>

#include "guarded.h"

_Static_assert(offsetof(struct rutabaga_builder, renderer_features) == 48, "behind the members of 0.1.2");
_Static_assert(sizeof(struct rutabaga_builder) == 56, "the builder of 0.1.6");
_Static_assert(sizeof(struct rutabaga_command) == 32, "as published");
_Static_assert(sizeof(struct rutabaga_transfer) == 48 && offsetof(struct rutabaga_transfer, offset) == 40,
	"as published");
_Static_assert(sizeof(struct rutabaga_fence) == 24 && offsetof(struct rutabaga_fence, ring_idx) == 20,
	"as published");
_Static_assert(
	sizeof(struct rutabaga_create_blob) == 24 && sizeof(struct rutabaga_create_3d) == 40, "as published");
_Static_assert(sizeof(struct rutabaga_handle) == 16 && sizeof(struct rutabaga_mapping) == 16, "as published");
_Static_assert(sizeof(struct rutabaga_channel) == 16 && sizeof(struct rutabaga_debug) == 16, "as published");

static int count;

static void check(int ok, const char *what) {
	printf("%sok %d - %s\n", ok ? "" : "not ", ++count, what);
}

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	*(uint64_t *)(uintptr_t)user_data = fence->fence_id;
}

/* As QEMU's device starts it: the renderer is found from where the library lies. */
static void start_vulkan(struct rutabaga_builder builder) {
	struct rutabaga *rutabaga = NULL;
	uint32_t capsets = 0;
	builder.capset_mask = 1 << RUTABAGA_CAPSET_GFXSTREAM_VULKAN;
	check(rutabaga_init(guarded_copy(&builder, sizeof(builder)), &rutabaga) == 0, "init with Vulkan");
	check(rutabaga_get_num_capsets(rutabaga, &capsets) == 0 && capsets == 1, "one capset");
	check(rutabaga_finish(&rutabaga) == 0, "finish");
}

int main(void) {
	uint64_t told = 0;
	struct rutabaga *rutabaga = NULL;
	struct rutabaga_builder builder = {
		.user_data = (uint64_t)(uintptr_t)&told,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = on_fence,
		.renderer_features = "not:read",
	};
	check(rutabaga_init(guarded_copy(&builder, sizeof(builder)), &rutabaga) == 0,
		"init as a published caller");
	check(rutabaga_finish(&rutabaga) == 0, "finish");
	start_vulkan(builder);
	builder.wsi |= NEEP_RUTABAGA_WSI_FEATURES;
	check(rutabaga_init(guarded_copy(&builder, sizeof(builder)), &rutabaga) == 0,
		"init with renderer features");
	struct rutabaga_fence fence = { .flags = RUTABAGA_FLAG_FENCE, .fence_id = 7 };
	check(rutabaga_create_fence(rutabaga, &fence) == 0 && told == 7, "fence");
	check(neep_rutabaga_event_fd(rutabaga) >= 0 && neep_rutabaga_dispatch(rutabaga) == 0, "dispatch");
	check(neep_rutabaga_reset(rutabaga) == 0, "reset");
	check(rutabaga_finish(&rutabaga) == 0 && rutabaga == NULL, "finish");
	printf("1..%d\n", count);
	return 0;
}
