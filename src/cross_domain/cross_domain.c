/* Capability set 5: guests talk to sockets of the host, as a component. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include "cross_domain/cross_domain_internal.h"
#include "util/udmabuf.h"

/* Handled at a time; the kernel brings the others next. */
#define EVENTS_MAX 32
/* Where the system does not say how many fds there are. */
#define FDS_UNKNOWN 1024
/* Of renderer_features, and of the environment for those who start the device through others. */
#define NO_UDMABUF_WORD     "no-udmabuf"
#define NO_UDMABUF_VARIABLE "NEEP_NO_UDMABUF"

static const struct channel_type {
	uint32_t type;
	const char *name;
} channel_types[] = {
	{ RUTABAGA_CHANNEL_TYPE_WAYLAND, "Wayland" },
	{ RUTABAGA_CHANNEL_TYPE_PIPEWIRE, "PipeWire" },
	{ RUTABAGA_CHANNEL_TYPE_X11, "X11" },
};

static struct neep_xd *xd_from_base(struct neep_component *base) {
	neep_assert(base->impl == &neep_cross_domain_impl);
	return neep_container_of(base, struct neep_xd, base);
}

static const struct channel_type *find_type(uint32_t type) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(channel_types); i++) {
		if (channel_types[i].type == type) {
			return &channel_types[i];
		}
	}
	return NULL;
}

const char *neep_xd_channel_name(uint32_t channel_type) {
	const struct channel_type *known = find_type(channel_type);
	return known != NULL ? known->name : "a service of an unknown kind";
}

const char *neep_xd_channel_path(const struct neep_xd *xd, uint32_t channel_type) {
	for (size_t i = 0; i < xd->channel_count && find_type(channel_type) != NULL; i++) {
		if (xd->channels[i].channel_type == channel_type) {
			return xd->channels[i].channel_name;
		}
	}
	return NULL;
}

bool neep_xd_take_fds(struct neep_xd *xd, size_t count) {
	if (count > xd->budget.fds_max - xd->budget.fds) {
		return false;
	}
	xd->budget.fds += count;
	return true;
}

void neep_xd_put_fds(struct neep_xd *xd, size_t count) {
	xd->budget.fds -= count;
}

int neep_xd_watch_room(struct neep_xd *xd, uint32_t ctx_id, uint32_t id, int fd) {
	struct epoll_event event = { .events = EPOLLOUT, .data.u64 = NEEP_XD_TOKEN(ctx_id, id) };
	return epoll_ctl(xd->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void neep_xd_unwatch_room(struct neep_xd *xd, int fd) {
	(void)epoll_ctl(xd->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static int xd_capset_info(struct neep_component *base, uint32_t capset_id, struct neep_capset_info *info) {
	(void)base;
	(void)capset_id;
	*info = (struct neep_capset_info){
		.max_version = 0,
		.max_size = NEEP_XD_CAPSET_WORDS * sizeof(uint32_t),
	};
	return 0;
}

/* Guests without extensions are told of no dma-bufs: they would ask for them where wl_shm, which every compositor has, does as
 * well. Those of other contexts pass all the same. */
static int xd_capset(
	struct neep_component *base, uint32_t capset_id, uint32_t version, uint8_t *data, size_t size) {
	const struct neep_xd *xd = xd_from_base(base);
	uint32_t words[NEEP_XD_CAPSET_WORDS] = {
		[NEEP_XD_CAPSET_VERSION] = 1,
		[NEEP_XD_CAPSET_EXTENSIONS] = NEEP_XD_EXTENSION_FLOW | NEEP_XD_EXTENSION_LONG_MESSAGES |
					      NEEP_XD_EXTENSION_FILES | NEEP_XD_EXTENSION_GUEST_FILES |
					      (xd->udmabuf_fd >= 0 ? NEEP_XD_EXTENSION_DMABUFS : 0),
	};
	(void)capset_id;
	(void)version;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(channel_types); i++) {
		if (neep_xd_channel_path(xd, channel_types[i].type) != NULL) {
			words[NEEP_XD_CAPSET_CHANNELS] |= UINT32_C(1) << channel_types[i].type;
		}
	}
	memcpy(data, words, size < sizeof(words) ? size : sizeof(words));
	return 0;
}

static int xd_create_context(struct neep_component *base, const struct neep_context_params *params,
	struct neep_context **context) {
	return neep_xd_context_create(xd_from_base(base), params, context);
}

static int xd_event_fd(struct neep_component *base) {
	return xd_from_base(base)->epoll_fd;
}

static void dispatch_lingering(struct neep_xd *xd, uint32_t id) {
	struct neep_idmap_link *link = neep_idmap_find(&xd->lingering, id);
	if (link != NULL) {
		neep_xd_pipe_flush(neep_container_of(link, struct neep_xd_pipe, item.link));
	}
}

/* What an event is about may be gone: what came before it may have ended it. */
static void dispatch_context(struct neep_xd_context *context, uint32_t id) {
	if (id == NEEP_XD_TOKEN_READ) {
		neep_xd_context_read(context);
		return;
	}
	if (id == NEEP_XD_TOKEN_SOCKET) {
		neep_xd_channel_flush(context);
		return;
	}
	struct neep_xd_item *item = neep_xd_item_of(context, id, NEEP_XD_WRITE_PIPE);
	if (item != NULL) {
		neep_xd_pipe_flush(neep_container_of(item, struct neep_xd_pipe, item));
	}
}

static void dispatch_event(struct neep_xd *xd, uint64_t token) {
	uint32_t ctx_id = (uint32_t)(token >> 32);
	if (token == NEEP_XD_TOKEN_RETRY) {
		neep_xd_connect_retry(xd);
		return;
	}
	if (ctx_id == 0) {
		dispatch_lingering(xd, (uint32_t)token);
		return;
	}
	struct neep_idmap_link *link = neep_idmap_find(&xd->contexts, ctx_id);
	if (link != NULL) {
		dispatch_context(neep_container_of(link, struct neep_xd_context, link), (uint32_t)token);
	}
}

static void xd_dispatch(struct neep_component *base) {
	struct neep_xd *xd = xd_from_base(base);
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(xd->epoll_fd, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++) {
		dispatch_event(xd, events[i].data.u64);
	}
}

/* Half of what the process may have: the rest is for resources and everything else. */
static size_t fd_limit(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
		return FDS_UNKNOWN;
	}
	return (size_t)limit.rlim_cur / 2;
}

static void xd_free(struct neep_xd *xd) {
	neep_idmap_finish(&xd->lingering);
	neep_idmap_finish(&xd->contexts);
	neep_close_fd(&xd->udmabuf_fd);
	neep_close_fd(&xd->retry_fd);
	neep_close_fd(&xd->epoll_fd);
	free(xd);
}

static int open_fds(struct neep_xd *xd) {
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = NEEP_XD_TOKEN_RETRY };
	xd->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	xd->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (xd->epoll_fd < 0 || xd->retry_fd < 0 ||
		epoll_ctl(xd->epoll_fd, EPOLL_CTL_ADD, xd->retry_fd, &event) < 0) {
		return -errno;
	}
	return 0;
}

/* Whether renderer_features, which are words with commas between them, has this one. */
static bool has_word(const char *features, const char *word) {
	size_t len = strlen(word);
	for (const char *at = features; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, len) == 0 && (at[len] == ',' || at[len] == '\0')) {
			return true;
		}
	}
	return false;
}

