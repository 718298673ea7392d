#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/vm.h"

void vm_words_add(struct vm_words *words, const char *format, ...) {
	char *word = NULL;
	va_list args;
	va_start(args, format);
	if (words->count == VM_WORDS_MAX || vasprintf(&word, format, args) < 0) {
		words->is_bad = true;
	} else {
		words->argv[words->count++] = word;
	}
	va_end(args);
}

void vm_words_finish(struct vm_words *words) {
	for (size_t i = 0; i < words->count; i++) {
		free(words->argv[i]);
	}
	*words = (struct vm_words){ 0 };
}

static void print_quoted(const char *word) {
	bool is_plain = word[0] != '\0';
	for (const char *c = word; *c != '\0'; c++) {
		is_plain = is_plain && (isalnum((unsigned char)*c) || strchr("-_=,./:+@%", *c) != NULL);
	}
	if (is_plain) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (const char *c = word; *c != '\0'; c++) {
		fputs(*c == '\'' ? "'\\''" : (const char[]){ *c, '\0' }, stdout);
	}
	putchar('\'');
}

void vm_words_print(const struct vm_words *words) {
	for (size_t i = 0; i < words->count; i++) {
		if (i > 0) {
			fputs(words->argv[i][0] == '-' ? " \\\n    " : " ", stdout);
		}
		print_quoted(words->argv[i]);
	}
}

/* Options of QEMU are lists, in which a comma of a value is written twice; and names with a colon are URLs to it. */
#define VALUE_MAX (2 * PATH_MAX + 2)

static const char *quote_value(const char *value, char quoted[VALUE_MAX]) {
	size_t len = 0;
	for (const char *c = value; *c != '\0' && len < VALUE_MAX - 2; c++) {
		quoted[len++] = *c;
		if (*c == ',') {
			quoted[len++] = ',';
		}
	}
	quoted[len] = '\0';
	return quoted;
}

static void add_pair(struct vm_words *words, const char *option, const char *value) {
	vm_words_add(words, "%s", option);
	vm_words_add(words, "%s", value);
}

void vm_device_words(const struct vm *vm, struct vm_words *words) {
	const struct vm_options *options = vm->options;
	const char *capset_names = vm_capset_names(vm);
	vm_words_add(words, "%s", vm->device);
	add_pair(words, "--socket-path", vm->socket);
	add_pair(words, "--control", vm->control);
	if (vm->front_end == VM_FRONT_END_GENERIC) {
		add_pair(words, "--display", "headless");
		add_pair(words, "--hostmem", options->hostmem);
	}
	if (capset_names[0] != '\0') {
		add_pair(words, "--capset-names", capset_names);
	}
	if (vm->wayland[0] != '\0') {
		add_pair(words, "--wayland-socket-path", vm->wayland);
	}
}

/* Properties of the device inside QEMU, from the names of capability sets. QEMU 10.2 says from which command on it wants
 * to be told, and looks for that one, with no barrier between: the guest may miss the one while QEMU misses the other, and
 * then the queue stands still (seen). Without event_idx every command is told. */
static void add_rutabaga(const struct vm *vm, struct vm_words *words) {
	char names[256], properties[512] = "";
	char *rest = NULL;
	snprintf(names, sizeof(names), "%s", vm_capset_names(vm));
	for (char *name = strtok_r(names, ":", &rest); name != NULL; name = strtok_r(NULL, ":", &rest)) {
		size_t len = strlen(properties);
		snprintf(properties + len, sizeof(properties) - len, ",%s=on", name);
	}
	char wayland[VALUE_MAX];
	vm_words_add(words, "-device");
	vm_words_add(words, "virtio-gpu-rutabaga-pci,event_idx=off%s,hostmem=%s%s%s", properties,
		vm->options->hostmem, vm->wayland[0] != '\0' ? ",wayland-socket-path=" : "",
		quote_value(vm->wayland, wayland));
}

/* Without KVM a host that is busy keeps the timer from ticking in time, which the kernel takes for broken; and the terminal and
 * the log-in service may take longer than the 90 s for which systemd waits for each. */
#define TCG_WORDS \
	" no_timer_check systemd.default_device_timeout_sec=900 systemd.default_timeout_start_sec=900"

/* An idle Wayland client of the guest keeps a command in the queue: it is as long as virtio allows. */
static void add_device(const struct vm *vm, struct vm_words *words) {
	if (!vm_has_device(vm)) {
		add_rutabaga(vm, words);
		return;
	}
	char path[VALUE_MAX];
	vm_words_add(words, "-chardev");
	vm_words_add(words, "socket,id=gpu,path=%s", quote_value(vm->socket, path));
	add_pair(words, "-device",
		vm->front_end == VM_FRONT_END_GENERIC ? "vhost-user-test-device-pci,virtio-id=16,num_vqs=2,"
							"config_size=20,vq_size=1024,chardev=gpu"
		: vm->front_end == VM_FRONT_END_VGA   ? "vhost-user-vga,chardev=gpu"
						      : "vhost-user-gpu-pci,chardev=gpu");
}

static void add_disk(const struct vm *vm, struct vm_words *words) {
	const char *disk = vm->options->disk;
	char file[VALUE_MAX];
	vm_words_add(words, "-drive");
	if (disk != NULL) {
		size_t len = strlen(disk);
		bool is_qcow2 = len > 6 && strcmp(disk + len - 6, ".qcow2") == 0;
		vm_words_add(words, "if=virtio,format=%s,file=%s%s", is_qcow2 ? "qcow2" : "raw",
			disk[0] != '/' && strchr(disk, ':') != NULL ? "./" : "", quote_value(disk, file));
		return;
	}
	vm_words_add(words, "if=virtio,format=raw,discard=unmap,file=%s/disk", quote_value(vm->guest, file));
	vm_words_add(words, "-kernel");
	vm_words_add(words, "%s/vmlinuz", vm->guest);
	vm_words_add(words, "-initrd");
	vm_words_add(words, "%s/initrd.img", vm->guest);
	vm_words_add(words, "-append");
	const char *more = vm->options->append;
	vm_words_add(words, "root=/dev/vda rw console=ttyS0 quiet%s%s%s", vm->has_kvm ? "" : TCG_WORDS,
		more != NULL ? " " : "", more != NULL ? more : "");
}

void vm_qemu_words(const struct vm *vm, struct vm_words *words) {
	const struct vm_options *options = vm->options;
	vm_words_add(words, "%s", vm->qemu.program);
	/* What nobody named (a floppy drive, sound) takes time at every start, and modules that this QEMU may lack. */
	vm_words_add(words, "-nodefaults");
	/* Guest memory is shared with the device process; the device inside QEMU does not mind. */
	add_pair(words, "-machine", "q35,memory-backend=memory");
	vm_words_add(words, "-object");
	vm_words_add(words, "memory-backend-memfd,id=memory,size=%s,share=on", options->memory);
	add_pair(words, "-m", options->memory);
	add_pair(words, "-accel", vm->has_kvm ? "kvm" : "tcg,thread=multi");
	add_pair(words, "-cpu", vm->has_kvm ? "host" : "max");
	vm_words_add(words, "-smp");
	vm_words_add(words, "%u", options->cpus);
	add_pair(words, "-vga", "none");
	add_device(vm, words);
	add_disk(vm, words);
	add_pair(words, "-nic", "user,model=virtio-net-pci");
	add_pair(words, "-device", "virtio-rng-pci");
	add_pair(words, "-display", vm_display(vm));
	add_pair(words, "-serial", "mon:stdio");
	for (char **word = options->extra; *word != NULL; word++) {
		vm_words_add(words, "%s", *word);
	}
}
