/* neep run as a command: what it says, what it returns, and what is left when it ends. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/process.h"
#include "support/await.h"
#include "support/fd_check.h"
#include "support/process_table.h"
#include "util/macros.h"

static int setup(void **state) {
	folder_enter();
	unsetenv("VK_DRIVER_FILES");
	unsetenv("VK_ICD_FILENAMES");
	return fd_check_setup(state);
}

static int teardown(void **state) {
	int result = fd_check_teardown(state);
	folder_leave();
	return result;
}

static void write_file(const char *path, const char *text) {
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void write_program(const char *path, const char *text) {
	write_file(path, text);
	assert_int_equal(chmod(path, 0700), 0);
}

/* A script of the shell, run by it. */
static void run_script(const char *script, struct process_result *result) {
	write_file("script", script);
	process_run(cli_program(), "run --driver none --log error -- sh script", result);
}

static const struct mistake {
	const char *words;
	const char *line;
} mistakes[] = {
	{ "run", "neep run: name the program to run" },
	{ "run --driver none", "neep run: name the program to run" },
	{ "run --driver nvidia -- true", "neep run: --driver: \"nvidia\" is not one of gfxstream, none" },
	{ "run --log loud -- true", "neep run: --log: \"loud\" is not one of error, warn, info, debug" },
	{ "run --wayland-socket-path", "neep run: --wayland-socket-path needs a value" },
	{ "run --wayland --driver none", "neep run: name the program to run" },
	{ "run --hostmem", "neep run: --hostmem needs a value" },
	{ "run --fast -- true", "neep run: --fast is not an option here; neep run --help lists them" },
};

static void mistake_is_told_in_one_line(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(mistakes); i++) {
		process_run_mistake(cli_program(), mistakes[i].words, mistakes[i].line);
	}
}

static void status_is_that_of_the_program(void **state) {
	(void)state;
	static struct process_result result;
	run_script("exit 7", &result);
	assert_int_equal(result.code, 7);
	assert_string_equal(result.err, "");
	run_script("kill -9 $$", &result);
	assert_int_equal(result.code, 128 + SIGKILL);
	run_script("cat; echo told; echo words >&2", &result);
	assert_string_equal(result.out, "told\n");
	assert_string_equal(result.err, "words\n");
	assert_int_equal(result.code, 0);
}

static void program_that_cannot_run_is_told(void **state) {
	(void)state;
	static struct process_result result;
	process_run(cli_program(), "run --driver none --log error -- ./missing", &result);
	assert_int_equal(result.code, 127);
	assert_string_equal(result.err, "neep run: cannot run ./missing: No such file or directory\n");
	write_file("plain", "");
	process_run(cli_program(), "run --driver none -- ./plain", &result);
	assert_int_equal(result.code, 126);
}

/* The loader would say something to each program, and run it on the machine's own drivers. */
static void place_that_cannot_be_preloaded_is_told(void **state) {
	(void)state;
	static struct process_result result;
	static char script[PATH_MAX + 512];
	snprintf(script, sizeof(script),
		"mkdir -p 'a b/src/cli' 'a b/src/virtgpu/tree' 'a b/src/daemon'\ncp '%s' 'a b/src/cli/neep'\n"
		": > 'a b/src/virtgpu/libneep-virtgpu.so'; : > 'a b/src/daemon/vhost-user-neep'\n"
		"'a b/src/cli/neep' run --driver none -- echo ran; echo $?; rm -r 'a b'",
		cli_program());
	write_file("script", script);
	process_run("/bin/sh", "script", &result);
	assert_string_equal(result.out, "1\n");
	assert_non_null(
		strstr(result.err, "/a b/src/virtgpu/libneep-virtgpu.so: the dynamic loader takes no"));
}

/* Sockets of ours get their numbers otherwise. */
static void closed_streams_are_no_hindrance(void **state) {
	(void)state;
	static struct process_result result;
	static char script[2 * PATH_MAX + 128];
	snprintf(script, sizeof(script),
		"'%s' run --driver none --log error -- touch 1 <&- >&-\n"
		"'%s' run --driver none -- touch 2 <&- >&- 2>&-\n"
		"ls",
		cli_program(), cli_program());
	write_file("script", script);
	process_run("/bin/sh", "script", &result);
	assert_string_equal(result.err, "");
	assert_string_equal(result.out, "1\n2\nscript\n");
}

