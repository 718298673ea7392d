/* What the process may still do once it has started. */
#ifndef NEEP_DAEMON_SANDBOX_H
#define NEEP_DAEMON_SANDBOX_H

#include "util/error.h"

/* Gives up, for good: gaining privileges, core dumps and being traced (both would show guest memory), and every system
 * call but those that a running device needs. A call that is denied fails with EPERM, and the kernel logs it: a mistake
 * in the list must not end the virtual machine. Returns 0 or a negative errno with `error` set. */
int neep_sandbox_enter(struct neep_error *error);

#endif
