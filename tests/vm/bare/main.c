// A guest without an operating system that shows the picture: for machines whose KVM runs no Linux kernel, where QEMU 7.2,
// which serves vhost-user-gpu under KVM only, would otherwise stay untested. Such a KVM may emulate every instruction, so
// the host draws the picture and gives it as a module.
#include <linux/virtio_gpu.h>
#include <stddef.h>

#include "../guest/picture.h"
#include "io.h"
#include "virtio.h"

#define GPU_ID      0x10501af4u
#define PIXELS_MAX  (1280u * 800)
#define ENTRIES     7u // an odd number, so that rows of the picture cross from one to the next
#define CURSOR_X    100
#define CURSOR_Y    50
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
	PICTURE = 1,
	CURSOR = 2,
};

struct module { // of the Multiboot specification
	uint32_t start;
	uint32_t end;
	uint32_t name;
	uint32_t reserved;
};

struct boot_info { // the head of the Multiboot specification's
	uint32_t flags;
	uint32_t skipped[4];
	uint32_t n_modules;
	const struct module *modules;
};

#define BOOT_HAS_MODULES 8u

void neep_bare_main(const struct boot_info *boot);

static struct neep_ring control;
static struct neep_ring cursor;
static uint32_t pixels[PIXELS_MAX + ENTRIES];
static uint32_t cursor_pixels[NEEP_CURSOR_SIZE * NEEP_CURSOR_SIZE];

// Sends a command of up to two parts; the answer must be of that type and size, and carry the fence if there was one.
static void call(struct neep_part head, struct neep_part more, struct neep_part answer, uint32_t type) {
	struct neep_part parts[3] = { head };
	uint16_t n = 1;
	if (more.size != 0) {
		parts[n++] = more;
	}
	answer.flags = VRING_DESC_F_WRITE;
	parts[n++] = answer;
	const struct virtio_gpu_ctrl_hdr *asked = head.data;
	volatile struct virtio_gpu_ctrl_hdr *got = answer.data;
	uint32_t size = neep_ring_call(&control, parts, n);
	if (got->type != type) {
		neep_print("bare: command 0x");
		neep_print_number(asked->type, 16);
		neep_print("\n");
		neep_fail("the answer is", got->type);
	}
	if (size != answer.size) {
		neep_fail("the answer's size is", size);
	}
	if ((asked->flags & VIRTIO_GPU_FLAG_FENCE) != 0 &&
		((got->flags & VIRTIO_GPU_FLAG_FENCE) == 0 || got->fence_id != asked->fence_id)) {
		neep_fail("the answer lacks the fence", (uint32_t)asked->fence_id);
	}
}

#define PART(object) ((struct neep_part){ .data = &(object), .size = sizeof(object) })

static void order_with(struct neep_part head, struct neep_part more) {
	struct virtio_gpu_ctrl_hdr answer = { 0 };
	call(head, more, PART(answer), VIRTIO_GPU_RESP_OK_NODATA);
}

static void order(struct neep_part head) {
	order_with(head, (struct neep_part){ 0 });
}

static struct virtio_gpu_rect display_size(void) {
	static struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_ctrl_hdr ask = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	call(PART(ask), (struct neep_part){ 0 }, PART(info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	struct virtio_gpu_rect r = info.pmodes[0].r;
	if (info.pmodes[0].enabled == 0 || r.width == 0 || r.height == 0 || r.height > PIXELS_MAX / r.width) {
		neep_fail("no display of a size that fits", r.width << 16 | r.height);
	}
	return r;
}

static void check_edid(void) {
	static struct virtio_gpu_resp_edid edid;
	static const uint8_t magic[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	struct virtio_gpu_cmd_get_edid ask = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID };
	call(PART(ask), (struct neep_part){ 0 }, PART(edid), VIRTIO_GPU_RESP_OK_EDID);
	for (uint32_t i = 0; i < N_OF(magic); i++) {
		if (edid.edid[i] != magic[i]) {
			neep_fail("no EDID: byte", i);
		}
	}
	uint8_t sum = 0;
	for (uint32_t i = 0; i < 128; i++) {
		sum = (uint8_t)(sum + edid.edid[i]);
	}
	if (edid.size < 128 || sum != 0) {
		neep_fail("a broken EDID of size", edid.size);
	}
	neep_print("bare: EDID\n");
}

static void create(uint32_t id, uint32_t format, uint32_t w, uint32_t h) {
	struct virtio_gpu_resource_create_2d ask = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = id,
		.format = format,
		.width = w,
		.height = h };
	order(PART(ask));
}

// Where byte 0 of entry i of n of the picture's backing lies in pixels[]: the last first, so that a device that takes the
// entries for one piece of memory is found out.
static uint32_t entry_start(uint32_t i, uint32_t size) {
	return (ENTRIES - 1 - i) * size;
}

static uint32_t entry_size(uint32_t count) {
	return (count + ENTRIES - 1) / ENTRIES;
}

static void attach(uint32_t id, const struct virtio_gpu_mem_entry *entries, uint32_t n) {
	struct virtio_gpu_resource_attach_backing ask = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, .resource_id = id, .nr_entries = n
	};
	order_with(PART(ask), (struct neep_part){ .data = (void *)entries, .size = n * sizeof(*entries) });
}

