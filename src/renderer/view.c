/* The files that a renderer sees. A new root in memory, to which pieces of the host are attached, read-only; then the host's own
 * root is detached. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "renderer/sandbox.h"
#include "util/fd.h"
#include "util/macros.h"

/* Where the new root is put together: a folder that every host has, and of which nothing but itself is shown. */
#define STAGE "/proc"

/* What a driver may put into /tmp. */
#define TMPFS_OPTIONS "mode=0755,size=64m"

/* What cannot be had is left out: hosts differ. */
static const char *const shown_files[] = {
	"/usr",
	"/lib",
	"/lib32",
	"/lib64",
	"/etc/ld.so.cache",
	"/etc/ld.so.conf",
	"/etc/ld.so.conf.d",
	"/etc/alternatives",
	"/etc/drirc",
	"/etc/glvnd",
	"/etc/nvidia",
	"/etc/vulkan",
	"/etc/localtime",
	"/run/opengl-driver",
	"/nix/store",
	"/gnu/store",
	"/sys",
};
static const char *const shown_devices[] = {
	"/dev/null",
	"/dev/zero",
	"/dev/full",
	"/dev/random",
	"/dev/urandom",
	"/dev/dri",
	"/dev/nvidia*",
	"/dev/kfd",
	"/dev/dxg",
	"/dev/mali*",
	"/dev/udmabuf",
	"/dev/dma_heap",
};
/* Paths, separated by colons, that people set for a driver that is not installed. */
static const char *const shown_variables[] = {
	"VK_DRIVER_FILES",
	"VK_ADD_DRIVER_FILES",
	"VK_ICD_FILENAMES",
	"LD_LIBRARY_PATH",
};

/* Attributes of what is shown. Devices keep being devices. */
#define SHOWN_FILE   (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define SHOWN_DEVICE (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

static int clone_tree(const char *path) {
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static int mount_attributes(int fd, uint64_t set) {
	struct mount_attr attributes = { .attr_set = set };
	return mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes));
}

/* Makes `path`, which may be changed meanwhile, and the folders above it. */
static int make_place(char *path, bool is_folder) {
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int result = mkdir(path, 0755);
		*slash = '/';
		if (result < 0 && errno != EEXIST) {
			return -1;
		}
	}
	if (is_folder) {
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
	}
	neep_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return fd < 0 ? -1 : 0;
}

/* What is a link on the host stays one: /lib is often in /usr. */
static int show_link(const char *path, char *place) {
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	if (len < 0 || make_place(place, false) < 0) {
		return -1;
	}
	target[len] = '\0';
	return unlink(place) < 0 ? -1 : symlink(target, place);
}

static int show(const char *path, uint64_t attributes) {
	char place[PATH_MAX];
	struct stat st;
	if (snprintf(place, sizeof(place), STAGE "%s", path) >= (int)sizeof(place) || lstat(path, &st) < 0) {
		return -1;
	}
	if (S_ISLNK(st.st_mode)) {
		return show_link(path, place);
	}
	neep_autoclose int tree = clone_tree(path);
	if (tree < 0 || mount_attributes(tree, attributes) < 0 ||
		make_place(place, S_ISDIR(st.st_mode)) < 0) {
		return -1;
	}
	return move_mount(tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH);
}

static void show_pattern(const char *pattern, uint64_t attributes) {
	glob_t found;
	if (glob(pattern, 0, NULL, &found) != 0) {
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (show(found.gl_pathv[i], attributes) < 0) {
			neep_log("renderer", NEEP_LOG_DEBUG, "%s is not shown to the renderer: %s",
				found.gl_pathv[i], strerror(errno));
		}
	}
	globfree(&found);
}

/* A link's target is shown too, where it is no part of what is shown anyway. */
static void show_named(const char *path) {
	char *real = realpath(path, NULL);
	if (path[0] == '/' && real != NULL) {
		show(real, SHOWN_FILE);
		if (strcmp(real, path) != 0) {
			show(path, SHOWN_FILE);
		}
	}
	free(real);
}

static void show_variable(const char *name) {
	const char *value = getenv(name);
	char *copy = value != NULL ? strdup(value) : NULL;
	char *rest = NULL;
	for (char *path = copy != NULL ? strtok_r(copy, ":", &rest) : NULL; path != NULL;
		path = strtok_r(NULL, ":", &rest)) {
		show_named(path);
	}
	free(copy);
}

static void show_all(void) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(shown_files); i++) {
		show_pattern(shown_files[i], SHOWN_FILE);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(shown_devices); i++) {
		show_pattern(shown_devices[i], SHOWN_DEVICE);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(shown_variables); i++) {
		show_variable(shown_variables[i]);
	}
}

/* The one folder that can be written and outlives the process, if whoever started the device named one. */
static void show_shader_cache(void) {
	const char *folder = getenv("MESA_SHADER_CACHE_DIR");
	if (folder != NULL && folder[0] == '/' &&
		show(folder, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC) < 0) {
		neep_log("renderer", NEEP_LOG_DEBUG, "no shader cache in %s: %s", folder, strerror(errno));
	}
}

static int mount_memory(const char *place) {
	if (mkdir(place, 0755) < 0 && errno != EEXIST) {
		return -1;
	}
	return mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, TMPFS_OPTIONS);
}

/* Its own processes only. A host that lets nobody mount it (because it hides parts of its own) leaves the one that it has:
 * drivers read what is about themselves. */
static int mount_proc(int host_proc) {
	if (mkdir(STAGE "/proc", 0755) < 0) {
		return -1;
	}
	if (mount("proc", STAGE "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) {
		return 0;
	}
	if (mount_attributes(host_proc, SHOWN_FILE | MOUNT_ATTR_NOEXEC) < 0) {
		return -1;
	}
	return move_mount(host_proc, "", AT_FDCWD, STAGE "/proc", MOVE_MOUNT_F_EMPTY_PATH);
}

/* The new root takes the place of the old one, which is then under it, and goes. */
static int change_root(void) {
	if (chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
		chdir("/") < 0) {
		return -1;
	}
	return mount(
		NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int leave_stage(void) {
	int result = -errno;
	umount2(STAGE, MNT_DETACH);
	return result;
}

static int fill_and_enter(int host_proc) {
	show_all();
	if (mount_proc(host_proc) < 0 || mount_memory(STAGE "/tmp") < 0 ||
		mount_memory(STAGE "/dev/shm") < 0) {
		return leave_stage();
	}
	show_shader_cache();
	return change_root() < 0 ? leave_stage() : 0;
}

int neep_renderer_view_enter(void) {
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		return -errno;
	}
	neep_autoclose int host_proc = clone_tree("/proc");
	if (host_proc < 0 || mount_memory(STAGE) < 0) {
		return -errno;
	}
	return fill_and_enter(host_proc);
}
