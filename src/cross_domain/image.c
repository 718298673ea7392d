/* Layouts of images: linear, in memory that any compositor can map. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cross_domain/cross_domain_internal.h"
#include "util/checked.h"

#define FOURCC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define PLANES_MAX         3

struct plane {
	uint32_t bytes;        // of a sample
	uint32_t across, down; // pixels for a sample
};

static const struct format {
	uint32_t fourcc;
	struct plane planes[PLANES_MAX]; // bytes 0: no more
} formats[] = {
	{ FOURCC('R', '8', ' ', ' '), { { 1, 1, 1 } } },
	{ FOURCC('R', 'G', '1', '6'), { { 2, 1, 1 } } },
	{ FOURCC('B', 'G', '2', '4'), { { 3, 1, 1 } } },
	{ FOURCC('X', 'R', '2', '4'), { { 4, 1, 1 } } },
	{ FOURCC('X', 'B', '2', '4'), { { 4, 1, 1 } } },
	{ FOURCC('A', 'R', '2', '4'), { { 4, 1, 1 } } },
	{ FOURCC('A', 'B', '2', '4'), { { 4, 1, 1 } } },
	{ FOURCC('X', 'R', '3', '0'), { { 4, 1, 1 } } },
	{ FOURCC('X', 'B', '3', '0'), { { 4, 1, 1 } } },
	{ FOURCC('A', 'R', '3', '0'), { { 4, 1, 1 } } },
	{ FOURCC('A', 'B', '3', '0'), { { 4, 1, 1 } } },
	{ FOURCC('A', 'B', '4', 'H'), { { 8, 1, 1 } } },
	{ FOURCC('N', 'V', '1', '2'), { { 1, 1, 1 }, { 2, 2, 2 } } },
	{ FOURCC('Y', 'V', '1', '2'), { { 1, 1, 1 }, { 1, 2, 2 }, { 1, 2, 2 } } },
};

static const struct format *find_format(uint32_t fourcc) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(formats); i++) {
		if (formats[i].fourcc == fourcc) {
			return &formats[i];
		}
	}
	return NULL;
}

/* Samples for `pixels`: a last one that is not full counts. */
static uint32_t samples(uint32_t pixels, uint32_t per_sample) {
	return pixels / per_sample + (pixels % per_sample != 0 ? 1 : 0);
}

bool neep_xd_round_to_pages(uint64_t size, uint64_t *rounded) {
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (!neep_add(size, page - 1, rounded)) {
		return false;
	}
	*rounded &= ~(page - 1);
	return true;
}

int neep_xd_layout_compute(struct neep_xd_layout *layout) {
	const struct format *format = find_format(layout->format);
	if (format == NULL) {
		return -ENOTSUP;
	}
	uint64_t end = 0;
	for (size_t i = 0; i < PLANES_MAX && format->planes[i].bytes > 0; i++) {
		const struct plane *plane = &format->planes[i];
		uint64_t size;
		if (!neep_mul(plane->bytes, samples(layout->width, plane->across), &layout->strides[i]) ||
			!neep_mul(
				(uint64_t)layout->strides[i], samples(layout->height, plane->down), &size) ||
			!neep_add(end, 0, &layout->offsets[i]) || !neep_add(end, size, &end)) {
			return -EFBIG;
		}
	}
	if (end > NEEP_XD_IMAGE_BYTES_MAX) {
		return -EFBIG;
	}
	/* Of an empty image no blob could be made, and guests make one of every answer. */
	return neep_xd_round_to_pages(end > 0 ? end : 1, &layout->size) ? 0 : -EFBIG;
}

static struct neep_xd_template *template_from_size(struct neep_idmap_link *link) {
	return neep_container_of(link, struct neep_xd_template, by_size);
}

static uint64_t size_key(const struct neep_xd_layout *layout) {
	return (uint64_t)layout->height << 32 | layout->width;
}

