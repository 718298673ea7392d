/* A renderer that does what a test says, in the place of neep-renderer.
 *
 * The test speaks to it as a guest would: the `fence` of a sync (0xa000) is one of the orders below, and its `device` an
 * operand. Besides, it
 *	- leaves the bell of a ring alone, so that it counts wake-ups, as a u32 at SCRIPT_PINGS
 *	- writes the resource id into the first word of each memory that it is told of, and 0 when it is told to forget it
 *	- dies by SIGKILL at the start in a context whose name begins with "stillborn"
 *	- is refused by its spawner (EAGAIN) in one whose name begins with "refused"
 *	- is refused in the same way where the context is lost, unless its name begins with "mourned"
 * The spawner itself dies when it is told to start a context whose name begins with "doom". */
#ifndef NEEP_TESTS_GFXSTREAM_SCRIPT_H
#define NEEP_TESTS_GFXSTREAM_SCRIPT_H

#include <stdint.h>

#include "asg/bell.h"

/* In the memory of a ring. */
#define SCRIPT_PINGS NEEP_ASG_HOST_BELL
#define SCRIPT_FDS   UINT32_C(12288)

/* Of a published blob; each of its words is its blob_id. */
#define SCRIPT_BLOB_SIZE 65536

enum script_order {
	SCRIPT_DONE,           // the sync is done at once
	SCRIPT_HOLD,           // it is done at SCRIPT_RELEASE
	SCRIPT_RELEASE,        // those that are held are done, the youngest first, and this one
	SCRIPT_PUBLISH,        // publishes blob `device`; done
	SCRIPT_REPORT,         // writes the number of its open fds to the ring, as a u32 at SCRIPT_FDS; done
	SCRIPT_CRASH,          // SIGSEGV
	SCRIPT_EXIT,           // ends with status 7
	SCRIPT_EOF,            // closes its socket and lives on
	SCRIPT_GIVE_UP,        // says LOST, with an escape sequence in its words, and ends
	SCRIPT_STOP_READING,   // sleeps for ever
	SCRIPT_DEAF,           // from now on outlives its context
	SCRIPT_TWICE,          // says DONE twice
	SCRIPT_UNASKED,        // DONE of a sync that nobody asked for
	SCRIPT_UNKNOWN_TYPE,   // a message of a type that does not exist
	SCRIPT_SHORT,          // a message of 4 bytes
	SCRIPT_WRONG_SIZE,     // a header that lies about the size
	SCRIPT_LONG,           // a message of 4096 bytes
	SCRIPT_EMPTY,          // a message of 0 bytes
	SCRIPT_NO_FD,          // a blob without its fd
	SCRIPT_EXTRA_FDS,      // DONE with fds
	SCRIPT_MANY_FDS,       // a blob with 200 fds
	SCRIPT_UNSEALED,       // a blob whose memory may shrink
	SCRIPT_NOT_MEMORY,     // a blob that is a pipe
	SCRIPT_TOO_SMALL,      // a blob with less memory than it says
	SCRIPT_BAD_CACHE,      // a blob with map_info 9
	SCRIPT_SAME_BLOB,      // a blob id twice
	SCRIPT_FLOOD_BLOBS,    // blobs without end
	SCRIPT_FLOOD_MESSAGES, // LOST without end
};

#endif