static void device_that_cannot_start_is_told(void **state) {
	(void)state;
	static struct process_result result;
	process_run(cli_program(), "run --driver none --device-program ./missing -- true", &result);
	assert_int_equal(result.code, 1);
	assert_string_equal(result.err, "neep run: --device-program: ./missing: No such file or directory\n");
	process_run(cli_program(), "run --driver none --hostmem 3 -- true", &result);
	assert_int_equal(result.code, 1);
	assert_non_null(strstr(result.err, "vhost-user-neep: --hostmem: \"3\" is neither"));
}

/* ---- what the program finds ---- */

static void options_of_the_program_are_its_own(void **state) {
	(void)state;
	static struct process_result result;
	process_run(cli_program(), "run --driver none echo --driver --help -x", &result);
	assert_string_equal(result.out, "--driver --help -x\n");
}

static void process_state_is_as_it_was(void **state) {
	(void)state;
	static struct process_result inside, outside;
	static const char script[] =
		"ulimit -n; grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l";
	write_file("script", script);
	process_run("/bin/sh", "script", &outside);
	process_run(cli_program(), "run --driver none -- sh script", &inside);
	assert_string_equal(inside.out, outside.out);
}

static void preloads_of_the_user_are_kept(void **state) {
	(void)state;
	static struct process_result result;
	setenv("LD_PRELOAD", "libc.so.6", 1);
	run_script("echo $LD_PRELOAD", &result);
	unsetenv("LD_PRELOAD");
	const char *colon = strchr(result.out, ':');
	assert_non_null(colon);
	assert_string_equal(colon, ":libc.so.6\n");
}

static void folder_of_the_node_can_be_listed(void **state) {
	(void)state;
	static struct process_result result;
	run_script("ls -l /dev/dri; ls -ld /dev/dri/renderD128", &result);
	assert_non_null(strstr(result.out, "226, 128"));
	assert_string_equal(result.err, "");
	assert_int_equal(result.code, 0);
}

/* ---- the guest driver ---- */

static void hide_drivers(const char *folder) {
	setenv("MESA_SHADER_CACHE_DIR", "/nonexistent", 1);
	setenv("XDG_DATA_DIRS", folder, 1);
	setenv("XDG_CONFIG_DIRS", folder, 1);
	setenv("HOME", folder, 1);
}

static void missing_guest_driver_is_told_with_its_package(void **state) {
	(void)state;
	static struct process_result result;
	hide_drivers("/nonexistent");
	process_run(cli_program(), "run -- true", &result);
	assert_int_equal(result.code, 1);
	assert_string_equal(result.err,
		"neep run: there is no gfxstream Vulkan driver here; Debian's mesa-vulkan-drivers 25.0 or "
		"newer brings it (trixie, or bookworm-backports)\n");
}

static void make_guest_driver(void) {
	assert_int_equal(mkdir("vulkan", 0700), 0);
	assert_int_equal(mkdir("vulkan/icd.d", 0700), 0);
	write_file("vulkan/icd.d/gfxstream_vk_icd.json", "{}");
}

static void remove_guest_driver(void) {
	unlink("vulkan/icd.d/gfxstream_vk_icd.json");
	rmdir("vulkan/icd.d");
	rmdir("vulkan");
}

static void missing_host_driver_is_told_with_its_package(void **state) {
	(void)state;
	static struct process_result result;
	char folder[128];
	make_guest_driver();
	assert_non_null(getcwd(folder, sizeof(folder)));
	hide_drivers(folder);
	process_run(cli_program(), "run -- true", &result);
	assert_int_equal(result.code, 1);
	assert_string_equal(result.err,
		"neep run: there is no Vulkan driver on this machine for the device to render on; Debian's "
		"mesa-vulkan-drivers brings those of most GPUs, and one that needs none\n");
	setenv("VK_ICD_FILENAMES", "/old.json:/older.json", 1);
	process_run(cli_program(), "run -- true", &result);
	assert_int_equal(result.code, 1);
	assert_string_equal(result.err, "neep run: VK_ICD_FILENAMES names no Vulkan driver that can be read "
					"(/old.json:/older.json), and "
					"the device renders on it\n");
	remove_guest_driver();
}

