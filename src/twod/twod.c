/* The 2D component: images in host memory, filled and read by copies. virtio-gpu, "Device Operation: 2D". */
#include <errno.h>
#include <stdlib.h>

#include "rutabaga/backing.h"
#include "rutabaga/component.h"
#include "twod/image.h"
#include "util/checked.h"

#define BYTES_PER_PIXEL 4

struct twod_object {
	struct neep_object base;
	struct neep_rutabaga_image *image;
};

static const struct neep_object_impl object_impl;

static struct twod_object *object_from_base(struct neep_object *base) {
	neep_assert(base->impl == &object_impl);
	return neep_container_of(base, struct twod_object, base);
}

static void object_destroy(struct neep_object *base) {
	struct twod_object *object = object_from_base(base);
	neep_rutabaga_image_unref(object->image);
	free(object);
}

static struct neep_rutabaga_image *object_image(struct neep_object *base) {
	return object_from_base(base)->image;
}

static bool box_is_inside(const struct rutabaga_transfer *box, const struct neep_rutabaga_image *image) {
	return box->z == 0 && box->d <= 1 && box->level == 0 &&
	       neep_range_within(box->x, box->w, image->width) &&
	       neep_range_within(box->y, box->h, image->height);
}

/* Where the box is on both sides. The offset names the box's first pixel, the box's origin is not added to it;
 * only QEMU's form (rutabaga_resource_transfer_write()) asks for the natural place. */
static struct neep_rows box_rows(
	const struct neep_transfer *transfer, const struct neep_rutabaga_image *image) {
	const struct rutabaga_transfer *box = &transfer->box;
	uint64_t place = (uint64_t)box->y * image->stride + (uint64_t)box->x * BYTES_PER_PIXEL;
	bool is_natural = transfer->context == NULL && box->offset == 0 && box->stride == 0;
	return (struct neep_rows){
		.image = (uint8_t *)image->pixels + place,
		.image_stride = image->stride,
		.len = (size_t)box->w * BYTES_PER_PIXEL,
		.count = box->d == 0 ? 0 : box->h,
		.offset = is_natural ? place : box->offset,
		.stride = box->stride != 0 ? box->stride : image->stride,
	};
}

static int object_transfer_write(struct neep_object *base, const struct neep_transfer *transfer) {
	struct neep_rutabaga_image *image = object_from_base(base)->image;
	if (!box_is_inside(&transfer->box, image)) {
		return -EINVAL;
	}
	struct neep_rows rows = box_rows(transfer, image);
	return neep_backing_read(transfer->memory, &rows);
}

static int object_transfer_read(struct neep_object *base, const struct neep_transfer *transfer) {
	struct neep_rutabaga_image *image = object_from_base(base)->image;
	if (!box_is_inside(&transfer->box, image)) {
		return -EINVAL;
	}
	struct neep_rows rows = box_rows(transfer, image);
	return neep_backing_write(transfer->memory, &rows);
}

static const struct neep_object_impl object_impl = {
	.destroy = object_destroy,
	.transfer_write = object_transfer_write,
	.transfer_read = object_transfer_read,
	.image = object_image,
};

/* target, bind and flags mean nothing to a plain image, except that a target of 2 (Gallium's 2D texture) is the only
 * one with one layer and rows. */
static int create_3d_check(const struct rutabaga_create_3d *create) {
	if (create->target != 2 || create->depth > 1 || create->array_size > 1 || create->last_level != 0 ||
		create->nr_samples > 1) {
		return -ENOTSUP;
	}
	if (!neep_twod_format_is_known(create->format) || create->width - 1 >= NEEP_IMAGE_SIDE_MAX ||
		create->height - 1 >= NEEP_IMAGE_SIDE_MAX) {
		return -EINVAL;
	}
	return 0;
}

static int twod_create_3d(struct neep_component *component, const struct rutabaga_create_3d *create,
	struct neep_object **base) {
	(void)component;
	int rc = create_3d_check(create);
	if (rc < 0) {
		return rc;
	}
	struct twod_object *object = calloc(1, sizeof(*object));
	if (object == NULL) {
		return -ENOMEM;
	}
	object->image = neep_twod_image_create(create->width, create->height, create->format);
	if (object->image == NULL) {
		free(object);
		return -ENOMEM;
	}
	object->base =
		(struct neep_object){ .impl = &object_impl, .size = neep_twod_image_size(object->image) };
	*base = &object->base;
	return 0;
}

static int twod_create(const struct neep_component_config *config, struct neep_component **component,
	struct neep_error *error) {
	(void)config;
	*component = calloc(1, sizeof(**component));
	if (*component == NULL) {
		return neep_error_set(error, ENOMEM, "cannot create the 2D component");
	}
	(*component)->impl = &neep_twod_impl;
	return 0;
}

static void twod_destroy(struct neep_component *component) {
	free(component);
}

const struct neep_component_impl neep_twod_impl = {
	.name = "2d",
	.is_2d = true,
	.create = twod_create,
	.destroy = twod_destroy,
	.create_3d = twod_create_3d,
};
