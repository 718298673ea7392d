/* What the files of this room share. */
#ifndef NEEP_WORKER_WORKER_INTERNAL_H
#define NEEP_WORKER_WORKER_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/fd.h"
#include "util/idmap.h"
#include "util/list.h"
#include "worker/worker.h"

/* channel.c: one end of a socket, with what did not fit yet. */
struct neep_worker_channel {
	int fd;                 // -1: closed
	struct neep_list queue; // struct packet.link
	size_t queued;
	bool wants_out; // room in the socket is waited for
};

/* Any message that comes this way; larger ones are none of ours. */
union neep_worker_incoming {
	struct neep_worker_header header;
	struct neep_worker_exited exited;
	struct neep_worker_blob blob;
	struct neep_worker_sync_done sync_done;
	struct neep_worker_lost lost;
};

/* Two connected sockets; ours never blocks. The caller owns both. Returns 0 or a negative errno. */
int neep_worker_channel_pair(int *ours, int *theirs);

void neep_worker_channel_init(struct neep_worker_channel *channel, int owned_fd);
void neep_worker_channel_close(struct neep_worker_channel *channel);

/* Sends `message` (its size is in its header) with borrowed fds, or queues it. -ENOBUFS: the queue is full; -EBADF: closed; or
 * what the socket says. */
int neep_worker_channel_send(
	struct neep_worker_channel *channel, const void *message, const int *fds, size_t fd_count);

/* Sends what is queued, as far as it goes. Returns 0 or a negative errno. */
int neep_worker_channel_flush(struct neep_worker_channel *channel);

/* One message: its size is that of its header, and at least a header. 0: there is none; 1: one; -EPIPE: the peer closed;
 * -EPROTO: not a message. */
int neep_worker_channel_receive(
	struct neep_worker_channel *channel, union neep_worker_incoming *message, struct neep_fds *fds);

/* process.c: the spawner as a process. */
struct neep_worker_process {
	pid_t pid;
	int pidfd; // -1: there is none, or it was reaped
};

/* Writes the path of the program to run to `path`. */
int neep_worker_process_find(const char *wanted, char *path, size_t size, struct neep_error *error);

/* Starts `path` with `arguments` (after argv[0], up to a NULL) and a socket, whose other end goes to *owned_socket. */
int neep_worker_process_start(struct neep_worker_process *process, const char *path,
	const char *const *arguments, int *owned_socket, struct neep_error *error);

/* Whether it has ended; then *status is that of waitpid() and the process is no more. */
bool neep_worker_process_reap(struct neep_worker_process *process, int *status);

/* Waits for the end, and brings it about when it takes long. */
void neep_worker_process_end(struct neep_worker_process *process);

/* pool.c */
struct neep_worker_pool {
	struct neep_worker_speaker *speaker;
	char *path;
	char **arguments; // NULL-terminated
	int epoll_fd;
	int timer_fd;
	int64_t timer_ns; // when it fires; 0: not
	int64_t alarm_ns; // when its owner wants it to; 0: not
	struct neep_worker_process process;
	struct neep_worker_channel spawner; // fd -1: the spawner is gone
	int64_t started_ns;
	uint64_t next_token;
	struct neep_idmap workers; // neep_worker.token_link
	struct neep_list broken;   // neep_worker.link: to be lost at the next dispatch
	struct neep_list ending;   // neep_worker.link, soonest deadline first
	size_t ending_count;
};

enum neep_worker_state {
	NEEP_WORKER_RUNNING,
	NEEP_WORKER_BROKEN, // in pool.broken
	NEEP_WORKER_ENDING, // no socket; in pool.ending until killed
};

struct neep_worker {
	struct neep_idmap_link token_link; // pool.workers
	struct neep_list link;
	struct neep_worker_pool *pool;
	struct neep_worker_owner *owner; // NULL: its context is gone
	enum neep_worker_state state;
	struct neep_worker_channel channel;
	int64_t deadline_ns; // while ending
	bool is_lost;        // ended before its context did, and nobody has said why
	bool is_told;        // its owner was, that it is lost
	bool is_quiet;       // people are not told
	uint32_t ctx_id;
	char name[NEEP_WORKER_NAME_SIZE];
	char reason[NEEP_WORKER_REASON_SIZE]; // empty: not known yet
};

/* Has dispatch run soon, for pool.broken. */
void neep_worker_pool_wake(struct neep_worker_pool *pool);
int neep_worker_pool_watch(struct neep_worker_pool *pool, int fd, uint64_t token);
/* Waits for room in the socket while something is queued for it. */
void neep_worker_pool_watch_room(
	struct neep_worker_pool *pool, struct neep_worker_channel *channel, uint64_t token);
void neep_worker_pool_send(struct neep_worker_pool *pool, const void *message, int fd);
NEEP_PRINTF(3, 4)
void neep_worker_pool_say(struct neep_worker_pool *pool, enum neep_log_level level, const char *format, ...);

/* worker.c */

/* The socket has something, or room again. */
void neep_worker_ready(struct neep_worker *worker, uint32_t events);

/* The renderer is lost as soon as dispatch runs; the first reason counts. An empty one: its end will tell. */
NEEP_PRINTF(2, 3)
void neep_worker_break(struct neep_worker *worker, const char *format, ...);

/* Does what neep_worker_break() put off. */
void neep_worker_lose(struct neep_worker *worker);

/* The renderer has ended, and `how` says how: tells the owner and people what they do not know yet, and frees it. */
void neep_worker_ended(struct neep_worker *worker, const char *how);

/* Kills one that did not end in time. */
void neep_worker_kill(struct neep_worker *worker);

/* Frees it, owner or not. */
void neep_worker_free(struct neep_worker *worker);

#endif
