/* A hostile compositor. The input is a row of messages: their length, how many fds they bring, of which kinds. The guest polls
 * before or after each, and takes what it is given as guests do: memory as blobs, pipes to write to, events to wait for. */
#include "cross_domain/protocol.h"
#include "fuzz/fuzz.h"
#include "fuzz/xd_machine.h"
#include "util/fd.h"
#include "util/reader.h"

#include <string.h>

static uint32_t word(const struct xd_machine *machine, size_t at) {
	uint32_t value;
	memcpy(&value, machine->rings[XD_CHANNEL_RING - XD_QUERY_RING] + at, sizeof(value));
	return value;
}

static void write_to(struct xd_machine *machine, uint32_t id, uint32_t hangs_up) {
	const uint32_t command[] = { 32 << 16 | NEEP_XD_WRITE, 0, id, hangs_up, 8, 0, 1, 0 };
	xd_submit(machine, command, sizeof(command));
}

static void take_item(struct xd_machine *machine, uint32_t id, uint32_t type, uint32_t size) {
	const uint32_t event[] = { 16 << 16 | NEEP_XD_READ_CREATE_EVENT, 0, id, 0 };
	switch (type) {
	case NEEP_XD_ID_BLOB:
		xd_blob(machine, id, (size + XD_PAGE - 1) & ~(uint32_t)(XD_PAGE - 1));
		break;
	case NEEP_XD_ID_EVENT:
		xd_submit(machine, event, sizeof(event));
		write_to(machine, id, id & 1);
		break;
	default:
		write_to(machine, id, 0);
		write_to(machine, id, id & 1);
	}
}

/* What is not taken piles up. */
static void take_message(struct xd_machine *machine, uint8_t taken) {
	if (word(machine, 0) != NEEP_XD_RECEIVE) {
		return;
	}
	for (uint32_t i = 0; i < word(machine, NEEP_XD_TRANSFER_COUNT) && i < taken; i++) {
		take_item(machine, word(machine, NEEP_XD_TRANSFER_IDS + 4 * i),
			word(machine, NEEP_XD_TRANSFER_TYPES + 4 * i),
			word(machine, NEEP_XD_TRANSFER_SIZES + 4 * i));
	}
}

static void ask_for_a_pipe(struct xd_machine *machine, uint32_t count) {
	uint32_t words[(NEEP_XD_TRANSFER_SIZE + 4) / 4] = { (NEEP_XD_TRANSFER_SIZE + 4) << 16 | NEEP_XD_SEND,
		0, 1, 4, NEEP_XD_READ_ID_BASE + count, [32] = NEEP_XD_ID_READ_PIPE };
	xd_submit(machine, words, sizeof(words));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const uint8_t bytes[65536];
	struct xd_machine machine;
	struct neep_reader in;
	neep_reader_init(&in, data, size);
	xd_machine_init(&machine, 1);
	for (uint32_t pipes = 0; neep_reader_ok(&in) && neep_reader_left(&in) > 0;) {
		uint8_t flags = neep_reader_u8(&in);
		uint16_t len = neep_reader_u16(&in);
		uint8_t kinds[64];
		size_t count = neep_reader_u8(&in) % 64;
		for (size_t i = 0; i < count; i++) {
			kinds[i] = neep_reader_u8(&in);
		}
		if ((flags & 1) != 0) {
			xd_poll(&machine);
		}
		if ((flags & 6) == 6) {
			ask_for_a_pipe(&machine, ++pipes);
		}
		xd_host_send(&machine, bytes, len, kinds, count);
		xd_host_read(&machine, flags);
		if ((flags & 1) == 0) {
			xd_poll(&machine);
		}
		take_message(&machine, flags >> 3);
		if (flags == 0xff) {
			neep_close_fd(&machine.host);
		}
	}
	xd_machine_finish(&machine);
	return 0;
}
