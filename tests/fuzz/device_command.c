#include "fuzz/device_command.h"

#include <linux/virtio_gpu.h>
#include <string.h>

#include "fuzz/device_machine.h"
#include "support/fake_component.h"
#include "util/macros.h"

#define ENTRIES_MAX 32
#define STREAM_MAX  64 // words

/* One letter for each 32-bit word of the body:
 *	i resource id     s scanout id      c coordinate or size     f format        e number of entries
 *	m blob_mem        p small number    w anything               0 zero
 *	O  the two words of a 64-bit offset or size
 * and for what follows it: E memory entries, T a command stream. */
struct shape {
	uint32_t type;
	const char *body;
};

static const struct shape control_shapes[] = {
	{ VIRTIO_GPU_CMD_GET_DISPLAY_INFO, "" },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, "ifcc" },
	{ VIRTIO_GPU_CMD_RESOURCE_UNREF, "i0" },
	{ VIRTIO_GPU_CMD_SET_SCANOUT, "ccccsi" },
	{ VIRTIO_GPU_CMD_RESOURCE_FLUSH, "cccci0" },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, "ccccOi0" },
	{ VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, "ieE" },
	{ VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, "i0" },
	{ VIRTIO_GPU_CMD_GET_CAPSET_INFO, "p0" },
	{ VIRTIO_GPU_CMD_GET_CAPSET, "pp" },
	{ VIRTIO_GPU_CMD_GET_EDID, "s0" },
	{ VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, "i0" },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, "impeOOE" },
	{ VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, "ccccsiccf0cccccccc" },
	{ VIRTIO_GPU_CMD_CTX_CREATE, "ppwwwwwwwwwwwwwwww" },
	{ VIRTIO_GPU_CMD_CTX_DESTROY, "" },
	{ VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, "i0" },
	{ VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, "i0" },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, "ipfpccpppp00" },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, "ccpccpOipcc" },
	{ VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, "ccpccpOipcc" },
	{ VIRTIO_GPU_CMD_SUBMIT_3D, "T" },
	{ VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, "i0O" },
	{ VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, "i0" },
	{ VIRTIO_GPU_CMD_UPDATE_CURSOR, "scc0icc0" },
};

static const struct shape cursor_shapes[] = {
	{ VIRTIO_GPU_CMD_UPDATE_CURSOR, "scc0icc0" },
	{ VIRTIO_GPU_CMD_MOVE_CURSOR, "scc0icc0" },
	{ VIRTIO_GPU_CMD_RESOURCE_UNREF, "i0" },
};

static const uint32_t special_words[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 16384, 16385,
	65536, 4096, 0x40000001, 0x10000001 };

static const uint64_t special_longs[] = { UINT64_MAX, UINT64_MAX - 3, UINT64_C(1) << 32, UINT64_C(1) << 63,
	MACHINE_MEMORY_SIZE, MACHINE_MEMORY_SIZE - 8, MACHINE_MEMORY_SIZE / 2 - 8, UINT64_MAX - 4095 };

struct writer {
	uint8_t *out;
	size_t len;
};

static void put(struct writer *writer, const void *bytes, size_t len) {
	neep_assert(writer->len + len <= MACHINE_COMMAND_MAX);
	memcpy(writer->out + writer->len, bytes, len);
	writer->len += len;
}

static void put_u32(struct writer *writer, uint32_t word) {
	put(writer, &word, sizeof(word));
}

static void put_u64(struct writer *writer, uint64_t value) {
	put(writer, &value, sizeof(value));
}

static uint32_t special_word(uint8_t choice) {
	return special_words[choice % NEEP_ARRAY_LEN(special_words)];
}

static uint32_t make_size(struct neep_reader *in) {
	uint8_t choice = neep_reader_u8(in);
	return choice < 208 ? choice : choice < 232 ? (choice - 200u) * 64 : special_word(choice);
}

static uint32_t make_format(uint8_t choice) {
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	return choice < 240 ? formats[choice % NEEP_ARRAY_LEN(formats)] : choice;
}

static uint64_t make_offset(struct neep_reader *in) {
	uint8_t choice = neep_reader_u8(in);
	if (choice < 96) {
		return choice * UINT64_C(4);
	}
	if (choice < 224) {
		return (choice - 96) * UINT64_C(4096);
	}
	return special_longs[choice % NEEP_ARRAY_LEN(special_longs)];
}

static uint32_t make_id(uint8_t choice) {
	return choice < 248 ? choice % 8 : special_word(choice);
}

