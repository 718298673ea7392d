/* Numbers in the words of people: decimal, all of the word, nothing else. */
#ifndef NEEP_UTIL_NUMBER_H
#define NEEP_UTIL_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Returns false for anything but 1 to 20 digits that fit. */
bool neep_number_parse(const char *text, uint64_t *number);

/* WIDTHxHEIGHT, two such numbers of at most 32 bits. */
bool neep_mode_parse(const char *text, uint32_t *width, uint32_t *height);

/* A number, with K, M, G or T (powers of 1024, either case) behind it or not. */
bool neep_size_parse(const char *text, uint64_t *bytes);

/* The shortest such text for `bytes`. */
#define NEEP_SIZE_TEXT 24
void neep_size_format(uint64_t bytes, char text[NEEP_SIZE_TEXT]);

#endif
