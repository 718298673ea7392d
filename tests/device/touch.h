/* Touching window memory that may not be there: the fault is caught. Any thread. */
#ifndef NEEP_TESTS_DEVICE_TOUCH_H
#define NEEP_TESTS_DEVICE_TOUCH_H

#include <stdbool.h>
#include <stdint.h>

/* Once in each case: cmocka has handlers of its own around it. A fault outside of these functions ends the program. */
void touch_catch_faults(void);

/* Whether there is memory at `at`; its word goes to *word, and is written back. */
bool touch(volatile uint32_t *at, uint32_t *word);

/* Whether there is memory at `at`; if so it holds `word` now. */
bool touch_write(volatile uint32_t *at, uint32_t word);

#endif
