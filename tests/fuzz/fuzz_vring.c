/* Both ring formats on bytes of a hostile driver. The input is a configuration, then the guest's memory, then what the
 * device and the driver do in turn. What comes out of the ring is checked to lie in guest memory, and touched. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/reader.h"
#include "virtio/inflight.h"
#include "virtio/vring.h"

/* Two regions that follow each other for the guest and not for us, and one at the end of the address space. */
#define REGION_SIZE  0x4000u
#define REGION_COUNT 3u

/* In the first region. A ring of RING_MAX entries ends below the next part. */
#define RING_MAX     32u
#define AVAIL_OFFSET 0x200u
#define USED_OFFSET  0x280u
#define AREA_OFFSET  0x400u
#define INPUT_MEMORY 0x1000u // bytes of memory that the input may set

#define STEPS_MAX 512
#define OUT_MAX   64

static const uint64_t region_addr[REGION_COUNT] = { 0, REGION_SIZE, UINT64_MAX - REGION_SIZE };

struct fuzz_device {
	struct neep_memory *memory;
	struct neep_vring *ring;
	struct neep_inflight_queue *inflight;
	struct neep_vring_config config;
	uint8_t *mem; // the first region
	int call_fd;  // borrowed from the ring
	struct neep_vring_element *out[OUT_MAX];
	size_t out_count;
	bool is_second_there;
};

static void add_region(struct fuzz_device *device, uint32_t index) {
	struct neep_memory_region_info info = {
		.guest_addr = region_addr[index], .size = REGION_SIZE, .user_addr = region_addr[index]
	};
	int fd = neep_memfd_create("fuzz", REGION_SIZE);
	neep_assert(neep_memory_add(device->memory, &info, fd, NULL) == 0);
}

static void toggle_second_region(struct fuzz_device *device) {
	struct neep_memory_region_info info = {
		.guest_addr = region_addr[1], .size = REGION_SIZE, .user_addr = region_addr[1]
	};
	if (device->is_second_there) {
		neep_assert(neep_memory_remove(device->memory, &info) == 0);
	} else {
		add_region(device, 1);
	}
	device->is_second_there = !device->is_second_there;
}

static bool is_guest_memory(struct fuzz_device *device, const struct iovec *iov) {
	const uint8_t *base = iov->iov_base;
	for (uint32_t i = 0; i < REGION_COUNT; i++) {
		uint64_t len;
		const uint8_t *host =
			neep_memory_translate(device->memory, region_addr[i], REGION_SIZE, &len);
		if (host != NULL && base >= host && base < host + REGION_SIZE) {
			uint64_t left = (uint64_t)(host + REGION_SIZE - base);
			if (iov->iov_len <= left) {
				return true;
			}
			/* Merged over two mappings that happen to touch. */
			struct iovec rest = { .iov_base = (uint8_t *)iov->iov_base + left,
				.iov_len = iov->iov_len - left };
			return is_guest_memory(device, &rest);
		}
	}
	return false;
}

static uint64_t check_part(struct fuzz_device *device, const struct iovec *iov, uint32_t count) {
	uint64_t size = 0;
	for (uint32_t i = 0; i < count; i++) {
		neep_assert(iov[i].iov_len > 0);
		neep_assert(is_guest_memory(device, &iov[i]));
		size += iov[i].iov_len;
	}
	return size;
}

static void pop(struct fuzz_device *device) {
	struct neep_vring_element *element = NULL;
	if (device->out_count == OUT_MAX || neep_vring_pop(device->ring, &element) != 1) {
		return;
	}
	neep_assert(check_part(device, element->readable, element->readable_count) == element->readable_size);
	neep_assert(check_part(device, element->writable, element->writable_count) == element->writable_size);
	device->out[device->out_count++] = element;
}

static void give_back(struct fuzz_device *device, uint8_t which, size_t len, bool discard) {
	static const uint8_t reply[256];
	if (device->out_count == 0) {
		return;
	}
	size_t index = which % device->out_count;
	struct neep_vring_element *element = device->out[index];
	device->out[index] = device->out[--device->out_count];
	if (discard) {
		neep_vring_discard(device->ring, element);
	} else {
		neep_vring_push(device->ring, element, reply, len);
	}
}

