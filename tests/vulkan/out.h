#ifndef NEEP_TESTS_VULKAN_OUT_H
#define NEEP_TESTS_VULKAN_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Results of a test program, in files that are compared byte for byte between two runs: PROGRAM FOLDER writes
 * FOLDER/results.txt and a file per picture or buffer. Without FOLDER only the program's own checks are made.
 * Exit status: 0 fine, 1 a check failed, 77 (with the reason on standard output) this Vulkan cannot do the subject.
 */

/* Call first; takes the folder from the command line. */
void out_begin(int argc, char **argv);

/* Appends a line to results.txt. Any thread. */
void out_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes FOLDER/NAME.bin. */
void out_bytes(const char *name, const void *data, size_t size);

/* Writes FOLDER/NAME.png of rows of R, G, B, A bytes without padding. */
void out_picture(const char *name, const uint8_t *rgba, uint32_t width, uint32_t height);

/* Says on standard output that a part of the subject cannot be done here ("skip PART: REASON"). */
void out_skip(const char *part, const char *reason);

/* The whole subject cannot be done here: ends the program with 77. */
_Noreturn void out_skip_all(const char *reason);

/* Ends the program with 1 and a message. */
_Noreturn void out_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A claim about results. It ends the program, so that what comes after may rely on it. */
#define expect(claim) ((claim) ? (void)0 : out_fail(__FILE__, __LINE__, "%s", #claim))

/* Allocates zeroed memory or ends the program. */
void *out_alloc(size_t count, size_t size);

#endif
