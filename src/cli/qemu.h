/* The QEMU of this host: which one, and which of the virtio-gpu devices it has. */
#ifndef NEEP_CLI_QEMU_H
#define NEEP_CLI_QEMU_H

#include <stdbool.h>

#include "util/error.h"

#if defined(__aarch64__)
#define CLI_QEMU         "qemu-system-aarch64"
#define CLI_QEMU_PACKAGE "install qemu-system-arm"
#else
#define CLI_QEMU         "qemu-system-x86_64"
#define CLI_QEMU_PACKAGE "install qemu-system-x86"
#endif

struct cli_qemu {
	const char *program; // a path, or a name for PATH; borrowed
	char version[32];    // "10.0.2"
	int major;
	bool has_gpu;      // vhost-user-gpu-pci
	bool has_vga;      // vhost-user-vga
	bool has_generic;  // vhost-user-test-device-pci with the host-visible window: QEMU 11.0 and newer
	bool has_rutabaga; // virtio-gpu-rutabaga-pci
};

/* Asks `program` for its version and its devices. Returns 0 or -ENOENT with `error` set: it cannot be run. */
int cli_qemu_look(const char *program, struct cli_qemu *qemu, struct neep_error *error);

/* Asks it whether it can show a guest's screen in this way: "gtk", "sdl" ... */
bool cli_qemu_has_display(const struct cli_qemu *qemu, const char *name);

#endif
