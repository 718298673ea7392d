/* One ring's bytes: cut into packets, each executed when it is its turn. A packet is read whole before its turn is waited for, as the
 * guest may be unable to go on in other streams until this one has room again. Only a large flush whose turn it is already begins
 * before: its commands are read straight into the recorder's hands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neep_vk_commands.h"
#include "vulkan/command_buffer.h"
#include "vulkan/context.h"
#include "vulkan/decoder.h"
#include "vulkan/recorder.h"

/* Each stream starts with a word of flags, of which none means anything here. Guests send 0, which is no packet's first word. */
#define FLAGS_BYTES 4
#define FIRST_BYTES (64u << 10)
/* What an idle stream may keep. */
#define KEEP_BYTES (1u << 20)
/* A flush of at most this begins before it is here, and goes to the recorder in pieces of that. */
#define FLUSH_BYTES_MAX (32u << 20)
#define PIECE_BYTES     ((size_t)32 << 10)

struct neep_vk_stream {
	struct neep_vk_context *context;
	struct neep_vk_transport *transport;
	struct neep_vk_decoder decoder;
	uint8_t *buf;                      // owned; NULL: none
	size_t size;                       // of buf
	size_t begin;                      // of what was read and not yet executed
	size_t end;                        // of what was read
	uint64_t offset;                   // of `begin` in the stream
	uint32_t spins;                    // of the sequence
	struct neep_vk_recorder *recorder; // owned; NULL: none yet
};

static uint32_t word(const struct neep_vk_stream *stream, size_t offset) {
	uint32_t value;
	memcpy(&value, stream->buf + stream->begin + offset, sizeof(value));
	return value;
}

/* Loses the context. */
static int fail(struct neep_vk_stream *stream, int error, const char *reason) {
	char text[256];
	snprintf(text, sizeof(text), "packet at offset %llu: %s", (unsigned long long)stream->offset, reason);
	neep_vk_context_lose(stream->context, text);
	return error;
}

/* Makes room behind `end`: as much as a packet of `want` bytes may need, or twice what there was. Bytes that were promised but did
 * not come cost nothing. */
static int make_room(struct neep_vk_stream *stream, size_t want) {
	size_t len = stream->end - stream->begin;
	if (stream->begin > 0) {
		memmove(stream->buf, stream->buf + stream->begin, len);
		stream->begin = 0;
		stream->end = len;
	}
	if (stream->size > len) {
		return 0;
	}
	size_t size = stream->size == 0 ? FIRST_BYTES : stream->size < want / 2 ? stream->size * 2 : want;
	uint8_t *buf = realloc(stream->buf, size);
	if (buf == NULL) {
		return fail(stream, -ENOMEM, "no memory for it");
	}
	stream->buf = buf;
	stream->size = size;
	return 0;
}

/* At least one byte and at most `len`; returns how many, or a negative errno. */
static int64_t read_some(struct neep_vk_stream *stream, uint8_t *buf, size_t len) {
	int64_t got = stream->transport->impl->read(stream->transport, buf, len);
	if (got == -ECANCELED) {
		return -ECANCELED;
	}
	if (got <= 0 || (uint64_t)got > len) {
		return fail(stream, got < 0 ? (int)got : -EPROTO, "the ring is broken");
	}
	return got;
}

/* Reads until `want` bytes lie at `begin`. */
static int fill(struct neep_vk_stream *stream, size_t want) {
	while (stream->end - stream->begin < want) {
		int ret = stream->end == stream->size ? make_room(stream, want) : 0;
		if (ret < 0) {
			return ret;
		}
		int64_t got = read_some(stream, stream->buf + stream->end, stream->size - stream->end);
		if (got < 0) {
			return (int)got;
		}
		stream->end += (size_t)got;
	}
	return 0;
}

static void consume(struct neep_vk_stream *stream, size_t len) {
	stream->begin += len;
	stream->offset += len;
	if (stream->begin < stream->end) {
		return;
	}
	stream->begin = 0;
	stream->end = 0;
	if (stream->size > KEEP_BYTES) {
		free(stream->buf);
		stream->buf = NULL;
		stream->size = 0;
	}
}

void neep_vk_call_end_turn(struct neep_vk_call *call) {
	if (call->has_turn) {
		call->has_turn = false;
		neep_vk_sequence_end(&call->context->sequence);
	}
}

struct neep_vk_recorder *neep_vk_stream_recorder(struct neep_vk_stream *stream, bool is_wanted) {
	if (stream->recorder == NULL && is_wanted) {
		stream->recorder = neep_vk_recorder_create(stream->context);
	}
	return stream->recorder;
}

