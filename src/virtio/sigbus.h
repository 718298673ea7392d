/* Guest memory that shrinks under us: a front-end may truncate a file that we have mapped, and the next access would
 * end the process with SIGBUS. A process has one action per signal, so this is process-wide: ranges are registered,
 * and a fault inside one is answered with anonymous zero pages. Everything else goes to the action that was there
 * before. The functions are safe from any thread; the handler takes no lock and calls only what signals allow. */
#ifndef NEEP_VIRTIO_SIGBUS_H
#define NEEP_VIRTIO_SIGBUS_H

#include <stddef.h>

/* Ranges of all guest memories of the process together. */
#define NEEP_SIGBUS_RANGES_MAX 4096

/* Guards the mapping [base, base + len), both multiples of `page_size`, the size of the mapping's pages. The first
 * call installs the handler. Returns a slot number, or -ENOSPC when the table is full. */
int neep_sigbus_guard(void *base, size_t len, size_t page_size);

/* Ends the guard; call it before the mapping goes away. A negative slot is fine. */
void neep_sigbus_unguard(int slot);

#endif
