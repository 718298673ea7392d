#include "wayland/policy.h"

#include <string.h>

#include "util/log.h"
#include "util/macros.h"
#include "wayland/content-type-protocol.h"
#include "wayland/cursor-shape-protocol.h"
#include "wayland/ext-idle-notify-protocol.h"
#include "wayland/fractional-scale-protocol.h"
#include "wayland/idle-inhibit-protocol.h"
#include "wayland/keyboard-shortcuts-inhibit-protocol.h"
#include "wayland/layer-shell-protocol.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/linux-drm-syncobj-protocol.h"
#include "wayland/pointer-constraints-protocol.h"
#include "wayland/pointer-gestures-protocol.h"
#include "wayland/presentation-time-protocol.h"
#include "wayland/primary-selection-protocol.h"
#include "wayland/relative-pointer-protocol.h"
#include "wayland/single-pixel-buffer-protocol.h"
#include "wayland/tablet-protocol.h"
#include "wayland/tearing-control-protocol.h"
#include "wayland/text-input-protocol.h"
#include "wayland/viewporter-protocol.h"
#include "wayland/wayland-protocol.h"
#include "wayland/xdg-activation-protocol.h"
#include "wayland/xdg-decoration-protocol.h"
#include "wayland/xdg-foreign-protocol.h"
#include "wayland/xdg-output-protocol.h"
#include "wayland/xdg-shell-protocol.h"

/* The versions are those whose messages somebody has looked at: what their fds are, and what the handlers must know.
 * Explicit synchronization is the proxy's own (sync.h), since fences and timelines of one kernel do not travel; of its two protocols
 * it has the newer one. */
static const struct neep_wl_known known[] = {
	{ &wl_compositor_interface, 6, false },
	{ &wl_subcompositor_interface, 1, false },
	{ &wl_shm_interface, 2, false },
	{ &wl_seat_interface, 9, false },
	{ &wl_output_interface, 4, false },
	{ &wl_data_device_manager_interface, 3, false },
	{ &xdg_wm_base_interface, 6, false },
	{ &zxdg_output_manager_v1_interface, 3, false },
	{ &zxdg_decoration_manager_v1_interface, 1, false },
	{ &wp_viewporter_interface, 1, false },
	{ &wp_fractional_scale_manager_v1_interface, 1, false },
	{ &wp_presentation_interface, 2, false },
	{ &wp_single_pixel_buffer_manager_v1_interface, 1, false },
	{ &wp_content_type_manager_v1_interface, 1, false },
	{ &wp_tearing_control_manager_v1_interface, 1, false },
	{ &wp_cursor_shape_manager_v1_interface, 1, false },
	{ &zwp_linux_dmabuf_v1_interface, 5, false },
	{ &wp_linux_drm_syncobj_manager_v1_interface, 1, false },
	{ &zwp_primary_selection_device_manager_v1_interface, 1, false },
	{ &zwp_pointer_constraints_v1_interface, 1, false },
	{ &zwp_pointer_gestures_v1_interface, 3, false },
	{ &zwp_relative_pointer_manager_v1_interface, 1, false },
	{ &zwp_tablet_manager_v2_interface, 1, false },
	{ &zwp_text_input_manager_v3_interface, 1, false },
	{ &zwp_idle_inhibit_manager_v1_interface, 1, false },
	{ &xdg_activation_v1_interface, 1, false },
	{ &zxdg_exporter_v2_interface, 1, false },
	{ &zxdg_importer_v2_interface, 1, false },
	/* Whether somebody sits at the host; the host's own key bindings; what covers the host's desktop. */
	{ &ext_idle_notifier_v1_interface, 1, true },
	{ &zwp_keyboard_shortcuts_inhibit_manager_v1_interface, 1, true },
	{ &zwlr_layer_shell_v1_interface, 4, true },
};

const struct neep_wl_known *neep_wl_policy_table(size_t *count) {
	*count = NEEP_ARRAY_LEN(known);
	return known;
}

static const struct neep_wl_known *find(const char *name, size_t len) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(known); i++) {
		const char *other = known[i].interface->name;
		if (strlen(other) == len && memcmp(other, name, len) == 0) {
			return &known[i];
		}
	}
	return NULL;
}

/* The next name in a comma-separated list, which *list is moved behind; NULL at its end. */
static const char *next_name(const char **list, size_t *len) {
	if (*list == NULL || **list == '\0') {
		return NULL;
	}
	const char *name = *list;
	*len = strcspn(name, ",");
	*list = name + *len + (name[*len] == ',');
	return name;
}

static bool is_in(const char *list, const char *name) {
	size_t len;
	for (const char *one; (one = next_name(&list, &len)) != NULL;) {
		if (strlen(name) == len && memcmp(one, name, len) == 0) {
			return true;
		}
	}
	return false;
}

static uint32_t lesser(uint32_t a, uint32_t b) {
	return a < b ? a : b;
}

uint32_t neep_wl_known_version(const struct neep_wl_known *global) {
	return lesser(global->max_version, (uint32_t)global->interface->version);
}

uint32_t neep_wl_policy_version(const struct neep_wl_policy *policy, const char *interface_name,
	uint32_t version, const struct wl_interface **interface) {
	const struct neep_wl_known *global = find(interface_name, strlen(interface_name));
	if (global == NULL) {
		return 0;
	}
	const char *name = global->interface->name;
	if (is_in(policy->deny, name) || (global->is_privileged && !is_in(policy->allow, name))) {
		return 0;
	}
	*interface = global->interface;
	return lesser(version, neep_wl_known_version(global));
}

static bool is_told(const struct neep_wl_hidden *hidden, const char *name) {
	for (size_t i = 0; i < hidden->count; i++) {
		if (strcmp(hidden->names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

void neep_wl_policy_tell_hidden(const struct neep_wl_policy *policy, const char *interface_name) {
	struct neep_wl_hidden *hidden = policy->hidden;
	size_t len = strlen(interface_name);
	bool is_word = len == strspn(interface_name,
				      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	if (hidden == NULL || !is_word || len >= sizeof(hidden->names[0]) ||
		hidden->count == NEEP_ARRAY_LEN(hidden->names) || is_told(hidden, interface_name)) {
		return;
	}
	memcpy(hidden->names[hidden->count++], interface_name, len + 1);
	bool is_known = find(interface_name, len) != NULL;
	neep_log("wayland", NEEP_LOG_INFO, "%s is hidden from clients: %s", interface_name,
		is_known ? "by --deny, or for want of --allow" : "this proxy does not know it");
}

static const char *unknown_in(const char *list) {
	size_t len;
	for (const char *name; (name = next_name(&list, &len)) != NULL;) {
		if (find(name, len) == NULL) {
			return name;
		}
	}
	return NULL;
}

const char *neep_wl_policy_unknown_name(const struct neep_wl_policy *policy) {
	const char *unknown = unknown_in(policy->allow);
	return unknown != NULL ? unknown : unknown_in(policy->deny);
}
