/* The life of a packet: find its command, run it, keep its reply. */
#include "vulkan/decoder.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "neep_vk_commands.h"
#include "util/checked.h"
#include "vulkan/marshal.h"

#define TOPIC "vulkan"
/* What was written by a thread on another processor is asked for so far before it is read: some sixty commands. A quarter of that was
 * too near on a machine of 16 processors. */
#define AHEAD_BYTES 2048
/* A reply buffer larger than this is freed after its packet. */
#define KEEP_BYTES  (4u << 20)
#define FIRST_BYTES 4096u

void neep_vk_reply_init(struct neep_vk_reply *reply, size_t limit) {
	*reply = (struct neep_vk_reply){ .limit = limit };
}

void neep_vk_reply_finish(struct neep_vk_reply *reply) {
	free(reply->buf);
	*reply = (struct neep_vk_reply){ .limit = reply->limit };
}

void neep_vk_reply_reset(struct neep_vk_reply *reply) {
	if (reply->size > KEEP_BYTES) {
		neep_vk_reply_finish(reply);
	}
	reply->len = 0;
	reply->failed = false;
	reply->is_blank = false;
}

bool neep_vk_reply_grow(struct neep_vk_reply *reply, size_t len) {
	size_t wanted;
	if (reply->failed || !neep_add(reply->len, len, &wanted) || wanted > reply->limit) {
		reply->failed = true;
		return false;
	}
	size_t size = reply->size < FIRST_BYTES ? FIRST_BYTES : reply->size;
	while (size < wanted) {
		size = size > reply->limit / 2 ? reply->limit : size * 2;
	}
	uint8_t *buf = realloc(reply->buf, size);
	if (buf == NULL) {
		reply->failed = true;
		return false;
	}
	reply->buf = buf;
	reply->size = size;
	return true;
}

void neep_vk_decoder_init(struct neep_vk_decoder *decoder, const struct neep_vk_decoder_params *params) {
	*decoder = (struct neep_vk_decoder){
		.call = { .context = params->context, .stream = params->stream },
		.table = params->table,
		.first_refusal = params->refusal,
	};
	neep_vk_arena_init(&decoder->arena, params->arena_bytes);
	neep_vk_reply_init(&decoder->reply, params->arena_bytes);
}

void neep_vk_decoder_finish(struct neep_vk_decoder *decoder) {
	neep_vk_arena_finish(&decoder->arena);
	neep_vk_reply_finish(&decoder->reply);
}

struct neep_vk_table *neep_vk_call_table(const struct neep_vk_call *call) {
	return ((const struct neep_vk_decoder *)(const void *)call)->table;
}

void neep_vk_call_fail(struct neep_vk_call *call, const char *format, ...) {
	struct neep_vk_decoder *d = neep_vk_decoder_of(call);
	d->in.failed = true;
	if (call->is_failed) {
		return;
	}
	call->is_failed = true;
	char what[96];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(d->reason, sizeof(d->reason), "%s at byte %td: %s",
		call->command != NULL ? call->command : "packet",
		d->packet == NULL ? 0 : d->in.cur - d->packet, what);
}

void *neep_vk_call_alloc(struct neep_vk_call *call, size_t count, size_t size) {
	size_t bytes;
	struct neep_vk_decoder *d = neep_vk_decoder_of(call);
	void *ptr = neep_mul(count, size, &bytes) ? neep_vk_arena_alloc(&d->arena, bytes) : NULL;
	if (ptr == NULL) {
		neep_vk_call_fail(call, "its decoded form is too large");
		return NULL;
	}
	return memset(ptr, 0, bytes);
}

