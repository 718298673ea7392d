#include "driver/stock_peer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"

#define DEFAULT_PROGRAM "/usr/lib/qemu/vhost-user-gpu"

static const char *program(void) {
	const char *other = getenv("NEEP_TEST_BACKEND");
	return other != NULL ? other : DEFAULT_PROGRAM;
}

bool stock_peer_exists(void) {
	return access(program(), X_OK) == 0;
}

void stock_peer_start(struct stock_peer *peer) {
	const char *tmp = getenv("TMPDIR");
	snprintf(peer->folder, sizeof(peer->folder), "%s/neep-driver-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(peer->folder));
	snprintf(peer->socket_path, sizeof(peer->socket_path), "%s/gpu.sock", peer->folder);
	peer->pid = fork();
	assert_true(peer->pid >= 0);
	if (peer->pid == 0) {
		/* Its chatter would break the TAP stream. */
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		if (getenv("NEEP_TEST_VERBOSE") == NULL) {
			dup2(null, STDERR_FILENO);
		}
		execl(program(), program(), "--socket-path", peer->socket_path, (char *)NULL);
		_exit(127);
	}
}

int stock_peer_stop(struct stock_peer *peer) {
	int status = 0;
	kill(peer->pid, SIGKILL);
	waitpid(peer->pid, &status, 0);
	unlink(peer->socket_path);
	rmdir(peer->folder);
	return status;
}
