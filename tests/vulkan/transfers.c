/* Blits, resolves, mip chains, clears and copies between images. */
#include "scene.h"

#define SIZE   SCENE_SIZE
#define LEVELS 8

#define SRC VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL
#define DST VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL

static const VkImageSubresourceLayers base = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 };

static struct vk_image create_image(const struct vk *vk, uint32_t levels) {
	struct vk_image image = {
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.width = SIZE,
		.height = SIZE,
		.levels = levels,
		.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
	};
	vk_image_create(vk, &image);
	return image;
}

static void fill(const struct vk *vk, const struct vk_image *image) {
	static uint8_t pixels[SIZE * SIZE * 4];
	for (uint32_t i = 0; i < SIZE * SIZE; i++) {
		uint32_t x = i % SIZE, y = i / SIZE;
		pixels[i * 4] = (uint8_t)(x * 2);
		pixels[i * 4 + 1] = (uint8_t)(y * 2);
		pixels[i * 4 + 2] = (x / 8 + y / 8) % 2 != 0 ? 255 : 0;
		pixels[i * 4 + 3] = 255;
	}
	vk_fill_image(vk, image, pixels, SRC);
}

/* Smaller, larger, mirrored, with both filters, into one picture. */
static void blits(const struct vk *vk) {
	struct vk_image from = create_image(vk, 1), to = create_image(vk, 1);
	fill(vk, &from);
	const VkImageBlit regions[] = {
		{ base, { { 0, 0, 0 }, { SIZE, SIZE, 1 } }, base, { { 0, 0, 0 }, { 64, 64, 1 } } },
		{ base, { { 8, 8, 0 }, { 24, 24, 1 } }, base, { { 64, 0, 0 }, { 128, 64, 1 } } },
		{ base, { { 0, 0, 0 }, { SIZE, SIZE, 1 } }, base, { { 64, 128, 0 }, { 0, 64, 1 } } },
	};
	VkCommandBuffer commands = vk_begin(vk);
	vk_image_barrier(commands, &to, VK_IMAGE_LAYOUT_UNDEFINED, DST);
	vkCmdClearColorImage(commands, to.image, DST, &(VkClearColorValue){ { 0.2f, 0.4f, 0.6f, 1 } }, 1,
		&(VkImageSubresourceRange){ VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 });
	vk_image_barrier(commands, &to, DST, DST);
	vkCmdBlitImage(commands, from.image, SRC, to.image, DST, 2, regions, VK_FILTER_LINEAR);
	vkCmdBlitImage(commands, from.image, SRC, to.image, DST, 1, regions + 2, VK_FILTER_NEAREST);
	vk_image_barrier(commands, &to, DST, DST);
	vkCmdCopyImage(commands, from.image, SRC, to.image, DST, 1,
		&(VkImageCopy){ base, { 32, 32, 0 }, base, { 80, 80, 0 }, { 40, 40, 1 } });
	vk_image_barrier(commands, &to, DST, SRC);
	vk_end(vk, commands);
	vk_save_image(vk, &to, "blits");
	vk_image_destroy(vk, &from);
	vk_image_destroy(vk, &to);
}

static void mip_chain(const struct vk *vk) {
	struct vk_image image = create_image(vk, LEVELS);
	fill(vk, &image);
	VkCommandBuffer commands = vk_begin(vk);
	for (uint32_t level = 1; level < LEVELS; level++) {
		int32_t from = SIZE >> (level - 1), to = SIZE >> level;
		VkImageBlit blit = { base, { { 0, 0, 0 }, { from, from, 1 } }, base,
			{ { 0, 0, 0 }, { to, to, 1 } } };
		blit.srcSubresource.mipLevel = level - 1;
		blit.dstSubresource.mipLevel = level;
		vk_level_barrier(commands, &image, level, VK_IMAGE_LAYOUT_UNDEFINED, DST);
		vkCmdBlitImage(commands, image.image, SRC, image.image, DST, 1, &blit, VK_FILTER_LINEAR);
		vk_level_barrier(commands, &image, level, DST, SRC);
	}
	vk_end(vk, commands);
	for (uint32_t level = 1; level < LEVELS; level++) {
		uint8_t *pixels = vk_read_level(vk, &image, level);
		char name[16];
		snprintf(name, sizeof(name), "mip-%u", level);
		out_picture(name, pixels, SIZE >> level, SIZE >> level);
		free(pixels);
	}
	vk_image_destroy(vk, &image);
}

/* A picture with four samples, cleared in parts by the pass, resolved by command. */
static void resolve(const struct vk *vk) {
	struct vk_image many = {
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.width = SIZE,
		.height = SIZE,
		.samples = VK_SAMPLE_COUNT_4_BIT,
		.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT |
			 VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT,
	};
	vk_image_create(vk, &many);
	struct vk_image one = create_image(vk, 1);
	VkCommandBuffer commands = vk_begin(vk);
	vk_image_barrier(commands, &many, VK_IMAGE_LAYOUT_UNDEFINED, DST);
	vk_image_barrier(commands, &one, VK_IMAGE_LAYOUT_UNDEFINED, DST);
	const VkImageSubresourceRange all = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 };
	vkCmdClearColorImage(
		commands, many.image, DST, &(VkClearColorValue){ { 0.9f, 0.5f, 0.1f, 1 } }, 1, &all);
	vkCmdClearColorImage(commands, one.image, DST, &(VkClearColorValue){ { 0, 0, 0, 1 } }, 1, &all);
	vk_image_barrier(commands, &many, DST, SRC);
	vk_image_barrier(commands, &one, DST, DST);
	vkCmdResolveImage(commands, many.image, SRC, one.image, DST, 1,
		&(VkImageResolve){ base, { 0, 0, 0 }, base, { 16, 32, 0 }, { 96, 64, 1 } });
	vk_image_barrier(commands, &one, DST, SRC);
	vk_end(vk, commands);
	vk_save_image(vk, &one, "resolved");
	vk_image_destroy(vk, &many);
	vk_image_destroy(vk, &one);
}

static void clear_inside_a_pass(const struct vk *vk) {
	struct scene scene;
	scene_create(vk, &scene, false);
	VkCommandBuffer commands = scene_begin(vk, &scene);
	vkCmdDraw(commands, SCENE_VERTICES, 1, 0, 0);
	const VkClearAttachment clear = { VK_IMAGE_ASPECT_COLOR_BIT, 0, { .color = { { 1, 0, 1, 1 } } } };
	const VkClearRect rects[] = { { { { 10, 20 }, { 30, 40 } }, 0, 1 },
		{ { { 70, 60 }, { 50, 9 } }, 0, 1 } };
	vkCmdClearAttachments(commands, 1, &clear, VK_COUNT(rects), rects);
	scene_end(vk, &scene, commands, "cleared");
	scene_destroy(vk, &scene);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	blits(&vk);
	mip_chain(&vk);
	resolve(&vk);
	clear_inside_a_pass(&vk);
	vk_close(&vk);
}
