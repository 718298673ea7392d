/* ioctls on a file of the node: which are answered here, and what of the others travels. */
#include "virtgpu/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/macros.h"

/* ---- answered here ---- */

static void copy_text(char *to, __kernel_size_t *len, const char *text) {
	size_t have = strlen(text);
	if (to != NULL && *len > 0) {
		memcpy(to, text, *len < have ? *len : have);
	}
	*len = have;
}

/* As Linux 6.6 and later have it. */
static int version(void *data) {
	struct drm_version *version = data;
	version->version_major = 0;
	version->version_minor = 1;
	version->version_patchlevel = 0;
	copy_text(version->name, &version->name_len, "virtio_gpu");
	copy_text(version->date, &version->date_len, "0");
	copy_text(version->desc, &version->desc_len, "virtio GPU");
	return 0;
}

/* Programs that find syncobjs advertised expect the import of sync files into dma-bufs beside them. */
static int get_cap(void *data) {
	struct drm_get_cap *cap = data;
	cap->value = cap->capability == DRM_CAP_PRIME ? DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT
						      : cap->capability == DRM_CAP_TIMESTAMP_MONOTONIC;
	return cap->capability <= 0x15 ? 0 : -EINVAL;
}

static int getparam(void *data) {
	const struct neep_drm_getparam *getparam = data;
	const struct neep_virtgpu_info *info = neep_preload_info();
	if (info == NULL) {
		return -ENODEV;
	}
	if (getparam->param == 0 || getparam->param >= NEEP_DRM_PARAM_COUNT) {
		return -EINVAL;
	}
	/* Four bytes, as the kernel has it. */
	*(uint32_t *)(uintptr_t)getparam->value = (uint32_t)info->params[getparam->param];
	return 0;
}

static int get_caps(void *data) {
	const struct neep_drm_get_caps *caps = data;
	const struct neep_virtgpu_info *info = neep_preload_info();
	if (info == NULL || info->capset_count == 0) {
		return info == NULL ? -ENODEV : -ENOSYS;
	}
	for (uint32_t i = 0; caps->size > 0 && i < info->capset_count; i++) {
		const struct neep_virtgpu_info_capset *capset = &info->capsets[i];
		if (capset->id == caps->cap_set_id && capset->max_version >= caps->cap_set_ver) {
			const uint8_t *bytes = (const uint8_t *)info + capset->offset +
					       (size_t)caps->cap_set_ver * capset->size;
			memcpy((void *)(uintptr_t)caps->addr, bytes,
				caps->size < capset->size ? caps->size : capset->size);
			return 0;
		}
	}
	return -EINVAL;
}

static int map(void *data) {
	struct neep_drm_map *map = data;
	map->offset = NEEP_VIRTGPU_MAP_BASE + map->handle * NEEP_VIRTGPU_MAP_STEP;
	return map->handle != 0 && map->handle <= NEEP_VIRTGPU_HANDLE_MAX ? 0 : -ENOENT;
}

static int (*find_local(uint32_t nr))(void *) {
	switch (nr) {
	case NEEP_DRM_NR_MAP:
		return map;
	case NEEP_DRM_NR_VERSION:
		return version;
	case NEEP_DRM_NR_GET_CAP:
		return get_cap;
	case NEEP_DRM_NR_GETPARAM:
		return getparam;
	case NEEP_DRM_NR_GET_CAPS:
		return get_caps;
	default:
		return NULL;
	}
}

/* Programs of other times have shorter or longer structs: what is missing is zero, what is too much stays as it is. */
static int local_ioctl(int (*answer)(void *), void *arg, size_t size) {
	union {
		uint8_t bytes[NEEP_VIRTGPU_STRUCT_MAX];
		uint64_t align;
	} copy = { 0 };
	size_t used = size < sizeof(copy) ? size : sizeof(copy);
	memcpy(copy.bytes, arg, used);
	int result = answer(copy.bytes);
	memcpy(arg, copy.bytes, used);
	return result;
}

