#include "bench/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bench_parse_loads(const char *list, bench_load_name name_of, size_t count, uint64_t *loads) {
	*loads = 0;
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		size_t i = 0;
		while (i < count && (strlen(name_of(i)) != len || strncmp(name_of(i), list, len) != 0)) {
			i++;
		}
		if (i == count) {
			return -EINVAL;
		}
		*loads |= UINT64_C(1) << i;
		list += len;
		list += *list == ',';
	}
	return *loads != 0 ? 0 : -EINVAL;
}

int bench_parse_number(const char *text, double min, double max, double *value) {
	char *end;
	*value = strtod(text, &end);
	return end != text && *end == '\0' && *value >= min && *value <= max ? 0 : -EINVAL;
}
