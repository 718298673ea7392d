/* Paths. The node's folders are a real tree of small files that comes with neep (tree.sh): a path into /dev/dri and its
 * kin is rewritten into that tree, and the C library goes on from there. Only two things are put on: opening the node's
 * file gives a token, and its mode is that of a character device. Other DRM devices are hidden by that, too.
 *
 * The C library's own functions are called for everything, so that others who stand in between get their turn. */
#include "virtgpu/preload.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(
	sizeof(struct stat) == sizeof(struct stat64) && sizeof(off_t) == 8, "one set of functions for both");

/* ---- the C library ---- */

static struct functions {
	int (*open)(const char *path, int flags, ...);
	int (*openat)(int folder, const char *path, int flags, ...);
	FILE *(*fopen)(const char *path, const char *mode);
	DIR *(*opendir)(const char *path);
	int (*scandir)(const char *path, struct dirent ***names, int (*select)(const struct dirent *),
		int (*compare)(const struct dirent **, const struct dirent **));
	int (*stat)(const char *path, struct stat *st);
	int (*lstat)(const char *path, struct stat *st);
	int (*fstat)(int fd, struct stat *st);
	int (*fstatat)(int folder, const char *path, struct stat *st, int flags);
	int (*statx)(int folder, const char *path, int flags, unsigned int mask, struct statx *st);
	int (*faccessat)(int folder, const char *path, int mode, int flags);
	ssize_t (*getxattr)(const char *path, const char *name, void *value, size_t size);
	ssize_t (*lgetxattr)(const char *path, const char *name, void *value, size_t size);
	ssize_t (*listxattr)(const char *path, char *list, size_t size);
	ssize_t (*llistxattr)(const char *path, char *list, size_t size);
	ssize_t (*readlink)(const char *path, char *buf, size_t size);
	ssize_t (*readlinkat)(int folder, const char *path, char *buf, size_t size);
	char *(*realpath)(const char *path, char *resolved);
} real;

static char tree[PATH_MAX]; // empty: no node
static dev_t node_device;   // of the file in the tree
static ino_t node_inode;
static atomic_bool is_ready;

static void find_symbol(void *slot, const char *name) {
	void *found = dlsym(RTLD_NEXT, name);
	memcpy(slot, &found, sizeof(found));
}

static void find_symbols(void) {
	find_symbol(&real.open, "open");
	find_symbol(&real.openat, "openat");
	find_symbol(&real.fopen, "fopen");
	find_symbol(&real.opendir, "opendir");
	find_symbol(&real.scandir, "scandir");
	find_symbol(&real.stat, "stat");
	find_symbol(&real.lstat, "lstat");
	find_symbol(&real.fstat, "fstat");
	find_symbol(&real.fstatat, "fstatat");
	find_symbol(&real.statx, "statx");
	find_symbol(&real.faccessat, "faccessat");
	find_symbol(&real.getxattr, "getxattr");
	find_symbol(&real.lgetxattr, "lgetxattr");
	find_symbol(&real.listxattr, "listxattr");
	find_symbol(&real.llistxattr, "llistxattr");
	find_symbol(&real.readlink, "readlink");
	find_symbol(&real.readlinkat, "readlinkat");
	find_symbol(&real.realpath, "realpath");
}

static void find_tree(void) {
	const char *path = getenv(NEEP_VIRTGPU_ENV_TREE);
	char node[PATH_MAX + 32];
	struct stat st;
	if (!neep_preload_is_active() || path == NULL || strlen(path) >= sizeof(tree)) {
		return;
	}
	snprintf(node, sizeof(node), "%s/dev/dri/" NEEP_VIRTGPU_NODE_NAME, path);
	if (real.stat(node, &st) == 0) {
		node_device = st.st_dev;
		node_inode = st.st_ino;
		strcpy(tree, path);
	}
}

/* At the load, or before that when another library's start comes here first. Threads that meet do the same twice. */
static void prepare(void) {
	if (!atomic_load_explicit(&is_ready, memory_order_acquire)) {
		int saved = errno;
		find_symbols();
		find_tree();
		atomic_store_explicit(&is_ready, true, memory_order_release);
		errno = saved;
	}
}

