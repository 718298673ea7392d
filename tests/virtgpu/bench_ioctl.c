/* What calls on the render node cost, microseconds per call: runs under `neep run`, as the tests do. */
#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"
#include "virtgpu/render_node.h"

static struct node_blob blob;

static void foreign_ioctl(int fd) {
	int count;
	(void)fd;
	ioctl(STDIN_FILENO, FIONREAD, &count);
}

static void foreign_mmap(int fd) {
	(void)fd;
	munmap(mmap(NULL, NODE_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), NODE_PAGE);
}

static void local_ioctl(int fd) {
	uint32_t value;
	struct neep_drm_getparam getparam = { .param = 1, .value = (uintptr_t)&value };
	NODE_IOCTL(fd, GETPARAM, &getparam);
}

static void node_call(int fd) {
	struct neep_drm_resource_info info = { .bo_handle = blob.handle };
	NODE_IOCTL(fd, RESOURCE_INFO, &info);
}

static void silent_submit(int fd) {
	NODE_RUN(fd, NEEP_FAKE_OP_NOP, 0);
}

static void fenced_submit(int fd) {
	struct node_submit submit = { .ring = 0, .wants_fence = true, .fence_in = -1 };
	int fence = node_submit(fd, &submit);
	node_fence_is_done(fence, 5000);
	close(fence);
}

static void blob_and_close(int fd) {
	struct node_blob other;
	node_blob_create(fd, NODE_PAGE, 0, &other);
	node_close(fd, other.handle);
}

static void map_and_unmap(int fd) {
	munmap(node_map(fd, blob.handle, NODE_PAGE), NODE_PAGE);
}

static void open_and_close(int fd) {
	(void)fd;
	close(node_open());
}

static void measure(const char *name, void (*call)(int fd), int fd, int count) {
	for (int i = 0; i < count / 10; i++) {
		call(fd);
	}
	int64_t start = neep_clock_ns();
	for (int i = 0; i < count; i++) {
		call(fd);
	}
	printf("%-16s %8.2f us\n", name, (double)(neep_clock_ns() - start) / count / NEEP_NS_PER_US);
}

int main(void) {
	int fd = node_open_context();
	node_blob_create(fd, NODE_PAGE, 0, &blob);
	measure("foreign ioctl", foreign_ioctl, fd, 1000000);
	measure("foreign mmap", foreign_mmap, fd, 200000);
	measure("local ioctl", local_ioctl, fd, 200000);
	measure("node call", node_call, fd, 20000);
	measure("silent submit", silent_submit, fd, 20000);
	measure("fenced submit", fenced_submit, fd, 5000);
	measure("blob and close", blob_and_close, fd, 5000);
	measure("map and unmap", map_and_unmap, fd, 5000);
	measure("open and close", open_and_close, fd, 5000);
	close(fd);
	return 0;
}