/* The environment names drivers as the Vulkan loader knows it; files or folders. */
static void host_driver_may_be_named(void **state) {
	(void)state;
	static const char *const variables[][2] = {
		{ "VK_DRIVER_FILES", "/missing.json:host.json" },
		{ "VK_ICD_FILENAMES", "host.json" },
		{ "VK_ADD_DRIVER_FILES", "." },
	};
	static struct process_result result;
	char folder[128];
	make_guest_driver();
	write_file("host.json", "{}");
	assert_non_null(getcwd(folder, sizeof(folder)));
	hide_drivers(folder);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(variables); i++) {
		setenv(variables[i][0], variables[i][1], 1);
		process_run(cli_program(), "run --log error -- true", &result);
		unsetenv(variables[i][0]);
		assert_string_equal(result.err, "");
		assert_int_equal(result.code, 0);
	}
	remove_guest_driver();
}

static void program_gets_the_guest_driver(void **state) {
	(void)state;
	static struct process_result result;
	char folder[128], expected[256];
	make_guest_driver();
	assert_non_null(getcwd(folder, sizeof(folder)));
	hide_drivers(folder);
	/* This is what the device renders on. */
	write_file("host.json", "{}");
	setenv("VK_DRIVER_FILES", "host.json", 1);
	process_run(cli_program(), "run -- printenv VK_DRIVER_FILES VK_ICD_FILENAMES", &result);
	remove_guest_driver();
	snprintf(expected, sizeof(expected), "%s/vulkan/icd.d/gfxstream_vk_icd.json\n", folder);
	size_t len = strlen(expected);
	assert_int_equal(strncmp(result.out, expected, len), 0);
	assert_string_equal(result.out + len, expected);
	assert_int_equal(result.code, 0);
}

/* What printenv says of layers under `neep run`, line by line; the folder of the layer is shown as "LAYERS". */
static void print_layers(const char *options, char lines[3][256]) {
	static struct process_result result;
	char words[256];
	snprintf(words, sizeof(words), "run %s -- sh script", options);
	write_file("script",
		"for v in \"$VK_INSTANCE_LAYERS\" \"$VK_ADD_LAYER_PATH\" \"$VK_LAYER_PATH\"; do\n"
		"echo \"$v\" | sed -E 's,/[^:]*(guest/layer|vulkan-layer),LAYERS,'; done\n");
	setenv("VK_DRIVER_FILES", "host.json", 1);
	process_run(cli_program(), words, &result);
	unsetenv("VK_DRIVER_FILES");
	assert_int_equal(result.code, 0);
	char *at = result.out;
	for (int i = 0; i < 3; i++) {
		snprintf(lines[i], sizeof(lines[i]), "%s", strsep(&at, "\n"));
	}
}

static void layer_is_the_next_above_the_guest_driver(void **state) {
	(void)state;
	char lines[3][256], folder[128];
	make_guest_driver();
	write_file("host.json", "{}");
	assert_non_null(getcwd(folder, sizeof(folder)));
	hide_drivers(folder);
	print_layers("", lines);
	assert_string_equal(lines[0], "VK_LAYER_NEEP_null_descriptor");
	assert_string_equal(lines[1], "LAYERS");
	assert_string_equal(lines[2], "");
	setenv("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation", 1);
	setenv("VK_LAYER_PATH", "/mine", 1);
	print_layers("", lines);
	assert_string_equal(lines[0], "VK_LAYER_KHRONOS_validation:VK_LAYER_NEEP_null_descriptor");
	assert_string_equal(lines[1], "LAYERS");
	assert_string_equal(lines[2], "LAYERS:/mine");
	print_layers("--no-vulkan-layer", lines);
	assert_string_equal(lines[0], "VK_LAYER_KHRONOS_validation");
	assert_string_equal(lines[1], "");
	assert_string_equal(lines[2], "/mine");
	unsetenv("VK_INSTANCE_LAYERS");
	unsetenv("VK_LAYER_PATH");
	remove_guest_driver();
}

