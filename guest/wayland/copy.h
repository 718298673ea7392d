/* Memory that comes from the compositor (keymaps, format tables) becomes memory of this machine: a memfd of exactly its
 * size, sealed. A client may do with it what it does with a file; nothing of the host stays mapped. */
#ifndef NEEP_WAYLAND_COPY_H
#define NEEP_WAYLAND_COPY_H

#include <stddef.h>

struct neep_wl_message;

/* More than any keymap or table: they have some hundred KiB. */
#define NEEP_WL_COPY_MAX (16u << 20)

/* A copy of `size` bytes, as a new memfd, or a negative errno. */
int neep_wl_copy_bytes(const void *data, size_t size);

/* The first `size` bytes of `owned_fd` as a new memfd, or a negative errno: too large, no memory, shorter than it says. */
int neep_wl_copy_memory(int owned_fd, size_t size);

/* The same with the fd of a message, whose argument `arg` it is. Returns 0 or a negative errno. */
int neep_wl_copy_message_fd(struct neep_wl_message *message, size_t arg, size_t size);

#endif
