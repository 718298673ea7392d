/* The wire format of Wayland: messages of a header of two words and arguments, all of 32-bit words in the machine's own
 * order. fds travel beside the bytes, in order.
 *
 * Both ends of a connection are untrusted: parsing is total. Signatures and interfaces are those that wayland-scanner
 * makes ("private-code") from the protocols' XML; nothing of libwayland is linked.
 *
 * Source: "Wire Format" of the Wayland documentation. */
#ifndef NEEP_WAYLAND_WIRE_H
#define NEEP_WAYLAND_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wayland-util.h>

#define NEEP_WL_HEADER_SIZE 8
/* The size of a message has 16 bits and is a multiple of 4. */
#define NEEP_WL_MESSAGE_MAX 65532
/* No message of libwayland has more (its own limit for arguments); also that of fds which travel with one sendmsg(). */
#define NEEP_WL_ARGS_MAX 20
#define NEEP_WL_FDS_MAX  28

/* Ids from here on are given out by the compositor. */
#define NEEP_WL_SERVER_IDS UINT32_C(0xff000000)

/* "i" int, "u" uint, "f" fixed, "s" string, "o" object, "n" new id, "a" array, "h" fd. */
struct neep_wl_arg {
	char type; // a handler that has put the other side's id in makes it "u": not to be translated again
	bool is_nullable;
	const struct wl_interface *interface; // "o", "n": NULL when the signature leaves it open
	uint32_t at;                          // offset of the argument's word in the message; "h": none, 0
	uint32_t
		value; // the word; "s", "a": bytes of the content, a string's NUL counted; "h": which fd of the message
};

/* A parsed message. `data` is borrowed: handlers may rewrite words in place. */
struct neep_wl_message {
	uint8_t *data;
	uint32_t size; // bytes, header included
	uint32_t object_id;
	uint32_t opcode;
	const struct wl_message *type;
	struct neep_wl_arg args[NEEP_WL_ARGS_MAX];
	size_t arg_count;
	size_t fd_count; // that it needs
	int *fds;        // fd_count of them, owned by the message: who takes one leaves -1
};

/* What stands at the start of `data`. Returns the size of the message there (8 to NEEP_WL_MESSAGE_MAX), 0 when the header
 * is not complete, or -EPROTO. The message may not have arrived whole. */
int neep_wl_message_size(const uint8_t *data, size_t len, uint32_t *object_id, uint32_t *opcode);

/* Parses the whole message `data` of `size` bytes by its type; fds stay to be filled in (fd_count says how many). Returns 0
 * or -EPROTO: arguments that do not fit, strings without their NUL or with one inside, a null where none may be, bytes
 * that are left. */
int neep_wl_message_parse(
	struct neep_wl_message *message, const struct wl_message *type, uint8_t *data, uint32_t size);

/* The string or the bytes of an argument; a null string is NULL. Points into the message. */
const char *neep_wl_message_string(const struct neep_wl_message *message, size_t arg);
const void *neep_wl_message_array(const struct neep_wl_message *message, size_t arg);

/* Replaces the word of an argument that has one. */
void neep_wl_message_set(struct neep_wl_message *message, size_t arg, uint32_t value);

/* Takes the fd of an "h" argument out, or -1. */
int neep_wl_message_take_fd(struct neep_wl_message *message, size_t arg);

/* The interface that belongs to `version` of a message: 1 when the signature does not say. */
uint32_t neep_wl_message_since(const struct wl_message *type);

/* ---- writing ---- */

/* A message in the making: begin, arguments in order, end. What does not fit makes it bad; neep_wl_writer_end() says so. */
struct neep_wl_writer {
	uint8_t data[4096];
	size_t len;
	bool is_bad;
};

void neep_wl_writer_begin(struct neep_wl_writer *writer, uint32_t object_id, uint32_t opcode);
void neep_wl_writer_word(struct neep_wl_writer *writer, uint32_t word);
void neep_wl_writer_string(struct neep_wl_writer *writer, const char *text); // NULL: a null string
void neep_wl_writer_array(struct neep_wl_writer *writer, const void *data, size_t size);
/* Fills in the header. Returns the message's size, or -EMSGSIZE. */
int neep_wl_writer_end(struct neep_wl_writer *writer);

#endif