/* As where one neep runs in another. */
static void device_is_left_without_the_layer(void **state) {
	(void)state;
	static struct process_result result;
	static const char *const lists[][2] = {
		{ "VK_LAYER_NEEP_null_descriptor", "" },
		{ "VK_LAYER_first:VK_LAYER_NEEP_null_descriptor:VK_LAYER_last",
			"VK_LAYER_first:VK_LAYER_last" },
		{ "VK_LAYER_NEEP_null_descriptor2", "VK_LAYER_NEEP_null_descriptor2" },
	};
	write_program("device", "#!/bin/sh\nprintenv VK_INSTANCE_LAYERS >words\nexec $NEEP_DAEMON \"$@\"\n");
	for (size_t i = 0; i < NEEP_ARRAY_LEN(lists); i++) {
		setenv("VK_INSTANCE_LAYERS", lists[i][0], 1);
		process_run(cli_program(), "run --driver none --device-program ./device -- true", &result);
		assert_int_equal(result.code, 0);
		process_run("/bin/cat", "words", &result);
		*strchrnul(result.out, '\n') = '\0';
		assert_string_equal(result.out, lists[i][1]);
	}
	unsetenv("VK_INSTANCE_LAYERS");
}

static void guest_driver_of_the_user_is_kept(void **state) {
	(void)state;
	static struct process_result result;
	char folder[128];
	assert_non_null(getcwd(folder, sizeof(folder)));
	hide_drivers("/nonexistent");
	write_program("device", "#!/bin/sh\nprintenv VK_DRIVER_FILES >words\nexec $NEEP_DAEMON \"$@\"\n");
	write_file("host.json", "{}");
	setenv("VK_ADD_DRIVER_FILES", folder, 1);
	setenv("VK_DRIVER_FILES", "/mine/gfxstream.json", 1);
	process_run(cli_program(), "run --device-program ./device -- printenv VK_DRIVER_FILES", &result);
	unsetenv("VK_ADD_DRIVER_FILES");
	assert_string_equal(result.out, "/mine/gfxstream.json\n");
	/* The device does not render on it. */
	struct stat st;
	assert_int_equal(stat("words", &st), 0);
	assert_int_equal(st.st_size, 0);
}

/* ---- the compositor ---- */

/* A device that tells its words and is the usual one then; and a proxy that tells what it is to start. */
static void make_wayland_parts(void) {
	char device[PATH_MAX];
	snprintf(device, sizeof(device), "#!/bin/sh\necho \"$*\" >words\nexec %s \"$@\" 2>/dev/null\n",
		daemon_program());
	write_program("device", device);
	write_program("proxy", "#!/bin/sh\necho \"$*\" $WAYLAND_SOCKET\nexit 5\n");
	unsetenv("WAYLAND_DISPLAY");
	unsetenv("XDG_RUNTIME_DIR");
}

static void assert_device_has(const char *expected) {
	char words[512] = "";
	FILE *file = fopen("words", "re");
	assert_non_null(file);
	assert_non_null(fgets(words, sizeof(words), file));
	fclose(file);
	if (strstr(words, expected) == NULL) {
		fail_msg("\"%s\" is not in \"%s\"", expected, words);
	}
	unlink("words");
}

static int make_socket(const char *path, bool is_listening) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(is_listening ? listen(fd, 8) : 0, 0);
	return fd;
}

static const char wayland_words[] =
	"run --driver none --device-program ./device --wayland --wayland-program ./proxy -- true -x";

static void refuse_wayland(const char *line) {
	static struct process_result result;
	process_run(cli_program(), wayland_words, &result);
	assert_string_equal(result.err, line);
	assert_int_equal(result.code, 1);
	assert_false(file_exists("words"));
}

