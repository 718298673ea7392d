/* SEND: bytes for the host, with fds that the guest names by ids. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cross_domain/cross_domain_internal.h"
#include "util/udmabuf.h"

/* What a user without privileges may have. */
#define PIPE_SIZE (1 << 20)

/* A SEND under way. Its read pipes become items when it went out: then the guest and the host count them alike. */
struct transfer {
	struct neep_xd_context *context;
	uint32_t ids[NEEP_XD_IDS_MAX];
	uint32_t types[NEEP_XD_IDS_MAX];
	uint32_t count;
	struct neep_fds fds;
	struct neep_xd_pipe *pipes[NEEP_XD_IDS_MAX];
	uint32_t pipe_count;
};

/* What others can make sense of: not the private handles of a driver. */
static bool is_sharable(const struct neep_resource *resource) {
	return resource->blob_fd >= 0 && (resource->handle_type == RUTABAGA_HANDLE_TYPE_MEM_SHM ||
						 resource->handle_type == RUTABAGA_HANDLE_TYPE_MEM_DMABUF);
}

/* Guests that know of one kind of blob alone make pools of the memory that they have from here, and dma-bufs of what they pass on
 * for others. Memory of the guest is what its programs have as files. */
static bool is_wanted_as_dmabuf(
	const struct neep_xd_context *context, const struct neep_resource *resource, uint32_t type) {
	bool is_file = neep_xd_is_own_blob(resource) || resource->blob.blob_mem == RUTABAGA_BLOB_MEM_GUEST;
	return type == NEEP_XD_ID_DMABUF || (!context->knows_extensions && !is_file);
}

/* -1: there is none. */
static int make_dmabuf(struct neep_xd_context *context, const struct neep_resource *resource) {
	int device = context->xd->udmabuf_fd;
	if (device < 0 || resource->handle_type != RUTABAGA_HANDLE_TYPE_MEM_SHM) {
		return -1;
	}
	uint64_t size = resource->size;
	int fd = size <= NEEP_XD_DMABUF_BYTES_MAX ? neep_udmabuf_create(device, resource->blob_fd, size)
						  : -EFBIG;
	if (fd < 0) {
		neep_xd_complain(context,
			"no dma-buf can be made of %llu bytes, a file is sent: %s (the most are 256M, and "
			"size_limit_mb of the kernel's udmabuf)",
			(unsigned long long)size, strerror(-fd));
	}
	return fd < 0 ? -1 : fd;
}

/* The memory of a resource. To memory of the guest there is mostly no fd to it alone. */
static int add_blob(struct transfer *transfer, uint32_t resource_id, uint32_t type) {
	struct neep_xd_context *context = transfer->context;
	const struct neep_resource *resource = neep_xd_attached(context, resource_id);
	if (resource == NULL || !is_sharable(resource)) {
		return -EINVAL;
	}
	int fd = is_wanted_as_dmabuf(context, resource, type) ? make_dmabuf(context, resource) : -1;
	if (fd < 0) {
		fd = neep_fd_dup(resource->blob_fd);
	}
	if (fd < 0) {
		return fd;
	}
	transfer->fds.fd[transfer->fds.count++] = fd;
	return 0;
}

/* Only our end does not block: the other belongs to a program that may not expect it. */
static int add_read_pipe(struct transfer *transfer, uint32_t id) {
	struct neep_xd_context *context = transfer->context;
	int ends[2];
	if (transfer->pipe_count >= UINT32_MAX - context->last_read_id ||
		id != context->last_read_id + 1 + transfer->pipe_count) {
		return -EINVAL;
	}
	if (context->held_items + transfer->pipe_count >= NEEP_XD_ITEMS_MAX) {
		return -ENOMEM;
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		return -errno;
	}
	transfer->fds.fd[transfer->fds.count++] = ends[1];
	/* A round trip to the guest lies between two reads; without the room the writer just waits more often. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	if (neep_fd_set_nonblocking(ends[0]) < 0) {
		close(ends[0]);
		return -EIO;
	}
	struct neep_xd_pipe *pipe = neep_xd_pipe_create(context, NEEP_XD_READ_PIPE, ends[0]);
	if (pipe == NULL) {
		return -ENOMEM;
	}
	transfer->pipes[transfer->pipe_count++] = pipe;
	return 0;
}

static int add_ids(struct transfer *transfer) {
	int rc = 0;
	for (uint32_t i = 0; i < transfer->count && rc == 0; i++) {
		switch (transfer->types[i]) {
		case NEEP_XD_ID_BLOB:
		case NEEP_XD_ID_DMABUF:
			rc = add_blob(transfer, transfer->ids[i], transfer->types[i]);
			break;
		case NEEP_XD_ID_READ_PIPE:
			rc = add_read_pipe(transfer, transfer->ids[i]);
			break;
		default:
			rc = -ENOTSUP;
		}
	}
	return rc;
}

/* Those pipes that are no items yet. */
static void undo(struct transfer *transfer) {
	neep_fds_finish(&transfer->fds);
	while (transfer->pipe_count > 0) {
		neep_xd_pipe_destroy(transfer->pipes[--transfer->pipe_count]);
	}
}

/* Before they are items: nothing can be read from one while this goes on. */
static int watch_pipes(struct transfer *transfer) {
	struct neep_xd_context *context = transfer->context;
	int rc = 0;
	for (uint32_t i = 0; i < transfer->pipe_count && rc == 0; i++) {
		struct neep_xd_pipe *pipe = transfer->pipes[i];
		rc = neep_xd_context_watch(context, context->last_read_id + 1 + i, pipe->fd);
		pipe->is_watched = rc == 0;
	}
	return rc;
}

static int run(struct transfer *transfer, const struct neep_xd_bytes *bytes) {
	int rc = add_ids(transfer);
	if (rc == 0) {
		rc = watch_pipes(transfer);
	}
	if (rc == 0) {
		rc = neep_xd_channel_send(transfer->context, bytes);
	}
	if (rc < 0) {
		undo(transfer);
		return rc;
	}
	for (uint32_t i = 0; i < transfer->pipe_count; i++) {
		(void)neep_xd_item_add(transfer->context, &transfer->pipes[i]->item);
	}
	return 0;
}

int neep_xd_send(struct neep_xd_context *context, struct neep_reader *in) {
	struct transfer transfer = { .context = context, .count = neep_reader_u32(in) };
	struct neep_xd_bytes bytes = { .len = neep_reader_u32(in), .fds = &transfer.fds };
	neep_reader_copy(in, transfer.ids, sizeof(transfer.ids));
	neep_reader_copy(in, transfer.types, sizeof(transfer.types));
	(void)neep_reader_take(in, NEEP_XD_TRANSFER_SIZE - NEEP_XD_TRANSFER_SIZES);
	bytes.data = neep_reader_take(in, bytes.len);
	if (!neep_reader_ok(in) || transfer.count > NEEP_XD_IDS_MAX) {
		return -EINVAL;
	}
	/* fds travel with a byte, or not at all. */
	if (transfer.count > 0 && bytes.len == 0) {
		return -EINVAL;
	}
	context->last_written = 0;
	int rc = context->socket >= 0 ? run(&transfer, &bytes) : -EPIPE;
	/* The guest has done nothing wrong and does not hear of it: its stream would go on without these bytes. */
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM) {
		neep_xd_tell(
			context, "no fds or memory for what the guest sends: the connection is given up");
		neep_xd_context_kill(context);
	}
	return rc;
}
