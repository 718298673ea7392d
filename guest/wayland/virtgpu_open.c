/* Finding the node, and saying what is wrong with it in words that help. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fd.h"
#include "virtgpu/uapi.h"
#include "wayland/channel.h"
#include "wayland/virtgpu.h"

/* Numbers of render nodes. */
#define NODE_FIRST 128
#define NODE_END   192

#define CROSS_DOMAIN (UINT32_C(1) << NEEP_WL_CAPSET_ID)

static uint32_t param(int fd, enum neep_drm_param number) {
	uint32_t value = 0;
	struct neep_drm_getparam getparam = { .param = number, .value = (uintptr_t)&value };
	/* Kernels do not know what is newer than they are. */
	return neep_wl_virtgpu_ioctl(fd, NEEP_DRM_IOWR(NEEP_DRM_NR_GETPARAM, getparam), &getparam) < 0
		       ? 0
		       : value;
}

static const struct {
	enum neep_drm_param param;
	uint32_t mask;
	const char *missing;
} needs[] = {
	{ NEEP_DRM_PARAM_3D_FEATURES, UINT32_MAX,
		"has no contexts (VIRTIO_GPU_F_VIRGL): start its device with cross-domain, in neep's device "
		"--capset-names cross-domain" },
	{ NEEP_DRM_PARAM_RESOURCE_BLOB, UINT32_MAX,
		"has no blob resources (VIRTIO_GPU_F_RESOURCE_BLOB): a newer VMM, or blob=true in QEMU, "
		"offers them" },
	{ NEEP_DRM_PARAM_CONTEXT_INIT, UINT32_MAX,
		"has no context types (VIRTIO_GPU_F_CONTEXT_INIT): it takes Linux 5.16 in the guest and a "
		"newer VMM" },
	{ NEEP_DRM_PARAM_SUPPORTED_CAPSET_IDS, CROSS_DOMAIN,
		"does not offer cross-domain (capset 5): start its device with it, in neep's device "
		"--capset-names cross-domain" },
	{ NEEP_DRM_PARAM_HOST_VISIBLE, UINT32_MAX,
		"has no host-visible memory: give its device some, in QEMU hostmem=4G" },
};

static bool is_virtio_gpu(int fd) {
	char name[16] = { 0 };
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
	return neep_wl_virtgpu_ioctl(fd, DRM_IOCTL_VERSION, &version) == 0 && strcmp(name, "virtio_gpu") == 0;
}

/* Hosts have this much of it or less. */
static int get_capset(int fd, uint8_t capset[static NEEP_WL_CAPSET_SIZE]) {
	struct neep_drm_get_caps caps = {
		.cap_set_id = NEEP_WL_CAPSET_ID,
		.addr = (uintptr_t)capset,
		.size = NEEP_WL_CAPSET_SIZE,
	};
	memset(capset, 0, NEEP_WL_CAPSET_SIZE);
	return neep_wl_virtgpu_ioctl(fd, NEEP_DRM_IOWR(NEEP_DRM_NR_GET_CAPS, caps), &caps);
}

/* Whether the host offers to connect to a compositor. */
static int check_channel(int fd, const char *path, struct neep_error *error) {
	uint8_t bytes[NEEP_WL_CAPSET_SIZE];
	int result = get_capset(fd, bytes);
	if (result < 0) {
		return neep_error_set(error, -result, "%s: cannot get the capset of cross-domain", path);
	}
	if (!neep_wl_capset_has_wayland(bytes)) {
		return neep_error_set(error, 0,
			"%s: the host has no Wayland compositor for us: start its device with "
			"--wayland-socket-path, or with WAYLAND_DISPLAY set",
			path);
	}
	return 0;
}

static int check(int fd, const char *path, struct neep_error *error) {
	if (!is_virtio_gpu(fd)) {
		return neep_error_set(error, ENODEV, "%s is not a virtio-gpu", path);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(needs); i++) {
		if ((param(fd, needs[i].param) & needs[i].mask) == 0) {
			return neep_error_set(error, 0, "%s %s", path, needs[i].missing);
		}
	}
	return check_channel(fd, path, error);
}

static int open_node(const char *path, struct neep_error *error) {
	neep_autoclose int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		return neep_error_set(error, errno, "cannot open %s%s", path,
			errno == EACCES ? ": join the group that owns it (render)" : "");
	}
	int result = check(fd, path, error);
	return result < 0 ? result : neep_steal_fd(&fd);
}

/* The first that can be used. What is wrong with a virtio-gpu says more than what is wrong with another node. */
static int find_node(struct neep_error *error) {
	bool has_said = false;
	for (int number = NODE_FIRST; number < NODE_END; number++) {
		char path[32];
		struct neep_error why = { .code = 0 };
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", number);
		int fd = open_node(path, &why);
		if (fd >= 0) {
			return fd;
		}
		if (fd != -ENOENT && fd != -ENODEV && !has_said) {
			has_said = true;
			*error = why;
		}
	}
	return has_said ? -error->code
			: neep_error_set(error, 0,
				  "there is no render node of a virtio-gpu in /dev/dri: the VM needs one, "
				  "with 3D contexts");
}

static int create_context(int fd, struct neep_error *error) {
	struct neep_drm_context_set_param params[] = {
		{ NEEP_DRM_CONTEXT_CAPSET_ID, NEEP_WL_CAPSET_ID },
		{ NEEP_DRM_CONTEXT_NUM_RINGS, NEEP_WL_RING_COUNT },
		{ NEEP_DRM_CONTEXT_POLL_RINGS_MASK, 1 << NEEP_WL_RING_CHANNEL },
	};
	struct neep_drm_context_init init = {
		.num_params = NEEP_ARRAY_LEN(params),
		.ctx_set_params = (uintptr_t)params,
	};
	int result = neep_wl_virtgpu_ioctl(fd, NEEP_DRM_IOWR(NEEP_DRM_NR_CONTEXT_INIT, init), &init);
	return result < 0 ? neep_error_set(error, -result, "cannot create a cross-domain context") : 0;
}

struct neep_wl_virtgpu *neep_wl_virtgpu_open(const char *path, struct neep_error *error) {
	struct neep_error unheard;
	error = error == NULL ? &unheard : error;
	neep_autoclose int fd = path != NULL ? open_node(path, error) : find_node(error);
	if (fd < 0 || create_context(fd, error) < 0) {
		return NULL;
	}
	struct neep_wl_virtgpu *gpu = calloc(1, sizeof(*gpu));
	if (gpu == NULL) {
		neep_error_set(error, ENOMEM, "virtio-gpu");
		return NULL;
	}
	*gpu = (struct neep_wl_virtgpu){
		.fd = neep_steal_fd(&fd),
		.page_size = (size_t)sysconf(_SC_PAGESIZE),
		.refs = 1,
	};
	uint8_t capset[NEEP_WL_CAPSET_SIZE];
	gpu->extensions = get_capset(gpu->fd, capset) == 0 ? neep_wl_capset_extensions(capset) : 0;
	gpu->has_drivers = (param(gpu->fd, NEEP_DRM_PARAM_SUPPORTED_CAPSET_IDS) & ~CROSS_DOMAIN) != 0;
	return gpu;
}
