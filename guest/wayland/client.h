/* A client of the proxy: its connection, its way to the compositor, and the messages between the two.
 *
 * Messages are parsed on both ways. What no handler wants is forwarded: object ids are translated, new ids get their
 * object, fds travel on (call.c). Requests that must wait are kept (hold.h). Handlers (registry.c, shm.c, surface.c, dmabuf.c,
 * seat.c, ...) see to the rest. A mistake of the client ends the
 * client, with the error that a compositor would send where there is one; a mistake of the compositor too. Other clients
 * never notice.
 *
 * One thread, that of the loop. */
#ifndef NEEP_WAYLAND_CLIENT_H
#define NEEP_WAYLAND_CLIENT_H

#include "util/list.h"
#include "util/loop.h"
#include "wayland/hold.h"
#include "wayland/host.h"
#include "wayland/object.h"
#include "wayland/wire.h"

struct neep_wl_conn;
struct neep_wl_offer;
struct neep_wl_policy;
struct neep_wl_sync;

struct neep_wl_client {
	struct neep_list link; // the server's clients
	struct neep_loop *loop;
	const struct neep_wl_policy *policy; // policy.h: what the client may see
	struct neep_wl_conn *conn;
	struct neep_wl_host *host;
	struct neep_wl_objects objects;
	struct neep_wl_holds holds;  // requests that wait
	struct neep_list globals;    // neep_wl_global.link: registry.c
	struct neep_wl_shm *shm;     // shm.c: what all pools of the client share; NULL until there is one
	struct neep_wl_offer *offer; // offer.h: linux-dmabuf of the proxy's own; NULL: none
	struct neep_wl_sync *sync;   // sync.h: explicit synchronization of the proxy's own; NULL: none
	uint32_t dmabuf_name; // of the compositor's linux-dmabuf, which the client does not see; 0: none
	char name[32];        // for the log: "pid 123 (foot)"
	bool is_ended;        // to be destroyed from the loop
};

/* A message on its way. */
struct neep_wl_call {
	struct neep_wl_client *client;
	struct neep_wl_object *object; // that it is sent to, or comes from
	struct neep_wl_message message;
};

struct neep_wl_client_ended_listener {
	void (*ended)(void *data, struct neep_wl_client *client);
	void *data;
};

/* Serves the connection `owned_fd`. `make_host` connects to the compositor; `listener` is told of the end, from the loop, and then
 * destroys the client. NULL with `error` set. */
struct neep_wl_client_params {
	struct neep_loop *loop;
	const struct neep_wl_policy *policy;
	struct neep_wl_host *(*make_host)(void *data, const struct neep_wl_host_listener *listener,
		void *listener_data, struct neep_error *error);
	void *make_host_data;
	struct neep_wl_client_ended_listener ended;
};
struct neep_wl_client *neep_wl_client_create(
	int owned_fd, const struct neep_wl_client_params *params, struct neep_error *error);
void neep_wl_client_destroy(struct neep_wl_client *client);

/* ---- for handlers ---- */

/* Sends wl_display.error of `object` (NULL: of the display, whose errors the codes are then) to the client and ends it. Returns -EPROTO, for handlers to return. */
int neep_wl_client_fail(struct neep_wl_client *client, const struct neep_wl_object *object, uint32_t code,
	const char *format, ...) NEEP_PRINTF(4, 5);

/* Creates the object of a new_id argument, with or without a half at the compositor. NULL after neep_wl_client_fail(). */
struct neep_wl_object *neep_wl_call_new_object(
	struct neep_wl_call *call, size_t arg, const struct wl_interface *interface, bool has_host);

/* The same with a version of its own; the params have no ids. Both put the id that the other side will read into the argument: NEEP_WL_FORWARD may follow. */
struct neep_wl_object *neep_wl_call_new_object_of(
	struct neep_wl_call *call, size_t arg, const struct neep_wl_object_params *params);

/* The object of an "o" argument in a request, or NULL when it is null, has gone, or is of another interface than the protocol
 * says: forwarding the message ends the client then. */
struct neep_wl_object *neep_wl_call_object(const struct neep_wl_call *call, size_t arg);

