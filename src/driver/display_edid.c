#include "driver/display_edid.h"

#include <string.h>

/* VESA E-EDID 1.4, "Extended Display Identification Data". */
#define TIMING_OFFSET 54
#define CHECKSUM      127
#define H_BLANK       160u
#define V_BLANK       40u
#define DESCRIPTOR    18

static const uint8_t edid_start[TIMING_OFFSET] = {
	0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, // header
	0x38, 0xb0, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, // NEP, product 1
	0x01, 0x24, 0x01, 0x04,                         // 2026, EDID 1.4
	0xa5, 0x00, 0x00, 0x78, 0x06,                   // digital, 8 bits, RGB
	[38] = 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
	0x01, // no standard timings
};

static void put_u16(uint8_t *at, uint32_t value) {
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

/* A pair of 12-bit numbers: low bytes first, then both high nibbles. */
static void put_pair(uint8_t *at, uint32_t active, uint32_t blank) {
	at[0] = (uint8_t)active;
	at[1] = (uint8_t)blank;
	at[2] = (uint8_t)((active >> 8 & 0xf) << 4 | (blank >> 8 & 0xf));
}

static void put_timing(uint8_t *timing, uint32_t width, uint32_t height) {
	uint32_t clock_10khz = (width + H_BLANK) * (height + V_BLANK) / 10000 * 60;
	put_u16(timing, clock_10khz > UINT16_MAX ? UINT16_MAX : clock_10khz);
	put_pair(timing + 2, width, H_BLANK);
	put_pair(timing + 5, height, V_BLANK);
	timing[8] = 48;    // horizontal front porch
	timing[9] = 32;    // horizontal sync
	timing[10] = 0x35; // vertical front porch 3, sync 5
	timing[17] = 0x1e; // digital separate sync, both positive
}

void neep_display_edid_fill(uint8_t edid[static NEEP_DISPLAY_EDID_SIZE], uint32_t width, uint32_t height) {
	memset(edid, 0, NEEP_DISPLAY_EDID_SIZE);
	memcpy(edid, edid_start, sizeof(edid_start));
	put_timing(edid + TIMING_OFFSET, width, height);
	for (int i = 1; i < 4; i++) {
		edid[TIMING_OFFSET + i * DESCRIPTOR + 3] = 0x10; // a dummy descriptor
	}
	uint8_t sum = 0;
	for (int i = 0; i < CHECKSUM; i++) {
		sum = (uint8_t)(sum + edid[i]);
	}
	edid[CHECKSUM] = (uint8_t)(0 - sum);
}
