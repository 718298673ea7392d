#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/macros.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wire.h"

static const struct wl_interface *none[20];
#define TYPE(text) (&(const struct wl_message){ "test", (text), none })

static size_t copy_message(struct neep_wl_writer *writer, uint8_t *data) {
	int size = neep_wl_writer_end(writer);
	assert_true(size >= NEEP_WL_HEADER_SIZE);
	memcpy(data, writer->data, (size_t)size);
	return (size_t)size;
}

/* One argument of every type, and a null where one may be. */
static const struct wl_message *every_type(struct neep_wl_writer *writer) {
	neep_wl_writer_begin(writer, 7, 3);
	neep_wl_writer_word(writer, (uint32_t)-5);
	neep_wl_writer_word(writer, 6);
	neep_wl_writer_word(writer, 256);
	neep_wl_writer_string(writer, "hello");
	neep_wl_writer_string(writer, NULL);
	neep_wl_writer_word(writer, 8);
	neep_wl_writer_word(writer, 0);
	neep_wl_writer_word(writer, 9);
	neep_wl_writer_array(writer, "abcde", 5);
	static const struct wl_message type = { "test", "3iufs?so?onah", none };
	return &type;
}

static void parse_reads_every_type(void **state) {
	(void)state;
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	uint8_t data[256];
	const struct wl_message *type = every_type(&writer);
	size_t size = copy_message(&writer, data);
	assert_int_equal(neep_wl_message_parse(&message, type, data, (uint32_t)size), 0);
	assert_int_equal(message.object_id, 7);
	assert_int_equal(message.opcode, 3);
	assert_int_equal(message.arg_count, 10);
	assert_int_equal(message.fd_count, 1);
	assert_int_equal((int32_t)message.args[0].value, -5);
	assert_string_equal(neep_wl_message_string(&message, 3), "hello");
	assert_int_equal(message.args[3].value, 6);
	assert_null(neep_wl_message_string(&message, 4));
	assert_int_equal(message.args[5].value, 8);
	assert_int_equal(message.args[6].value, 0);
	assert_true(message.args[6].is_nullable);
	assert_int_equal(message.args[8].value, 5);
	assert_memory_equal(neep_wl_message_array(&message, 8), "abcde", 5);
	assert_int_equal(message.args[9].type, 'h');
	assert_int_equal(neep_wl_message_since(type), 3);
	assert_int_equal(neep_wl_message_since(TYPE("u")), 1);
	assert_int_equal(neep_wl_message_since(TYPE("12u")), 12);
}

static void parse_refuses_a_message_cut_anywhere(void **state) {
	(void)state;
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	const struct wl_message *type = every_type(&writer);
	uint8_t whole[256];
	size_t size = copy_message(&writer, whole);
	for (uint32_t cut = 0; cut < size; cut++) {
		/* Of just that size, so that a read behind the end shows. */
		uint8_t *data = malloc(cut + 1);
		memcpy(data, whole, cut);
		assert_int_equal(neep_wl_message_parse(&message, type, data, cut), -EPROTO);
		if (cut >= NEEP_WL_HEADER_SIZE && cut % 4 == 0) {
			uint32_t word = cut << 16 | 3;
			memcpy(data + 4, &word, 4);
			assert_int_equal(neep_wl_message_parse(&message, type, data, cut), -EPROTO);
		}
		free(data);
	}
}

static void parse_refuses_bytes_that_are_left(void **state) {
	(void)state;
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	uint8_t data[64];
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_word(&writer, 1);
	neep_wl_writer_word(&writer, 2);
	size_t size = copy_message(&writer, data);
	assert_int_equal(neep_wl_message_parse(&message, TYPE("u"), data, (uint32_t)size), -EPROTO);
	assert_int_equal(neep_wl_message_parse(&message, TYPE("uu"), data, (uint32_t)size), 0);
}

static int parse_word(const char *signature, uint32_t word) {
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	uint8_t data[64];
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_word(&writer, word);
	size_t size = copy_message(&writer, data);
	return neep_wl_message_parse(&message, TYPE(signature), data, (uint32_t)size);
}

static void parse_refuses_null_where_none_may_be(void **state) {
	(void)state;
	assert_int_equal(parse_word("o", 0), -EPROTO);
	assert_int_equal(parse_word("?o", 0), 0);
	assert_int_equal(parse_word("n", 0), -EPROTO);
	assert_int_equal(parse_word("s", 0), -EPROTO);
	assert_int_equal(parse_word("?s", 0), 0);
	assert_int_equal(parse_word("a", 0), 0);
	assert_int_equal(parse_word("u", 0), 0);
}

static void parse_refuses_lengths_beyond_the_message(void **state) {
	(void)state;
	const uint32_t lengths[] = { 1, 4, 0x7fffffff, 0xfffffffc, 0xffffffff };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(lengths); i++) {
		assert_int_equal(parse_word("a", lengths[i]), -EPROTO);
		assert_int_equal(parse_word("s", lengths[i]), -EPROTO);
	}
}

static int parse_text(const char *bytes, size_t len) {
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	uint8_t data[64];
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_array(&writer, bytes, len);
	size_t size = copy_message(&writer, data);
	return neep_wl_message_parse(&message, TYPE("s"), data, (uint32_t)size);
}

