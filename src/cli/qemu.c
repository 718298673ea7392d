#include "cli/qemu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/child.h"

/* Room for the list of all of QEMU's devices. */
#define DEVICES_SIZE 65536

static int print_version(void *data, FILE *out) {
	(void)out;
	execlp(data, data, "--version", (char *)NULL);
	return 127;
}

static int print_devices(void *data, FILE *out) {
	(void)out;
	execlp(data, data, "-device", "help", (char *)NULL);
	return 127;
}

/* "10.0.2" of "QEMU emulator version 10.0.2 (Debian ...)". */
static bool find_version(struct cli_qemu *qemu, char *program) {
	char text[256];
	if (cli_in_child(print_version, program, text, sizeof(text)) != 0) {
		return false;
	}
	const char *word = strstr(text, "version ");
	return word != NULL && sscanf(word, "version %31[0-9.]", qemu->version) == 1;
}

static bool has_device(const char *devices, const char *name) {
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "name \"%s\"", name);
	return strstr(devices, quoted) != NULL;
}

static void find_devices(struct cli_qemu *qemu, char *program) {
	char *devices = malloc(DEVICES_SIZE);
	if (devices != NULL && cli_in_child(print_devices, program, devices, DEVICES_SIZE) == 0) {
		qemu->has_gpu = has_device(devices, "vhost-user-gpu-pci");
		qemu->has_vga = has_device(devices, "vhost-user-vga");
		/* Older releases have the device's name, without its window. */
		qemu->has_generic = qemu->major >= 11 && has_device(devices, "vhost-user-test-device-pci");
		qemu->has_rutabaga = has_device(devices, "virtio-gpu-rutabaga-pci");
	}
	free(devices);
}

int cli_qemu_look(const char *program, struct cli_qemu *qemu, struct neep_error *error) {
	*qemu = (struct cli_qemu){ .program = program };
	char *copy = strdup(program);
	if (copy == NULL || !find_version(qemu, copy)) {
		free(copy);
		return neep_error_set(
			error, ENOENT, "%s does not run: %s, or name one with --qemu", program, CLI_QEMU_PACKAGE);
	}
	qemu->major = atoi(qemu->version);
	find_devices(qemu, copy);
	free(copy);
	return 0;
}
