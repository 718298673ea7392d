#include "pci.h"

#include <linux/pci_regs.h>
#include <stddef.h>

#include "io.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u

static uint32_t config_read(uint32_t slot, uint32_t offset) {
	neep_outl(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | (offset & ~3u));
	return neep_inl(CONFIG_DATA) >> (8 * (offset & 3));
}

static void config_write(uint32_t slot, uint32_t offset, uint32_t value) {
	neep_outl(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | offset);
	neep_outl(CONFIG_DATA, value);
}

static uint8_t *bar_address(uint32_t slot, uint32_t index) {
	uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * index, bar = config_read(slot, offset);
	if ((bar & PCI_BASE_ADDRESS_SPACE) == PCI_BASE_ADDRESS_SPACE_IO) {
		neep_fail("a window in I/O space, BAR", index);
	}
	if ((bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 &&
		config_read(slot, offset + 4) != 0) {
		neep_fail("a window above 4 GiB, BAR", index);
	}
	return (uint8_t *)(bar & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
}

static void note_window(struct neep_windows *w, uint32_t slot, uint32_t cap) {
	uint8_t type = (uint8_t)config_read(slot, cap + VIRTIO_PCI_CAP_CFG_TYPE);
	if (type < VIRTIO_PCI_CAP_COMMON_CFG || type > VIRTIO_PCI_CAP_DEVICE_CFG) {
		return;
	}
	uint8_t *at = bar_address(slot, config_read(slot, cap + VIRTIO_PCI_CAP_BAR) & 0xff) +
		      config_read(slot, cap + VIRTIO_PCI_CAP_OFFSET);
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		w->common = (volatile struct virtio_pci_common_cfg *)at;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		w->notify = at;
		w->notify_multiplier = config_read(slot, cap + VIRTIO_PCI_NOTIFY_CAP_MULT);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		w->isr = at;
		break;
	default:
		w->device = at;
		break;
	}
}

static uint32_t find_slot(uint32_t id) {
	for (uint32_t slot = 0; slot < 32; slot++) {
		if (config_read(slot, PCI_VENDOR_ID) == id) {
			return slot;
		}
	}
	neep_fail("no such function:", id);
}

struct neep_windows neep_pci_open(uint32_t id) {
	struct neep_windows w = { 0 };
	uint32_t slot = find_slot(id);
	uint32_t command = config_read(slot, PCI_COMMAND) & 0xffff;
	config_write(slot, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (uint32_t cap = config_read(slot, PCI_CAPABILITY_LIST) & 0xfc; cap != 0;
		cap = config_read(slot, cap + PCI_CAP_LIST_NEXT) & 0xfc) {
		if ((config_read(slot, cap) & 0xff) == PCI_CAP_ID_VNDR) {
			note_window(&w, slot, cap);
		}
	}
	if (w.common == NULL || w.notify == NULL || w.isr == NULL || w.device == NULL) {
		neep_fail("a window is missing in slot", slot);
	}
	return w;
}
