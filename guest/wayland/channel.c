#include "wayland/channel.h"

#include <errno.h>
#include <string.h>

#include "util/macros.h"
#include "util/reader.h"

#define HEADER_SIZE 8
/* From this version in INIT on, which no other host knows, messages may be longer than a page. */
#define VERSION_LONG_MESSAGES 2

enum command {
	COMMAND_INIT = 1,
	COMMAND_QUERY = 2,
	COMMAND_POLL = 3,
	COMMAND_SEND = 4,
	COMMAND_WRITE = 7,
};

#define FORMAT_R8 UINT32_C(0x20203852) // DRM_FORMAT_R8
/* Of gbm: SCANOUT and LINEAR, which all guests ask for. */
#define QUERY_FLAGS UINT32_C(0x11)

_Static_assert(NEEP_WL_CHANNEL_SEND_HEAD == HEADER_SIZE + 8 + 3 * 4 * NEEP_WL_CHANNEL_IDS_MAX, "of SEND");
_Static_assert(NEEP_WL_CHANNEL_WRITE_HEAD + NEEP_WL_CHANNEL_WRITE_MAX <= UINT16_MAX, "the size of a command");

bool neep_wl_capset_has_wayland(const uint8_t capset[static NEEP_WL_CAPSET_SIZE]) {
	struct neep_reader in;
	neep_reader_init(&in, capset, NEEP_WL_CAPSET_SIZE);
	neep_reader_u32(&in);
	return (neep_reader_u32(&in) >> NEEP_WL_CHANNEL_WAYLAND & 1) != 0;
}

uint32_t neep_wl_capset_extensions(const uint8_t capset[static NEEP_WL_CAPSET_SIZE]) {
	struct neep_reader in;
	neep_reader_init(&in, capset, NEEP_WL_CAPSET_SIZE);
	neep_reader_take(&in, 16);
	return neep_reader_u32(&in);
}

/* ---- commands ---- */

static void put(uint8_t **out, uint32_t value) {
	memcpy(*out, &value, sizeof(value));
	*out += sizeof(value);
}

static void put_header(uint8_t **out, enum command command, size_t size) {
	put(out, (uint32_t)command | (uint32_t)size << 16);
	put(out, 0);
}

/* A host without the extension may know of no version. */
size_t neep_wl_channel_init(
	uint8_t *out, uint32_t query_ring, uint32_t channel_ring, bool wants_long_messages) {
	uint16_t size = wants_long_messages ? HEADER_SIZE + 16 : HEADER_SIZE + 12;
	put_header(&out, COMMAND_INIT, size);
	put(&out, query_ring);
	put(&out, channel_ring);
	put(&out, NEEP_WL_CHANNEL_WAYLAND);
	if (wants_long_messages) {
		put(&out, VERSION_LONG_MESSAGES);
	}
	return size;
}

size_t neep_wl_channel_poll(uint8_t *out) {
	put_header(&out, COMMAND_POLL, HEADER_SIZE + 8);
	put(&out, 0);
	put(&out, 0);
	return HEADER_SIZE + 8;
}

size_t neep_wl_channel_query(uint8_t *out, uint32_t size) {
	put_header(&out, COMMAND_QUERY, HEADER_SIZE + 16);
	put(&out, size);
	put(&out, 1);
	put(&out, FORMAT_R8);
	put(&out, QUERY_FLAGS);
	return HEADER_SIZE + 16;
}

size_t neep_wl_channel_send(uint8_t *out, const struct neep_wl_channel_id *ids, size_t count, size_t len) {
	uint8_t *start = out;
	memset(out, 0, NEEP_WL_CHANNEL_SEND_HEAD);
	put_header(&out, COMMAND_SEND, NEEP_WL_CHANNEL_SEND_HEAD + len);
	put(&out, (uint32_t)count);
	put(&out, (uint32_t)len);
	for (size_t i = 0; i < count; i++) {
		put(&out, ids[i].id);
	}
	out = start + HEADER_SIZE + 8 + 4 * NEEP_WL_CHANNEL_IDS_MAX;
	for (size_t i = 0; i < count; i++) {
		put(&out, ids[i].type);
	}
	return NEEP_WL_CHANNEL_SEND_HEAD;
}