/* Executes the packet of `len` bytes, with the turn. */
static int execute(struct neep_vk_stream *stream, size_t len) {
	struct neep_vk_decoder *decoder = &stream->decoder;
	if ((neep_vk_command_find(word(stream, NEEP_VK_PACKET_OPCODE))->flags & NEEP_VK_PASSES) == 0) {
		neep_vk_call_settle(&decoder->call);
	}
	decoder->call.has_turn = !stream->context->refuses_all;
	int ret = neep_vk_decode_packet(decoder, stream->buf + stream->begin, len);
	if (ret < 0) {
		return fail(stream, ret, decoder->reason);
	}
	if (decoder->reply.len > 0) {
		ret = stream->transport->impl->write(
			stream->transport, decoder->reply.buf, decoder->reply.len);
	}
	neep_vk_call_end_turn(&decoder->call);
	if (ret < 0 && ret != -ECANCELED) {
		return fail(stream, ret, "its reply cannot be written");
	}
	return ret;
}

/* The last consumer of the ring may have died behind the head of a flush: what is recorded, and has no sequence number, comes first
 * then. */
static bool is_left_over(const struct neep_vk_stream *stream) {
	if (!stream->context->refuses_all) {
		return false;
	}
	const struct neep_vk_command *command = neep_vk_command_find(word(stream, NEEP_VK_PACKET_OPCODE));
	return command != NULL && (command->flags & NEEP_VK_IS_RECORDED) != 0;
}

/* Reads the beginning of a packet and says how long it is. */
static int read_head(struct neep_vk_stream *stream, uint32_t *len) {
	int ret = fill(stream, NEEP_VK_COMMAND_HEADER);
	if (ret < 0) {
		return ret;
	}
	*len = word(stream, NEEP_VK_PACKET_LEN);
	uint32_t least = is_left_over(stream) ? NEEP_VK_COMMAND_HEADER : NEEP_VK_PACKET_HEADER;
	if (*len < least || *len > stream->context->limits.packet_bytes) {
		char reason[64];
		snprintf(reason, sizeof(reason), "opcode %u with a length of %u bytes",
			word(stream, NEEP_VK_PACKET_OPCODE), *len);
		return fail(stream, -EPROTO, reason);
	}
	return 0;
}

/* Commands that are recorded have no sequence number, so there is no turn to wait for. */
static int check_opcode(struct neep_vk_stream *stream) {
	uint32_t opcode = word(stream, NEEP_VK_PACKET_OPCODE);
	const struct neep_vk_command *command = neep_vk_command_find(opcode);
	char reason[96];
	if (command == NULL) {
		snprintf(reason, sizeof(reason), "opcode %u is not known", opcode);
		return fail(stream, -EPROTO, reason);
	}
	if ((command->flags & NEEP_VK_IS_RECORDED) != 0) {
		snprintf(reason, sizeof(reason), "%s outside of a flush", command->name);
		return fail(stream, -EPROTO, reason);
	}
	return 0;
}

/* What is not executed has no order. */
static int wait_for_turn(struct neep_vk_stream *stream) {
	if (stream->context->refuses_all) {
		return 0;
	}
	int ret = neep_vk_sequence_begin(
		&stream->context->sequence, word(stream, NEEP_VK_PACKET_SEQNO), &stream->spins);
	return ret == -EPROTO ? fail(stream, ret, "its sequence number was used before") : ret;
}

/* Whether the packet, of which the length and an opcode that was checked are here, is a flush for the recorder. */
static bool is_large_flush(const struct neep_vk_stream *stream, uint32_t len) {
	const struct neep_vk_context *context = stream->context;
	return len >= NEEP_VK_FLUSH_HEADER && len - NEEP_VK_FLUSH_HEADER >= context->limits.late_bytes &&
	       len <= FLUSH_BYTES_MAX && !context->refuses_all &&
	       neep_vk_command_find(word(stream, NEEP_VK_PACKET_OPCODE))->run ==
		       neep_vk_run_vkQueueFlushCommandsGOOGLE;
}

/* Copies what has been read of the next `len` bytes to `place`, or reads some. Returns how many, or a negative errno. */
static int64_t move_some(struct neep_vk_stream *stream, uint8_t *place, size_t len) {
	size_t here = stream->end - stream->begin;
	if (here == 0) {
		int64_t got = read_some(stream, place, len);
		stream->offset += got > 0 ? (uint64_t)got : 0;
		return got;
	}
	len = len < here ? len : here;
	memcpy(place, stream->buf + stream->begin, len);
	consume(stream, len);
	return (int64_t)len;
}

