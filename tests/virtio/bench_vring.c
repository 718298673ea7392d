/* Nanoseconds of one pop and push, device side only: one readable and one writable buffer, direct or through an
 * indirect table. `meson test --benchmark` runs it. */
#include <stdio.h>
#include <stdlib.h>

#include "support/cmocka.h"
#include "util/clock.h"
#include "util/log.h"
#include "virtio/guest.h"

#define BATCH  64u
#define ROUNDS 40000u

static void offer_indirect(struct guest *guest, uint16_t slot) {
	uint32_t offset = GUEST_TABLE + slot * 0x100u;
	uint64_t in = guest_addr(GUEST_BUFFER + slot * 0x100u);
	uint8_t *table = guest->mem + offset;
	if (guest->config.is_packed) {
		struct vring_packed_desc *desc = (struct vring_packed_desc *)(void *)table;
		desc[0] = (struct vring_packed_desc){ .addr = in, .len = 64 };
		desc[1] = (struct vring_packed_desc){
			.addr = in + 128, .len = 24, .flags = VRING_DESC_F_WRITE
		};
		guest_offer_packed(guest, guest_addr(offset), 32, VRING_DESC_F_INDIRECT, slot);
		return;
	}
	struct vring_desc *desc = (struct vring_desc *)(void *)table;
	guest_set_desc(&desc[0], in, 64, VRING_DESC_F_NEXT, 1);
	guest_set_desc(&desc[1], in + 128, 24, VRING_DESC_F_WRITE, 0);
	guest_set_desc(guest_desc(guest, slot), guest_addr(offset), 32, VRING_DESC_F_INDIRECT, 0);
	guest_offer(guest, slot);
}

/* Returns the nanoseconds that the device's side took. */
static int64_t device_turn(struct guest *guest, const void *reply) {
	struct neep_vring_element *elements[BATCH];
	int64_t start = neep_clock_ns();
	for (uint32_t i = 0; i < BATCH; i++) {
		if (neep_vring_pop(guest->ring, &elements[i]) != 1) {
			abort();
		}
	}
	for (uint32_t i = 0; i < BATCH; i++) {
		neep_vring_push(guest->ring, elements[i], reply, 24);
	}
	neep_vring_notify(guest->ring);
	return neep_clock_ns() - start;
}

static void measure(const char *name, bool is_packed, bool is_indirect) {
	struct guest guest;
	struct guest_used used;
	int64_t device_ns = 0;
	uint8_t reply[24] = { 0 };
	const struct guest_options options = {
		.size = 256, .is_packed = is_packed, .has_event_idx = true, .has_indirect = true
	};
	guest_init(&guest, &options);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint16_t i = 0; i < BATCH; i++) {
			if (is_indirect) {
				offer_indirect(&guest, i);
			} else {
				guest_offer_simple(&guest, (uint16_t)(2 * i), 64, 24);
			}
		}
		device_ns += device_turn(&guest, reply);
		while (guest_take_used(&guest, is_indirect ? 1 : 2, &used)) {
		}
	}
	printf("%-18s %6.1f ns\n", name, (double)device_ns / (ROUNDS * BATCH));
	guest_finish(&guest);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	measure("split, direct", false, false);
	measure("split, indirect", false, true);
	measure("packed, direct", true, false);
	measure("packed, indirect", true, true);
	return 0;
}
