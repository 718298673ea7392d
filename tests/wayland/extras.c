/*
 * A client of a Wayland compositor that uses the protocols which toolkits seldom do, and says what it is told: of its window
 * (decoration, activation, presentation, scale, export to others, idleness), of the screen, and of the pointer, which it locks
 * when that comes in and, told "confine" on its standard input, only keeps in. It ends with its standard input.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "content-type-v1-client.h"
#include "fractional-scale-v1-client.h"
#include "globals.h"
#include "idle-inhibit-unstable-v1-client.h"
#include "paint.h"
#include "pointer-constraints-unstable-v1-client.h"
#include "presentation-time-client.h"
#include "relative-pointer-unstable-v1-client.h"
#include "single-pixel-buffer-v1-client.h"
#include "tearing-control-v1-client.h"
#include "xdg-activation-v1-client.h"
#include "xdg-decoration-unstable-v1-client.h"
#include "xdg-foreign-unstable-v2-client.h"
#include "xdg-output-unstable-v1-client.h"

enum global {
	OUTPUT,
	ACTIVATION,
	CONSTRAINTS,
	CONTENT_TYPE,
	DECORATION,
	EXPORTER,
	FRACTIONAL_SCALE,
	IDLE_INHIBIT,
	IMPORTER,
	PRESENTATION,
	RELATIVE_POINTER,
	SINGLE_PIXEL,
	TEARING,
	XDG_OUTPUT,
	GLOBALS
};

struct extras {
	struct wlb_client client;
	struct wanted globals[GLOBALS];
	struct wlb_window window;
	struct wl_pointer *pointer;
	struct zwp_locked_pointer_v1 *lock;
	struct zwp_confined_pointer_v1 *confinement;
};

static bool has(const struct extras *extras, enum global global) {
	if (extras->globals[global].proxy == NULL) {
		printf("no %s\n", extras->globals[global].interface->name);
		return false;
	}
	return true;
}

/* ---- the screen ---- */

static void say_output_position(void *data, struct zxdg_output_v1 *output, int32_t x, int32_t y) {
	(void)data;
	(void)output;
	printf("screen at %d %d\n", x, y);
}

static void say_output_size(void *data, struct zxdg_output_v1 *output, int32_t width, int32_t height) {
	(void)data;
	(void)output;
	printf("screen of %d %d\n", width, height);
}

static void say_output_done(void *data, struct zxdg_output_v1 *output) {
	(void)data;
	(void)output;
}

static void say_output_name(void *data, struct zxdg_output_v1 *output, const char *name) {
	(void)data;
	(void)output;
	printf("screen %s\n", name);
}

static const struct zxdg_output_v1_listener output_listener = {
	say_output_position, say_output_size, say_output_done, say_output_name,
	say_output_name, // the description
};

static void use_output(struct extras *extras) {
	if (has(extras, XDG_OUTPUT) && has(extras, OUTPUT)) {
		struct zxdg_output_v1 *output = zxdg_output_manager_v1_get_xdg_output(
			extras->globals[XDG_OUTPUT].proxy, extras->globals[OUTPUT].proxy);
		zxdg_output_v1_add_listener(output, &output_listener, NULL);
	}
}

/* ---- the window ---- */

static void say_decoration(void *data, struct zxdg_toplevel_decoration_v1 *decoration, uint32_t mode) {
	(void)data;
	(void)decoration;
	printf("decoration %u\n", mode);
}

static const struct zxdg_toplevel_decoration_v1_listener decoration_listener = { say_decoration };

static void use_decoration(struct extras *extras) {
	if (has(extras, DECORATION)) {
		struct zxdg_toplevel_decoration_v1 *decoration =
			zxdg_decoration_manager_v1_get_toplevel_decoration(
				extras->globals[DECORATION].proxy, extras->window.toplevel);
		zxdg_toplevel_decoration_v1_add_listener(decoration, &decoration_listener, NULL);
		zxdg_toplevel_decoration_v1_set_mode(
			decoration, ZXDG_TOPLEVEL_DECORATION_V1_MODE_CLIENT_SIDE);
	}
}

static void say_scale(void *data, struct wp_fractional_scale_v1 *fractional, uint32_t scale) {
	(void)data;
	(void)fractional;
	printf("scale %u\n", scale);
}

static const struct wp_fractional_scale_v1_listener scale_listener = { say_scale };

