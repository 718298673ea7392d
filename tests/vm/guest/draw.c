// Guest program: draws the picture of picture.h through KMS and says on the console exactly what it drew, one line of
// key=value words that starts with "neep-draw:". It keeps the picture on screen until a line comes in on standard input.
#include "kms.h"
#include "picture.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <virtgpu_drm.h>

// Parameters of the kernel's <drm/virtgpu_drm.h> that Debian 12's libdrm header does not have yet.
enum {
	PARAM_RESOURCE_BLOB = 3,
	PARAM_HOST_VISIBLE = 4,
	PARAM_CROSS_DEVICE = 5,
	PARAM_CONTEXT_INIT = 6,
};

#define FLIPS_DEFAULT      60
#define HOTPLUG_TIMEOUT_MS 60000
#define MODES_MAX          64

struct scene { // what is drawn and how it got there
	int card_number;
	struct kms_card card;
	struct kms_buffer buffers[2];
	struct kms_buffer cursor;
	uint32_t *picture; // buffers[0].w * buffers[0].h pixels
	uint32_t flips;
	uint32_t flip_ms;
	int cursor_x;
	int cursor_y;
};

static uint32_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

static void say_param(const struct kms_card *card, const char *name, uint64_t param) {
	int value = 0;
	struct drm_virtgpu_getparam get = { .param = param, .value = (uintptr_t)&value };
	printf(" %s=%d", name, kms_ioctl(card->fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) == 0 ? value : -1);
}

// The dumb-buffer path follows from these: with resource_blob=1 and 3d=0 the kernel makes guest blobs.
static void say_card(const struct kms_card *card) {
	printf("neep-draw: card driver=%s path=%s heads=%u", card->driver, card->path, card->n_heads);
	say_param(card, "3d", VIRTGPU_PARAM_3D_FEATURES);
	say_param(card, "resource_blob", PARAM_RESOURCE_BLOB);
	say_param(card, "host_visible", PARAM_HOST_VISIBLE);
	say_param(card, "cross_device", PARAM_CROSS_DEVICE);
	say_param(card, "context_init", PARAM_CONTEXT_INIT);
	printf("\n");
	for (uint32_t i = 0; i < card->n_heads; i++) {
		const struct drm_mode_modeinfo *mode = &card->heads[i].mode;
		printf("neep-draw: head index=%u mode=%ux%u refresh=%u\n", i, mode->hdisplay, mode->vdisplay,
			mode->vrefresh);
	}
}

static void scene_open(struct scene *s) {
	kms_open(&s->card, s->card_number);
	say_card(&s->card);
	if (s->card.n_heads == 0) {
		errno = ENODEV;
		kms_die("no connected head");
	}
}

static uint32_t *picture_of(uint32_t w, uint32_t h) {
	uint32_t *pixels = calloc((size_t)w * h, sizeof(*pixels));
	if (pixels == NULL) {
		kms_die("picture of %ux%u", w, h);
	}
	for (uint32_t y = 0; y < h; y++) {
		for (uint32_t x = 0; x < w; x++) {
			pixels[(size_t)y * w + x] = neep_picture_pixel(x, y, w, h);
		}
	}
	return pixels;
}

static uint32_t *row_of(const struct kms_buffer *buffer, uint32_t y) {
	return buffer->map + (size_t)y * (buffer->pitch / 4);
}

// Copies the picture moved left by shift columns, so that every frame differs from the one before.
static void draw_frame(struct scene *s, struct kms_buffer *buffer, uint32_t shift) {
	for (uint32_t y = 0; y < buffer->h; y++) {
		const uint32_t *line = s->picture + (size_t)y * buffer->w;
		memcpy(row_of(buffer, y), line + shift, (buffer->w - shift) * sizeof(*line));
		memcpy(row_of(buffer, y) + buffer->w - shift, line, shift * sizeof(*line));
	}
}

static void scene_buffers(struct scene *s, uint32_t w, uint32_t h) {
	kms_buffer_create(&s->card, w, h, &s->buffers[0]);
	kms_buffer_create(&s->card, w, h, &s->buffers[1]);
	free(s->picture);
	s->picture = picture_of(w, h);
}

// Shows n frames, the last of them the picture itself, in buffers[0].
static void run_flips(struct scene *s, uint32_t n) {
	draw_frame(s, &s->buffers[1], 0);
	kms_show(&s->card, &s->card.heads[0], &s->buffers[1], 0);
	uint32_t start = now_ms();
	for (uint32_t i = 0; i < n; i++) {
		uint32_t left = n - 1 - i;
		struct kms_buffer *buffer = &s->buffers[left % 2];
		draw_frame(s, buffer, left * 16 % buffer->w);
		kms_flip(&s->card, &s->card.heads[0], buffer);
	}
	s->flips += n;
	s->flip_ms += now_ms() - start;
}

