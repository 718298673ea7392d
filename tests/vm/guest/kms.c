#include "kms.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLIP_TIMEOUT_MS 10000
#define MODES_MAX       64
#define XRGB8888        0x34325258u

void kms_die(const char *format, ...) {
	int error = errno;
	va_list args;
	va_start(args, format);
	printf("neep-draw: error ");
	vprintf(format, args);
	va_end(args);
	printf(": %s\n", strerror(error));
	exit(1);
}

int kms_ioctl(int fd, unsigned long request, void *arg) {
	int r;
	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && (errno == EINTR || errno == EAGAIN));
	return r;
}

static void must(const struct kms_card *card, unsigned long request, void *arg, const char *what) {
	if (kms_ioctl(card->fd, request, arg) < 0) {
		kms_die("%s", what);
	}
}

static bool open_card(struct kms_card *card, int index) {
	snprintf(card->path, sizeof(card->path), "/dev/dri/card%d", index);
	card->fd = open(card->path, O_RDWR | O_CLOEXEC);
	if (card->fd < 0) {
		return false;
	}
	struct drm_version version = { .name = card->driver, .name_len = sizeof(card->driver) - 1 };
	if (kms_ioctl(card->fd, DRM_IOCTL_VERSION, &version) == 0 &&
		strcmp(card->driver, "virtio_gpu") == 0) {
		return true;
	}
	close(card->fd);
	memset(card->driver, 0, sizeof(card->driver));
	return false;
}

void kms_open(struct kms_card *card, int number) {
	*card = (struct kms_card){ .fd = -1 };
	for (int i = 0; i < 8; i++) {
		if (!open_card(card, i)) {
			continue;
		}
		if (number-- == 0) {
			kms_probe(card);
			return;
		}
		close(card->fd);
	}
	kms_die("no such virtio_gpu card");
}

// Returns how many modes the connector has and writes as many as there is room for; 0: nothing is connected.
static uint32_t read_modes(
	const struct kms_card *card, uint32_t connector, struct drm_mode_modeinfo *modes, uint32_t count) {
	struct drm_mode_get_connector c = { .connector_id = connector };
	must(card, DRM_IOCTL_MODE_GETCONNECTOR, &c, "GETCONNECTOR");
	if (c.connection != 1 || c.count_modes == 0) {
		return 0;
	}
	c = (struct drm_mode_get_connector){ .connector_id = connector,
		.modes_ptr = (uintptr_t)modes,
		.count_modes = c.count_modes < count ? c.count_modes : count };
	must(card, DRM_IOCTL_MODE_GETCONNECTOR, &c, "GETCONNECTOR");
	return c.count_modes < count ? c.count_modes : count;
}

uint32_t kms_modes(const struct kms_card *card, const struct kms_head *head, struct drm_mode_modeinfo *modes,
	uint32_t count) {
	return read_modes(card, head->connector, modes, count);
}

// The driver gives each connector a CRTC of its own and in the same order, so the index pairs them.
static bool probe_head(
	const struct kms_card *card, uint32_t connector, uint32_t crtc, struct kms_head *head) {
	struct drm_mode_modeinfo modes[MODES_MAX] = { 0 };
	uint32_t count = read_modes(card, connector, modes, MODES_MAX);
	if (count == 0) {
		return false;
	}
	*head = (struct kms_head){ .connector = connector, .crtc = crtc, .mode = modes[0] };
	for (uint32_t i = 0; i < count; i++) {
		if ((modes[i].type & DRM_MODE_TYPE_PREFERRED) != 0) {
			head->mode = modes[i];
			break;
		}
	}
	return true;
}

void kms_probe(struct kms_card *card) {
	uint32_t connectors[KMS_HEADS_MAX] = { 0 }, crtcs[KMS_HEADS_MAX] = { 0 };
	struct drm_mode_card_res res = { .connector_id_ptr = (uintptr_t)connectors,
		.crtc_id_ptr = (uintptr_t)crtcs,
		.count_connectors = KMS_HEADS_MAX,
		.count_crtcs = KMS_HEADS_MAX };
	must(card, DRM_IOCTL_MODE_GETRESOURCES, &res, "GETRESOURCES");
	card->n_heads = 0;
	for (uint32_t i = 0; i < res.count_connectors && i < res.count_crtcs && i < KMS_HEADS_MAX; i++) {
		if (probe_head(card, connectors[i], crtcs[i], &card->heads[card->n_heads])) {
			card->n_heads++;
		}
	}
}