static void use_surface_extras(struct extras *extras) {
	struct wl_surface *surface = extras->window.surface;
	if (has(extras, FRACTIONAL_SCALE)) {
		struct wp_fractional_scale_v1 *fractional =
			wp_fractional_scale_manager_v1_get_fractional_scale(
				extras->globals[FRACTIONAL_SCALE].proxy, surface);
		wp_fractional_scale_v1_add_listener(fractional, &scale_listener, NULL);
	}
	if (has(extras, CONTENT_TYPE)) {
		struct wp_content_type_v1 *content = wp_content_type_manager_v1_get_surface_content_type(
			extras->globals[CONTENT_TYPE].proxy, surface);
		wp_content_type_v1_set_content_type(content, WP_CONTENT_TYPE_V1_TYPE_GAME);
	}
	if (has(extras, TEARING)) {
		struct wp_tearing_control_v1 *tearing = wp_tearing_control_manager_v1_get_tearing_control(
			extras->globals[TEARING].proxy, surface);
		wp_tearing_control_v1_set_presentation_hint(
			tearing, WP_TEARING_CONTROL_V1_PRESENTATION_HINT_ASYNC);
	}
	if (has(extras, IDLE_INHIBIT)) {
		zwp_idle_inhibit_manager_v1_create_inhibitor(extras->globals[IDLE_INHIBIT].proxy, surface);
	}
}

static void say_sync_output(void *data, struct wp_presentation_feedback *feedback, struct wl_output *output) {
	const struct extras *extras = data;
	(void)feedback;
	printf("presented on %s\n", output == extras->globals[OUTPUT].proxy ? "the screen" : "another");
}

/* It has an age of at most a minute. */
static void say_presented(void *data, struct wp_presentation_feedback *feedback, uint32_t seconds_high,
	uint32_t seconds_low, uint32_t nanoseconds, uint32_t refresh, uint32_t seq_high, uint32_t seq_low,
	uint32_t flags) {
	(void)data;
	(void)feedback;
	(void)seq_high;
	(void)seq_low;
	(void)flags;
	int64_t seconds = (int64_t)((uint64_t)seconds_high << 32 | seconds_low);
	int64_t age = wlb_now() / 1000000000 - seconds;
	bool is_recent = age >= 0 && age < 60 && nanoseconds < 1000000000;
	printf("presented %s, refresh %u\n", is_recent ? "just now" : "at another time", refresh);
}

static void ask_for_feedback(struct extras *extras);

/* As it may be at any time; until a picture is shown. */
static void say_discarded(void *data, struct wp_presentation_feedback *feedback) {
	struct extras *extras = data;
	(void)feedback;
	ask_for_feedback(extras);
	wl_surface_damage_buffer(extras->window.surface, 0, 0, 200, 200);
	wl_surface_commit(extras->window.surface);
}

static const struct wp_presentation_feedback_listener feedback_listener = {
	say_sync_output,
	say_presented,
	say_discarded,
};

static void ask_for_feedback(struct extras *extras) {
	wp_presentation_feedback_add_listener(
		wp_presentation_feedback(extras->globals[PRESENTATION].proxy, extras->window.surface),
		&feedback_listener, extras);
}

static void use_presentation(struct extras *extras) {
	if (has(extras, PRESENTATION)) {
		ask_for_feedback(extras);
	}
}

/* ---- with others ---- */

static void say_token(void *data, struct xdg_activation_token_v1 *token, const char *text) {
	struct extras *extras = data;
	printf("token %s\n", text[0] != '\0' ? "of some kind" : "that is empty");
	xdg_activation_v1_activate(extras->globals[ACTIVATION].proxy, text, extras->window.surface);
	xdg_activation_token_v1_destroy(token);
}

static const struct xdg_activation_token_v1_listener token_listener = { say_token };

static void use_activation(struct extras *extras) {
	if (has(extras, ACTIVATION)) {
		struct xdg_activation_token_v1 *token =
			xdg_activation_v1_get_activation_token(extras->globals[ACTIVATION].proxy);
		xdg_activation_token_v1_add_listener(token, &token_listener, extras);
		xdg_activation_token_v1_set_app_id(token, "neep-test-1");
		xdg_activation_token_v1_set_surface(token, extras->window.surface);
		xdg_activation_token_v1_commit(token);
	}
}

static void say_import_lost(void *data, struct zxdg_imported_v2 *imported) {
	(void)data;
	(void)imported;
	printf("the exported window is gone\n");
}

static const struct zxdg_imported_v2_listener imported_listener = { say_import_lost };

