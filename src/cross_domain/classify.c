/* What an fd of the host is, from what the kernel says of it: there is no /proc in a sandbox. Nothing here moves a file offset,
 * which is shared with whoever sent the fd. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cross_domain/cross_domain_internal.h"

#ifndef DMA_BUF_MAGIC
#define DMA_BUF_MAGIC 0x444d4142
#endif

/* Without F_SEAL_SEAL and what is no seal of contents. A file that takes no seals has none. */
static bool is_sealed(int fd) {
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
}

static struct neep_xd_class unsupported(const char *name) {
	return (struct neep_xd_class){ .kind = NEEP_XD_FD_UNSUPPORTED, .name = name };
}

static struct neep_xd_class memory(int fd, int access, uint64_t size) {
	/* The guest is told 32 bits, and an empty blob cannot be made. */
	if (size == 0 || size > UINT32_MAX) {
		return unsupported(size == 0 ? "an empty file" : "a file of more than 4 GiB");
	}
	return (struct neep_xd_class){
		.kind = NEEP_XD_FD_MEMORY,
		.name = "memory",
		.is_writable = access == O_RDWR && !is_sealed(fd),
		.size = size,
	};
}

static struct neep_xd_class dmabuf(int fd, int access) {
	/* A dma-buf has no offset: seeking tells its size and nothing else. */
	off_t size = lseek(fd, 0, SEEK_END);
	struct neep_xd_class class = memory(fd, access, size > 0 ? (uint64_t)size : 0);
	class.is_dmabuf = class.kind == NEEP_XD_FD_MEMORY;
	return class;
}

/* What can be written and not read is written to: that is what a clipboard that collects into a file wants. */
static struct neep_xd_class write_end(const char *name) {
	return (struct neep_xd_class){ .kind = NEEP_XD_FD_WRITE_PIPE, .name = name };
}

/* Event fds have nothing that tells them from other anonymous inodes but what they take: of those that programs send each other,
 * nothing else takes eight bytes. Adding 0 leaves the counter as it is, and never blocks. */
static struct neep_xd_class anonymous(int fd) {
	uint64_t nothing = 0;
	if (write(fd, &nothing, sizeof(nothing)) != sizeof(nothing)) {
		return unsupported("an anonymous inode of no known kind");
	}
	return (struct neep_xd_class){ .kind = NEEP_XD_FD_EVENT, .name = "an event fd" };
}

struct neep_xd_class neep_xd_classify(int fd) {
	struct stat st;
	struct statfs fs;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & O_PATH) != 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0) {
		return unsupported("a file that cannot be used");
	}
	int access = flags & O_ACCMODE;
	if (fs.f_type == DMA_BUF_MAGIC) {
		return dmabuf(fd, access);
	}
	if (fs.f_type == ANON_INODE_FS_MAGIC) {
		return anonymous(fd);
	}
	/* VMMs map blobs at places, and in sizes, of their own page. */
	if (fs.f_type == HUGETLBFS_MAGIC) {
		return unsupported("memory of huge pages");
	}
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return access == O_WRONLY ? write_end("a file for writing")
					  : memory(fd, access, (uint64_t)st.st_size);
	case S_IFIFO:
		return access == O_RDONLY ? unsupported("the reading end of a pipe") : write_end("a pipe");
	case S_IFSOCK:
		return unsupported("a socket");
	default:
		return unsupported("a file of no known kind");
	}
}
