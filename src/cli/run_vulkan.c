/* The Vulkan drivers of both sides, where the loader would find them: Mesa's gfxstream driver, which the program gets, and
 * the machine's own, which the device renders on.
 * Source: the Vulkan loader's "Loader and Driver Interface", "Driver Discovery". */
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run.h"
#include "util/guest_layer.h"
#include "util/macros.h"

#if defined(__x86_64__)
#define ARCHITECTURE "x86_64"
#elif defined(__aarch64__)
#define ARCHITECTURE "aarch64"
#else
#define ARCHITECTURE "unknown"
#endif

/* Which manifest is wanted. */
struct search {
	const char *name; // a pattern of glob()
	bool is_of_host;  // any but the guest driver's
	char path[PATH_MAX];
};

static bool is_of_guest(const char *path) {
	return strstr(path, "gfxstream") != NULL;
}

static bool fits(const struct search *search, const char *path) {
	const char *name = strrchr(path, '/');
	bool is_host = !is_of_guest(name != NULL ? name : path);
	return (is_host || !search->is_of_host) && access(path, R_OK) == 0;
}

static bool take_first(struct search *search, const char *pattern) {
	glob_t found;
	bool is_found = false;
	if (glob(pattern, 0, NULL, &found) != 0) {
		return false;
	}
	for (size_t i = 0; i < found.gl_pathc && !is_found; i++) {
		is_found = fits(search, found.gl_pathv[i]);
		if (is_found) {
			snprintf(search->path, sizeof(search->path), "%s", found.gl_pathv[i]);
		}
	}
	globfree(&found);
	return is_found;
}

/* ---- folders ---- */

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

static const char *variable(const char *name) {
	const char *value = name != NULL ? getenv(name) : NULL;
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool find_in_folder(struct search *search, const char *folder, size_t len, const char *behind) {
	char pattern[PATH_MAX];
	snprintf(pattern, sizeof(pattern), "%.*s%s/vulkan/icd.d/%s", (int)len, folder, behind, search->name);
	return len > 0 && take_first(search, pattern);
}

static bool find_in_folders(struct search *search, const struct folders *folders) {
	const char *list = variable(folders->variable);
	list = list == NULL ? folders->otherwise : list;
	while (list != NULL) {
		size_t len = strcspn(list, ":");
		if (find_in_folder(search, list, len, folders->behind)) {
			return true;
		}
		list = list[len] == ':' ? list + len + 1 : NULL;
	}
	return false;
}

static bool find_icd(const char *name, bool is_of_host, char path[PATH_MAX]) {
	struct search search = { .name = name, .is_of_host = is_of_host };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(loader_folders); i++) {
		if (find_in_folders(&search, &loader_folders[i])) {
			snprintf(path, PATH_MAX, "%s", search.path);
			return true;
		}
	}
	return false;
}

/* ---- variables that name drivers ---- */

/* Whether the list names a manifest of the host, or a folder with one. */
static bool lists_host_driver(const char *list) {
	struct search search = { .name = "*.json", .is_of_host = true };
	while (list != NULL) {
		struct stat st;
		char path[PATH_MAX];
		size_t len = strcspn(list, ":");
		snprintf(path, sizeof(path), "%.*s", (int)len, list);
		bool is_there = stat(path, &st) == 0;
		if (is_there && S_ISDIR(st.st_mode)) {
			snprintf(path, sizeof(path), "%.*s/%s", (int)len, list, search.name);
			is_there = take_first(&search, path);
		} else {
			is_there = is_there && fits(&search, path);
		}
		if (is_there) {
			return true;
		}
		list = list[len] == ':' ? list + len + 1 : NULL;
	}
	return false;
}

/* Either names drivers in place of the folders; the first that is set counts. */
static const char *const naming_variables[] = { "VK_DRIVER_FILES", "VK_ICD_FILENAMES" };

/* What the environment names as driver is the renderer's, unless it is the guest driver itself: from another folder,
 * perhaps. */