void kms_image_create(const struct kms_card *card, uint32_t w, uint32_t h, struct kms_buffer *buffer) {
	struct drm_mode_create_dumb create = { .width = w, .height = h, .bpp = 32 };
	must(card, DRM_IOCTL_MODE_CREATE_DUMB, &create, "CREATE_DUMB");
	struct drm_mode_map_dumb map = { .handle = create.handle };
	must(card, DRM_IOCTL_MODE_MAP_DUMB, &map, "MAP_DUMB");
	*buffer = (struct kms_buffer){
		.w = w, .h = h, .pitch = create.pitch, .handle = create.handle, .size = create.size
	};
	buffer->map =
		mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, card->fd, (off_t)map.offset);
	if (buffer->map == MAP_FAILED) {
		kms_die("mmap of a dumb buffer");
	}
}

void kms_buffer_create(const struct kms_card *card, uint32_t w, uint32_t h, struct kms_buffer *buffer) {
	kms_image_create(card, w, h, buffer);
	struct drm_mode_fb_cmd2 fb = { .width = w, .height = h, .pixel_format = XRGB8888 };
	fb.handles[0] = buffer->handle;
	fb.pitches[0] = buffer->pitch;
	must(card, DRM_IOCTL_MODE_ADDFB2, &fb, "ADDFB2");
	buffer->fb = fb.fb_id;
}

void kms_buffer_destroy(const struct kms_card *card, struct kms_buffer *buffer) {
	munmap(buffer->map, buffer->size);
	if (buffer->fb != 0) {
		must(card, DRM_IOCTL_MODE_RMFB, &buffer->fb, "RMFB");
	}
	struct drm_mode_destroy_dumb destroy = { .handle = buffer->handle };
	must(card, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy, "DESTROY_DUMB");
	*buffer = (struct kms_buffer){ 0 };
}

void kms_show(const struct kms_card *card, const struct kms_head *head, const struct kms_buffer *buffer,
	uint32_t x) {
	uint32_t connector = head->connector;
	struct drm_mode_crtc crtc = { .crtc_id = head->crtc,
		.fb_id = buffer->fb,
		.x = x,
		.set_connectors_ptr = (uintptr_t)&connector,
		.count_connectors = 1,
		.mode = head->mode,
		.mode_valid = 1 };
	must(card, DRM_IOCTL_MODE_SETCRTC, &crtc, "SETCRTC");
}

static bool read_flip_event(const struct kms_card *card) {
	char bytes[1024];
	ssize_t n = read(card->fd, bytes, sizeof(bytes));
	for (ssize_t at = 0; at + (ssize_t)sizeof(struct drm_event) <= n;) {
		struct drm_event event;
		memcpy(&event, bytes + at, sizeof(event));
		if (event.type == DRM_EVENT_FLIP_COMPLETE) {
			return true;
		}
		at += event.length;
	}
	return false;
}

void kms_flip(const struct kms_card *card, const struct kms_head *head, const struct kms_buffer *buffer) {
	struct drm_mode_crtc_page_flip flip = {
		.crtc_id = head->crtc, .fb_id = buffer->fb, .flags = DRM_MODE_PAGE_FLIP_EVENT
	};
	must(card, DRM_IOCTL_MODE_PAGE_FLIP, &flip, "PAGE_FLIP");
	struct pollfd ready = { .fd = card->fd, .events = POLLIN };
	do {
		if (poll(&ready, 1, FLIP_TIMEOUT_MS) <= 0) {
			kms_die("no page flip event within %d ms", FLIP_TIMEOUT_MS);
		}
	} while (!read_flip_event(card));
}

void kms_dirty(const struct kms_card *card, const struct kms_buffer *buffer, struct drm_clip_rect rect) {
	struct drm_mode_fb_dirty_cmd dirty = {
		.fb_id = buffer->fb, .num_clips = 1, .clips_ptr = (uintptr_t)&rect
	};
	must(card, DRM_IOCTL_MODE_DIRTYFB, &dirty, "DIRTYFB");
}

void kms_cursor_set(const struct kms_card *card, const struct kms_head *head, const struct kms_buffer *image,
	int hot_x, int hot_y) {
	struct drm_mode_cursor2 cursor = { .flags = DRM_MODE_CURSOR_BO,
		.crtc_id = head->crtc,
		.width = image->w,
		.height = image->h,
		.handle = image->handle,
		.hot_x = hot_x,
		.hot_y = hot_y };
	must(card, DRM_IOCTL_MODE_CURSOR2, &cursor, "CURSOR2 set");
}

void kms_cursor_move(const struct kms_card *card, const struct kms_head *head, int x, int y) {
	struct drm_mode_cursor2 cursor = {
		.flags = DRM_MODE_CURSOR_MOVE, .crtc_id = head->crtc, .x = x, .y = y
	};
	must(card, DRM_IOCTL_MODE_CURSOR2, &cursor, "CURSOR2 move");
}
