#include "fuzz/device_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_gpu.h>
#include <stdlib.h>
#include <string.h>

#include <rutabaga_gfx/neep_rutabaga.h>

#include "driver/queue.h"
#include "rutabaga/component.h"
#include "support/fake_component.h"
#include "util/fd.h"
#include "util/list.h"
#include "util/log.h"
#include "util/macros.h"

#define SENTINEL     0xa5
#define CONTROL_SIZE 64
#define CURSOR_SIZE  16
#define HOSTMEM      (UINT64_C(1) << 20)
#define CONTEXTS     8 // ids that targets use lie below
#define PIECES_MAX   512
#define WINDOW_MAX   16

struct flight {
	struct neep_list link; // machine.flights
	struct neep_queue_buffer buffer;
	struct neep_guest_buffer memory;
	struct neep_guest_piece *pieces;
	size_t room;
};

struct machine {
	struct neep_guest_memory *guest;
	struct neep_guest_buffer area; // the first thing in guest memory, so that commands find it
	struct neep_queue *queues[NEEP_DEVICE_QUEUE_COUNT];
	struct neep_list flights;
	struct neep_memory *memory;
	struct neep_vring *rings[NEEP_DEVICE_QUEUE_COUNT];
	bool is_running[NEEP_DEVICE_QUEUE_COUNT];
	struct neep_queue_options queue_options;
	struct rutabaga *rutabaga;
	struct neep_loop *loop;
	struct neep_sink *sink;
	struct neep_device_host host;
	struct neep_device *device;
	uint64_t features;
	struct neep_device_window_request *window[WINDOW_MAX]; // asked for, not answered
	size_t window_count;
	bool is_resumed;
};

uint64_t machine_elements;

/* ---- the device's host ---- */

static struct machine *machine_from_host(struct neep_device_host *host) {
	return neep_container_of(host, struct machine, host);
}

static void config_changed(struct neep_device_host *host) {
	(void)host;
}

static void change_window(struct neep_device_host *host, struct neep_device_window_request *request) {
	struct machine *machine = machine_from_host(host);
	neep_assert(machine->window_count < WINDOW_MAX);
	neep_assert(request->len > 0 && request->offset + request->len <= HOSTMEM);
	neep_assert(!request->is_map || fcntl(request->fd, F_GETFD) >= 0);
	machine->window[machine->window_count++] = request;
}

static struct neep_device_window_request *take_window(struct machine *machine, size_t index) {
	struct neep_device_window_request *request = machine->window[index];
	machine->window_count--;
	memmove(&machine->window[index], &machine->window[index + 1],
		(machine->window_count - index) * sizeof(machine->window[0]));
	return request;
}

static void cancel_window(struct neep_device_host *host, struct neep_device_window_request *request) {
	struct machine *machine = machine_from_host(host);
	for (size_t i = 0; i < machine->window_count; i++) {
		if (machine->window[i] == request) {
			take_window(machine, i);
			return;
		}
	}
	neep_assert(false);
}

static void resume_queue(struct neep_device_host *host, enum neep_device_queue queue) {
	(void)queue;
	machine_from_host(host)->is_resumed = true;
}

static const struct neep_device_host_impl host_impl = {
	.config_changed = config_changed,
	.change_window = change_window,
	.cancel_window = cancel_window,
	.resume_queue = resume_queue,
};

static void fence_done(uint64_t user_data, const struct rutabaga_fence *fence) {
	struct machine *machine = (struct machine *)(uintptr_t)user_data;
	neep_device_fence_done(machine->device, fence);
}

static void drop_log(void *data, enum neep_log_level level, const char *topic, const char *line) {
	(void)data;
	(void)level;
	(void)topic;
	(void)line;
}

/* ---- birth ---- */

