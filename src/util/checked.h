/* Checked arithmetic for numbers that a guest or a peer chose.
 *
 * neep_add() and neep_mul() store the exact result in *out and return true, or return false
 * when it does not fit the type of *out. The operands may be of any integer types. */
#ifndef NEEP_UTIL_CHECKED_H
#define NEEP_UTIL_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

#define neep_add(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define neep_mul(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

/* Whether [offset, offset + len) lies inside [0, size); no sum is formed, so nothing wraps. */
static inline bool neep_range_within(uint64_t offset, uint64_t len, uint64_t size) {
	return offset <= size && len <= size - offset;
}

static inline bool neep_is_power_of_two(uint64_t value) {
	return value != 0 && (value & (value - 1)) == 0;
}

#endif
