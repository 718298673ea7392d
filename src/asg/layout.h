/* Where the words of an ASG ring are, in bytes from the start of its blob. Room-internal, and for tests that play the guest.
 * Source: Mesa's gfxstream guest, aemu's ring_buffer and the address space stream. */
#ifndef NEEP_ASG_LAYOUT_H
#define NEEP_ASG_LAYOUT_H

#include <stdint.h>

#include "asg/ring.h"

/* The three pages. */
#define NEEP_ASG_TO_HOST         UINT32_C(0x0000) // records that point into the data buffer
#define NEEP_ASG_TO_HOST_LARGE   UINT32_C(0x1000) // the data buffer as a byte ring
#define NEEP_ASG_FROM_HOST_LARGE UINT32_C(0x2000) // the same, for replies

/* In each page. Positions run freely over 32 bits: their difference is what can be read. */
#define NEEP_ASG_WRITE_POS UINT32_C(8)
#define NEEP_ASG_READ_POS  UINT32_C(64)

/* The records of NEEP_ASG_TO_HOST: {u32 offset into the data buffer, u32 size}. */
#define NEEP_ASG_RECORDS      UINT32_C(128)
#define NEEP_ASG_RECORDS_SIZE UINT32_C(2048)
#define NEEP_ASG_RECORD_SIZE  UINT32_C(8)

/* State and configuration, in the first page only. */
#define NEEP_ASG_HOST_STATE         UINT32_C(2176)
#define NEEP_ASG_CONFIG             UINT32_C(2180)
#define NEEP_ASG_CONFIG_BUFFER_SIZE NEEP_ASG_CONFIG
#define NEEP_ASG_CONFIG_FLUSH       UINT32_C(2184)
#define NEEP_ASG_CONFIG_CONSUMED    UINT32_C(2188) // written by nobody but the guest, once
#define NEEP_ASG_CONFIG_GUEST_POS   UINT32_C(2192) // the same
#define NEEP_ASG_TRANSFER_MODE      UINT32_C(2196) // enum neep_asg_transfer
#define NEEP_ASG_TRANSFER_SIZE      UINT32_C(2200)
#define NEEP_ASG_CONFIG_WORDS       7u

/* How the guest says it sends. By the time that anybody looks it may have gone on to the other: which of the two rings has
 * data is what counts. */
enum neep_asg_transfer {
	NEEP_ASG_TRANSFER_RECORDS = 1,
	NEEP_ASG_TRANSFER_LARGE = 3,
};

/* What the consumer does, as the guest needs to know it. */
enum neep_asg_state {
	NEEP_ASG_NEED_NOTIFY = 0, // it sleeps: wake it after every write
	NEEP_ASG_CAN_CONSUME = 1, // it looks: wake it after a write all the same
	NEEP_ASG_EXIT = 2,        // it is gone
	NEEP_ASG_RENDERING = 4,   // it looks, or will: send no wake-ups
};

#endif