static void parse_refuses_strings_without_one_nul_at_the_end(void **state) {
	(void)state;
	assert_int_equal(parse_text("abc\0", 4), 0);
	assert_int_equal(parse_text("", 1), 0);
	assert_int_equal(parse_text("abcd", 4), -EPROTO);
	assert_int_equal(parse_text("a\0b\0", 4), -EPROTO);
	assert_int_equal(parse_text("\0\0", 2), -EPROTO);
}

static void parse_refuses_signatures_that_it_does_not_know(void **state) {
	(void)state;
	assert_int_equal(parse_word("x", 1), -EPROTO);
	assert_int_equal(parse_word("?", 1), -EPROTO);
	assert_int_equal(parse_word("hhhhhhhhhhhhhhhhhhhhh", 1), -EPROTO);
}

static void size_is_of_whole_words_from_a_header_on(void **state) {
	(void)state;
	uint32_t object_id, opcode;
	for (uint32_t size = 0; size < 0x10000; size++) {
		uint32_t header[2] = { 5, size << 16 | 2 };
		int result = neep_wl_message_size((uint8_t *)header, sizeof(header), &object_id, &opcode);
		assert_int_equal(result, size >= 8 && size % 4 == 0 ? (int)size : -EPROTO);
	}
	uint32_t header[2] = { 5, 8 << 16 | 2 };
	assert_int_equal(neep_wl_message_size((uint8_t *)header, 7, &object_id, &opcode), 0);
}

static void set_rewrites_the_word_in_place(void **state) {
	(void)state;
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	uint8_t data[64];
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_string(&writer, "x");
	neep_wl_writer_word(&writer, 11);
	uint32_t size = (uint32_t)copy_message(&writer, data);
	assert_int_equal(neep_wl_message_parse(&message, TYPE("so"), data, size), 0);
	neep_wl_message_set(&message, 1, 12);
	assert_int_equal(neep_wl_message_parse(&message, TYPE("so"), data, size), 0);
	assert_int_equal(message.args[1].value, 12);
}

static void fds_are_taken_once(void **state) {
	(void)state;
	struct neep_wl_writer writer;
	struct neep_wl_message message;
	uint8_t data[64];
	int fds[2] = { 40, 41 };
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_word(&writer, 11);
	uint32_t size = (uint32_t)copy_message(&writer, data);
	assert_int_equal(neep_wl_message_parse(&message, TYPE("huh"), data, size), 0);
	assert_int_equal(message.fd_count, 2);
	message.fds = fds;
	assert_int_equal(neep_wl_message_take_fd(&message, 2), 41);
	assert_int_equal(neep_wl_message_take_fd(&message, 2), -1);
	assert_int_equal(neep_wl_message_take_fd(&message, 0), 40);
}

static void writer_is_bad_when_full(void **state) {
	(void)state;
	struct neep_wl_writer writer;
	static const char big[4096];
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_array(&writer, big, 4096 - 12);
	assert_int_equal(neep_wl_writer_end(&writer), 4096);
	neep_wl_writer_word(&writer, 1);
	assert_int_equal(neep_wl_writer_end(&writer), -EMSGSIZE);
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_array(&writer, big, 4096 - 11);
	assert_int_equal(neep_wl_writer_end(&writer), -EMSGSIZE);
	neep_wl_writer_begin(&writer, 1, 0);
	neep_wl_writer_array(&writer, big, SIZE_MAX);
	assert_int_equal(neep_wl_writer_end(&writer), -EMSGSIZE);
}

/* Only that it ends, and reads nothing outside: the sanitizers look. */
static void parse_survives_random_bytes(void **state) {
	(void)state;
	const struct wl_message *types[] = { TYPE("usun"), TYPE("sas"), TYPE("?oaa"), TYPE("iufh?s"),
		&wl_registry_interface.methods[0], &wl_shm_interface.methods[0] };
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		uint32_t size = (uint32_t)random() % 16 * 4;
		uint8_t *data = malloc(size + 1);
		for (uint32_t at = 0; at < size; at++) {
			data[at] = random() % 3 == 0 ? (uint8_t)random() : 0;
		}
		if (size >= NEEP_WL_HEADER_SIZE) {
			uint32_t word = size << 16;
			memcpy(data + 4, &word, 4);
		}
		struct neep_wl_message message;
		const struct wl_message *type = types[i % (int)NEEP_ARRAY_LEN(types)];
		int result = neep_wl_message_parse(&message, type, data, size);
		assert_true(result == 0 || result == -EPROTO);
		free(data);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(parse_reads_every_type),
		fd_checked_test(parse_refuses_a_message_cut_anywhere),
		fd_checked_test(parse_refuses_bytes_that_are_left),
		fd_checked_test(parse_refuses_null_where_none_may_be),
		fd_checked_test(parse_refuses_lengths_beyond_the_message),
		fd_checked_test(parse_refuses_strings_without_one_nul_at_the_end),
		fd_checked_test(parse_refuses_signatures_that_it_does_not_know),
		fd_checked_test(size_is_of_whole_words_from_a_header_on),
		fd_checked_test(set_rewrites_the_word_in_place),
		fd_checked_test(fds_are_taken_once),
		fd_checked_test(writer_is_bad_when_full),
		fd_checked_test(parse_survives_random_bytes),
	};
	return cmocka_run_group_tests_name("wayland_wire", tests, NULL, NULL);
}
