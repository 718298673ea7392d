#include "support/process_table.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka.h"

#define FIELD_PARENT 4

uint64_t process_stat(pid_t pid, int field) {
	char path[64], text[1024] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return 0;
	}
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	/* Behind the name, which may hold anything. */
	const char *at = len > 0 ? strrchr(text, ')') : NULL;
	for (int i = 2; at != NULL && i < field; i++) {
		at = strchr(at + 1, ' ');
	}
	return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

static pid_t parent_of(pid_t pid) {
	return (pid_t)process_stat(pid, FIELD_PARENT);
}

/* The next process of the folder; 0 behind the last one. */
static pid_t next_process(DIR *folder) {
	struct dirent *entry;
	while ((entry = readdir(folder)) != NULL) {
		pid_t pid = atoi(entry->d_name);
		if (pid > 0) {
			return pid;
		}
	}
	return 0;
}

size_t process_children(pid_t pid, pid_t *children, size_t max) {
	size_t count = 0;
	DIR *folder = opendir("/proc");
	assert_non_null(folder);
	for (pid_t child; (child = next_process(folder)) != 0;) {
		if (count < max && parent_of(child) == pid) {
			children[count++] = child;
		}
	}
	closedir(folder);
	return count;
}

size_t process_descendants(pid_t pid) {
	size_t count = 0;
	DIR *folder = opendir("/proc");
	assert_non_null(folder);
	for (pid_t one; (one = next_process(folder)) != 0;) {
		pid_t up = parent_of(one);
		while (up > 1 && up != pid) {
			up = parent_of(up);
		}
		count += up == pid;
	}
	closedir(folder);
	return count;
}

size_t process_fds(pid_t pid) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *folder = opendir(path);
	assert_non_null(folder);
	size_t count = 0;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		count += entry->d_name[0] != '.';
	}
	closedir(folder);
	return count;
}
