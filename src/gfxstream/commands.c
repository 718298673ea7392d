/* What guests put into SUBMIT_3D: one command of little-endian words, as Mesa's gfxstream guest writes them. */
#include <errno.h>
#include <string.h>

#include "gfxstream/gfxstream_internal.h"
#include "util/reader.h"

enum opcode {
	OP_CONTEXT_CREATE = 0x1001,
	OP_CONTEXT_PING = 0x1002,
	OP_CREATE_EXPORT_SYNC_VK = 0xa000,
	OP_RESOURCE_CREATE_3D = 0xa003,
	OP_PLACEHOLDER_COMMAND_VK = 0xf002,
};

/* Gallium's pipe_texture_target: all that guests export. */
enum target {
	TARGET_BUFFER = 0,
	TARGET_2D = 2,
};

static int run_context_create(struct neep_gfx_context *context, struct neep_reader *in) {
	return neep_gfx_ring_start(context, neep_reader_u32(in));
}

static int run_ping(struct neep_gfx_context *context, struct neep_reader *in) {
	neep_gfx_ring_ping(context, neep_reader_u32(in));
	return 0;
}

static int run_sync(struct neep_gfx_context *context, struct neep_reader *in) {
	uint64_t device = neep_reader_u64(in);
	uint64_t fence = neep_reader_u64(in);
	return neep_gfx_sync_start(context, device, fence);
}

/* format, bind, width, height, depth, array size, levels, samples, flags and padding: the memory alone is ours. */
static int run_create_3d(struct neep_gfx_context *context, struct neep_reader *in) {
	uint32_t target = neep_reader_u32(in);
	(void)neep_reader_take(in, 10 * sizeof(uint32_t));
	uint64_t blob_id = neep_reader_u64(in);
	if (target != TARGET_BUFFER && target != TARGET_2D) {
		return -EINVAL;
	}
	return neep_gfx_announce(context, blob_id);
}

/* What its fence marks was done when the commands before it were. */
static int run_placeholder(struct neep_gfx_context *context, struct neep_reader *in) {
	(void)context;
	(void)in;
	return 0;
}

static const struct command {
	enum opcode opcode;
	size_t size;     // bytes, with the opcode
	bool needs_life; // a lost context refuses it
	int (*run)(struct neep_gfx_context *context, struct neep_reader *in);
} commands[] = {
	{ OP_CONTEXT_PING, 8, false, run_ping },
	{ OP_CONTEXT_CREATE, 8, false, run_context_create },
	{ OP_CREATE_EXPORT_SYNC_VK, 20, true, run_sync },
	{ OP_RESOURCE_CREATE_3D, 56, true, run_create_3d },
	{ OP_PLACEHOLDER_COMMAND_VK, 12, true, run_placeholder },
};

/* The largest command. */
#define COMMAND_MAX 56

int neep_gfx_submit(struct neep_context *base, const uint8_t *bytes, size_t size) {
	struct neep_gfx_context *context = neep_gfx_context_from_base(base);
	/* Read once: the caller's memory may be the guest's. */
	uint8_t copy[COMMAND_MAX];
	size_t len = size < sizeof(copy) ? size : sizeof(copy);
	memcpy(copy, bytes, len);
	struct neep_reader in;
	neep_reader_init(&in, copy, len);
	uint32_t opcode = neep_reader_u32(&in);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		if (commands[i].opcode != opcode) {
			continue;
		}
		if (size < commands[i].size) {
			return -EINVAL;
		}
		return commands[i].needs_life && context->is_lost ? -EIO : commands[i].run(context, &in);
	}
	return -EINVAL;
}