static void create_memory(struct machine *machine) {
	struct neep_guest_layout layout = { .size = MACHINE_MEMORY_SIZE, .region_count = 2 };
	machine->guest = neep_guest_memory_create(&layout, NULL);
	machine->memory = neep_memory_create();
	neep_assert(machine->guest != NULL && machine->memory != NULL);
	for (size_t i = 0; i < neep_guest_region_count(machine->guest); i++) {
		const struct neep_guest_region *region = neep_guest_region(machine->guest, i);
		struct neep_memory_region_info info = {
			.guest_addr = region->guest_addr,
			.size = region->size,
			.user_addr = (uint64_t)(uintptr_t)region->host,
			.mmap_offset = region->fd_offset,
		};
		int fd = fcntl(region->fd, F_DUPFD_CLOEXEC, 0);
		neep_assert(neep_memory_add(machine->memory, &info, fd, NULL) == 0);
	}
	neep_assert(neep_guest_alloc(machine->guest, MACHINE_AREA_SIZE, &machine->area) == 0);
	neep_assert(machine->area.first.guest_addr == 0);
	memset(machine->area.first.host, 0x5a, MACHINE_AREA_SIZE);
}

static void start_queue(struct machine *machine, enum neep_device_queue queue) {
	struct neep_queue_setup setup = neep_queue_setup(machine->queues[queue]);
	struct neep_vring_layout layout = neep_vring_layout(setup.size, machine->queue_options.is_packed);
	struct neep_vring_config config = {
		.size = setup.size,
		.is_packed = machine->queue_options.is_packed,
		.has_event_idx = machine->queue_options.has_event_idx,
		.has_indirect = machine->queue_options.has_indirect,
		.desc = neep_memory_translate_user(
			machine->memory, (uint64_t)(uintptr_t)setup.desc, layout.desc_len),
		.avail = neep_memory_translate_user(
			machine->memory, (uint64_t)(uintptr_t)setup.avail, layout.avail_len),
		.used = neep_memory_translate_user(
			machine->memory, (uint64_t)(uintptr_t)setup.used, layout.used_len),
		.base = setup.base,
	};
	neep_assert(neep_vring_start(machine->rings[queue], &config, NULL) == 0);
	neep_device_set_queue(machine->device, queue, machine->rings[queue]);
	machine->is_running[queue] = true;
}

static void create_rings(struct machine *machine) {
	static const uint32_t sizes[] = { CONTROL_SIZE, CURSOR_SIZE };
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		machine->queue_options.size = sizes[i];
		machine->queues[i] = neep_queue_create(machine->guest, &machine->queue_options, NULL);
		machine->rings[i] = neep_vring_create(machine->memory);
		neep_assert(machine->queues[i] != NULL && machine->rings[i] != NULL);
		neep_vring_set_call_fd(
			machine->rings[i], fcntl(neep_queue_call_fd(machine->queues[i]), F_DUPFD_CLOEXEC, 0));
		start_queue(machine, (enum neep_device_queue)i);
	}
}

static void create_device(struct machine *machine, uint8_t flags) {
	struct rutabaga_builder builder = {
		.user_data = (uintptr_t)machine,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = fence_done,
	};
	struct neep_device_options options = {
		.max_outputs = 3,
		.xres = 640,
		.yres = 480,
		.hostmem = (flags & 0x08) != 0 ? HOSTMEM : 0,
		.blob_alignment = (flags & 0x10) != 0 ? 8192 : 0,
		.quota = neep_device_default_quota,
	};
	options.quota.resource_bytes = UINT64_C(4) << 20;
	options.quota.bytes = UINT64_C(16) << 20;
	options.quota.maps = WINDOW_MAX - 1;
	machine->host.impl = &host_impl;
	machine->loop = neep_loop_create();
	machine->sink = neep_sink_create((flags & 0x20) != 0 ? "none" : "headless", machine->loop, NULL);
	neep_assert(machine->sink != NULL && neep_fake_rutabaga_init(&builder, &machine->rutabaga) == 0);
	neep_assert(neep_rutabaga_event_fd(machine->rutabaga) >= 0);
	machine->device =
		neep_device_create(&options, machine->rutabaga, machine->sink, &machine->host, NULL);
	neep_assert(machine->device != NULL);
	neep_device_set_memory(machine->device, machine->memory);
	neep_device_set_features(machine->device, machine->features);
}

