#include "bench/print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_doubles(const void *a, const void *b) {
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double percent) {
	qsort(values, count, sizeof(*values), compare_doubles);
	size_t index = (size_t)((double)(count - 1) * percent / 100 + 0.5);
	return values[index];
}

double bench_median(double *values, size_t count) {
	qsort(values, count, sizeof(*values), compare_doubles);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

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

struct bench_machine bench_find_machine(void) {
	struct bench_machine machine = { .cores = sysconf(_SC_NPROCESSORS_ONLN) };
	read_cpu_model(machine.cpu, sizeof(machine.cpu));
	uname(&machine.system);
	return machine;
}

void bench_format_value(char *out, size_t size, double value) {
	int digits = fabs(value) >= 1000 ? 0 : fabs(value) >= 10 ? 1 : 2;
	snprintf(out, size, "%.*f", digits, value);
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
