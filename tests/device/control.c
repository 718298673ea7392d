/* The device's control socket, client side, and its screenshots. */
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "device/harness_internal.h"
#include "util/fd.h"

void check_control_connect(struct check *check) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", check->folder);
	check->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(check->control_fd >= 0);
	assert_int_equal(connect(check->control_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	struct timeval limit = { .tv_sec = CHECK_TIMEOUT_NS / NEEP_NS_PER_S };
	setsockopt(check->control_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void send_line(struct check *check, int fd, const char *line) {
	char text[256];
	int len = snprintf(text, sizeof(text), "%s\n", line);
	struct iovec iov = { .iov_base = text, .iov_len = (size_t)len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(check->control_fd, &message, MSG_NOSIGNAL), len);
}

void check_control(struct check *check, int fd, const char *line, char *reply, size_t reply_size) {
	send_line(check, fd, line);
	size_t used = 0;
	do {
		assert_true(used < reply_size);
		assert_int_equal(read(check->control_fd, reply + used, 1), 1);
	} while (reply[used++] != '\n');
	reply[used - 1] = '\0';
}

static uint32_t *decode_png(int fd, uint32_t *width, uint32_t *height) {
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	void *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(file, MAP_FAILED);
	png_image png = { .version = PNG_IMAGE_VERSION };
	assert_true(png_image_begin_read_from_memory(&png, file, (size_t)st.st_size));
	/* Bytes blue, green, red, alpha: a8r8g8b8 on a little-endian host. */
	png.format = PNG_FORMAT_BGRA;
	uint32_t *pixels = malloc(PNG_IMAGE_SIZE(png));
	assert_non_null(pixels);
	assert_true(png_image_finish_read(&png, NULL, pixels, 0, NULL));
	munmap(file, (size_t)st.st_size);
	*width = png.width;
	*height = png.height;
	return pixels;
}

uint32_t *check_screenshot(
	struct check *check, uint32_t scanout_id, bool with_cursor, uint32_t *width, uint32_t *height) {
	char line[64], reply[256];
	neep_autoclose int fd = memfd_create("screenshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	snprintf(line, sizeof(line), "screenshot %u%s", scanout_id, with_cursor ? " cursor" : "");
	check_control(check, fd, line, reply, sizeof(reply));
	if (strncmp(reply, "ok", 2) != 0) {
		*width = 0;
		*height = 0;
		return NULL;
	}
	return decode_png(fd, width, height);
}
