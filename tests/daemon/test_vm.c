/* neep vm: what it chooses, prints, starts and ends. A real QEMU boots in tests/vm. */
#include "support/cmocka.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/fake_qemu.h"
#include "daemon/process.h"
#include "util/macros.h"

static struct process_result result;
static char folder[64];

/* No compositor; the guest's disk is a file that nobody reads. */
static int setup(void **state) {
	(void)state;
	folder_enter();
	assert_non_null(getcwd(folder, sizeof(folder)));
	setenv("XDG_RUNTIME_DIR", folder, 1);
	setenv("XDG_CACHE_HOME", folder, 1);
	unsetenv("WAYLAND_DISPLAY");
	unsetenv("DISPLAY");
	FILE *disk = fopen("disk.qcow2", "w");
	assert_non_null(disk);
	fclose(disk);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	folder_leave();
	return 0;
}

static void run(const char *words, int code) {
	process_run(cli_program(), words, &result);
	if (result.code != code) {
		fail_msg("%s: %d %s", words, result.code, result.err);
	}
}

static void expect_out(const char *text) {
	if (strstr(result.out, text) == NULL) {
		fail_msg("no \"%s\" in: %s", text, result.out);
	}
}

static void newest_device_is_chosen(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-gpu-pci vhost-user-vga vhost-user-test-device-pci");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " disk.qcow2 -- -name x", 0);
	expect_out("--display headless");
	expect_out("--hostmem 4G");
	expect_out("--capset-names gfxstream-vulkan &");
	expect_out("-device vhost-user-test-device-pci,virtio-id=16,num_vqs=2,");
	expect_out("memory-backend-memfd,id=memory,size=4G,share=on");
	expect_out("-accel tcg,thread=multi");
	expect_out("format=qcow2,file=disk.qcow2");
	expect_out("-name x\n");
	assert_null(strstr(result.out, "-kernel"));
	assert_false(file_exists("neep-vm"));
}

/* QEMU takes the part behind a comma for an option, and the part before a colon for a protocol. */
static void any_name_of_a_disk_will_do(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-test-device-pci");
	assert_int_equal(rename("disk.qcow2", "a,b:c.qcow2"), 0);
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " a,b:c.qcow2", 0);
	expect_out("format=qcow2,file=./a,,b:c.qcow2 \\\n");
}

static void older_qemu_is_told_what_it_loses(void **state) {
	(void)state;
	fake_qemu("10.0.2", "vhost-user-gpu-pci vhost-user-vga vhost-user-test-device-pci");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	expect_out("-device vhost-user-vga,chardev=gpu");
	assert_null(strstr(result.out, "--capset-names"));
	assert_non_null(strstr(result.err, "carries 2D alone: Vulkan and Wayland need QEMU 11.0 or newer"));
	run("vm --dry-run --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2", 1);
	assert_non_null(strstr(result.err, "--capset-names: vhost-user-vga carries 2D alone"));
	run("vm --dry-run --front-end generic --qemu ./" FAKE_QEMU " disk.qcow2", 1);
	assert_non_null(strstr(result.err, "--front-end generic: QEMU 10.0.2 has no "));
}

