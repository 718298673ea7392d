#include "run_bench.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "support/cmocka.h"

static int redirect(int fd, FILE *file) {
	fflush(stdout);
	fflush(stderr);
	int saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	dup2(fileno(file), fd);
	return saved;
}

static void restore(int fd, int saved) {
	fflush(stdout);
	fflush(stderr);
	dup2(saved, fd);
	close(saved);
}

void run_bench(struct run *run, int argc, const char **argv) {
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	int saved_out = redirect(STDOUT_FILENO, out);
	int saved_err = redirect(STDERR_FILENO, err);
	run->exit_code = neep_bench_main(argc, (char **)(uintptr_t)argv);
	restore(STDOUT_FILENO, saved_out);
	restore(STDERR_FILENO, saved_err);
	rewind(out);
	size_t len = fread(run->out, 1, sizeof(run->out) - 1, out);
	run->out[len] = '\0';
	fclose(out);
	fclose(err);
}

/* ---- scripts in place of programs ---- */

static char folder[] = "/tmp/neep-test-XXXXXX";
static char program_path[64];

static void write_script(const char *name, const char *text, char path[64]) {
	snprintf(path, 64, "%s/%s", folder, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, 0755);
}

const char *bench_scripts_make(const char *program, const char *neep) {
	char neep_path[64], path[4096];
	assert_non_null(mkdtemp(folder));
	write_script("program", program, program_path);
	write_script("neep", neep, neep_path);
	write_script("neep-wayland", neep, neep_path);
	snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
	assert_int_equal(setenv("PATH", path, 1), 0);
	return program_path;
}

void bench_scripts_remove(void) {
	static const char *const names[] = { "program", "neep", "neep-wayland" };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(names); i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}
