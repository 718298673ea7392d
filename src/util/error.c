#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int neep_error_set(struct neep_error *error, int code, const char *format, ...) {
	if (error != NULL) {
		va_list args;
		va_start(args, format);
		vsnprintf(error->text, sizeof(error->text), format, args);
		va_end(args);
		size_t used = strlen(error->text);
		if (code != 0) {
			snprintf(error->text + used, sizeof(error->text) - used, ": %s", strerror(code));
		}
		error->code = code != 0 ? code : EINVAL;
	}
	return code != 0 ? -code : -EINVAL;
}
