/* Every message of every global that programs can see, both ways, by the tables of the protocols: whether programs of the
 * tests use it or not. Each object that can be made is made once, each of its requests and events is sent once with
 * arguments that differ, and must arrive as it was, but for ids of objects. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/macros.h"
#include "wayland/policy.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"
#include "wayland_proxy/peer.h"

#define THINGS_MAX 1024
#define FILE_SIZE  65536

/* An object, as both ends know it. */
struct thing {
	const struct wl_interface *interface;
	uint32_t version;
	uint32_t program_id;
	uint32_t host_id;
	bool is_first;                       // of its interface: the one whose messages are sent
	uint64_t requests_sent, events_sent; // by opcode
};

struct world {
	struct peer peer;
	struct thing things[THINGS_MAX];
	size_t count;
	uint32_t next_program_id, next_server_id;
	uint32_t next_value; // of numbers
	int file;            // for fds
	size_t requests, events;
};

/* One that is on its way. */
struct letter {
	const struct wl_message *type;
	bool is_request;
	struct thing *to;
	uint32_t opcode;
	struct neep_wl_writer writer;
	uint32_t values[NEEP_WL_ARGS_MAX];    // what the receiver reads, but for new ids of requests
	struct thing *made[NEEP_WL_ARGS_MAX]; // by new ids
	size_t fd_count;
};

/* Messages that mean more to the proxy than what they say; they have tests of their own (shm, surface, dmabuf). */
static const struct {
	const char *interface, *message;
} of_others[] = {
	{ "wl_shm", "create_pool" },
	{ "wl_surface", "attach" },
};

/* What is never the compositor's; it has tests of its own (sync). */
static bool is_proxys_own(const struct wl_interface *interface) {
	return strcmp(interface->name, "wp_linux_drm_syncobj_manager_v1") == 0;
}

static bool is_of_others(const struct wl_interface *interface, const struct wl_message *type) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(of_others); i++) {
		if (strcmp(of_others[i].interface, interface->name) == 0 &&
			strcmp(of_others[i].message, type->name) == 0) {
			return true;
		}
	}
	return false;
}

static struct thing *find(struct world *world, const struct wl_interface *interface) {
	for (size_t i = 0; i < world->count; i++) {
		if (world->things[i].interface == interface) {
			return &world->things[i];
		}
	}
	return NULL;
}

static struct thing *add(struct world *world, const struct wl_interface *interface, uint32_t version) {
	assert_true(world->count < THINGS_MAX);
	bool is_first = find(world, interface) == NULL;
	struct thing *thing = &world->things[world->count++];
	*thing = (struct thing){ .interface = interface, .version = version, .is_first = is_first };
	return thing;
}

/* ---- writing ---- */

/* Returns false when there is no object yet that the argument could be. */
static bool put_object(struct world *world, struct letter *letter, size_t arg, bool is_nullable) {
	struct thing *thing = find(world, letter->type->types[arg]);
	if (thing == NULL && !is_nullable) {
		return false;
	}
	uint32_t program_id = thing != NULL ? thing->program_id : 0;
	uint32_t host_id = thing != NULL ? thing->host_id : 0;
	neep_wl_writer_word(&letter->writer, letter->is_request ? program_id : host_id);
	letter->values[arg] = letter->is_request ? host_id : program_id;
	return true;
}

static void put_new(struct world *world, struct letter *letter, size_t arg) {
	struct thing *thing = add(world, letter->type->types[arg], letter->to->version);
	thing->program_id = letter->is_request ? world->next_program_id++ : world->next_server_id++;
	thing->host_id = letter->is_request ? 0 : thing->program_id;
	letter->made[arg] = thing;
	letter->values[arg] = thing->program_id;
	neep_wl_writer_word(&letter->writer, thing->program_id);
}

static bool put_arg(struct world *world, struct letter *letter, size_t arg, char type, bool is_nullable) {
	switch (type) {
	case 'o':
		return put_object(world, letter, arg, is_nullable);
	case 'n':
		put_new(world, letter, arg);
		return true;
	case 's':
		neep_wl_writer_string(&letter->writer, letter->type->name);
		return true;
	case 'a':
		neep_wl_writer_array(&letter->writer, letter->type->name, strlen(letter->type->name));
		return true;
	case 'h':
		letter->fd_count++;
		return true;
	default:
		letter->values[arg] = world->next_value++;
		neep_wl_writer_word(&letter->writer, letter->values[arg]);
		return true;
	}
}

