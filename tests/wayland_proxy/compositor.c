#include "wayland_proxy/compositor.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "util/fd.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/offer.h"
#include "wayland/viewporter-protocol.h"
#include "wayland/wayland-protocol.h"
#include "wayland/xdg-shell-protocol.h"
#include "wayland_proxy/timelines.h"

/* ---- the host ---- */

static struct compositor *compositor_from_base(struct neep_wl_host *host) {
	return neep_container_of(host, struct compositor, base);
}

struct test_memory {
	struct neep_wl_memory base;
	struct compositor *compositor;
};

static void memory_destroy(struct neep_wl_memory *memory) {
	struct test_memory *mine = neep_container_of(memory, struct test_memory, base);
	mine->compositor->memories--;
	free(memory->data);
	free(mine);
}

static const struct neep_wl_memory_impl memory_impl = { .destroy = memory_destroy };

#define SIZE_CLASS ((size_t)16384)

static struct neep_wl_memory *host_allocate(struct neep_wl_host *host, size_t size) {
	struct compositor *compositor = compositor_from_base(host);
	if (compositor->has_no_memory) {
		return NULL;
	}
	size = (size / SIZE_CLASS + 1) * SIZE_CLASS;
	struct test_memory *memory = calloc(1, sizeof(*memory));
	memory->base = (struct neep_wl_memory){ &memory_impl, calloc(1, size), size, 1 };
	memory->compositor = compositor;
	compositor->allocations++;
	compositor->memories++;
	return &memory->base;
}

static struct neep_wl_memory *host_import(struct neep_wl_host *host, int fd) {
	struct compositor *compositor = compositor_from_base(host);
	struct stat st;
	struct test_memory *memory = compositor->imports_fds ? calloc(1, sizeof(*memory)) : NULL;
	if (memory == NULL) {
		return NULL;
	}
	assert_int_equal(fstat(fd, &st), 0);
	memory->base = (struct neep_wl_memory){ &memory_impl, NULL, (size_t)st.st_size, 1 };
	memory->compositor = compositor;
	compositor->memories++;
	return &memory->base;
}

static bool host_can_pass(struct neep_wl_host *host, int fd) {
	(void)fd;
	return compositor_from_base(host)->passes_fds;
}

static void host_set_receiving(struct neep_wl_host *host, bool is_receiving) {
	(void)host;
	(void)is_receiving;
}

/* ---- what the proxy says ---- */

static struct thing *thing_of(struct compositor *compositor, uint32_t id) {
	if (id >= NEEP_WL_SERVER_IDS) {
		assert_true(id - NEEP_WL_SERVER_IDS < SERVERS_THINGS);
		return &compositor->servers_things[id - NEEP_WL_SERVER_IDS];
	}
	assert_true(id > 0 && id < THINGS);
	return &compositor->things[id];
}

static void free_thing(struct thing *thing) {
	neep_wl_memory_unref(thing->memory);
	if (thing->pool_fd >= 0) {
		close(thing->pool_fd);
	}
	*thing = (struct thing){ .pool_fd = -1 };
}

static void drop_thing(struct compositor *compositor, uint32_t id) {
	free_thing(thing_of(compositor, id));
}

static void run_task(struct neep_task *task) {
	struct compositor *compositor = neep_container_of(task, struct compositor, task);
	size_t len = compositor->event_len, fd_count = compositor->event_fd_count;
	compositor->event_len = compositor->event_fd_count = 0;
	compositor->base.listener->received(
		compositor->base.listener_data, compositor->events, len, compositor->event_fds, fd_count);
}

static void send_event(struct compositor *compositor, struct neep_wl_writer *writer, int owned_fd) {
	int size = neep_wl_writer_end(writer);
	assert_true(size > 0 && compositor->event_len + (size_t)size <= sizeof(compositor->events));
	memcpy(compositor->events + compositor->event_len, writer->data, (size_t)size);
	compositor->event_len += (size_t)size;
	if (owned_fd >= 0) {
		assert_true(compositor->event_fd_count < NEEP_ARRAY_LEN(compositor->event_fds));
		compositor->event_fds[compositor->event_fd_count++] = owned_fd;
	}
	neep_task_queue(compositor->loop, &compositor->task);
}

