/* The system calls that are left to a renderer. Found by watching lavapipe and from the public sources of Mesa; NVIDIA's driver
 * (580, on an H100) works under it, too. Files are guarded by the view, so opening them is allowed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "renderer/sandbox.h"
#include "util/macros.h"

static const int allowed[] = {
	/* what it was given: sockets, ring memory, wake-ups */
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(getsockopt),
	SCMP_SYS(pipe2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pselect6),
	SCMP_SYS(recvmsg),
	SCMP_SYS(select),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	/* files of the view */
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fallocate),
	SCMP_SYS(flock),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fsync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),
	SCMP_SYS(lseek),
	SCMP_SYS(lstat),
	SCMP_SYS(memfd_create),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwrite64),
	SCMP_SYS(read),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(readv),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(stat),
	SCMP_SYS(statfs),
	SCMP_SYS(statx),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* memory; a driver's compiler makes code */
	SCMP_SYS(brk),
	SCMP_SYS(get_mempolicy),
	SCMP_SYS(madvise),
	SCMP_SYS(mbind),
	SCMP_SYS(membarrier),
	SCMP_SYS(mincore),
	SCMP_SYS(mlock),
	SCMP_SYS(mlock2),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(msync),
	SCMP_SYS(munlock),
	SCMP_SYS(munmap),
	SCMP_SYS(set_mempolicy),
	/* threads */
	SCMP_SYS(exit),
	SCMP_SYS(futex),
	SCMP_SYS(getpriority),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_get_priority_max),
	SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_setscheduler),
	SCMP_SYS(sched_yield),
	SCMP_SYS(setpriority),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(set_tid_address),
	/* time, signals to itself, itself */
	SCMP_SYS(alarm),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(exit_group),
	SCMP_SYS(getcpu),
	SCMP_SYS(getegid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(gettid),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getuid),
	SCMP_SYS(nanosleep),
	SCMP_SYS(prctl),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(setitimer),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(sysinfo),
	SCMP_SYS(time),
	SCMP_SYS(times),
	SCMP_SYS(uname),
};

static int allow(scmp_filter_ctx filter) {
	int result = 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(allowed) && result == 0; i++) {
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	}
	return result;
}

/* A system call that is right with some values of one argument only. */
static int allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp condition) {
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition);
}

/* All but those of terminals, whose type is 'T': our log may be one, and what is typed there is not for a guest to say. The
 * kernel looks at 32 bits, a filter at 64: so one rule for each bit in which a type can differ. */
static int allow_ioctls(scmp_filter_ctx filter) {
	static const scmp_datum_t harmless[] = { FIOCLEX, FIONCLEX, FIONREAD };
	int result = 0;
	for (unsigned int bit = 1u << 8; bit < 1u << 16 && result == 0; bit <<= 1) {
		result = allow_if(filter, SCMP_SYS(ioctl),
			(struct scmp_arg_cmp){ .arg = 1,
				.op = SCMP_CMP_MASKED_EQ,
				.datum_a = bit,
				.datum_b = ~((scmp_datum_t)'T' << 8) & bit });
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(harmless) && result == 0; i++) {
		result = allow_if(filter, SCMP_SYS(ioctl),
			(struct scmp_arg_cmp){ .arg = 1, .op = SCMP_CMP_EQ, .datum_a = harmless[i] });
	}
	return result;
}

/* Not F_SETFL, as FIONBIO is not among the ioctls: the device process shares its sockets and wake-ups with us, and may not be
 * made to wait by a change of theirs. */
static int allow_fcntls(scmp_filter_ctx filter) {
	static const scmp_datum_t commands[] = { F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK,
		F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS };
	int result = 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands) && result == 0; i++) {
		result = allow_if(filter, SCMP_SYS(fcntl),
			(struct scmp_arg_cmp){ .arg = 1,
				.op = SCMP_CMP_MASKED_EQ,
				.datum_a = UINT32_MAX,
				.datum_b = commands[i] });
	}
	return result;
}

static int allow_some(scmp_filter_ctx filter) {
	/* Threads, not processes. clone3() hides its flags in memory: to the C library it does not exist. */
	int result = allow_if(filter, SCMP_SYS(clone),
		(struct scmp_arg_cmp){
			.op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = CLONE_THREAD });
	if (result == 0) {
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	}
	/* abort() */
	if (result == 0) {
		result = allow_if(filter, SCMP_SYS(tgkill),
			(struct scmp_arg_cmp){ .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid() });
	}
	/* Limits are read, not set. */
	if (result == 0) {
		result = allow_if(
			filter, SCMP_SYS(prlimit64), (struct scmp_arg_cmp){ .arg = 2, .op = SCMP_CMP_EQ });
	}
	if (result == 0) {
		result = allow_fcntls(filter);
	}
	return result < 0 ? result : allow_ioctls(filter);
}

int neep_renderer_filter_load(void) {
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL) {
		return -ENOMEM;
	}
	/* The hint to what is missing from the list; a kernel that cannot log still filters. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	/* A list of this length is a tree for the kernel, or every futex would walk it. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int result = allow(filter);
	if (result == 0) {
		result = allow_some(filter);
	}
	if (result == 0) {
		result = seccomp_load(filter);
	}
	seccomp_release(filter);
	return result;
}
