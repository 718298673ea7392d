#include "wayland/wire.h"

#include <errno.h>
#include <string.h>

#include "util/checked.h"

#define WORD 4

static uint32_t word_at(const uint8_t *data, uint32_t at) {
	uint32_t word;
	memcpy(&word, data + at, WORD);
	return word;
}

/* Content is padded to whole words; `size` is at most that of a message. */
static uint32_t padded(uint32_t size) {
	return (size + WORD - 1) / WORD * WORD;
}

int neep_wl_message_size(const uint8_t *data, size_t len, uint32_t *object_id, uint32_t *opcode) {
	if (len < NEEP_WL_HEADER_SIZE) {
		return 0;
	}
	uint32_t word = word_at(data, WORD);
	uint32_t size = word >> 16;
	if (size < NEEP_WL_HEADER_SIZE || size % WORD != 0) {
		return -EPROTO;
	}
	*object_id = word_at(data, 0);
	*opcode = word & 0xffff;
	return (int)size;
}

/* ---- signatures: an optional version, then a letter for each argument, with '?' before those that may be null ---- */

static const char *skip_since(const char *signature) {
	return signature + strspn(signature, "0123456789");
}

uint32_t neep_wl_message_since(const struct wl_message *type) {
	uint32_t since = 0;
	for (const char *at = type->signature; *at >= '0' && *at <= '9'; at++) {
		since = since * 10 + (uint32_t)(*at - '0');
	}
	return since == 0 ? 1 : since;
}

/* ---- parsing ---- */

static bool take_word(struct neep_wl_message *message, uint32_t *at, struct neep_wl_arg *arg) {
	if (!neep_range_within(*at, WORD, message->size)) {
		return false;
	}
	arg->at = *at;
	arg->value = word_at(message->data, *at);
	*at += WORD;
	return true;
}

static bool take_id(struct neep_wl_message *message, uint32_t *at, struct neep_wl_arg *arg) {
	return take_word(message, at, arg) && (arg->value != 0 || arg->is_nullable);
}

static bool take_content(struct neep_wl_message *message, uint32_t *at, struct neep_wl_arg *arg) {
	if (!take_word(message, at, arg) || !neep_range_within(*at, arg->value, message->size)) {
		return false;
	}
	/* The message is whole words, so what fits does so with its padding. */
	*at += padded(arg->value);
	return true;
}

static bool take_string(struct neep_wl_message *message, uint32_t *at, struct neep_wl_arg *arg) {
	if (!take_content(message, at, arg)) {
		return false;
	}
	if (arg->value == 0) {
		return arg->is_nullable;
	}
	const uint8_t *text = message->data + arg->at + WORD;
	return memchr(text, '\0', arg->value) == text + arg->value - 1;
}

static bool take_fd(struct neep_wl_message *message, struct neep_wl_arg *arg) {
	arg->value = (uint32_t)message->fd_count++;
	return true;
}

static bool take_arg(struct neep_wl_message *message, uint32_t *at, struct neep_wl_arg *arg) {
	switch (arg->type) {
	case 'i':
	case 'u':
	case 'f':
		return take_word(message, at, arg);
	case 'o':
	case 'n':
		return take_id(message, at, arg);
	case 's':
		return take_string(message, at, arg);
	case 'a':
		return take_content(message, at, arg);
	case 'h':
		return take_fd(message, arg);
	default:
		return false;
	}
}

int neep_wl_message_parse(
	struct neep_wl_message *message, const struct wl_message *type, uint8_t *data, uint32_t size) {
	uint32_t object_id = 0, opcode = 0;
	if (size == 0 || neep_wl_message_size(data, size, &object_id, &opcode) != (int)size) {
		return -EPROTO;
	}
	*message = (struct neep_wl_message){
		.data = data, .size = size, .object_id = object_id, .opcode = opcode, .type = type
	};
	uint32_t at = NEEP_WL_HEADER_SIZE;
	for (const char *letter = skip_since(type->signature); *letter != '\0'; letter++) {
		if (message->arg_count == NEEP_WL_ARGS_MAX) {
			return -EPROTO;
		}
		struct neep_wl_arg *arg = &message->args[message->arg_count];
		arg->is_nullable = *letter == '?';
		letter += arg->is_nullable;
		arg->type = *letter;
		arg->interface = type->types[message->arg_count];
		if (!take_arg(message, &at, arg)) {
			return -EPROTO;
		}
		message->arg_count++;
	}
	return at == size ? 0 : -EPROTO;
}

const char *neep_wl_message_string(const struct neep_wl_message *message, size_t arg) {
	return neep_wl_message_array(message, arg);
}

const void *neep_wl_message_array(const struct neep_wl_message *message, size_t arg) {
	const struct neep_wl_arg *content = &message->args[arg];
	bool is_null = content->type == 's' && content->value == 0;
	return is_null ? NULL : message->data + content->at + WORD;
}

void neep_wl_message_set(struct neep_wl_message *message, size_t arg, uint32_t value) {
	memcpy(message->data + message->args[arg].at, &value, WORD);
	message->args[arg].value = value;
}

int neep_wl_message_take_fd(struct neep_wl_message *message, size_t arg) {
	int *fd = &message->fds[message->args[arg].value];
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* ---- writing ---- */

static uint8_t *reserve(struct neep_wl_writer *writer, size_t size) {
	if (writer->is_bad || size > sizeof(writer->data) - writer->len) {
		writer->is_bad = true;
		return NULL;
	}
	uint8_t *place = writer->data + writer->len;
	writer->len += size;
	return place;
}

void neep_wl_writer_begin(struct neep_wl_writer *writer, uint32_t object_id, uint32_t opcode) {
	writer->len = 0;
	writer->is_bad = false;
	neep_wl_writer_word(writer, object_id);
	neep_wl_writer_word(writer, opcode);
}

void neep_wl_writer_word(struct neep_wl_writer *writer, uint32_t word) {
	uint8_t *place = reserve(writer, WORD);
	if (place != NULL) {
		memcpy(place, &word, WORD);
	}
}

void neep_wl_writer_string(struct neep_wl_writer *writer, const char *text) {
	if (text == NULL) {
		neep_wl_writer_word(writer, 0);
	} else {
		neep_wl_writer_array(writer, text, strlen(text) + 1);
	}
}

void neep_wl_writer_array(struct neep_wl_writer *writer, const void *data, size_t size) {
	if (size > sizeof(writer->data)) {
		writer->is_bad = true;
		return;
	}
	neep_wl_writer_word(writer, (uint32_t)size);
	uint8_t *place = reserve(writer, padded((uint32_t)size));
	if (place != NULL) {
		memset(place, 0, padded((uint32_t)size));
		if (size > 0) {
			memcpy(place, data, size);
		}
	}
}

int neep_wl_writer_end(struct neep_wl_writer *writer) {
	if (writer->is_bad) {
		return -EMSGSIZE;
	}
	uint32_t word = word_at(writer->data, WORD) | (uint32_t)writer->len << 16;
	memcpy(writer->data + WORD, &word, WORD);
	return (int)writer->len;
}
