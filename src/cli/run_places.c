#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/run.h"
#include "config.h"

/* Beside this program as it was built, or where it was installed. */
static int find_part(const char *built, const char *installed, char path[PATH_MAX]) {
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len > 0) {
		self[len] = '\0';
		*strrchr(self, '/') = '\0';
		if (snprintf(path, PATH_MAX, "%s/%s", self, built) < PATH_MAX && access(path, F_OK) == 0) {
			return 0;
		}
	}
	snprintf(path, PATH_MAX, "%s", installed);
	return access(path, F_OK) == 0 ? 0 : -ENOENT;
}

static int find_parts(
	const struct run_options *options, struct run_places *places, struct neep_error *error) {
	if (options->device_program != NULL) {
		snprintf(places->device, sizeof(places->device), "%s", options->device_program);
		if (access(places->device, X_OK) < 0) {
			return neep_error_set(error, errno, "--device-program: %s", places->device);
		}
	} else if (find_part("../daemon/vhost-user-neep", NEEP_DEVICE_PROGRAM, places->device) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", places->device);
	}
	if (find_part("../virtgpu/libneep-virtgpu.so", NEEP_PRELOAD, places->preload) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", places->preload);
	}
	if (find_part("../virtgpu/tree", NEEP_TREE, places->tree) < 0) {
		return neep_error_set(error, 0, "%s is missing: install neep again", places->tree);
	}
	return 0;
}

/* ---- the guest driver, where the Vulkan loader would find it ---- */

#if defined(__x86_64__)
#define ARCHITECTURE "x86_64"
#elif defined(__aarch64__)
#define ARCHITECTURE "aarch64"
#else
#define ARCHITECTURE "unknown"
#endif

/* Folders that lead to vulkan/icd.d: the value of a variable or its default, with something behind each. */
static const struct folders {
	const char *variable; // NULL: none
	const char *otherwise;
	const char *behind;
} loader_folders[] = {
	{ "XDG_CONFIG_HOME", NULL, "" },
	{ "HOME", NULL, "/.config" },
	{ "XDG_CONFIG_DIRS", "/etc/xdg", "" },
	{ NULL, "/etc", "" },
	{ "XDG_DATA_HOME", NULL, "" },
	{ "HOME", NULL, "/.local/share" },
	{ "XDG_DATA_DIRS", "/usr/local/share:/usr/share", "" },
};

static bool find_in(
	const char *folder, size_t len, const char *behind, const char *name, char path[PATH_MAX]) {
	char pattern[PATH_MAX];
	glob_t found;
	snprintf(pattern, sizeof(pattern), "%.*s%s/vulkan/icd.d/%s", (int)len, folder, behind, name);
	if (len == 0 || glob(pattern, 0, NULL, &found) != 0) {
		return false;
	}
	snprintf(path, PATH_MAX, "%s", found.gl_pathv[0]);
	globfree(&found);
	return true;
}

static bool find_in_all(const struct folders *folders, const char *name, char path[PATH_MAX]) {
	const char *list = folders->variable != NULL ? getenv(folders->variable) : NULL;
	list = list == NULL || list[0] == '\0' ? folders->otherwise : list;
	while (list != NULL) {
		size_t len = strcspn(list, ":");
		if (find_in(list, len, folders->behind, name, path)) {
			return true;
		}
		list = list[len] == ':' ? list + len + 1 : NULL;
	}
	return false;
}

static bool find_icd(const char *name, char path[PATH_MAX]) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(loader_folders); i++) {
		if (find_in_all(&loader_folders[i], name, path)) {
			return true;
		}
	}
	return false;
}

static int refuse_icd(struct neep_error *error) {
	char other[PATH_MAX];
	const char *why = find_icd("lvp_icd*.json", other) || find_icd("virtio_icd*.json", other)
				  ? "Mesa is too old here: it has no gfxstream Vulkan driver"
				  : "there is no gfxstream Vulkan driver here";
	return neep_error_set(error, 0,
		"%s; Debian's mesa-vulkan-drivers 25.0 or newer brings it (trixie, or bookworm-backports)",
		why);
}

/* What the environment names as driver is the renderer's, unless it is the guest driver itself: from another folder,
 * perhaps. */
static bool names_guest_driver(const char *variable) {
	const char *value = getenv(variable);
	return value != NULL && strstr(value, "gfxstream") != NULL;
}

static int find_guest_driver(struct run_places *places, struct neep_error *error) {
	if (names_guest_driver("VK_DRIVER_FILES") || names_guest_driver("VK_ICD_FILENAMES")) {
		return 0;
	}
	if (!find_icd("gfxstream_vk_icd." ARCHITECTURE ".json", places->icd) &&
		!find_icd("gfxstream_vk_icd.json", places->icd)) {
		places->icd[0] = '\0';
		return refuse_icd(error);
	}
	void *loader = dlopen("libvulkan.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (loader == NULL) {
		return neep_error_set(
			error, 0, "there is no Vulkan loader here; Debian's libvulkan1 brings it");
	}
	dlclose(loader);
	return 0;
}

int run_find_places(const struct run_options *options, struct run_places *places, struct neep_error *error) {
	places->icd[0] = '\0';
	int result = find_parts(options, places, error);
	if (result == 0 && options->has_guest_driver) {
		result = find_guest_driver(places, error);
	}
	return result;
}
