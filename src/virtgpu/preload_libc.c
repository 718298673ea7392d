/* ioctl() and mmap(), as the program and its libraries call them. What is not ours goes straight to the kernel: these two
 * are called from allocators and before anything is set up. */
#include "virtgpu/preload.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/dma-buf.h>

static int result_or_errno(int result) {
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

static bool is_shared_memory(int fd) {
	return syscall(SYS_fcntl, fd, 1034 /* F_GET_SEALS */, 0) >= 0;
}

/* Our dma-bufs have no place for fences: who brings one waits for it, and so all who ask later find it done. */
static int import_sync_file(const struct dma_buf_import_sync_file *import) {
	struct neep_preload_token token;
	if (import->flags == 0 || (import->flags & ~(uint32_t)DMA_BUF_SYNC_RW) != 0 ||
		!neep_preload_token(import->fd, &token) || token.kind != NEEP_VIRTGPU_TOKEN_FENCE) {
		return -EINVAL;
	}
	neep_preload_fence_wait(import->fd, -1);
	return 0;
}

static int export_sync_file(struct dma_buf_export_sync_file *export) {
	if (export->flags == 0 || (export->flags & ~(uint32_t)DMA_BUF_SYNC_RW) != 0) {
		return -EINVAL;
	}
	int fd = neep_preload_fence_done();
	export->fd = fd < 0 ? export->fd : fd;
	return fd < 0 ? fd : 0;
}

/* The memory that our dma-bufs are is coherent, but a memfd does not know the calls. */
static int memory_ioctl(unsigned long request, void *arg) {
	switch (request) {
	case DMA_BUF_IOCTL_SYNC:
		return 0;
	case DMA_BUF_IOCTL_IMPORT_SYNC_FILE:
		return import_sync_file(arg);
	case DMA_BUF_IOCTL_EXPORT_SYNC_FILE:
		return export_sync_file(arg);
	default:
		return -ENOTTY;
	}
}

static int dma_buf_ioctl(int fd, unsigned long request, void *arg) {
	int saved = errno;
	int result = (int)syscall(SYS_ioctl, fd, request, arg);
	if (result < 0 && errno == ENOTTY && neep_preload_is_active() && is_shared_memory(fd)) {
		errno = saved;
		return result_or_errno(memory_ioctl(request, arg));
	}
	return result;
}

PRELOAD_EXPORT int ioctl(int fd, unsigned long request, ...) {
	va_list args;
	va_start(args, request);
	void *arg = va_arg(args, void *);
	va_end(args);
	struct neep_preload_token token;
	switch (_IOC_TYPE(request)) {
	case 'd':
		if (neep_preload_token(fd, &token) && token.kind == NEEP_VIRTGPU_TOKEN_FILE) {
			return result_or_errno(neep_preload_drm_ioctl(token.id, request, arg));
		}
		break;
	case '>':
		if (neep_preload_token(fd, &token) && token.kind == NEEP_VIRTGPU_TOKEN_FENCE) {
			return result_or_errno(neep_preload_sync_ioctl(fd, request, arg));
		}
		break;
	case 'b':
		return dma_buf_ioctl(fd, request, arg);
	default:
		break;
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static int ask_for_memory(uint64_t file_id, struct neep_virtgpu_mmap *map) {
	struct iovec iov[] = { { 0 }, { map, sizeof(*map) } };
	struct neep_preload_exchange exchange = {
		.call = { .op = NEEP_VIRTGPU_OP_MMAP, .size = sizeof(*map), .file_id = file_id },
		.iov = iov,
		.iov_count = 2,
		.wants_cloexec = true,
	};
	int result = neep_preload_exchange(&exchange);
	if (result < 0) {
		return result;
	}
	memcpy(map, exchange.body, sizeof(*map));
	return exchange.fd;
}

PRELOAD_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset) {
	struct neep_preload_token token;
	if (fd < 0 || (uint64_t)offset < NEEP_VIRTGPU_MAP_BASE || !neep_preload_token(fd, &token) ||
		token.kind != NEEP_VIRTGPU_TOKEN_FILE) {
		return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset); // NOLINT
	}
	struct neep_virtgpu_mmap map = { .offset = (uint64_t)offset, .len = len };
	int memory = ask_for_memory(token.id, &map);
	if (memory < 0) {
		errno = -memory;
		return MAP_FAILED;
	}
	void *at = (void *)syscall(SYS_mmap, addr, len, prot, flags, memory, map.fd_offset); // NOLINT
	int saved = errno;
	if (at != MAP_FAILED) {
		neep_preload_ring_mapped(memory, (uint64_t)map.fd_offset, len);
	}
	close(memory);
	errno = saved;
	return at;
}

PRELOAD_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
	__attribute__((alias("mmap")));
