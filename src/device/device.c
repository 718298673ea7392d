/* Life of the device and its queues: see device.h for the contract and dispatch.c for the commands. */
#include "device/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/device_internal.h"
#include "util/trace.h"

/* One turn of a queue ends after this much work, about a millisecond, so that the other queue, the transport and the
 * display get theirs. Counted, because a look at the clock costs as much as a small command. */
#define COMMANDS_PER_TURN 256
#define BYTES_PER_TURN    (UINT64_C(8) << 20)

const struct neep_device_quota neep_device_default_quota = {
	.resources = 65536,
	.resource_bytes = UINT64_C(1) << 30,
	.bytes = UINT64_C(1) << 30,
	.contexts = 4096,
	/* 8192 x 8192 pixels in scattered 4 KiB pages are 65536 entries. */
	.backing_entries = 262144,
	.total_backing_entries = 4 << 20,
	.submit_bytes = 64 << 20,
	/* Stock QEMU aborts the VM beyond 512 memory regions, RAM included, and slows down well before. */
	.maps = 400,
};

static void memory_removed(struct neep_memory_listener *listener, const void *host, size_t size) {
	struct neep_device *device = neep_container_of(listener, struct neep_device, memory_listener);
	resource_drop_backing_in(device, host, size);
}

static void sink_caught_up(struct neep_sink_listener *listener) {
	flush_release(neep_container_of(listener, struct neep_device, sink_listener));
}

static int apply_quota(struct neep_device *device) {
	struct neep_rutabaga_limits limits;
	int ret = neep_rutabaga_get_limits(device->rutabaga, &limits);
	if (ret < 0) {
		return ret;
	}
	const struct neep_device_quota *quota = &device->options.quota;
	limits.resources = quota->resources;
	limits.contexts = quota->contexts;
	limits.backing_entries = quota->backing_entries;
	limits.total_entries = quota->total_backing_entries;
	limits.image_bytes = quota->bytes;
	limits.submit_bytes = quota->submit_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)quota->submit_bytes;
	return neep_rutabaga_set_limits(device->rutabaga, &limits);
}

static int init_tables(struct neep_device *device) {
	if (neep_idmap_init(&device->resources) < 0 || neep_idmap_init(&device->contexts) < 0 ||
		neep_idmap_init(&device->timelines) < 0) {
		return -ENOMEM;
	}
	int ret = rutabaga_get_num_capsets(device->rutabaga, &device->num_capsets);
	return ret < 0 ? ret : apply_quota(device);
}

static void init_outputs(struct neep_device *device) {
	const struct neep_device_options *options = &device->options;
	/* Where the display's own front-end counts the outputs, it tells the guest, and ignores what goes beyond. */
	device->scanout_count = neep_sink_has_query(device->sink) ? NEEP_SCANOUTS_MAX : options->max_outputs;
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		device->scanouts[i].output = (struct neep_output_info){
			.rect = { .x = i * options->xres, .width = options->xres, .height = options->yres },
			.is_enabled = i < options->max_outputs,
		};
	}
}

struct neep_device *neep_device_create(const struct neep_device_options *options, struct rutabaga *rutabaga,
	struct neep_sink *sink, struct neep_device_host *host, struct neep_error *error) {
	struct neep_device *device = calloc(1, sizeof(*device));
	if (device == NULL) {
		neep_error_set(error, ENOMEM, "cannot create the device");
		return NULL;
	}
	device->options = *options;
	device->rutabaga = rutabaga;
	device->sink = sink;
	device->host = host;
	neep_list_init(&device->maps);
	neep_list_init(&device->free_requests);
	neep_list_init(&device->held_flushes);
	neep_list_init(&device->memory_listener.link);
	device->memory_listener.removed = memory_removed;
	init_outputs(device);
	int ret = init_tables(device);
	if (ret < 0) {
		neep_error_set(error, -ret, "cannot create the device");
		neep_device_destroy(device);
		return NULL;
	}
	device->sink_listener.caught_up = sink_caught_up;
	neep_sink_set_listener(sink, &device->sink_listener);
	return device;
}

