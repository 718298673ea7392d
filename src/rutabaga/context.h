/* Contexts and what is attached to them. */
#ifndef NEEP_RUTABAGA_CONTEXT_H
#define NEEP_RUTABAGA_CONTEXT_H

#include "rutabaga/core.h"

#define NEEP_CONTEXT_RINGS    64
#define NEEP_CONTEXT_NAME_MAX 64
/* How many attachments there may be for each resource that there may be: few are shared, and those by few contexts. */
#define NEEP_ATTACHMENTS_PER_RESOURCE 16

/* The core's half of a context. */
struct neep_context_slot {
	struct neep_idmap_link link; // rutabaga.contexts
	uint32_t ctx_id;
	uint32_t capset_id;
	char name[NEEP_CONTEXT_NAME_MAX + 1];
	struct neep_context *context;
	struct neep_list attachments; // neep_attachment.context_link
	struct neep_timeline rings[NEEP_CONTEXT_RINGS];
};

struct neep_resource;

/* A resource that a context may use. */
struct neep_attachment {
	struct neep_idmap_link link; // rutabaga.attachments
	struct neep_context_slot *slot;
	struct neep_resource *resource;
	struct neep_list context_link;  // neep_context_slot.attachments
	struct neep_list resource_link; // neep_resource.attachments
};

/* NULL when there is none. */
struct neep_context_slot *neep_context_find(struct rutabaga *rutabaga, uint32_t ctx_id);

struct neep_context_request {
	uint32_t ctx_id;
	uint32_t context_init;
	const char *name; // name_len bytes, may be NULL
	uint32_t name_len;
};
int neep_context_create(struct rutabaga *rutabaga, const struct neep_context_request *request);
void neep_context_destroy(struct rutabaga *rutabaga, struct neep_context_slot *slot);
int neep_context_submit(struct rutabaga *rutabaga, const struct rutabaga_command *command);

int neep_context_attach(struct rutabaga *rutabaga, uint32_t ctx_id, uint32_t resource_id);
int neep_context_detach(struct rutabaga *rutabaga, uint32_t ctx_id, uint32_t resource_id);

/* Ends an attachment. */
void neep_attachment_destroy(struct rutabaga *rutabaga, struct neep_attachment *attachment);

#endif
