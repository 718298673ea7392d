/* Inside of the control socket: clients (control.c) and commands (control_commands.c). */
#ifndef NEEP_DAEMON_CONTROL_INTERNAL_H
#define NEEP_DAEMON_CONTROL_INTERNAL_H

#include "daemon/control.h"
#include "daemon/listener.h"
#include "display/png_writer.h"
#include "util/acceptor.h"
#include "util/list.h"

struct neep_control {
	struct neep_loop *loop;
	struct neep_control_host host;
	struct neep_listener listener;
	struct neep_acceptor acceptor;
	struct neep_list clients; // control_client.link, the longest silent first
	size_t client_count;
};

struct control_client {
	struct neep_control *control;
	struct neep_list link;
	struct neep_source source;
	int fd;
	int passed_fd; // came with the last message that had one; -1: none
	char line[NEEP_CONTROL_LINE_MAX + 1];
	size_t used;
	bool is_over; // to be put out as soon as its line is dealt with

	/* A picture on its way; further lines wait for it. */
	struct neep_png *png; // NULL: none
	int png_fd;
	struct neep_task png_task;
};

/* Deals with one line, which it may cut up. */
void control_run_line(struct control_client *client, char *line);

/* Sends one line, newline added; puts a client out that takes none. */
void control_reply(struct control_client *client, const char *format, ...) NEEP_PRINTF(2, 3);

/* The picture is done: goes on with the lines that waited, and may free the client. */
void control_resume(struct control_client *client);

/* Ends a picture that is on its way. */
void control_drop_png(struct control_client *client);

#endif