/* One's own window can be imported too; an invalid handle would be told as lost. */
static void say_handle(void *data, struct zxdg_exported_v2 *exported, const char *handle) {
	const struct extras *extras = data;
	printf("handle %s\n", handle[0] != '\0' ? "of some kind" : "that is empty");
	if (has(extras, IMPORTER)) {
		struct zxdg_imported_v2 *imported =
			zxdg_importer_v2_import_toplevel(extras->globals[IMPORTER].proxy, handle);
		zxdg_imported_v2_add_listener(imported, &imported_listener, NULL);
		/* Now it must be told. */
		zxdg_exported_v2_destroy(exported);
	}
}

static const struct zxdg_exported_v2_listener exported_listener = { say_handle };

static void use_export(struct extras *extras) {
	if (has(extras, EXPORTER)) {
		struct zxdg_exported_v2 *exported = zxdg_exporter_v2_export_toplevel(
			extras->globals[EXPORTER].proxy, extras->window.surface);
		zxdg_exported_v2_add_listener(exported, &exported_listener, extras);
	}
}

/* ---- the pointer ---- */

static void say_locked(void *data, struct zwp_locked_pointer_v1 *lock) {
	(void)data;
	(void)lock;
	printf("locked\n");
}

static void say_unlocked(void *data, struct zwp_locked_pointer_v1 *lock) {
	(void)data;
	(void)lock;
	printf("unlocked\n");
}

static const struct zwp_locked_pointer_v1_listener lock_listener = { say_locked, say_unlocked };

static void say_confined(void *data, struct zwp_confined_pointer_v1 *confinement) {
	(void)data;
	(void)confinement;
	printf("confined\n");
}

static void say_unconfined(void *data, struct zwp_confined_pointer_v1 *confinement) {
	(void)data;
	(void)confinement;
	printf("unconfined\n");
}

static const struct zwp_confined_pointer_v1_listener confinement_listener = { say_confined, say_unconfined };

static void say_relative(void *data, struct zwp_relative_pointer_v1 *relative, uint32_t time_high,
	uint32_t time_low, wl_fixed_t dx, wl_fixed_t dy, wl_fixed_t dx_raw, wl_fixed_t dy_raw) {
	(void)data;
	(void)relative;
	(void)time_high;
	(void)time_low;
	printf("relative %d %d %d %d\n", dx, dy, dx_raw, dy_raw);
}

static const struct zwp_relative_pointer_v1_listener relative_listener = { say_relative };

static void lock(struct extras *extras) {
	if (has(extras, CONSTRAINTS)) {
		extras->lock = zwp_pointer_constraints_v1_lock_pointer(extras->globals[CONSTRAINTS].proxy,
			extras->window.surface, extras->pointer, NULL,
			ZWP_POINTER_CONSTRAINTS_V1_LIFETIME_PERSISTENT);
		zwp_locked_pointer_v1_add_listener(extras->lock, &lock_listener, NULL);
	}
}

static void say_enter(void *data, struct wl_pointer *pointer, uint32_t serial, struct wl_surface *surface,
	wl_fixed_t x, wl_fixed_t y) {
	struct extras *extras = data;
	(void)pointer;
	(void)serial;
	(void)surface;
	printf("enter %d %d\n", wl_fixed_to_int(x), wl_fixed_to_int(y));
	if (extras->lock == NULL && extras->confinement == NULL) {
		lock(extras);
	}
}

static void say_leave(void *data, struct wl_pointer *pointer, uint32_t serial, struct wl_surface *surface) {
	(void)data;
	(void)pointer;
	(void)serial;
	(void)surface;
	printf("leave\n");
}

static void say_motion(void *data, struct wl_pointer *pointer, uint32_t time, wl_fixed_t x, wl_fixed_t y) {
	(void)data;
	(void)pointer;
	(void)time;
	printf("motion %d %d\n", wl_fixed_to_int(x), wl_fixed_to_int(y));
}

static void say_button(void *data, struct wl_pointer *pointer, uint32_t serial, uint32_t time,
	uint32_t button, uint32_t state) {
	(void)data;
	(void)pointer;
	(void)serial;
	(void)time;
	printf("button %u %u\n", button, state);
}

static void say_frame(void *data, struct wl_pointer *pointer) {
	(void)data;
	(void)pointer;
}

/* There is no wheel. */
static const struct wl_pointer_listener pointer_listener = {
	.enter = say_enter,
	.leave = say_leave,
	.motion = say_motion,
	.button = say_button,
	.frame = say_frame,
};

static void use_pointer(struct extras *extras) {
	extras->pointer = wl_seat_get_pointer(extras->client.seat);
	wl_pointer_add_listener(extras->pointer, &pointer_listener, extras);
	if (has(extras, RELATIVE_POINTER)) {
		struct zwp_relative_pointer_v1 *relative =
			zwp_relative_pointer_manager_v1_get_relative_pointer(
				extras->globals[RELATIVE_POINTER].proxy, extras->pointer);
		zwp_relative_pointer_v1_add_listener(relative, &relative_listener, NULL);
	}
}

