/* Errors for people: configuration and start-up calls fill in a message that names the object, the value and
 * the remedy. Data paths use plain negative errno values instead. */
#ifndef NEEP_UTIL_ERROR_H
#define NEEP_UTIL_ERROR_H

#include "util/macros.h"

struct neep_error {
	int code; // a positive errno, 0 when unset
	char text[512];
};

/* Sets the message, followed by the name of `code` when it is not 0, and returns -code (-EINVAL for 0) so
 * that a caller fails in one statement. `error` may be NULL. */
int neep_error_set(struct neep_error *error, int code, const char *format, ...) NEEP_PRINTF(3, 4);

#endif
