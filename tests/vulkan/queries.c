/* Occlusion and pipeline statistics, whose values must agree, and timestamps, which only have to grow. */
#include "scene.h"

static VkQueryPool create_pool(
	const struct vk *vk, VkQueryType type, VkQueryPipelineStatisticFlags statistics) {
	VkQueryPool pool;
	vk_ok(vkCreateQueryPool(vk->device,
		&(VkQueryPoolCreateInfo){
			.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
			.queryType = type,
			.queryCount = 4,
			.pipelineStatistics = statistics,
		},
		NULL, &pool));
	return pool;
}

/* The second draw lies behind the first, the third is outside, the fourth before it. */
static void draw_queried(
	const struct vk *vk, const struct scene *scene, VkQueryPool pool, VkQueryControlFlags flags) {
	static const float offsets[4][3] = { { 0, 0, 0.5f }, { 0, 0, 0.8f }, { 3, 3, 0.5f },
		{ 0.3f, 0.3f, 0.2f } };
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdResetQueryPool(commands, pool, 0, 4);
	vk_target_begin(&scene->target, commands, (float[]){ 0, 0, 0, 1 }, VK_SUBPASS_CONTENTS_INLINE);
	scene_bind(scene, commands);
	for (uint32_t i = 0; i < 4; i++) {
		scene_push(scene, commands, offsets[i], 1);
		vkCmdBeginQuery(commands, pool, i, flags);
		vkCmdDraw(commands, SCENE_VERTICES / 2, 1, 0, 0);
		vkCmdEndQuery(commands, pool, i);
	}
	scene_end(vk, scene, commands, "occluded");
}

static void occlusion(const struct vk *vk, const struct scene *scene, bool precise) {
	VkQueryPool pool = create_pool(vk, VK_QUERY_TYPE_OCCLUSION, 0);
	draw_queried(vk, scene, pool, precise ? VK_QUERY_CONTROL_PRECISE_BIT : 0);
	uint64_t results[4][2];
	vk_ok(vkGetQueryPoolResults(vk->device, pool, 0, 4, sizeof(results), results, sizeof(results[0]),
		VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT));
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t samples = results[i][0];
		expect(results[i][1] == 1);
		out_text("occlusion %u: %llu", i, (unsigned long long)(precise ? samples : samples != 0));
	}
	expect(results[0][0] != 0 && results[1][0] == 0 && results[2][0] == 0 && results[3][0] != 0);
	vkDestroyQueryPool(vk->device, pool, NULL);
}

/* Read by a copy on the device. */
static void statistics(const struct vk *vk, const struct scene *scene) {
	VkQueryPool pool = create_pool(vk, VK_QUERY_TYPE_PIPELINE_STATISTICS,
		VK_QUERY_PIPELINE_STATISTIC_INPUT_ASSEMBLY_VERTICES_BIT |
			VK_QUERY_PIPELINE_STATISTIC_INPUT_ASSEMBLY_PRIMITIVES_BIT |
			VK_QUERY_PIPELINE_STATISTIC_CLIPPING_INVOCATIONS_BIT);
	draw_queried(vk, scene, pool, 0);
	struct vk_buffer buffer;
	vk_buffer_create(vk, &buffer, sizeof(uint32_t[4][3]), VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdCopyQueryPoolResults(
		commands, pool, 0, 4, buffer.buffer, 0, sizeof(uint32_t[3]), VK_QUERY_RESULT_WAIT_BIT);
	vk_barrier(commands);
	vk_end(vk, commands);
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t *values = (uint32_t *)buffer.map + i * 3;
		out_text("statistics %u: %u vertices, %u primitives, %u clipped", i, values[0], values[1],
			values[2]);
		expect(values[0] == SCENE_VERTICES / 2 && values[1] == SCENE_VERTICES / 6);
	}
	vk_buffer_destroy(vk, &buffer);
	vkDestroyQueryPool(vk->device, pool, NULL);
}

static void timestamps(const struct vk *vk) {
	VkQueryPool pool = create_pool(vk, VK_QUERY_TYPE_TIMESTAMP, 0);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdResetQueryPool(commands, pool, 0, 4);
	vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, pool, 0);
	vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, 1);
	vk_end(vk, commands);
	uint64_t times[2];
	vk_ok(vkGetQueryPoolResults(vk->device, pool, 0, 2, sizeof(times), times, sizeof(times[0]),
		VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
	expect(times[0] != 0 && times[1] >= times[0]);
	uint64_t nothing;
	VkResult result = vkGetQueryPoolResults(
		vk->device, pool, 2, 1, sizeof(nothing), &nothing, sizeof(nothing), VK_QUERY_RESULT_64_BIT);
	out_text("a timestamp that nobody wrote: %s", vk_result_name(result));
	vkDestroyQueryPool(vk->device, pool, NULL);
}

/* Reset by the host, for which a feature of Vulkan 1.2 is needed. */
static void host_reset(const struct vk *vk) {
	VkQueryPool pool = create_pool(vk, VK_QUERY_TYPE_TIMESTAMP, 0);
	vkResetQueryPool(vk->device, pool, 0, 4);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, 3);
	vk_end(vk, commands);
	uint64_t time[2];
	const VkQueryResultFlags flags = VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT;
	vk_ok(vkGetQueryPoolResults(vk->device, pool, 3, 1, sizeof(time), time, sizeof(time), flags));
	expect(time[1] != 0);
	vkResetQueryPool(vk->device, pool, 3, 1);
	VkResult result =
		vkGetQueryPoolResults(vk->device, pool, 3, 1, sizeof(time), time, sizeof(time), flags);
	expect(result == VK_NOT_READY && time[1] == 0);
	vkDestroyQueryPool(vk->device, pool, NULL);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	VkPhysicalDeviceFeatures offered;
	vkGetPhysicalDeviceFeatures(vk.physical, &offered);
	VkPhysicalDeviceHostQueryResetFeatures reset = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_HOST_QUERY_RESET_FEATURES,
		.hostQueryReset = VK_TRUE,
	};
	vk_open_device(&vk,
		&(struct vk_wants){
			.features =
				&(VkPhysicalDeviceFeatures2){
					.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
					.pNext = &reset,
					.features.occlusionQueryPrecise = offered.occlusionQueryPrecise,
					.features.pipelineStatisticsQuery = offered.pipelineStatisticsQuery,
				},
		});
	struct scene scene;
	scene_create(&vk, &scene, true);
	occlusion(&vk, &scene, offered.occlusionQueryPrecise);
	if (offered.pipelineStatisticsQuery) {
		statistics(&vk, &scene);
	} else {
		out_skip("statistics", "pipelineStatisticsQuery is not offered");
	}
	timestamps(&vk);
	host_reset(&vk);
	scene_destroy(&vk, &scene);
	vk_close(&vk);
}
