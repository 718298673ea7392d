/* A client of the Wayland proxy with a program and a compositor that do what the input says.
 *
 * The input is a script of small steps: messages of the right shape to objects that are there, with arguments from the input;
 * raw bytes; fds without messages; a host whose way is full or that refuses an fd; ends. It begins with every known global bound,
 * so that all interfaces are within reach; in inputs of odd size linux-dmabuf is the proxy's own, which has the
 * compositor import what it can. */
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/reader.h"
#include "wayland/client.h"
#include "wayland/offer.h"
#include "wayland/policy.h"
#include "wayland/queue.h"
#include "wayland/registry.h"
#include "wayland/wayland-protocol.h"

#define STEPS_MAX 400
#define REGISTRY  2

struct fuzz {
	struct neep_reader in;
	struct neep_loop *loop;
	struct neep_wl_client *client; // NULL once it has ended
	int program;                   // -1: closed
	struct neep_wl_host host;
	bool is_full;     // the way to the compositor
	bool refuses_fds; // ... takes none
	bool is_awaited, is_receiving, is_destroyed;
	bool offers_dmabuf; // the proxy does
	uint32_t dmabuf_id; // its newest; 0: none
	uint32_t next_client_id, next_server_id;
	int memory_fd;
};

/* ---- the host ---- */

struct heap_memory {
	struct neep_wl_memory base;
};

static void memory_destroy(struct neep_wl_memory *base) {
	free(base->data);
	free(neep_container_of(base, struct heap_memory, base));
}

static const struct neep_wl_memory_impl memory_impl = { .destroy = memory_destroy };

static struct neep_wl_memory *host_allocate(struct neep_wl_host *host, size_t size) {
	(void)host;
	size_t rounded = (size + 4095) / 4096 * 4096;
	if (size == 0 || size > (size_t)1 << 24) {
		return NULL;
	}
	struct heap_memory *memory = calloc(1, sizeof(*memory));
	memory->base = (struct neep_wl_memory){
		.impl = &memory_impl, .data = calloc(1, rounded), .size = rounded, .refs = 1
	};
	return &memory->base;
}

static struct fuzz *fuzz_of(struct neep_wl_host *host) {
	return neep_container_of(host, struct fuzz, host);
}

static int host_send(struct neep_wl_host *host, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct fuzz *fuzz = fuzz_of(host);
	static volatile uint8_t sum;
	neep_assert(count <= NEEP_WL_FDS_MAX && len > 0);
	for (size_t i = 0; i < len; i++) {
		sum = (uint8_t)(sum + bytes[i]);
	}
	if (fuzz->is_full) {
		fuzz->is_awaited = true;
		return -EAGAIN;
	}
	for (size_t i = 0; i < count; i++) {
		neep_assert(attachments[i].memory != NULL || fcntl(attachments[i].owned_fd, F_GETFD) >= 0);
		neep_wl_close_fds(&attachments[i].owned_fd, 1);
	}
	return count > 0 && fuzz->refuses_fds ? -ENOTSUP : 0;
}

static void host_set_receiving(struct neep_wl_host *host, bool is_receiving) {
	fuzz_of(host)->is_receiving = is_receiving;
}

static bool host_can_pass(struct neep_wl_host *host, int fd) {
	neep_assert(fcntl(fd, F_GETFD) >= 0);
	return !fuzz_of(host)->refuses_fds;
}

static void host_destroy(struct neep_wl_host *host) {
	fuzz_of(host)->is_destroyed = true;
}

static const struct neep_wl_host_impl host_impl = {
	.name = "fuzz",
	.destroy = host_destroy,
	.send = host_send,
	.set_receiving = host_set_receiving,
	.allocate = host_allocate,
	.can_pass = host_can_pass,
};

static struct neep_wl_host *make_host(void *data, const struct neep_wl_host_listener *listener,
	void *listener_data, struct neep_error *error) {
	struct fuzz *fuzz = data;
	(void)error;
	fuzz->host = (struct neep_wl_host){
		.impl = &host_impl,
		.listener = listener,
		.listener_data = listener_data,
		.takes_dmabufs = true,
		.render_device = 1,
		.blobs_are_memory = fuzz->offers_dmabuf,
		.sends_dmabufs = fuzz->offers_dmabuf,
	};
	return &fuzz->host;
}

/* ---- both ends ---- */

static void from_program(struct fuzz *fuzz, const uint8_t *bytes, size_t len, const int *fds, size_t count) {
	if (fuzz->program >= 0 && len > 0) {
		neep_wl_send_some(fuzz->program, bytes, len, fds, count);
	}
}

