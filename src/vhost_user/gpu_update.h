/* The pixels of one update on their way into the vhost-user-gpu display socket: which bytes come next, and how they get
 * there. What a message is, and when it may be written, is gpu_socket.c's. Internal to the room; the loop's thread. */
#ifndef NEEP_VHOST_USER_GPU_UPDATE_H
#define NEEP_VHOST_USER_GPU_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vhost_user/gpu_socket.h"

struct neep_gpu_writer {
	int fd;                // of the socket, borrowed
	const uint8_t *pixels; // of row `first`
	uint32_t first;
	uint32_t count;      // rows of the update; 0: no update
	size_t stride;       // bytes
	size_t row_len;      // bytes
	size_t sent;         // bytes of pixels in the socket
	uint8_t *copy;       // of `pixels` after a settle
	bool is_blank;       // there was no memory for it
	size_t referred_len; // the first bytes that go by reference
	size_t piped;        // bytes that went through the pipe's entrance; what is beyond `sent` is inside
	int pipe[2];         // exit, entrance; -1: none
	bool is_copying;     // references do not work here
};

/* `fd` is a non-blocking unix socket. */
void neep_gpu_writer_init(struct neep_gpu_writer *writer, int fd);

/* Ends the update and closes the pipe. */
void neep_gpu_writer_finish(struct neep_gpu_writer *writer);

/* The update has a width and a height of 1..16384 and is of a shape that stays until _end() or _settle(). */
void neep_gpu_writer_begin(struct neep_gpu_writer *writer, const struct neep_gpu_update *update);

/* Writes once: what is left of the message's head, then pixels. Returns the bytes taken (of both) or a negative errno;
 * -EAGAIN: later. */
int64_t neep_gpu_writer_write(struct neep_gpu_writer *writer, const struct iovec *head);

/* As neep_gpu_socket_settle(). */
void neep_gpu_writer_settle(struct neep_gpu_writer *writer);

/* The update is written, or given up: its pixels are no longer read. */
void neep_gpu_writer_end(struct neep_gpu_writer *writer);

/* One sendmsg(), without SIGPIPE and without waiting. Returns the bytes taken or a negative errno. */
int64_t neep_gpu_send(int fd, struct iovec *iov, size_t count);

#endif
