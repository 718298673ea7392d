#include "cli/qemu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/trial.h"

/* A question that a QEMU answers and ends. */
struct question {
	const char *program;
	const char *option;
	const char *value;
};

static int ask(void *data, FILE *out) {
	(void)out;
	const struct question *question = data;
	execlp(question->program, question->program, question->option, question->value, (char *)NULL);
	return 127;
}

/* "10.0.2" of "QEMU emulator version 10.0.2 (Debian ...)". */
static bool find_version(struct cli_qemu *qemu) {
	char text[256];
	struct question question = { qemu->program, "--version", NULL };
	if (cli_trial_run(ask, &question, text, sizeof(text)) != 0) {
		return false;
	}
	const char *word = strstr(text, "version ");
	return word != NULL && sscanf(word, "version %31[0-9.]", qemu->version) == 1;
}

/* Asked one by one: the list of all loads every module that QEMU has. */
static bool has_device(const struct cli_qemu *qemu, const char *name) {
	char text[128], value[64];
	struct question question = { qemu->program, "-device", value };
	snprintf(value, sizeof(value), "%s,help", name);
	/* The exit status is the same for a device that there is not. */
	return cli_trial_run(ask, &question, text, sizeof(text)) == 0 && strstr(text, " options:") != NULL;
}

int cli_qemu_look(const char *program, struct cli_qemu *qemu, struct neep_error *error) {
	*qemu = (struct cli_qemu){ .program = program };
	if (!find_version(qemu)) {
		return neep_error_set(error, ENOENT, "%s does not run: %s, or name one with --qemu", program,
			CLI_QEMU_PACKAGE);
	}
	qemu->major = atoi(qemu->version);
	qemu->has_gpu = has_device(qemu, "vhost-user-gpu-pci");
	qemu->has_vga = has_device(qemu, "vhost-user-vga");
	/* Older releases have the device's name, without its window. */
	qemu->has_generic = qemu->major >= 11 && has_device(qemu, "vhost-user-test-device-pci");
	qemu->has_rutabaga = has_device(qemu, "virtio-gpu-rutabaga-pci");
	return 0;
}

bool cli_qemu_has_display(const struct cli_qemu *qemu, const char *name) {
	char text[512], line[64];
	struct question question = { qemu->program, "-display", "help" };
	snprintf(line, sizeof(line), "\n%s\n", name);
	return cli_trial_run(ask, &question, text, sizeof(text)) == 0 && strstr(text, line) != NULL;
}