static struct neep_xd_template *find_template(
	const struct neep_xd_context *context, const struct neep_xd_layout *layout) {
	struct neep_idmap_link *link = neep_idmap_find(&context->templates, size_key(layout));
	struct neep_xd_template *template = link != NULL ? template_from_size(link) : NULL;
	while (template != NULL && template->layout.format != layout->format) {
		template = template->same_size;
	}
	return template;
}

/* The first of a size is in the table, the others hang at it. */
static void index_template(struct neep_xd_context *context, struct neep_xd_template *template) {
	uint64_t key = size_key(&template->layout);
	struct neep_idmap_link *link = neep_idmap_find(&context->templates, key);
	if (link == NULL) {
		neep_idmap_insert(&context->templates, key, &template->by_size);
		return;
	}
	struct neep_xd_template *first = template_from_size(link);
	template->same_size = first->same_size;
	first->same_size = template;
}

/* What one takes with its places in tables. */
#define TEMPLATE_CHARGE (2 * sizeof(struct neep_xd_template))

static bool has_room_for_template(const struct neep_xd_context *context) {
	const struct neep_xd_budget *budget = &context->xd->budget;
	return context->template_count < NEEP_XD_TEMPLATES_MAX &&
	       TEMPLATE_CHARGE <= budget->bytes_max - budget->bytes;
}

static int add_template(
	struct neep_xd_context *context, const struct neep_xd_layout *layout, struct neep_xd_template **out) {
	if (!has_room_for_template(context)) {
		return -ENOMEM;
	}
	struct neep_xd_template *template = calloc(1, sizeof(*template));
	if (template == NULL) {
		return -ENOMEM;
	}
	template->item.kind = NEEP_XD_TEMPLATE;
	template->layout = *layout;
	if (neep_xd_item_add(context, &template->item) == 0) {
		free(template);
		return -ENOMEM;
	}
	index_template(context, template);
	context->template_count++;
	context->xd->budget.bytes += TEMPLATE_CHARGE;
	*out = template;
	return 0;
}

void neep_xd_template_free(struct neep_xd_context *context, struct neep_xd_template *template) {
	/* They end with their context only, so the index needs no repair. */
	context->template_count--;
	context->xd->budget.bytes -= TEMPLATE_CHARGE;
	free(template);
}

static void write_reply(const struct neep_xd_template *template, uint8_t *reply) {
	const struct neep_xd_layout *layout = &template->layout;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(layout->strides); i++) {
		neep_xd_put_u32(reply, NEEP_XD_REPLY_STRIDES + 4 * i, layout->strides[i]);
		neep_xd_put_u32(reply, NEEP_XD_REPLY_OFFSETS + 4 * i, layout->offsets[i]);
	}
	neep_xd_put_u64(reply, NEEP_XD_REPLY_SIZE, layout->size);
	neep_xd_put_u32(reply, NEEP_XD_REPLY_BLOB_ID, (uint32_t) template->item.link.id);
	neep_xd_put_u32(reply, NEEP_XD_REPLY_MAP_INFO, RUTABAGA_MAP_CACHE_CACHED);
	neep_xd_put_u32(reply, NEEP_XD_REPLY_MEMORY, UINT32_MAX);
	neep_xd_put_u32(reply, NEEP_XD_REPLY_DEVICE, UINT32_MAX);
}

/* Flags (scanout, linear, ...) make no difference to memory that is always linear. */
int neep_xd_requirements(struct neep_xd_context *context, struct neep_reader *in) {
	struct neep_xd_layout layout = { .width = neep_reader_u32(in) };
	layout.height = neep_reader_u32(in);
	layout.format = neep_reader_u32(in);
	int rc = neep_xd_layout_compute(&layout);
	struct neep_xd_template *template = rc == 0 ? find_template(context, &layout) : NULL;
	if (rc == 0 && template == NULL) {
		rc = add_template(context, &layout, &template);
	}
	/* Size and blob_id 0 say that it failed; without a reply the guest would read the last one again. */
	uint8_t reply[NEEP_XD_REPLY_LEN] = { 0 };
	if (rc == 0) {
		write_reply(template, reply);
	}
	int written = neep_xd_ring_write(context->query_ring, reply, sizeof(reply));
	return rc < 0 ? rc : written;
}
