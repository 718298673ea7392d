/* Our own programs, and the compositor. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/run.h"
#include "config.h"
#include "util/fd.h"

void doctor_look_parts(struct doctor_finding *finding) {
	struct run_options options = { .has_guest_driver = false };
	static struct run_places places;
	struct neep_error error;
	if (run_find_places(&options, &places, &error) < 0) {
		doctor_no(finding, "", "%s", error.text);
	} else {
		doctor_ok(finding, "neep " NEEP_VERSION ", %s", places.device);
	}
}

/* By libwayland's rules. Returns whether there is a name. */
static bool find_socket(struct sockaddr_un *address) {
	const char *display = getenv("WAYLAND_DISPLAY");
	const char *folder = getenv("XDG_RUNTIME_DIR");
	display = display == NULL || display[0] == '\0' ? "wayland-0" : display;
	bool is_absolute = display[0] == '/';
	if (!is_absolute && folder == NULL) {
		return false;
	}
	address->sun_family = AF_UNIX;
	return snprintf(address->sun_path, sizeof(address->sun_path), "%s%s%s", is_absolute ? "" : folder,
		       is_absolute ? "" : "/", display) < (int)sizeof(address->sun_path);
}

void doctor_look_wayland(struct doctor_finding *finding) {
	static const char remedy[] =
		"run neep in a Wayland session, or set WAYLAND_DISPLAY to the compositor's socket";
	struct sockaddr_un address = { 0 };
	if (!find_socket(&address)) {
		doctor_no(finding, remedy, "no WAYLAND_DISPLAY and no XDG_RUNTIME_DIR");
		return;
	}
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		doctor_no(finding, remedy, "%s: %s", address.sun_path, strerror(errno));
	} else {
		doctor_ok(finding, "a compositor at %s", address.sun_path);
	}
}
