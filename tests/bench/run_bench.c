#include "run_bench.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/bench.h"

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
