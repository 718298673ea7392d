/* read() on a render fd. An event is a message of the fd's socket, so the kernel does it, but for one thing: what has no
 * room for an event reads nothing and leaves it there, where a socket would give a part and throw the rest away. */
#include "virtgpu/preload.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef ssize_t read_function(int fd, void *buf, size_t len);

/* The C library's, or that of the next library that stands before it: read() is a point where a thread may be cancelled. */
static read_function *real_read(void) {
	static _Atomic(read_function *) found;
	read_function *function = atomic_load_explicit(&found, memory_order_relaxed);
	if (function == NULL) {
		void *symbol = dlsym(RTLD_NEXT, "read");
		memcpy(&function, &symbol, sizeof(function));
		atomic_store_explicit(&found, function, memory_order_relaxed);
	}
	return function;
}

__attribute__((constructor)) static void start(void) {
	real_read();
}

/* Waits for an event as read() does, and leaves it. */
static ssize_t read_nothing(int fd) {
	char byte;
	ssize_t got = recv(fd, &byte, sizeof(byte), MSG_PEEK);
	return got > 0 ? 0 : got;
}

PRELOAD_EXPORT ssize_t read(int fd, void *buf, size_t len) {
	struct neep_preload_token token;
	if (len < sizeof(struct drm_event) && neep_preload_token(fd, &token) &&
		token.kind == NEEP_VIRTGPU_TOKEN_FILE) {
		return read_nothing(fd);
	}
	return real_read()(fd, buf, len);
}
