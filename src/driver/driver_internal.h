/* The state of the driver, shared by driver.c (life cycle) and request.c (requests and waiting). Room-internal. */
#ifndef NEEP_DRIVER_DRIVER_INTERNAL_H
#define NEEP_DRIVER_DRIVER_INTERNAL_H

#include <pthread.h>

#include "driver/display_peer.h"
#include "driver/driver.h"
#include "driver/frontend.h"
#include "driver/queue.h"
#include "util/list.h"

/* A request on its way, which outlives an abandoned struct neep_driver_request. */
struct neep_driver_pending {
	struct neep_list link; // neep_driver.pending or .spare
	struct neep_queue_buffer buffer;
	struct neep_guest_piece pieces[3];
	struct neep_guest_buffer memory;     // cmd, payload and reply
	struct neep_driver_request *request; // NULL: abandoned
	void *reply;                         // in guest memory
};

/* A file as memory of the guest. */
struct neep_driver_import {
	int fd; // -1: the slot is free
	uint64_t size;
	void *address;  // reserved: what the device knows the region by, and nobody touches
	uint32_t epoch; // neep_driver.back_end when the back-end was told
};

struct neep_driver {
	struct neep_driver_options options; // constant
	pthread_mutex_t lock;
	/* Guarded by lock from here on. */
	pthread_cond_t changed; // a completion, a config change, the end of a pump or of the back-end
	uint32_t waiters;       // threads that sleep on `changed`
	bool is_pumping;
	bool is_pump_asleep;
	bool is_started;
	bool is_stopping; // destroy: the service thread leaves

	struct neep_frontend *frontend;
	struct neep_guest_memory *memory;
	struct neep_queue *queues[NEEP_DRIVER_QUEUE_COUNT];
	uint32_t bases[NEEP_DRIVER_QUEUE_COUNT]; // where the next start begins
	struct neep_list pending;                // neep_driver_pending.link
	struct neep_list spare;                  // neep_driver_pending.link
	uint64_t sequence;
	struct neep_display_peer *display;
	struct neep_driver_import imports[NEEP_DRIVER_IMPORTS_MAX];
	uint32_t back_end; // counts back-ends

	int poll_fd; // epoll of the call eventfds, both sockets and wake_fd
	int wake_fd; // ends the sleep of the pump
	pthread_t service;
	bool has_service;
};

/* Collects completions and back-end requests. Lock held. Returns whether anything was there. */
bool neep_driver_collect_locked(struct neep_driver *driver);

/* Completes everything that is outstanding with `result` and makes the rings as new. Lock held; the device has
 * stopped. */
void neep_driver_fail_all_locked(struct neep_driver *driver, int result);

/* Wakes whoever sleeps, to look again. Lock held. */
void neep_driver_wake_locked(struct neep_driver *driver);

/* Frees the spare pendings. */
void neep_driver_finish_requests(struct neep_driver *driver);

/* import.c: embedded in the driver. The first two without a lock, while nobody else has the driver. */
void neep_driver_imports_init(struct neep_driver *driver);
void neep_driver_imports_finish(struct neep_driver *driver);
/* Tells a new back-end of those that its predecessor knew. Lock held. Returns 0 or a negative errno. */
int neep_driver_tell_imports_locked(struct neep_driver *driver);
/* neep_driver_free() and neep_driver_memory_fd() of a buffer that is one. */
bool neep_driver_is_import(const struct neep_guest_buffer *buffer);
void neep_driver_free_import_locked(struct neep_driver *driver, struct neep_guest_buffer *buffer);
int neep_driver_import_fd_locked(struct neep_driver *driver, const struct neep_guest_buffer *buffer);

/* (Re)registers all fds with poll_fd. Returns 0 or a negative errno. */
int neep_driver_watch_fds(struct neep_driver *driver);

/* Ends the service thread. */
void neep_driver_stop_service(struct neep_driver *driver);

#endif