/* Everything the driver made; the order lets nothing point to what is freed. */
static void drop_driver_state(struct neep_device *device) {
	if (device->waiting != NULL) {
		neep_sink_query_cancel(device->sink, &device->query);
		request_finish(device, device->waiting, VIRTIO_GPU_RESP_ERR_UNSPEC);
	}
	flush_release(device);
	context_remove_all(device);
	fence_drop_all(device);
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		scanout_disable(device, i);
	}
	cursor_reset(device);
	resource_remove_all(device);
	neep_rutabaga_reset(device->rutabaga);
}

void neep_device_destroy(struct neep_device *device) {
	if (device == NULL) {
		return;
	}
	if (device->timelines.buckets != NULL) {
		window_finish(device);
		drop_driver_state(device);
	}
	neep_sink_set_listener(device->sink, NULL);
	neep_device_set_memory(device, NULL);
	while (!neep_list_is_empty(&device->free_requests)) {
		struct neep_request *request =
			neep_container_of(device->free_requests.next, struct neep_request, link);
		neep_list_remove(&request->link);
		free(request);
	}
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		free(device->scanouts[i].cursor_pixels);
	}
	neep_idmap_finish(&device->resources);
	neep_idmap_finish(&device->contexts);
	neep_idmap_finish(&device->timelines);
	free(device);
}

uint64_t neep_device_features(const struct neep_device *device) {
	uint64_t features = UINT64_C(1) << VIRTIO_GPU_F_EDID | UINT64_C(1) << VIRTIO_GPU_F_RESOURCE_UUID |
			    UINT64_C(1) << VIRTIO_GPU_F_RESOURCE_BLOB;
	if (device->num_capsets > 0) {
		features |= UINT64_C(1) << VIRTIO_GPU_F_VIRGL | UINT64_C(1) << VIRTIO_GPU_F_CONTEXT_INIT;
	}
	if (device->options.blob_alignment != 0) {
		features |= UINT64_C(1) << NEEP_VIRTIO_GPU_F_BLOB_ALIGNMENT;
	}
	return features;
}

void neep_device_set_features(struct neep_device *device, uint64_t features) {
	device->features = features & neep_device_features(device);
}

void neep_device_set_memory(struct neep_device *device, struct neep_memory *memory) {
	neep_memory_remove_listener(&device->memory_listener);
	device->memory = memory;
	if (memory != NULL) {
		neep_memory_add_listener(memory, &device->memory_listener);
	}
}

void neep_device_set_queue(
	struct neep_device *device, enum neep_device_queue queue, struct neep_vring *ring) {
	device->rings[queue] = ring;
}

void neep_device_reset(struct neep_device *device, bool window_is_empty) {
	neep_log(TOPIC, NEEP_LOG_INFO, "driver reset");
	window_reset(device, window_is_empty);
	drop_driver_state(device);
	device->features = 0;
	device->events_read = 0;
	/* A new driver asks for the outputs anyway. */
	device->reported_generation = device->display_generation;
}

/* Flags that the driver did not negotiate, or that nobody knows, mean nothing. */
static void read_flags(struct neep_device *device, struct neep_request *request) {
	struct virtio_gpu_ctrl_hdr *hdr = &request->cmd.hdr;
	uint32_t known = VIRTIO_GPU_FLAG_FENCE;
	if ((device->features >> VIRTIO_GPU_F_CONTEXT_INIT & 1) != 0) {
		known |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
	}
	hdr->flags &= known;
	request->is_fenced = (hdr->flags & VIRTIO_GPU_FLAG_FENCE) != 0;
}

