/* The vhost-user wire format: what both ends of the main socket and of the back-end channel agree on.
 * QEMU docs/interop/vhost-user, "Message Specification". Native endian, which is little-endian here.
 *
 * A message is a header, then header.size bytes of payload; fds ride on the first byte of the header. */
#ifndef NEEP_VHOST_USER_PROTOCOL_H
#define NEEP_VHOST_USER_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define NEEP_VHOST_USER_PACKED __attribute__((packed))

/* header.flags. A reply is exactly VERSION | REPLY: front-ends compare the whole word. */
#define NEEP_VHOST_USER_VERSION      0x1u
#define NEEP_VHOST_USER_VERSION_MASK 0x3u
#define NEEP_VHOST_USER_REPLY        0x4u
#define NEEP_VHOST_USER_NEED_REPLY   0x8u
#define NEEP_VHOST_USER_FLAGS_MASK   0xfu

struct NEEP_VHOST_USER_PACKED neep_vhost_user_header {
	uint32_t request; // enum neep_vhost_user_request, or ..._backend_request on the back-end channel
	uint32_t flags;
	uint32_t size; // bytes of payload
};
static_assert(sizeof(struct neep_vhost_user_header) == 12, "wire format");

/* Feature bits of GET_FEATURES that belong to vhost-user and not to virtio. */
#define NEEP_VHOST_USER_F_LOG_ALL           26
#define NEEP_VHOST_USER_F_PROTOCOL_FEATURES 30

/* "Protocol features": bit numbers. */
enum neep_vhost_user_protocol_feature {
	NEEP_VHOST_USER_PROTOCOL_F_MQ = 0,
	NEEP_VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	NEEP_VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	NEEP_VHOST_USER_PROTOCOL_F_CONFIG = 9,
	NEEP_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	NEEP_VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	NEEP_VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	NEEP_VHOST_USER_PROTOCOL_F_STATUS = 16,
	NEEP_VHOST_USER_PROTOCOL_F_SHARED_OBJECT = 18,
	NEEP_VHOST_USER_PROTOCOL_F_SHMEM = 22,
};

/* "Front-end message types". */
enum neep_vhost_user_request {
	NEEP_VHOST_USER_GET_FEATURES = 1,
	NEEP_VHOST_USER_SET_FEATURES = 2,
	NEEP_VHOST_USER_SET_OWNER = 3,
	NEEP_VHOST_USER_RESET_OWNER = 4,
	NEEP_VHOST_USER_SET_MEM_TABLE = 5,
	NEEP_VHOST_USER_SET_LOG_BASE = 6,
	NEEP_VHOST_USER_SET_LOG_FD = 7,
	NEEP_VHOST_USER_SET_VRING_NUM = 8,
	NEEP_VHOST_USER_SET_VRING_ADDR = 9,
	NEEP_VHOST_USER_SET_VRING_BASE = 10,
	NEEP_VHOST_USER_GET_VRING_BASE = 11,
	NEEP_VHOST_USER_SET_VRING_KICK = 12,
	NEEP_VHOST_USER_SET_VRING_CALL = 13,
	NEEP_VHOST_USER_SET_VRING_ERR = 14,
	NEEP_VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	NEEP_VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	NEEP_VHOST_USER_GET_QUEUE_NUM = 17,
	NEEP_VHOST_USER_SET_VRING_ENABLE = 18,
	NEEP_VHOST_USER_SET_BACKEND_REQ_FD = 21,
	NEEP_VHOST_USER_IOTLB_MSG = 22,
	NEEP_VHOST_USER_GET_CONFIG = 24,
	NEEP_VHOST_USER_SET_CONFIG = 25,
	NEEP_VHOST_USER_GET_INFLIGHT_FD = 31,
	NEEP_VHOST_USER_SET_INFLIGHT_FD = 32,
	NEEP_VHOST_USER_GPU_SET_SOCKET = 33,
	NEEP_VHOST_USER_RESET_DEVICE = 34,
	NEEP_VHOST_USER_VRING_KICK = 35,
	NEEP_VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	NEEP_VHOST_USER_ADD_MEM_REG = 37,
	NEEP_VHOST_USER_REM_MEM_REG = 38,
	NEEP_VHOST_USER_SET_STATUS = 39,
	NEEP_VHOST_USER_GET_STATUS = 40,
	NEEP_VHOST_USER_GET_SHARED_OBJECT = 41,
	NEEP_VHOST_USER_GET_SHMEM_CONFIG = 44,
};
#define NEEP_VHOST_USER_REQUEST_COUNT 45 // one past the highest that is known

/* "Back-end message types". */
enum neep_vhost_user_backend_request {
	NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE = 2,
	NEEP_VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE = 7,
	NEEP_VHOST_USER_BACKEND_SHMEM_MAP = 9,
	NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP = 10,
};

