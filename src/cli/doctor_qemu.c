/* Which QEMU there is, and which of the devices that we serve it has. */
#include "cli/doctor.h"

void doctor_look_qemu(struct doctor_finding *finding, const struct cli_qemu *qemu) {
	if (qemu == NULL) {
		doctor_no(finding, CLI_QEMU_PACKAGE, "no " CLI_QEMU);
	} else if (!qemu->has_gpu) {
		doctor_no(finding, "install the QEMU of Debian", "QEMU %s was built without vhost-user-gpu",
			qemu->version);
	} else if (qemu->major < 10) {
		doctor_less(finding, "QEMU 10.0 (Debian trixie) needs no KVM for it",
			"QEMU %s: vhost-user-gpu-pci, with KVM only", qemu->version);
	} else {
		doctor_ok(finding, "QEMU %s: vhost-user-gpu-pci%s", qemu->version,
			qemu->has_vga ? ", vhost-user-vga" : "");
	}
}

void doctor_look_qemu_blobs(struct doctor_finding *finding, const struct cli_qemu *qemu) {
	static const char remedy[] = "QEMU 11.0 or newer (Debian trixie-backports)";
	if (qemu == NULL) {
		doctor_less(finding, remedy, "no QEMU: neep run needs none, Vulkan in a VM does");
	} else if (!qemu->has_generic && !qemu->has_rutabaga) {
		doctor_less(finding, remedy,
			"QEMU %s lets no blobs through: 2D in its VMs only; neep run needs no QEMU",
			qemu->version);
	} else {
		doctor_ok(finding, "QEMU %s: %s, for Vulkan and Wayland in a VM", qemu->version,
			qemu->has_generic ? "vhost-user-test-device-pci" : "virtio-gpu-rutabaga-pci");
	}
}