static void send_delete_id(struct compositor *compositor, uint32_t id) {
	struct neep_wl_writer writer;
	if (id >= NEEP_WL_SERVER_IDS) {
		return;
	}
	neep_wl_writer_begin(&writer, 1, WL_DISPLAY_DELETE_ID);
	neep_wl_writer_word(&writer, id);
	send_event(compositor, &writer, -1);
}

static const struct wl_interface *const globals[] = {
	&wl_compositor_interface,
	&wl_shm_interface,
	&wp_viewporter_interface,
	&zwp_linux_dmabuf_v1_interface,
	&wl_seat_interface,
	&wl_data_device_manager_interface,
	&wl_subcompositor_interface,
	&xdg_wm_base_interface,
};

static void send_globals(struct compositor *compositor, uint32_t registry) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(globals); i++) {
		struct neep_wl_writer writer;
		if (globals[i] == &zwp_linux_dmabuf_v1_interface && !compositor->has_dmabuf) {
			continue;
		}
		neep_wl_writer_begin(&writer, registry, WL_REGISTRY_GLOBAL);
		neep_wl_writer_word(&writer, (uint32_t)i);
		neep_wl_writer_string(&writer, globals[i]->name);
		neep_wl_writer_word(&writer, (uint32_t)globals[i]->version);
		send_event(compositor, &writer, -1);
	}
}

static void answer_sync(struct compositor *compositor, uint32_t id) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, id, WL_CALLBACK_DONE);
	neep_wl_writer_word(&writer, 0);
	send_event(compositor, &writer, -1);
	drop_thing(compositor, id);
	send_delete_id(compositor, id);
}

static const uint32_t formats[] = { WL_SHM_FORMAT_ARGB8888, WL_SHM_FORMAT_XRGB8888, WL_SHM_FORMAT_RGB565,
	WL_SHM_FORMAT_NV12 };

static void send_formats(struct compositor *compositor, uint32_t id) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(formats); i++) {
		struct neep_wl_writer writer;
		neep_wl_writer_begin(&writer, id, WL_SHM_FORMAT);
		neep_wl_writer_word(&writer, formats[i]);
		send_event(compositor, &writer, -1);
	}
}

/* With another modifier, and another format, beside what is of use. */
static void send_modifiers(struct compositor *compositor, uint32_t id) {
	static const uint32_t words[][3] = {
		{ DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_LINEAR },
		{ DRM_FORMAT_ARGB8888, UINT32_C(0x01000000), 1 },
		{ DRM_FORMAT_ABGR2101010, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_LINEAR },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(words); i++) {
		struct neep_wl_writer writer;
		neep_wl_writer_begin(&writer, id, ZWP_LINUX_DMABUF_V1_MODIFIER);
		for (size_t j = 0; j < 3; j++) {
			neep_wl_writer_word(&writer, words[i][j]);
		}
		send_event(compositor, &writer, -1);
	}
}

uint32_t rig_new_import(struct compositor *compositor) {
	uint32_t id = NEEP_WL_SERVER_IDS + compositor->servers_made++;
	thing_of(compositor, id)->interface = &wl_buffer_interface;
	return id;
}

/* zwp_linux_buffer_params_v1.create: width, height, format, flags */
static void import(struct compositor *compositor, uint32_t params, const struct neep_wl_message *message) {
	compositor->imports++;
	compositor->import_params = params;
	if (compositor->import == IMPORT_NO_ANSWER) {
		return;
	}
	bool is_created = compositor->import == IMPORT_CREATED;
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, params,
		is_created ? ZWP_LINUX_BUFFER_PARAMS_V1_CREATED : ZWP_LINUX_BUFFER_PARAMS_V1_FAILED);
	if (is_created) {
		uint32_t id = rig_new_import(compositor);
		struct thing *buffer = thing_of(compositor, id);
		buffer->width = (int32_t)message->args[0].value;
		buffer->height = (int32_t)message->args[1].value;
		buffer->format = message->args[2].value;
		buffer->offset = thing_of(compositor, params)->offset;
		buffer->stride = thing_of(compositor, params)->stride;
		neep_wl_writer_word(&writer, id);
	}
	send_event(compositor, &writer, -1);
}

