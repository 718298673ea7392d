/* Blobs: new memory with the layout of a template, or memory of the host.
 *
 * What the guest gets is mapped by the VMM, in whole pages, and some VMMs end over a mapping that fails. So each fd is made to
 * hold whole pages where that can be, and is mapped here first for a try. PipeWire seals its memory against growing, and the
 * last page of it is there all the same: VMMs that only map it can, QEMU, which looks at the size of the file, says no. A file that may only be read is copied: then nobody can take it away,
 * the guest may scribble on it as on a private mapping, and no VMM has to know of read-only memory. What is too large for that
 * says that it may only be read; the vhost-user device does not map it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cross_domain/cross_domain_internal.h"
#include "util/checked.h"

/* Our half of a blob: what is charged for it. */
struct object {
	struct neep_object base;
	struct neep_xd_account *account;
	uint64_t size;
};

void neep_xd_account_unref(struct neep_xd_account *account) {
	if (--account->refs == 0) {
		free(account);
	}
}

static void object_destroy(struct neep_object *base) {
	struct object *object = neep_container_of(base, struct object, base);
	object->account->bytes -= object->size;
	neep_xd_account_unref(object->account);
	free(object);
}

static const struct neep_object_impl object_impl = {
	.destroy = object_destroy,
};

bool neep_xd_is_own_blob(const struct neep_resource *resource) {
	return resource->object != NULL && resource->object->impl == &object_impl;
}

/* NULL when the quota is used up, or for want of memory. */
static struct neep_object *charge(struct neep_xd_account *account, uint64_t size) {
	if (size > NEEP_XD_CONTEXT_BYTES_MAX - account->bytes) {
		return NULL;
	}
	struct object *object = malloc(sizeof(*object));
	if (object == NULL) {
		return NULL;
	}
	*object = (struct object){ .base.impl = &object_impl, .account = account, .size = size };
	account->refs++;
	account->bytes += size;
	return &object->base;
}

/* Consumes the fd. */
static int fill_blob(struct neep_xd_context *context, uint64_t size, int owned_fd, struct neep_blob *blob) {
	neep_autoclose int fd = owned_fd;
	struct neep_object *object = charge(context->account, size);
	if (object == NULL) {
		return -ENOMEM;
	}
	*blob = (struct neep_blob){
		.owned_fd = neep_steal_fd(&fd),
		.handle_type = RUTABAGA_HANDLE_TYPE_MEM_SHM,
		.map_info = RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_RW,
		.owned_object = object,
	};
	return 0;
}

/* A compositor may map it without fear: nobody can make it shorter, or seal more. Returns the fd or a negative errno. */
static int make_memory(uint64_t size) {
	neep_autoclose int fd = neep_memfd_create("neep-wayland", size);
	if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) < 0) {
		return -errno;
	}
	return neep_steal_fd(&fd);
}

static int from_template(struct neep_xd_context *context, const struct neep_xd_template *template,
	const struct rutabaga_create_blob *create, struct neep_blob *blob) {
	if (create->size != template->layout.size) {
		return -EINVAL;
	}
	int fd = make_memory(create->size);
	return fd < 0 ? fd : fill_blob(context, create->size, fd, blob);
}

/* Copies from a file, up to its end, to the start of a new memfd of `size` bytes. Returns that or a negative errno. */
static int copy_file(int from, uint64_t size) {
	neep_autoclose int fd = make_memory(size);
	if (fd < 0) {
		return neep_steal_fd(&fd);
	}
	uint8_t buf[16384];
	for (uint64_t at = 0; at < size;) {
		uint64_t left = size - at;
		ssize_t got = pread(from, buf, left < sizeof(buf) ? (size_t)left : sizeof(buf), (off_t)at);
		if (got < 0) {
			return -errno;
		}
		if (got == 0) {
			break;
		}
		if (pwrite(fd, buf, (size_t)got, (off_t)at) != got) {
			return -EIO;
		}
		at += (uint64_t)got;
	}
	return neep_steal_fd(&fd);
}

/* The last page of a file in memory is there as a whole; now its size says so too, if it may grow. Files elsewhere are left
 * alone. */
static int fill_last_page(int fd, uint64_t rounded) {
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC) {
		return -EINVAL;
	}
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals >= 0 && (seals & F_SEAL_GROW) != 0) {
		return 0;
	}
	return ftruncate(fd, (off_t)rounded) < 0 ? -errno : 0;
}

static int try_mapping(int fd, uint64_t size, bool is_writable) {
	int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *at = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		return -errno;
	}
	munmap(at, size);
	return 0;
}

/* Size now, which may not be that of its arrival. */
static int file_size(const struct neep_xd_memory *memory, uint64_t *size) {
	struct stat st;
	if (memory->is_dmabuf) {
		off_t end = lseek(memory->fd, 0, SEEK_END);
		*size = end > 0 ? (uint64_t)end : 0;
		return end < 0 ? -errno : 0;
	}
	if (fstat(memory->fd, &st) < 0) {
		return -errno;
	}
	*size = (uint64_t)st.st_size;
	return 0;
}

/* The fd, or a copy, which holds `size` bytes in whole pages: an fd of the caller's, or a negative errno. */
static int usable_fd(const struct neep_xd_memory *memory, uint64_t size, bool *is_writable) {
	uint64_t real = 0, rounded, wanted;
	int rc = file_size(memory, &real);
	if (rc < 0 || !neep_xd_round_to_pages(real, &rounded) || !neep_xd_round_to_pages(size, &wanted)) {
		return rc < 0 ? rc : -EINVAL;
	}
	if (wanted > rounded) {
		return -EINVAL;
	}
	*is_writable = memory->is_writable;
	if (!memory->is_writable && !memory->is_dmabuf && wanted <= NEEP_XD_COPY_MAX) {
		*is_writable = true;
		return copy_file(memory->fd, wanted);
	}
	if (real != rounded && wanted == rounded) {
		rc = memory->is_writable ? fill_last_page(memory->fd, rounded) : -EINVAL;
	}
	if (rc == 0) {
		rc = try_mapping(memory->fd, wanted, memory->is_writable);
	}
	return rc < 0 ? rc : neep_fd_dup(memory->fd);
}

static int from_host(struct neep_xd_context *context, struct neep_xd_memory *memory,
	const struct rutabaga_create_blob *create, struct neep_blob *blob) {
	bool is_writable;
	int fd = usable_fd(memory, create->size, &is_writable);
	int rc = fd < 0 ? fd : fill_blob(context, create->size, fd, blob);
	if (rc < 0) {
		return rc;
	}
	if (!is_writable) {
		blob->map_info = RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_READ;
	}
	if (memory->is_dmabuf) {
		blob->handle_type = RUTABAGA_HANDLE_TYPE_MEM_DMABUF;
	}
	neep_xd_item_destroy(context, &memory->item);
	return 0;
}

int neep_xd_create_blob(
	struct neep_context *base, const struct rutabaga_create_blob *create, struct neep_blob *blob) {
	struct neep_xd_context *context = neep_xd_context_from_base(base);
	struct neep_xd_item *item = neep_xd_item_find(context, create->blob_id);
	if (item == NULL || create->blob_mem != RUTABAGA_BLOB_MEM_HOST3D) {
		return -EINVAL;
	}
	switch (item->kind) {
	case NEEP_XD_TEMPLATE:
		return from_template(
			context, neep_container_of(item, struct neep_xd_template, item), create, blob);
	case NEEP_XD_MEMORY:
		return from_host(context, neep_container_of(item, struct neep_xd_memory, item), create, blob);
	default:
		return -EINVAL;
	}
}
