/* The questions that the device asks of QEMU's display: which outputs there are, and their EDIDs.
 *
 * What is asked before the socket is ready waits for it, a second at most. An EDID is only asked for outputs that the
 * last display info showed enabled, since QEMU does not answer for others; so each new socket begins with a display info
 * of our own. */
#ifndef NEEP_DISPLAY_QEMU_QUERIES_H
#define NEEP_DISPLAY_QEMU_QUERIES_H

#include "display/display.h"
#include "util/list.h"
#include "util/loop.h"
#include "vhost_user/gpu_socket.h"

struct qemu_queries {
	struct neep_loop *loop;
	struct neep_gpu_socket *socket; // borrowed; NULL: not ready
	bool is_coming;                 // a socket was handed over, and may become ready in time
	bool has_info;                  // the display info of this socket is known, or cannot be had
	uint32_t enabled;               // bit n: output n, as the last display info said
	struct neep_gpu_query info;     // our own display info
	struct neep_list waiting;       // qemu_query.link, for has_info
	struct neep_list asked;         // qemu_query.link, given to the socket
	struct neep_timer patience;
};

void qemu_queries_init(struct qemu_queries *queries, struct neep_loop *loop);

/* A socket was handed over. */
void qemu_queries_expect(struct qemu_queries *queries);

/* `socket` is ready; it stays until qemu_queries_lost(). */
void qemu_queries_ready(struct qemu_queries *queries, struct neep_gpu_socket *socket);

/* There is no socket (any more): answers all that is open with NULL. To be called before it is destroyed. */
void qemu_queries_lost(struct qemu_queries *queries);

/* As neep_sink_query() and neep_sink_query_cancel(). */
void qemu_queries_ask(struct qemu_queries *queries, struct neep_sink_query *asker);
void qemu_queries_cancel(struct neep_sink_query *asker);

#endif