/* fd, plane_idx, offset, stride, modifier_hi, modifier_lo */
static void add_plane(struct thing *params, const struct neep_wl_message *message,
	const struct neep_wl_attachment *attachment) {
	assert_true(attachment->is_dmabuf);
	assert_int_equal(params->pool_fd, -1);
	params->pool_fd = attachment->owned_fd;
	assert_int_equal(message->args[1].value, 0);
	params->offset = (int32_t)message->args[2].value;
	params->stride = (int32_t)message->args[3].value;
	assert_int_equal(message->args[4].value | message->args[5].value, DRM_FORMAT_MOD_LINEAR);
}

static void make_things(struct compositor *compositor, const struct neep_wl_message *message) {
	for (size_t i = 0; i < message->arg_count; i++) {
		const struct neep_wl_arg *arg = &message->args[i];
		if (arg->type != 'n') {
			continue;
		}
		struct thing *thing = thing_of(compositor, arg->value);
		assert_null(thing->interface);
		thing->interface = arg->interface != NULL ? arg->interface : globals[message->args[0].value];
	}
}

static void make_buffer(
	struct compositor *compositor, const struct thing *pool, const struct neep_wl_message *message) {
	struct thing *buffer = thing_of(compositor, message->args[0].value);
	buffer->offset = (int32_t)message->args[1].value;
	buffer->width = (int32_t)message->args[2].value;
	buffer->height = (int32_t)message->args[3].value;
	buffer->stride = (int32_t)message->args[4].value;
	buffer->format = message->args[5].value;
	if (pool->memory != NULL) {
		assert_true((size_t)buffer->offset + (size_t)buffer->stride * (size_t)buffer->height <=
			    pool->memory->size);
		buffer->memory = neep_wl_memory_ref(pool->memory);
	}
}

static void make_pool(struct compositor *compositor, const struct neep_wl_message *message,
	const struct neep_wl_attachment *attachment) {
	struct thing *pool = thing_of(compositor, message->args[0].value);
	compositor->pools++;
	if (attachment->memory != NULL) {
		assert_true(message->args[2].value <= attachment->memory->size);
		pool->memory = neep_wl_memory_ref(attachment->memory);
	} else {
		pool->pool_fd = attachment->owned_fd;
	}
}

static void remember(struct compositor *compositor, uint32_t id, const char *name) {
	const struct neep_wl_client *client = compositor->rig->client;
	const struct neep_wl_object *object =
		client != NULL ? neep_wl_objects_by_host(&client->objects, id) : NULL;
	size_t at = compositor->heard_count++;
	if (at < HEARD) {
		compositor->heard[at].id = object != NULL ? object->client_id : 0;
		compositor->heard[at].name = name;
	}
}

/* Handles a request. Returns how many attachments it took. */
static size_t obey(struct compositor *compositor, uint32_t id, const struct neep_wl_message *message,
	const struct neep_wl_attachment *attachments) {
	struct thing *thing = thing_of(compositor, id);
	const char *name = message->type->name;
	make_things(compositor, message);
	remember(compositor, id, name);
	if (strcmp(name, "sync") == 0) {
		answer_sync(compositor, message->args[0].value);
	} else if (strcmp(name, "bind") == 0 && globals[message->args[0].value] == &wl_shm_interface) {
		send_formats(compositor, message->args[3].value);
	} else if (strcmp(name, "bind") == 0 &&
		   globals[message->args[0].value] == &zwp_linux_dmabuf_v1_interface) {
		send_modifiers(compositor, message->args[3].value);
	} else if (strcmp(name, "add") == 0 && thing->interface == &zwp_linux_buffer_params_v1_interface) {
		add_plane(thing, message, attachments);
	} else if (strcmp(name, "create") == 0) {
		import(compositor, id, message);
	} else if (strcmp(name, "get_registry") == 0) {
		send_globals(compositor, message->args[0].value);
	} else if (strcmp(name, "create_pool") == 0) {
		make_pool(compositor, message, attachments);
	} else if (strcmp(name, "resize") == 0) {
		compositor->resizes++;
	} else if (strcmp(name, "create_buffer") == 0) {
		make_buffer(compositor, thing, message);
	} else if (strcmp(name, "attach") == 0) {
		thing->pending = message->args[0].value;
		assert_true(thing->pending == 0 ||
			    thing_of(compositor, thing->pending)->interface == &wl_buffer_interface);
	} else if (strcmp(name, "commit") == 0) {
		thing->current = thing->pending;
		thing->commits++;
		compositor->last_surface = id;
	} else if (strcmp(name, "destroy") == 0) {
		drop_thing(compositor, id);
		if (id < NEEP_WL_SERVER_IDS) {
			send_delete_id(compositor, id);
		}
	}
	return message->fd_count;
}

