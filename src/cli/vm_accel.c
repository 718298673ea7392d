/* Whether guests run under KVM here. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/trial.h"
#include "cli/vm.h"

#define BOOT_ID_SIZE 40

/* The guest's kernel without a disk: it comes up, finds no root, and ends QEMU. One that hangs is ended by cli_trial_run(). */
static int boot_kernel(void *data, FILE *out) {
	(void)out;
	const struct vm *vm = data;
	char kernel[PATH_MAX + 16];
	snprintf(kernel, sizeof(kernel), "%s/vmlinuz", vm->guest);
	execlp(vm->qemu.program, vm->qemu.program, "-accel", "kvm", "-machine", "q35", "-m", "256M",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", kernel, "-append", "console=ttyS0 panic=-1", (char *)NULL);
	return 127;
}

static bool boots_with_kvm(struct vm *vm) {
	char text[64];
	return cli_trial_run(boot_kernel, vm, text, sizeof(text)) == 0;
}

static bool read_line(const char *path, char *line, size_t size) {
	FILE *file = fopen(path, "re");
	bool has_line = file != NULL && fgets(line, (int)size, file) != NULL;
	if (file != NULL) {
		fclose(file);
	}
	return has_line;
}

/* The answer holds until this host boots again. */
static bool ask_once(struct vm *vm) {
	char path[PATH_MAX + 16], boot[BOOT_ID_SIZE], known[BOOT_ID_SIZE + 8], now[BOOT_ID_SIZE + 8];
	snprintf(path, sizeof(path), "%s/accel", vm->guest);
	if (!read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot))) {
		return boots_with_kvm(vm);
	}
	boot[strcspn(boot, "\n")] = '\0';
	bool has_known = read_line(path, known, sizeof(known));
	for (int works = 0; works <= 1 && has_known; works++) {
		snprintf(now, sizeof(now), "%s %d\n", boot, works);
		if (strcmp(known, now) == 0) {
			return works;
		}
	}
	fputs("neep vm: trying whether this host's KVM boots Linux (10 seconds at most)\n", stderr);
	bool works = boots_with_kvm(vm);
	FILE *file = fopen(path, "we");
	if (file != NULL) {
		fprintf(file, "%s %d\n", boot, works);
		fclose(file);
	}
	return works;
}

bool vm_has_kvm(struct vm *vm) {
	struct doctor_finding finding;
	char kernel[PATH_MAX + 16];
	if (vm->options->accel != NULL) {
		return strcmp(vm->options->accel, "kvm") == 0;
	}
	doctor_look_kvm(&finding);
	if (finding.verdict != DOCTOR_OK) {
		fprintf(stderr, "neep vm: %s\n", finding.text);
		return false;
	}
	snprintf(kernel, sizeof(kernel), "%s/vmlinuz", vm->guest);
	/* Only a kernel that we know can be tried. */
	return vm->guest[0] == '\0' || access(kernel, R_OK) < 0 || ask_once(vm);
}
