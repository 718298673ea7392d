/* Runs a fuzz target once for each file given, and for each file of each folder given: a corpus is a regression test
 * with any compiler. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

static int replay_file(const char *path) {
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		fprintf(stderr, "cannot open %s: %s\n", path, strerror(errno));
		return -1;
	}
	uint8_t *data = malloc(INPUT_MAX);
	size_t size = data != NULL ? fread(data, 1, INPUT_MAX, file) : 0;
	fclose(file);
	/* An exact allocation, so that a read beyond the input is seen. */
	uint8_t *exact = malloc(size > 0 ? size : 1);
	if (data == NULL || exact == NULL) {
		free(data);
		free(exact);
		return -1;
	}
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

/* Returns the number of files, or -1. */
static int replay_folder(const char *path) {
	struct dirent **names = NULL;
	int count = scandir(path, &names, NULL, alphasort);
	int done = 0;
	for (int i = 0; i < count; i++) {
		char file[4096];
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && done >= 0) {
			done = replay_file(file) < 0 ? -1 : done + 1;
		}
		free(names[i]);
	}
	free(names);
	return count < 0 ? -1 : done;
}

int main(int argc, char **argv) {
	int total = 0;
	for (int i = 1; i < argc; i++) {
		struct stat info;
		if (stat(argv[i], &info) < 0) {
			fprintf(stderr, "cannot find %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
		int done = S_ISDIR(info.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
		if (done < 0) {
			return 1;
		}
		total += done;
	}
	printf("%d inputs replayed\n", total);
	return 0;
}