/* ---- what travels ---- */

#define NO_FIELD UINT16_MAX

/* An array that a struct points to: offsets of the fields that tell where it is, how many elements it has, and how
 * large one is (or that size itself). */
struct array {
	uint16_t pointer;
	uint16_t count;
	uint16_t stride; // NO_FIELD: element
	uint16_t element;
};

struct travel {
	uint8_t nr;
	uint8_t size;
	uint8_t array_count;
	uint16_t fd_out; // where the fd that comes back is told
	uint16_t fd_in;  // an fd that rides along
	struct array arrays[4];
};

#define AT(type, field) (uint16_t) offsetof(struct type, field)
#define SIZE(type)      (uint8_t)sizeof(struct type)
#define PLAIN(number, type) \
	{ .nr = NEEP_DRM_NR_##number, .size = SIZE(type), .fd_out = NO_FIELD, .fd_in = NO_FIELD, }

/* Handles, and perhaps points, of syncobjs. */
#define HANDLES(type) \
	{ AT(type, handles), AT(type, count_handles), NO_FIELD, sizeof(uint32_t) }
#define POINTS(type) \
	{ AT(type, points), AT(type, count_handles), NO_FIELD, sizeof(uint64_t) }
#define ONE_ARRAY(number, type)                                                                       \
	{                                                                                             \
		.nr = NEEP_DRM_NR_##number, .size = SIZE(type), .array_count = 1, .fd_out = NO_FIELD, \
		.fd_in = NO_FIELD, .arrays = { HANDLES(type) },                                       \
	}
#define TWO_ARRAYS(number, type)                                                                      \
	{                                                                                             \
		.nr = NEEP_DRM_NR_##number, .size = SIZE(type), .array_count = 2, .fd_out = NO_FIELD, \
		.fd_in = NO_FIELD, .arrays = { HANDLES(type), POINTS(type) },                         \
	}

static const struct travel travels[] = {
	PLAIN(GEM_CLOSE, drm_gem_close),
	{ .nr = NEEP_DRM_NR_PRIME_HANDLE_TO_FD,
		.size = SIZE(drm_prime_handle),
		.fd_out = AT(drm_prime_handle, fd),
		.fd_in = NO_FIELD },
	{ .nr = NEEP_DRM_NR_PRIME_FD_TO_HANDLE,
		.size = SIZE(drm_prime_handle),
		.fd_out = NO_FIELD,
		.fd_in = AT(drm_prime_handle, fd) },
	{ .nr = NEEP_DRM_NR_EXECBUFFER,
		.size = SIZE(neep_drm_execbuffer),
		.array_count = 4,
		.fd_out = AT(neep_drm_execbuffer, fence_fd),
		.fd_in = NO_FIELD,
		.arrays = {
			{ AT(neep_drm_execbuffer, command), AT(neep_drm_execbuffer, size), NO_FIELD, 1 },
			{ AT(neep_drm_execbuffer, bo_handles), AT(neep_drm_execbuffer, num_bo_handles), NO_FIELD, 4 },
			{ AT(neep_drm_execbuffer, in_syncobjs), AT(neep_drm_execbuffer, num_in_syncobjs),
				AT(neep_drm_execbuffer, syncobj_stride), 0 },
			{ AT(neep_drm_execbuffer, out_syncobjs), AT(neep_drm_execbuffer, num_out_syncobjs),
				AT(neep_drm_execbuffer, syncobj_stride), 0 },
		} },
	PLAIN(RESOURCE_CREATE, neep_drm_resource_create),
	PLAIN(RESOURCE_INFO, neep_drm_resource_info),
	PLAIN(TRANSFER_FROM_HOST, neep_drm_transfer),
	PLAIN(TRANSFER_TO_HOST, neep_drm_transfer),
	PLAIN(WAIT, neep_drm_wait),
	{ .nr = NEEP_DRM_NR_RESOURCE_CREATE_BLOB,
		.size = SIZE(neep_drm_create_blob),
		.array_count = 1,
		.fd_out = NO_FIELD,
		.fd_in = NO_FIELD,
		.arrays = { { AT(neep_drm_create_blob, cmd), AT(neep_drm_create_blob, cmd_size), NO_FIELD,
			1 } } },
	{ .nr = NEEP_DRM_NR_CONTEXT_INIT,
		.size = SIZE(neep_drm_context_init),
		.array_count = 1,
		.fd_out = NO_FIELD,
		.fd_in = NO_FIELD,
		.arrays = { { AT(neep_drm_context_init, ctx_set_params),
			AT(neep_drm_context_init, num_params), NO_FIELD,
			sizeof(struct neep_drm_context_set_param) } } },
	PLAIN(SYNCOBJ_CREATE, drm_syncobj_create),
	PLAIN(SYNCOBJ_DESTROY, drm_syncobj_destroy),
	{ .nr = NEEP_DRM_NR_SYNCOBJ_HANDLE_TO_FD,
		.size = SIZE(drm_syncobj_handle),
		.fd_out = AT(drm_syncobj_handle, fd),
		.fd_in = NO_FIELD },
	{ .nr = NEEP_DRM_NR_SYNCOBJ_FD_TO_HANDLE,
		.size = SIZE(drm_syncobj_handle),
		.fd_out = NO_FIELD,
		.fd_in = AT(drm_syncobj_handle, fd) },
	ONE_ARRAY(SYNCOBJ_WAIT, neep_drm_syncobj_wait),
	ONE_ARRAY(SYNCOBJ_RESET, drm_syncobj_array),
	ONE_ARRAY(SYNCOBJ_SIGNAL, drm_syncobj_array),
	TWO_ARRAYS(SYNCOBJ_TIMELINE_WAIT, neep_drm_syncobj_timeline_wait),
	TWO_ARRAYS(SYNCOBJ_TIMELINE_SIGNAL, drm_syncobj_timeline_array),
	PLAIN(SYNCOBJ_TRANSFER, drm_syncobj_transfer),
	{ .nr = NEEP_DRM_NR_SYNCOBJ_EVENTFD,
		.size = SIZE(neep_drm_syncobj_eventfd),
		.fd_out = NO_FIELD,
		.fd_in = AT(neep_drm_syncobj_eventfd, fd) },
};

static const struct travel *find_travel(uint32_t nr) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(travels); i++) {
		if (travels[i].nr == nr) {
			return &travels[i];
		}
	}
	return NULL;
}

