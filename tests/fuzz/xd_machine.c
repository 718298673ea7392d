#include "fuzz/xd_machine.h"

#include <fcntl.h>
#include <rutabaga_gfx/neep_rutabaga.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cross_domain/protocol.h"
#include "util/fd.h"
#include "util/macros.h"

#define RESOURCES_MAX  32
#define FIRST_RESOURCE 16
#define FDS_MAX        64

static char socket_path[64];
static int listen_fd = -1;

static void remove_socket(void) {
	unlink(socket_path);
	*strrchr(socket_path, '/') = '\0';
	rmdir(socket_path);
}

static void listen_once(void) {
	if (listen_fd >= 0) {
		return;
	}
	char folder[] = "/tmp/neep-fuzz-XXXXXX";
	neep_assert(mkdtemp(folder) != NULL);
	snprintf(socket_path, sizeof(socket_path), "%s/wayland", folder);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, socket_path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	neep_assert(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	neep_assert(listen(listen_fd, 16) == 0);
	atexit(remove_socket);
}

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	(void)fence;
	((struct xd_machine *)(uintptr_t)user_data)->fences_told++;
}

static void on_message(uint64_t user_data, const struct rutabaga_debug *debug) {
	(void)user_data;
	(void)debug;
}

static void create(struct xd_machine *machine) {
	struct rutabaga_channel channel = { socket_path, RUTABAGA_CHANNEL_TYPE_WAYLAND };
	struct rutabaga_channels channels = { &channel, 1 };
	struct rutabaga_builder builder = {
		.user_data = (uintptr_t)machine,
		.capset_mask = UINT64_C(1) << RUTABAGA_CAPSET_CROSS_DOMAIN,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = on_fence,
		.debug_cb = on_message,
		.channels = &channels,
	};
	neep_assert(rutabaga_init(&builder, &machine->rutabaga) == 0);
	neep_assert(neep_rutabaga_event_fd(machine->rutabaga) >= 0);
	neep_assert(
		rutabaga_context_create(machine->rutabaga, XD_CTX, RUTABAGA_CAPSET_CROSS_DOMAIN, "", 0) == 0);
}

static void add_ring(struct xd_machine *machine, uint32_t resource_id) {
	struct iovec iov = { machine->rings[resource_id - XD_QUERY_RING], XD_PAGE };
	struct rutabaga_iovecs iovecs = { &iov, 1 };
	struct rutabaga_create_blob blob = { .blob_mem = RUTABAGA_BLOB_MEM_GUEST, .size = XD_PAGE };
	neep_assert(
		rutabaga_resource_create_blob(machine->rutabaga, 0, resource_id, &blob, &iovecs, NULL) == 0);
	neep_assert(rutabaga_context_attach_resource(machine->rutabaga, XD_CTX, resource_id) == 0);
}

static int lowest_fd(void) {
	int fd = dup(listen_fd);
	close(fd);
	return fd;
}

