/* Packets in, calls and replies out: the runtime of the generated code. Room-internal.
 *
 * neep_vk_decode_packet() finds the opcode in the generated table and runs the generated function, which reads the parameters into
 * the arena (marshal.h), calls a handler or the driver, and writes the reply. Three things can be wrong with a command:
 *	- the packet cannot be right (short, an unknown struct, a count that cannot be): neep_vk_call_fail(), the context is lost;
 *	- it names what the driver must not see (a handle that is gone, a value of a newer Vulkan): it is refused: not executed, a
 *	  line in the log, and an error in the reply;
 *	- the driver lacks the command: the same.
 *
 * A decoder belongs to one stream and its thread. */
#ifndef NEEP_VULKAN_DECODER_H
#define NEEP_VULKAN_DECODER_H

#include "util/log.h"
#include "vulkan/arena.h"
#include "vulkan/call.h"
#include "vulkan/wire.h"

/* What is needed to find one of the command's objects by the driver's handle. */
struct neep_vk_found {
	struct neep_vk_found *next;
	struct neep_vk_object *object;
};

struct neep_vk_decoder {
	struct neep_vk_call call; // first: neep_vk_decoder_of()
	struct neep_reader in;
	struct neep_vk_arena arena;
	struct neep_vk_reply reply;
	struct neep_vk_table *table;
	struct neep_vk_object *command_buffer; // of the commands of a flush; else NULL
	struct neep_vk_found *found;           // the newest first; not kept for commands of a flush
	const uint8_t *packet;                 // of the command, for offsets in messages
	int32_t refusal;                       // a negative VkResult: the command is not executed
	int32_t first_refusal;                 // of each command
	uint32_t depth;                        // of pNext chains
	struct neep_log_limit log_limit;
	char reason[160]; // why the call failed
};

struct neep_vk_decoder_params {
	struct neep_vk_context *context;
	struct neep_vk_stream *stream;
	struct neep_vk_table *table;
	size_t arena_bytes; // also the cap of a reply
	int32_t refusal;    // 0, or a negative VkResult: nothing is executed
};

/* Everything in `params` is borrowed. */
void neep_vk_decoder_init(struct neep_vk_decoder *decoder, const struct neep_vk_decoder_params *params);
void neep_vk_decoder_finish(struct neep_vk_decoder *decoder);

enum {
	NEEP_VK_IS_RELAXED = 1 << 0, // waits: its handler calls neep_vk_call_end_turn() before
	NEEP_VK_PASSES = 1 << 2,     // goes before late submissions (recorder.h)
	NEEP_VK_IS_RECORDED =
		1 << 1, // only in the payload of vkQueueFlushCommandsGOOGLE; else it has a seqno
};

/* A row of the generated table, in which neep_vk_commands.h finds them. */
struct neep_vk_command {
	uint32_t opcode;
	uint32_t flags;
	const char *name; // "vkXyz"
	void (*run)(struct neep_vk_decoder *decoder);
};

/* Offsets in a packet of the main stream, all little-endian 32-bit words. Commands in a flush have no seqno. */
enum {
	NEEP_VK_PACKET_OPCODE = 0,
	NEEP_VK_PACKET_LEN = 4, // of the whole packet
	NEEP_VK_PACKET_SEQNO = 8,
	NEEP_VK_PACKET_HEADER = 12,
	NEEP_VK_COMMAND_HEADER = 8,
};

/* Executes one packet of the main stream: header and seqno included, `len` its whole length. The caller has the turn, and has set
 * call.has_turn; the command may give it up. Afterwards reply.buf holds the reply's reply.len bytes (0: none is due) until the next
 * packet. Objects are good only while the turn is held, so none is left behind in the decoder.
 * Returns 0, or -EPROTO or -ENOMEM with call.is_failed and `reason` set: the context is lost and there is no reply. */
int neep_vk_decode_packet(struct neep_vk_decoder *decoder, const uint8_t *packet, size_t len);

/* The payload of vkQueueFlushCommandsGOOGLE, of which the end may still be on its way. */
struct neep_vk_commands {
	const uint8_t *bytes;
	size_t len;  // of all
	size_t here; // of those that have come
	/* Waits until there are more and counts them in `here`; false: no more come, which is the end of them all and no fault. Not
	 * called when all are here. */
	bool (*more)(struct neep_vk_commands *commands);
};

/* Executes the commands on behalf of the handler of the flush. Wrong ones fail the decoder's call. Returns 0 or a negative errno. */
int neep_vk_decode_commands(struct neep_vk_decoder *decoder, struct neep_vk_object *command_buffer,
	struct neep_vk_commands *commands);

/* The decoder of a call that neep_vk_decode_packet() made. */
static inline struct neep_vk_decoder *neep_vk_decoder_of(struct neep_vk_call *call) {
	return neep_container_of(call, struct neep_vk_decoder, call);
}

/* The object behind one of the driver's handles that the parameters of this command hold (in structs, where a handler gets the
 * driver's): NULL when there is none. Good while the caller has the turn. */
struct neep_vk_object *neep_vk_call_find(
	struct neep_vk_call *call, enum neep_vk_type type, uint64_t driver_handle);

#endif