static uint32_t field32(const uint8_t *data, uint16_t offset) {
	uint32_t value;
	memcpy(&value, data + offset, sizeof(value));
	return value;
}

/* The struct, zero-extended to the size that is known here, then its arrays, then what an ioctl adds. */
struct outgoing {
	uint8_t data[NEEP_VIRTGPU_STRUCT_MAX];
	struct neep_virtgpu_debug_name name;
	struct iovec iov[7];
	size_t iov_count;
	uint64_t len;
	int fds[2];
	size_t fd_count;
};

static void outgoing_add(struct outgoing *out, const void *data, uint64_t len) {
	if (len > 0) {
		out->iov[out->iov_count++] = (struct iovec){ (void *)(uintptr_t)data, len };
		out->len += len;
	}
}

static void add_arrays(struct outgoing *out, const struct travel *travel) {
	for (size_t i = 0; i < travel->array_count; i++) {
		const struct array *array = &travel->arrays[i];
		uint64_t pointer;
		memcpy(&pointer, out->data + array->pointer, sizeof(pointer));
		uint64_t element =
			array->stride == NO_FIELD ? array->element : field32(out->data, array->stride);
		outgoing_add(
			out, (const void *)(uintptr_t)pointer, field32(out->data, array->count) * element);
	}
}

