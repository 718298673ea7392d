/* Syncobjs behind the host of a proxy's client, and what becomes of their points. One thread. */
#ifndef NEEP_TESTS_WAYLAND_PROXY_TIMELINES_H
#define NEEP_TESTS_WAYLAND_PROXY_TIMELINES_H

#include "wayland/host.h"

#define SYNCOBJS 4
#define HANDLES  8192

/* Zeroed: there are none yet. It outlives the client, whose end is seen in it. */
struct timelines {
	uint64_t values[SYNCOBJS]; // the last point of each that has signalled
	uint8_t syncobj[HANDLES];  // by handle: its number and 1; 0: none
	uint32_t next_handle;
	size_t live;         // handles
	size_t signal_count; // by the proxy
	struct {
		uint8_t syncobj;
		uint64_t point;
	} signals[64]; // the last of them
	size_t watch_count;
	struct {
		uint8_t syncobj;
		uint64_t point;
		int fd;
	} watches[16];  // the last of them
	bool is_broken; // can watch nothing
};

extern const struct neep_wl_timelines_impl timelines_impl;

/* A file that can be imported as this one. The caller's. */
int timelines_fd(uint8_t syncobj);

/* The client's program, or its GPU, has reached a point. */
void timelines_reach(struct timelines *timelines, uint8_t syncobj, uint64_t point);

/* How often the proxy has signalled exactly this point. */
size_t timelines_count(const struct timelines *timelines, uint8_t syncobj, uint64_t point);

/* At the end: closes what is left. */
void timelines_finish(struct timelines *timelines);

#endif
