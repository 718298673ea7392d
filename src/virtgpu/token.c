#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "virtgpu/node_internal.h"

uint64_t neep_node_random(void) {
	uint64_t number = 0;
	while (number == 0) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
			number = 0;
		}
	}
	return number;
}

int neep_node_token_create(
	const struct neep_virtgpu_node *node, enum neep_virtgpu_token_kind kind, uint64_t id, int *near) {
	int pair[2];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s%c%016" PRIx64, node->name,
		(char)kind, id);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + NEEP_VIRTGPU_TOKEN_LEN);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	if (bind(pair[0], (const struct sockaddr *)(const void *)&address, len) < 0) {
		int result = -errno;
		neep_close_fd(&pair[0]);
		neep_close_fd(&pair[1]);
		return result;
	}
	*near = pair[0];
	return pair[1];
}

uint64_t neep_node_token_id(const struct neep_virtgpu_node *node, enum neep_virtgpu_token_kind kind, int fd) {
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	size_t head = offsetof(struct sockaddr_un, sun_path) + 1;
	char digits[17];
	if (getpeername(fd, (struct sockaddr *)(void *)&address, &len) < 0 ||
		len != head + NEEP_VIRTGPU_TOKEN_LEN || address.sun_family != AF_UNIX ||
		memcmp(address.sun_path + 1, node->name, NEEP_VIRTGPU_NAME_LEN) != 0 ||
		address.sun_path[1 + NEEP_VIRTGPU_NAME_LEN] != (char)kind) {
		return 0;
	}
	memcpy(digits, address.sun_path + 2 + NEEP_VIRTGPU_NAME_LEN, 16);
	digits[16] = '\0';
	return strtoull(digits, NULL, 16);
}