static int host_send(struct neep_wl_host *host, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct compositor *compositor = compositor_from_base(host);
	if (compositor->is_full) {
		return -EAGAIN;
	}
	assert_true(compositor->partial_len + len <= sizeof(compositor->partial));
	memcpy(compositor->partial + compositor->partial_len, bytes, len);
	compositor->partial_len += len;
	uint8_t *at = compositor->partial;
	uint32_t id, opcode;
	size_t taken = 0;
	int size;
	while ((size = neep_wl_message_size(at, compositor->partial_len, &id, &opcode)) > 0 &&
		(size_t)size <= compositor->partial_len) {
		const struct wl_interface *interface = thing_of(compositor, id)->interface;
		struct neep_wl_message message;
		assert_non_null(interface);
		assert_true(opcode < (uint32_t)interface->method_count);
		assert_int_equal(
			neep_wl_message_parse(&message, &interface->methods[opcode], at, (uint32_t)size), 0);
		assert_true(taken + message.fd_count <= count);
		taken += obey(compositor, id, &message, attachments + taken);
		at += size;
		compositor->partial_len -= (size_t)size;
	}
	assert_int_equal(taken, count);
	memmove(compositor->partial, at, compositor->partial_len);
	return 0;
}

static void host_destroy(struct neep_wl_host *host) {
	struct compositor *compositor = compositor_from_base(host);
	for (size_t i = 0; i < THINGS; i++) {
		free_thing(&compositor->things[i]);
	}
	neep_task_cancel(&compositor->task);
	// Nothing of the proxy's may be left.
	assert_int_equal(compositor->memories, 0);
	free(compositor);
}

static const struct neep_wl_host_impl host_impl = {
	.name = "test",
	.destroy = host_destroy,
	.send = host_send,
	.set_receiving = host_set_receiving,
	.allocate = host_allocate,
	.can_pass = host_can_pass,
	.import = host_import,
};

static struct neep_wl_host *make_host(void *data, const struct neep_wl_host_listener *listener,
	void *listener_data, struct neep_error *error) {
	(void)error;
	struct rig *rig = data;
	struct compositor *compositor = calloc(1, sizeof(*compositor));
	compositor->base = (struct neep_wl_host){
		.impl = &host_impl, .listener = listener, .listener_data = listener_data
	};
	for (size_t i = 0; i < THINGS; i++) {
		compositor->things[i].pool_fd = -1;
	}
	for (size_t i = 0; i < SERVERS_THINGS; i++) {
		compositor->servers_things[i].pool_fd = -1;
	}
	if (rig->dmabufs != NULL) {
		compositor->base.takes_dmabufs = true;
		compositor->base.render_device = rig->dmabufs->render_device;
		compositor->base.blobs_are_memory = rig->dmabufs->are_memory;
		compositor->passes_fds = rig->dmabufs->are_memory;
		compositor->has_dmabuf = rig->dmabufs->has_global;
		compositor->base.sends_dmabufs = rig->dmabufs->are_sent;
		compositor->import = rig->dmabufs->import;
		rig->policy.deny = rig->dmabufs->deny;
		compositor->timelines = rig->dmabufs->timelines;
		compositor->base.timelines = compositor->timelines != NULL ? &timelines_impl : NULL;
	}
	compositor->things[1].interface = &wl_display_interface;
	compositor->loop = rig->loop;
	compositor->task.run = run_task;
	compositor->rig = rig;
	rig->compositor = compositor;
	return &compositor->base;
}

