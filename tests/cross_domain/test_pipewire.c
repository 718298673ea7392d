/* A guest's PipeWire program on a real PipeWire: the native protocol's greeting, a round trip, a node with the memory and the
 * event fds that belong to it, and the end of the server ("Native Protocol" of PipeWire's documentation). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/process.h"
#include "guest.h"
#include "rutabaga/api.h"
#include "support/cmocka.h"
#include "support/fd_check.h"

#define PIPEWIRE "/usr/bin/pipewire"
#define CORE     0
#define CLIENT   1
#define NODE     2
#define SYNC_SEQ 4711

enum method {
	CORE_HELLO = 1,
	CORE_SYNC = 2,
	CLIENT_UPDATE_PROPERTIES = 2,
	NODE_UPDATE = 2,
	CORE_PONG = 3,
	CORE_CREATE_OBJECT = 6
};
enum event {
	CORE_INFO = 0,
	CORE_DONE = 1,
	CORE_PING = 2,
	CORE_ERROR = 3,
	CORE_ADD_MEM = 6,
	NODE_TRANSPORT = 0
};
enum pod_type { POD_ID = 3, POD_INT = 4, POD_LONG = 5, POD_STRING = 8, POD_STRUCT = 14, POD_FD = 18 };

/* A daemon with a socket, and with nodes of clients: no devices, no session manager, no bus. */
static const char config[] =
	"context.properties = { core.daemon = true core.name = pipewire-t support.dbus = false }\n"
	"context.spa-libs = { support.* = support/libspa-support }\n"
	"context.modules = [\n"
	"  { name = libpipewire-module-protocol-native }\n"
	"  { name = libpipewire-module-client-node }\n"
	"  { name = libpipewire-module-access }\n"
	"]\n";

/* What is sent, as it grows. */
struct message {
	uint32_t words[256];
	size_t count;
};

/* What came, as far as it was looked at. */
struct heard {
	bool has_info;
	bool has_done;
	size_t fds;                   // that belong to messages seen
	struct guest_id memory;       // of the node,
	struct guest_id transport[2]; // its event fds,
	uint32_t offset, size;        // and what is its own of the memory
};

static pid_t server, device;

static void start_server(void) {
	server = process_start(PIPEWIRE, "");
	file_await("pipewire-t");
	/* The file is there before anybody listens. */
	close(socket_connect("pipewire-t"));
}

static int setup(void **state) {
	(void)state;
	folder_enter();
	fd_check_setup(state);
	char folder[128];
	assert_non_null(getcwd(folder, sizeof(folder)));
	setenv("PIPEWIRE_RUNTIME_DIR", folder, 1);
	setenv("PIPEWIRE_CONFIG_DIR", folder, 1);
	FILE *file = fopen("pipewire.conf", "we");
	assert_true(fputs(config, file) >= 0 && fclose(file) == 0);
	start_server();
	device = guest_device_start("--pipewire-socket-path pipewire-t");
	return 0;
}

static int teardown(void **state) {
	return guest_device_stop(state, device, server);
}

/* ---- what is sent ---- */

static void put_int(struct message *message, int32_t value) {
	const uint32_t pod[] = { 4, POD_INT, (uint32_t)value, 0 };
	memcpy(message->words + message->count, pod, sizeof(pod));
	message->count += 4;
}

static void put_long(struct message *message, int64_t value) {
	const uint32_t pod[] = { 8, POD_LONG, (uint32_t)value, (uint32_t)(value >> 32) };
	memcpy(message->words + message->count, pod, sizeof(pod));
	message->count += 4;
}

static void put_string(struct message *message, const char *text) {
	uint32_t *words = message->words + message->count;
	size_t size = strlen(text) + 1;
	words[0] = (uint32_t)size;
	words[1] = POD_STRING;
	memcpy(words + 2, text, size);
	message->count += 2 + (size + 7) / 8 * 2;
}

/* Returns where it started, for end_struct(). */
static size_t begin_struct(struct message *message) {
	message->words[message->count + 1] = POD_STRUCT;
	message->count += 2;
	return message->count - 2;
}

