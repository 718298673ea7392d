/* The public headers as the library itself sees them: their functions, and nothing else, leave the shared
 * object (everything is compiled with hidden visibility). */
#ifndef NEEP_RUTABAGA_API_H
#define NEEP_RUTABAGA_API_H

#define RUTABAGA_GFX_FFI_UNSTABLE
#pragma GCC visibility push(default)
#include <rutabaga_gfx/neep_rutabaga.h>
#include <rutabaga_gfx/rutabaga_gfx_ffi.h>
#pragma GCC visibility pop

#endif
