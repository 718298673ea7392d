/* What the kernel and the user's rights allow. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/kvm.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/trial.h"
#include "util/fd.h"

enum kvm_result {
	KVM_WORKS,
	KVM_NO_MACHINE,
	KVM_NO_CPU,
	KVM_DOES_NOT_RUN,
};

#if defined(__x86_64__)
/* One instruction (hlt) in real mode: that a machine can be made does not mean that it runs. */
static int run_one_instruction(int vm, int cpu, size_t run_size) {
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_run *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	if (page == MAP_FAILED || run == MAP_FAILED) {
		return KVM_NO_CPU;
	}
	*(uint8_t *)page = 0xf4;
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = 0x1000, .memory_size = 4096, .userspace_addr = (uintptr_t)page
	};
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 || ioctl(cpu, KVM_GET_SREGS, &sregs) < 0) {
		return KVM_NO_CPU;
	}
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0) {
		return KVM_NO_CPU;
	}
	return ioctl(cpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_HLT ? KVM_WORKS : KVM_DOES_NOT_RUN;
}
#else
static int run_one_instruction(int vm, int cpu, size_t run_size) {
	(void)vm, (void)cpu, (void)run_size;
	return KVM_WORKS;
}
#endif

static int try_kvm(void *data, FILE *out) {
	(void)data, (void)out;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0) {
		return KVM_NO_MACHINE;
	}
	int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	return cpu < 0 || run_size <= 0 ? KVM_NO_CPU : run_one_instruction(vm, cpu, (size_t)run_size);
}

void doctor_look_kvm(struct doctor_finding *finding) {
	char text[16];
	if (access("/dev/kvm", F_OK) < 0) {
		doctor_less(finding,
			"turn virtualization on in the firmware, or load the module kvm_intel or kvm_amd",
			"no /dev/kvm: guests run under TCG, ten times slower");
	} else if (access("/dev/kvm", R_OK | W_OK) < 0) {
		doctor_less(finding, "add your user to the group kvm", "/dev/kvm is not yours to open: %s",
			strerror(errno));
	} else if (cli_trial_run(try_kvm, NULL, text, sizeof(text)) != KVM_WORKS) {
		doctor_less(finding, "where this host is a VM itself, allow it nested virtualization",
			"/dev/kvm opens, but runs no code: guests need -accel tcg");
	} else {
		doctor_ok(finding, "KVM runs code");
	}
}

static int try_namespaces(void *data, FILE *out) {
	(void)data, (void)out;
	return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID) == 0 ? 0 : 1;
}

void doctor_look_namespaces(struct doctor_finding *finding) {
	char text[16];
	if (cli_trial_run(try_namespaces, NULL, text, sizeof(text)) == 0) {
		doctor_ok(finding, "renderers get namespaces of their own");
	} else {
		doctor_less(finding,
			"allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
			"kernel.apparmor_restrict_unprivileged_userns=0)",
			"this user may make no namespaces: renderers are held by seccomp alone");
	}
}

void doctor_look_memory(struct doctor_finding *finding) {
	struct rlimit files = { 0 }, locked = { 0 };
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_MEMLOCK, &locked);
	neep_autoclose int fd = neep_memfd_create("neep-doctor", 4096);
	if (fd < 0) {
		doctor_no(finding, "use a Linux kernel with memfd_create", "no memfd: %s", strerror(-fd));
		return;
	}
	char limit[32] = "without limit";
	if (locked.rlim_cur != RLIM_INFINITY) {
		snprintf(limit, sizeof(limit), "%llu KiB", (unsigned long long)locked.rlim_cur / 1024);
	}
	if (files.rlim_max < 4096) {
		doctor_less(finding, "raise the hard limit of open files (ulimit -Hn 524288)",
			"%llu open files at most: enough for few guests' resources",
			(unsigned long long)files.rlim_max);
	} else {
		doctor_ok(finding, "shared memory; %llu open files; locked memory %s",
			(unsigned long long)files.rlim_max, limit);
	}
}

void doctor_look_udmabuf(struct doctor_finding *finding) {
	if (access("/dev/udmabuf", F_OK) < 0) {
		doctor_less(finding, "", "no /dev/udmabuf: compositors get guests' memory as files");
	} else if (access("/dev/udmabuf", R_OK | W_OK) < 0) {
		doctor_less(finding, "add your user to the group that owns it (kvm)",
			"/dev/udmabuf is not yours to open: compositors get guests' memory as files");
	} else {
		doctor_ok(finding, "/dev/udmabuf can be opened: compositors get guests' memory as dma-bufs");
	}
}

void doctor_look_gpu_nodes(struct doctor_finding *finding) {
	glob_t found = { 0 };
	size_t usable = 0;
	glob("/dev/dri/renderD*", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		usable += access(found.gl_pathv[i], R_OK | W_OK) == 0;
	}
	if (found.gl_pathc == 0) {
		doctor_less(
			finding, "", "no render node: Vulkan runs on the CPU, or on a driver without one");
	} else if (usable == 0) {
		doctor_less(finding, "add your user to the group render",
			"render nodes, but none is yours to open");
	} else {
		doctor_ok(finding, "%zu of %zu render nodes can be opened", usable, found.gl_pathc);
	}
	globfree(&found);
}
