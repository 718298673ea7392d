#include "wayland/format.h"

#include "wayland/wayland-protocol.h"
#include <drm_fourcc.h>

#include "util/checked.h"
#include "util/macros.h"

/* The pixels of the first plane: `size` bytes hold `count` of them. Further planes hold `chroma` bytes for each block of
 * `across` by `down` samples of the first, and follow it at once: wl_shm has but one offset. */
struct format {
	uint32_t code;
	uint8_t size, count;
	uint8_t chroma, across, down;
};

#define PACKED(code, size) \
	{ code, size, 1, 0, 1, 1 }
#define PAIRED(code) \
	{ code, 4, 2, 0, 1, 1 }
#define PLANAR(code, size, chroma, across, down) \
	{ code, size, 1, chroma, across, down }

static const struct format formats[] = {
	PACKED(WL_SHM_FORMAT_ARGB8888, 4),
	PACKED(WL_SHM_FORMAT_XRGB8888, 4),
	// 8 bits
	PACKED(DRM_FORMAT_C8, 1),
	PACKED(DRM_FORMAT_R8, 1),
	PACKED(DRM_FORMAT_RGB332, 1),
	PACKED(DRM_FORMAT_BGR233, 1),
	// 16 bits
	PACKED(DRM_FORMAT_R16, 2),
	PACKED(DRM_FORMAT_RG88, 2),
	PACKED(DRM_FORMAT_GR88, 2),
	PACKED(DRM_FORMAT_XRGB4444, 2),
	PACKED(DRM_FORMAT_XBGR4444, 2),
	PACKED(DRM_FORMAT_RGBX4444, 2),
	PACKED(DRM_FORMAT_BGRX4444, 2),
	PACKED(DRM_FORMAT_ARGB4444, 2),
	PACKED(DRM_FORMAT_ABGR4444, 2),
	PACKED(DRM_FORMAT_RGBA4444, 2),
	PACKED(DRM_FORMAT_BGRA4444, 2),
	PACKED(DRM_FORMAT_XRGB1555, 2),
	PACKED(DRM_FORMAT_XBGR1555, 2),
	PACKED(DRM_FORMAT_RGBX5551, 2),
	PACKED(DRM_FORMAT_BGRX5551, 2),
	PACKED(DRM_FORMAT_ARGB1555, 2),
	PACKED(DRM_FORMAT_ABGR1555, 2),
	PACKED(DRM_FORMAT_RGBA5551, 2),
	PACKED(DRM_FORMAT_BGRA5551, 2),
	PACKED(DRM_FORMAT_RGB565, 2),
	PACKED(DRM_FORMAT_BGR565, 2),
	// 24 bits
	PACKED(DRM_FORMAT_RGB888, 3),
	PACKED(DRM_FORMAT_BGR888, 3),
	PACKED(DRM_FORMAT_VUY888, 3),
	// 32 bits
	PACKED(DRM_FORMAT_RG1616, 4),
	PACKED(DRM_FORMAT_GR1616, 4),
	PACKED(DRM_FORMAT_XBGR8888, 4),
	PACKED(DRM_FORMAT_RGBX8888, 4),
	PACKED(DRM_FORMAT_BGRX8888, 4),
	PACKED(DRM_FORMAT_ABGR8888, 4),
	PACKED(DRM_FORMAT_RGBA8888, 4),
	PACKED(DRM_FORMAT_BGRA8888, 4),
	PACKED(DRM_FORMAT_XRGB2101010, 4),
	PACKED(DRM_FORMAT_XBGR2101010, 4),
	PACKED(DRM_FORMAT_RGBX1010102, 4),
	PACKED(DRM_FORMAT_BGRX1010102, 4),
	PACKED(DRM_FORMAT_ARGB2101010, 4),
	PACKED(DRM_FORMAT_ABGR2101010, 4),
	PACKED(DRM_FORMAT_RGBA1010102, 4),
	PACKED(DRM_FORMAT_BGRA1010102, 4),
	PACKED(DRM_FORMAT_AYUV, 4),
	PACKED(DRM_FORMAT_XYUV8888, 4),
	PACKED(DRM_FORMAT_Y410, 4),
	PACKED(DRM_FORMAT_XVYU2101010, 4),
	// 64 bits
	PACKED(DRM_FORMAT_XRGB16161616, 8),
	PACKED(DRM_FORMAT_XBGR16161616, 8),
	PACKED(DRM_FORMAT_ARGB16161616, 8),
	PACKED(DRM_FORMAT_ABGR16161616, 8),
	PACKED(DRM_FORMAT_XRGB16161616F, 8),
	PACKED(DRM_FORMAT_XBGR16161616F, 8),
	PACKED(DRM_FORMAT_ARGB16161616F, 8),
	PACKED(DRM_FORMAT_ABGR16161616F, 8),
	PACKED(DRM_FORMAT_AXBXGXRX106106106106, 8),
	PACKED(DRM_FORMAT_Y412, 8),
	PACKED(DRM_FORMAT_Y416, 8),
	// two pixels share their colour
	PAIRED(DRM_FORMAT_YUYV),
	PAIRED(DRM_FORMAT_YVYU),
	PAIRED(DRM_FORMAT_UYVY),
	PAIRED(DRM_FORMAT_VYUY),
	// a plane of brightness, and one or two of colour
	PLANAR(DRM_FORMAT_NV12, 1, 2, 2, 2),
	PLANAR(DRM_FORMAT_NV21, 1, 2, 2, 2),
	PLANAR(DRM_FORMAT_NV16, 1, 2, 2, 1),
	PLANAR(DRM_FORMAT_NV61, 1, 2, 2, 1),
	PLANAR(DRM_FORMAT_NV24, 1, 2, 1, 1),
	PLANAR(DRM_FORMAT_NV42, 1, 2, 1, 1),
	PLANAR(DRM_FORMAT_P010, 2, 4, 2, 2),
	PLANAR(DRM_FORMAT_P012, 2, 4, 2, 2),
	PLANAR(DRM_FORMAT_P016, 2, 4, 2, 2),
	PLANAR(DRM_FORMAT_P210, 2, 4, 2, 1),
	PLANAR(DRM_FORMAT_YUV410, 1, 2, 4, 4),
	PLANAR(DRM_FORMAT_YVU410, 1, 2, 4, 4),
	PLANAR(DRM_FORMAT_YUV411, 1, 2, 4, 1),
	PLANAR(DRM_FORMAT_YVU411, 1, 2, 4, 1),
	PLANAR(DRM_FORMAT_YUV420, 1, 2, 2, 2),
	PLANAR(DRM_FORMAT_YVU420, 1, 2, 2, 2),
	PLANAR(DRM_FORMAT_YUV422, 1, 2, 2, 1),
	PLANAR(DRM_FORMAT_YVU422, 1, 2, 2, 1),
	PLANAR(DRM_FORMAT_YUV444, 1, 2, 1, 1),
	PLANAR(DRM_FORMAT_YVU444, 1, 2, 1, 1),
};