static void from_compositor(
	struct fuzz *fuzz, const uint8_t *bytes, size_t len, const int *fds, size_t count) {
	int owned[NEEP_WL_FDS_MAX];
	if (fuzz->client == NULL || !fuzz->is_receiving || (len == 0 && count == 0)) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		owned[i] = neep_fd_dup(fds[i]);
	}
	fuzz->host.listener->received(fuzz->host.listener_data, bytes, len, owned, count);
}

static void settle(struct fuzz *fuzz) {
	uint8_t buf[4096];
	for (int turn = 0; turn < 4; turn++) {
		neep_loop_step(fuzz->loop, 0);
	}
	for (int i = 0; i < 4 && fuzz->program >= 0; i++) {
		struct neep_fds fds = { .count = 0 };
		int64_t got = neep_recv(fuzz->program, buf, sizeof(buf), &fds);
		neep_fds_finish(&fds);
		if (got <= 0) {
			break;
		}
	}
}

/* ---- messages of the right shape ---- */

static struct neep_wl_object *pick(struct fuzz *fuzz, bool of_host) {
	const struct neep_idmap *map =
		of_host ? &fuzz->client->objects.by_host : &fuzz->client->objects.by_client;
	size_t index = neep_reader_u8(&fuzz->in) % (map->count > 0 ? map->count : 1);
	neep_idmap_for_each (link, map) {
		if (index-- == 0) {
			return of_host ? neep_container_of(link, struct neep_wl_object, host_link)
				       : neep_container_of(link, struct neep_wl_object, client_link);
		}
	}
	return NULL;
}

/* An object of that interface, now and then any, or a null. */
static uint32_t pick_id(struct fuzz *fuzz, const struct wl_interface *interface, bool of_host) {
	for (int tries = 0; tries < 8; tries++) {
		const struct neep_wl_object *object = pick(fuzz, of_host);
		if (object != NULL && (tries == 7 || interface == NULL || object->interface == interface)) {
			return of_host ? object->host_id : object->client_id;
		}
	}
	return 0;
}

static uint32_t pick_new_id(struct fuzz *fuzz, bool of_host) {
	uint8_t choice = neep_reader_u8(&fuzz->in);
	if (choice == 255) {
		return neep_reader_u32(&fuzz->in);
	}
	if (of_host) {
		return choice % 4 == 0 ? NEEP_WL_SERVER_IDS : fuzz->next_server_id++;
	}
	return fuzz->next_client_id++;
}

static uint32_t pick_number(struct fuzz *fuzz) {
	uint8_t small = neep_reader_u8(&fuzz->in);
	return small < 240 ? small * (small % 2 == 0 ? 1u : 64u) : neep_reader_u32(&fuzz->in);
}

struct shape {
	struct neep_wl_writer writer;
	int fds[NEEP_WL_ARGS_MAX];
	size_t fd_count;
};

static void write_arg(struct fuzz *fuzz, struct shape *shape, char type, const struct wl_interface *interface,
	bool of_host) {
	char text[256] = { 0 };
	uint8_t len;
	switch (type) {
	case 'o':
		neep_wl_writer_word(&shape->writer, pick_id(fuzz, interface, of_host));
		break;
	case 'n':
		neep_wl_writer_word(&shape->writer, pick_new_id(fuzz, of_host));
		break;
	case 's':
		len = neep_reader_u8(&fuzz->in);
		memset(text, 'a', len);
		neep_wl_writer_string(&shape->writer, text);
		break;
	case 'a':
		len = neep_reader_u8(&fuzz->in);
		neep_reader_copy(&fuzz->in, text, len);
		neep_wl_writer_array(&shape->writer, text, len);
		break;
	case 'h':
		shape->fds[shape->fd_count++] = fuzz->memory_fd;
		break;
	default:
		neep_wl_writer_word(&shape->writer, pick_number(fuzz));
	}
}