/* Another library's start may come here before ours. */
static const struct functions *real_functions(void) {
	prepare();
	return &real;
}

__attribute__((constructor)) static void start(void) {
	prepare();
}

/* ---- rewriting ---- */

struct redirected {
	char buf[PATH_MAX];
};

static bool has_prefix(const char *path, const char *prefix, bool is_folder) {
	size_t len = strlen(prefix);
	return strncmp(path, prefix, len) == 0 && (!is_folder || path[len] == '\0' || path[len] == '/');
}

/* The path to use in place of `path`. */
static const char *redirect(const char *path, struct redirected *redirected) {
	prepare();
	if (path == NULL || path[0] != '/' || tree[0] == '\0') {
		return path;
	}
	bool is_ours = has_prefix(path, "/dev/dri", true) || has_prefix(path, "/sys/dev/char/226:", false) ||
		       has_prefix(path, "/sys/class/drm", true);
	if (!is_ours) {
		return path;
	}
	int len = snprintf(redirected->buf, sizeof(redirected->buf), "%s%s", tree, path);
	return len > 0 && (size_t)len < sizeof(redirected->buf) ? redirected->buf : path;
}

static bool is_node_file(const struct stat *st) {
	return tree[0] != '\0' && st->st_ino == node_inode && st->st_dev == node_device;
}

/* Whether the path may be the node's: the last word is its name. Spares a stat of everything that is opened. */
static bool ends_as_node(const char *path) {
	size_t len = path != NULL ? strlen(path) : 0;
	size_t word = sizeof(NEEP_VIRTGPU_NODE_NAME) - 1;
	return len >= word && strcmp(path + len - word, NEEP_VIRTGPU_NODE_NAME) == 0;
}

void neep_preload_describe_node(struct stat *st) {
	st->st_mode = S_IFCHR | 0666;
	st->st_rdev = makedev(NEEP_VIRTGPU_MAJOR, NEEP_VIRTGPU_MINOR);
	st->st_size = 0;
}

/* ---- opening ---- */

static int open_redirected(int folder, const char *path, int flags, mode_t mode) {
	struct stat st;
	bool may_be_node = tree[0] != '\0' && (flags & O_PATH) == 0 && ends_as_node(path);
	if (may_be_node && real_functions()->fstatat(folder, path, &st, 0) == 0 && is_node_file(&st)) {
		int fd = neep_preload_open_node((flags & O_CLOEXEC) != 0);
		if (fd < 0) {
			errno = -fd;
			return -1;
		}
		if ((flags & O_NONBLOCK) != 0) {
			fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
		}
		return fd;
	}
	return folder == AT_FDCWD ? real_functions()->open(path, flags, mode)
				  : real_functions()->openat(folder, path, flags, mode);
}

static mode_t take_mode(int flags, va_list args) {
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? (mode_t)va_arg(args, int) : 0;
}

PRELOAD_EXPORT int open(const char *path, int flags, ...) {
	va_list args;
	va_start(args, flags);
	mode_t mode = take_mode(flags, args);
	va_end(args);
	struct redirected redirected;
	return open_redirected(AT_FDCWD, redirect(path, &redirected), flags, mode);
}

PRELOAD_EXPORT int openat(int folder, const char *path, int flags, ...) {
	va_list args;
	va_start(args, flags);
	mode_t mode = take_mode(flags, args);
	va_end(args);
	struct redirected redirected;
	return open_redirected(folder, redirect(path, &redirected), flags, mode);
}

/* What open() is called under _FORTIFY_SOURCE, where there is no mode. */
PRELOAD_EXPORT int __open_2(const char *path, int flags);
PRELOAD_EXPORT int __openat_2(int folder, const char *path, int flags);

int __open_2(const char *path, int flags) {
	struct redirected redirected;
	return open_redirected(AT_FDCWD, redirect(path, &redirected), flags, 0);
}