static const struct format *find(uint32_t code) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(formats); i++) {
		if (formats[i].code == code) {
			return &formats[i];
		}
	}
	return NULL;
}

bool neep_wl_format_is_known(uint32_t format) {
	return find(format) != NULL;
}

bool neep_wl_format_is_packed(uint32_t format) {
	const struct format *found = find(format);
	return found != NULL && found->chroma == 0;
}

uint32_t neep_wl_format_to_drm(uint32_t format) {
	switch (format) {
	case WL_SHM_FORMAT_ARGB8888:
		return DRM_FORMAT_ARGB8888;
	case WL_SHM_FORMAT_XRGB8888:
		return DRM_FORMAT_XRGB8888;
	default:
		return format;
	}
}

uint32_t neep_wl_format_from_drm(uint32_t format) {
	switch (format) {
	case DRM_FORMAT_ARGB8888:
		return WL_SHM_FORMAT_ARGB8888;
	case DRM_FORMAT_XRGB8888:
		return WL_SHM_FORMAT_XRGB8888;
	default:
		return format;
	}
}

static size_t divide_up(size_t value, size_t by) {
	return (value + by - 1) / by;
}

/* Bytes of the planes behind the first, as compositors lay them out: their rows are as long as the stride says in samples. */
static size_t chroma_size(const struct format *format, size_t stride, size_t height) {
	size_t samples = stride / format->size;
	return format->chroma * divide_up(samples, format->across) * divide_up(height, format->down);
}

bool neep_wl_layout_init(struct neep_wl_layout *layout, const struct neep_wl_image *image) {
	const struct format *format = find(image->format);
	if (format == NULL || image->width <= 0 || image->height <= 0 || image->stride <= 0) {
		return false;
	}
	size_t row_size = divide_up((size_t)image->width, format->count) * format->size;
	int32_t size;
	if (row_size > (size_t)image->stride || !neep_mul(image->stride, image->height, &size)) {
		return false;
	}
	size_t chroma = chroma_size(format, (size_t)image->stride, (size_t)image->height);
	if (!neep_add(size, chroma, &size)) {
		return false;
	}
	*layout = (struct neep_wl_layout){
		.pixel_size = format->size,
		.row_size = row_size,
		.size = (size_t)size,
		.is_indivisible = format->chroma != 0 || format->count != 1,
	};
	return true;
}
