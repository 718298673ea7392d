#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/vm.h"

static const struct front_end {
	const char *name;
	const char *device;
	bool has_process; // our device process, not our library
	bool has_3d;      // blobs and contexts come through
	bool has_display; // QEMU's own
} front_ends[] = {
	[VM_FRONT_END_AUTO] = { .name = "auto" },
	[VM_FRONT_END_GENERIC] = { "generic", "vhost-user-test-device-pci of QEMU 11.0", true, true, false },
	[VM_FRONT_END_RUTABAGA] = { "rutabaga", "virtio-gpu-rutabaga-pci", false, true, true },
	[VM_FRONT_END_VGA] = { "vga", "vhost-user-vga", true, false, true },
	[VM_FRONT_END_GPU] = { "gpu", "vhost-user-gpu-pci", true, false, true },
};

bool vm_front_end_parse(const char *name, enum vm_front_end *front_end) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(front_ends); i++) {
		if (strcmp(front_ends[i].name, name) == 0) {
			*front_end = (enum vm_front_end)i;
			return true;
		}
	}
	return false;
}

bool vm_has_device(const struct vm *vm) {
	return front_ends[vm->front_end].has_process;
}

const char *vm_capset_names(const struct vm *vm) {
	if (!front_ends[vm->front_end].has_3d) {
		return "";
	}
	if (vm->options->capset_names != NULL) {
		return vm->options->capset_names;
	}
	return vm->wayland[0] != '\0' ? "gfxstream-vulkan:cross-domain" : "gfxstream-vulkan";
}

const char *vm_display(const struct vm *vm) {
	const char *wanted = vm->options->display;
	bool has_session = getenv("WAYLAND_DISPLAY") != NULL || getenv("DISPLAY") != NULL;
	if (!front_ends[vm->front_end].has_display) {
		return "none";
	}
	if (wanted != NULL) {
		return wanted;
	}
	if (!has_session || !cli_qemu_has_display(&vm->qemu, "gtk")) {
		return "none";
	}
	/* What our process shows through QEMU needs OpenGL there. */
	return vm_has_device(vm) ? "gtk,gl=on" : "gtk";
}

static bool qemu_has(const struct cli_qemu *qemu, enum vm_front_end front_end) {
	switch (front_end) {
	case VM_FRONT_END_GENERIC:
		return qemu->has_generic;
	case VM_FRONT_END_RUTABAGA:
		return qemu->has_rutabaga;
	case VM_FRONT_END_VGA:
		return qemu->has_vga;
	case VM_FRONT_END_GPU:
		return qemu->has_gpu;
	case VM_FRONT_END_AUTO:
		break;
	}
	return false;
}

/* Somebody who wants QEMU's window gets a device that has one. */
static enum vm_front_end choose(const struct vm *vm) {
	bool wants_window = vm->options->display != NULL && strcmp(vm->options->display, "none") != 0 &&
			    strcmp(vm->options->display, "headless") != 0;
	for (size_t i = VM_FRONT_END_GENERIC; i < NEEP_ARRAY_LEN(front_ends); i++) {
		if (qemu_has(&vm->qemu, (enum vm_front_end)i) &&
			(front_ends[i].has_display || !wants_window)) {
			return (enum vm_front_end)i;
		}
	}
	return VM_FRONT_END_AUTO;
}

static void tell_what_is_lost(const struct vm *vm) {
	const struct front_end *front_end = &front_ends[vm->front_end];
	if (!front_end->has_3d) {
		fprintf(stderr,
			"neep vm: %s of QEMU %s carries 2D alone: Vulkan and Wayland need QEMU 11.0 or newer "
			"(Debian trixie-backports)\n",
			front_end->device, vm->qemu.version);
	} else if (!front_end->has_display) {
		fprintf(stderr,
			"neep vm: the screen is the device's: neep screenshot --control %s FILE.png\n",
			vm->control);
	}
	if (vm->qemu.major < 10 && front_end->has_process && !vm->has_kvm) {
		fprintf(stderr,
			"neep vm: QEMU %s serves this device under KVM only; 10.0 and newer do without\n",
			vm->qemu.version);
	}
}

int vm_plan(struct vm *vm, struct neep_error *error) {
	vm->front_end = vm->options->front_end;
	if (vm->front_end == VM_FRONT_END_AUTO) {
		vm->front_end = choose(vm);
	} else if (!qemu_has(&vm->qemu, vm->front_end)) {
		return neep_error_set(error, ENODEV, "--front-end %s: QEMU %s has no %s",
			front_ends[vm->front_end].name, vm->qemu.version, front_ends[vm->front_end].device);
	}
	if (vm->front_end == VM_FRONT_END_AUTO) {
		return neep_error_set(error, ENODEV,
			"QEMU %s has none of our devices: %s (Debian's has them)", vm->qemu.version,
			CLI_QEMU_PACKAGE);
	}
	if (vm->options->capset_names != NULL && !front_ends[vm->front_end].has_3d) {
		return neep_error_set(error, ENOTSUP,
			"--capset-names: %s carries 2D alone; QEMU 11.0 or newer (Debian trixie-backports) "
			"has "
			"one that does",
			front_ends[vm->front_end].device);
	}
	tell_what_is_lost(vm);
	return 0;
}