struct machine *machine_create(struct neep_reader *in) {
	uint8_t flags = neep_reader_u8(in);
	uint8_t without = neep_reader_u8(in);
	struct machine *machine = calloc(1, sizeof(*machine));
	neep_assert(machine != NULL);
	neep_log_set_handler(drop_log, NULL);
	neep_list_init(&machine->flights);
	machine->queue_options.is_packed = (flags & 0x01) != 0;
	machine->queue_options.has_event_idx = (flags & 0x02) != 0;
	machine->queue_options.has_indirect = (flags & 0x04) == 0;
	/* Most inputs have all features. */
	machine->features = 0x3f & ~(uint64_t)((flags & 0x40) != 0 ? without : 0);
	create_memory(machine);
	create_device(machine, flags);
	create_rings(machine);
	return machine;
}

/* ---- flights ---- */

static void flight_free(struct machine *machine, struct flight *flight) {
	neep_guest_free(machine->guest, &flight->memory);
	neep_list_remove(&flight->link);
	free(flight->pieces);
	free(flight);
}

static bool is_reply(uint32_t type) {
	return (type >= VIRTIO_GPU_RESP_OK_NODATA && type <= VIRTIO_GPU_RESP_OK_MAP_INFO) ||
	       (type >= VIRTIO_GPU_RESP_ERR_UNSPEC && type <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
}

static void check_flight(const struct flight *flight) {
	struct virtio_gpu_ctrl_hdr hdr;
	uint8_t reply[sizeof(hdr)];
	size_t at = 0;
	neep_assert(flight->buffer.used_len <= flight->room);
	for (uint32_t i = 0; i < flight->buffer.writable_count; i++) {
		const struct neep_guest_piece *piece = &flight->pieces[flight->buffer.readable_count + i];
		const uint8_t *bytes = piece->host;
		for (size_t k = 0; k < piece->len; k++, at++) {
			if (at < sizeof(reply)) {
				reply[at] = bytes[k];
			}
			neep_assert(at < flight->buffer.used_len || bytes[k] == SENTINEL);
		}
		/* The byte between two pieces. */
		neep_assert(bytes[piece->len] == SENTINEL);
	}
	if (flight->buffer.used_len > 0) {
		neep_assert(flight->buffer.used_len >= sizeof(hdr));
		memcpy(&hdr, reply, sizeof(hdr));
		neep_assert(is_reply(hdr.type));
		neep_assert((hdr.flags & ~3u) == 0);
		neep_assert((hdr.flags & VIRTIO_GPU_FLAG_FENCE) != 0 || hdr.fence_id == 0);
	}
}

static void collect(struct machine *machine) {
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		struct neep_queue_buffer *buffer;
		while ((buffer = neep_queue_get(machine->queues[i])) != NULL) {
			struct flight *flight = neep_container_of(buffer, struct flight, buffer);
			machine_elements++;
			check_flight(flight);
			flight_free(machine, flight);
		}
		neep_assert(!neep_queue_is_broken(machine->queues[i]));
	}
}

static void run_queues(struct machine *machine) {
	bool is_busy = true;
	/* A turn is bounded by time, so that how many there are is not the input's alone. */
	while (is_busy) {
		is_busy = false;
		for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
			is_busy |= machine->is_running[i] &&
				   neep_device_run_queue(machine->device, (enum neep_device_queue)i);
		}
		is_busy |= machine->is_resumed;
		machine->is_resumed = false;
	}
}

void machine_run(struct machine *machine) {
	run_queues(machine);
	neep_rutabaga_dispatch(machine->rutabaga);
	collect(machine);
}

/* Splits [offset, offset + len) of the flight's memory into pieces with a byte between them. */
static size_t place(struct flight *flight, size_t offset, size_t len, size_t piece_max, const uint8_t *from) {
	uint32_t count = 0;
	for (size_t done = 0; done < len; count++) {
		size_t part = len - done < piece_max ? len - done : piece_max;
		struct neep_guest_piece *piece = &flight->pieces[flight->buffer.readable_count +
								 flight->buffer.writable_count + count];
		*piece = (struct neep_guest_piece){
			.guest_addr = flight->memory.first.guest_addr + offset,
			.host = (uint8_t *)flight->memory.first.host + offset,
			.len = part,
		};
		if (from != NULL) {
			memcpy(piece->host, from + done, part);
		}
		offset += part + 1;
		done += part;
	}
	*(from != NULL ? &flight->buffer.readable_count : &flight->buffer.writable_count) += count;
	return offset;
}