static void attach_picture(uint32_t count) {
	struct virtio_gpu_mem_entry entries[ENTRIES] = { 0 };
	uint32_t size = entry_size(count);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		entries[i].addr = (uint32_t)&pixels[entry_start(i, size)];
		entries[i].length = size * 4;
	}
	attach(PICTURE, entries, ENTRIES);
}

static void copy(uint32_t *to, const uint32_t *from, uint32_t count) {
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

// Spreads the module, the picture's pixels, over the entries.
static void load_picture(uint32_t count, const struct boot_info *boot) {
	if ((boot->flags & BOOT_HAS_MODULES) == 0 || boot->n_modules != 1 ||
		boot->modules->end - boot->modules->start != count * 4) {
		neep_fail("no module of this many pixels:", count);
	}
	const uint32_t *from = (const uint32_t *)boot->modules->start;
	uint32_t size = entry_size(count);
	for (uint32_t i = 0, done = 0; done < count; i++, done += size) {
		copy(&pixels[entry_start(i, size)], from + done, size < count - done ? size : count - done);
	}
}

static void transfer(uint32_t id, uint32_t w, uint32_t h) {
	struct virtio_gpu_transfer_to_host_2d ask = { .hdr = { .type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
							      .flags = VIRTIO_GPU_FLAG_FENCE,
							      .fence_id = id },
		.r = { .width = w, .height = h },
		.resource_id = id };
	order(PART(ask));
}

static void show_picture(struct virtio_gpu_rect r, const struct boot_info *boot) {
	create(PICTURE, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, r.width, r.height);
	attach_picture(r.width * r.height);
	load_picture(r.width * r.height, boot);
	transfer(PICTURE, r.width, r.height);
	struct virtio_gpu_set_scanout scanout = { .hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
		.r = { .width = r.width, .height = r.height },
		.resource_id = PICTURE };
	order(PART(scanout));
	struct virtio_gpu_resource_flush flush = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH, .r = scanout.r, .resource_id = PICTURE
	};
	order(PART(flush));
}

static void point(uint32_t type, uint32_t x, uint32_t y) {
	struct virtio_gpu_update_cursor ask = { .hdr.type = type,
		.pos = { .x = x, .y = y },
		.resource_id = CURSOR,
		.hot_x = NEEP_CURSOR_HOT_X,
		.hot_y = NEEP_CURSOR_HOT_Y };
	struct neep_part part = PART(ask);
	neep_ring_call(&cursor, &part, 1);
}

static void show_cursor(void) {
	for (uint32_t i = 0; i < N_OF(cursor_pixels); i++) {
		cursor_pixels[i] = neep_cursor_pixel(i % NEEP_CURSOR_SIZE, i / NEEP_CURSOR_SIZE);
	}
	create(CURSOR, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, NEEP_CURSOR_SIZE, NEEP_CURSOR_SIZE);
	attach(CURSOR, &(struct virtio_gpu_mem_entry){ (uint32_t)cursor_pixels, sizeof(cursor_pixels), 0 },
		1);
	transfer(CURSOR, NEEP_CURSOR_SIZE, NEEP_CURSOR_SIZE);
	point(VIRTIO_GPU_CMD_UPDATE_CURSOR, 0, 0);
	point(VIRTIO_GPU_CMD_MOVE_CURSOR, CURSOR_X, CURSOR_Y);
}

void neep_bare_main(const struct boot_info *boot) {
	neep_print("bare: up\n");
	struct neep_windows w = neep_pci_open(GPU_ID);
	uint32_t features = neep_virtio_start(&w, 1u << VIRTIO_GPU_F_EDID);
	neep_ring_open(&control, &w, 0);
	neep_ring_open(&cursor, &w, 1);
	neep_virtio_ready(&w);
	struct virtio_gpu_rect r = display_size();
	if ((features & 1u << VIRTIO_GPU_F_EDID) != 0) {
		check_edid();
	}
	show_picture(r, boot);
	show_cursor();
	neep_print("bare: done ");
	neep_print_number(r.width, 10);
	neep_print("x");
	neep_print_number(r.height, 10);
	neep_print("\n");
	neep_halt();
}
