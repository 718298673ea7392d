/* A hostile guest of cross-domain. The input is a row of steps: a byte that says which, and what it needs. A command stream is
 * the input's bytes as they are, or behind a header that fits. */
#include "cross_domain/protocol.h"
#include "fuzz/fuzz.h"
#include "fuzz/xd_machine.h"
#include "util/fd.h"
#include "util/reader.h"

#include <string.h>

enum step {
	STEP_RAW,
	STEP_COMMAND,
	STEP_TRANSFER,
	STEP_FENCE,
	STEP_BLOB,
	STEP_HOST_SEND,
	STEP_HOST_READ,
	STEP_HOST_CLOSE,
	STEP_ATTACH,
	STEP_DETACH,
	STEP_DROP_MEMORY,
	STEP_COUNT,
};

/* Up to `max` of the bytes that are left. */
static const uint8_t *take(struct neep_reader *in, size_t max, size_t *len) {
	size_t wanted = neep_reader_u16(in) % (max + 1);
	*len = wanted < neep_reader_left(in) ? wanted : neep_reader_left(in);
	return neep_reader_take(in, *len);
}

static void raw(struct xd_machine *machine, struct neep_reader *in) {
	size_t len;
	const uint8_t *bytes = take(in, 2048, &len);
	if (bytes != NULL && len > 0) {
		xd_submit(machine, bytes, len);
	}
}

/* The body fills a command of `size` bytes, zeros behind it. */
static void framed(struct xd_machine *machine, struct neep_reader *in, uint8_t number, size_t size) {
	uint8_t command[NEEP_XD_TRANSFER_SIZE + 512] = { number, 0, (uint8_t)size, (uint8_t)(size >> 8) };
	size_t len;
	const uint8_t *body = take(in, size - NEEP_XD_HEADER_SIZE, &len);
	if (body != NULL) {
		memcpy(command + NEEP_XD_HEADER_SIZE, body, len);
		xd_submit(machine, command, size);
	}
}

/* SEND with a few ids that may be right. */
static void transfer(struct xd_machine *machine, struct neep_reader *in) {
	uint32_t words[(NEEP_XD_TRANSFER_SIZE + 4) / 4] = { (NEEP_XD_TRANSFER_SIZE + 4) << 16 | NEEP_XD_SEND,
		0, neep_reader_u8(in) % 30u, 4 };
	for (uint32_t i = 0; i < words[2] && i < NEEP_XD_IDS_MAX; i++) {
		uint8_t raw_id = neep_reader_u8(in);
		words[32 + i] = raw_id & 1   ? NEEP_XD_ID_READ_PIPE
				: raw_id & 2 ? NEEP_XD_ID_DMABUF
					     : NEEP_XD_ID_BLOB;
		words[4 + i] = raw_id & 1 ? NEEP_XD_READ_ID_BASE + (raw_id >> 1) : raw_id >> 1;
	}
	xd_submit(machine, words, sizeof(words));
}

static void run_step(struct xd_machine *machine, struct neep_reader *in) {
	uint8_t step = neep_reader_u8(in) % STEP_COUNT, value = neep_reader_u8(in);
	switch (step) {
	case STEP_RAW:
		raw(machine, in);
		break;
	case STEP_COMMAND:
		framed(machine, in, value % 16, 8 + neep_reader_u16(in) % 800u);
		break;
	case STEP_TRANSFER:
		transfer(machine, in);
		break;
	case STEP_FENCE:
		xd_fence(machine, value % 4);
		break;
	case STEP_BLOB:
		xd_blob(machine, value, (uint64_t)neep_reader_u8(in) << 10);
		break;
	case STEP_HOST_SEND:
		xd_host_send(machine, "wayland", 7, &value, value & 1);
		break;
	case STEP_HOST_READ:
		xd_host_read(machine, (size_t)value << 8);
		break;
	case STEP_HOST_CLOSE:
		neep_close_fd(&machine->host);
		break;
	case STEP_ATTACH:
		(void)rutabaga_context_attach_resource(machine->rutabaga, XD_CTX, value);
		break;
	case STEP_DETACH:
		(void)rutabaga_context_detach_resource(machine->rutabaga, XD_CTX, value);
		break;
	default:
		(void)rutabaga_resource_detach_backing(machine->rutabaga, value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct xd_machine machine;
	struct neep_reader in;
	neep_reader_init(&in, data, size);
	xd_machine_init(&machine, neep_reader_u8(&in) % 4 != 0);
	while (neep_reader_ok(&in) && neep_reader_left(&in) > 0) {
		run_step(&machine, &in);
	}
	xd_machine_finish(&machine);
	return 0;
}
