/* EDID 1.4 for an output (VESA E-EDID Standard, release A, revision 2), and a DisplayID 1.3 extension for modes that its
 * detailed timing descriptor cannot hold.
 *
 * Linux takes the preferred mode only when it is not larger than what GET_DISPLAY_INFO says and at most 16 pixels smaller,
 * so both come from the same numbers. The bytes change only with the mode: desktops recognise an output by them. */
#include "device/device_internal.h"

#include <stdio.h>
#include <string.h>

#define BLOCK 128

/* Where things are in the base block. */
#define BASE_MANUFACTURER 8
#define BASE_PRODUCT      10
#define BASE_SERIAL       12
#define BASE_WEEK         16
#define BASE_VERSION      18
#define BASE_INPUT        20
#define BASE_SIZE_CM      21
#define BASE_GAMMA        23
#define BASE_FEATURES     24
#define BASE_CHROMATICITY 25
#define BASE_ESTABLISHED  35
#define BASE_STANDARD     38
#define BASE_DESCRIPTORS  54
#define DESCRIPTOR        18
#define BASE_EXTENSIONS   126

/* The detailed timing descriptor has 12 bits for a size and 16 for the clock in units of 10 kHz. */
#define DTD_SIZE_MAX  4095
#define DTD_CLOCK_MAX 65535

#define REFRESH_HZ   60
#define CLOCK_MIN_HZ 10010000

/* Pixels per centimetre at about 100 dpi: guests scale by the size of the screen. Smaller than 10 cm is no screen. */
#define PIXELS_PER_CM 39
#define SIZE_MM_MIN   100
#define SIZE_MM_MAX   2550

/* Reduced blanking in the manner of CVT 1.2: 160 pixels and at least 460 us. */
#define RB_H_BLANK    160
#define RB_H_FRONT    48
#define RB_H_SYNC     32
#define RB_V_FRONT    3
#define RB_V_BACK_MIN 6
#define RB_V_BLANK_US 460

struct timing {
	uint32_t width, height;
	uint32_t h_blank, h_front, h_sync;
	uint32_t v_blank, v_front, v_sync;
	uint32_t clock_10khz;
};

/* CVT tells the aspect ratio by the length of the vertical sync. */
static uint32_t v_sync_lines(uint32_t width, uint32_t height) {
	static const struct {
		uint32_t x, y, lines;
	} ratios[] = { { 4, 3, 4 }, { 16, 9, 5 }, { 16, 10, 6 }, { 5, 4, 7 }, { 15, 9, 7 } };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(ratios); i++) {
		if (width * ratios[i].y == height * ratios[i].x) {
			return ratios[i].lines;
		}
	}
	return 10;
}

static struct timing make_timing(uint32_t width, uint32_t height) {
	struct timing t = {
		.width = width,
		.height = height,
		.h_blank = RB_H_BLANK,
		.h_front = RB_H_FRONT,
		.h_sync = RB_H_SYNC,
		.v_front = RB_V_FRONT,
		.v_sync = v_sync_lines(width, height),
	};
	/* The line period in nanoseconds, from what a frame leaves beside the blanking. */
	uint64_t frame_ns = UINT64_C(1000000000) / REFRESH_HZ;
	uint64_t line_ns = (frame_ns - RB_V_BLANK_US * 1000) / height;
	uint32_t blank = (uint32_t)(RB_V_BLANK_US * 1000 / line_ns) + 1;
	uint32_t least = RB_V_FRONT + t.v_sync + RB_V_BACK_MIN;
	t.v_blank = blank > least ? blank : least;
	/* No display is that slow: tiny modes get more blanking. */
	uint32_t lines_min = CLOCK_MIN_HZ / REFRESH_HZ / (width + t.h_blank) + 1;
	if (height + t.v_blank < lines_min) {
		t.v_blank = lines_min - height;
	}
	uint64_t clock_hz = (uint64_t)(width + t.h_blank) * (height + t.v_blank) * REFRESH_HZ;
	t.clock_10khz = (uint32_t)(clock_hz / 10000);
	return t;
}