/* Most hosts of VMs have it, for root or those who may use KVM. */
static int open_udmabuf(const struct neep_component_config *config) {
	if (has_word(config->renderer_features, NO_UDMABUF_WORD) || getenv(NO_UDMABUF_VARIABLE) != NULL) {
		return -1;
	}
	int fd = neep_udmabuf_open();
	return fd < 0 ? -1 : fd;
}

static int xd_create(
	const struct neep_component_config *config, struct neep_component **out, struct neep_error *error) {
	struct neep_xd *xd = calloc(1, sizeof(*xd));
	if (xd == NULL) {
		return neep_error_set(error, ENOMEM, "cannot create the cross-domain component");
	}
	xd->base.impl = &neep_cross_domain_impl;
	xd->rutabaga = config->rutabaga;
	xd->channels = config->channels;
	xd->channel_count = config->channel_count;
	xd->budget.fds_max = fd_limit();
	xd->budget.bytes_max = NEEP_XD_TOTAL_BYTES_MAX;
	xd->epoll_fd = xd->retry_fd = -1;
	xd->udmabuf_fd = open_udmabuf(config);
	neep_list_init(&xd->connecting);
	int rc = open_fds(xd);
	if (rc == 0) {
		rc = neep_idmap_init(&xd->contexts);
	}
	if (rc == 0) {
		rc = neep_idmap_init(&xd->lingering);
	}
	if (rc < 0) {
		xd_free(xd);
		return neep_error_set(error, -rc, "cannot create the cross-domain component");
	}
	*out = &xd->base;
	return 0;
}

static void xd_destroy(struct neep_component *base) {
	struct neep_xd *xd = xd_from_base(base);
	neep_xd_lingering_finish(xd);
	xd_free(xd);
}

const struct neep_component_impl neep_cross_domain_impl = {
	.name = "cross-domain",
	.capset_mask = UINT64_C(1) << RUTABAGA_CAPSET_CROSS_DOMAIN,
	.create = xd_create,
	.destroy = xd_destroy,
	.capset_info = xd_capset_info,
	.capset = xd_capset,
	.create_context = xd_create_context,
	.event_fd = xd_event_fd,
	.dispatch = xd_dispatch,
};