static void end_struct(struct message *message, size_t start) {
	message->words[start] = (uint32_t)(message->count - start - 2) * 4;
}

static void send_message(
	struct guest *guest, uint32_t object, enum method method, const struct message *message) {
	static uint32_t seq;
	uint32_t words[4 + 256] = { object, (uint32_t)method << 24 | (uint32_t)message->count * 4, seq++, 0 };
	memcpy(words + 4, message->words, message->count * 4);
	guest_send(guest, words, (4 + message->count) * 4, NULL, 0);
}

static void send_hello(struct guest *guest) {
	struct message message = { .count = 0 };
	size_t start = begin_struct(&message);
	put_int(&message, 3); // version of the core
	end_struct(&message, start);
	send_message(guest, CORE, CORE_HELLO, &message);
}

/* One property, as the struct that both methods have. */
static void put_property(struct message *message, const char *name, const char *value) {
	size_t start = begin_struct(message);
	put_int(message, 1);
	put_string(message, name);
	put_string(message, value);
	end_struct(message, start);
}

/* It is with these that the server lets a client in. */
static void send_properties(struct guest *guest) {
	struct message message = { .count = 0 };
	size_t start = begin_struct(&message);
	put_property(&message, "application.name", "neep-test");
	end_struct(&message, start);
	send_message(guest, CLIENT, CLIENT_UPDATE_PROPERTIES, &message);
}

/* CORE_SYNC and CORE_PONG: what the peer is to return, or has asked for. */
static void send_seq(struct guest *guest, enum method method, uint32_t id, uint32_t seq) {
	struct message message = { .count = 0 };
	size_t start = begin_struct(&message);
	put_int(&message, (int32_t)id);
	put_int(&message, (int32_t)seq);
	end_struct(&message, start);
	send_message(guest, CORE, method, &message);
}

static void send_sync(struct guest *guest) {
	send_seq(guest, CORE_SYNC, CORE, SYNC_SEQ);
}

static void send_create_node(struct guest *guest) {
	struct message message = { .count = 0 };
	size_t start = begin_struct(&message);
	put_string(&message, "client-node");
	put_string(&message, "PipeWire:Interface:ClientNode");
	put_int(&message, 4); // its version
	put_property(&message, "node.name", "neep-test");
	put_int(&message, NODE);
	end_struct(&message, start);
	send_message(guest, CORE, CORE_CREATE_OBJECT, &message);
}

/* A node is made, and its transport sent, when it has told what it is: one without ports, flags and parameters. */
static void send_node_update(struct guest *guest) {
	struct message message = { .count = 0 };
	size_t start = begin_struct(&message);
	put_int(&message, 2); // there is an info,
	put_int(&message, 0); // no parameters
	size_t info = begin_struct(&message);
	put_int(&message, 0);
	put_int(&message, 0);
	put_long(&message, 0);
	put_long(&message, 0);
	put_int(&message, 0);
	put_int(&message, 0);
	end_struct(&message, info);
	end_struct(&message, start);
	send_message(guest, NODE, NODE_UPDATE, &message);
}

/* ---- what comes ---- */

/* The value at `index` of the struct that a message's body is. */
static uint32_t field(const uint8_t *body, size_t index, enum pod_type type) {
	uint32_t pod[3];
	size_t at = 8;
	for (;; index--) {
		memcpy(pod, body + at, sizeof(pod));
		if (index == 0) {
			break;
		}
		at += 8 + (pod[0] + 7) / 8 * (size_t)8;
	}
	assert_int_equal(pod[1], type);
	return pod[2];
}

/* The fd at `index` of a message, whose first one is `first` of those that came. */
static struct guest_id fd_of(const struct guest *guest, size_t first, uint32_t index) {
	assert_in_range(first + index, 0, guest->id_count - 1);
	return guest->ids[first + index];
}

