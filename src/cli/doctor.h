/* neep doctor: what this host can carry, a line for each thing, with the remedy of what is missing. */
#ifndef NEEP_CLI_DOCTOR_H
#define NEEP_CLI_DOCTOR_H

#include <stddef.h>
#include <stdio.h>

#include "cli/qemu.h"
#include "util/macros.h"

/* What people want; a check names those that end where it fails. */
enum doctor_area {
	DOCTOR_2D = 1,      // a screen for a VM
	DOCTOR_VULKAN = 2,  // neep run, and Vulkan in a VM
	DOCTOR_WAYLAND = 4, // windows on the host's compositor
};

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_LESS, // works with less: slower, less safe, one way of several
	DOCTOR_NO,
};

struct doctor_finding {
	enum doctor_verdict verdict;
	char text[512];   // what was seen
	char remedy[512]; // empty when there is nothing to do
};

struct doctor_check {
	const char *name;
	unsigned areas; // enum doctor_area: what does not work without it; 0: nothing ends here
	/* One of both. `qemu` is NULL where none runs. */
	void (*look)(struct doctor_finding *finding);
	void (*look_qemu)(struct doctor_finding *finding, const struct cli_qemu *qemu);
};

/* For checks: fill in the finding. `remedy` is a sentence's rest: "install qemu-system-x86". */
void doctor_ok(struct doctor_finding *finding, const char *format, ...) NEEP_PRINTF(2, 3);
void doctor_less(struct doctor_finding *finding, const char *remedy, const char *format, ...)
	NEEP_PRINTF(3, 4);
void doctor_no(struct doctor_finding *finding, const char *remedy, const char *format, ...) NEEP_PRINTF(3, 4);

/* The checks: doctor_machine.c, doctor_qemu.c, doctor_vulkan.c, doctor_parts.c. */
void doctor_look_kvm(struct doctor_finding *finding);
void doctor_look_namespaces(struct doctor_finding *finding);
void doctor_look_memory(struct doctor_finding *finding);
void doctor_look_udmabuf(struct doctor_finding *finding);
void doctor_look_gpu_nodes(struct doctor_finding *finding);
void doctor_look_qemu(struct doctor_finding *finding, const struct cli_qemu *qemu);
void doctor_look_qemu_blobs(struct doctor_finding *finding, const struct cli_qemu *qemu);
void doctor_look_vulkan(struct doctor_finding *finding);
void doctor_look_guest_driver(struct doctor_finding *finding);
void doctor_look_parts(struct doctor_finding *finding);
void doctor_look_wayland(struct doctor_finding *finding);

#endif
