// Finding a virtio function on the PCI bus and the windows of its registers.
#ifndef NEEP_TESTS_VM_BARE_PCI_H
#define NEEP_TESTS_VM_BARE_PCI_H

#include <linux/virtio_pci.h>
#include <stdint.h>

struct neep_windows {
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *isr;
	volatile uint8_t *device;
	uint8_t *notify;
	uint32_t notify_multiplier;
};

// Finds the first function of that id (vendor | device << 16) on bus 0 and turns its memory and bus mastering on. Returns its
// windows. Stops the machine when there is none or when a window is not below 4 GiB.
struct neep_windows neep_pci_open(uint32_t id);

#endif