/* Messages whose payload is one number, and all acks: 0 is success. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_u64 {
	uint64_t value;
};
static_assert(sizeof(struct neep_vhost_user_u64) == 8, "wire format");

/* The number of SET_VRING_KICK, _CALL and _ERR: the ring, and whether an fd comes along. */
#define NEEP_VHOST_USER_VRING_INDEX_MASK 0xffu
#define NEEP_VHOST_USER_VRING_NO_FD      0x100u

struct NEEP_VHOST_USER_PACKED neep_vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};
static_assert(sizeof(struct neep_vhost_user_vring_state) == 8, "wire format");

/* The ring addresses are in the user_addr space of the memory regions. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags; // bit 0: log
	uint64_t desc;
	uint64_t used;  // the device event suppression of a packed ring
	uint64_t avail; // the driver event suppression of a packed ring
	uint64_t log;
};
static_assert(sizeof(struct neep_vhost_user_vring_addr) == 40, "wire format");

struct NEEP_VHOST_USER_PACKED neep_vhost_user_region {
	uint64_t guest_addr;
	uint64_t size; // bytes
	uint64_t user_addr;
	uint64_t mmap_offset; // bytes; 0 in REM_MEM_REG
};
static_assert(sizeof(struct neep_vhost_user_region) == 32, "wire format");

/* SET_MEM_TABLE sends `count` regions, with one fd each. */
#define NEEP_VHOST_USER_TABLE_REGIONS_MAX 32
struct NEEP_VHOST_USER_PACKED neep_vhost_user_mem_table {
	uint32_t count;
	uint32_t padding;
	struct neep_vhost_user_region regions[NEEP_VHOST_USER_TABLE_REGIONS_MAX];
};
static_assert(sizeof(struct neep_vhost_user_mem_table) == 8 + 32 * 32, "wire format");

/* ADD_MEM_REG (one fd), REM_MEM_REG. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_mem_region {
	uint64_t padding;
	struct neep_vhost_user_region region;
};
static_assert(sizeof(struct neep_vhost_user_mem_region) == 40, "wire format");

/* Regions a front-end may have at a time in slot mode: what other back-ends answer to GET_MAX_MEM_SLOTS too. QEMU
 * aborts the VM beyond 512. */
#define NEEP_VHOST_USER_MEM_SLOTS 509

/* GET_CONFIG and SET_CONFIG: this and `size` bytes of config space. */
#define NEEP_VHOST_USER_CONFIG_SIZE_MAX 256
struct NEEP_VHOST_USER_PACKED neep_vhost_user_config {
	uint32_t offset; // bytes
	uint32_t size;   // bytes
	uint32_t flags;
	uint8_t data[NEEP_VHOST_USER_CONFIG_SIZE_MAX];
};
#define NEEP_VHOST_USER_CONFIG_HEADER_SIZE 12
static_assert(
	sizeof(struct neep_vhost_user_config) == NEEP_VHOST_USER_CONFIG_HEADER_SIZE + 256, "wire format");

/* SET_LOG_BASE. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};
static_assert(sizeof(struct neep_vhost_user_log) == 16, "wire format");

/* GET_INFLIGHT_FD, SET_INFLIGHT_FD. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_inflight {
	uint64_t mmap_size;   // bytes
	uint64_t mmap_offset; // bytes
	uint16_t queue_count;
	uint16_t queue_size; // descriptors
	uint8_t padding[4];
};
static_assert(sizeof(struct neep_vhost_user_inflight) == 24, "wire format");

/* Back-end channel: SHMEM_MAP (one fd), SHMEM_UNMAP. */
#define NEEP_VHOST_USER_SHMEM_RW 0x1u
struct NEEP_VHOST_USER_PACKED neep_vhost_user_shmem_map {
	uint8_t shmem_id;
	uint8_t padding[7];
	uint64_t fd_offset;  // bytes
	uint64_t shm_offset; // bytes into the window
	uint64_t len;        // bytes
	uint64_t flags;
};
static_assert(sizeof(struct neep_vhost_user_shmem_map) == 40, "wire format");

/* Back-end channel: SHARED_OBJECT_REMOVE. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_shared_object {
	uint8_t uuid[16];
};
static_assert(sizeof(struct neep_vhost_user_shared_object) == 16, "wire format");

/* Reply to GET_SHMEM_CONFIG, always whole. */
struct NEEP_VHOST_USER_PACKED neep_vhost_user_shmem_config {
	uint32_t region_count; // sizes that are not 0
	uint32_t padding;
	uint64_t sizes[256]; // bytes, by shared memory id
};
static_assert(sizeof(struct neep_vhost_user_shmem_config) == 2056, "wire format");

/* The longest request this back-end takes; framing beyond it is lost. Replies reach 2056 bytes. */
#define NEEP_VHOST_USER_PAYLOAD_MAX 4096

#endif