/* Returns false when an object is missing, and nothing was made then. */
static bool write_letter(struct world *world, struct letter *letter) {
	size_t arg = 0, count = world->count;
	bool is_nullable = false, is_whole = true;
	uint32_t program_id = world->next_program_id, server_id = world->next_server_id;
	neep_wl_writer_begin(&letter->writer,
		letter->is_request ? letter->to->program_id : letter->to->host_id, letter->opcode);
	for (const char *at = letter->type->signature; *at != '\0' && is_whole; at++) {
		if (*at == '?') {
			is_nullable = true;
		} else if (*at < '0' || *at > '9') {
			is_whole = put_arg(world, letter, arg++, *at, is_nullable);
			is_nullable = false;
		}
	}
	if (!is_whole) {
		world->count = count;
		world->next_program_id = program_id;
		world->next_server_id = server_id;
	}
	return is_whole;
}

/* ---- reading ---- */

static void check_arg(const struct letter *letter, const struct neep_wl_message *message, size_t arg) {
	const char *name = letter->type->name;
	const struct neep_wl_arg *got = &message->args[arg];
	switch (got->type) {
	case 's':
		assert_string_equal(neep_wl_message_string(message, arg), name);
		break;
	case 'a':
		assert_int_equal(got->value, strlen(name));
		assert_memory_equal(neep_wl_message_array(message, arg), name, strlen(name));
		break;
	case 'n':
		if (letter->is_request) {
			letter->made[arg]->host_id = got->value;
			break;
		}
		assert_int_equal(got->value, letter->values[arg]);
		break;
	case 'h':
		break;
	default:
		assert_int_equal(got->value, letter->values[arg]);
	}
}

static void check_letter(struct world *world, const struct letter *letter) {
	static struct peer_message got;
	static uint32_t bytes[16384 + 2];
	struct neep_wl_message message;
	struct peer *peer = &world->peer;
	if (!peer_receive(peer, letter->is_request ? peer->compositor : peer->program, &got)) {
		fail_msg("%s.%s does not arrive", letter->to->interface->name, letter->type->name);
	}
	if (got.object_id != (letter->is_request ? letter->to->host_id : letter->to->program_id) ||
		got.opcode != letter->opcode || got.fd_count != letter->fd_count) {
		fail_msg("%s.%s arrives as object %u, message %u with %zu fds", letter->to->interface->name,
			letter->type->name, got.object_id, got.opcode, got.fd_count);
	}
	for (size_t i = 0; i < got.fd_count; i++) {
		close(got.fds[i]);
	}
	bytes[0] = got.object_id;
	bytes[1] = got.size << 16 | got.opcode;
	memcpy(bytes + 2, got.words, got.size - 8);
	assert_int_equal(
		neep_wl_message_parse(&message, letter->type, (uint8_t *)(void *)bytes, got.size), 0);
	for (size_t i = 0; i < message.arg_count; i++) {
		check_arg(letter, &message, i);
	}
}

/* ---- all of them ---- */

static bool is_destructor(const struct wl_message *type) {
	return strcmp(type->name, "destroy") == 0 || strcmp(type->name, "release") == 0;
}

static bool is_to_be_sent(const struct thing *thing, const struct wl_message *type) {
	return neep_wl_message_since(type) <= thing->version && !is_of_others(thing->interface, type);
}

static bool send_letter(struct world *world, struct thing *thing, uint32_t opcode, bool is_request) {
	static struct letter letter;
	const struct wl_interface *interface = thing->interface;
	letter = (struct letter){
		.type = is_request ? &interface->methods[opcode] : &interface->events[opcode],
		.is_request = is_request,
		.to = thing,
		.opcode = opcode,
	};
	if (!write_letter(world, &letter)) {
		return false;
	}
	int fds[4] = { world->file, world->file, world->file, world->file };
	assert_true(letter.fd_count <= 4);
	peer_send(is_request ? world->peer.program : world->peer.compositor, &letter.writer, fds,
		letter.fd_count);
	check_letter(world, &letter);
	return true;
}

/* What has not been sent and can be. Returns how much. */
static size_t send_some(struct world *world, struct thing *thing) {
	const struct wl_interface *interface = thing->interface;
	size_t before = world->requests + world->events;
	for (uint32_t i = 0; i < (uint32_t)interface->method_count; i++) {
		const struct wl_message *type = &interface->methods[i];
		if ((thing->requests_sent >> i & 1) == 0 && is_to_be_sent(thing, type) &&
			!is_destructor(type) && send_letter(world, thing, i, true)) {
			thing->requests_sent |= UINT64_C(1) << i;
			world->requests++;
		}
	}
	for (uint32_t i = 0; i < (uint32_t)interface->event_count; i++) {
		if ((thing->events_sent >> i & 1) == 0 && is_to_be_sent(thing, &interface->events[i]) &&
			send_letter(world, thing, i, false)) {
			thing->events_sent |= UINT64_C(1) << i;
			world->events++;
		}
	}
	return world->requests + world->events - before;
}

