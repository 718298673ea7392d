/* The state of the front-end, shared by its two files. Room-internal. */
#ifndef NEEP_DRIVER_FRONTEND_INTERNAL_H
#define NEEP_DRIVER_FRONTEND_INTERNAL_H

#include "driver/frontend.h"

struct neep_frontend {
	struct neep_frontend_options options;
	int socket;
	int channel;      // our end of the back-end channel
	int channel_peer; // the back-end's end, until it is handed over
	bool is_dead;

	uint64_t offered;
	uint64_t features;
	uint64_t protocol_features;
	uint64_t queue_count;
	uint64_t mem_slots;

	const struct neep_guest_memory *memory; // NULL: not handed over yet
	bool knows_memory;                      // this back-end has it
	struct neep_window window;
	bool is_exchanging; // between a request and its reply: echoes wait

	int inflight_fd;
	struct neep_vhost_user_inflight inflight;

	uint64_t config_changes;
};

/* Tells the back-end of the window's maps that it does not know, and of those that are gone. */
int neep_frontend_flush_echoes(struct neep_frontend *frontend);

#endif
