/* neep vm: a virtual machine on the host's QEMU with our device, put together and cleaned up after. */
#ifndef NEEP_CLI_VM_H
#define NEEP_CLI_VM_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/qemu.h"
#include "util/error.h"
#include "util/macros.h"

/* How the guest reaches our device; what QEMU has decides, or the user. */
enum vm_front_end {
	VM_FRONT_END_AUTO,
	VM_FRONT_END_GENERIC,  // vhost-user-test-device-pci: everything, no QEMU display
	VM_FRONT_END_RUTABAGA, // virtio-gpu-rutabaga-pci on our library: everything, QEMU's display
	VM_FRONT_END_VGA,      // vhost-user-vga: 2D, QEMU's display
	VM_FRONT_END_GPU,      // vhost-user-gpu-pci: 2D, QEMU's display
};

/* What the command line says. Strings are borrowed from argv; NULL: not given. */
struct vm_options {
	const char *disk;   // a disk that boots by itself
	const char *append; // more words for the kernel of a guest of ours
	const char *rootfs; // a folder that becomes the guest's disk
	const char *capset_names;
	const char *hostmem;
	const char *memory;
	const char *display;
	const char *accel; // kvm or tcg
	const char *qemu;
	const char *control;
	const char *wayland_socket_path;
	unsigned cpus;
	enum vm_front_end front_end;
	bool is_dry_run;
	bool is_rebuilt;
	char **extra; // QEMU's; ends with NULL
};

/* A machine about to run. */
struct vm {
	const struct vm_options *options;
	struct cli_qemu qemu;
	enum vm_front_end front_end;
	char device[PATH_MAX];  // vhost-user-neep
	char folder[64];        // of this run's sockets; "" before there is one
	char socket[96];        // in it
	char control[PATH_MAX]; // the device's control socket
	char wayland[128];      // the compositor's socket; "": none
	char guest[PATH_MAX];   // folder with disk, vmlinuz and initrd.img; "": options->disk boots by itself
	bool has_kvm;
	/* The mask of what is started: ours holds signals back while there is something to clean up. */
	sigset_t signals;
};

/* ---- vm_words.c: the command lines ---- */

#define VM_WORDS_MAX 160

/* A command line in the making; words are its own. When it has overflown it stays so. */
struct vm_words {
	char *argv[VM_WORDS_MAX + 1];
	size_t count;
	bool is_bad;
};
void vm_words_add(struct vm_words *words, const char *format, ...) NEEP_PRINTF(2, 3);
void vm_words_finish(struct vm_words *words);
/* For people and shells: quoted where needed, options on lines of their own. */
void vm_words_print(const struct vm_words *words);

void vm_device_words(const struct vm *vm, struct vm_words *words);
void vm_qemu_words(const struct vm *vm, struct vm_words *words);

/* ---- vm_plan.c: which front-end, what goes with it ---- */

bool vm_front_end_parse(const char *name, enum vm_front_end *front_end);
/* Whether our device process serves it. */
bool vm_has_device(const struct vm *vm);
/* The capability sets of the guest; empty: 2D alone. */
const char *vm_capset_names(const struct vm *vm);
/* What QEMU shows: the value of its -display. */
const char *vm_display(const struct vm *vm);

/* Chooses, and says on stderr what is lost. Returns 0, or a negative errno with `error` set. */
int vm_plan(struct vm *vm, struct neep_error *error);

/* ---- vm_guest.c: the guest's files ---- */

/* Finds vm->guest, and makes it where it is missing: minutes, with progress on stderr. */
int vm_find_guest(struct vm *vm, struct neep_error *error);

/* ---- vm_accel.c ---- */

/* Whether the guest runs under KVM: as the options say, or as a trial with the guest's own kernel shows. */
bool vm_has_kvm(struct vm *vm);

/* ---- vm_run.c: the processes ---- */

/* Runs both to QEMU's end, with the signals held back by neep_child_hold_signals(): they go on to QEMU. Returns QEMU's exit
 * status as a shell has it, or a negative errno with `error` set. Nothing of them is left, nor of vm->folder. */
int vm_run(struct vm *vm, struct neep_error *error);

#endif