void xd_machine_init(struct xd_machine *machine, int is_connected) {
	listen_once();
	*machine = (struct xd_machine){ .host = -1, .next_resource = FIRST_RESOURCE };
	machine->lowest_fd = lowest_fd();
	create(machine);
	add_ring(machine, XD_QUERY_RING);
	add_ring(machine, XD_CHANNEL_RING);
	if (is_connected) {
		const uint32_t init[] = { 20 << 16 | NEEP_XD_INIT, 0, XD_QUERY_RING, XD_CHANNEL_RING, 1 };
		xd_submit(machine, init, sizeof(init));
		machine->host = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
}

void xd_machine_finish(struct xd_machine *machine) {
	neep_assert(rutabaga_finish(&machine->rutabaga) == 0);
	neep_assert(machine->fences_told == machine->fences_made);
	neep_close_fd(&machine->host);
	/* Inputs may have connected on their own. */
	for (int fd; (fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
		close(fd);
	}
	neep_assert(lowest_fd() == machine->lowest_fd);
}

void xd_submit(struct xd_machine *machine, const void *bytes, size_t size) {
	uint8_t *copy = malloc(size > 0 ? size : 1);
	memcpy(copy, bytes, size);
	struct rutabaga_command command = { .ctx_id = XD_CTX, .cmd = copy, .cmd_size = (uint32_t)size };
	(void)rutabaga_submit_command(machine->rutabaga, &command);
	free(copy);
}

void xd_fence(struct xd_machine *machine, uint32_t ring_idx) {
	struct rutabaga_fence fence = {
		.flags = RUTABAGA_FLAG_FENCE | RUTABAGA_FLAG_INFO_RING_IDX,
		.fence_id = machine->fences_made + 1,
		.ctx_id = XD_CTX,
		.ring_idx = ring_idx,
	};
	machine->fences_made++;
	if (rutabaga_create_fence(machine->rutabaga, &fence) < 0) {
		machine->fences_made--;
	}
	(void)neep_rutabaga_dispatch(machine->rutabaga);
}

void xd_poll(struct xd_machine *machine) {
	const uint32_t poll[] = { 16 << 16 | NEEP_XD_POLL, 0, 0, 0 };
	xd_submit(machine, poll, sizeof(poll));
	xd_fence(machine, NEEP_XD_CHANNEL_RING);
}

void xd_blob(struct xd_machine *machine, uint64_t blob_id, uint64_t size) {
	uint32_t id = machine->next_resource++;
	struct rutabaga_create_blob blob = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = blob_id,
		.size = size,
	};
	if (rutabaga_resource_create_blob(machine->rutabaga, XD_CTX, id, &blob, NULL, NULL) == 0) {
		(void)rutabaga_context_attach_resource(machine->rutabaga, XD_CTX, id);
		struct rutabaga_mapping mapping;
		if (rutabaga_resource_map(machine->rutabaga, id, &mapping) == 0) {
			/* What can be mapped can be read to its last byte. */
			(void)((volatile uint8_t *)mapping.ptr)[size - 1];
		}
	}
	if (id >= FIRST_RESOURCE + RESOURCES_MAX) {
		(void)rutabaga_resource_unref(machine->rutabaga, id - RESOURCES_MAX);
	}
}

static int memory(off_t size, unsigned seals) {
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	neep_assert(ftruncate(fd, size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static int pipe_end(int index) {
	int ends[2];
	neep_assert(pipe2(ends, O_CLOEXEC) == 0);
	close(ends[1 - index]);
	return ends[index];
}

static int make_fd(uint8_t kind) {
	switch (kind % 12) {
	case 0:
		return memory(XD_PAGE, 0);
	case 1:
		return memory(5000, 0);
	case 2:
		return memory(5000, F_SEAL_WRITE);
	case 3:
		return memory(5000, F_SEAL_GROW | F_SEAL_SHRINK);
	case 4:
		return memory(0, 0);
	case 5:
		return memory((off_t)kind << 28, F_SEAL_FUTURE_WRITE);
	case 6:
		return pipe_end(1);
	case 7:
		return pipe_end(0);
	case 8:
		return eventfd(kind, EFD_CLOEXEC | (kind > 127 ? EFD_NONBLOCK : 0));
	case 9:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 10:
		return open("/dev/null", O_WRONLY | O_CLOEXEC);
	default:
		return open("/", O_PATH | O_CLOEXEC);
	}
}

/* By hand: more fds than any honest sender has. */
void xd_host_send(
	struct xd_machine *machine, const void *bytes, size_t size, const uint8_t *kinds, size_t count) {
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[FDS_MAX];
	count = count < FDS_MAX ? count : FDS_MAX;
	for (size_t i = 0; i < count; i++) {
		fds[i] = make_fd(kinds[i]);
	}
	if (count > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		*cmsg = (struct cmsghdr){ CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);
	}
	(void)sendmsg(machine->host, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (size_t i = 0; i < count; i++) {
		close(fds[i]);
	}
}

void xd_host_read(struct xd_machine *machine, size_t most) {
	static uint8_t buf[65536];
	struct neep_fds fds = { .count = 0 };
	(void)neep_recv(machine->host, buf, most < sizeof(buf) ? most : sizeof(buf), &fds);
	neep_fds_finish(&fds);
	(void)neep_rutabaga_dispatch(machine->rutabaga);
}
