/* Files of programs as buffers: memory that the device can see, and pass on, without a copy.
 *
 * Linux makes a guest blob of the pages of a dma-buf that comes from another device. Here dma-bufs are memory files, so any
 * memory file of a program may be one, under these conditions: nobody can make it shorter, or the device would read what is
 * not there any more; and it can be written, as all memory of a guest. It may grow: what was imported before stays as large
 * as it was, and what is imported next is another buffer.
 *
 * Unlike Linux this is also done for a device with 3D. There, a driver might take the pages of others for memory of its
 * GPU; here the commands of 3D contexts know host memory only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "virtgpu/node_internal.h"

/* Nothing is allocated for what is imported. This is address space of the device. */
#define IMPORT_BYTES_MAX (UINT64_C(64) << 30)

struct neep_node_import {
	struct neep_list link; // neep_virtgpu_node.imports
	struct neep_node_bo *bo;
	dev_t dev;
	ino_t ino;
	uint64_t size; // of the file, then
};

static bool is_memory(int fd, const struct stat *st) {
	int flags = fcntl(fd, F_GETFL);
	int seals = fcntl(fd, F_GET_SEALS);
	return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == O_RDWR && S_ISREG(st->st_mode) &&
	       st->st_size > 0 && seals >= 0 && (seals & F_SEAL_SHRINK) != 0 &&
	       (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) == 0;
}

static struct neep_node_bo *find(struct neep_virtgpu_node *node, const struct stat *st) {
	neep_list_for_each (import, &node->imports, struct neep_node_import, link) {
		if (import->ino == st->st_ino && import->dev == st->st_dev &&
			import->size == (uint64_t)st->st_size) {
			import->bo->refs++;
			return import->bo;
		}
	}
	return NULL;
}

/* The device has looked at the file in the meantime: it knows it as this large, or as larger, and then has only a part. */
static bool has_grown(int fd, const struct stat *st) {
	struct stat now;
	return fstat(fd, &now) < 0 || now.st_size != st->st_size;
}

static struct neep_node_import *create(
	struct neep_virtgpu_node *node, int fd, const struct stat *st, int *result) {
	struct neep_node_import *import = calloc(1, sizeof(*import));
	if (import == NULL) {
		*result = -ENOMEM;
		return NULL;
	}
	uint64_t size = (uint64_t)st->st_size;
	*import = (struct neep_node_import){ .dev = st->st_dev, .ino = st->st_ino, .size = size };
	import->bo = neep_node_bo_create_import(node, fd, size, result);
	if (import->bo == NULL) {
		free(import);
		return NULL;
	}
	import->bo->import = import;
	neep_list_append(&node->imports, &import->link);
	node->import_bytes += size;
	node->counts.imports++;
	return import;
}

struct neep_node_bo *neep_node_import(struct neep_virtgpu_node *node, int fd, int *result) {
	struct stat st;
	*result = -EINVAL;
	if (fstat(fd, &st) < 0 || !is_memory(fd, &st)) {
		return NULL;
	}
	struct neep_node_bo *bo = find(node, &st);
	if (bo != NULL) {
		*result = 0;
		return bo;
	}
	if ((uint64_t)st.st_size > IMPORT_BYTES_MAX - node->import_bytes) {
		*result = -ENOMEM;
		return NULL;
	}
	struct neep_node_import *import = create(node, fd, &st, result);
	if (import != NULL && has_grown(fd, &st)) {
		neep_node_bo_unref(import->bo);
		*result = -EINVAL;
		return NULL;
	}
	return import != NULL ? import->bo : NULL;
}

void neep_node_import_destroy(struct neep_node_import *import) {
	if (import == NULL) {
		return;
	}
	struct neep_virtgpu_node *node = import->bo->node;
	node->import_bytes -= import->size;
	node->counts.imports--;
	neep_list_remove(&import->link);
	free(import);
}