static void missing_compositor_is_told_before_anything_starts(void **state) {
	(void)state;
	char folder[64], line[256];
	make_wayland_parts();
	refuse_wayland(
		"neep run: no Wayland compositor is known here: XDG_RUNTIME_DIR is not set; start one, or "
		"name its socket with --wayland-socket-path\n");
	setenv("WAYLAND_DISPLAY", "/nonexistent/wayland-3", 1);
	refuse_wayland(
		"neep run: no Wayland compositor at /nonexistent/wayland-3: No such file or directory; "
		"start one, or name its socket with --wayland-socket-path\n");
	unsetenv("WAYLAND_DISPLAY");
	/* Left over from one that died. */
	int fd = make_socket("wayland-0", false);
	setenv("XDG_RUNTIME_DIR", getcwd(folder, sizeof(folder)), 1);
	snprintf(line, sizeof(line),
		"neep run: no Wayland compositor at %s/wayland-0: Connection refused; start one, or name its "
		"socket with --wayland-socket-path\n",
		folder);
	refuse_wayland(line);
	close(fd);
}

static void program_runs_behind_the_proxy(void **state) {
	(void)state;
	static struct process_result result;
	char folder[64], expected[128];
	make_wayland_parts();
	setenv("XDG_RUNTIME_DIR", getcwd(folder, sizeof(folder)), 1);
	setenv("WAYLAND_DISPLAY", "wayland-5", 1);
	int fd = make_socket("wayland-5", true);
	process_run(cli_program(), wayland_words, &result);
	assert_string_equal(result.err, "");
	assert_string_equal(result.out, "-- true -x\n");
	assert_int_equal(result.code, 5);
	snprintf(expected, sizeof(expected),
		"--capset-names cross-domain --wayland-socket-path %s/wayland-5\n", folder);
	assert_device_has(expected);
	close(fd);
}

static void compositor_may_be_named(void **state) {
	(void)state;
	static struct process_result result;
	char folder[64], expected[128];
	make_wayland_parts();
	int fd = make_socket("here", true);
	process_run(cli_program(),
		"run --driver none --device-program ./device --wayland-program ./proxy --wayland "
		"--capset-names cross-domain --wayland-socket-path here -- true",
		&result);
	assert_int_equal(result.code, 5);
	snprintf(expected, sizeof(expected), "--capset-names cross-domain --wayland-socket-path %s/here\n",
		getcwd(folder, sizeof(folder)));
	assert_device_has(expected);
	/* For somebody's own proxy. */
	process_run(cli_program(),
		"run --driver none --device-program ./device --wayland-socket-path here -- sh -c true",
		&result);
	assert_int_equal(result.code, 0);
	assert_device_has(strstr(expected, "--wayland"));
	close(fd);
}

/* With the proxy of this build, which a build without libwayland's headers has not. */
static void proxy_is_the_compositor_of_the_program(void **state) {
	(void)state;
	static struct process_result result;
	char folder[64];
	make_wayland_parts();
	setenv("XDG_RUNTIME_DIR", getcwd(folder, sizeof(folder)), 1);
	setenv("WAYLAND_DISPLAY", "wayland-5", 1);
	int fd = make_socket("wayland-5", true);
	write_file("script",
		"test -S \"$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY\" && echo $WAYLAND_DISPLAY $1; exit 7");
	process_run(cli_program(), "run --driver none --log error --wayland sh script --wayland", &result);
	assert_string_equal(result.err, "");
	assert_int_equal(result.code, 7);
	assert_int_not_equal(strncmp(result.out, "wayland-5 ", 10), 0);
	assert_non_null(strstr(result.out, " --wayland\n"));
	close(fd);
}

static void connection_of_the_environment_is_not_handed_on(void **state) {
	(void)state;
	static struct process_result result;
	make_wayland_parts();
	write_program("device", "#!/bin/sh\nsh ./proxy >words; exec $NEEP_DAEMON \"$@\" --log-level error\n");
	write_program(
		"proxy", "#!/bin/sh\necho \"<$WAYLAND_SOCKET>$(test -e /proc/self/fd/9 && echo open)\"\n");
	int fd = make_socket("wayland-0", true);
	int handed = dup2(fd, 9);
	setenv("XDG_RUNTIME_DIR", getcwd((char[64]){ 0 }, 64), 1);
	setenv("WAYLAND_SOCKET", "9", 1);
	process_run(cli_program(), wayland_words, &result);
	unsetenv("WAYLAND_SOCKET");
	assert_string_equal(result.out, "<>\n");
	assert_device_has("<>\n");
	close(handed);
	close(fd);
}