int __openat_2(int folder, const char *path, int flags) {
	struct redirected redirected;
	return open_redirected(folder, redirect(path, &redirected), flags, 0);
}

PRELOAD_EXPORT int open64(const char *path, int flags, ...) __attribute__((alias("open")));
PRELOAD_EXPORT int openat64(int folder, const char *path, int flags, ...) __attribute__((alias("openat")));
PRELOAD_EXPORT int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
PRELOAD_EXPORT int __openat64_2(int folder, const char *path, int flags) __attribute__((alias("__openat_2")));

PRELOAD_EXPORT FILE *fopen(const char *path, const char *mode) {
	struct redirected redirected;
	return real_functions()->fopen(redirect(path, &redirected), mode);
}

PRELOAD_EXPORT FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

PRELOAD_EXPORT DIR *opendir(const char *path) {
	struct redirected redirected;
	return real_functions()->opendir(redirect(path, &redirected));
}

PRELOAD_EXPORT int scandir(const char *path, struct dirent ***names, int (*select)(const struct dirent *),
	int (*compare)(const struct dirent **, const struct dirent **)) {
	struct redirected redirected;
	return real_functions()->scandir(redirect(path, &redirected), names, select, compare);
}

PRELOAD_EXPORT int scandir64(const char *path, struct dirent64 ***names,
	int (*select)(const struct dirent64 *),
	int (*compare)(const struct dirent64 **, const struct dirent64 **)) __attribute__((alias("scandir")));

/* ---- looking ---- */

static int patch(int result, struct stat *st) {
	if (result == 0 && is_node_file(st)) {
		neep_preload_describe_node(st);
	}
	return result;
}

PRELOAD_EXPORT int stat(const char *path, struct stat *st) {
	struct redirected redirected;
	return patch(real_functions()->stat(redirect(path, &redirected), st), st);
}

PRELOAD_EXPORT int lstat(const char *path, struct stat *st) {
	struct redirected redirected;
	return patch(real_functions()->lstat(redirect(path, &redirected), st), st);
}

static bool is_token_of_node(int fd) {
	struct neep_preload_token token;
	return neep_preload_token(fd, &token) && token.kind == NEEP_VIRTGPU_TOKEN_FILE;
}

PRELOAD_EXPORT int fstat(int fd, struct stat *st) {
	int result = real_functions()->fstat(fd, st);
	if (result == 0 && S_ISSOCK(st->st_mode) && is_token_of_node(fd)) {
		neep_preload_describe_node(st);
	}
	return result;
}

PRELOAD_EXPORT int fstatat(int folder, const char *path, struct stat *st, int flags) {
	struct redirected redirected;
	path = redirect(path, &redirected);
	if (path != NULL && path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0) {
		return fstat(folder, st);
	}
	return patch(real_functions()->fstatat(folder, path, st, flags), st);
}

PRELOAD_EXPORT int statx(
	int folder, const char *restrict path, int flags, unsigned int mask, struct statx *restrict st) {
	struct redirected redirected;
	path = redirect(path, &redirected);
	int result = real_functions()->statx(folder, path, flags, mask, st);
	bool is_node = result == 0 && (st->stx_mask & STATX_INO) != 0 && st->stx_ino == node_inode &&
		       makedev(st->stx_dev_major, st->stx_dev_minor) == node_device && tree[0] != '\0';
	if (is_node || (result == 0 && S_ISSOCK(st->stx_mode) && path != NULL && path[0] == '\0' &&
			       is_token_of_node(folder))) {
		st->stx_mode = S_IFCHR | 0666;
		st->stx_rdev_major = NEEP_VIRTGPU_MAJOR;
		st->stx_rdev_minor = NEEP_VIRTGPU_MINOR;
		st->stx_size = 0;
	}
	return result;
}

PRELOAD_EXPORT int stat64(const char *path, struct stat64 *st) __attribute__((alias("stat")));
PRELOAD_EXPORT int lstat64(const char *path, struct stat64 *st) __attribute__((alias("lstat")));
PRELOAD_EXPORT int fstat64(int fd, struct stat64 *st) __attribute__((alias("fstat")));
PRELOAD_EXPORT int fstatat64(int folder, const char *path, struct stat64 *st, int flags)
	__attribute__((alias("fstatat")));

