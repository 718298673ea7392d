/* Which QEMU there is, and which of the devices that we serve it has. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"

#if defined(__aarch64__)
#define QEMU         "qemu-system-aarch64"
#define QEMU_PACKAGE "install qemu-system-arm"
#else
#define QEMU         "qemu-system-x86_64"
#define QEMU_PACKAGE "install qemu-system-x86"
#endif

static int print_version(FILE *out) {
	(void)out;
	execlp(QEMU, QEMU, "--version", (char *)NULL);
	return 127;
}

static int print_devices(FILE *out) {
	(void)out;
	execlp(QEMU, QEMU, "-device", "help", (char *)NULL);
	return 127;
}

/* Room for all of QEMU's devices. */
#define DEVICES_SIZE 65536

/* "10.0.2" of "QEMU emulator version 10.0.2 (Debian ...)". Returns whether there is a QEMU. */
static bool find_version(char version[32]) {
	char text[256];
	if (doctor_in_child(print_version, text, sizeof(text)) != 0) {
		return false;
	}
	const char *word = strstr(text, "version ");
	return word != NULL && sscanf(word, "version %31[0-9.]", version) == 1;
}

static bool has_device(const char *devices, const char *name) {
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "name \"%s\"", name);
	return strstr(devices, quoted) != NULL;
}

void doctor_look_qemu(struct doctor_finding *finding) {
	char version[32];
	if (!find_version(version)) {
		doctor_no(finding, QEMU_PACKAGE, "no %s", QEMU);
		return;
	}
	char *devices = malloc(DEVICES_SIZE);
	if (devices == NULL || doctor_in_child(print_devices, devices, DEVICES_SIZE) != 0) {
		doctor_no(finding, QEMU_PACKAGE, "QEMU %s does not list its devices", version);
	} else if (!has_device(devices, "vhost-user-gpu-pci")) {
		doctor_no(finding, "install the QEMU of Debian", "QEMU %s was built without vhost-user-gpu",
			version);
	} else if (atoi(version) < 10) {
		doctor_less(finding, "QEMU 10.0 (Debian trixie) needs no KVM for it",
			"QEMU %s: vhost-user-gpu-pci, with KVM only", version);
	} else {
		doctor_ok(finding, "QEMU %s: vhost-user-gpu-pci%s", version,
			has_device(devices, "vhost-user-vga") ? ", vhost-user-vga" : "");
	}
	free(devices);
}

void doctor_look_qemu_blobs(struct doctor_finding *finding) {
	static const char remedy[] = "QEMU 11.0 or newer (Debian trixie-backports)";
	char version[32];
	char *devices = malloc(DEVICES_SIZE);
	if (!find_version(version) || devices == NULL ||
		doctor_in_child(print_devices, devices, DEVICES_SIZE) != 0) {
		doctor_less(finding, remedy, "no QEMU: neep run needs none, Vulkan in a VM does");
	} else if (!has_device(devices, "vhost-user-test-device-pci") || atoi(version) < 11) {
		doctor_less(finding, remedy,
			"QEMU %s lets no blobs through: 2D in its VMs only; neep run needs no QEMU", version);
	} else {
		doctor_ok(finding, "QEMU %s: vhost-user-test-device-pci, for Vulkan and Wayland in a VM",
			version);
	}
	free(devices);
}
