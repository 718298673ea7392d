#include "cli/doctor.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "cli/cli.h"

static const char help[] =
	"Usage: neep doctor [2d] [vulkan] [wayland]\n"
	"Says what this host can carry, a line for each thing and its remedy. The exit status is 0 when\n"
	"what was named (all three unless told otherwise) will work, else 1.";

static const struct doctor_check checks[] = {
	{ "neep", DOCTOR_2D | DOCTOR_VULKAN | DOCTOR_WAYLAND, .look = doctor_look_parts },
	{ "CPU virtualization", 0, .look = doctor_look_kvm },
	{ "QEMU", DOCTOR_2D, .look_qemu = doctor_look_qemu },
	{ "QEMU with blobs", 0, .look_qemu = doctor_look_qemu_blobs },
	{ "Vulkan on the host", DOCTOR_VULKAN, .look = doctor_look_vulkan },
	{ "Vulkan in programs", DOCTOR_VULKAN, .look = doctor_look_guest_driver },
	{ "Wayland", DOCTOR_WAYLAND, .look = doctor_look_wayland },
	{ "GPU nodes", 0, .look = doctor_look_gpu_nodes },
	{ "namespaces", 0, .look = doctor_look_namespaces },
	{ "memory", 0, .look = doctor_look_memory },
	{ "udmabuf", 0, .look = doctor_look_udmabuf },
};

static const struct area {
	const char *name;
	const char *title;
	unsigned bit;
} areas[] = {
	{ "2d", "2D in a VM", DOCTOR_2D },
	{ "vulkan", "Vulkan", DOCTOR_VULKAN },
	{ "wayland", "Wayland", DOCTOR_WAYLAND },
};

static void fill(struct doctor_finding *finding, enum doctor_verdict verdict, const char *remedy,
	const char *format, va_list args) {
	finding->verdict = verdict;
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
}

void doctor_ok(struct doctor_finding *finding, const char *format, ...) {
	va_list args;
	va_start(args, format);
	fill(finding, DOCTOR_OK, "", format, args);
	va_end(args);
}

void doctor_less(struct doctor_finding *finding, const char *remedy, const char *format, ...) {
	va_list args;
	va_start(args, format);
	fill(finding, DOCTOR_LESS, remedy, format, args);
	va_end(args);
}

void doctor_no(struct doctor_finding *finding, const char *remedy, const char *format, ...) {
	va_list args;
	va_start(args, format);
	fill(finding, DOCTOR_NO, remedy, format, args);
	va_end(args);
}

/* Returns the areas that end with this check. */
static unsigned run_check(const struct doctor_check *check, const struct cli_qemu *qemu) {
	static const char *const words[] = { [DOCTOR_OK] = "ok", [DOCTOR_LESS] = "less", [DOCTOR_NO] = "NO" };
	struct doctor_finding finding = { 0 };
	if (check->look_qemu != NULL) {
		check->look_qemu(&finding, qemu);
	} else {
		check->look(&finding);
	}
	printf("%-5s %-19s %s\n", words[finding.verdict], check->name, finding.text);
	if (finding.remedy[0] != '\0') {
		printf("%25s -> %s\n", "", finding.remedy);
	}
	return finding.verdict == DOCTOR_NO ? check->areas : 0;
}

/* Returns -1 to go on, or an exit code. */
static int read_areas(int argc, char **argv, unsigned *wanted) {
	static const struct option known[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	opterr = 0;
	for (int value; (value = getopt_long(argc, argv, ":", known, NULL)) >= 0;) {
		if (value != 'h') {
			return cli_bad_option(argv[0], value, argv);
		}
		puts(help);
		return CLI_OK;
	}
	for (int i = optind; i < argc; i++) {
		unsigned bit = 0;
		for (size_t j = 0; j < NEEP_ARRAY_LEN(areas); j++) {
			bit |= strcmp(areas[j].name, argv[i]) == 0 ? areas[j].bit : 0;
		}
		if (bit == 0) {
			return cli_usage(argv[0], "\"%s\" is not one of 2d, vulkan, wayland", argv[i]);
		}
		*wanted |= bit;
	}
	return -1;
}

int cli_doctor(int argc, char **argv) {
	unsigned wanted = 0;
	int code = read_areas(argc, argv, &wanted);
	if (code >= 0) {
		return code;
	}
	if (wanted == 0) {
		wanted = DOCTOR_2D | DOCTOR_VULKAN | DOCTOR_WAYLAND;
	}
	unsigned missing = 0;
	struct cli_qemu qemu;
	bool has_qemu = cli_qemu_look(CLI_QEMU, &qemu, NULL) == 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(checks); i++) {
		if (checks[i].areas == 0 || (checks[i].areas & wanted) != 0) {
			missing |= run_check(&checks[i], has_qemu ? &qemu : NULL);
		}
	}
	putchar('\n');
	for (size_t i = 0; i < NEEP_ARRAY_LEN(areas); i++) {
		if ((areas[i].bit & wanted) != 0) {
			printf("%-12s %s\n", areas[i].title,
				(missing & areas[i].bit) == 0 ? "will work" : "will NOT work");
		}
	}
	return (missing & wanted) == 0 ? CLI_OK : CLI_FAILURE;
}
