/* GET_DISPLAY_INFO and GET_EDID: from the display's own answer where it has one, else from our outputs. */
#include "device/device_internal.h"

#include <string.h>

static void own_display_info(struct neep_device *device, struct virtio_gpu_resp_display_info *reply) {
	for (uint32_t i = 0; i < device->options.max_outputs; i++) {
		const struct neep_output_info *output = &device->scanouts[i].output;
		if (output->is_enabled) {
			reply->pmodes[i].r = (struct virtio_gpu_rect){ .x = output->rect.x,
				.y = output->rect.y,
				.width = output->rect.width,
				.height = output->rect.height };
			reply->pmodes[i].enabled = 1;
		}
	}
}

/* The body of a far side's reply replaces ours; the header stays our business. */
static void take_reply(struct neep_request *request, const void *reply, size_t len) {
	size_t want = request->reply_size;
	size_t header = sizeof(struct virtio_gpu_ctrl_hdr);
	memcpy((char *)&request->reply + header, (const char *)reply + header,
		(len < want ? len : want) - header);
}

static void display_info_finish(struct neep_device *device, struct neep_request *request) {
	device->reported_generation = device->display_generation;
	request_finish(device, request, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

static void display_info_done(struct neep_sink_query *query, const void *reply, size_t len) {
	struct neep_device *device = neep_container_of(query, struct neep_device, query);
	struct neep_request *request = device->waiting;
	if (reply != NULL && len >= sizeof(struct virtio_gpu_ctrl_hdr)) {
		take_reply(request, reply, len);
	} else {
		own_display_info(device, &request->reply.display_info);
	}
	display_info_finish(device, request);
}

uint32_t cmd_get_display_info(struct neep_device *device, struct neep_request *request) {
	if (neep_sink_has_query(device->sink)) {
		request_wait(device, request);
		device->query = (struct neep_sink_query){ .done = display_info_done };
		neep_sink_query(device->sink, &device->query);
		return RESP_LATER;
	}
	own_display_info(device, &request->reply.display_info);
	device->reported_generation = device->display_generation;
	return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

static void own_edid(struct neep_device *device, uint32_t scanout_id, struct virtio_gpu_resp_edid *reply) {
	const struct neep_rect *rect = &device->scanouts[scanout_id].output.rect;
	reply->size = (uint32_t)neep_edid_generate(scanout_id, rect->width, rect->height, reply->edid);
}

static void edid_done(struct neep_sink_query *query, const void *reply, size_t len) {
	struct neep_device *device = neep_container_of(query, struct neep_device, query);
	struct neep_request *request = device->waiting;
	if (reply != NULL && len == sizeof(struct virtio_gpu_resp_edid)) {
		take_reply(request, reply, len);
	} else {
		own_edid(device, query->scanout_id, &request->reply.edid);
	}
	if (request->reply.edid.size > sizeof(request->reply.edid.edid)) {
		request->reply.edid.size = sizeof(request->reply.edid.edid);
	}
	request->reply.edid.padding = 0;
	request_finish(device, request, VIRTIO_GPU_RESP_OK_EDID);
}

uint32_t cmd_get_edid(struct neep_device *device, struct neep_request *request) {
	uint32_t scanout_id = request->cmd.get_edid.scanout;
	if (scanout_id >= device->scanout_count) {
		return request_refuse_scanout(device, request);
	}
	if (neep_sink_has_query(device->sink)) {
		request_wait(device, request);
		device->query = (struct neep_sink_query){
			.is_edid = true,
			.scanout_id = scanout_id,
			.done = edid_done,
		};
		neep_sink_query(device->sink, &device->query);
		return RESP_LATER;
	}
	own_edid(device, scanout_id, &request->reply.edid);
	return VIRTIO_GPU_RESP_OK_EDID;
}