/* One size for the pieces of a part that keeps their number in bounds. */
static size_t piece_size(uint8_t choice, size_t len) {
	size_t size = choice < 160 ? len : choice < 200 ? 1 : choice - 190u;
	size_t least = len / (PIECES_MAX / 2 - 1) + 1;
	return size < least ? least : size;
}

/* The ring is as long as it is, and some chains are not indirect. */
static bool make_room(struct machine *machine, enum neep_device_queue queue, uint32_t descriptors) {
	struct neep_queue *q = machine->queues[queue];
	uint32_t slots = machine->queue_options.has_indirect ? 1 : descriptors;
	if (neep_queue_free_slots(q) < slots) {
		machine_run(machine);
	}
	return neep_queue_free_slots(q) >= slots;
}

void machine_send(struct machine *machine, enum neep_device_queue queue, const void *command, size_t len,
	struct neep_reader *in) {
	static const uint16_t rooms[] = { 24, 24, 64, 64, 2048, 2048, 2048, 0, 23, 40, 408, 407, 1056, 1055 };
	uint8_t shape = neep_reader_u8(in);
	size_t room = rooms[shape % NEEP_ARRAY_LEN(rooms)];
	if (queue == NEEP_DEVICE_CURSORQ && shape >= 128) {
		room = 0;
	}
	if (len + room == 0) {
		return;
	}
	size_t command_piece = piece_size(neep_reader_u8(in), len), reply_piece = piece_size(shape, room);
	struct flight *flight = calloc(1, sizeof(*flight));
	neep_assert(flight != NULL);
	neep_list_init(&flight->link);
	flight->room = room;
	flight->pieces = calloc(PIECES_MAX, sizeof(*flight->pieces));
	size_t size = (len + room) * 2 + 2;
	neep_assert(flight->pieces != NULL && neep_guest_alloc(machine->guest, size, &flight->memory) == 0);
	memset(flight->memory.first.host, SENTINEL, size);
	size_t offset = place(flight, 0, len, command_piece, command);
	place(flight, offset, room, reply_piece, NULL);
	flight->buffer.pieces = flight->pieces;
	uint32_t descriptors = flight->buffer.readable_count + flight->buffer.writable_count;
	if (!make_room(machine, queue, descriptors) ||
		neep_queue_add(machine->queues[queue], &flight->buffer) < 0) {
		flight_free(machine, flight);
		return;
	}
	neep_queue_publish(machine->queues[queue]);
	neep_list_append(&machine->flights, &flight->link);
}

/* ---- meddling ---- */

static void answer_window(struct machine *machine, uint8_t choice) {
	static const int results[] = { 0, 0, 0, -ENOSPC, -EIO, -ECANCELED };
	if (machine->window_count > 0) {
		struct neep_device_window_request *request =
			take_window(machine, choice % machine->window_count);
		request->done(request, results[choice % NEEP_ARRAY_LEN(results)]);
	}
}

/* The driver starts anew, as at reboot. */
static void reset(struct machine *machine, bool window_is_empty) {
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		neep_device_set_queue(machine->device, (enum neep_device_queue)i, NULL);
		neep_vring_stop(machine->rings[i]);
		neep_vring_reset(machine->rings[i]);
	}
	neep_device_reset(machine->device, window_is_empty);
	if (window_is_empty) {
		neep_assert(machine->window_count == 0);
	}
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		neep_queue_reset(machine->queues[i]);
	}
	neep_list_for_each_safe (flight, &machine->flights, struct flight, link) {
		flight_free(machine, flight);
	}
	neep_device_set_features(machine->device, machine->features);
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		start_queue(machine, (enum neep_device_queue)i);
	}
}