static void put_u16(uint8_t *at, uint32_t value) {
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put_checksum(uint8_t *block, size_t covered) {
	uint8_t sum = 0;
	for (size_t i = 0; i < covered; i++) {
		sum = (uint8_t)(sum + block[i]);
	}
	block[covered] = (uint8_t)(0 - sum);
}

static uint32_t size_mm(uint32_t pixels) {
	uint32_t mm = pixels * 10 / PIXELS_PER_CM;
	return mm < SIZE_MM_MIN ? SIZE_MM_MIN : mm > SIZE_MM_MAX ? SIZE_MM_MAX : mm;
}

/* Section 3.10.2, "Detailed Timing Descriptor". `screen` is the mode that the screen has the size for. */
static void put_detailed_timing(uint8_t *d, const struct timing *t, const struct timing *screen) {
	uint32_t width_mm = size_mm(screen->width);
	uint32_t height_mm = size_mm(screen->height);
	put_u16(d, t->clock_10khz);
	d[2] = (uint8_t)t->width;
	d[3] = (uint8_t)t->h_blank;
	d[4] = (uint8_t)((t->width >> 8) << 4 | t->h_blank >> 8);
	d[5] = (uint8_t)t->height;
	d[6] = (uint8_t)t->v_blank;
	d[7] = (uint8_t)((t->height >> 8) << 4 | t->v_blank >> 8);
	d[8] = (uint8_t)t->h_front;
	d[9] = (uint8_t)t->h_sync;
	d[10] = (uint8_t)((t->v_front & 0xf) << 4 | (t->v_sync & 0xf));
	d[11] = (uint8_t)((t->h_front >> 8) << 6 | (t->h_sync >> 8) << 4 | (t->v_front >> 4) << 2 |
			  t->v_sync >> 4);
	d[12] = (uint8_t)width_mm;
	d[13] = (uint8_t)height_mm;
	d[14] = (uint8_t)((width_mm >> 8) << 4 | height_mm >> 8);
	/* Digital separate sync, positive horizontal, negative vertical: what CVT reduced blanking asks for. */
	d[17] = 0x1a;
}

/* Section 3.10.3: a tag and 13 bytes, text ended by a line feed and padded with spaces. */
static void put_text(uint8_t *d, uint8_t tag, const char *text) {
	memset(d, 0, DESCRIPTOR);
	d[3] = tag;
	memset(d + 5, ' ', 13);
	size_t len = strlen(text);
	memcpy(d + 5, text, len);
	d[5 + len] = '\n';
}

/* Section 3.10.3.3, "Display Range Limits": wide enough for the preferred mode and the standard ones. A mode that fits a
 * descriptor fits these bytes too. */
static void put_range_limits(uint8_t *d, const struct timing *t) {
	uint32_t clock_10mhz = (t->clock_10khz + 999) / 1000;
	uint32_t line_khz = t->clock_10khz * 10 / (t->width + t->h_blank) + 1;
	memset(d, 0, DESCRIPTOR);
	d[3] = 0xfd;
	d[5] = 50;
	d[6] = 125;
	d[7] = (uint8_t)(line_khz > 31 ? 30 : line_khz - 1);
	d[8] = (uint8_t)(line_khz < 160 ? 160 : line_khz);
	d[9] = (uint8_t)(clock_10mhz < 30 ? 30 : clock_10mhz);
	d[10] = 0x01; // range limits only, no formula
	d[11] = '\n';
	memset(d + 12, ' ', 6);
}

/* Section 3.10.3.10: a descriptor that says nothing. */
static void put_dummy(uint8_t *d) {
	memset(d, 0, DESCRIPTOR);
	d[3] = 0x10;
}

/* Section 3.9: 60 Hz modes of the DMT standard that every guest knows. */
static void put_standard_timings(uint8_t *at) {
	static const struct {
		uint16_t width;
		uint8_t aspect; // 0: 16:10, 1: 4:3, 2: 5:4, 3: 16:9
	} modes[] = { { 1920, 3 }, { 1600, 1 }, { 1680, 0 }, { 1440, 0 }, { 1280, 2 }, { 1280, 0 },
		{ 1600, 3 }, { 1152, 1 } };
	for (size_t i = 0; i < 8; i++) {
		at[2 * i] = 1;
		at[2 * i + 1] = 1;
	}
	for (size_t i = 0; i < 7; i++) {
		at[2 * i] = (uint8_t)(modes[i].width / 8 - 31);
		at[2 * i + 1] = (uint8_t)(modes[i].aspect << 6);
	}
}

static void put_identity(uint8_t *edid, uint32_t scanout_id) {
	static const uint8_t magic[8] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	/* "NEP", five bits a letter, the first one on top. */
	static const uint32_t manufacturer = ('N' - '@') << 10 | ('E' - '@') << 5 | ('P' - '@');
	memcpy(edid, magic, sizeof(magic));
	edid[BASE_MANUFACTURER] = (uint8_t)(manufacturer >> 8);
	edid[BASE_MANUFACTURER + 1] = (uint8_t)manufacturer;
	put_u16(edid + BASE_PRODUCT, 1);
	put_u16(edid + BASE_SERIAL, scanout_id + 1);
	edid[BASE_WEEK] = 1;
	edid[BASE_WEEK + 1] = 2026 - 1990;
	edid[BASE_VERSION] = 1;
	edid[BASE_VERSION + 1] = 4;
}

static void put_properties(uint8_t *edid, const struct timing *t) {
	/* sRGB: red 0.640 0.330, green 0.300 0.600, blue 0.150 0.060, white 0.3127 0.3290. */
	static const uint8_t srgb[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
	edid[BASE_INPUT] = 0xa5; // digital, 8 bits a colour, DisplayPort
	edid[BASE_SIZE_CM] = (uint8_t)(size_mm(t->width) / 10);
	edid[BASE_SIZE_CM + 1] = (uint8_t)(size_mm(t->height) / 10);
	edid[BASE_GAMMA] = 120;     // 2.20
	edid[BASE_FEATURES] = 0x06; // sRGB, the first detailed timing is the native mode
	memcpy(edid + BASE_CHROMATICITY, srgb, sizeof(srgb));
	edid[BASE_ESTABLISHED] = 0x21;     // 640x480, 800x600 at 60 Hz
	edid[BASE_ESTABLISHED + 1] = 0x08; // 1024x768 at 60 Hz
	put_standard_timings(edid + BASE_STANDARD);
}

/* DisplayID 1.3: blocks of a tag, a revision, the length of what follows, and that. Each returns where the next one goes. */
static uint8_t *put_block_header(uint8_t *d, uint8_t tag, uint8_t len) {
	d[0] = tag;
	d[1] = 0;
	d[2] = len;
	return d + 3;
}

/* Section 4.1, "Product Identification": as in the base block. */
static uint8_t *put_product(uint8_t *block, uint32_t scanout_id) {
	uint8_t *d = put_block_header(block, 0x00, 12);
	memcpy(d, "NEP", 3);
	put_u16(d + 3, 1);
	put_u16(d + 5, scanout_id + 1);
	d[9] = 1;
	d[10] = 2026 - 2000;
	return d + 12;
}

/* Section 4.2, "Display Parameters": sizes in tenths of a millimetre. */
static uint8_t *put_parameters(uint8_t *block, const struct timing *t) {
	uint8_t *d = put_block_header(block, 0x01, 12);
	uint32_t longer = t->width > t->height ? t->width : t->height;
	uint32_t shorter = t->width > t->height ? t->height : t->width;
	uint32_t ratio = longer * 100 / shorter - 100;
	put_u16(d, size_mm(t->width) * 10);
	put_u16(d + 2, size_mm(t->height) * 10);
	put_u16(d + 4, t->width);
	put_u16(d + 6, t->height);
	d[9] = 120; // gamma 2.20
	d[10] = (uint8_t)(ratio > 255 ? 255 : ratio);
	d[11] = 0x77; // 8 bits a colour
	return d + 12;
}

/* Section 4.4.1, "Type I Detailed Timing": sizes less one, the clock in units of 10 kHz less one. */
static uint8_t *put_type_1_timing(uint8_t *block, const struct timing *t) {
	uint8_t *d = put_block_header(block, 0x03, 20);
	uint32_t clock = t->clock_10khz - 1;
	put_u16(d, clock);
	d[2] = (uint8_t)(clock >> 16);
	d[3] = 0x80 | 0x08; // preferred; aspect ratio not given
	put_u16(d + 4, t->width - 1);
	put_u16(d + 6, t->h_blank - 1);
	put_u16(d + 8, (t->h_front - 1) | 0x8000); // positive sync
	put_u16(d + 10, t->h_sync - 1);
	put_u16(d + 12, t->height - 1);
	put_u16(d + 14, t->v_blank - 1);
	put_u16(d + 16, t->v_front - 1);
	put_u16(d + 18, t->v_sync - 1);
	return d + 20;
}

/* Section 4.11, "Display Interface": DisplayPort 1.2 with four lanes, RGB with 8 bits a colour. */
static void put_interface(uint8_t *block) {
	uint8_t *d = put_block_header(block, 0x0f, 10);
	d[0] = 0x94;
	d[1] = 0x12;
	d[2] = 0x02;
}

static void put_displayid(uint8_t *block, uint32_t scanout_id, const struct timing *t) {
	block[0] = 0x70; // DisplayID extension
	block[1] = 0x13; // version 1.3
	block[2] = BLOCK - 7;
	block[3] = 0x03; // a monitor of its own
	uint8_t *at = put_product(block + 5, scanout_id);
	at = put_parameters(at, t);
	at = put_type_1_timing(at, t);
	put_interface(at);
	/* The section's own checksum covers it from its version byte on. */
	put_checksum(block + 1, BLOCK - 3);
	put_checksum(block, BLOCK - 1);
}

static bool fits_descriptor(const struct timing *t) {
	return t->width <= DTD_SIZE_MAX && t->height <= DTD_SIZE_MAX && t->clock_10khz <= DTD_CLOCK_MAX;
}

size_t neep_edid_generate(
	uint32_t scanout_id, uint32_t width, uint32_t height, uint8_t edid[static NEEP_EDID_MAX]) {
	struct timing preferred = make_timing(width, height);
	bool is_small = fits_descriptor(&preferred);
	/* The first descriptor must be a timing; Linux always accepts this one. */
	struct timing first = is_small ? preferred : make_timing(1024, 768);
	char serial[14];
	memset(edid, 0, NEEP_EDID_MAX);
	put_identity(edid, scanout_id);
	put_properties(edid, &preferred);
	uint8_t *descriptors = edid + BASE_DESCRIPTORS;
	put_detailed_timing(descriptors, &first, &preferred);
	/* Range limits cannot say the clocks of large modes. */
	if (is_small) {
		put_range_limits(descriptors + DESCRIPTOR, &preferred);
	} else {
		put_dummy(descriptors + DESCRIPTOR);
	}
	put_text(descriptors + 2 * DESCRIPTOR, 0xfc, "neep");
	snprintf(serial, sizeof(serial), "output-%u", scanout_id % NEEP_SCANOUTS_MAX);
	put_text(descriptors + 3 * DESCRIPTOR, 0xff, serial);
	edid[BASE_EXTENSIONS] = is_small ? 0 : 1;
	put_checksum(edid, BLOCK - 1);
	if (!is_small) {
		put_displayid(edid + BLOCK, scanout_id, &preferred);
	}
	return is_small ? BLOCK : 2 * BLOCK;
}