static void missing_proxy_is_told(void **state) {
	(void)state;
	static struct process_result result;
	make_wayland_parts();
	unlink("proxy");
	process_run(cli_program(), wayland_words, &result);
	assert_string_equal(result.err, "neep run: --wayland-program: ./proxy: No such file or directory\n");
	assert_int_equal(result.code, 1);
}

static void device_can_be_asked_from_inside(void **state) {
	(void)state;
	static struct process_result result;
	char script[512];
	snprintf(script, sizeof(script), "%s stats --control c", cli_program());
	write_file("script", script);
	process_run(cli_program(), "run --driver none --log error --control c -- sh script", &result);
	assert_int_equal(result.code, 0);
	assert_non_null(strstr(result.out, "\"contexts\":0"));
	assert_false(file_exists("c"));
}

/* ---- signals ---- */

static pid_t start_script(const char *script) {
	write_file("script", script);
	pid_t pid = process_start(cli_program(), "run --driver none -- sh script");
	file_await("ready");
	unlink("ready");
	return pid;
}

static void signals_go_on_to_the_program(void **state) {
	(void)state;
	pid_t pid = start_script(
		"trap 'exit 9' TERM; trap 'touch usr1' USR1; touch ready; while :; do sleep 0.01; done");
	kill(pid, SIGUSR1);
	file_await("usr1");
	kill(pid, SIGTERM);
	assert_int_equal(process_wait(pid), 9);
	pid = start_script("touch ready; exec sleep 60");
	kill(pid, SIGINT);
	assert_int_equal(process_wait(pid), 128 + SIGINT);
}

static void stop_stops_both_and_continue_wakes_them(void **state) {
	(void)state;
	int status;
	pid_t pid = start_script("touch ready; until test -e go; do sleep 0.01; done");
	kill(pid, SIGTSTP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	write_file("go", "");
	assert_int_equal(process_wait(pid), 0);
}

/* By whoever started us, and so by the program: nobody would wake us. */
static void stop_that_is_ignored_stops_nobody(void **state) {
	(void)state;
	signal(SIGTSTP, SIG_IGN);
	pid_t pid = start_script("trap 'touch usr1; exit 0' USR1; touch ready; while :; do sleep 0.01; done");
	signal(SIGTSTP, SIG_DFL);
	kill(pid, SIGTSTP);
	kill(pid, SIGUSR1);
	file_await("usr1");
	assert_int_equal(process_wait(pid), 0);
}

/* ---- the end ---- */

#define FAMILY_MAX 8

/* All that descend from `pid`; returns how many. */
static size_t family_of(pid_t pid, pid_t family[FAMILY_MAX]) {
	size_t count = process_children(pid, family, FAMILY_MAX);
	for (size_t i = 0; i < count; i++) {
		count += process_children(family[i], family + count, FAMILY_MAX - count);
	}
	return count;
}

static bool is_alive(pid_t pid) {
	char path[64];
	char state = 'Z';
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return false;
	}
	bool is_read = fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
	fclose(file);
	return is_read && state != 'Z';
}

static void shaders_are_kept_in_the_cache_of_the_user(void **state) {
	(void)state;
	static struct process_result result;
	char folder[128];
	assert_non_null(getcwd(folder, sizeof(folder)));
	unsetenv("MESA_SHADER_CACHE_DIR");
	setenv("XDG_CACHE_HOME", folder, 1);
	process_run(cli_program(), "run --driver none -- true", &result);
	assert_int_equal(result.code, 0);
	assert_int_equal(rmdir("neep"), 0);
	/* A folder of the user's choice is not looked after. */
	setenv("MESA_SHADER_CACHE_DIR", "/nonexistent", 1);
	process_run(cli_program(), "run --driver none -- true", &result);
	assert_int_equal(rmdir("neep"), -1);
	unsetenv("XDG_CACHE_HOME");
}

