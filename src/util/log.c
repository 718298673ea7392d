#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

/* File-scope state, as in virtio/sigbus.c and nowhere else: a process has one stderr. */
static _Atomic int log_level = NEEP_LOG_INFO; // atomic: any thread
static neep_log_handler log_handler;          // set before threads start
static void *log_handler_data;

static const char *const level_names[] = {
	[NEEP_LOG_ERROR] = "error",
	[NEEP_LOG_WARN] = "warn",
	[NEEP_LOG_INFO] = "info",
	[NEEP_LOG_DEBUG] = "debug",
};

void neep_assert_failed(const char *condition, const char *file, int line) {
	fprintf(stderr, "neep: bug: %s:%d: %s does not hold\n", file, line, condition);
	abort();
}

void neep_log_set_level(enum neep_log_level level) {
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool neep_log_enabled(enum neep_log_level level) {
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

bool neep_log_level_parse(const char *name, enum neep_log_level *level) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum neep_log_level)i;
			return true;
		}
	}
	return false;
}

const char *neep_log_level_name(enum neep_log_level level) {
	return level_names[level];
}

void neep_log_set_handler(neep_log_handler handler, void *data) {
	log_handler = handler;
	log_handler_data = data;
}

static void emit(const char *topic, enum neep_log_level level, const char *line) {
	if (log_handler != NULL) {
		log_handler(log_handler_data, level, topic, line);
		return;
	}
	/* One write per line, so that lines of several processes do not mix. */
	fprintf(stderr, "neep: %s: %s: %s\n", level_names[level], topic, line);
}

void neep_log(const char *topic, enum neep_log_level level, const char *format, ...) {
	if (!neep_log_enabled(level)) {
		return;
	}
	int saved = errno;
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	emit(topic, level, line);
	errno = saved;
}

static bool limit_allows(struct neep_log_limit *limit, const char *topic) {
	int64_t now = neep_clock_ns();
	if (now - limit->window_start_ns >= NEEP_NS_PER_S || limit->window_start_ns == 0) {
		uint32_t dropped = limit->dropped;
		*limit = (struct neep_log_limit){ .window_start_ns = now };
		if (dropped > 0) {
			neep_log(topic, NEEP_LOG_WARN, "%u more messages about guest mistakes were dropped",
				dropped);
		}
	}
	if (limit->in_window >= NEEP_LOG_GUEST_BURST) {
		limit->dropped++;
		return false;
	}
	limit->in_window++;
	return true;
}

void neep_log_guest(struct neep_log_limit *limit, const char *topic, const char *format, ...) {
	if (!neep_log_enabled(NEEP_LOG_WARN) || !limit_allows(limit, topic)) {
		return;
	}
	int saved = errno;
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	emit(topic, NEEP_LOG_WARN, line);
	errno = saved;
}
