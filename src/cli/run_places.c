#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/run.h"
#include "config.h"

int run_find_part(const char *built, const char *installed, char path[PATH_MAX]) {
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len > 0) {
		self[len] = '\0';
		*strrchr(self, '/') = '\0';
		char beside[PATH_MAX];
		if (snprintf(beside, sizeof(beside), "%s/%s", self, built) < PATH_MAX &&
			realpath(beside, path) != NULL) {
			return 0;
		}
	}
	snprintf(path, PATH_MAX, "%s", installed);
	return access(path, F_OK) == 0 ? 0 : -ENOENT;
}

static int take_program(
	const char *option, const char *path, char place[PATH_MAX], struct neep_error *error) {
	snprintf(place, PATH_MAX, "%s", path);
	return access(path, X_OK) < 0 ? neep_error_set(error, errno, "%s: %s", option, path) : 0;
}

static int find_proxy(
	const struct run_options *options, struct run_places *places, struct neep_error *error) {
	if (options->wayland_program != NULL) {
		return take_program("--wayland-program", options->wayland_program, places->proxy, error);
	}
	if (run_find_part("../../guest/wayland/neep-wayland", NEEP_WAYLAND, places->proxy) < 0) {
		return neep_error_set(error, 0,
			"%s is missing: install neep again, built with libwayland-dev and wayland-protocols",
			places->proxy);
	}
	return 0;
}

static int find_layer(struct run_places *places, struct neep_error *error) {
	char *manifest = places->layer;
	if (run_find_part("../../guest/layer/" NEEP_LAYER_MANIFEST, NEEP_LAYER_DIR "/" NEEP_LAYER_MANIFEST,
		    manifest) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", manifest);
	}
	*strrchr(manifest, '/') = '\0';
	return 0;
}

static int find_parts(
	const struct run_options *options, struct run_places *places, struct neep_error *error) {
	if (options->device_program != NULL) {
		int result = take_program("--device-program", options->device_program, places->device, error);
		if (result < 0) {
			return result;
		}
	} else if (run_find_part("../daemon/vhost-user-neep", NEEP_DEVICE_PROGRAM, places->device) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", places->device);
	}
	if (run_find_part("../virtgpu/libneep-virtgpu.so", NEEP_PRELOAD, places->preload) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", places->preload);
	}
	if (run_find_part("../virtgpu/tree", NEEP_TREE, places->tree) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", places->tree);
	}
	if (options->has_guest_driver && !options->has_no_layer) {
		int result = find_layer(places, error);
		if (result < 0) {
			return result;
		}
	}
	return options->has_wayland ? find_proxy(options, places, error) : 0;
}

int run_check_preload(const struct run_places *places, struct neep_error *error) {
	if (strpbrk(places->preload, " :") == NULL) {
		return 0;
	}
	return neep_error_set(error, 0,
		"%s: the dynamic loader takes no library from a path with a space or a colon: install neep "
		"elsewhere",
		places->preload);
}

int run_find_places(const struct run_options *options, struct run_places *places, struct neep_error *error) {
	int result = find_parts(options, places, error);
	if (result == 0 && options->has_guest_driver) {
		result = run_find_vulkan(places, error);
	}
	return result < 0 ? result : run_find_compositor(options, places, error);
}