static void send_destructor(struct world *world, struct thing *thing) {
	static struct peer_message got;
	for (uint32_t i = 0; i < (uint32_t)thing->interface->method_count; i++) {
		const struct wl_message *type = &thing->interface->methods[i];
		if (!is_destructor(type) || !is_to_be_sent(thing, type)) {
			continue;
		}
		assert_true(send_letter(world, thing, i, true));
		thing->requests_sent |= UINT64_C(1) << i;
		world->requests++;
		if (thing->program_id < NEEP_WL_SERVER_IDS) {
			peer_send_words(world->peer.compositor, 1, WL_DISPLAY_DELETE_ID, &thing->host_id, 1);
			peer_expect(&world->peer, world->peer.program, 1, WL_DISPLAY_DELETE_ID, &got);
			assert_int_equal(got.words[0], thing->program_id);
		}
		return;
	}
}

/* Of each interface that there is an object of, every message was sent. */
static void expect_all_sent(const struct thing *thing) {
	const struct wl_interface *interface = thing->interface;
	for (int i = 0; i < interface->method_count; i++) {
		if ((thing->requests_sent >> i & 1) == 0 && is_to_be_sent(thing, &interface->methods[i])) {
			fail_msg("the request %s.%s was not sent", interface->name,
				interface->methods[i].name);
		}
	}
	for (int i = 0; i < interface->event_count; i++) {
		if ((thing->events_sent >> i & 1) == 0 && is_to_be_sent(thing, &interface->events[i])) {
			fail_msg("the event %s.%s was not sent", interface->name, interface->events[i].name);
		}
	}
}

/* Every global of the table, those for which there must be a word too. */
static void bind_all(struct world *world) {
	static struct peer_message got;
	static char allowed[4096];
	size_t count, used = 0;
	const struct neep_wl_known *known = neep_wl_policy_table(&count);
	for (size_t i = 0; i < count; i++) {
		used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s", i > 0 ? "," : "",
			known[i].interface->name);
	}
	world->peer.policy.allow = allowed;
	peer_start(&world->peer);
	peer_get_registry(&world->peer);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t version = neep_wl_known_version(&known[i]);
		const char *name = known[i].interface->name;
		if (is_proxys_own(known[i].interface)) {
			continue;
		}
		peer_announce(&world->peer, i, name, version);
		peer_expect(&world->peer, world->peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
		struct thing *thing = add(world, known[i].interface, version);
		thing->program_id = world->next_program_id++;
		peer_bind(&world->peer, i, name, version, thing->program_id);
		peer_expect(&world->peer, world->peer.compositor, PEER_REGISTRY, WL_REGISTRY_BIND, &got);
		thing->host_id = got.words[(got.size - 8) / 4 - 1];
	}
}

static void every_message_of_every_global_arrives_as_it_was(void **state) {
	(void)state;
	static struct world world;
	world = (struct world){
		.next_program_id = 1000,
		.next_server_id = NEEP_WL_SERVER_IDS,
		.next_value = 1,
		.file = neep_memfd_create("file", FILE_SIZE),
	};
	bind_all(&world);
	for (size_t sent = 1; sent > 0;) {
		sent = 0;
		for (size_t i = 0; i < world.count; i++) {
			sent += world.things[i].is_first ? send_some(&world, &world.things[i]) : 0;
		}
	}
	for (size_t i = world.count; i > 0; i--) {
		send_destructor(&world, &world.things[i - 1]);
	}
	size_t interfaces = 0;
	for (size_t i = 0; i < world.count; i++) {
		if (world.things[i].is_first) {
			expect_all_sent(&world.things[i]);
			interfaces++;
		}
	}
	printf("# %zu requests and %zu events of %zu interfaces\n", world.requests, world.events, interfaces);
	assert_non_null(world.peer.client);
	peer_stop(&world.peer);
	close(world.file);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(every_message_of_every_global_arrives_as_it_was),
	};
	return cmocka_run_group_tests_name("wayland_globals", tests, NULL, NULL);
}