static void wanted_window_decides(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-vga vhost-user-test-device-pci");
	run("vm --dry-run --accel tcg --display gtk,gl=on --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	expect_out("-device vhost-user-vga,chardev=gpu");
	expect_out("-display gtk,gl=on");
	fake_qemu("11.1.3", "vhost-user-vga virtio-gpu-rutabaga-pci");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	expect_out("-device virtio-gpu-rutabaga-pci,event_idx=off,gfxstream-vulkan=on,hostmem=4G");
	assert_null(strstr(result.out, "vhost-user-neep"));
}

static void window_is_shown_where_qemu_has_one(void **state) {
	(void)state;
	setenv("DISPLAY", ":7", 1);
	fake_qemu("11.1.3", "virtio-gpu-rutabaga-pci gtk");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	expect_out("-display gtk \\\n");
	fake_qemu("11.1.3", "vhost-user-vga gtk");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	expect_out("-display gtk,gl=on \\\n");
	fake_qemu("11.1.3", "virtio-gpu-rutabaga-pci");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	expect_out("-display none \\\n");
}

static void own_guest_boots_by_its_kernel(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-test-device-pci");
	run("vm --dry-run --accel tcg --qemu ./" FAKE_QEMU, 0);
	expect_out("/neep/vm/debian-2/disk \\\n");
	expect_out("/neep/vm/debian-2/vmlinuz \\\n");
	expect_out("-append 'root=/dev/vda rw console=ttyS0 quiet no_timer_check "
		   "systemd.default_device_timeout_sec=900 systemd.default_timeout_start_sec=900'");
	run("vm --dry-run --accel tcg --append iomem=relaxed --qemu ./" FAKE_QEMU, 0);
	expect_out("default_timeout_start_sec=900 iomem=relaxed'");
	assert_false(file_exists("neep"));
}

static const struct mistake {
	const char *words;
	const char *line;
	int code;
} mistakes[] = {
	{ "vm --front-end magic", "--front-end: \"magic\" is not one of auto, generic, rutabaga, vga, gpu",
		2 },
	{ "vm --accel xen", "--accel: \"xen\" is not one of kvm, tcg", 2 },
	{ "vm --cpus 0", "--cpus: \"0\" is not a number from 1 to 255", 2 },
	{ "vm --memory", "--memory needs a value", 2 },
	{ "vm --fast", "--fast is not an option here; neep vm --help lists them", 2 },
	{ "vm disk.qcow2 -m 4G", "\"-m\": options come before the disk, those of QEMU behind --", 2 },
	{ "vm --rootfs . disk.qcow2", "give a disk or --rootfs, not both", 2 },
	{ "vm --append quiet disk.qcow2", "--append: a disk that boots by itself has its own words", 2 },
	{ "vm --qemu ./" FAKE_QEMU " none.qcow2", "none.qcow2: No such file or directory", 1 },
	{ "vm --qemu ./" FAKE_QEMU " --rootfs none", "--rootfs: none: No such file or directory", 1 },
	{ "vm --qemu ./none disk.qcow2", "./none does not run: install qemu-system-", 1 },
	{ "vm --wayland-socket-path none --qemu ./" FAKE_QEMU " disk.qcow2", "no Wayland compositor at ", 1 },
};

static void mistake_is_told_in_one_line(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-test-device-pci");
	for (size_t i = 0; i < NEEP_ARRAY_LEN(mistakes); i++) {
		run(mistakes[i].words, mistakes[i].code);
		char start[256];
		snprintf(start, sizeof(start), "neep vm: %s", mistakes[i].line);
		if (strncmp(result.err, start, strlen(start)) != 0) {
			fail_msg("%s: %s", mistakes[i].words, result.err);
		}
		assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
	}
	fake_qemu("11.1.3", "");
	run("vm --qemu ./" FAKE_QEMU " disk.qcow2", 1);
	assert_non_null(strstr(result.err, "QEMU 11.1.3 has none of our devices"));
}

static size_t count_leftovers(void) {
	size_t count = 0;
	DIR *all = opendir(".");
	assert_non_null(all);
	for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
		count += strncmp(entry->d_name, "neep-vm", 7) == 0;
	}
	closedir(all);
	return count;
}

static void end_of_qemu_ends_everything(void **state) {
	(void)state;
	/* The device listens by then. */
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "ls neep-vm-*/gpu.sock >seen; exit 7");
	run("vm --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2", 7);
	assert_true(file_exists("seen"));
	assert_int_equal(count_leftovers(), 0);
}

