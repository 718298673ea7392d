/* A 3D component for tests: contexts, host blobs on memfds, textures, fences that complete on command.
 *
 * It is driven in two ways that do the same: by the C functions below, and by command streams, so that a test that
 * only speaks to a device as a guest can drive it too.
 *
 * Capsets: NEEP_FAKE_CAPSET (6, "drm"), version 0..2, NEEP_FAKE_CAPSET_SIZE bytes: byte i of version v is
 * (uint8_t)(v * 16 + i). And NEEP_FAKE_SHORT_CAPSET (30), version 0, which announces NEEP_FAKE_SHORT_CAPSET_SIZE
 * bytes and writes NEEP_FAKE_SHORT_CAPSET_WRITTEN bytes of 0x5a.
 *
 * Fences complete at once, unless their ring is on hold: then they wait for a COMPLETE. When a context ends, the fake
 * signals the held fences of its even rings; those of the odd rings it signals only when it ends itself, as a component
 * may: the core has completed them by then.
 *
 * Command language: a stream is a sequence of commands, each little-endian 32-bit words: word 0 is the opcode of
 * enum neep_fake_op, then its operands; 64-bit operands are two words, low first. A stream that ends inside a
 * command, or an unknown opcode, is -EINVAL; commands before it have run.
 */
#ifndef NEEP_TESTS_FAKE_COMPONENT_H
#define NEEP_TESTS_FAKE_COMPONENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rutabaga/component.h"

#define NEEP_FAKE_CAPSET               6
#define NEEP_FAKE_CAPSET_VERSION       2
#define NEEP_FAKE_CAPSET_SIZE          64
#define NEEP_FAKE_SHORT_CAPSET         30
#define NEEP_FAKE_SHORT_CAPSET_SIZE    64
#define NEEP_FAKE_SHORT_CAPSET_WRITTEN 10

/* rutabaga_builder.capset_mask for both. */
#define NEEP_FAKE_CAPSET_MASK ((UINT64_C(1) << NEEP_FAKE_CAPSET) | (UINT64_C(1) << NEEP_FAKE_SHORT_CAPSET))

/* ring operand: all 64 rings of the context, or the global timeline (its ctx_id operand is ignored). */
#define NEEP_FAKE_ALL_RINGS UINT32_C(0xffffffff)
#define NEEP_FAKE_GLOBAL    UINT32_C(0xfffffffe)
/* ctx_id operand: the context that runs the stream. */
#define NEEP_FAKE_THIS_CTX UINT32_C(0)
/* count operand: all there are */
#define NEEP_FAKE_ALL UINT32_C(0xffffffff)

enum neep_fake_op {
	/* NOP */
	NEEP_FAKE_OP_NOP = 0,
	/* BLOB blob_id:64 size:64 map_info fill: makes a host object that one CREATE_BLOB of this context may take;
	 * its memory is filled with the byte `fill`; map_info 0 is not mappable. The memory has size bytes rounded
	 * up to 4096. */
	NEEP_FAKE_OP_BLOB = 1,
	/* HOLD ctx_id ring on: fences created on the ring from now on wait (1) or complete at once (0). Context 0
	 * with ring NEEP_FAKE_GLOBAL is the global timeline. */
	NEEP_FAKE_OP_HOLD = 2,
	/* COMPLETE ctx_id ring count: the oldest `count` held fences of the ring are done, later: when the core
	 * dispatches. */
	NEEP_FAKE_OP_COMPLETE = 3,
	/* COMPLETE_LAST ctx_id ring: the youngest held fence of the ring is done; the core must still tell it after
	 * the older ones. */
	NEEP_FAKE_OP_COMPLETE_LAST = 4,
	/* REFUSE what errno count: the next `count` calls of kind `what` (enum neep_fake_call) fail with -errno. */
	NEEP_FAKE_OP_REFUSE = 5,
	/* FAIL errno: this submit fails here with -errno. */
	NEEP_FAKE_OP_FAIL = 6,
	/* POKE resource_id offset:64 value: writes 4 bytes into a host blob that is attached to this context.
	 * -ENOENT when it is not attached, -EINVAL outside it. */
	NEEP_FAKE_OP_POKE = 7,
	/* CHECK resource_id offset:64 value: fails with -EIO unless the 4 bytes there equal value. */
	NEEP_FAKE_OP_CHECK = 8,
};

/* Which call REFUSE refuses. */
enum neep_fake_call {
	NEEP_FAKE_CALL_CREATE_CONTEXT,
	NEEP_FAKE_CALL_CREATE_3D,
	NEEP_FAKE_CALL_CREATE_BLOB,
	NEEP_FAKE_CALL_CREATE_FENCE,
	NEEP_FAKE_CALL_SUBMIT,
	NEEP_FAKE_CALL_ATTACH,
	NEEP_FAKE_CALL_TRANSFER,
	NEEP_FAKE_CALL_COUNT,
};

/* Give this to neep_core_init(). Textures: any create_3d with 1 <= width, height <= 4096 and depth 1, 4 bytes per
 * pixel, whatever the format; transfers address memory as 2D resources do, without QEMU's special form. */
extern const struct neep_component_impl neep_fake_impl;

/* An instance with the fake beside the built-in components and builder.capset_mask |= NEEP_FAKE_CAPSET_MASK. */
int neep_fake_rutabaga_init(const struct rutabaga_builder *builder, struct rutabaga **rutabaga);

struct neep_fake;

/* The fake component of an instance that was made with neep_fake_impl. */
struct neep_fake *neep_fake_of(struct rutabaga *rutabaga);

/* As the commands of the same names. Completions come when the core dispatches. Safe from any thread, except hold. */
void neep_fake_hold(struct neep_fake *fake, uint32_t ctx_id, uint32_t ring, bool on);
void neep_fake_complete(struct neep_fake *fake, uint32_t ctx_id, uint32_t ring, uint32_t count);
void neep_fake_complete_last(struct neep_fake *fake, uint32_t ctx_id, uint32_t ring);
void neep_fake_refuse(struct neep_fake *fake, enum neep_fake_call what, int error, uint32_t count);

/* What is alive now, and calls so far. Not while another thread works on the instance. */
struct neep_fake_counts {
	uint32_t contexts;
	uint32_t textures;
	uint32_t blobs; // taken by CREATE_BLOB
	uint32_t held_fences;
	uint32_t attached; // (context, resource) pairs
	uint64_t submits;
	uint64_t submitted_bytes;
};
struct neep_fake_counts neep_fake_get_counts(const struct neep_fake *fake);

/* A command stream under construction, for tests on either side. Never fails: a full buffer sets overflow. */
struct neep_fake_stream {
	uint32_t words[256];
	size_t count;
	bool overflow;
};

/* Appends one 32-bit word, or a 64-bit operand as two. */
void neep_fake_stream_word(struct neep_fake_stream *stream, uint32_t word);
void neep_fake_stream_u64(struct neep_fake_stream *stream, uint64_t value);

/* Appends a BLOB command. */
void neep_fake_stream_blob(
	struct neep_fake_stream *stream, uint64_t blob_id, uint64_t size, uint32_t map_info, uint8_t fill);

/* Appends an opcode and up to four 32-bit operands; `count` of them are used. */
void neep_fake_stream_op(
	struct neep_fake_stream *stream, enum neep_fake_op op, const uint32_t *operands, size_t count);

/* The stream's size in bytes. */
static inline size_t neep_fake_stream_size(const struct neep_fake_stream *stream) {
	return stream->count * sizeof(stream->words[0]);
}

#endif
