/* What clients may see of the compositor: which globals, and how new.
 *
 * Only interfaces in the table exist for a client, at most in the version whose messages the proxy knows. The rest is hidden,
 * and told once in the log. Options allow and deny by name. */
#ifndef NEEP_WAYLAND_POLICY_H
#define NEEP_WAYLAND_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wayland-util.h>

/* A global that the proxy knows. */
struct neep_wl_known {
	const struct wl_interface *interface;
	uint32_t max_version; // no message of a newer one is forwarded
	bool is_privileged;   // hidden unless allowed by name: layer-shell and the like
};

/* Names that the log has been told of. */
struct neep_wl_hidden {
	char names[64][64];
	size_t count;
};

struct neep_wl_policy {
	struct neep_wl_hidden *hidden; // NULL: the log is told nothing
	const char *allow;             // comma-separated names of privileged interfaces to show; NULL: none
	const char *deny;              // comma-separated names to hide; NULL: none
	const char *title_prefix;      // put before titles of toplevels; NULL: nothing
	const char *app_id_prefix;
};

/* The version in which a client may see the global, or 0: hidden. `interface_name` is the compositor's word; *interface gets the
 * table's. */
uint32_t neep_wl_policy_version(const struct neep_wl_policy *policy, const char *interface_name,
	uint32_t version, const struct wl_interface **interface);

/* Tells the log, once, that a global of this name is hidden. */
void neep_wl_policy_tell_hidden(const struct neep_wl_policy *policy, const char *interface_name);

/* For --help and the man page: the table, NULL at its end. */
const struct neep_wl_known *neep_wl_policy_table(size_t *count);

/* The newest version that a client can see: the tables of this build may be older than max_version. */
uint32_t neep_wl_known_version(const struct neep_wl_known *known);

/* A name in allow or deny that is not in the table, or NULL: to be refused at start. */
const char *neep_wl_policy_unknown_name(const struct neep_wl_policy *policy);

#endif