/* The kernel names a context after its thread unless it is told another name. */
static void add_debug_name(struct outgoing *out) {
	struct neep_drm_context_init init;
	memcpy(&init, out->data, sizeof(init));
	const struct neep_drm_context_set_param *params =
		(const struct neep_drm_context_set_param *)(uintptr_t)init.ctx_set_params;
	prctl(PR_GET_NAME, out->name.text);
	for (uint32_t i = 0; i < init.num_params && i < NEEP_DRM_CONTEXT_PARAMS_MAX; i++) {
		if (params[i].param == NEEP_DRM_CONTEXT_DEBUG_NAME) {
			strncpy(out->name.text, (const char *)(uintptr_t)params[i].value,
				sizeof(out->name.text) - 1);
		}
	}
	outgoing_add(out, &out->name, sizeof(out->name));
}

/* Too much for a message. Bad pointers of the program are found by the kernel, here as in sendmsg(). */
static int move_to_memfd(struct outgoing *out) {
	if (out->len > NEEP_VIRTGPU_BULK_MAX) {
		return -ENOMEM;
	}
	int fd = memfd_create("neep-call", MFD_CLOEXEC);
	uint64_t done = 0;
	for (size_t i = 1; fd >= 0 && i < out->iov_count; i++) {
		uint64_t at = 0;
		while (at < out->iov[i].iov_len) {
			ssize_t put = pwrite(fd, (char *)out->iov[i].iov_base + at, out->iov[i].iov_len - at,
				(off_t)(done + at));
			if (put <= 0) {
				int result = put < 0 ? -errno : -EIO;
				close(fd);
				return result;
			}
			at += (uint64_t)put;
		}
		done += at;
	}
	if (fd < 0) {
		return -errno;
	}
	out->iov_count = 1;
	out->fds[out->fd_count++] = fd;
	return fd;
}

/* A submit that nobody can wait for: no fence, no buffer, no ring that could be wrong. */
static bool is_silent(const struct travel *travel, const uint8_t *data) {
	struct neep_drm_execbuffer exec;
	memcpy(&exec, data, sizeof(exec));
	return travel->nr == NEEP_DRM_NR_EXECBUFFER && exec.flags == 0 && exec.num_bo_handles == 0 &&
	       exec.num_in_syncobjs == 0 && exec.num_out_syncobjs == 0;
}

/* One by one: all of them are waited for. */
static int await_syncobjs_in(uint64_t file_id, const struct neep_drm_execbuffer *exec) {
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < exec->num_in_syncobjs; i++) {
		struct neep_drm_exec_syncobj syncobj = { .handle = 0 };
		uint32_t stride = exec->syncobj_stride;
		memcpy(&syncobj, (const uint8_t *)(uintptr_t)exec->in_syncobjs + (size_t)i * stride,
			stride < sizeof(syncobj) ? stride : sizeof(syncobj));
		struct neep_drm_syncobj_timeline_wait wait = {
			.handles = (uintptr_t)&syncobj.handle,
			.points = (uintptr_t)&syncobj.point,
			.timeout_nsec = INT64_MAX,
			.count_handles = 1,
		};
		result = neep_preload_drm_ioctl(file_id,
			NEEP_DRM_IOWR(
				NEEP_DRM_NR_SYNCOBJ_TIMELINE_WAIT, struct neep_drm_syncobj_timeline_wait),
			&wait);
	}
	return result;
}

/* The kernel blocks too until what comes in is done. */
static int await_fences_in(uint64_t file_id, const struct travel *travel, const uint8_t *data) {
	struct neep_drm_execbuffer exec;
	memcpy(&exec, data, sizeof(exec));
	if (travel->nr != NEEP_DRM_NR_EXECBUFFER) {
		return 0;
	}
	if ((exec.flags & NEEP_DRM_EXEC_FENCE_FD_IN) != 0) {
		struct neep_preload_token token;
		if (!neep_preload_token(exec.fence_fd, &token) || token.kind != NEEP_VIRTGPU_TOKEN_FENCE) {
			return -EINVAL;
		}
		neep_preload_fence_wait(exec.fence_fd, -1);
	}
	return await_syncobjs_in(file_id, &exec);
}