static uint32_t check_ring_idx(struct neep_device *device, const struct neep_request *request) {
	const struct virtio_gpu_ctrl_hdr *hdr = &request->cmd.hdr;
	if ((hdr->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) == 0) {
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	if (hdr->ring_idx > NEEP_RING_IDX_MAX) {
		return request_refuse(
			device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "ring_idx is above 63");
	}
	/* CTX_CREATE is what makes the context. */
	bool is_create = hdr->type == VIRTIO_GPU_CMD_CTX_CREATE;
	if (hdr->ctx_id == 0 || (!is_create && !context_exists(device, hdr->ctx_id))) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
			"ring_idx of a context that does not exist");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The OK reply must fit before anything is done. Drivers that give no room at all (the cursor queue) get their command
 * done when there is nothing to say but OK. */
static uint32_t check_sizes(struct neep_device *device, const struct neep_request *request) {
	const struct neep_vring_element *element = request->element;
	if (element->readable_size < request->op->cmd_size) {
		return request_refuse(
			device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "the command is cut short");
	}
	bool is_nodata = request->op->reply_size == sizeof(struct virtio_gpu_ctrl_hdr);
	if (element->writable_size < request->op->reply_size && !is_nodata) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_UNSPEC, "no room for the reply");
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t check(
	struct neep_device *device, enum neep_device_queue queue, struct neep_request *request) {
	const struct virtio_gpu_ctrl_hdr *hdr = &request->cmd.hdr;
	if (request->element->readable_size < sizeof(*hdr)) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_UNSPEC, "the header is cut short");
	}
	read_flags(device, request);
	request->op = queue == NEEP_DEVICE_CONTROLQ ? op_find_control(hdr->type) : op_find_cursor(hdr->type);
	if (request->op == NULL) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_UNSPEC, "unknown on this queue");
	}
	if ((request->op->feature & ~device->features) != 0) {
		return request_refuse(
			device, request, VIRTIO_GPU_RESP_ERR_UNSPEC, "its feature was not negotiated");
	}
	uint32_t resp = check_sizes(device, request);
	return resp == VIRTIO_GPU_RESP_OK_NODATA ? check_ring_idx(device, request) : resp;
}

static void execute(struct neep_device *device, enum neep_device_queue queue, struct neep_request *request) {
	NEEP_TRACE3(cmd_begin, request->cmd.hdr.type, request->cmd.hdr.ctx_id, (int)queue);
	uint32_t resp = check(device, queue, request);
	if (resp == VIRTIO_GPU_RESP_OK_NODATA) {
		request->reply_size = request->op->reply_size;
		memset(&request->reply, 0, request->reply_size);
		resp = request->op->run(device, request);
	}
	/* After RESP_LATER the request may be gone already. */
	if (resp != RESP_LATER) {
		request_finish(device, request, resp);
	}
}

static bool is_paused(const struct neep_device *device, enum neep_device_queue queue) {
	return queue == NEEP_DEVICE_CONTROLQ && device->waiting != NULL;
}

/* Commands of one queue may have completed fences of the other. */
static void notify_all(struct neep_device *device) {
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		if (device->rings[i] != NULL) {
			neep_vring_notify(device->rings[i]);
		}
	}
}

bool neep_device_run_queue(struct neep_device *device, enum neep_device_queue queue) {
	struct neep_vring *ring = device->rings[queue];
	if (ring == NULL || is_paused(device, queue)) {
		return false;
	}
	uint32_t count = 0;
	device->is_in_batch = true;
	device->turn_bytes = 0;
	while (count < COMMANDS_PER_TURN && device->turn_bytes < BYTES_PER_TURN &&
		!is_paused(device, queue)) {
		struct neep_request *request = request_pop(device, ring);
		if (request == NULL) {
			break;
		}
		execute(device, queue, request);
		count++;
	}
	device->is_in_batch = false;
	notify_all(device);
	/* Without a command there may have been malformed buffers, and more behind them. */
	return count > 0 || (!is_paused(device, queue) && neep_vring_has_work(ring));
}

void neep_device_get_stats(const struct neep_device *device, struct neep_device_stats *stats) {
	struct neep_rutabaga_usage usage = { 0 };
	neep_rutabaga_get_usage(device->rutabaga, &usage);
	*stats = device->stats;
	stats->resources = usage.resources;
	stats->contexts = usage.contexts;
	stats->bytes = usage.image_bytes;
	stats->maps = device->map_count;
	stats->pending = device->pending_fences;
}
