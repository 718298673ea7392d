/* Commands to the device, and the fences that some of them end with. */
#include <errno.h>
#include <stdlib.h>

#include "virtgpu/node_internal.h"

int neep_node_result(struct neep_virtgpu_node *node, int response) {
	if (response < 0) {
		if (response == -EPIPE && !node->is_dead) {
			node->is_dead = true;
			neep_task_queue(node->loop, &node->end);
			neep_log(TOPIC, NEEP_LOG_ERROR, "the device is gone");
		}
		return response == -ENOMEM ? -ENOMEM : -ENODEV;
	}
	switch (response) {
	case VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY:
		return -ENOMEM;
	case VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID:
	case VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER:
	case VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID:
	case VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID:
		return -EINVAL;
	default:
		return response >= VIRTIO_GPU_RESP_ERR_UNSPEC ? -EIO : 0;
	}
}

void neep_node_send(
	struct neep_virtgpu_node *node, const void *cmd, size_t cmd_len, const void *payload, size_t len) {
	struct virtio_gpu_ctrl_hdr reply = { 0 };
	struct neep_driver_request request = {
		.queue = NEEP_DRIVER_CONTROLQ,
		.cmd = cmd,
		.cmd_len = cmd_len,
		.payload = payload,
		.payload_len = len,
		.reply = &reply,
		.reply_len = sizeof(reply),
	};
	int result = neep_driver_submit(node->driver, &request, 1);
	if (result < 0) {
		neep_node_result(node, result);
		return;
	}
	neep_driver_abandon(node->driver, &request);
}

void neep_node_send_ctx_resource(
	struct neep_virtgpu_node *node, uint32_t type, uint32_t ctx_id, uint32_t resource_id) {
	struct virtio_gpu_ctx_resource cmd = {
		.hdr = { .type = type, .ctx_id = ctx_id },
		.resource_id = resource_id,
	};
	neep_node_send(node, &cmd, sizeof(cmd), NULL, 0);
}

void neep_node_send_resource(struct neep_virtgpu_node *node, uint32_t type, uint32_t resource_id) {
	/* RESOURCE_UNREF, RESOURCE_UNMAP_BLOB and RESOURCE_DETACH_BACKING have one shape. */
	struct virtio_gpu_resource_unref cmd = { .hdr.type = type, .resource_id = resource_id };
	neep_node_send(node, &cmd, sizeof(cmd), NULL, 0);
}

/* ---- with a fence ---- */

struct neep_node_job {
	struct neep_list link; // neep_virtgpu_node.submitted
	struct neep_driver_request request;
	struct virtio_gpu_ctrl_hdr reply;
	struct neep_node_fence *fence; // a reference
};

static void job_finish(struct neep_node_job *job) {
	neep_list_remove(&job->link);
	neep_node_fence_signal(job->fence);
	neep_node_fence_unref(job->fence);
	free(job);
}

static struct neep_node_job *job_create(struct neep_virtgpu_node *node) {
	struct neep_node_job *job = calloc(1, sizeof(*job));
	if (job == NULL) {
		return NULL;
	}
	job->fence = neep_node_fence_create(node);
	if (job->fence == NULL) {
		free(job);
		return NULL;
	}
	neep_list_init(&job->link);
	return job;
}

int neep_node_send_fenced(struct neep_virtgpu_node *node, const struct neep_node_command *command,
	struct neep_node_fence **fence) {
	struct neep_node_job *job = job_create(node);
	if (job == NULL) {
		return -ENOMEM;
	}
	command->hdr->flags |= VIRTIO_GPU_FLAG_FENCE;
	command->hdr->fence_id = ++node->next_fence_id;
	job->request = (struct neep_driver_request){
		.queue = NEEP_DRIVER_CONTROLQ,
		.cmd = command->hdr,
		.cmd_len = command->len,
		.payload = command->payload,
		.payload_len = command->payload_len,
		.reply = &job->reply,
		.reply_len = sizeof(job->reply),
	};
	int result = neep_driver_submit(node->driver, &job->request, 1);
	if (result < 0) {
		job_finish(job);
		return neep_node_result(node, result);
	}
	neep_list_append(&node->submitted, &job->link);
	*fence = neep_node_fence_ref(job->fence);
	return 0;
}

/* This thread alone uses the driver, so what is done was collected by one of its own calls. */
void neep_node_sweep(struct neep_virtgpu_node *node) {
	neep_list_for_each_safe (job, &node->submitted, struct neep_node_job, link) {
		if (job->request.is_done) {
			job_finish(job);
		}
	}
}

void neep_node_drop_jobs(struct neep_virtgpu_node *node) {
	neep_list_for_each_safe (job, &node->submitted, struct neep_node_job, link) {
		neep_driver_abandon(node->driver, &job->request);
		job_finish(job);
	}
}