int32_t neep_vk_call_add(
	struct neep_vk_call *call, const struct neep_vk_object_params *params, uint64_t *id) {
	struct neep_vk_object *object = neep_vk_object_create(neep_vk_call_table(call), params);
	if (object == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*id = object->id;
	return VK_SUCCESS;
}

struct neep_vk_object *neep_vk_call_find(
	struct neep_vk_call *call, enum neep_vk_type type, uint64_t driver_handle) {
	for (struct neep_vk_found *f = neep_vk_decoder_of(call)->found; f != NULL; f = f->next) {
		if (f->object->handle == driver_handle && f->object->type == type) {
			return f->object;
		}
	}
	return NULL;
}

void neep_vk_refuse(struct neep_vk_decoder *d, int32_t result, const char *format, ...) {
	if (d->refusal != 0) {
		return;
	}
	d->refusal = result;
	char what[128];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	/* A program that asks for what is newer than this build does nothing wrong. */
	static const char query[] = "vkGetPhysicalDevice";
	if (d->call.command != NULL && strncmp(d->call.command, query, sizeof(query) - 1) == 0) {
		neep_log(TOPIC, NEEP_LOG_DEBUG, "%s: not executed: %s", d->call.command, what);
	} else {
		neep_log_guest(&d->log_limit, TOPIC, "%s: not executed: %s", d->call.command, what);
	}
}

neep_vk_fn neep_vk_missing(struct neep_vk_decoder *d) {
	neep_vk_refuse(d, VK_ERROR_EXTENSION_NOT_PRESENT, "the driver does not have it");
	return NULL;
}

bool neep_vk_is_lost(struct neep_vk_decoder *d) {
	if (d->refusal == 0 && atomic_load_explicit(&d->call.device->is_lost, memory_order_relaxed)) {
		d->refusal = VK_ERROR_DEVICE_LOST;
	}
	return d->refusal == VK_ERROR_DEVICE_LOST;
}

int32_t neep_vk_note_lost(struct neep_vk_decoder *d, int32_t result) {
	if (result == VK_ERROR_DEVICE_LOST && d->call.device != NULL) {
		atomic_store_explicit(&d->call.device->is_lost, true, memory_order_relaxed);
	}
	return result;
}

int32_t neep_vk_add_new(struct neep_vk_decoder *d, const struct neep_vk_new *what, uint64_t count,
	const void *handles, uint64_t *ids) {
	int32_t result = VK_SUCCESS;
	for (uint64_t i = 0; i < count; i++) {
		struct neep_vk_object_params params = {
			.type = what->type,
			.parent = what->parent,
			.release = what->release,
		};
		memcpy(&params.handle, (const char *)handles + i * sizeof(params.handle),
			sizeof(params.handle));
		if (params.handle == 0) {
			continue;
		}
		int32_t added = neep_vk_call_add(&d->call, &params, &ids[i]);
		if (added < 0) {
			result = added;
		}
	}
	return result;
}

/* Runs one command whose parameters are `len` bytes. */
static void run_command(
	struct neep_vk_decoder *d, const struct neep_vk_command *command, const uint8_t *params, size_t len) {
	d->call.command = command->name;
	d->refusal = d->first_refusal;
	neep_reader_init(&d->in, params, len);
	command->run(d);
	if (!neep_reader_ok(&d->in) && !d->call.is_failed) {
		neep_vk_call_fail(&d->call, "it is too short");
	}
}

static const struct neep_vk_command *find_command(
	struct neep_vk_decoder *d, uint32_t opcode, uint32_t recorded) {
	const struct neep_vk_command *command = neep_vk_command_find(opcode);
	if (command != NULL && (command->flags & NEEP_VK_IS_RECORDED) == recorded) {
		return command;
	}
	/* Wrong at its very start, before it has a name. */
	neep_reader_init(&d->in, d->packet, 0);
	d->call.command = NULL;
	if (command == NULL) {
		neep_vk_call_fail(&d->call, "opcode %u is not known", opcode);
	} else {
		neep_vk_call_fail(&d->call, "%s does not belong here", command->name);
	}
	return NULL;
}

static void start_packet(struct neep_vk_decoder *d, const uint8_t *packet) {
	neep_vk_arena_reset(&d->arena);
	neep_vk_reply_reset(&d->reply);
	d->call.device = NULL;
	d->call.command = NULL;
	d->command_buffer = NULL;
	d->found = NULL;
	d->depth = 0;
	d->packet = packet;
	neep_reader_init(&d->in, packet, 0);
}

int neep_vk_decode_packet(struct neep_vk_decoder *d, const uint8_t *packet, size_t len) {
	start_packet(d, packet);
	if (d->call.is_failed) {
		return -EPROTO;
	}
	if (len < NEEP_VK_PACKET_HEADER) {
		neep_vk_call_fail(&d->call, "a packet of %zu bytes", len);
		return -EPROTO;
	}
	const struct neep_vk_command *command = find_command(d, neep_vk_load32(packet), 0);
	if (command == NULL) {
		return -EPROTO;
	}
	run_command(d, command, packet + NEEP_VK_PACKET_HEADER, len - NEEP_VK_PACKET_HEADER);
	d->found = NULL;
	if (d->call.is_failed) {
		return -EPROTO;
	}
	if (d->reply.failed) {
		neep_vk_call_fail(&d->call, "no memory for its reply");
		return -ENOMEM;
	}
	return 0;
}

static bool wait_for(struct neep_vk_commands *commands, size_t len) {
	while (commands->here < len) {
		if (!commands->more(commands)) {
			return false;
		}
	}
	return true;
}

/* Waits until all of the command at `p` is here. False: it is wrong, or does not come, or there is none. */
static bool bring(struct neep_vk_decoder *d, struct neep_vk_commands *commands, const uint8_t *p) {
	size_t done = (size_t)(p - commands->bytes);
	size_t left = commands->len - done;
	if (left == 0 ||
		(left >= NEEP_VK_COMMAND_HEADER && !wait_for(commands, done + NEEP_VK_COMMAND_HEADER))) {
		return false;
	}
	uint32_t len = left < NEEP_VK_COMMAND_HEADER ? 0 : neep_vk_load32(p + NEEP_VK_PACKET_LEN);
	if (len < NEEP_VK_COMMAND_HEADER || len > left) {
		d->packet = p;
		neep_vk_call_fail(&d->call, "a command of %u bytes with %zu left", len, left);
		return false;
	}
	return wait_for(commands, done + len);
}

/* One after the other; stops at the first that is wrong. */
static void run_recorded(struct neep_vk_decoder *d, struct neep_vk_commands *commands) {
	struct neep_vk_arena_mark mark = neep_vk_arena_mark(&d->arena);
	const uint8_t *p = commands->bytes;
	while (!d->call.is_failed) {
		size_t here = commands->here - (size_t)(p - commands->bytes);
		uint32_t len = here < NEEP_VK_COMMAND_HEADER ? 0 : neep_vk_load32(p + NEEP_VK_PACKET_LEN);
		if (len < NEEP_VK_COMMAND_HEADER || len > here) {
			if (!bring(d, commands, p)) {
				return;
			}
			len = neep_vk_load32(p + NEEP_VK_PACKET_LEN);
		}
		__builtin_prefetch(p + AHEAD_BYTES);
		d->packet = p;
		const struct neep_vk_command *command =
			find_command(d, neep_vk_load32(p), NEEP_VK_IS_RECORDED);
		if (command == NULL) {
			return;
		}
		run_command(d, command, p + NEEP_VK_COMMAND_HEADER, len - NEEP_VK_COMMAND_HEADER);
		neep_vk_arena_rewind(&d->arena, mark);
		p += len;
	}
}

int neep_vk_decode_commands(
	struct neep_vk_decoder *d, struct neep_vk_object *command_buffer, struct neep_vk_commands *commands) {
	struct neep_reader in = d->in;
	const uint8_t *packet = d->packet;
	const char *name = d->call.command;
	int32_t refusal = d->refusal;
	d->command_buffer = command_buffer;
	d->call.device = command_buffer->device;
	run_recorded(d, commands);
	d->command_buffer = NULL;
	d->packet = packet;
	d->call.command = name;
	d->refusal = refusal;
	in.failed |= d->call.is_failed;
	d->in = in;
	/* A recorded command has no reply, whatever it is. */
	d->reply.len = 0;
	return d->call.is_failed ? -EPROTO : 0;
}
