#include "script.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"
#include "worker/protocol.h"

#define RENDERERS_MAX 2048
#define RINGS_MAX     64
#define MEMORIES_MAX  64
#define HELD_MAX      4096

/* The renderer */

struct memory {
	uint32_t resource_id;
	uint32_t *words;
};

static struct renderer {
	int socket;
	bool is_deaf;
	struct memory rings[RINGS_MAX];
	size_t ring_count;
	struct memory memories[MEMORIES_MAX];
	size_t memory_count;
	uint64_t held[HELD_MAX];
	size_t held_count;
} renderer;

union message {
	struct neep_worker_header header;
	struct neep_worker_spawn spawn;
	struct neep_worker_kill kill;
	struct neep_worker_ring_add ring_add;
	struct neep_worker_resource_add resource_add;
	struct neep_worker_resource_id id;
	struct neep_worker_sync sync;
};

static void say(int socket, const void *message, size_t len, const int *fds, size_t fd_count) {
	struct neep_send send = { .buf = message, .len = len, .fds = fds, .fd_count = fd_count };
	if (len > 0) {
		(void)neep_send_all(socket, &send);
	} else {
		(void)!write(socket, "", 0);
	}
}

static void say_done(uint64_t sync_id) {
	struct neep_worker_sync_done done = { { NEEP_WORKER_SYNC_DONE, sizeof(done) }, sync_id };
	say(renderer.socket, &done, sizeof(done), NULL, 0);
}

static void release(void) {
	while (renderer.held_count > 0) {
		say_done(renderer.held[--renderer.held_count]);
	}
}

struct blob {
	uint64_t blob_id;
	uint64_t said_size;
	uint64_t size;
	uint32_t map_info;
	bool is_unsealed;
	size_t fd_count;
};

static void publish(const struct blob *blob) {
	int fd = blob->is_unsealed ? memfd_create("script", MFD_CLOEXEC | MFD_ALLOW_SEALING)
				   : neep_memfd_create("script", blob->size);
	if (blob->is_unsealed) {
		(void)!ftruncate(fd, (off_t)blob->size);
	}
	uint32_t *words = mmap(NULL, blob->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; words != MAP_FAILED && i < blob->size / sizeof(*words); i++) {
		words[i] = (uint32_t)blob->blob_id;
	}
	munmap(words, blob->size);
	struct neep_worker_blob message = { { NEEP_WORKER_BLOB, sizeof(message) }, blob->blob_id,
		blob->said_size, blob->map_info, 0 };
	int fds[32];
	for (size_t i = 0; i < 32; i++) {
		fds[i] = fd;
	}
	say(renderer.socket, &message, sizeof(message), fds, blob->fd_count);
	close(fd);
}

static void publish_plain(uint64_t blob_id) {
	struct blob blob = { .blob_id = blob_id,
		.said_size = SCRIPT_BLOB_SIZE,
		.size = SCRIPT_BLOB_SIZE,
		.map_info = 1,
		.fd_count = 1 };
	publish(&blob);
}

static void publish_wrong(uint64_t order) {
	struct blob blob = { .blob_id = 1,
		.said_size = SCRIPT_BLOB_SIZE,
		.size = SCRIPT_BLOB_SIZE,
		.map_info = 1,
		.fd_count = 1 };
	blob.is_unsealed = order == SCRIPT_UNSEALED;
	blob.map_info = order == SCRIPT_BAD_CACHE ? 9 : 1;
	blob.fd_count = order == SCRIPT_NO_FD ? 0 : order == SCRIPT_MANY_FDS ? 32 : 1;
	blob.said_size += order == SCRIPT_TOO_SMALL ? 4096 : 0;
	publish(&blob);
	if (order == SCRIPT_SAME_BLOB) {
		publish(&blob);
	}
}

static void publish_pipe(void) {
	int ends[2];
	(void)!pipe(ends);
	struct neep_worker_blob message = { { NEEP_WORKER_BLOB, sizeof(message) }, 1, 4096, 1, 0 };
	say(renderer.socket, &message, sizeof(message), ends, 1);
}

static void give_up(const char *reason) {
	struct neep_worker_lost lost = { .header = { NEEP_WORKER_LOST, sizeof(lost) } };
	snprintf(lost.reason, sizeof(lost.reason), "%s", reason);
	say(renderer.socket, &lost, sizeof(lost), NULL, 0);
}