static void hear_core(struct guest *guest, struct heard *heard, enum event event, const uint8_t *body) {
	switch (event) {
	case CORE_INFO:
		heard->has_info = true;
		break;
	case CORE_DONE:
		heard->has_done = heard->has_done || field(body, 1, POD_INT) == SYNC_SEQ;
		break;
	case CORE_PING:
		send_seq(guest, CORE_PONG, field(body, 0, POD_INT), field(body, 1, POD_INT));
		break;
	case CORE_ADD_MEM:
		heard->memory = fd_of(guest, heard->fds, field(body, 2, POD_FD));
		break;
	case CORE_ERROR:
		/* id, sequence, result, text */
		fail_msg("PipeWire: %s", (const char *)body + 8 + 3 * 16 + 8);
		break;
	default:
		break;
	}
}

static void hear_transport(const struct guest *guest, struct heard *heard, const uint8_t *body) {
	heard->transport[0] = fd_of(guest, heard->fds, field(body, 0, POD_FD));
	heard->transport[1] = fd_of(guest, heard->fds, field(body, 1, POD_FD));
	heard->offset = field(body, 3, POD_INT);
	heard->size = field(body, 4, POD_INT);
}

static void hear_one(struct guest *guest, struct heard *heard) {
	uint32_t header[4];
	guest_need(guest, sizeof(header));
	memcpy(header, guest->in, sizeof(header));
	size_t size = sizeof(header) + (header[1] & 0xffffff);
	guest_need(guest, size);
	const uint8_t *body = guest->in + sizeof(header);
	if (header[0] == CORE) {
		hear_core(guest, heard, header[1] >> 24, body);
	} else if (header[0] == NODE && header[1] >> 24 == NODE_TRANSPORT) {
		hear_transport(guest, heard, body);
	}
	heard->fds += header[3];
	guest_take(guest, size);
}

static void greet(struct guest *guest, struct heard *heard) {
	*heard = (struct heard){ .fds = 0 };
	guest_open(guest, RUTABAGA_CHANNEL_TYPE_PIPEWIRE);
	send_hello(guest);
	send_properties(guest);
	send_sync(guest);
	while (!heard->has_done) {
		hear_one(guest, heard);
	}
	assert_true(heard->has_info);
}

static void program_speaks_with_the_server(void **state) {
	(void)state;
	struct guest guest;
	struct heard heard;
	greet(&guest, &heard);
	assert_int_equal(guest.id_count, 0);
	guest_close(&guest);
}

static void memory_and_events_of_the_server_reach_the_program(void **state) {
	(void)state;
	struct guest guest;
	struct heard heard;
	greet(&guest, &heard);
	send_create_node(&guest);
	send_node_update(&guest);
	while (heard.transport[0].id == 0) {
		hear_one(&guest, &heard);
	}
	assert_int_equal(heard.transport[0].type, NEEP_XD_ID_EVENT);
	assert_int_equal(heard.transport[1].type, NEEP_XD_ID_EVENT);
	assert_int_not_equal(heard.transport[0].id, heard.transport[1].id);
	assert_int_equal(heard.memory.type, NEEP_XD_ID_BLOB);
	assert_in_range(heard.size, 1, heard.memory.size - heard.offset);
	/* It is not mapped: PipeWire seals files that are no whole pages, which QEMU and the driver of these tests refuse. */
	(void)guest_blob(&guest, &heard.memory);
	guest_close(&guest);
}

static void program_hears_of_the_end_of_the_server(void **state) {
	(void)state;
	struct guest guest;
	struct heard heard;
	greet(&guest, &heard);
	for (int i = 0; i < 1000; i++) {
		send_sync(&guest);
	}
	hear_one(&guest, &heard);
	kill(server, SIGKILL);
	process_wait(server);
	guest_take(&guest, guest.in_len);
	guest_await_end(&guest);
	guest_close(&guest);
	/* The device lives, and finds the next one at the same place. */
	unlink("pipewire-t");
	start_server();
	greet(&guest, &heard);
	guest_close(&guest);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(program_speaks_with_the_server, setup, teardown),
		cmocka_unit_test_setup_teardown(
			memory_and_events_of_the_server_reach_the_program, setup, teardown),
		cmocka_unit_test_setup_teardown(program_hears_of_the_end_of_the_server, setup, teardown),
	};
	if (access(PIPEWIRE, X_OK) != 0) {
		printf("1..0 # SKIP there is no %s\n", PIPEWIRE);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
