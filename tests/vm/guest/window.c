#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kms.h"

#define CONFIG_SIZE  256
#define CAP_POINTER  0x34
#define CAP_VENDOR   0x09
#define CFG_TYPE_SHM 8
#define PAGE         4096u

static uint64_t read_u32(const uint8_t *bytes) {
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

// The capability in a device's config space, or NULL.
static const uint8_t *find_capability(const uint8_t *config) {
	for (unsigned at = config[CAP_POINTER]; at >= 0x40 && at + 24 <= CONFIG_SIZE; at = config[at + 1]) {
		if (config[at] == CAP_VENDOR && config[at + 3] == CFG_TYPE_SHM) {
			return config + at;
		}
	}
	return NULL;
}

static void read_file(const char *path, void *data, size_t size) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, data, size);
	if (got < 0) {
		kms_die("%s", path);
	}
	close(fd);
}

// Line number `bar` of the file "resource" begins with the first address of that BAR.
static uint64_t address_of(const char *device, unsigned bar) {
	char path[128], text[2048] = "";
	unsigned long long address = 0;
	snprintf(path, sizeof(path), "%s/resource", device);
	read_file(path, text, sizeof(text) - 1);
	const char *line = text;
	while (bar-- > 0 && line != NULL) {
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	if (line == NULL || sscanf(line, "%llx", &address) != 1) {
		errno = ENOENT;
		kms_die("%s", path);
	}
	return address;
}

void window_find(struct window *window) {
	uint8_t config[CONFIG_SIZE] = { 0 };
	char path[128];
	glob_t found;
	if (glob("/sys/bus/virtio/drivers/virtio_gpu/virtio*", 0, NULL, &found) != 0) {
		errno = ENODEV;
		kms_die("no virtio_gpu device");
	}
	char device[96];
	snprintf(device, sizeof(device), "%.80s/..", found.gl_pathv[0]);
	globfree(&found);
	snprintf(path, sizeof(path), "%s/config", device);
	read_file(path, config, sizeof(config));
	const uint8_t *cap = find_capability(config);
	if (cap == NULL) {
		errno = ENODEV;
		kms_die("no shared memory in %s", path);
	}
	unsigned bar = cap[4];
	window->offset = read_u32(cap + 8) | read_u32(cap + 16) << 32;
	window->size = read_u32(cap + 12) | read_u32(cap + 20) << 32;
	window->address = address_of(device, bar) + window->offset;
	/* Through the driver's link, since a device's folder moves with its slot. */
	snprintf(path, sizeof(path), "%s/resource%u", device, bar);
	if (strlen(path) >= sizeof(window->resource)) {
		errno = ENAMETOOLONG;
		kms_die("%s", path);
	}
	memcpy(window->resource, path, strlen(path) + 1);
}

volatile uint32_t *window_map(const struct window *window, uint64_t size) {
	int fd = open(window->resource, O_RDWR | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)window->offset);
	if (at == MAP_FAILED) {
		kms_die("%s (the kernel needs iomem=relaxed)", window->resource);
	}
	close(fd);
	return at;
}

int64_t window_search(const volatile uint32_t *words, uint64_t size, uint32_t first) {
	for (uint64_t offset = 0; offset < size; offset += PAGE) {
		if (words[offset / sizeof(*words)] == first) {
			return (int64_t)offset;
		}
	}
	return -1;
}