/* What VIRTGPU_WAIT gives up after; its callers ask again. */
#define BUFFER_WAIT_NS (15 * NEEP_NS_PER_S)

static int64_t left_until(int64_t deadline_ns) {
	int64_t now = neep_clock_ns();
	return deadline_ns > now ? deadline_ns - now : 0;
}

/* The two ioctls have their deadline and their index at places of their own. */
static int finish_syncobj_wait(const struct travel *travel, int fence, uint8_t *arg) {
	bool is_timeline = travel->nr == NEEP_DRM_NR_SYNCOBJ_TIMELINE_WAIT;
	size_t deadline_at = is_timeline ? offsetof(struct neep_drm_syncobj_timeline_wait, timeout_nsec)
					 : offsetof(struct neep_drm_syncobj_wait, timeout_nsec);
	size_t index_at = is_timeline ? offsetof(struct neep_drm_syncobj_timeline_wait, first_signaled)
				      : offsetof(struct neep_drm_syncobj_wait, first_signaled);
	int64_t deadline;
	memcpy(&deadline, arg + deadline_at, sizeof(deadline));
	int64_t state = neep_preload_fence_wait(fence, left_until(deadline));
	if (state < 0) {
		return (int)state;
	}
	uint32_t index = (uint32_t)state;
	memcpy(arg + index_at, &index, sizeof(index));
	return 0;
}

static int finish_wait(const struct travel *travel, int fence, void *arg) {
	int result;
	if (travel->nr == NEEP_DRM_NR_WAIT) {
		result = neep_preload_fence_wait(fence, BUFFER_WAIT_NS) < 0 ? -EBUSY : 0;
	} else {
		result = finish_syncobj_wait(travel, fence, arg);
	}
	close(fence);
	return result;
}

static int finish(
	const struct travel *travel, struct neep_preload_exchange *exchange, void *arg, size_t size) {
	if ((exchange->answer.flags & NEEP_VIRTGPU_ANSWER_WAIT) != 0) {
		return finish_wait(travel, exchange->fd, arg);
	}
	uint32_t have = exchange->answer.size;
	memcpy(arg, exchange->body, have < size ? have : size);
	if (exchange->fd >= 0 && travel->fd_out != NO_FIELD) {
		memcpy((uint8_t *)arg + travel->fd_out, &exchange->fd, sizeof(exchange->fd));
	}
	return 0;
}

static bool wants_cloexec(const struct travel *travel, const uint8_t *data) {
	struct drm_prime_handle prime;
	memcpy(&prime, data, sizeof(prime));
	return travel->nr != NEEP_DRM_NR_PRIME_HANDLE_TO_FD || (prime.flags & DRM_CLOEXEC) != 0;
}

static int send_out(uint64_t file_id, const struct travel *travel, struct outgoing *out,
	struct neep_preload_exchange *exchange) {
	*exchange = (struct neep_preload_exchange){
		.call = { .op = NEEP_VIRTGPU_OP_IOCTL,
			.nr = travel->nr,
			.size = travel->size,
			.file_id = file_id },
		.iov = out->iov,
		.fds = out->fds,
		.wants_cloexec = wants_cloexec(travel, out->data),
	};
	int bulk = -1;
	if (out->len > NEEP_VIRTGPU_MESSAGE_MAX - sizeof(exchange->call)) {
		bulk = move_to_memfd(out);
		if (bulk < 0) {
			return bulk;
		}
		exchange->call.flags |= NEEP_VIRTGPU_CALL_BULK;
	}
	exchange->call.flags |= is_silent(travel, out->data) ? NEEP_VIRTGPU_CALL_SILENT : 0;
	exchange->iov_count = out->iov_count;
	exchange->fd_count = out->fd_count;
	int result = neep_preload_exchange(exchange);
	if (bulk >= 0) {
		close(bulk);
	}
	return result;
}

static bool is_done_wake_up(const struct travel *travel, const uint8_t *data) {
	struct neep_drm_execbuffer exec;
	memcpy(&exec, data, sizeof(exec));
	return is_silent(travel, data) &&
	       neep_preload_ring_wake((const void *)(uintptr_t)exec.command, exec.size);
}