static void attach_inflight(struct fuzz_device *device) {
	struct neep_inflight_area area = {
		.base = device->mem + AREA_OFFSET,
		.len = neep_inflight_area_len(1, RING_MAX, device->config.is_packed),
		.queue_count = 1,
		.queue_size = RING_MAX,
		.is_packed = device->config.is_packed,
	};
	struct neep_inflight_queue *fresh = neep_inflight_attach(&area, 0, NULL);
	neep_vring_set_inflight(device->ring, fresh);
	neep_inflight_detach(device->inflight);
	device->inflight = fresh;
}

static void step(struct fuzz_device *device, struct neep_reader *in) {
	uint8_t op = neep_reader_u8(in);
	uint8_t arg = neep_reader_u8(in);
	switch (op % 13) {
	case 0:
	case 1:
	case 2:
		pop(device);
		break;
	case 3:
	case 4:
		give_back(device, arg, neep_reader_u8(in), false);
		break;
	case 5:
		give_back(device, arg, 0, true);
		break;
	case 6:
		neep_vring_notify(device->ring);
		break;
	case 7:
		(void)neep_vring_enable_kick(device->ring);
		break;
	case 8:
		neep_vring_disable_kick(device->ring);
		break;
	case 9:
		/* A pause, or a start somewhere else. */
		device->config.base = neep_vring_stop(device->ring) ^ (arg > 200 ? arg : 0u);
		break;
	case 10:
		if (!neep_vring_is_running(device->ring) && arg > 128) {
			attach_inflight(device);
		}
		(void)neep_vring_start(device->ring, &device->config, NULL);
		break;
	case 11:
		/* The driver writes: the indices lie in the ring's first bytes. */
		device->mem[(neep_reader_u8(in) << 8 | arg) % INPUT_MEMORY] = neep_reader_u8(in);
		break;
	default:
		if (arg > 200) {
			neep_vring_reset(device->ring);
		} else if (arg > 150) {
			toggle_second_region(device);
		} else {
			device->mem[AVAIL_OFFSET + 2] = (uint8_t)(device->mem[AVAIL_OFFSET + 2] + arg);
		}
		break;
	}
}

static bool device_init(struct fuzz_device *device, struct neep_reader *in) {
	uint8_t flags = neep_reader_u8(in);
	*device = (struct fuzz_device){ .memory = neep_memory_create(), .is_second_there = true };
	for (uint32_t i = 0; i < REGION_COUNT; i++) {
		add_region(device, i);
	}
	device->mem = neep_memory_translate_user(device->memory, 0, REGION_SIZE);
	device->config = (struct neep_vring_config){
		.size = neep_reader_u8(in) % (RING_MAX + 1),
		.is_packed = (flags & 1) != 0,
		.has_event_idx = (flags & 2) != 0,
		.has_indirect = (flags & 4) != 0,
		.desc = device->mem,
		.avail = device->mem + AVAIL_OFFSET,
		.used = device->mem + USED_OFFSET,
		.base = neep_reader_u32(in),
	};
	size_t len = neep_reader_u16(in) % (INPUT_MEMORY + 1);
	len = len < neep_reader_left(in) ? len : neep_reader_left(in);
	neep_reader_copy(in, device->mem, len);
	device->ring = neep_vring_create(device->memory);
	neep_vring_set_call_fd(device->ring, neep_eventfd_create());
	if ((flags & 8) != 0) {
		attach_inflight(device);
	}
	return neep_vring_start(device->ring, &device->config, NULL) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct neep_reader in;
	struct fuzz_device device;
	neep_log_set_level(NEEP_LOG_ERROR);
	neep_reader_init(&in, data, size);
	bool is_running = device_init(&device, &in);
	for (int i = 0; is_running && i < STEPS_MAX && neep_reader_left(&in) > 0; i++) {
		step(&device, &in);
	}
	/* Until empty, or long enough: a driver may refill for ever. */
	for (int i = 0; i < STEPS_MAX && neep_vring_has_work(device.ring); i++) {
		pop(&device);
		give_back(&device, 0, 16, false);
		neep_vring_notify(device.ring);
	}
	neep_vring_destroy(device.ring);
	neep_inflight_detach(device.inflight);
	neep_memory_destroy(device.memory);
	return 0;
}
