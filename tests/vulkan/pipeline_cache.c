/* A pipeline cache: saved, loaded again, merged, and the header that says whose it is. Its size is the driver's affair. */
#include <string.h>

#include "scene.h"

static VkPipelineCache create_cache(const struct vk *vk, const void *data, size_t size) {
	VkPipelineCache cache;
	vk_ok(vkCreatePipelineCache(vk->device,
		&(VkPipelineCacheCreateInfo){
			.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
			.initialDataSize = size,
			.pInitialData = data,
		},
		NULL, &cache));
	return cache;
}

static void *save(const struct vk *vk, VkPipelineCache cache, size_t *size) {
	vk_ok(vkGetPipelineCacheData(vk->device, cache, size, NULL));
	void *data = out_alloc(*size, 1);
	vk_ok(vkGetPipelineCacheData(vk->device, cache, size, data));
	return data;
}

static void check_header(const struct vk *vk, const void *data, size_t size) {
	VkPipelineCacheHeaderVersionOne header;
	expect(size >= sizeof(header));
	memcpy(&header, data, sizeof(header));
	expect(header.headerSize >= sizeof(header) &&
		header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE);
	expect(header.vendorID == vk->properties.vendorID && header.deviceID == vk->properties.deviceID);
	expect(memcmp(header.pipelineCacheUUID, vk->properties.pipelineCacheUUID, VK_UUID_SIZE) == 0);
}

static void draw_with(const struct vk *vk, struct scene *scene, VkPipelineCache cache, const char *name) {
	struct vk_pipeline_info info = scene_pipeline_info(scene, false);
	info.cache = cache;
	VkPipeline first = scene->pipeline;
	scene->pipeline = vk_graphics_pipeline(vk, &info);
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdDraw(commands, SCENE_VERTICES, 1, 0, 0);
	scene_end(vk, scene, commands, name);
	vkDestroyPipeline(vk->device, scene->pipeline, NULL);
	scene->pipeline = first;
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct scene scene;
	scene_create(&vk, &scene, false);
	VkPipelineCache empty = create_cache(&vk, NULL, 0);
	draw_with(&vk, &scene, empty, "empty");
	size_t size = 0;
	void *data = save(&vk, empty, &size);
	check_header(&vk, data, size);
	VkPipelineCache loaded = create_cache(&vk, data, size);
	draw_with(&vk, &scene, loaded, "loaded");
	VkPipelineCache merged = create_cache(&vk, NULL, 0);
	vk_ok(vkMergePipelineCaches(vk.device, merged, 2, (VkPipelineCache[]){ empty, loaded }));
	draw_with(&vk, &scene, merged, "merged");
	size_t cut = 16;
	char part[16];
	VkResult result = vkGetPipelineCacheData(vk.device, merged, &cut, part);
	out_text("16 bytes of the cache: %s, %zu written", vk_result_name(result), cut);
	free(data);
	vkDestroyPipelineCache(vk.device, empty, NULL);
	vkDestroyPipelineCache(vk.device, loaded, NULL);
	vkDestroyPipelineCache(vk.device, merged, NULL);
	scene_destroy(&vk, &scene);
	vk_close(&vk);
}
