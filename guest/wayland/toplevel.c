/* Titles and application ids of windows, with words before them that say where the windows come from. */
#include <stdio.h>
#include <string.h>

#include "util/macros.h"
#include "wayland/client.h"
#include "wayland/policy.h"
#include "wayland/xdg-shell-protocol.h"
#include "wayland/xdg-shell-requests.h"

/* What fits into a message of libwayland beside its header and the length. */
#define TEXT_MAX 4080

/* The start of a character of UTF-8 at or before `text[at]`. */
static size_t character_start(const char *text, size_t at) {
	while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) {
		at--;
	}
	return at;
}

static int set_text(struct neep_wl_call *call, const char *prefix) {
	if (prefix == NULL || call->object->host_id == 0) {
		return NEEP_WL_FORWARD;
	}
	char text[TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%s%s", prefix, neep_wl_message_string(&call->message, 0));
	if (len >= (int)sizeof(text)) {
		text[character_start(text, sizeof(text) - 1)] = '\0';
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, call->object->host_id, call->message.opcode);
	neep_wl_writer_string(&writer, text);
	return neep_wl_send_request(call->client, &writer, NULL, 0);
}

static int set_title(struct neep_wl_call *call) {
	return set_text(call, call->client->policy->title_prefix);
}

static int set_app_id(struct neep_wl_call *call) {
	return set_text(call, call->client->policy->app_id_prefix);
}

static neep_wl_handler *const requests[] = {
	[XDG_TOPLEVEL_SET_TITLE] = set_title,
	[XDG_TOPLEVEL_SET_APP_ID] = set_app_id,
};

const struct neep_wl_handlers neep_wl_toplevel_handlers = {
	.interface = &xdg_toplevel_interface,
	.requests = requests,
	.request_count = NEEP_ARRAY_LEN(requests),
};