static void note_submit(const uint8_t *data) {
	struct neep_drm_execbuffer exec;
	memcpy(&exec, data, sizeof(exec));
	neep_preload_ring_submitted((const void *)(uintptr_t)exec.command, exec.size);
}

static int travel_ioctl(uint64_t file_id, const struct travel *travel, void *arg, size_t size) {
	struct outgoing out = { .iov_count = 1 };
	memcpy(out.data, arg, size < travel->size ? size : travel->size);
	if (is_done_wake_up(travel, out.data)) {
		return 0;
	}
	outgoing_add(&out, out.data, travel->size);
	add_arrays(&out, travel);
	if (travel->nr == NEEP_DRM_NR_CONTEXT_INIT) {
		add_debug_name(&out);
	}
	if (travel->fd_in != NO_FIELD) {
		out.fds[out.fd_count++] = (int)field32(out.data, travel->fd_in);
	}
	int result = await_fences_in(file_id, travel, out.data);
	struct neep_preload_exchange exchange;
	if (result == 0) {
		result = send_out(file_id, travel, &out, &exchange);
	}
	if (result < 0 || (exchange.call.flags & NEEP_VIRTGPU_CALL_SILENT) != 0) {
		return result;
	}
	if (travel->nr == NEEP_DRM_NR_EXECBUFFER) {
		note_submit(out.data);
	}
	return finish(travel, &exchange, arg, size);
}

/* What a render node knows and refuses, and what it does not know at all. */
static int refuse(uint32_t nr) {
	bool is_virtgpu = nr >= 0x4c && nr < 0xa0;
	return is_virtgpu || nr > 0xcf ? -EINVAL : -EACCES;
}

static int query_part(uint64_t file_id, struct neep_virtgpu_query *query) {
	struct iovec iov[] = { { 0 }, { query, sizeof(*query) } };
	struct neep_preload_exchange exchange = {
		.call = { .op = NEEP_VIRTGPU_OP_QUERY, .size = sizeof(*query), .file_id = file_id },
		.iov = iov,
		.iov_count = 2,
	};
	int result = neep_preload_exchange(&exchange);
	if (result == 0) {
		memcpy(query, exchange.body, sizeof(*query));
	}
	return result;
}

/* Its answer is an array of the program's. */
static int query_syncobjs(uint64_t file_id, const struct drm_syncobj_timeline_array *array) {
	const uint32_t *handles = (const uint32_t *)(uintptr_t)array->handles;
	uint64_t *points = (uint64_t *)(uintptr_t)array->points;
	int result = array->count_handles > 0 ? 0 : -EINVAL;
	for (uint32_t at = 0; result == 0 && at < array->count_handles; at += NEEP_VIRTGPU_QUERY_MAX) {
		uint32_t left = array->count_handles - at;
		struct neep_virtgpu_query query = {
			.count = left < NEEP_VIRTGPU_QUERY_MAX ? left : NEEP_VIRTGPU_QUERY_MAX,
			.flags = array->flags,
		};
		memcpy(query.handles, handles + at, query.count * sizeof(*handles));
		result = query_part(file_id, &query);
		if (result == 0) {
			memcpy(points + at, query.points, query.count * sizeof(*points));
		}
	}
	return result;
}

int neep_preload_drm_ioctl(uint64_t file_id, unsigned long request, void *arg) {
	uint32_t nr = _IOC_NR(request);
	int (*local)(void *) = find_local(nr);
	if (local != NULL) {
		return local_ioctl(local, arg, _IOC_SIZE(request));
	}
	if (nr == NEEP_DRM_NR_SYNCOBJ_QUERY) {
		return query_syncobjs(file_id, arg);
	}
	const struct travel *travel = find_travel(nr);
	return travel != NULL ? travel_ioctl(file_id, travel, arg, _IOC_SIZE(request)) : refuse(nr);
}