// Spoils a rectangle on screen, then puts it right by a partial update: pixels that do not come are seen.
static void run_dirty(struct scene *s) {
	struct kms_buffer *buffer = &s->buffers[0];
	uint32_t x1 = buffer->w / 4 + 3, y1 = buffer->h / 3 + 1, x2 = buffer->w / 2 + 5,
		 y2 = buffer->h / 2 + 2;
	struct drm_clip_rect rect = { (uint16_t)x1, (uint16_t)y1, (uint16_t)x2, (uint16_t)y2 };
	for (uint32_t y = y1; y < y2; y++) {
		memset(row_of(buffer, y) + x1, 0x55, (x2 - x1) * sizeof(uint32_t));
	}
	kms_dirty(&s->card, buffer, rect);
	for (uint32_t y = y1; y < y2; y++) {
		memcpy(row_of(buffer, y) + x1, s->picture + (size_t)y * buffer->w + x1,
			(x2 - x1) * sizeof(uint32_t));
	}
	kms_dirty(&s->card, buffer, rect);
	printf("neep-draw: dirty rect=%u,%u,%ux%u\n", x1, y1, x2 - x1, y2 - y1);
}

static void run_cursor(struct scene *s) {
	const struct kms_head *head = &s->card.heads[0];
	kms_image_create(&s->card, NEEP_CURSOR_SIZE, NEEP_CURSOR_SIZE, &s->cursor);
	for (uint32_t y = 0; y < NEEP_CURSOR_SIZE; y++) {
		for (uint32_t x = 0; x < NEEP_CURSOR_SIZE; x++) {
			row_of(&s->cursor, y)[x] = neep_cursor_pixel(x, y);
		}
	}
	kms_cursor_set(&s->card, head, &s->cursor, NEEP_CURSOR_HOT_X, NEEP_CURSOR_HOT_Y);
	for (int i = 0; i <= 20; i++) {
		s->cursor_x = 100 + 16 * i;
		s->cursor_y = 60 + 10 * i;
		kms_cursor_move(&s->card, head, s->cursor_x, s->cursor_y);
	}
}

static void say_scene(const struct scene *s, const char *name) {
	const struct kms_buffer *buffer = &s->buffers[0];
	uint64_t sum = NEEP_PICTURE_SUM_INIT;
	for (uint32_t y = 0; y < buffer->h; y++) {
		sum = neep_picture_sum(sum, row_of(buffer, y), buffer->w);
	}
	printf("neep-draw: ready scene=%s size=%ux%u heads=%u flips=%u flip_ms=%u rate=%u cursor=%d,%d "
	       "hot=%d,%d sum=%016llx\n",
		name, buffer->w, buffer->h, s->card.n_heads, s->flips, s->flip_ms,
		s->flip_ms > 0 ? s->flips * 1000 / s->flip_ms : 0, s->cursor_x, s->cursor_y,
		NEEP_CURSOR_HOT_X, NEEP_CURSOR_HOT_Y, (unsigned long long)sum);
}

static void wait_for_host(void) {
	char line[64];
	if (fgets(line, sizeof(line), stdin) == NULL) {
		kms_die("standard input ended");
	}
}

static void draw_picture(struct scene *s, const char *name, uint32_t flips) {
	scene_open(s);
	scene_buffers(s, s->card.heads[0].mode.hdisplay, s->card.heads[0].mode.vdisplay);
	run_flips(s, flips);
	run_dirty(s);
	run_cursor(s);
	say_scene(s, name);
	wait_for_host();
}

// One buffer as wide as all heads together, each head showing its own part.
static void draw_two_heads(struct scene *s) {
	scene_open(s);
	uint32_t w = 0, h = 0;
	for (uint32_t i = 0; i < s->card.n_heads; i++) {
		const struct drm_mode_modeinfo *mode = &s->card.heads[i].mode;
		w += mode->hdisplay;
		h = mode->vdisplay > h ? mode->vdisplay : h;
	}
	scene_buffers(s, w, h);
	draw_frame(s, &s->buffers[0], 0);
	for (uint32_t i = 0, x = 0; i < s->card.n_heads; i++) {
		const struct drm_mode_modeinfo *mode = &s->card.heads[i].mode;
		kms_show(&s->card, &s->card.heads[i], &s->buffers[0], x);
		printf("neep-draw: part index=%u area=%u,0,%ux%u\n", i, x, mode->hdisplay, mode->vdisplay);
		x += mode->hdisplay;
	}
	say_scene(s, "two-heads");
	wait_for_host();
}

