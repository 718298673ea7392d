/* The core of rutabaga: tables of resources and contexts by id, capability sets, timelines, and completions.
 *
 * One struct rutabaga is one instance; instances share nothing. Every API call takes the lock, works, and leaves
 * through neep_core_leave(), which tells callbacks after the lock is dropped. What a call is given by the VMM's guest
 * (ids, boxes, sizes, flags) is checked here or in the component before use. All functions of this header and of the
 * ones beside it want the lock held, unless they say otherwise. */
#ifndef NEEP_RUTABAGA_CORE_H
#define NEEP_RUTABAGA_CORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rutabaga/component.h"
#include "rutabaga/mapping.h"
#include "util/error.h"
#include "util/idmap.h"
#include "util/list.h"

/* Components of one instance; more than there are capability sets is pointless. */
#define NEEP_COMPONENTS_MAX 16
/* Capset ids are 1..30: Linux keeps them in a signed 32-bit mask. */
#define NEEP_CAPSET_ID_MAX 30

struct neep_timeline {
	struct neep_list pending; // neep_fence.link, oldest first
};

struct neep_capset {
	uint32_t id;
	struct neep_component *component;
	struct neep_capset_info info;
};

/* Lines in this second; the rest is counted and told later. */
struct neep_message_budget {
	int64_t window_start_ns;
	uint32_t in_window;
	uint32_t dropped;
};

struct rutabaga {
	pthread_mutex_t lock; // guards all below, but for what is set once in init
	uint64_t user_data;   // set in init, as the next ones
	rutabaga_fence_callback fence_cb;
	rutabaga_debug_callback debug_cb; // may be NULL
	struct rutabaga_channel *channels;
	size_t channel_count;
	char *renderer_features; // may be NULL

	struct neep_component *components[NEEP_COMPONENTS_MAX];
	size_t component_count;
	struct neep_component *twod; // one of components
	struct neep_capset capsets[NEEP_CAPSET_ID_MAX];
	size_t capset_count;

	struct neep_idmap resources;   // neep_resource.link
	struct neep_idmap contexts;    // neep_context_slot.link
	struct neep_idmap attachments; // neep_attachment.link, by context and resource
	struct neep_timeline global;
	struct neep_morgue morgue;
	struct neep_rutabaga_limits limits;
	struct neep_rutabaga_usage usage;

	struct neep_list done;     // neep_fence.link: retired, to be told
	struct neep_list messages; // neep_message.link: to be told
	bool is_telling;           // some thread is inside neep_core_leave()'s callbacks
	pthread_t teller;          // that thread
	/* Refusals are a guest's to cause at any rate: they must not hide what components have to say. */
	struct neep_message_budget refusal_budget;
	struct neep_message_budget event_budget;

	int epoll_fd; // holds the components' event fds; -1 until wanted
	int wake_fd;  // in epoll_fd while has_thread
	pthread_t thread;
	bool has_thread;
	bool stop_thread;
	bool is_caller_driven;
};

/* neep_core_init()'s other half: ends an instance. Unlocked; -EBUSY from inside a callback. */
int neep_core_finish(struct rutabaga *rutabaga);

/* Destroys contexts and resources, completes all fences. */
void neep_core_reset(struct rutabaga *rutabaga);

/* What goes into capset and component tables; used by init and by the name parser. Unlocked. */
const struct neep_component_impl *neep_builtin_component(uint32_t capset_id);

static inline void neep_core_lock(struct rutabaga *rutabaga) {
	pthread_mutex_lock(&rutabaga->lock);
}

/* Ends an API call: notes a failed result as a message about `what` and `id`, drops the lock, and runs the callbacks
 * that are due unless a caller up the stack or another thread is doing so. Returns rc. */
int neep_core_leave(struct rutabaga *rutabaga, int rc, const char *what, uint32_t id);

/* The same without a result. Locked on entry, unlocked on return. */
void neep_core_tell(struct rutabaga *rutabaga);

/* Starts the library's thread, unless the caller drives, nothing completes late, or it runs. Returns 0 or a negative
 * errno. */
int neep_core_ensure_progress(struct rutabaga *rutabaga);

/* Stops the thread, for good. Unlocked. */
void neep_core_stop_thread(struct rutabaga *rutabaga);

/* neep_rutabaga_event_fd() and neep_rutabaga_dispatch(). The first is unlocked: it may have to wait for the thread. */
int neep_core_event_fd(struct rutabaga *rutabaga);
int neep_core_dispatch(struct rutabaga *rutabaga);

/* capset.c. names_check is strict and unlocked, see neep_rutabaga_parse_capset_names(). */
uint64_t neep_capset_names_mask(const char *names);
int neep_capset_names_check(const char *names, uint64_t *mask, struct neep_error *error);
const char *neep_capset_name(uint32_t capset_id);
int neep_capsets_init(struct rutabaga *rutabaga, uint64_t mask, struct neep_error *error);
const struct neep_capset *neep_capset_find(const struct rutabaga *rutabaga, uint32_t capset_id);
int neep_capset_read(const struct neep_capset *capset, uint32_t version, uint8_t *data, uint32_t size);

/* fence.c */
void neep_timeline_init(struct neep_timeline *timeline);
/* Completes everything on the timeline. */
void neep_timeline_finish(struct neep_timeline *timeline);
int neep_fence_create(struct rutabaga *rutabaga, const struct rutabaga_fence *data);
/* Drops a reference; the last one frees. */
void neep_fence_unref(struct neep_fence *fence);

#endif
