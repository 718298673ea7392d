/* Writes down what a guest puts on the queues of a real session: linked into the daemon with the linker's --wrap, for
 * record.py, which makes seeds of it. NEEP_RECORD names the file: a header and the readable bytes for each buffer, and
 * a header alone for each reset. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/device.h"
#include "util/macros.h"
#include "virtio/vring.h"

#define RESET UINT32_C(0xffffffff)

struct header {
	uint32_t queue; // or RESET
	uint32_t readable_size;
	uint32_t writable_size;
};

static struct neep_vring *rings[NEEP_DEVICE_QUEUE_COUNT];
static int record_fd = -1;

void __real_neep_device_set_queue(
	struct neep_device *device, enum neep_device_queue queue, struct neep_vring *ring);
void __wrap_neep_device_set_queue(
	struct neep_device *device, enum neep_device_queue queue, struct neep_vring *ring);
void __real_neep_device_reset(struct neep_device *device, bool window_is_empty);
void __wrap_neep_device_reset(struct neep_device *device, bool window_is_empty);
int __real_neep_vring_pop(struct neep_vring *ring, struct neep_vring_element **element);
int __wrap_neep_vring_pop(struct neep_vring *ring, struct neep_vring_element **element);

/* The sandbox lets nothing be opened later. */
__attribute__((constructor)) static void open_record(void) {
	const char *path = getenv("NEEP_RECORD");
	record_fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
}

static void record(const void *bytes, size_t len) {
	neep_assert(write(record_fd, bytes, len) == (ssize_t)len);
}

static void record_element(uint32_t queue, const struct neep_vring_element *element) {
	const struct header header = { queue, (uint32_t)element->readable_size,
		(uint32_t)element->writable_size };
	record(&header, sizeof(header));
	for (uint32_t i = 0; i < element->readable_count; i++) {
		record(element->readable[i].iov_base, element->readable[i].iov_len);
	}
}

void __wrap_neep_device_set_queue(
	struct neep_device *device, enum neep_device_queue queue, struct neep_vring *ring) {
	rings[queue] = ring;
	__real_neep_device_set_queue(device, queue, ring);
}

void __wrap_neep_device_reset(struct neep_device *device, bool window_is_empty) {
	const struct header header = { .queue = RESET };
	if (record_fd >= 0) {
		record(&header, sizeof(header));
	}
	__real_neep_device_reset(device, window_is_empty);
}

int __wrap_neep_vring_pop(struct neep_vring *ring, struct neep_vring_element **element) {
	int result = __real_neep_vring_pop(ring, element);
	for (uint32_t queue = 0; result == 1 && record_fd >= 0 && queue < NEEP_DEVICE_QUEUE_COUNT; queue++) {
		if (rings[queue] == ring) {
			record_element(queue, *element);
		}
	}
	return result;
}