static void signal_reaches_qemu(void **state) {
	(void)state;
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "exec sleep 30");
	pid_t pid = process_start(cli_program(),
		"vm --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2");
	file_await("words");
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 128 + SIGTERM);
	assert_int_equal(count_leftovers(), 0);
}

/* Whenever it comes: there is something to clean up, from the folder on. */
static void signal_before_qemu_waits_for_it(void **state) {
	(void)state;
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "exec sleep 30");
	pid_t pid = process_start(cli_program(),
		"vm --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2");
	for (int waited = 0; count_leftovers() == 0; waited++) {
		assert_true(waited < 60000);
		usleep(1000);
	}
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 128 + SIGTERM);
	assert_int_equal(count_leftovers(), 0);
}

static void qemu_killed_by_a_signal_is_told_as_by_a_shell(void **state) {
	(void)state;
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "kill -KILL $$");
	run("vm --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2", 128 + SIGKILL);
	assert_int_equal(count_leftovers(), 0);
}

static void killed_neep_takes_everything_along(void **state) {
	(void)state;
	int status;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "exec sleep 30");
	pid_t pid = process_start(cli_program(),
		"vm --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2");
	file_await("words");
	kill(pid, SIGKILL);
	assert_int_equal(process_wait(pid), -1);
	/* QEMU and the device, which were asked to end. */
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(waitpid(-1, &status, 0), -1);
	assert_int_equal(system("rm -r neep-vm-*"), 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* QEMU is started when the device listens, and finds the machine's words. */
static void printed_commands_run(void **state) {
	(void)state;
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "ls neep-vm/gpu.sock >seen");
	run("vm --dry-run --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2", 0);
	FILE *script = fopen("commands", "w");
	assert_non_null(script);
	fputs(result.out, script);
	fputs("kill $!; wait\n", script);
	fclose(script);
	process_run("/bin/sh", "commands", &result);
	assert_true(file_exists("seen"));
	assert_true(file_exists("words"));
	assert_int_equal(rmdir("neep-vm"), 0);
}

/* Whichever step it meets: the questions to QEMU, the device's start, QEMU's. */
static void signal_at_any_moment_ends_everything(void **state) {
	(void)state;
	fake_qemu_running("11.1.3", "vhost-user-test-device-pci", "exec sleep 1000");
	for (uint32_t i = 0; i < 30; i++) {
		pid_t pid = process_start(cli_program(),
			"vm --accel tcg --capset-names cross-domain --qemu ./" FAKE_QEMU " disk.qcow2");
		nanosleep(&(struct timespec){ .tv_nsec = (long)i * 4000000 }, NULL);
		kill(pid, i % 2 == 0 ? SIGTERM : SIGINT);
		assert_int_not_equal(process_wait(pid), 0);
		assert_int_equal(count_leftovers(), 0);
	}
}

static void device_that_does_not_start_is_told(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-test-device-pci");
	run("vm --accel tcg --capset-names nothing --qemu ./" FAKE_QEMU " disk.qcow2", 1);
	assert_non_null(strstr(result.err, "neep vm: the device did not start: see above\n"));
	assert_false(file_exists("words"));
	assert_int_equal(count_leftovers(), 0);
}

#define in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		in_folder(newest_device_is_chosen),
		in_folder(any_name_of_a_disk_will_do),
		in_folder(older_qemu_is_told_what_it_loses),
		in_folder(wanted_window_decides),
		in_folder(window_is_shown_where_qemu_has_one),
		in_folder(own_guest_boots_by_its_kernel),
		in_folder(mistake_is_told_in_one_line),
		in_folder(end_of_qemu_ends_everything),
		in_folder(signal_reaches_qemu),
		in_folder(signal_before_qemu_waits_for_it),
		in_folder(qemu_killed_by_a_signal_is_told_as_by_a_shell),
		in_folder(killed_neep_takes_everything_along),
		in_folder(printed_commands_run),
		in_folder(signal_at_any_moment_ends_everything),
		in_folder(device_that_does_not_start_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