static void await_death(pid_t pid) {
	await_true(!is_alive(pid));
}

static void kill_and_await_family(pid_t pid, size_t count) {
	pid_t family[FAMILY_MAX];
	assert_int_equal(family_of(pid, family), count);
	kill(pid, SIGKILL);
	assert_int_equal(process_wait(pid), -1);
	for (size_t i = 0; i < count; i++) {
		await_death(family[i]);
	}
}

static void killed_neep_takes_its_processes_along(void **state) {
	(void)state;
	kill_and_await_family(start_script("touch ready; exec sleep 60"), 2);
}

/* The program is a child of the proxy, which is told. */
static void killed_neep_takes_the_program_behind_the_proxy_along(void **state) {
	(void)state;
	char folder[64];
	make_wayland_parts();
	setenv("XDG_RUNTIME_DIR", getcwd(folder, sizeof(folder)), 1);
	int fd = make_socket("wayland-0", true);
	write_file("script", "touch ready; exec sleep 60");
	pid_t pid = process_start(cli_program(), "run --driver none --wayland -- sh script");
	file_await("ready");
	kill_and_await_family(pid, 3);
	close(fd);
}

static int64_t run_takes(void) {
	static struct process_result result;
	int64_t start = neep_clock_ns();
	process_run(cli_program(), "run --driver none -- true", &result);
	assert_int_equal(result.code, 0);
	return neep_clock_ns() - start;
}

/* Now and then, on a machine that has others to serve. */
static void run_is_quick(void **state) {
	(void)state;
	/* Sanitizers take their time. */
	int64_t most = (getenv("NEEP_SANITIZED") != NULL ? 2000 : 40) * NEEP_NS_PER_MS;
	await_true(run_takes() < most);
}

#define case_in_folder(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		case_in_folder(mistake_is_told_in_one_line),
		case_in_folder(status_is_that_of_the_program),
		case_in_folder(program_that_cannot_run_is_told),
		case_in_folder(place_that_cannot_be_preloaded_is_told),
		case_in_folder(closed_streams_are_no_hindrance),
		case_in_folder(device_that_cannot_start_is_told),
		case_in_folder(options_of_the_program_are_its_own),
		case_in_folder(process_state_is_as_it_was),
		case_in_folder(preloads_of_the_user_are_kept),
		case_in_folder(folder_of_the_node_can_be_listed),
		case_in_folder(missing_guest_driver_is_told_with_its_package),
		case_in_folder(missing_host_driver_is_told_with_its_package),
		case_in_folder(host_driver_may_be_named),
		case_in_folder(program_gets_the_guest_driver),
		case_in_folder(layer_is_the_next_above_the_guest_driver),
		case_in_folder(device_is_left_without_the_layer),
		case_in_folder(guest_driver_of_the_user_is_kept),
		case_in_folder(missing_compositor_is_told_before_anything_starts),
		case_in_folder(program_runs_behind_the_proxy),
		case_in_folder(compositor_may_be_named),
		case_in_folder(connection_of_the_environment_is_not_handed_on),
		case_in_folder(missing_proxy_is_told),
		case_in_folder(device_can_be_asked_from_inside),
		case_in_folder(signals_go_on_to_the_program),
		case_in_folder(stop_stops_both_and_continue_wakes_them),
		case_in_folder(stop_that_is_ignored_stops_nobody),
		case_in_folder(shaders_are_kept_in_the_cache_of_the_user),
		case_in_folder(killed_neep_takes_its_processes_along),
		case_in_folder(run_is_quick),
		case_in_folder(proxy_is_the_compositor_of_the_program),
		case_in_folder(killed_neep_takes_the_program_behind_the_proxy_along),
	};
	/* The last two need the proxy. */
	size_t count = NEEP_ARRAY_LEN(tests) - (getenv("NEEP_WAYLAND") != NULL ? 0 : 2);
	return _cmocka_run_group_tests("run", tests, count, NULL, NULL);
}
