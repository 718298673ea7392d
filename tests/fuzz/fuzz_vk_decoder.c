/* Packets of a hostile guest, against a driver that only counts. The input is a row of packets: a byte of flags, the opcode, the
 * length of the rest, the rest. Eight bytes NN f0 f0 f0 f0 f0 f0 f0 stand for the id of an object of type NN, which no input could
 * guess. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "neep_vk_commands.h"
#include "vulkan_room/stubs.h"

#define FLAG_FAILS 1 // the driver fails

static const uint8_t placeholder[7] = { 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0 };

static void put_ids(const struct neep_stub_world *world, uint8_t *bytes, size_t len) {
	for (size_t at = 0; at + sizeof(uint64_t) <= len; at++) {
		if (bytes[at] < NEEP_VK_TYPE_COUNT &&
			memcmp(bytes + at + 1, placeholder, sizeof(placeholder)) == 0) {
			memcpy(bytes + at, &world->ids[bytes[at]], sizeof(uint64_t));
		}
	}
}

static bool is_recorded(uint32_t opcode) {
	const struct neep_vk_command *command = neep_vk_command_find(opcode);
	return command != NULL && (command->flags & NEEP_VK_IS_RECORDED) != 0;
}

/* On a heap block of its own, so that ASan sees every byte too many. */
static void run_packet(struct neep_stub_world *world, uint32_t opcode, const uint8_t *rest, size_t rest_len) {
	bool recorded = is_recorded(opcode);
	size_t head = recorded ? NEEP_VK_COMMAND_HEADER : NEEP_VK_PACKET_HEADER;
	uint32_t words[3] = { opcode, (uint32_t)(head + rest_len), 1 };
	uint8_t *packet = malloc(head + rest_len);
	neep_assert(packet != NULL);
	memcpy(packet, words, head);
	memcpy(packet + head, rest, rest_len);
	put_ids(world, packet + head, rest_len);
	world->decoder.call.is_failed = false;
	if (recorded) {
		if (neep_vk_object_find(world->table, world->ids[NEEP_VK_COMMAND_BUFFER],
			    NEEP_VK_COMMAND_BUFFER) != NULL) {
			(void)neep_stub_record(world, packet, head + rest_len);
		}
	} else {
		(void)neep_vk_decode_packet(&world->decoder, packet, head + rest_len);
	}
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	neep_log_set_level(NEEP_LOG_ERROR);
	struct neep_stub_world world;
	neep_assert(neep_stub_world_init(&world));
	struct neep_reader in;
	neep_reader_init(&in, data, size);
	while (neep_reader_left(&in) > 0) {
		uint8_t flags = neep_reader_u8(&in);
		uint32_t opcode = neep_reader_u32(&in);
		size_t len = neep_reader_u16(&in);
		if (!neep_reader_ok(&in)) {
			break;
		}
		len = len < neep_reader_left(&in) ? len : neep_reader_left(&in);
		neep_stub_log.result = flags & FLAG_FAILS ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_SUCCESS;
		run_packet(&world, opcode, neep_reader_take(&in, len), len);
	}
	neep_stub_world_finish(&world);
	return 0;
}
