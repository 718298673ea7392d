/* zwp_linux_dmabuf_v1 of the compositor: buffers of GPU drivers pass as they are, fds of params.add and all. What it says of them
 * is put in words of this machine: tables become memory of its own, and the compositor's render node the one that
 * programs here have. */
#include <string.h>

#include "wayland/client.h"
#include "wayland/copy.h"
#include "wayland/linux-dmabuf-protocol.h"

// The next uses what this declares.
#include "wayland/wayland-protocol.h"

#include "wayland/linux-dmabuf-requests.h"

/* fd, size */
static int on_format_table(struct neep_wl_call *call) {
	int result = neep_wl_copy_message_fd(&call->message, 0, call->message.args[1].value);
	return result < 0 ? result : NEEP_WL_FORWARD;
}

/* An array that is a dev_t. */
static int on_device(struct neep_wl_call *call) {
	const struct neep_wl_arg *arg = &call->message.args[0];
	uint64_t device = call->client->host->render_device;
	if (device != 0 && arg->value == sizeof(device)) {
		memcpy(call->message.data + arg->at + sizeof(uint32_t), &device, sizeof(device));
	}
	return NEEP_WL_FORWARD;
}

static neep_wl_handler *const requests[] = {
	[ZWP_LINUX_DMABUF_FEEDBACK_V1_DESTROY] = neep_wl_on_destroy,
};

static neep_wl_handler *const events[] = {
	[ZWP_LINUX_DMABUF_FEEDBACK_V1_FORMAT_TABLE] = on_format_table,
	[ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE] = on_device,
	[ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_TARGET_DEVICE] = on_device,
};

const struct neep_wl_handlers neep_wl_dmabuf_feedback_handlers = {
	.interface = &zwp_linux_dmabuf_feedback_v1_interface,
	.requests = requests,
	.request_count = NEEP_ARRAY_LEN(requests),
	.events = events,
	.event_count = NEEP_ARRAY_LEN(events),
};
