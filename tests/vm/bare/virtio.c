#include "virtio.h"

#include <linux/virtio_config.h>

#include "io.h"

#define SPINS 2000000000u

static void set_status(const struct neep_windows *w, uint8_t bit) {
	w->common->device_status = (uint8_t)(w->common->device_status | bit);
}

uint32_t neep_virtio_start(const struct neep_windows *w, uint32_t wanted) {
	volatile struct virtio_pci_common_cfg *c = w->common;
	c->device_status = 0;
	while (c->device_status != 0) {
	}
	set_status(w, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_status(w, VIRTIO_CONFIG_S_DRIVER);
	c->device_feature_select = 1;
	if ((c->device_feature & 1u << (VIRTIO_F_VERSION_1 - 32)) == 0) {
		neep_fail("no virtio 1.x device", c->device_feature);
	}
	c->guest_feature_select = 1;
	c->guest_feature = 1u << (VIRTIO_F_VERSION_1 - 32);
	c->device_feature_select = 0;
	wanted &= c->device_feature;
	c->guest_feature_select = 0;
	c->guest_feature = wanted;
	set_status(w, VIRTIO_CONFIG_S_FEATURES_OK);
	if ((c->device_status & VIRTIO_CONFIG_S_FEATURES_OK) == 0) {
		neep_fail("the device refuses features", wanted);
	}
	return wanted;
}

void neep_ring_open(struct neep_ring *ring, const struct neep_windows *w, uint16_t index) {
	volatile struct virtio_pci_common_cfg *c = w->common;
	c->queue_select = index;
	if (c->queue_size < NEEP_RING_SIZE) {
		neep_fail("a short queue", index);
	}
	c->queue_size = NEEP_RING_SIZE;
	c->queue_desc_lo = (uint32_t)ring->desc;
	c->queue_desc_hi = 0;
	c->queue_avail_lo = (uint32_t)&ring->avail;
	c->queue_avail_hi = 0;
	c->queue_used_lo = (uint32_t)&ring->used;
	c->queue_used_hi = 0;
	ring->index = index;
	ring->doorbell = (volatile uint16_t *)(w->notify + c->queue_notify_off * w->notify_multiplier);
	ring->avail.flags = VRING_AVAIL_F_NO_INTERRUPT;
	c->queue_enable = 1;
}

void neep_virtio_ready(const struct neep_windows *w) {
	set_status(w, VIRTIO_CONFIG_S_DRIVER_OK);
}

uint32_t neep_ring_call(struct neep_ring *ring, const struct neep_part *parts, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		ring->desc[i] = (struct vring_desc){ .addr = (uint32_t)parts[i].data,
			.len = parts[i].size,
			.flags = (uint16_t)(parts[i].flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = (uint16_t)(i + 1) };
	}
	uint16_t turn = ring->avail.idx;
	ring->avail.ring[turn % NEEP_RING_SIZE] = 0;
	__atomic_store_n(&ring->avail.idx, (uint16_t)(turn + 1), __ATOMIC_SEQ_CST);
	*ring->doorbell = ring->index;
	for (uint32_t i = 0; __atomic_load_n(&ring->used.idx, __ATOMIC_ACQUIRE) == turn; i++) {
		if (i == SPINS) {
			neep_fail("no answer on queue", ring->index);
		}
		__builtin_ia32_pause();
	}
	return ring->used.ring[turn % NEEP_RING_SIZE].len;
}
