/* A stand-in for src/vulkan: requests {u32 op, u32 argument} on a ring, each answered with one u32: ECHO_LOST in a context that refuses
 * all. */
#ifndef NEEP_TESTS_RENDERER_ECHO_H
#define NEEP_TESTS_RENDERER_ECHO_H

#include <stdint.h>

#define ECHO_LOST UINT32_C(0xfffffffc)

struct echo_request {
	uint32_t op; // enum echo_op
	uint32_t argument;
};

enum echo_op {
	ECHO_ARGUMENT, // the argument
	ECHO_CRASH,    // SIGSEGV
	ECHO_ABORT,
	ECHO_LOSE,    // the context is lost, "asked to"
	ECHO_BREAK,   // the stream ends with -EPROTO
	ECHO_HANG,    // as a driver that never returns
	ECHO_BURN,    // the same, and it needs a processor
	ECHO_PUBLISH, // a blob of that id, of 4096 bytes that start with the id; 0 or an errno
	ECHO_FIND,    // the size of the resource, 0 for none
	ECHO_SIGNAL,  // signals fence `argument` and all below
	ECHO_TAKE,    // so many MiB; 0 or an errno
	ECHO_TRY,     // enum echo_try; 0 or an errno
	ECHO_PID,     // getpid()
	ECHO_FDS,     // open descriptors
	ECHO_CACHE,   // keeps a file where NVIDIA's driver is told to keep shaders; 0 or an errno
};

enum echo_try {
	/* must fail */
	ECHO_TRY_EXEC,
	ECHO_TRY_FORK,
	ECHO_TRY_SOCKET,
	ECHO_TRY_PTRACE,
	ECHO_TRY_MOUNT,
	ECHO_TRY_UNSHARE,
	ECHO_TRY_BPF,
	ECHO_TRY_KEYCTL,
	ECHO_TRY_KILL,
	ECHO_TRY_IO_URING,
	ECHO_TRY_TYPE_ON_TERMINAL,
	ECHO_TRY_TYPE_WITH_HIGH_BITS,
	ECHO_TRY_SET_FLAGS,
	ECHO_TRY_SET_FLAGS_WITH_HIGH_BITS,
	ECHO_TRY_SET_BLOCKING,
	ECHO_TRY_RAISE_LIMIT,
	ECHO_TRY_END_OF_SYSTEM_CALLS,
	/* must fail where there are namespaces */
	ECHO_TRY_READ_HOME = ECHO_TRY_END_OF_SYSTEM_CALLS,
	ECHO_TRY_READ_PASSWD,
	ECHO_TRY_READ_OTHERS,
	ECHO_TRY_WRITE_USR,
	ECHO_TRY_WRITE_ROOT,
	ECHO_TRY_WRITE_SYSCTL,
	ECHO_TRY_END_OF_FILES,
	/* must work */
	ECHO_TRY_THREAD = ECHO_TRY_END_OF_FILES,
	ECHO_TRY_EXECUTABLE_MEMORY,
	ECHO_TRY_READ_USR,
	ECHO_TRY_WRITE_TMP,
	ECHO_TRY_READ_CPUS,
	ECHO_TRY_READ_SELF,
	ECHO_TRY_IOCTL,
	ECHO_TRY_NULL,
	ECHO_TRY_END,
};

/* The only device whose fences are waited for. */
#define ECHO_DEVICE 1

#endif
