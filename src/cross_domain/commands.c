/* What guests put into SUBMIT_3D: commands one behind the other, each with its size. */
#include <errno.h>

#include "cross_domain/cross_domain_internal.h"

/* Nothing is to be done but what its fence asks for. */
static int run_poll(struct neep_xd_context *context, struct neep_reader *in) {
	(void)context;
	(void)in;
	return 0;
}

/* Of other hosts, for what a guest can do without. */
static int run_unsupported(struct neep_xd_context *context, struct neep_reader *in) {
	(void)in;
	neep_xd_complain(
		context, "shared fences, files of virtio-fs and sockets in sockets are not supported");
	return -ENOTSUP;
}

static const struct command {
	size_t size;      // at least, with the header
	bool needs_ready; // INIT has succeeded
	int (*run)(struct neep_xd_context *context, struct neep_reader *in);
} commands[] = {
	[NEEP_XD_GET_IMAGE_REQUIREMENTS] = { NEEP_XD_REQUIREMENTS_SIZE, true, neep_xd_requirements },
	[NEEP_XD_POLL] = { NEEP_XD_HEADER_SIZE, false, run_poll },
	[NEEP_XD_SEND] = { NEEP_XD_TRANSFER_SIZE, true, neep_xd_send },
	[NEEP_XD_WRITE] = { NEEP_XD_WRITE_SIZE, true, neep_xd_write },
	[NEEP_XD_CREATE_SENTINEL] = { NEEP_XD_HEADER_SIZE, false, run_unsupported },
	[NEEP_XD_SIGNAL_SENTINEL] = { NEEP_XD_HEADER_SIZE, false, run_unsupported },
	[NEEP_XD_DESTROY_SENTINEL] = { NEEP_XD_HEADER_SIZE, false, run_unsupported },
	[NEEP_XD_READ_CREATE_EVENT] = { NEEP_XD_EVENT_SIZE, true, neep_xd_read_event },
	[NEEP_XD_IMPORT_VIRTIOFS] = { NEEP_XD_HEADER_SIZE, false, run_unsupported },
	[NEEP_XD_ASSIGN_SOCKET_UUID] = { NEEP_XD_HEADER_SIZE, false, run_unsupported },
};

static bool is_init_size(size_t size) {
	return size == NEEP_XD_INIT_LEGACY_SIZE || size == NEEP_XD_INIT_SIZE ||
	       size == NEEP_XD_INIT_VERSION_SIZE || size == NEEP_XD_INIT_UUID_SIZE;
}

static int run_command(struct neep_xd_context *context, uint8_t number, struct neep_reader *in, size_t size) {
	if (number == NEEP_XD_INIT) {
		return is_init_size(size) ? neep_xd_init(context, in, size) : -EINVAL;
	}
	const struct command *command = number < NEEP_ARRAY_LEN(commands) ? &commands[number] : NULL;
	if (command == NULL || command->run == NULL || size < command->size) {
		return -EINVAL;
	}
	if (command->needs_ready && context->state != NEEP_XD_READY) {
		return context->state == NEEP_XD_DEAD ? -EIO : -EINVAL;
	}
	return command->run(context, in);
}

int neep_xd_submit(struct neep_context *base, const uint8_t *bytes, size_t size) {
	struct neep_xd_context *context = neep_xd_context_from_base(base);
	struct neep_reader in;
	neep_reader_init(&in, bytes, size);
	int rc = 0;
	while (neep_reader_left(&in) > 0 && rc == 0) {
		uint8_t number = neep_reader_u8(&in);
		(void)neep_reader_u8(&in);
		size_t command_size = neep_reader_u16(&in);
		(void)neep_reader_u32(&in);
		if (command_size < NEEP_XD_HEADER_SIZE) {
			return -EINVAL;
		}
		const uint8_t *rest = neep_reader_take(&in, command_size - NEEP_XD_HEADER_SIZE);
		if (rest == NULL) {
			return -EINVAL;
		}
		struct neep_reader body;
		neep_reader_init(&body, rest, command_size - NEEP_XD_HEADER_SIZE);
		rc = run_command(context, number, &body, command_size);
	}
	return rc;
}