/* What programs call that were built with glibc before 2.33. */
PRELOAD_EXPORT int __xstat(int version, const char *path, struct stat *st);
PRELOAD_EXPORT int __lxstat(int version, const char *path, struct stat *st);
PRELOAD_EXPORT int __fxstat(int version, int fd, struct stat *st);
PRELOAD_EXPORT int __fxstatat(int version, int folder, const char *path, struct stat *st, int flags);

int __xstat(int version, const char *path, struct stat *st) {
	(void)version;
	return stat(path, st);
}

int __lxstat(int version, const char *path, struct stat *st) {
	(void)version;
	return lstat(path, st);
}

int __fxstat(int version, int fd, struct stat *st) {
	(void)version;
	return fstat(fd, st);
}

int __fxstatat(int version, int folder, const char *path, struct stat *st, int flags) {
	(void)version;
	return fstatat(folder, path, st, flags);
}

PRELOAD_EXPORT int __xstat64(int version, const char *path, struct stat *st)
	__attribute__((alias("__xstat")));
PRELOAD_EXPORT int __lxstat64(int version, const char *path, struct stat *st)
	__attribute__((alias("__lxstat")));
PRELOAD_EXPORT int __fxstat64(int version, int fd, struct stat *st) __attribute__((alias("__fxstat")));
PRELOAD_EXPORT int __fxstatat64(int version, int folder, const char *path, struct stat *st, int flags)
	__attribute__((alias("__fxstatat")));

/* The node is everybody's; the file that stands for it is the one's who installed it. */
static int mode_to_ask(int folder, const char *path, int mode) {
	struct stat st;
	bool is_node = (mode & W_OK) != 0 && real_functions()->fstatat(folder, path, &st, 0) == 0 &&
		       is_node_file(&st);
	return is_node ? mode & ~W_OK : mode;
}

PRELOAD_EXPORT int access(const char *path, int mode) {
	return faccessat(AT_FDCWD, path, mode, 0);
}

PRELOAD_EXPORT int faccessat(int folder, const char *path, int mode, int flags) {
	struct redirected redirected;
	path = redirect(path, &redirected);
	return real_functions()->faccessat(folder, path, mode_to_ask(folder, path, mode), flags);
}

PRELOAD_EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t size) {
	struct redirected redirected;
	return real_functions()->getxattr(redirect(path, &redirected), name, value, size);
}

PRELOAD_EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size) {
	struct redirected redirected;
	return real_functions()->lgetxattr(redirect(path, &redirected), name, value, size);
}

PRELOAD_EXPORT ssize_t listxattr(const char *path, char *list, size_t size) {
	struct redirected redirected;
	return real_functions()->listxattr(redirect(path, &redirected), list, size);
}

PRELOAD_EXPORT ssize_t llistxattr(const char *path, char *list, size_t size) {
	struct redirected redirected;
	return real_functions()->llistxattr(redirect(path, &redirected), list, size);
}

PRELOAD_EXPORT ssize_t readlink(const char *restrict path, char *restrict buf, size_t size) {
	struct redirected redirected;
	return real_functions()->readlink(redirect(path, &redirected), buf, size);
}

PRELOAD_EXPORT ssize_t readlinkat(int folder, const char *restrict path, char *restrict buf, size_t size) {
	struct redirected redirected;
	return real_functions()->readlinkat(folder, redirect(path, &redirected), buf, size);
}

PRELOAD_EXPORT char *realpath(const char *restrict path, char *restrict resolved) {
	struct redirected redirected;
	return real_functions()->realpath(redirect(path, &redirected), resolved);
}

PRELOAD_EXPORT char *__realpath_chk(const char *path, char *resolved, size_t size);

/* The C library would end the program here if `size` were less than PATH_MAX. */
char *__realpath_chk(const char *path, char *resolved, size_t size) {
	(void)size;
	return realpath(path, resolved);
}