static void put_field(struct writer *writer, char kind, struct neep_reader *in) {
	switch (kind) {
	case 'i':
		put_u32(writer, make_id(neep_reader_u8(in)));
		break;
	case 's':
		put_u32(writer, make_id(neep_reader_u8(in)) % 5);
		break;
	case 'c':
		put_u32(writer, make_size(in));
		break;
	case 'f':
		put_u32(writer, make_format(neep_reader_u8(in)));
		break;
	case 'm':
		put_u32(writer, neep_reader_u8(in) % 5);
		break;
	case 'p':
		put_u32(writer, neep_reader_u8(in) % 32);
		break;
	case 'w':
		put_u32(writer, neep_reader_u32(in));
		break;
	case 'O':
		put_u64(writer, make_offset(in));
		break;
	default:
		put_u32(writer, 0);
		break;
	}
}

static void put_entries(struct writer *writer, struct neep_reader *in, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		uint8_t choice = neep_reader_u8(in);
		struct virtio_gpu_mem_entry entry = {
			.addr = choice < 240 ? choice * UINT64_C(257) : make_offset(in),
			.length = choice % 8 == 7 ? neep_reader_u8(in) : (choice % 8 + 1u) * 1024,
		};
		put(writer, &entry, sizeof(entry));
	}
}

/* Words for the fake component: opcodes and operands are small, or the marks for "all". */
static void put_stream(struct writer *writer, struct neep_reader *in) {
	uint8_t words = neep_reader_u8(in) % STREAM_MAX;
	uint8_t claim = neep_reader_u8(in);
	put_u32(writer, claim < 240 ? words * 4u : special_word(claim));
	put_u32(writer, 0);
	for (uint8_t i = 0; i < words; i++) {
		uint8_t word = neep_reader_u8(in);
		uint32_t value = word < 128 ? word : word < 192 ? (word - 128u) * 1024 : special_word(word);
		put_u32(writer, value);
	}
}

static void put_body(struct writer *writer, const char *body, struct neep_reader *in) {
	uint32_t entries = 0;
	for (; *body != '\0'; body++) {
		if (*body == 'e') {
			uint8_t choice = neep_reader_u8(in);
			entries = choice % ENTRIES_MAX;
			put_u32(writer, choice < 248 ? entries : special_word(choice));
		} else if (*body == 'E') {
			put_entries(writer, in, entries);
		} else if (*body == 'T') {
			put_stream(writer, in);
		} else {
			put_field(writer, *body, in);
		}
	}
}

static void put_header(struct writer *writer, uint32_t type, struct neep_reader *in) {
	uint8_t flags = neep_reader_u8(in);
	uint8_t fence = neep_reader_u8(in);
	struct virtio_gpu_ctrl_hdr hdr = {
		.type = type,
		/* A third is fenced, and most of those on a ring. */
		.flags = flags < 168   ? 0
			 : flags < 192 ? 1
			 : flags < 252 ? 3
				       : 0xffffffff,
		.fence_id = fence,
		.ctx_id = (flags & 7) == 7 ? 0xffffffff : (flags & 3u),
		.ring_idx = (uint8_t)(fence < 250 ? fence & 3 : fence),
	};
	put(writer, &hdr, sizeof(hdr));
}

/* Now and then a word that means nothing, or an end that comes too early. */
static void spoil(struct writer *writer, struct neep_reader *in) {
	uint8_t choice = neep_reader_u8(in);
	if (choice >= 240) {
		writer->len = neep_reader_u8(in) % (writer->len + 1);
	} else if (choice >= 224 && writer->len >= 4) {
		uint32_t word = neep_reader_u32(in);
		memcpy(writer->out + neep_reader_u8(in) % (writer->len / 4) * 4, &word, sizeof(word));
	}
}

static size_t make_command(
	struct neep_reader *in, uint8_t *out, const struct shape *shapes, size_t shape_count) {
	struct writer writer = { .out = out };
	uint8_t choice = neep_reader_u8(in);
	const struct shape *shape = &shapes[choice % shape_count];
	put_header(&writer, choice < 250 ? shape->type : neep_reader_u32(in), in);
	put_body(&writer, shape->body, in);
	spoil(&writer, in);
	return writer.len;
}

size_t fuzz_control_command(struct neep_reader *in, uint8_t *out) {
	return make_command(in, out, control_shapes, NEEP_ARRAY_LEN(control_shapes));
}

size_t fuzz_cursor_command(struct neep_reader *in, uint8_t *out) {
	return make_command(in, out, cursor_shapes, NEEP_ARRAY_LEN(cursor_shapes));
}

size_t fuzz_raw_command(struct neep_reader *in, uint8_t *out) {
	size_t len = neep_reader_u16(in) % (MACHINE_COMMAND_MAX + 1);
	size_t left = neep_reader_left(in);
	len = len < left ? len : left;
	neep_reader_copy(in, out, len);
	return len;
}
