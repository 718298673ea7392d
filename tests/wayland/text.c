/*
 * "input": a window with a field for text, which says what its input method does. "method": the input method, which is told on
 * its standard input what to do: "preedit TEXT", "delete BEFORE AFTER", "commit TEXT", "apply"; it says what it is told of the
 * field. Both end with their standard input.
 */
#include <stdio.h>
#include <string.h>

#include "globals.h"
#include "input-method-unstable-v2-client.h"
#include "paint.h"
#include "text-input-unstable-v3-client.h"

/* Two bytes of it are one letter. */
#define SURROUNDING "a field of \xc3\xbcnicode"

/* ---- the field ---- */

static void say_enter(void *data, struct zwp_text_input_v3 *input, struct wl_surface *surface) {
	(void)data;
	(void)surface;
	printf("enter\n");
	zwp_text_input_v3_enable(input);
	zwp_text_input_v3_set_surrounding_text(input, SURROUNDING, 11, 2);
	zwp_text_input_v3_set_text_change_cause(input, ZWP_TEXT_INPUT_V3_CHANGE_CAUSE_OTHER);
	zwp_text_input_v3_set_content_type(
		input, ZWP_TEXT_INPUT_V3_CONTENT_HINT_SPELLCHECK, ZWP_TEXT_INPUT_V3_CONTENT_PURPOSE_EMAIL);
	zwp_text_input_v3_set_cursor_rectangle(input, 10, 20, 30, 40);
	zwp_text_input_v3_commit(input);
}

static void say_leave(void *data, struct zwp_text_input_v3 *input, struct wl_surface *surface) {
	(void)data;
	(void)surface;
	printf("leave\n");
	zwp_text_input_v3_disable(input);
	zwp_text_input_v3_commit(input);
}

static void say_preedit(
	void *data, struct zwp_text_input_v3 *input, const char *text, int32_t begin, int32_t end) {
	(void)data;
	(void)input;
	printf("preedit %s %d %d\n", text != NULL ? text : "-", begin, end);
}

static void say_commit(void *data, struct zwp_text_input_v3 *input, const char *text) {
	(void)data;
	(void)input;
	printf("commit %s\n", text != NULL ? text : "-");
}

static void say_delete(void *data, struct zwp_text_input_v3 *input, uint32_t before, uint32_t after) {
	(void)data;
	(void)input;
	printf("delete %u %u\n", before, after);
}

static void say_done(void *data, struct zwp_text_input_v3 *input, uint32_t serial) {
	(void)data;
	(void)input;
	printf("done %u\n", serial);
}

static const struct zwp_text_input_v3_listener input_listener = {
	say_enter,
	say_leave,
	say_preedit,
	say_commit,
	say_delete,
	say_done,
};

static void run_input(struct wlb_client *client) {
	struct wanted manager = { .interface = &zwp_text_input_manager_v3_interface, .version = 1 };
	const struct wlb_shape shape = { 0, 200, 200, 800, WL_SHM_FORMAT_XRGB8888 };
	struct wlb_window window;
	struct wlb_memory memory;
	struct wlb_picture picture;
	globals_need(client, &manager, 1);
	struct zwp_text_input_v3 *input =
		zwp_text_input_manager_v3_get_text_input(manager.proxy, client->seat);
	zwp_text_input_v3_add_listener(input, &input_listener, NULL);
	wlb_window_open(client, "neep-test-1", &window);
	wlb_memory_create(client, 800 * 200, &memory);
	wlb_picture_create(&memory, &shape, &picture);
	paint(&memory, &picture, 1);
	wlb_attach(window.surface, &picture);
	wlb_commit_and_wait(client, window.surface);
	wlb_dispatch_until(client, 0, -1);
	zwp_text_input_v3_destroy(input);
	zwp_text_input_manager_v3_destroy(manager.proxy);
}

/* ---- the method ---- */

struct method {
	struct zwp_input_method_v2 *method;
	uint32_t done_count;
};

static void say_activate(void *data, struct zwp_input_method_v2 *method) {
	(void)data;
	(void)method;
	printf("activate\n");
}

static void say_deactivate(void *data, struct zwp_input_method_v2 *method) {
	(void)data;
	(void)method;
	printf("deactivate\n");
}

static void say_surrounding(
	void *data, struct zwp_input_method_v2 *method, const char *text, uint32_t cursor, uint32_t anchor) {
	(void)data;
	(void)method;
	printf("surrounding %s %u %u\n", text, cursor, anchor);
}

static void say_cause(void *data, struct zwp_input_method_v2 *method, uint32_t cause) {
	(void)data;
	(void)method;
	printf("cause %u\n", cause);
}

static void say_content(void *data, struct zwp_input_method_v2 *method, uint32_t hint, uint32_t purpose) {
	(void)data;
	(void)method;
	printf("content %u %u\n", hint, purpose);
}

static void say_state(void *data, struct zwp_input_method_v2 *method) {
	(void)method;
	((struct method *)data)->done_count++;
	printf("done\n");
}

static void say_unavailable(void *data, struct zwp_input_method_v2 *method) {
	(void)data;
	(void)method;
	printf("unavailable\n");
}

static const struct zwp_input_method_v2_listener method_listener = {
	say_activate,
	say_deactivate,
	say_surrounding,
	say_cause,
	say_content,
	say_state,
	say_unavailable,
};

static bool obey(const struct method *method, char *line) {
	unsigned int before, after;
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "preedit ", 8) == 0) {
		zwp_input_method_v2_set_preedit_string(
			method->method, line + 8, 1, (int32_t)strlen(line + 8));
	} else if (sscanf(line, "delete %u %u", &before, &after) == 2) {
		zwp_input_method_v2_delete_surrounding_text(method->method, before, after);
	} else if (strncmp(line, "commit ", 7) == 0) {
		zwp_input_method_v2_commit_string(method->method, line + 7);
	} else if (strcmp(line, "apply") == 0) {
		zwp_input_method_v2_commit(method->method, method->done_count);
	} else {
		return false;
	}
	return true;
}

static void run_method(struct wlb_client *client) {
	struct wanted manager = { .interface = &zwp_input_method_manager_v2_interface, .version = 1 };
	struct method method = { .done_count = 0 };
	char line[8192];
	globals_need(client, &manager, 1);
	method.method = zwp_input_method_manager_v2_get_input_method(manager.proxy, client->seat);
	zwp_input_method_v2_add_listener(method.method, &method_listener, &method);
	wlb_roundtrip(client);
	printf("ready\n");
	while (wlb_dispatch_until(client, 0, -1) && fgets(line, sizeof(line), stdin) != NULL) {
		if (!obey(&method, line)) {
			wlb_die("what is \"%s\"?", line);
		}
		wlb_flush(client);
	}
	zwp_input_method_v2_destroy(method.method);
	zwp_input_method_manager_v2_destroy(manager.proxy);
	/* There is one at a time: the next one finds none. */
	wlb_roundtrip(client);
}

int main(int argc, char **argv) {
	struct wlb_client client;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Without a buffer, so that what poll() sees is what fgets() has not read yet. */
	setvbuf(stdin, NULL, _IONBF, 0);
	wlb_client_open(&client);
	if (client.seat == NULL) {
		wlb_die("the compositor has no seat");
	}
	if (argc == 2 && strcmp(argv[1], "input") == 0) {
		run_input(&client);
	} else if (argc == 2 && strcmp(argv[1], "method") == 0) {
		run_method(&client);
	} else {
		wlb_die("usage: wl-text input|method");
	}
	wlb_client_close(&client);
	return 0;
}