/* ---- the rig ---- */

static void on_ended(void *data, struct neep_wl_client *client) {
	struct rig *rig = data;
	rig->has_ended = true;
	rig->client = NULL;
	rig->compositor = NULL;
	neep_wl_client_destroy(client);
}

void rig_bind(struct rig *rig, const struct rig_binding *binding, uint32_t id) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, REGISTRY, 0);
	neep_wl_writer_word(&writer, binding->name);
	neep_wl_writer_string(&writer, binding->interface);
	neep_wl_writer_word(&writer, binding->version);
	neep_wl_writer_word(&writer, id);
	int size = neep_wl_writer_end(&writer);
	assert_int_equal(write(rig->socket, writer.data, (size_t)size), size);
}

/* wl_compositor in the version of wl_surface.damage_buffer. */
static void bind_global(struct rig *rig, uint32_t name, uint32_t id) {
	uint32_t version = globals[name] == &wl_compositor_interface ? 4 : 1;
	rig_bind(rig, &(struct rig_binding){ name, globals[name]->name, version }, id);
}

void rig_start(struct rig *rig) {
	rig_start_with_dmabufs(rig, NULL);
}

void rig_start_with_dmabufs(struct rig *rig, const struct rig_dmabufs *dmabufs) {
	memset(rig, 0, sizeof(*rig));
	rig->dmabufs = dmabufs;
	rig->loop = neep_loop_create();
	assert_non_null(rig->loop);
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	rig->socket = fds[0];
	rig->next_id = FIRST_FREE;
	struct neep_error error = { 0 };
	rig->client = neep_wl_client_create(fds[1],
		&(struct neep_wl_client_params){
			.loop = rig->loop,
			.policy = &rig->policy,
			.make_host = make_host,
			.make_host_data = rig,
			.ended = { on_ended, rig },
		},
		&error);
	assert_non_null(rig->client);
	rig_send(rig, DISPLAY, 1, REGISTRY);
	rig_settle(rig);
	bind_global(rig, 0, COMPOSITOR);
	bind_global(rig, 1, SHM);
	bind_global(rig, 2, VIEWPORTER);
	rig_settle(rig);
	assert_false(rig->has_ended);
}

void rig_stop(struct rig *rig) {
	close(rig->socket);
	for (int i = 0; i < 100 && !rig->has_ended; i++) {
		assert_int_equal(neep_loop_step(rig->loop, 10), 0);
	}
	assert_true(rig->has_ended);
	neep_loop_destroy(rig->loop);
	for (size_t i = 0; i < rig->event_fd_count; i++) {
		close(rig->event_fds[i]);
	}
}

static bool take_events(struct rig *rig) {
	struct neep_fds fds = { 0 };
	int64_t len = neep_recv(
		rig->socket, rig->events + rig->event_len, sizeof(rig->events) - rig->event_len, &fds);
	for (size_t i = 0; i < fds.count; i++) {
		assert_true(rig->event_fd_count < NEEP_ARRAY_LEN(rig->event_fds));
		rig->event_fds[rig->event_fd_count++] = neep_fds_take(&fds, i);
	}
	rig->event_len += len > 0 ? (size_t)len : 0;
	return len > 0;
}

void rig_settle(struct rig *rig) {
	for (int quiet = 0; quiet < 5; quiet++) {
		assert_int_equal(neep_loop_step(rig->loop, 0), 0);
		if (take_events(rig)) {
			quiet = -1;
		}
	}
}

void rig_send_fd(struct rig *rig, int fd, uint32_t id, uint32_t opcode, size_t count, const uint32_t *words) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, id, opcode);
	for (size_t i = 0; i < count; i++) {
		neep_wl_writer_word(&writer, words[i]);
	}
	int size = neep_wl_writer_end(&writer);
	struct neep_send send = {
		.buf = writer.data, .len = (size_t)size, .fds = &fd, .fd_count = fd >= 0 ? 1 : 0
	};
	// A client that was ended no longer has anybody to talk to.
	int result = neep_send_all(rig->socket, &send);
	assert_true(result == 0 || rig->has_ended);
}

