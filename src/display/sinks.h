/* The sinks of this room, for neep_sink_create(). All return NULL for want of memory. */
#ifndef NEEP_DISPLAY_SINKS_H
#define NEEP_DISPLAY_SINKS_H

#include "display/display.h"

/* Shows the scanouts in QEMU's own display, over the vhost-user-gpu socket. */
struct neep_sink *neep_qemu_sink_create(struct neep_loop *loop);

/* Shows nothing and keeps the last flushed frame of each scanout. */
struct neep_sink *neep_headless_sink_create(struct neep_loop *loop);

/* Touches no pixel. */
struct neep_sink *neep_none_sink_create(struct neep_loop *loop);

#endif