/* Sends a request of the proxy's own, or a rewritten one. `attachments` as in neep_wl_host_send(). Returns 0 or a negative
 * errno; queues what the way does not take at once. */
int neep_wl_send_request(struct neep_wl_client *client, struct neep_wl_writer *writer,
	const struct neep_wl_attachment *attachments, size_t count);

/* Sends an event of the proxy's own, or a rewritten one. The fds are consumed. */
int neep_wl_send_event(
	struct neep_wl_client *client, struct neep_wl_writer *writer, const int *owned_fds, size_t fd_count);

/* Translates and sends call->message as NEEP_WL_FORWARD does, for a handler that has something to do afterwards; where
 * `attachments` is not NULL they travel in place of the message's fds. */
int neep_wl_forward(struct neep_wl_call *call, const struct neep_wl_attachment *attachments, size_t count);

/* The client has destroyed an object without a half at the compositor: tells it delete_id and destroys the object. */
void neep_wl_object_delete_local(struct neep_wl_client *client, struct neep_wl_object *object);

/* The client has destroyed an object whose half at the compositor is still needed: tells it delete_id; the object is the proxy's
 * own from now on. */
void neep_wl_object_keep_host(struct neep_wl_client *client, struct neep_wl_object *object);

/* The destructor's handler of objects that may be the proxy's alone. */
int neep_wl_on_destroy(struct neep_wl_call *call);

/* What a handler waited for (NEEP_WL_WAIT) may be there: its request is handled again, from the loop. */
void neep_wl_client_resume(struct neep_wl_client *client);

/* ---- the client and its calls: client.c, call.c, hold.c ---- */

/* Queues a whole message in the words of the other side. What goes with it is consumed: as by neep_wl_queue_push(), and fds. Returns 0 or
 * a negative errno, when the client ends. */
int neep_wl_client_queue_request(struct neep_wl_client *client, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count);
int neep_wl_client_queue_event(struct neep_wl_client *client, const uint8_t *bytes, size_t len,
	const int *owned_fds, size_t fd_count);

/* Fills in what `data` says, a message whose length is right, but for message.fds; `fd_count` have come. Returns 0, or a negative errno
 * after the client was told. */
int neep_wl_call_read_request(struct neep_wl_call *call, uint8_t *data, uint32_t size, size_t fd_count);

/* Has a request, or any message, handled by whoever does. Returns what handlers return; after NEEP_WL_WAIT nothing has happened, else its
 * fds are gone. */
int neep_wl_call_handle_request(struct neep_wl_call *call);
int neep_wl_call_dispatch(struct neep_wl_call *call);

/* Whether the request ends its object. */
bool neep_wl_call_is_destructor(const struct neep_wl_call *call);

/* ---- the handlers of all interfaces: handlers.c ---- */

/* NULL: none. */
const struct neep_wl_handlers *neep_wl_handlers_find(const struct wl_interface *interface);

extern const struct neep_wl_handlers neep_wl_display_handlers, neep_wl_registry_handlers; // registry.c
extern const struct neep_wl_handlers neep_wl_toplevel_handlers;                           // toplevel.c
extern const struct neep_wl_handlers neep_wl_shm_handlers, neep_wl_shm_pool_handlers;     // shm.c
extern const struct neep_wl_handlers neep_wl_buffer_handlers, neep_wl_surface_handlers; // buffer.c, surface.c
extern const struct neep_wl_handlers neep_wl_keyboard_handlers;                         // copy.c
extern const struct neep_wl_handlers neep_wl_viewporter_handlers;                       // surface.c
extern const struct neep_wl_handlers neep_wl_subcompositor_handlers,
	neep_wl_subsurface_handlers;                                                     // subsurface.c
extern const struct neep_wl_handlers neep_wl_dmabuf_feedback_handlers;                   // dmabuf.c
extern const struct neep_wl_handlers neep_wl_dmabuf_handlers, neep_wl_callback_handlers; // offer.c
extern const struct neep_wl_handlers neep_wl_params_handlers;                            // params.c
extern const struct neep_wl_handlers neep_wl_sync_handlers, neep_wl_timeline_handlers;   // sync.c
extern const struct neep_wl_handlers neep_wl_sync_surface_handlers;                      // sync_surface.c

#endif
