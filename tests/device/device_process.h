/* What the harness asks of the fake component inside the device process, over a seqpacket socket: an order in, the counts
 * out. */
#ifndef NEEP_TESTS_DEVICE_DEVICE_PROCESS_H
#define NEEP_TESTS_DEVICE_DEVICE_PROCESS_H

#include <stdint.h>

enum fake_order_kind {
	FAKE_ORDER_COUNTS,
	FAKE_ORDER_HOLD,
	FAKE_ORDER_COMPLETE,
	FAKE_ORDER_COMPLETE_LAST,
	FAKE_ORDER_REFUSE,
};

struct fake_order {
	uint32_t what; // enum fake_order_kind
	uint32_t a, b, c;
};

#endif
