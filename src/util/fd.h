/* File descriptors: -1 is "none", everything is close-on-exec.
 *
 * A parameter named owned_fd is consumed in every case, also on error; a plain fd is borrowed. */
#ifndef NEEP_UTIL_FD_H
#define NEEP_UTIL_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most fds one message may carry; more are closed on arrival. vhost-user peers send up to 32. */
#define NEEP_FDS_MAX 32

/* fds that came with a message: whoever wants one takes it, neep_fds_finish() closes the rest. */
struct neep_fds {
	size_t count;
	int fd[NEEP_FDS_MAX];
};

/* Closes *fd unless it is -1, and sets it to -1. Keeps errno. */
void neep_close_fd(int *fd);

/* Returns *fd and leaves -1 behind: the caller owns it now. */
static inline int neep_steal_fd(int *fd) {
	int stolen = *fd;
	*fd = -1;
	return stolen;
}

/* Closes the variable's fd when it goes out of scope. */
#define neep_autoclose __attribute__((cleanup(neep_close_fd)))

/* Takes the fd at `index` out of the set (-1 when there is none). */
int neep_fds_take(struct neep_fds *fds, size_t index);

/* A copy of `fd`. Returns it or a negative errno. */
int neep_fd_dup(int fd);

/* Closes every fd that was not taken. */
void neep_fds_finish(struct neep_fds *fds);

/* A memfd of `size` bytes, sealed against shrinking and growing so that no holder of it can make a mapping
 * fault. Returns the fd or a negative errno. */
int neep_memfd_create(const char *name, uint64_t size);

/* A non-blocking eventfd. Returns the fd or a negative errno. */
int neep_eventfd_create(void);

/* Wakes the eventfd's waiter; a saturated counter already does. */
void neep_eventfd_signal(int fd);

/* Resets the eventfd's counter; a counter of zero is fine. */
void neep_eventfd_drain(int fd);

/* Sets O_NONBLOCK. Returns 0 or a negative errno. */
int neep_fd_set_nonblocking(int fd);

/* Lets this process open as many fds as the system allows it. */
void neep_fd_raise_limit(void);

/* Sends all of `buf` with fds on a blocking stream socket, without SIGPIPE. Returns 0 or a negative errno. */
struct neep_send {
	const void *buf;
	size_t len;
	const int *fds; // borrowed, may be NULL
	size_t fd_count;
};
int neep_send_all(int socket, const struct neep_send *send);

/* Receives what is there, up to `len` bytes, with the fds that came along (appended to `fds`; those that do
 * not fit are closed). Returns the number of bytes, 0 at the peer's end, or a negative errno (-EAGAIN too).
 * -EPROTO: the kernel had to drop fds. */
int64_t neep_recv(int socket, void *buf, size_t len, struct neep_fds *fds);

/* The same for those who can do with less: the bytes count where the kernel had to drop fds, of which *has_lost_fds tells. */
int64_t neep_recv_in_part(int socket, void *buf, size_t len, struct neep_fds *fds, bool *has_lost_fds);

#endif