static uint32_t count_fds(void) {
	uint32_t count = 0;
	DIR *folder = opendir("/proc/self/fd");
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		count += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder);
	}
	closedir(folder);
	return count;
}

static void garbage(uint64_t order, uint64_t sync_id) {
	static const char zeros[4096];
	struct neep_worker_sync_done done = { { NEEP_WORKER_SYNC_DONE, sizeof(done) }, sync_id };
	size_t len = order == SCRIPT_SHORT ? 4 : order == SCRIPT_EMPTY ? 0 : sizeof(done);
	done.header.type = order == SCRIPT_UNKNOWN_TYPE ? 77 : done.header.type;
	done.header.size += order == SCRIPT_WRONG_SIZE ? 4 : 0;
	done.sync_id += order == SCRIPT_UNASKED ? 1000 : 0;
	int fds[] = { 0, 1, 2 };
	if (order == SCRIPT_LONG) {
		say(renderer.socket, zeros, sizeof(zeros), NULL, 0);
	} else {
		say(renderer.socket, &done, len, fds, order == SCRIPT_EXTRA_FDS ? 3 : 0);
	}
}

static void flood(uint64_t order) {
	for (uint64_t i = 1;; i++) {
		if (order == SCRIPT_FLOOD_BLOBS) {
			publish_plain(i);
		} else {
			give_up("again and again");
		}
	}
}

static void sleep_for_ever(void) {
	for (;;) {
		pause();
	}
}

static void end_somehow(uint64_t order) {
	switch (order) {
	case SCRIPT_CRASH:
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
		raise(SIGKILL);
		break;
	case SCRIPT_EXIT:
		_exit(7);
	case SCRIPT_EOF:
		close(renderer.socket);
		sleep_for_ever();
		break;
	case SCRIPT_GIVE_UP:
		give_up("the guest sent \033[31mnonsense");
		_exit(0);
	case SCRIPT_STOP_READING:
		sleep_for_ever();
		break;
	default:
		break;
	}
}

/* Returns whether the sync is done. */
static bool obey(uint64_t order, uint64_t operand) {
	switch (order) {
	case SCRIPT_HOLD:
		return false;
	case SCRIPT_RELEASE:
		release();
		return true;
	case SCRIPT_PUBLISH:
		publish_plain(operand);
		return true;
	case SCRIPT_REPORT:
		renderer.rings[0].words[SCRIPT_FDS / 4] = count_fds();
		return true;
	case SCRIPT_DEAF:
		renderer.is_deaf = true;
		return true;
	default:
		if (order >= SCRIPT_CRASH && order <= SCRIPT_STOP_READING) {
			end_somehow(order);
			return false;
		}
		return true;
	}
}

static void on_sync(const struct neep_worker_sync *sync) {
	uint64_t order = sync->fence;
	if (order == SCRIPT_HOLD && renderer.held_count < HELD_MAX) {
		renderer.held[renderer.held_count++] = sync->sync_id;
	}
	if (order >= SCRIPT_FLOOD_BLOBS) {
		flood(order);
	} else if (order == SCRIPT_NOT_MEMORY) {
		publish_pipe();
	} else if (order == SCRIPT_NO_FD || order >= SCRIPT_MANY_FDS) {
		publish_wrong(order);
	} else if (order > SCRIPT_TWICE) {
		garbage(order, sync->sync_id);
	} else if (obey(order, sync->device)) {
		say_done(sync->sync_id);
		if (order == SCRIPT_TWICE) {
			say_done(sync->sync_id);
		}
	}
}

static uint32_t *map(int fd, uint64_t size) {
	void *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return words == MAP_FAILED ? NULL : words;
}

static void on_message(const union message *message, struct neep_fds *fds) {
	struct memory *memory;
	switch (message->header.type) {
	case NEEP_WORKER_RING_ADD:
		memory = &renderer.rings[renderer.ring_count++ % RINGS_MAX];
		*memory = (struct memory){ message->ring_add.resource_id,
			map(fds->fd[0], message->ring_add.size) };
		break;
	case NEEP_WORKER_RESOURCE_ADD:
		memory = &renderer.memories[renderer.memory_count++ % MEMORIES_MAX];
		*memory = (struct memory){ message->resource_add.resource_id,
			map(fds->fd[0], message->resource_add.size) };
		memory->words[0] = memory->resource_id;
		break;
	case NEEP_WORKER_RESOURCE_REMOVE:
		for (size_t i = 0; i < MEMORIES_MAX; i++) {
			if (renderer.memories[i].resource_id == message->id.resource_id) {
				renderer.memories[i].words[0] = 0;
			}
		}
		break;
	case NEEP_WORKER_SYNC:
		on_sync(&message->sync);
		break;
	default:
		break;
	}
}