static void show_picture(struct scene *s, const char *name) {
	scene_buffers(s, s->card.heads[0].mode.hdisplay, s->card.heads[0].mode.vdisplay);
	draw_frame(s, &s->buffers[0], 0);
	kms_show(&s->card, &s->card.heads[0], &s->buffers[0], 0);
	say_scene(s, name);
}

static void drop_buffers(struct scene *s, struct kms_buffer buffers[2]) {
	kms_buffer_destroy(&s->card, &buffers[0]);
	kms_buffer_destroy(&s->card, &buffers[1]);
}

// Goes through the modes of the first head, each size once, a line from the host after each.
static void draw_modes(struct scene *s, uint32_t count) {
	struct drm_mode_modeinfo modes[MODES_MAX];
	struct kms_buffer old[2];
	uint32_t shown = 0;
	scene_open(s);
	struct kms_head *head = &s->card.heads[0];
	uint32_t all = kms_modes(&s->card, head, modes, MODES_MAX);
	for (uint32_t i = 0; i < all && shown < count; i++) {
		bool is_new = true;
		for (uint32_t j = 0; j < i; j++) {
			is_new &= modes[j].hdisplay != modes[i].hdisplay ||
				  modes[j].vdisplay != modes[i].vdisplay;
		}
		if (!is_new) {
			continue;
		}
		memcpy(old, s->buffers, sizeof(old));
		head->mode = modes[i];
		show_picture(s, "mode");
		if (shown++ > 0) {
			drop_buffers(s, old);
		}
		wait_for_host();
	}
	printf("neep-draw: modes shown=%u of=%u\n", shown, all);
}

static int uevent_socket(void) {
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		kms_die("uevent socket");
	}
	return fd;
}

static bool is_hotplug(const char *event, size_t len) {
	for (size_t at = 0; at < len; at += strlen(event + at) + 1) {
		if (strcmp(event + at, "HOTPLUG=1") == 0) {
			return true;
		}
	}
	return false;
}

static void wait_for_hotplug(int fd) {
	char event[4096];
	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		if (poll(&ready, 1, HOTPLUG_TIMEOUT_MS) <= 0) {
			kms_die("no hotplug event within %d ms", HOTPLUG_TIMEOUT_MS);
		}
		ssize_t n = recv(fd, event, sizeof(event) - 1, 0);
		if (n > 0) {
			event[n] = '\0';
			if (is_hotplug(event, (size_t)n)) {
				return;
			}
		}
	}
}

static void draw_resize(struct scene *s) {
	int events = uevent_socket();
	scene_open(s);
	show_picture(s, "before-resize");
	wait_for_hotplug(events);
	kms_probe(&s->card);
	if (s->card.n_heads == 0) {
		errno = ENODEV;
		kms_die("no head left after the hotplug event");
	}
	struct kms_buffer old[2] = { s->buffers[0], s->buffers[1] };
	show_picture(s, "resized");
	drop_buffers(s, old);
	close(events);
	wait_for_host();
}

static int run(struct scene *s, int argc, char **argv) {
	if (argc > 1 && sscanf(argv[1], "--card=%d", &s->card_number) == 1) {
		argc--;
		argv++;
	}
	const char *mode = argc > 1 ? argv[1] : "picture";
	if (strcmp(mode, "picture") == 0) {
		draw_picture(s, mode, FLIPS_DEFAULT);
	} else if (strcmp(mode, "flips") == 0 && argc > 2) {
		draw_picture(s, mode, (uint32_t)strtoul(argv[2], NULL, 10));
	} else if (strcmp(mode, "two-heads") == 0) {
		draw_two_heads(s);
	} else if (strcmp(mode, "modes") == 0 && argc > 2) {
		draw_modes(s, (uint32_t)strtoul(argv[2], NULL, 10));
	} else if (strcmp(mode, "resize") == 0) {
		draw_resize(s);
	} else if (strcmp(mode, "blob") == 0) {
		scene_open(s);
	} else {
		printf("usage: draw [--card=N] picture | flips N | two-heads | modes N | resize | blob\n");
		return 2;
	}
	return 0;
}

int main(int argc, char **argv) {
	static struct scene scene;
	setvbuf(stdout, NULL, _IOLBF, 0);
	int status = run(&scene, argc, argv);
	free(scene.picture);
	return status;
}
