/* Config space and the display event, "Device configuration layout" and "Device Events". */
#include "device/device_internal.h"

#include <errno.h>
#include <string.h>

/* The structure as the specification has it today: older kernel headers lack blob_alignment. */
struct config_layout {
	uint32_t events_read;
	uint32_t events_clear;
	uint32_t num_scanouts;
	uint32_t num_capsets;
	uint32_t blob_alignment;
};

/* The smallest and largest mode Linux takes. */
#define OUTPUT_SIZE_MIN 32
#define OUTPUT_SIZE_MAX 8192

void neep_device_read_config(const struct neep_device *device, uint32_t offset, void *buf, size_t len) {
	const struct config_layout layout = {
		.events_read = device->events_read,
		.num_scanouts = device->options.max_outputs,
		.num_capsets = device->num_capsets,
		.blob_alignment = device->options.blob_alignment,
	};
	memset(buf, 0, len);
	if (offset < sizeof(layout)) {
		size_t have = sizeof(layout) - offset;
		memcpy(buf, (const char *)&layout + offset, len < have ? len : have);
	}
}

void config_raise_display_event(struct neep_device *device) {
	device->events_read |= VIRTIO_GPU_EVENT_DISPLAY;
	device->host->impl->config_changed(device->host);
}

static void clear_events(struct neep_device *device, uint32_t mask) {
	device->events_read &= ~mask;
	/* A change that came after the guest asked and before it cleared would be lost: raise it again. */
	if ((mask & VIRTIO_GPU_EVENT_DISPLAY) != 0 &&
		device->display_generation != device->reported_generation) {
		config_raise_display_event(device);
	}
}

/* Only events_clear can be written; front-ends may write the whole structure at once. */
void neep_device_write_config(struct neep_device *device, uint32_t offset, const void *buf, size_t len) {
	const size_t field = offsetof(struct config_layout, events_clear);
	uint8_t mask_bytes[sizeof(uint32_t)] = { 0 };
	for (size_t i = 0; i < sizeof(mask_bytes); i++) {
		if (field + i >= offset && field + i - offset < len) {
			mask_bytes[i] = ((const uint8_t *)buf)[field + i - offset];
		}
	}
	uint32_t mask;
	memcpy(&mask, mask_bytes, sizeof(mask));
	if (mask != 0) {
		clear_events(device, mask);
	}
}

int neep_device_set_output(struct neep_device *device, uint32_t scanout_id, uint32_t width, uint32_t height) {
	if (scanout_id >= device->options.max_outputs) {
		return -EINVAL;
	}
	bool is_enabled = width != 0 || height != 0;
	if (is_enabled && (width < OUTPUT_SIZE_MIN || width > OUTPUT_SIZE_MAX || height < OUTPUT_SIZE_MIN ||
				  height > OUTPUT_SIZE_MAX)) {
		return -EINVAL;
	}
	struct neep_output_info *output = &device->scanouts[scanout_id].output;
	output->is_enabled = is_enabled;
	if (is_enabled) {
		output->rect.width = width;
		output->rect.height = height;
	}
	/* Side by side, so that no output hides another. */
	uint32_t x = 0;
	for (uint32_t i = 0; i < device->options.max_outputs; i++) {
		device->scanouts[i].output.rect.x = x;
		x += device->scanouts[i].output.is_enabled ? device->scanouts[i].output.rect.width : 0;
	}
	device->display_generation++;
	config_raise_display_event(device);
	return 0;
}