/* The next `left` bytes of the stream are the recorder's. */
static int feed_recorder(struct neep_vk_stream *stream, size_t left) {
	while (left > 0) {
		uint8_t *place = neep_vk_recorder_place(stream->recorder);
		int64_t moved = move_some(stream, place, left < PIECE_BYTES ? left : PIECE_BYTES);
		if (moved < 0) {
			neep_vk_recorder_cut(stream->recorder);
			return (int)moved;
		}
		neep_vk_recorder_came(stream->recorder, (size_t)moved);
		left -= (size_t)moved;
	}
	return 0;
}

/* With the turn. False when it is a packet like others: something is wrong with it, or there is no memory. */
static bool begin_recording(struct neep_vk_stream *stream, uint32_t len) {
	struct neep_vk_object *target =
		neep_vk_flush_target(stream->context->table, stream->buf + stream->begin, len);
	struct neep_vk_recorder *recorder = target != NULL ? neep_vk_stream_recorder(stream, true) : NULL;
	return recorder != NULL && neep_vk_recorder_begin(recorder, word(stream, NEEP_VK_PACKET_SEQNO),
					   target, len - NEEP_VK_FLUSH_HEADER);
}

/* With the turn, which it ends. */
static int finish_packet(struct neep_vk_stream *stream, uint32_t len) {
	int ret = execute(stream, len);
	consume(stream, len);
	return ret;
}

/* Reads all of the packet first. */
static int serve_whole(struct neep_vk_stream *stream, uint32_t len) {
	int ret = fill(stream, len);
	if (ret == 0) {
		ret = wait_for_turn(stream);
	}
	return ret < 0 ? ret : finish_packet(stream, len);
}

/* Begins before all is here, unless it is not its turn: then nobody needs the commands yet. */
static int serve_flush(struct neep_vk_stream *stream, uint32_t len) {
	struct neep_vk_sequence *sequence = &stream->context->sequence;
	int ret = fill(stream, NEEP_VK_FLUSH_HEADER);
	if (ret < 0) {
		return ret;
	}
	if (!neep_vk_sequence_is_next(sequence, word(stream, NEEP_VK_PACKET_SEQNO))) {
		return serve_whole(stream, len);
	}
	ret = wait_for_turn(stream);
	if (ret < 0) {
		return ret;
	}
	if (!begin_recording(stream, len)) {
		ret = fill(stream, len);
		return ret < 0 ? ret : finish_packet(stream, len);
	}
	neep_vk_sequence_end(sequence);
	consume(stream, NEEP_VK_FLUSH_HEADER);
	return feed_recorder(stream, len - NEEP_VK_FLUSH_HEADER);
}

static int serve_packet(struct neep_vk_stream *stream) {
	uint32_t len;
	int ret = read_head(stream, &len);
	if (ret == 0 && is_left_over(stream)) {
		ret = fill(stream, len);
		if (ret == 0) {
			consume(stream, len);
		}
		return ret;
	}
	if (ret == 0) {
		ret = check_opcode(stream);
	}
	if (ret < 0) {
		return ret;
	}
	return is_large_flush(stream, len) ? serve_flush(stream, len) : serve_whole(stream, len);
}

static int skip_flags(struct neep_vk_stream *stream) {
	int ret = fill(stream, FLAGS_BYTES);
	if (ret == 0 && (!stream->context->refuses_all || word(stream, 0) == 0)) {
		consume(stream, FLAGS_BYTES);
	}
	return ret;
}

int neep_vk_serve(struct neep_vk_context *context, struct neep_vk_transport *transport) {
	struct neep_vk_stream *stream = calloc(1, sizeof(*stream));
	if (stream == NULL) {
		return -ENOMEM;
	}
	stream->context = context;
	stream->transport = transport;
	struct neep_vk_decoder_params params = {
		.context = context,
		.stream = stream,
		.table = context->table,
		.arena_bytes = context->limits.arena_bytes,
		.refusal = context->refuses_all ? VK_ERROR_DEVICE_LOST : 0,
	};
	neep_vk_decoder_init(&stream->decoder, &params);
	int ret = skip_flags(stream);
	while (ret == 0) {
		ret = serve_packet(stream);
	}
	neep_vk_recorder_destroy(stream->recorder);
	neep_vk_decoder_finish(&stream->decoder);
	free(stream->buf);
	free(stream);
	if (ret != -ECANCELED) {
		return ret;
	}
	return atomic_load(&context->is_lost) ? -EPIPE : 0;
}