static void shaped_message(struct fuzz *fuzz, bool of_host) {
	const struct neep_wl_object *object = pick(fuzz, of_host);
	struct shape shape = { .fd_count = 0 };
	int count = object == NULL ? 0
		    : of_host      ? object->interface->event_count
				   : object->interface->method_count;
	if (count == 0) {
		return;
	}
	int opcode = neep_reader_u8(&fuzz->in) % count;
	const struct wl_message *type =
		of_host ? &object->interface->events[opcode] : &object->interface->methods[opcode];
	neep_wl_writer_begin(&shape.writer, of_host ? object->host_id : object->client_id, (uint32_t)opcode);
	size_t arg = 0;
	for (const char *letter = type->signature; *letter != '\0'; letter++) {
		if (strchr("?0123456789", *letter) == NULL) {
			write_arg(fuzz, &shape, *letter, type->types[arg], of_host);
			arg++;
		}
	}
	int size = neep_wl_writer_end(&shape.writer);
	if (size > 0) {
		(of_host ? from_compositor : from_program)(
			fuzz, shape.writer.data, (size_t)size, shape.fds, shape.fd_count);
	}
}

static void raw_bytes(struct fuzz *fuzz, bool of_host) {
	size_t len = neep_reader_u8(&fuzz->in) % 64;
	const uint8_t *bytes = neep_reader_take(&fuzz->in, len);
	int fds[2] = { fuzz->memory_fd, fuzz->memory_fd };
	if (bytes != NULL) {
		(of_host ? from_compositor : from_program)(fuzz, bytes, len, fds, len % 3);
	}
}

/* ---- linux-dmabuf of the proxy's own ---- */

/* What the proxy has asked for itself. */
static void answer_syncs(struct fuzz *fuzz) {
	uint32_t id = 0;
	neep_idmap_for_each (link, &fuzz->client->objects.by_host) {
		const struct neep_wl_object *object =
			neep_container_of(link, struct neep_wl_object, host_link);
		bool is_asked = object->interface == &wl_callback_interface && object->client_id == 0;
		id = is_asked && !object->is_dead ? object->host_id : id;
	}
	neep_assert(id != 0);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, id, 0);
	neep_wl_writer_word(&writer, 0);
	from_compositor(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
}

static void bind_offer(struct fuzz *fuzz) {
	struct neep_wl_writer writer;
	answer_syncs(fuzz);
	neep_assert(fuzz->client->offer != NULL);
	neep_wl_writer_begin(&writer, fuzz->client->offer->imports.dmabuf->host_id, 1);
	neep_wl_writer_word(&writer, DRM_FORMAT_XRGB8888);
	neep_wl_writer_word(&writer, 0);
	neep_wl_writer_word(&writer, 0);
	from_compositor(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
	neep_assert(fuzz->client->offer->imports.format_count == 1);
	neep_wl_writer_begin(&writer, fuzz->client->offer->shm->host_id, 0);
	neep_wl_writer_word(&writer, WL_SHM_FORMAT_XRGB8888);
	from_compositor(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
	answer_syncs(fuzz);
	for (uint32_t version = 3; version <= 4; version++) {
		fuzz->dmabuf_id = fuzz->next_client_id++;
		neep_wl_writer_begin(&writer, REGISTRY, 0);
		neep_wl_writer_word(&writer, NEEP_WL_OFFER_NAME);
		neep_wl_writer_string(&writer, "zwp_linux_dmabuf_v1");
		neep_wl_writer_word(&writer, version);
		neep_wl_writer_word(&writer, fuzz->dmabuf_id);
		from_program(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
	}
	settle(fuzz);
}

static void send_words(struct fuzz *fuzz, uint32_t id, uint32_t opcode, const uint32_t *words, size_t count) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, id, opcode);
	for (size_t i = 0; i < count; i++) {
		neep_wl_writer_word(&writer, words[i]);
	}
	/* zwp_linux_buffer_params_v1.add is the one with an fd. */
	from_program(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), &fuzz->memory_fd,
		count == 5 && opcode == 1);
}

/* A dma-buf of one plane whose numbers may fit. */
static void share_buffer(struct fuzz *fuzz) {
	uint32_t params = fuzz->next_client_id++, buffer = fuzz->next_client_id++;
	uint32_t offset = pick_number(fuzz), stride = pick_number(fuzz);
	uint32_t width = pick_number(fuzz), height = pick_number(fuzz);
	send_words(fuzz, fuzz->dmabuf_id, 1, &params, 1);
	send_words(fuzz, params, 1, (uint32_t[]){ 0, offset, stride, 0, 0 }, 5);
	send_words(fuzz, params, 3, (uint32_t[]){ buffer, width, height, DRM_FORMAT_XRGB8888, 0 }, 5);
}

/* ---- the script ---- */

