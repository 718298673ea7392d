#include "bench/processes.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES_MAX 64
#define NAME_LEN      15 // what the kernel keeps of a name

struct family {
	pid_t pids[PROCESSES_MAX];
	size_t count;
};

static void add_children(struct family *family, pid_t pid, const char *thread) {
	char path[320];
	snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, thread);
	FILE *file = fopen(path, "re");
	int child;
	while (file != NULL && family->count < PROCESSES_MAX && fscanf(file, "%d", &child) == 1) {
		family->pids[family->count++] = child;
	}
	if (file != NULL) {
		fclose(file);
	}
}

static DIR *open_threads(pid_t pid) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return opendir(path);
}

static struct dirent *next_thread(DIR *threads) {
	struct dirent *entry;
	do {
		entry = readdir(threads);
	} while (entry != NULL && entry->d_name[0] == '.');
	return entry;
}

static struct family find_family(pid_t pid) {
	struct family family = { .pids = { pid }, .count = 1 };
	for (size_t i = 0; i < family.count; i++) {
		DIR *threads = open_threads(family.pids[i]);
		struct dirent *thread;
		while (threads != NULL && (thread = next_thread(threads)) != NULL) {
			add_children(&family, family.pids[i], thread->d_name);
		}
		if (threads != NULL) {
			closedir(threads);
		}
	}
	return family;
}

/* ---- memory ---- */

/* One mapping's lines in smaps. */
struct mapping {
	bool is_guest;
	bool is_shmem;
};

static struct mapping classify(const char *line) {
	return (struct mapping){
		.is_guest = strstr(line, "/memfd:guest-memory") != NULL,
		.is_shmem = strstr(line, "/memfd:") != NULL || strstr(line, "/dev/shm/") != NULL ||
			    strstr(line, "/dev/zero") != NULL,
	};
}

static void add_line(struct bench_memory *memory, const struct mapping *mapping, const char *line) {
	uint64_t kib;
	if (mapping->is_guest) {
		return;
	}
	if (sscanf(line, "Rss: %" SCNu64, &kib) == 1) {
		memory->rss += kib * 1024;
		memory->shmem += mapping->is_shmem ? kib * 1024 : 0;
	} else if (sscanf(line, "Pss: %" SCNu64, &kib) == 1) {
		memory->pss += kib * 1024;
	} else if (sscanf(line, "Anonymous: %" SCNu64, &kib) == 1) {
		memory->anon += kib * 1024;
	}
}

static int add_smaps(struct bench_memory *memory, pid_t pid) {
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return -errno;
	}
	char line[512];
	struct mapping mapping = { 0 };
	while (fgets(line, sizeof(line), file) != NULL) {
		/* "Key:   123 kB", or the head of a mapping, which begins with an address range. */
		uint64_t start;
		uint64_t end;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
			mapping = classify(line);
		} else {
			add_line(memory, &mapping, line);
		}
	}
	fclose(file);
	return 0;
}

int bench_family_memory(pid_t pid, struct bench_memory *memory) {
	struct family family = find_family(pid);
	int result = 0;
	*memory = (struct bench_memory){ 0 };
	for (size_t i = 0; result == 0 && i < family.count; i++) {
		result = add_smaps(memory, family.pids[i]);
	}
	return result;
}

static bool has_name(pid_t pid, const char *name) {
	char path[64], line[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *file = fopen(path, "re");
	bool has_line = file != NULL && fgets(line, sizeof(line), file) != NULL;
	if (file != NULL) {
		fclose(file);
	}
	line[strcspn(line, "\n")] = '\0';
	return has_line && strncmp(line, name, NAME_LEN) == 0;
}

static uint64_t resident_bytes(pid_t pid) {
	char path[64];
	unsigned long long pages;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL || fscanf(file, "%*u %llu", &pages) != 1) {
		pages = 0;
	}
	if (file != NULL) {
		fclose(file);
	}
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t bench_family_largest(pid_t pid, const char *left_out) {
	struct family family = find_family(pid);
	uint64_t largest = 0;
	for (size_t i = 0; i < family.count; i++) {
		bool is_wanted = left_out == NULL || !has_name(family.pids[i], left_out);
		uint64_t bytes = is_wanted ? resident_bytes(family.pids[i]) : 0;
		largest = bytes > largest ? bytes : largest;
	}
	return largest;
}

/* ---- time ---- */

/* schedstat counts in nanoseconds where stat counts in ticks. */
static int64_t thread_cpu_ns(pid_t pid, const char *thread) {
	char path[320];
	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, thread);
	FILE *file = fopen(path, "re");
	int64_t ns = 0;
	if (file == NULL || fscanf(file, "%" SCNd64, &ns) != 1) {
		ns = 0;
	}
	if (file != NULL) {
		fclose(file);
	}
	return ns;
}

static int64_t process_cpu_ns(pid_t pid) {
	DIR *threads = open_threads(pid);
	int64_t sum = 0;
	struct dirent *thread;
	while (threads != NULL && (thread = next_thread(threads)) != NULL) {
		sum += thread_cpu_ns(pid, thread->d_name);
	}
	if (threads != NULL) {
		closedir(threads);
	}
	return sum;
}

int64_t bench_family_cpu_ns(pid_t pid) {
	struct family family = find_family(pid);
	int64_t sum = 0;
	for (size_t i = 0; i < family.count; i++) {
		sum += process_cpu_ns(family.pids[i]);
	}
	return sum;
}