static void confine(struct extras *extras) {
	zwp_locked_pointer_v1_destroy(extras->lock);
	struct wl_region *region = wl_compositor_create_region(extras->client.compositor);
	wl_region_add(region, 0, 0, 200, 200);
	extras->confinement = zwp_pointer_constraints_v1_confine_pointer(extras->globals[CONSTRAINTS].proxy,
		extras->window.surface, extras->pointer, region,
		ZWP_POINTER_CONSTRAINTS_V1_LIFETIME_PERSISTENT);
	zwp_confined_pointer_v1_add_listener(extras->confinement, &confinement_listener, NULL);
	wl_region_destroy(region);
	wlb_flush(&extras->client);
}

/* ---- all of it ---- */

static void show(struct extras *extras) {
	static struct wlb_memory memory;
	static struct wlb_picture picture;
	const struct wlb_shape shape = { 0, 200, 200, 800, WL_SHM_FORMAT_XRGB8888 };
	wlb_memory_create(&extras->client, 800 * 200, &memory);
	wlb_picture_create(&memory, &shape, &picture);
	paint(&memory, &picture, 1);
	wlb_attach(extras->window.surface, &picture);
	use_presentation(extras);
	wlb_commit_and_wait(&extras->client, extras->window.surface);
}

static void use_single_pixel(struct extras *extras) {
	if (has(extras, SINGLE_PIXEL)) {
		struct wl_surface *surface = wl_compositor_create_surface(extras->client.compositor);
		struct wl_buffer *buffer = wp_single_pixel_buffer_manager_v1_create_u32_rgba_buffer(
			extras->globals[SINGLE_PIXEL].proxy, UINT32_MAX, 0, 0, UINT32_MAX);
		wl_surface_attach(surface, buffer, 0, 0);
		wl_surface_commit(surface);
		wl_buffer_destroy(buffer);
		wl_surface_destroy(surface);
	}
}

int main(void) {
	static struct extras extras = {
		.globals = {
			[OUTPUT] = { &wl_output_interface, 1, NULL },
			[ACTIVATION] = { &xdg_activation_v1_interface, 1, NULL },
			[CONSTRAINTS] = { &zwp_pointer_constraints_v1_interface, 1, NULL },
			[CONTENT_TYPE] = { &wp_content_type_manager_v1_interface, 1, NULL },
			[DECORATION] = { &zxdg_decoration_manager_v1_interface, 1, NULL },
			[EXPORTER] = { &zxdg_exporter_v2_interface, 1, NULL },
			[FRACTIONAL_SCALE] = { &wp_fractional_scale_manager_v1_interface, 1, NULL },
			[IDLE_INHIBIT] = { &zwp_idle_inhibit_manager_v1_interface, 1, NULL },
			[IMPORTER] = { &zxdg_importer_v2_interface, 1, NULL },
			[PRESENTATION] = { &wp_presentation_interface, 1, NULL },
			[RELATIVE_POINTER] = { &zwp_relative_pointer_manager_v1_interface, 1, NULL },
			[SINGLE_PIXEL] = { &wp_single_pixel_buffer_manager_v1_interface, 1, NULL },
			[TEARING] = { &wp_tearing_control_manager_v1_interface, 1, NULL },
			[XDG_OUTPUT] = { &zxdg_output_manager_v1_interface, 2, NULL },
		},
	};
	char line[64];
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Without a buffer, so that what poll() sees is what fgets() has not read yet. */
	setvbuf(stdin, NULL, _IONBF, 0);
	wlb_client_open(&extras.client);
	globals_bind(&extras.client, extras.globals, GLOBALS);
	wlb_window_open(&extras.client, "neep-test-1", &extras.window);
	use_output(&extras);
	use_decoration(&extras);
	use_surface_extras(&extras);
	if (extras.client.seat != NULL) {
		use_pointer(&extras);
	}
	show(&extras);
	use_single_pixel(&extras);
	use_activation(&extras);
	use_export(&extras);
	wlb_roundtrip(&extras.client);
	wlb_roundtrip(&extras.client);
	printf("shown\n");
	while (wlb_dispatch_until(&extras.client, 0, -1) && fgets(line, sizeof(line), stdin) != NULL) {
		if (strcmp(line, "confine\n") != 0) {
			wlb_die("what is \"%s\"?", line);
		}
		confine(&extras);
	}
	wlb_client_close(&extras.client);
	return 0;
}
