/* An EDID for the display peer to answer with: one block, one detailed timing. Room-internal. */
#ifndef NEEP_DRIVER_DISPLAY_EDID_H
#define NEEP_DRIVER_DISPLAY_EDID_H

#include <stdint.h>

#define NEEP_DISPLAY_EDID_SIZE 128

/* A base block whose preferred mode is width x height (each below 4096) at 60 Hz. */
void neep_display_edid_fill(uint8_t edid[static NEEP_DISPLAY_EDID_SIZE], uint32_t width, uint32_t height);

#endif
