/* Leaving the core: callbacks run with the lock dropped, one thread at a time, so that fences of a timeline are told in
 * order whichever thread completed them. A callback may call back into the API; what that completes is told by the
 * caller that is already telling. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rutabaga/core.h"
#include "util/clock.h"

/* Lines a second; a guest can cause most of them. */
#define MESSAGES_PER_SECOND 10

struct neep_message {
	struct neep_list link; // rutabaga.messages
	enum neep_log_level level;
	char text[256];
};

static void queue_message(
	struct rutabaga *rutabaga, enum neep_log_level level, const char *format, va_list args) {
	struct neep_message *message = calloc(1, sizeof(*message));
	if (message == NULL) {
		return;
	}
	message->level = level;
	vsnprintf(message->text, sizeof(message->text), format, args);
	neep_list_append(&rutabaga->messages, &message->link);
}

NEEP_PRINTF(3, 4)
static void queue_line(struct rutabaga *rutabaga, enum neep_log_level level, const char *format, ...) {
	va_list args;
	va_start(args, format);
	queue_message(rutabaga, level, format, args);
	va_end(args);
}

static bool budget_allows(struct rutabaga *rutabaga, struct neep_message_budget *budget) {
	int64_t now = neep_clock_ns();
	if (budget->window_start_ns == 0 || now - budget->window_start_ns >= NEEP_NS_PER_S) {
		uint32_t dropped = budget->dropped;
		*budget = (struct neep_message_budget){ .window_start_ns = now };
		if (dropped > 0) {
			queue_line(rutabaga, NEEP_LOG_WARN, "%u more messages were dropped", dropped);
		}
	}
	if (budget->in_window == MESSAGES_PER_SECOND) {
		budget->dropped++;
		return false;
	}
	budget->in_window++;
	return true;
}

void neep_core_log(struct rutabaga *rutabaga, enum neep_log_level level, const char *format, ...) {
	if (!budget_allows(rutabaga, &rutabaga->event_budget)) {
		return;
	}
	va_list args;
	va_start(args, format);
	queue_message(rutabaga, level, format, args);
	va_end(args);
}

static const char *reason(int rc) {
	switch (rc) {
	case -EINVAL:
		return "invalid value";
	case -ENOENT:
		return "no such resource";
	case -ESRCH:
		return "no such context";
	case -EEXIST:
		return "the id is in use";
	case -EBUSY:
		return "attached or mapped already";
	case -ENOMEM:
		return "out of memory, or a limit is reached";
	case -ENOTSUP:
		return "nothing built in and enabled can do it";
	default:
		return strerror(-rc);
	}
}

static void tell_message(const struct rutabaga *rutabaga, const struct neep_message *message) {
	static const uint32_t debug_types[] = {
		[NEEP_LOG_ERROR] = RUTABAGA_DEBUG_ERROR,
		[NEEP_LOG_WARN] = RUTABAGA_DEBUG_WARN,
		[NEEP_LOG_INFO] = RUTABAGA_DEBUG_INFO,
		[NEEP_LOG_DEBUG] = RUTABAGA_DEBUG_INFO,
	};
	if (rutabaga->debug_cb == NULL) {
		neep_log("rutabaga", message->level, "%s", message->text);
		return;
	}
	struct rutabaga_debug debug = { .debug_type = debug_types[message->level], .message = message->text };
	rutabaga->debug_cb(rutabaga->user_data, &debug);
}

static void tell_one_message(struct rutabaga *rutabaga) {
	struct neep_message *message = neep_container_of(rutabaga->messages.next, struct neep_message, link);
	neep_list_remove(&message->link);
	pthread_mutex_unlock(&rutabaga->lock);
	tell_message(rutabaga, message);
	free(message);
	pthread_mutex_lock(&rutabaga->lock);
}

static void tell_one_fence(struct rutabaga *rutabaga) {
	struct neep_fence *fence = neep_container_of(rutabaga->done.next, struct neep_fence, link);
	neep_list_remove(&fence->link);
	pthread_mutex_unlock(&rutabaga->lock);
	rutabaga->fence_cb(rutabaga->user_data, &fence->data);
	pthread_mutex_lock(&rutabaga->lock);
	neep_fence_unref(fence);
}

void neep_core_tell(struct rutabaga *rutabaga) {
	if (!rutabaga->is_telling) {
		rutabaga->is_telling = true;
		rutabaga->teller = pthread_self();
		for (;;) {
			if (!neep_list_is_empty(&rutabaga->messages)) {
				tell_one_message(rutabaga);
			} else if (!neep_list_is_empty(&rutabaga->done)) {
				tell_one_fence(rutabaga);
			} else {
				break;
			}
		}
		rutabaga->is_telling = false;
	}
	pthread_mutex_unlock(&rutabaga->lock);
}

int neep_core_leave(struct rutabaga *rutabaga, int rc, const char *what, uint32_t id) {
	if (rc < 0 && budget_allows(rutabaga, &rutabaga->refusal_budget)) {
		queue_line(rutabaga, NEEP_LOG_WARN, "%s(%u): %s", what, id, reason(rc));
	}
	neep_core_tell(rutabaga);
	return rc;
}