static void render(int socket) {
	renderer.socket = socket;
	for (;;) {
		union message message;
		struct neep_fds fds = { .count = 0 };
		if (neep_recv(socket, &message, sizeof(message), &fds) <= 0) {
			break;
		}
		on_message(&message, &fds);
		neep_fds_finish(&fds);
	}
	if (renderer.is_deaf) {
		sleep_for_ever();
	}
	_exit(0);
}

/* The spawner */

static struct {
	uint64_t token;
	pid_t pid;
} children[RENDERERS_MAX];

static void say_exited(uint64_t token, int error, int status) {
	struct neep_worker_exited exited = { { NEEP_WORKER_EXITED, sizeof(exited) }, token, error, status };
	say(NEEP_WORKER_SPAWNER_FD, &exited, sizeof(exited), NULL, 0);
}

static void spawn(const struct neep_worker_spawn *message, int socket) {
	size_t i = 0;
	while (i < RENDERERS_MAX && children[i].pid != 0) {
		i++;
	}
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(NEEP_WORKER_SPAWNER_FD);
		if (getppid() != parent || strncmp(message->name, "stillborn", 9) == 0) {
			raise(SIGKILL);
		}
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		render(socket);
	}
	children[i].pid = pid;
	children[i].token = message->token;
}

static void kill_token(uint64_t token) {
	for (size_t i = 0; i < RENDERERS_MAX; i++) {
		if (children[i].pid != 0 && children[i].token == token) {
			kill(children[i].pid, SIGKILL);
		}
	}
}

static void reap(void) {
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (size_t i = 0; i < RENDERERS_MAX; i++) {
			if (children[i].pid == pid) {
				say_exited(children[i].token, 0, status);
				children[i].pid = 0;
			}
		}
	}
}

static bool serve(void) {
	union message message;
	struct neep_fds fds = { .count = 0 };
	if (neep_recv(NEEP_WORKER_SPAWNER_FD, &message, sizeof(message), &fds) <= 0) {
		return false;
	}
	if (message.header.type == NEEP_WORKER_KILL) {
		kill_token(message.kill.token);
	} else if (message.spawn.is_lost != 0 && strncmp(message.spawn.name, "mourned", 7) != 0) {
		say_exited(message.spawn.token, EAGAIN, 0);
	} else if (strncmp(message.spawn.name, "doom", 4) == 0) {
		raise(SIGABRT);
	} else if (strncmp(message.spawn.name, "refused", 7) == 0) {
		say_exited(message.spawn.token, EAGAIN, 0);
	} else {
		spawn(&message.spawn, fds.fd[0]);
	}
	neep_fds_finish(&fds);
	return true;
}

int main(int argc, char **argv) {
	/* For the test of what a renderer is started with. */
	const char *report = argc > 1 ? strstr(argv[1], "--report=") : NULL;
	if (report != NULL) {
		FILE *file = fopen(report + strlen("--report="), "w");
		for (int i = 1; i < argc; i++) {
			fprintf(file, "argument %s\n", argv[i]);
		}
		for (char **variable = environ; *variable != NULL; variable++) {
			fprintf(file, "variable %s\n", *variable);
		}
		fprintf(file, "fds %u\n", count_fds() - 1);
		fclose(file);
	}
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct pollfd polled[] = {
		{ NEEP_WORKER_SPAWNER_FD, POLLIN, 0 },
		{ signalfd(-1, &set, SFD_CLOEXEC), POLLIN, 0 },
	};
	for (;;) {
		poll(polled, 2, -1);
		struct signalfd_siginfo info;
		if (polled[1].revents != 0 && read(polled[1].fd, &info, sizeof(info)) > 0) {
			reap();
		}
		if (polled[0].revents != 0 && !serve()) {
			break;
		}
	}
	for (size_t i = 0; i < RENDERERS_MAX; i++) {
		if (children[i].pid != 0) {
			kill(children[i].pid, SIGKILL);
			waitpid(children[i].pid, NULL, 0);
		}
	}
	return 0;
}