static void pause_queue(struct machine *machine, enum neep_device_queue queue) {
	if (machine->is_running[queue]) {
		neep_device_set_queue(machine->device, queue, NULL);
		neep_vring_stop(machine->rings[queue]);
		machine->is_running[queue] = false;
	} else {
		start_queue(machine, queue);
	}
}

static void use_config(struct machine *machine, uint8_t choice) {
	uint8_t bytes[32] = { 0 };
	uint32_t mask = choice;
	neep_device_read_config(machine->device, choice, bytes, choice % sizeof(bytes));
	neep_device_write_config(machine->device, 4, &mask, sizeof(mask));
	neep_device_write_config(machine->device, choice % 8, &mask, choice % 4);
}

static void look(struct machine *machine, uint8_t choice) {
	struct neep_device_stats stats;
	neep_image_unref(neep_sink_snapshot(machine->sink, choice % 3, (choice & 0x80) != 0, NULL));
	neep_device_get_stats(machine->device, &stats);
}

void machine_meddle(struct machine *machine, struct neep_reader *in) {
	uint8_t what = neep_reader_u8(in);
	uint8_t choice = neep_reader_u8(in);
	switch (what % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
		answer_window(machine, choice);
		break;
	case 4:
		neep_device_set_output(machine->device, choice % 4, choice * 8u, choice * 4u);
		break;
	case 5:
		use_config(machine, choice);
		break;
	case 6:
	case 7:
		memset((uint8_t *)machine->area.first.host + (size_t)choice * 256, choice, 256);
		break;
	case 8:
		neep_rutabaga_dispatch(machine->rutabaga);
		break;
	case 9:
		neep_fake_refuse(neep_fake_of(machine->rutabaga),
			(enum neep_fake_call)(choice % NEEP_FAKE_CALL_COUNT), ENOMEM, choice % 3);
		break;
	case 10:
		if (choice >= 224) {
			reset(machine, machine->window_count == 0 && (choice & 1) != 0);
		}
		break;
	case 11:
		pause_queue(machine, (enum neep_device_queue)(choice % NEEP_DEVICE_QUEUE_COUNT));
		break;
	case 12:
	case 13:
		look(machine, choice);
		break;
	default:
		machine_run(machine);
		break;
	}
}

/* ---- the end ---- */

static void let_go(struct machine *machine) {
	struct neep_fake *fake = neep_fake_of(machine->rutabaga);
	while (machine->window_count > 0) {
		answer_window(machine, 0);
	}
	for (uint32_t ctx_id = 0; ctx_id < CONTEXTS; ctx_id++) {
		uint32_t ring = ctx_id == 0 ? NEEP_FAKE_GLOBAL : NEEP_FAKE_ALL_RINGS;
		neep_fake_hold(fake, ctx_id, ring, false);
		neep_fake_complete(fake, ctx_id, ring, NEEP_FAKE_ALL);
	}
	machine_run(machine);
}

void machine_destroy(struct machine *machine) {
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		if (!machine->is_running[i]) {
			start_queue(machine, (enum neep_device_queue)i);
		}
	}
	/* Each turn lets at least one command go; a ring holds no more than its size. */
	for (int turn = 0; turn < 2 * CONTROL_SIZE && !neep_list_is_empty(&machine->flights); turn++) {
		let_go(machine);
	}
	neep_assert(neep_list_is_empty(&machine->flights));
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		neep_assert(neep_queue_outstanding(machine->queues[i]) == 0);
		neep_device_set_queue(machine->device, (enum neep_device_queue)i, NULL);
	}
	neep_device_destroy(machine->device);
	rutabaga_finish(&machine->rutabaga);
	neep_sink_destroy(machine->sink);
	neep_loop_destroy(machine->loop);
	for (size_t i = 0; i < NEEP_DEVICE_QUEUE_COUNT; i++) {
		neep_vring_destroy(machine->rings[i]);
		neep_queue_destroy(machine->queues[i]);
	}
	neep_memory_destroy(machine->memory);
	neep_guest_free(machine->guest, &machine->area);
	neep_guest_memory_destroy(machine->guest);
	free(machine);
}