static bool names_guest_driver(void) {
	const char *files = variable(naming_variables[0]);
	const char *list = files != NULL ? files : variable(naming_variables[1]);
	return list != NULL && is_of_guest(list);
}

static bool names_guest_driver_only(const char *name) {
	const char *list = variable(name);
	return list != NULL && is_of_guest(list) && !lists_host_driver(list);
}

/* Takes it out of the list, whose words stand between colons. */
static void hide_layer(void) {
	static const char own[] = NEEP_GUEST_LAYER;
	const char *list = variable("VK_INSTANCE_LAYERS");
	char *kept = list != NULL ? calloc(1, strlen(list) + 1) : NULL;
	while (kept != NULL && list != NULL) {
		size_t len = strcspn(list, ":");
		if (len > 0 && (len != strlen(own) || strncmp(list, own, len) != 0)) {
			strcat(kept, kept[0] != '\0' ? ":" : "");
			strncat(kept, list, len);
		}
		list = list[len] == ':' ? list + len + 1 : NULL;
	}
	if (kept != NULL) {
		setenv("VK_INSTANCE_LAYERS", kept, 1);
	}
	free(kept);
}

void run_vulkan_hide_guest_parts(void) {
	hide_layer();
	for (size_t i = 0; i < NEEP_ARRAY_LEN(naming_variables); i++) {
		if (names_guest_driver_only(naming_variables[i])) {
			unsetenv(naming_variables[i]);
		}
	}
}

/* What the device's loader goes by; NULL: the folders. */
static const char *host_variable(void) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(naming_variables); i++) {
		const char *name = naming_variables[i];
		if (variable(name) != NULL && !names_guest_driver_only(name)) {
			return name;
		}
	}
	return NULL;
}

/* ---- what is missing ---- */

static int refuse_guest_driver(struct neep_error *error) {
	char other[PATH_MAX];
	const char *why =
		find_icd("lvp_icd*.json", false, other) || find_icd("virtio_icd*.json", false, other)
			? "Mesa is too old here: it has no gfxstream Vulkan driver"
			: "there is no gfxstream Vulkan driver here";
	return neep_error_set(error, 0,
		"%s; Debian's mesa-vulkan-drivers 25.0 or newer brings it (trixie, or bookworm-backports)",
		why);
}

static int check_loader(struct neep_error *error) {
	void *loader = dlopen("libvulkan.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (loader == NULL) {
		return neep_error_set(
			error, 0, "there is no Vulkan loader here; Debian's libvulkan1 brings it");
	}
	dlclose(loader);
	return 0;
}

int run_find_guest_driver(struct run_places *places, struct neep_error *error) {
	places->icd[0] = '\0';
	if (names_guest_driver()) {
		return 0;
	}
	if (!find_icd("gfxstream_vk_icd." ARCHITECTURE ".json", false, places->icd) &&
		!find_icd("gfxstream_vk_icd.json", false, places->icd)) {
		places->icd[0] = '\0';
		return refuse_guest_driver(error);
	}
	return check_loader(error);
}

static int check_host_driver(struct neep_error *error) {
	char found[PATH_MAX];
	const char *name = host_variable();
	if (lists_host_driver(variable(name != NULL ? name : "VK_ADD_DRIVER_FILES"))) {
		return 0;
	}
	if (name != NULL) {
		return neep_error_set(error, 0,
			"%s names no Vulkan driver that can be read (%s), and the device renders on it", name,
			variable(name));
	}
	if (!find_icd("*.json", true, found)) {
		return neep_error_set(error, 0,
			"there is no Vulkan driver on this machine for the device to render on; Debian's "
			"mesa-vulkan-drivers brings those of most GPUs, and one that needs none");
	}
	return 0;
}

int run_find_vulkan(struct run_places *places, struct neep_error *error) {
	int result = run_find_guest_driver(places, error);
	return result < 0 ? result : check_host_driver(error);
}
