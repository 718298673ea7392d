/* Our own programs, and the compositor. */
#include "cli/doctor.h"
#include "cli/run.h"
#include "config.h"

void doctor_look_parts(struct doctor_finding *finding) {
	struct run_options options = { .has_guest_driver = false };
	static struct run_places places;
	struct neep_error error;
	if (run_find_places(&options, &places, &error) < 0 || run_check_preload(&places, &error) < 0) {
		doctor_no(finding, "", "%s", error.text);
	} else {
		doctor_ok(finding, "neep " NEEP_VERSION ", %s", places.device);
	}
}

void doctor_look_wayland(struct doctor_finding *finding) {
	struct run_options options = { .has_wayland = true };
	static struct run_places places;
	struct neep_error error;
	if (run_find_compositor(&options, &places, &error) < 0) {
		doctor_no(finding, "", "%s", error.text);
	} else {
		doctor_ok(finding, "a compositor at %s", places.compositor);
	}
}
