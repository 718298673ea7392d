/* Sequences of cursor commands on a whole device that has a few images of all kinds. */
#include <linux/virtio_gpu.h>

#include "fuzz/device_command.h"
#include "fuzz/device_machine.h"
#include "fuzz/fuzz.h"
#include "util/macros.h"

#define STEPS_MAX 256

/* Sent whole, with room for the reply, whatever the input says. */
static void send_plain(struct machine *machine, const void *command, size_t len) {
	struct neep_reader none;
	neep_reader_init(&none, "", 0);
	machine_send(machine, NEEP_DEVICE_CONTROLQ, command, len, &none);
}

static void create_images(struct machine *machine) {
	static const uint32_t sides[] = { 64, 16, 65, 300 };
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(sides); i++) {
		struct virtio_gpu_resource_create_2d create = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
			.resource_id = i + 1,
			.format = VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
			.width = sides[i],
			.height = sides[NEEP_ARRAY_LEN(sides) - 1 - i],
		};
		send_plain(machine, &create, sizeof(create));
	}
	struct {
		struct virtio_gpu_resource_create_blob create;
		struct virtio_gpu_mem_entry entry;
	} blob = {
		.create = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
			.resource_id = 5,
			.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
			.nr_entries = 1,
			.size = 16384,
		},
		.entry = { .addr = 0, .length = 16384 },
	};
	send_plain(machine, &blob, sizeof(blob));
	machine_run(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static uint8_t command[MACHINE_COMMAND_MAX];
	struct neep_reader in;
	neep_reader_init(&in, data, size);
	struct machine *machine = machine_create(&in);
	create_images(machine);
	for (int i = 0; i < STEPS_MAX && neep_reader_left(&in) > 0; i++) {
		uint8_t step = neep_reader_u8(&in);
		if (step == FUZZ_RAW_STEP) {
			size_t len = fuzz_raw_command(&in, command);
			machine_send(machine, NEEP_DEVICE_CURSORQ, command, len, &in);
			machine_run(machine);
		} else if (step < 200) {
			size_t len = fuzz_cursor_command(&in, command);
			machine_send(machine, NEEP_DEVICE_CURSORQ, command, len, &in);
			if (step < 100) {
				machine_run(machine);
			}
		} else if (step < 225) {
			size_t len = fuzz_control_command(&in, command);
			machine_send(machine, NEEP_DEVICE_CONTROLQ, command, len, &in);
		} else {
			machine_meddle(machine, &in);
		}
	}
	machine_destroy(machine);
	return 0;
}