static void bind_all(struct fuzz *fuzz) {
	size_t count;
	const struct neep_wl_known *known = neep_wl_policy_table(&count);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, 1, 1);
	neep_wl_writer_word(&writer, REGISTRY);
	from_program(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
	settle(fuzz);
	for (uint32_t name = 0; name < count; name++) {
		const struct wl_interface *interface = known[name].interface;
		uint32_t most = (uint32_t)interface->version;
		uint32_t version = known[name].max_version < most ? known[name].max_version : most;
		neep_wl_writer_begin(&writer, REGISTRY, 0);
		neep_wl_writer_word(&writer, name);
		neep_wl_writer_string(&writer, interface->name);
		neep_wl_writer_word(&writer, version);
		from_compositor(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
	}
	neep_list_for_each (global, &fuzz->client->globals, struct neep_wl_global, link) {
		neep_wl_writer_begin(&writer, REGISTRY, 0);
		neep_wl_writer_word(&writer, global->name);
		neep_wl_writer_string(&writer, global->interface->name);
		neep_wl_writer_word(&writer, global->version);
		neep_wl_writer_word(&writer, fuzz->next_client_id++);
		from_program(fuzz, writer.data, (size_t)neep_wl_writer_end(&writer), NULL, 0);
	}
	settle(fuzz);
	neep_assert(fuzz->client != NULL && fuzz->client->objects.count > count);
}

static void step(struct fuzz *fuzz) {
	uint8_t op = neep_reader_u8(&fuzz->in);
	switch (op % 16) {
	case 0:
		raw_bytes(fuzz, false);
		break;
	case 1:
		raw_bytes(fuzz, true);
		break;
	case 2:
		fuzz->is_full = !fuzz->is_full;
		if (!fuzz->is_full && fuzz->is_awaited) {
			fuzz->is_awaited = false;
			fuzz->host.listener->drained(fuzz->host.listener_data);
		}
		break;
	case 3:
		fuzz->refuses_fds = op >= 0xf0;
		break;
	case 4:
		if (op >= 0xf0) {
			neep_close_fd(&fuzz->program);
		} else if (op >= 0xe0) {
			fuzz->host.listener->closed(fuzz->host.listener_data, NULL);
		}
		break;
	case 5:
	case 6:
	case 7:
		shaped_message(fuzz, true);
		break;
	case 8:
		settle(fuzz);
		break;
	case 15:
		if (fuzz->dmabuf_id != 0) {
			share_buffer(fuzz);
		}
		break;
	default:
		shaped_message(fuzz, false);
	}
	if (op >= 0x80) {
		settle(fuzz);
	}
}

static void client_ended(void *data, struct neep_wl_client *client) {
	struct fuzz *fuzz = data;
	fuzz->client = NULL;
	neep_wl_client_destroy(client);
}

static int next_fd(void) {
	neep_autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd;
}

static void run(struct fuzz *fuzz) {
	static const struct neep_wl_policy policy = {
		.title_prefix = "vm: ",
		.allow = "zwlr_layer_shell_v1,ext_idle_notifier_v1,"
			 "zwp_keyboard_shortcuts_inhibit_manager_v1",
	};
	int fds[2];
	neep_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	fuzz->program = fds[0];
	struct neep_wl_client_params params = {
		.loop = fuzz->loop,
		.policy = &policy,
		.make_host = make_host,
		.make_host_data = fuzz,
		.ended = { .ended = client_ended, .data = fuzz },
	};
	struct neep_error error;
	fuzz->client = neep_wl_client_create(fds[1], &params, &error);
	bind_all(fuzz);
	if (fuzz->offers_dmabuf) {
		bind_offer(fuzz);
	}
	for (int i = 0; i < STEPS_MAX && neep_reader_left(&fuzz->in) > 0 && fuzz->client != NULL; i++) {
		step(fuzz);
	}
	settle(fuzz);
	neep_wl_client_destroy(fuzz->client);
	neep_close_fd(&fuzz->program);
	neep_assert(fuzz->is_destroyed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	neep_log_set_handler(fuzz_ignore_line, NULL);
	int fd_before = next_fd();
	struct fuzz fuzz = {
		.is_receiving = true,
		.offers_dmabuf = size % 2 == 1,
		.next_client_id = 3,
		.next_server_id = NEEP_WL_SERVER_IDS,
	};
	neep_reader_init(&fuzz.in, data, size);
	fuzz.loop = neep_loop_create();
	fuzz.memory_fd = neep_memfd_create("fuzz", 65536);
	run(&fuzz);
	neep_close_fd(&fuzz.memory_fd);
	neep_loop_destroy(fuzz.loop);
	/* The lowest free number is as it was: nothing was left open. */
	neep_assert(next_fd() == fd_before);
	return 0;
}
