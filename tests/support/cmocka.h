/* cmocka with what it wants included first, in the order it wants it. */
#ifndef NEEP_TESTS_SUPPORT_CMOCKA_H
#define NEEP_TESTS_SUPPORT_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
