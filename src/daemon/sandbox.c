#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "util/log.h"
#include "util/macros.h"

static const int allowed[] = {
	/* event loop */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* sockets and fds that others hand over */
	SCMP_SYS(accept4),
	SCMP_SYS(close),
	SCMP_SYS(connect),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(ftruncate),
	SCMP_SYS(getsockopt),
	SCMP_SYS(ioctl),
	SCMP_SYS(lseek),
	SCMP_SYS(memfd_create),
	SCMP_SYS(newfstatat),
	SCMP_SYS(pipe2),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(socketpair),
	SCMP_SYS(splice),
	SCMP_SYS(vmsplice),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* memory; mmap and mprotect have a rule of their own */
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	/* time, signals, threads of the C library */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettid),
	SCMP_SYS(nanosleep),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sysinfo),
	SCMP_SYS(timerfd_settime),
	/* the renderers' spawner, by its pidfd; no other process can be named so */
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(waitid),
	/* the end: its own socket files go, abort() works */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(tgkill),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
};

/* Memory is never executable that was not from the start. */
static const int without_exec[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };

static int add_rules(scmp_filter_ctx filter) {
	int result = 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(allowed) && result == 0; i++) {
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(without_exec) && result == 0; i++) {
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, without_exec[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	}
	/* Guests are connected to the compositor while they run; there is no network to connect to. */
	if (result == 0) {
		result = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	}
	return result;
}

static int load_filter(void) {
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL) {
		return -ENOMEM;
	}
	/* The hint to what is missing from the list; a kernel that cannot log still filters. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	int result = add_rules(filter);
	if (result == 0) {
		result = seccomp_load(filter);
	}
	seccomp_release(filter);
	return result;
}

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

int neep_sandbox_enter(struct neep_error *error) {
	if (HAS_SANITIZER) {
		neep_log("daemon", NEEP_LOG_WARN, "a build with sanitizers runs without the sandbox");
		return 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		return neep_error_set(error, errno, "cannot enter the sandbox");
	}
	int result = load_filter();
	if (result < 0) {
		return neep_error_set(error, -result,
			"cannot enter the sandbox (--no-sandbox runs without, where seccomp does not work)");
	}
	return 0;
}