size_t neep_wl_channel_write(uint8_t *out, uint32_t pipe_id, size_t len, bool hang_up) {
	put_header(&out, COMMAND_WRITE, NEEP_WL_CHANNEL_WRITE_HEAD + len);
	put(&out, pipe_id);
	put(&out, hang_up);
	put(&out, (uint32_t)len);
	put(&out, 0);
	return NEEP_WL_CHANNEL_WRITE_HEAD;
}

/* ---- messages ---- */

uint32_t neep_wl_channel_peek(const uint8_t *ring) {
	uint32_t word;
	memcpy(&word, ring, sizeof(word));
	return word;
}

static int parse_receive(struct neep_reader *in, struct neep_wl_channel_message *message) {
	uint32_t count = neep_reader_u32(in);
	uint32_t len = neep_reader_u32(in);
	struct neep_wl_channel_id all[NEEP_WL_CHANNEL_IDS_MAX];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(all); i++) {
		all[i].id = neep_reader_u32(in);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(all); i++) {
		all[i].type = neep_reader_u32(in);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(all); i++) {
		all[i].size = neep_reader_u32(in);
	}
	const uint8_t *bytes = neep_reader_take(in, len);
	if (!neep_reader_ok(in) || count > NEEP_ARRAY_LEN(all)) {
		return -EPROTO;
	}
	message->bytes = bytes;
	message->len = len;
	message->id_count = count;
	memcpy(message->ids, all, count * sizeof(*all));
	return 0;
}

static int parse_read(struct neep_reader *in, struct neep_wl_channel_message *message) {
	message->pipe_id = neep_reader_u32(in);
	message->hang_up = neep_reader_u32(in) != 0;
	message->len = neep_reader_u32(in);
	neep_reader_u32(in);
	message->bytes = neep_reader_take(in, message->len);
	return neep_reader_ok(in) ? 0 : -EPROTO;
}

static int parse(const uint8_t *bytes, size_t size, struct neep_wl_channel_message *message) {
	struct neep_reader in;
	neep_reader_init(&in, bytes, size);
	*message = (struct neep_wl_channel_message){ .kind = neep_reader_u8(&in) };
	neep_reader_take(&in, HEADER_SIZE - 1);
	switch (message->kind) {
	case NEEP_WL_RECEIVE:
		return parse_receive(&in, message);
	case NEEP_WL_READ:
		return parse_read(&in, message);
	default:
		return -EPROTO;
	}
}

/* How much of the ring a message takes, by its head: an estimate, which the copy is held to. */
static size_t message_size(const uint8_t *ring, size_t size) {
	struct neep_reader in;
	uint8_t head[20];
	memcpy(head, ring, sizeof(head));
	bool is_read = head[0] == NEEP_WL_READ;
	neep_reader_init(&in, head, sizeof(head));
	neep_reader_take(&in, is_read ? 16 : 12);
	size_t len = neep_reader_u32(&in);
	size_t head_size = is_read ? NEEP_WL_CHANNEL_WRITE_HEAD : NEEP_WL_CHANNEL_SEND_HEAD;
	return len <= size - head_size ? head_size + len : size;
}

int neep_wl_channel_take(
	const uint8_t *ring, size_t size, uint8_t *copy, struct neep_wl_channel_message *message) {
	if (size < NEEP_WL_CHANNEL_SEND_HEAD) {
		return -EPROTO;
	}
	size_t used = message_size(ring, size);
	memcpy(copy, ring, used);
	return parse(copy, used, message);
}

int neep_wl_channel_answer(
	const uint8_t answer[static NEEP_WL_CHANNEL_ANSWER_SIZE], struct neep_wl_channel_template *template) {
	struct neep_reader in;
	neep_reader_init(&in, answer, NEEP_WL_CHANNEL_ANSWER_SIZE);
	/* Four strides, four offsets and the modifier: of one row there is nothing to know. */
	neep_reader_take(&in, 40);
	template->size = neep_reader_u64(&in);
	template->blob_id = neep_reader_u32(&in);
	return template->size == 0 || template->blob_id == 0 ? -EPROTO : 0;
}
