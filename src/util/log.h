/* Logging to stderr, one topic per room.
 *
 * error: an operator must act. warn: degraded. info: life cycle. debug: per command.
 * What a guest or a peer did wrong goes through neep_log_guest(), which is rate limited, and never prints
 * bytes that the guest chose without escaping. All calls keep errno and are safe from any thread. */
#ifndef NEEP_UTIL_LOG_H
#define NEEP_UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

enum neep_log_level {
	NEEP_LOG_ERROR,
	NEEP_LOG_WARN,
	NEEP_LOG_INFO,
	NEEP_LOG_DEBUG,
};

/* Receives every line that passes the level; used by the library (debug callback) and by tests. */
typedef void (*neep_log_handler)(void *data, enum neep_log_level level, const char *topic, const char *line);

/* Messages above `level` are dropped. The default is NEEP_LOG_INFO. */
void neep_log_set_level(enum neep_log_level level);
bool neep_log_enabled(enum neep_log_level level);

/* Parses error, warn, info or debug. Returns false for another word. */
bool neep_log_level_parse(const char *name, enum neep_log_level *level);

/* The word for `level`. */
const char *neep_log_level_name(enum neep_log_level level);

/* Sends lines to `handler` instead of stderr; NULL restores stderr. Set before threads start. */
void neep_log_set_handler(neep_log_handler handler, void *data);

void neep_log(const char *topic, enum neep_log_level level, const char *format, ...) NEEP_PRINTF(3, 4);

/* Budget of guest-caused lines: at most NEEP_LOG_GUEST_BURST a second; what is dropped is counted and told
 * in one line later. One per device, zero-initialised. */
#define NEEP_LOG_GUEST_BURST 10
struct neep_log_limit {
	int64_t window_start_ns;
	uint32_t in_window;
	uint32_t dropped;
};

/* Logs at warn level within the budget of `limit`. */
void neep_log_guest(struct neep_log_limit *limit, const char *topic, const char *format, ...)
	NEEP_PRINTF(3, 4);

#endif
