/*
 * A picture and a buffer shared by two processes as dma-bufs: what one draws the other reads, and the other way round. The
 * picture has the LINEAR modifier, so its bytes can be looked at in a mapping as well.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vk.h"

#define WIDTH  200 /* of pixels; no power of two, so that rows may be padded */
#define HEIGHT 120
#define BYTES  (1u << 20) /* of the buffer */

#define FORMAT  VK_FORMAT_R8G8B8A8_UNORM
#define DMA_BUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT
#define LINEAR  0

static const char *const extensions[] = {
	"VK_KHR_external_memory_fd",
	"VK_EXT_external_memory_dma_buf",
	"VK_EXT_image_drm_format_modifier",
};

/* What goes over the socket with each dma-buf. */
struct message {
	VkDeviceSize size;
	VkSubresourceLayout layout; // of a picture
};

struct peer {
	struct vk vk;
	int socket;
	struct vk_image image;
	struct vk_buffer buffer;
	PFN_vkGetMemoryFdKHR get_fd;
	PFN_vkGetMemoryFdPropertiesKHR get_fd_properties;
};

static void send_fd(int socket, const struct message *message, int fd) {
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	struct iovec data = { (void *)message, sizeof(*message) };
	const struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	expect(sendmsg(socket, &header, 0) == sizeof(*message));
}

static int receive_fd(int socket, struct message *message) {
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { message, sizeof(*message) };
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	expect(recvmsg(socket, &header, MSG_CMSG_CLOEXEC) == sizeof(*message));
	int fd;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* The peers take turns: whoever has written tells the other. */
static void pass_turn(int socket) {
	expect(write(socket, "x", 1) == 1);
}

static void await_turn(int socket) {
	char turn;
	expect(read(socket, &turn, 1) == 1);
}

static void open_peer(struct peer *peer, int socket) {
	struct vk *vk = &peer->vk;
	*peer = (struct peer){ .socket = socket };
	vk_open_instance(vk);
	vk_open_device(
		vk, &(struct vk_wants){ .extensions = extensions, .extension_count = VK_COUNT(extensions) });
	peer->get_fd = (PFN_vkGetMemoryFdKHR)vkGetDeviceProcAddr(vk->device, "vkGetMemoryFdKHR");
	peer->get_fd_properties =
		(PFN_vkGetMemoryFdPropertiesKHR)vkGetDeviceProcAddr(vk->device, "vkGetMemoryFdPropertiesKHR");
	expect(peer->get_fd != NULL && peer->get_fd_properties != NULL);
}

/* `modifier` is the list to choose from or the explicit layout. */
static void create_image(struct peer *peer, const void *modifier) {
	peer->image = (struct vk_image){
		.format = FORMAT,
		.aspect = VK_IMAGE_ASPECT_COLOR_BIT,
		.width = WIDTH,
		.height = HEIGHT,
		.levels = 1,
		.layers = 1,
	};
	vk_ok(vkCreateImage(peer->vk.device,
		&(VkImageCreateInfo){
			.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
			.pNext =
				&(VkExternalMemoryImageCreateInfo){
					.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO,
					.pNext = modifier,
					.handleTypes = DMA_BUF,
				},
			.imageType = VK_IMAGE_TYPE_2D,
			.format = FORMAT,
			.extent = { WIDTH, HEIGHT, 1 },
			.mipLevels = 1,
			.arrayLayers = 1,
			.samples = VK_SAMPLE_COUNT_1_BIT,
			.tiling = VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT,
			.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
		},
		NULL, &peer->image.image));
}

static void create_buffer(struct peer *peer) {
	peer->buffer.size = BYTES;
	vk_ok(vkCreateBuffer(peer->vk.device,
		&(VkBufferCreateInfo){
			.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
			.pNext =
				&(VkExternalMemoryBufferCreateInfo){
					.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
					.handleTypes = DMA_BUF,
				},
			.size = BYTES,
			.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
		},
		NULL, &peer->buffer.buffer));
}

/* Memory for the image, or for the buffer where `image` is NULL; `how` says whether it is exported or imported. */
static VkDeviceMemory allocate(
	const struct peer *peer, VkImage image, const VkMemoryRequirements *needs, const void *how) {
	uint32_t type = vk_find_memory(&peer->vk, needs->memoryTypeBits, 0);
	expect(type != UINT32_MAX);
	VkDeviceMemory memory;
	vk_ok(vkAllocateMemory(peer->vk.device,
		&(VkMemoryAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
			.pNext =
				&(VkMemoryDedicatedAllocateInfo){
					.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
					.pNext = how,
					.image = image,
					.buffer = image == VK_NULL_HANDLE ? peer->buffer.buffer
									  : VK_NULL_HANDLE,
				},
			.allocationSize = needs->size,
			.memoryTypeIndex = type,
		},
		NULL, &memory));
	return memory;
}

static void back(
	struct peer *peer, VkMemoryRequirements needs[2], const void *image_how, const void *buffer_how) {
	peer->image.memory = allocate(peer, peer->image.image, &needs[0], image_how);
	vk_ok(vkBindImageMemory(peer->vk.device, peer->image.image, peer->image.memory, 0));
	peer->buffer.memory = allocate(peer, VK_NULL_HANDLE, &needs[1], buffer_how);
	vk_ok(vkBindBufferMemory(peer->vk.device, peer->buffer.buffer, peer->buffer.memory, 0));
}

static void requirements(const struct peer *peer, VkMemoryRequirements needs[2]) {
	vkGetImageMemoryRequirements(peer->vk.device, peer->image.image, &needs[0]);
	vkGetBufferMemoryRequirements(peer->vk.device, peer->buffer.buffer, &needs[1]);
}

static int export_fd(const struct peer *peer, VkDeviceMemory memory) {
	int fd = -1;
	vk_ok(peer->get_fd(peer->vk.device,
		&(VkMemoryGetFdInfoKHR){
			.sType = VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR,
			.memory = memory,
			.handleType = DMA_BUF,
		},
		&fd));
	expect(fd >= 0);
	return fd;
}

static VkImportMemoryFdInfoKHR import(const struct peer *peer, int fd, VkMemoryRequirements *needs) {
	VkMemoryFdPropertiesKHR properties = { .sType = VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR };
	vk_ok(peer->get_fd_properties(peer->vk.device, DMA_BUF, fd, &properties));
	needs->memoryTypeBits &= properties.memoryTypeBits;
	return (VkImportMemoryFdInfoKHR){
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR,
		.handleType = DMA_BUF,
		.fd = fd,
	};
}

/* Takes the image from the other device, or gives it back. */
static void transfer(const struct peer *peer, VkCommandBuffer commands, bool take, VkImageLayout layout) {
	uint32_t own = peer->vk.queue_family;
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		0, 0, NULL, 0, NULL, 1,
		&(VkImageMemoryBarrier){
			.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
			.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
			.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
			.oldLayout = take ? VK_IMAGE_LAYOUT_GENERAL : layout,
			.newLayout = take ? layout : VK_IMAGE_LAYOUT_GENERAL,
			.srcQueueFamilyIndex = take ? VK_QUEUE_FAMILY_EXTERNAL : own,
			.dstQueueFamilyIndex = take ? own : VK_QUEUE_FAMILY_EXTERNAL,
			.image = peer->image.image,
			.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 },
		});
}

