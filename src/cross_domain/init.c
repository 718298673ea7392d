#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "cross_domain/cross_domain_internal.h"

struct init {
	uint32_t query_ring;
	uint32_t channel_ring;
	uint32_t channel_type;
	uint32_t version;
	bool has_one_ring;
};

/* The uuid of a socket belongs to channel types that there are none of. */
static struct init read_init(struct neep_reader *in, size_t size) {
	struct init init = { .query_ring = neep_reader_u32(in) };
	init.has_one_ring = size == NEEP_XD_INIT_LEGACY_SIZE;
	init.channel_ring = init.has_one_ring ? init.query_ring : neep_reader_u32(in);
	init.channel_type = neep_reader_u32(in);
	init.version = size == NEEP_XD_INIT_VERSION_SIZE ? neep_reader_u32(in) : 0;
	return init;
}

static struct neep_resource *find_ring(const struct neep_xd_context *context, uint32_t resource_id) {
	struct neep_resource *resource = neep_xd_attached(context, resource_id);
	return neep_xd_is_ring(resource) ? resource : NULL;
}

static int connect_channel(struct neep_xd_context *context, uint32_t channel_type) {
	const char *name = neep_xd_channel_name(channel_type);
	const char *path = neep_xd_channel_path(context->xd, channel_type);
	if (path == NULL) {
		neep_xd_tell(context,
			"a guest program wants to connect to %s, and no socket for it is known: %s", name,
			channel_type == RUTABAGA_CHANNEL_TYPE_WAYLAND
				? "set WAYLAND_DISPLAY and XDG_RUNTIME_DIR, or --wayland-socket-path"
				: "set its option of the device");
		return -ENOENT;
	}
	int rc = neep_xd_channel_connect(context, path);
	if (rc < 0) {
		neep_xd_tell(
			context, "cannot connect a guest program to %s at %s: %s", name, path, strerror(-rc));
	}
	return rc;
}

static int set_up(struct neep_xd_context *context, const struct init *init) {
	context->query_ring = find_ring(context, init->query_ring);
	if (init->channel_type == NEEP_XD_CHANNEL_NONE) {
		return context->query_ring != NULL ? 0 : -EINVAL;
	}
	/* Set first: it is there that a failure is told. */
	context->channel_ring = find_ring(context, init->channel_ring);
	if (context->query_ring == NULL || context->channel_ring == NULL) {
		return -EINVAL;
	}
	if (context->query_ring == context->channel_ring && !init->has_one_ring) {
		return -EINVAL;
	}
	context->knows_extensions = init->version >= NEEP_XD_VERSION_EXTENSIONS;
	if (context->knows_extensions) {
		uint64_t size = context->channel_ring->backing.size;
		context->message_max = size < NEEP_XD_MESSAGE_MAX ? (size_t)size : NEEP_XD_MESSAGE_MAX;
	}
	return connect_channel(context, init->channel_type);
}

int neep_xd_init(struct neep_xd_context *context, struct neep_reader *in, size_t size) {
	struct init init = read_init(in, size);
	if (!neep_reader_ok(in) || context->state != NEEP_XD_NEW) {
		return -EINVAL;
	}
	context->state = NEEP_XD_READY;
	int rc = set_up(context, &init);
	if (rc < 0) {
		neep_xd_context_kill(context);
	}
	return rc;
}
