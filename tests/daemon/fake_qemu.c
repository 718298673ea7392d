#include "daemon/fake_qemu.h"

#include <stdio.h>
#include <sys/stat.h>

#include "support/cmocka.h"

void fake_qemu_running(const char *version, const char *devices, const char *run) {
	FILE *file = fopen(FAKE_QEMU, "w");
	assert_non_null(file);
	fprintf(file,
		"#!/bin/sh\n"
		"echo \"$*\" >>asked\n"
		"case \"$*\" in\n"
		"--version) echo 'QEMU emulator version %s (Debian 1)'; exit ;;\n"
		"'-device '*,help)\n"
		"\tname=${2%%,help}\n"
		"\tcase ' %s ' in *\" $name \"*) echo \"$name options:\" ;; esac\n"
		"\texit ;;\n"
		"'-display help')\n"
		"\techo none\n"
		"\tcase ' %s ' in *' gtk '*) echo gtk ;; esac\n"
		"\texit ;;\n"
		"esac\n"
		"printf '%%s\\n' \"$@\" >words\n"
		"%s\n",
		version, devices, devices, run);
	fclose(file);
	assert_int_equal(chmod(FAKE_QEMU, 0755), 0);
}

void fake_qemu(const char *version, const char *devices) {
	fake_qemu_running(version, devices, "");
}
