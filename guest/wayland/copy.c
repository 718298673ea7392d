#include "wayland/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"
#include "wayland/client.h"
#include "wayland/wayland-protocol.h"

/* Before version 7, keyboards let clients map keymaps shared, for which F_SEAL_WRITE leaves no way. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* Writes what is mapped. The kernel reads it, so pages that are missing are -EFAULT and no signal. */
static int write_all(int fd, const uint8_t *data, size_t size) {
	for (size_t done = 0; done < size;) {
		ssize_t len = pwrite(fd, data + done, size - done, (off_t)done);
		if (len < 0 && errno == EINTR) {
			continue;
		}
		if (len <= 0) {
			return len < 0 ? -errno : -EIO;
		}
		done += (size_t)len;
	}
	return 0;
}

/* How much of `fd` to map: a blob of a virtio-gpu is mapped whole or not at all. */
static size_t mapping_size(int fd, size_t size) {
	off_t end = lseek(fd, 0, SEEK_END);
	size_t whole = end > 0 ? (size_t)end : size;
	return whole < size || whole > NEEP_WL_COPY_MAX ? size : whole;
}

int neep_wl_copy_bytes(const void *data, size_t size) {
	neep_autoclose int to = memfd_create("neep-wayland-copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (to < 0 || ftruncate(to, (off_t)size) < 0) {
		return -errno;
	}
	int result = write_all(to, data, size);
	if (result == 0 && fcntl(to, F_ADD_SEALS, SEALS) < 0) {
		result = -errno;
	}
	return result < 0 ? result : neep_steal_fd(&to);
}

int neep_wl_copy_memory(int owned_fd, size_t size) {
	neep_autoclose int from = owned_fd;
	if (size > NEEP_WL_COPY_MAX) {
		return -EFBIG;
	}
	if (size == 0) {
		return neep_wl_copy_bytes(NULL, 0);
	}
	size_t mapped = mapping_size(from, size);
	void *data = mmap(NULL, mapped, PROT_READ, MAP_PRIVATE, from, 0);
	if (data == MAP_FAILED) {
		return -errno;
	}
	int result = neep_wl_copy_bytes(data, size);
	munmap(data, mapped);
	return result;
}

int neep_wl_copy_message_fd(struct neep_wl_message *message, size_t arg, size_t size) {
	int *fd = &message->fds[message->args[arg].value];
	int copy = neep_wl_copy_memory(neep_steal_fd(fd), size);
	*fd = copy < 0 ? -1 : copy;
	return copy < 0 ? copy : 0;
}

/* ---- wl_keyboard ---- */

/* format, fd, size */
static int on_keymap(struct neep_wl_call *call) {
	int result = neep_wl_copy_message_fd(&call->message, 1, call->message.args[2].value);
	return result < 0 ? result : NEEP_WL_FORWARD;
}

static neep_wl_handler *const keyboard_events[] = {
	[WL_KEYBOARD_KEYMAP] = on_keymap,
};

const struct neep_wl_handlers neep_wl_keyboard_handlers = {
	.interface = &wl_keyboard_interface,
	.events = keyboard_events,
	.event_count = NEEP_ARRAY_LEN(keyboard_events),
};
