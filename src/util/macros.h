/* Small compiler helpers that every room uses. */
#ifndef NEEP_UTIL_MACROS_H
#define NEEP_UTIL_MACROS_H

#include <stddef.h>

/* The struct of type `type` whose member `member` is at `ptr`. */
#define neep_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define NEEP_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define NEEP_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))

/* Ends the process with a message, in release builds too.
 * Only for our own bugs: guest or peer data never reaches a neep_assert(). */
#define neep_assert(condition) ((condition) ? (void)0 : neep_assert_failed(#condition, __FILE__, __LINE__))

_Noreturn void neep_assert_failed(const char *condition, const char *file, int line);

#endif