void rig_event(struct rig *rig, uint32_t host_id, uint32_t opcode, int owned_fd, size_t count,
	const uint32_t *words) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, host_id, opcode);
	for (size_t i = 0; i < count; i++) {
		neep_wl_writer_word(&writer, words[i]);
	}
	send_event(rig->compositor, &writer, owned_fd);
	rig_settle(rig);
}

void rig_make(struct rig *rig, uint32_t host_id, uint32_t opcode, const struct rig_making *making) {
	uint32_t id = NEEP_WL_SERVER_IDS + making->number;
	thing_of(rig->compositor, id)->interface = making->interface;
	rig_event(rig, host_id, opcode, -1, 1, &id);
}

uint32_t rig_host_id(const struct rig *rig, uint32_t id) {
	const struct neep_wl_object *object = neep_wl_objects_by_client(&rig->client->objects, id);
	return object != NULL ? object->host_id : 0;
}

struct thing *rig_thing(const struct rig *rig, uint32_t id) {
	uint32_t host_id = rig_host_id(rig, id);
	return host_id != 0 ? thing_of(rig->compositor, host_id) : NULL;
}

const uint32_t *rig_next_event(
	const struct rig *rig, const uint32_t *last, uint32_t object_id, uint32_t opcode) {
	const uint8_t *at = last != NULL ? (const uint8_t *)last - NEEP_WL_HEADER_SIZE : NULL;
	size_t offset = at != NULL ? (size_t)(at - rig->events) : 0;
	bool is_first = last == NULL;
	uint32_t id, found;
	int size;
	while ((size = neep_wl_message_size(rig->events + offset, rig->event_len - offset, &id, &found)) >
		0) {
		if (is_first && id == object_id && found == opcode) {
			return (const uint32_t *)(const void *)(rig->events + offset + NEEP_WL_HEADER_SIZE);
		}
		is_first = true;
		offset += (size_t)size;
	}
	return NULL;
}

int rig_error(const struct rig *rig, uint32_t *id) {
	const uint32_t *words = rig_next_event(rig, NULL, DISPLAY, WL_DISPLAY_ERROR);
	if (words == NULL) {
		return -1;
	}
	*id = words[0];
	return (int)words[1];
}

uint32_t rig_deleted(const struct rig *rig, uint32_t id) {
	uint32_t count = 0;
	for (const uint32_t *words = rig_next_event(rig, NULL, DISPLAY, WL_DISPLAY_DELETE_ID); words != NULL;
		words = rig_next_event(rig, words, DISPLAY, WL_DISPLAY_DELETE_ID)) {
		count += words[0] == id;
	}
	return count;
}

size_t rig_heard(const struct rig *rig, uint32_t id, const char *name, size_t count) {
	const struct compositor *compositor = rig->compositor;
	for (size_t i = 0; i < compositor->heard_count && i < HEARD; i++) {
		bool is_it = compositor->heard[i].id == id && strcmp(compositor->heard[i].name, name) == 0;
		if (is_it && --count == 0) {
			return i + 1;
		}
	}
	return 0;
}

void rig_drain(struct rig *rig) {
	struct neep_wl_host *host = &rig->compositor->base;
	rig->compositor->is_full = false;
	host->listener->drained(host->listener_data);
	rig_settle(rig);
}

void rig_release(struct rig *rig, uint32_t host_id) {
	if (host_id != 0 && thing_of(rig->compositor, host_id)->interface == &wl_buffer_interface) {
		rig_event(rig, host_id, WL_BUFFER_RELEASE, -1, 0, NULL);
	}
}

/* ---- requests ---- */

uint32_t rig_create_pool(struct rig *rig, int fd, int32_t size) {
	uint32_t id = rig->next_id++;
	rig_send_fd(rig, fd, SHM, 0, 2, (uint32_t[]){ id, (uint32_t)size });
	return id;
}