static void pattern(uint8_t *pixels, uint32_t seed) {
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		uint32_t x = i % WIDTH, y = i / WIDTH;
		pixels[i * 4] = (uint8_t)(x + seed);
		pixels[i * 4 + 1] = (uint8_t)(y * 2 + seed);
		pixels[i * 4 + 2] = (uint8_t)(x ^ y);
		pixels[i * 4 + 3] = 255;
	}
}

static void write_both(const struct peer *peer, uint32_t seed) {
	uint8_t pixels[WIDTH * HEIGHT * 4];
	pattern(pixels, seed);
	vk_fill_image(&peer->vk, &peer->image, pixels, VK_IMAGE_LAYOUT_GENERAL);
	VkCommandBuffer commands = vk_begin(&peer->vk);
	transfer(peer, commands, false, VK_IMAGE_LAYOUT_GENERAL);
	vkCmdFillBuffer(commands, peer->buffer.buffer, 0, VK_WHOLE_SIZE, seed * 0x01020304);
	vk_barrier(commands);
	vk_end(&peer->vk, commands);
}

static void expect_both(const struct peer *peer, uint32_t seed, const char *name) {
	struct vk_buffer copy;
	vk_buffer_create(&peer->vk, &copy, BYTES, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer commands = vk_begin(&peer->vk);
	transfer(peer, commands, true, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
	vkCmdCopyBuffer(commands, peer->buffer.buffer, copy.buffer, 1, &(VkBufferCopy){ .size = BYTES });
	vk_barrier(commands);
	vk_end(&peer->vk, commands);
	uint8_t *pixels = vk_read_image(&peer->vk, &peer->image), expected[WIDTH * HEIGHT * 4];
	pattern(expected, seed);
	out_picture(name, pixels, WIDTH, HEIGHT);
	expect(memcmp(pixels, expected, sizeof(expected)) == 0);
	for (uint32_t i = 0; i < BYTES / 4; i++) {
		expect(((uint32_t *)copy.map)[i] == seed * 0x01020304);
	}
	free(pixels);
	vk_buffer_destroy(&peer->vk, &copy);
}

/* The picture as somebody without a GPU sees it. */
static void expect_mapped(int fd, const VkSubresourceLayout *layout, uint32_t seed) {
	uint8_t expected[WIDTH * HEIGHT * 4];
	pattern(expected, seed);
	off_t size = lseek(fd, 0, SEEK_END);
	expect(size >= 0 &&
		(VkDeviceSize)size >= layout->offset + layout->rowPitch * (HEIGHT - 1) + WIDTH * 4);
	uint8_t *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	expect(bytes != MAP_FAILED);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		const uint8_t *row = bytes + layout->offset + y * layout->rowPitch;
		expect(memcmp(row, expected + (size_t)y * WIDTH * 4, WIDTH * 4) == 0);
	}
	munmap(bytes, (size_t)size);
}

static void close_peer(struct peer *peer) {
	vk_image_destroy(&peer->vk, &peer->image);
	vk_buffer_destroy(&peer->vk, &peer->buffer);
	vk_close(&peer->vk);
	close(peer->socket);
}

static void export_both(int socket) {
	const VkExportMemoryAllocateInfo how = {
		.sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO,
		.handleTypes = DMA_BUF,
	};
	struct peer peer;
	open_peer(&peer, socket);
	create_image(&peer, &(VkImageDrmFormatModifierListCreateInfoEXT){
				    .sType = VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_LIST_CREATE_INFO_EXT,
				    .drmFormatModifierCount = 1,
				    .pDrmFormatModifiers = &(uint64_t){ LINEAR },
			    });
	create_buffer(&peer);
	VkMemoryRequirements needs[2];
	requirements(&peer, needs);
	back(&peer, needs, &how, &how);
	struct message message = { .size = needs[0].size };
	vkGetImageSubresourceLayout(peer.vk.device, peer.image.image,
		&(VkImageSubresource){ VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT, 0, 0 }, &message.layout);
	int image_fd = export_fd(&peer, peer.image.memory), buffer_fd = export_fd(&peer, peer.buffer.memory);
	send_fd(socket, &message, image_fd);
	send_fd(socket, &(struct message){ .size = needs[1].size }, buffer_fd);
	write_both(&peer, 3);
	expect_mapped(image_fd, &message.layout, 3);
	pass_turn(socket);
	await_turn(socket);
	expect_both(&peer, 11, "exporter");
	close(image_fd);
	close(buffer_fd);
	close_peer(&peer);
}

static void import_both(int socket) {
	struct peer peer;
	open_peer(&peer, socket);
	struct message image, buffer;
	int image_fd = receive_fd(socket, &image), buffer_fd = receive_fd(socket, &buffer);
	image.layout.size = 0; // as the explicit layout must have it
	create_image(
		&peer, &(VkImageDrmFormatModifierExplicitCreateInfoEXT){
			       .sType = VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_EXPLICIT_CREATE_INFO_EXT,
			       .drmFormatModifier = LINEAR,
			       .drmFormatModifierPlaneCount = 1,
			       .pPlaneLayouts = &image.layout,
		       });
	create_buffer(&peer);
	VkMemoryRequirements needs[2];
	requirements(&peer, needs);
	const VkImportMemoryFdInfoKHR image_how = import(&peer, image_fd, &needs[0]);
	const VkImportMemoryFdInfoKHR buffer_how = import(&peer, buffer_fd, &needs[1]);
	needs[0].size = image.size;
	needs[1].size = buffer.size;
	back(&peer, needs, &image_how, &buffer_how);
	await_turn(socket);
	expect_both(&peer, 3, "importer");
	write_both(&peer, 11);
	pass_turn(socket);
	close_peer(&peer);
}

/* Asked in a process of its own: a driver's threads would not survive the fork. */
static bool is_offered(void) {
	pid_t child = fork();
	if (child == 0) {
		struct vk vk;
		vk_open_instance(&vk);
		bool offered = true;
		for (uint32_t i = 0; i < VK_COUNT(extensions); i++) {
			offered = offered && vk_has_extension(&vk, extensions[i]);
		}
		vkDestroyInstance(vk.instance, NULL);
		_exit(offered ? 0 : 1);
	}
	int status;
	expect(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	if (!is_offered()) {
		out_skip_all("dma-bufs with modifiers are not offered");
	}
	int sockets[2];
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	pid_t child = fork();
	expect(child >= 0);
	if (child == 0) {
		close(sockets[0]);
		import_both(sockets[1]);
		return 0;
	}
	close(sockets[1]);
	export_both(sockets[0]);
	int status;
	expect(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
