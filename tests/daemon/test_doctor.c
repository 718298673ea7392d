/* neep doctor: what it sees is set up here through the environment. */
#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/fake_qemu.h"
#include "daemon/process.h"
#include "util/macros.h"

static struct process_result result;

static int setup(void **state) {
	(void)state;
	folder_enter();
	/* No QEMU, no driver, no compositor. */
	char folder[64];
	assert_non_null(getcwd(folder, sizeof(folder)));
	setenv("PATH", folder, 1);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	setenv("VK_DRIVER_FILES", "/nonexistent.json", 1);
	unsetenv("WAYLAND_DISPLAY");
	return 0;
}

static int teardown(void **state) {
	(void)state;
	folder_leave();
	return 0;
}

static void check(const char *words, int code) {
	process_run(cli_program(), words, &result);
	assert_string_equal(result.err, "");
	assert_int_equal(result.code, code);
}

/* The line of a check starts with its verdict and its name. */
static void expect_line(const char *start, const char *rest) {
	const char *line = strstr(result.out, start);
	assert_non_null(line);
	assert_non_null(strstr(line, rest));
	assert_true(strstr(line, rest) < strchr(line, '\n'));
}

static void listen_at(const char *path, int *fd) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(*fd, 1), 0);
}

static void wayland_works_where_a_compositor_listens(void **state) {
	(void)state;
	int fd;
	listen_at("wayland-7", &fd);
	setenv("WAYLAND_DISPLAY", "wayland-7", 1);
	check("doctor wayland", 0);
	expect_line("ok    Wayland ", "/wayland-7");
	assert_non_null(strstr(result.out, "\nWayland      will work\n"));
	assert_null(strstr(result.out, "2D in a VM"));
	close(fd);
}

static void wayland_without_a_compositor_is_told_with_its_remedy(void **state) {
	(void)state;
	setenv("WAYLAND_DISPLAY", "/no/such/socket", 1);
	check("doctor wayland", 1);
	expect_line("NO    Wayland ", "/no/such/socket: No such file or directory");
	assert_non_null(strstr(result.out, "start one, or name its socket"));
	assert_non_null(strstr(result.out, "\nWayland      will NOT work\n"));
}

static void vulkan_without_a_driver_is_told_with_its_package(void **state) {
	(void)state;
	check("doctor vulkan", 1);
	expect_line("NO    Vulkan on the host ", "no Vulkan driver");
	assert_non_null(strstr(result.out, "mesa-vulkan-drivers"));
}

static void missing_qemu_is_told_with_its_package(void **state) {
	(void)state;
	check("doctor 2d", 1);
	expect_line("NO    QEMU ", "no qemu-system-");
	assert_non_null(strstr(result.out, "-> install qemu-system-"));
}

#if defined(__x86_64__)
static void devices_of_qemu_decide(void **state) {
	(void)state;
	fake_qemu("11.1.3", "vhost-user-gpu-pci vhost-user-test-device-pci");
	check("doctor 2d", 0);
	expect_line("ok    QEMU ", "QEMU 11.1.3: vhost-user-gpu-pci");
	expect_line("ok    QEMU with blobs ", "vhost-user-test-device-pci");
	/* That device of older releases is without the window. */
	fake_qemu("10.0.2", "vhost-user-gpu-pci vhost-user-test-device-pci");
	check("doctor 2d", 0);
	expect_line("less  QEMU with blobs ", "QEMU 10.0.2 lets no blobs through");
	fake_qemu("11.1.3", "virtio-gpu-pci");
	check("doctor 2d", 1);
	expect_line("NO    QEMU ", "QEMU 11.1.3 was built without vhost-user-gpu");
}

static void qemu_is_asked_once(void **state) {
	(void)state;
	char line[128];
	size_t starts = 0, versions = 0;
	fake_qemu("11.1.3", "vhost-user-gpu-pci");
	check("doctor 2d", 0);
	FILE *asked = fopen("asked", "r");
	assert_non_null(asked);
	for (; fgets(line, sizeof(line), asked) != NULL; starts++) {
		versions += strcmp(line, "--version\n") == 0;
	}
	fclose(asked);
	assert_int_equal(versions, 1);
	/* And once for each device. */
	assert_int_equal(starts, 5);
}
#endif

static void wrong_area_is_refused(void **state) {
	(void)state;
	process_run(cli_program(), "doctor sound", &result);
	assert_string_equal(result.err, "neep doctor: \"sound\" is not one of 2d, vulkan, wayland\n");
	assert_int_equal(result.code, 2);
	process_run(cli_program(), "doctor --fast", &result);
	assert_int_equal(result.code, 2);
	check("doctor --help", 0);
}

#define in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		in_folder(wayland_works_where_a_compositor_listens),
		in_folder(wayland_without_a_compositor_is_told_with_its_remedy),
		in_folder(vulkan_without_a_driver_is_told_with_its_package),
		in_folder(missing_qemu_is_told_with_its_package),
#if defined(__x86_64__)
		in_folder(devices_of_qemu_decide),
		in_folder(qemu_is_asked_once),
#endif
		in_folder(wrong_area_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