uint32_t rig_create_buffer(struct rig *rig, const struct buffer_params *params) {
	uint32_t id = rig->next_id++;
	rig_send(rig, params->pool, 0, id, (uint32_t)params->offset, (uint32_t)params->width,
		(uint32_t)params->height, (uint32_t)params->stride, params->format);
	return id;
}

uint32_t rig_create_surface(struct rig *rig) {
	uint32_t id = rig->next_id++;
	rig_send(rig, COMPOSITOR, 0, id);
	return id;
}

void rig_attach(struct rig *rig, uint32_t surface, uint32_t buffer) {
	rig_send(rig, surface, 1, buffer, 0, 0);
}

void rig_damage(struct rig *rig, uint32_t surface, int32_t x, int32_t y, int32_t width, int32_t height) {
	rig_send(rig, surface, 2, (uint32_t)x, (uint32_t)y, (uint32_t)width, (uint32_t)height);
}

void rig_damage_buffer(
	struct rig *rig, uint32_t surface, int32_t x, int32_t y, int32_t width, int32_t height) {
	rig_send(rig, surface, 9, (uint32_t)x, (uint32_t)y, (uint32_t)width, (uint32_t)height);
}

void rig_commit(struct rig *rig, uint32_t surface) {
	rig_send(rig, surface, 6);
}

void rig_show(struct rig *rig, uint32_t surface, uint32_t buffer) {
	rig_attach(rig, surface, buffer);
	rig_damage_buffer(rig, surface, 0, 0, RIG_WIDTH, RIG_HEIGHT);
	rig_commit(rig, surface);
	rig_settle(rig);
}

void rig_destroy(struct rig *rig, uint32_t id, uint32_t opcode) {
	rig_send(rig, id, opcode);
}

uint32_t rig_count_announced(const struct rig *rig, uint32_t name, const char *interface, uint32_t *version) {
	uint32_t count = 0;
	for (const uint32_t *words = rig_next_event(rig, NULL, REGISTRY, WL_REGISTRY_GLOBAL); words != NULL;
		words = rig_next_event(rig, words, REGISTRY, WL_REGISTRY_GLOBAL)) {
		if (words[0] == name && strcmp((const char *)&words[2], interface) == 0) {
			count++;
			*version = words[2 + strlen(interface) / 4 + 1];
		}
	}
	return count;
}

/* ---- linux-dmabuf ---- */

uint32_t rig_bind_dmabuf(struct rig *rig, uint32_t version) {
	uint32_t id = rig->next_id++;
	rig_bind(rig, &(struct rig_binding){ NEEP_WL_OFFER_NAME, "zwp_linux_dmabuf_v1", version }, id);
	return id;
}

int rig_make_memory(size_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

uint32_t rig_create_params(struct rig *rig) {
	uint32_t dmabuf = rig_bind_dmabuf(rig, 4), id = rig->next_id++;
	rig_send(rig, dmabuf, CREATE_PARAMS, id);
	return id;
}

void rig_add_plane(struct rig *rig, uint32_t params, const struct rig_plane *plane) {
	rig_send_fd(rig, plane->fd, params, ADD, 5,
		(uint32_t[]){ plane->index, plane->offset, plane->stride, (uint32_t)(plane->modifier >> 32),
			(uint32_t)plane->modifier });
}

uint32_t rig_create_immed(struct rig *rig, uint32_t params, int32_t width, int32_t height) {
	uint32_t id = rig->next_id++;
	rig_send(rig, params, CREATE_IMMED, id, (uint32_t)width, (uint32_t)height, DRM_FORMAT_XRGB8888, 0);
	return id;
}

uint32_t rig_create_dmabuf(struct rig *rig, int fd, uint32_t offset) {
	uint32_t params = rig_create_params(rig);
	rig_add_plane(rig, params, &(struct rig_plane){ .fd = fd, .offset = offset, .stride = RIG_STRIDE });
	uint32_t buffer = rig_create_immed(rig, params, RIG_WIDTH, RIG_HEIGHT);
	rig_destroy(rig, params, PARAMS_DESTROY);
	rig_settle(rig);
	assert_false(rig->has_ended);
	assert_int_equal(rig_deleted(rig, params), 1);
	return buffer;
}
