// Plain KMS over the kernel's ioctls for the guest programs: one card, its connected heads, dumb buffers, flips, cursor.
// Guest programs are tests: a call that fails ends the program with a message (kms_die), nothing is recovered.
#ifndef NEEP_TESTS_VM_KMS_H
#define NEEP_TESTS_VM_KMS_H

#include <drm.h>
#include <drm_mode.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KMS_HEADS_MAX 16

struct kms_head {
	uint32_t connector;
	uint32_t crtc;
	struct drm_mode_modeinfo mode; // the preferred mode
};

struct kms_card {
	int fd;
	char driver[32];
	char path[32];
	uint32_t n_heads;
	struct kms_head heads[KMS_HEADS_MAX]; // the connected connectors in the kernel's order
};

struct kms_buffer {
	uint32_t w;
	uint32_t h;
	uint32_t pitch; // in bytes
	uint32_t handle;
	uint32_t fb; // 0 for a cursor image
	uint64_t size;
	uint32_t *map;
};

// Prints the message and the errno text to standard output (the host reads it there), then exits with status 1.
__attribute__((noreturn, format(printf, 1, 2))) void kms_die(const char *format, ...);

// ioctl that restarts after signals; returns 0 or -1 with errno.
int kms_ioctl(int fd, unsigned long request, void *arg);

// Opens a card whose driver is virtio_gpu, counted from 0, as DRM master and probes its heads.
void kms_open(struct kms_card *card, int number);

// Reads connectors and modes again, as after a hotplug event. Buffers stay.
void kms_probe(struct kms_card *card);

// The modes of a connected head, at most `count`, in the kernel's order. Returns how many.
uint32_t kms_modes(const struct kms_card *card, const struct kms_head *head, struct drm_mode_modeinfo *modes,
	uint32_t count);

// Makes a mapped XRGB8888 buffer that can be scanned out.
void kms_buffer_create(const struct kms_card *card, uint32_t w, uint32_t h, struct kms_buffer *buffer);

// Makes a mapped ARGB8888 buffer for the cursor; it has no framebuffer id.
void kms_image_create(const struct kms_card *card, uint32_t w, uint32_t h, struct kms_buffer *buffer);

// Gives the buffer back; a buffer on screen goes dark.
void kms_buffer_destroy(const struct kms_card *card, struct kms_buffer *buffer);

// Shows buffer from column x on, on one head at its preferred mode.
void kms_show(const struct kms_card *card, const struct kms_head *head, const struct kms_buffer *buffer,
	uint32_t x);

// Asks for a page flip and waits for its event.
void kms_flip(const struct kms_card *card, const struct kms_head *head, const struct kms_buffer *buffer);

// Tells the kernel that a rectangle of the buffer changed.
void kms_dirty(const struct kms_card *card, const struct kms_buffer *buffer, struct drm_clip_rect rect);

// Puts a cursor image with its hotspot on the head, or moves the present one.
void kms_cursor_set(const struct kms_card *card, const struct kms_head *head, const struct kms_buffer *image,
	int hot_x, int hot_y);
void kms_cursor_move(const struct kms_card *card, const struct kms_head *head, int x, int y);

#endif
