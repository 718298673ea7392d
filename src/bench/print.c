#include "bench/print.h"

#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_cpu_model(char *model, size_t size) {
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	snprintf(model, size, "unknown CPU");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *value = strchr(line, ':');
		if (value != NULL && strncmp(line, "model name", 10) == 0) {
			value[strcspn(value, "\n")] = '\0';
			snprintf(model, size, "%s", value + 2);
			break;
		}
	}
	if (file != NULL) {
		fclose(file);
	}
}

struct machine {
	char cpu[128];
	long cores;
	struct utsname system;
};

static struct machine find_machine(void) {
	struct machine machine = { .cores = sysconf(_SC_NPROCESSORS_ONLN) };
	read_cpu_model(machine.cpu, sizeof(machine.cpu));
	uname(&machine.system);
	return machine;
}

void bench_print_machine(FILE *out) {
	struct machine machine = find_machine();
	fprintf(out, "%s, %ld cores, %s %s %s\n", machine.cpu, machine.cores, machine.system.sysname,
		machine.system.release, machine.system.machine);
}

void bench_print_machine_json(FILE *out) {
	struct machine machine = find_machine();
	fputs("\"cpu\": ", out);
	bench_print_string(out, machine.cpu);
	fprintf(out, ",\n  \"cores\": %ld,\n  \"kernel\": ", machine.cores);
	bench_print_string(out, machine.system.release);
}

void bench_format_value(char *out, size_t size, double value) {
	int digits = fabs(value) >= 1000 ? 0 : fabs(value) >= 10 ? 1 : 2;
	if (isnan(value)) {
		snprintf(out, size, "-");
	} else {
		snprintf(out, size, "%.*f", digits, value);
	}
}

void bench_print_series_json(FILE *out, const char *outcome, const struct bench_series *series) {
	fprintf(out, "{\"outcome\": \"%s\", \"values\": [", outcome);
	for (uint32_t i = 0; i < series->count; i++) {
		fprintf(out, "%s%.6g", i > 0 ? ", " : "", series->values[i]);
	}
	fputs("]}", out);
}

void bench_print_string(FILE *out, const char *text) {
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\') {
			fputc('\\', out);
		}
		if ((unsigned char)*text >= ' ') {
			fputc(*text, out);
		}
	}
	fputc('"', out);
}
