#include "util/number.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "util/checked.h"

static const char units[] = "KMGT";

/* Reads the digits at *text and moves it behind them. */
static bool read_digits(const char **text, uint64_t *number) {
	const char *start = *text;
	uint64_t value = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		if (!neep_mul(value, 10u, &value) || !neep_add(value, (unsigned)(**text - '0'), &value)) {
			return false;
		}
	}
	*number = value;
	return *text > start;
}

bool neep_number_parse(const char *text, uint64_t *number) {
	uint64_t value;
	if (!read_digits(&text, &value) || *text != '\0') {
		return false;
	}
	*number = value;
	return true;
}

bool neep_mode_parse(const char *text, uint32_t *width, uint32_t *height) {
	uint64_t w, h;
	if (!read_digits(&text, &w) || *text++ != 'x' || !neep_number_parse(text, &h) || w > UINT32_MAX ||
		h > UINT32_MAX) {
		return false;
	}
	*width = (uint32_t)w;
	*height = (uint32_t)h;
	return true;
}

bool neep_size_parse(const char *text, uint64_t *bytes) {
	uint64_t value;
	if (!read_digits(&text, &value)) {
		return false;
	}
	if (*text != '\0') {
		char upper = (char)(*text & ~0x20);
		const char *unit = upper != '\0' ? strchr(units, upper) : NULL;
		if (unit == NULL || text[1] != '\0' ||
			!neep_mul(value, UINT64_C(1) << (10 * (unit - units + 1)), &value)) {
			return false;
		}
	}
	*bytes = value;
	return true;
}

void neep_size_format(uint64_t bytes, char text[NEEP_SIZE_TEXT]) {
	size_t unit = 0;
	while (unit < strlen(units) && bytes != 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	int suffix = unit > 0 ? units[unit - 1] : '\0';
	snprintf(text, NEEP_SIZE_TEXT, "%llu%c", (unsigned long long)bytes, suffix);
}
