/* The wire of cross-domain: what guests put into SUBMIT_3D, and what is written to their rings. There is no specification; these
 * are the numbers that Sommelier and wayland-proxy-virtwl send and that rutabaga answers. Everything is little-endian, at
 * its natural place, and read by struct neep_reader. */
#ifndef NEEP_CROSS_DOMAIN_PROTOCOL_H
#define NEEP_CROSS_DOMAIN_PROTOCOL_H

#include <stdint.h>

/* Both ways: cmd u8, ring_idx u8, cmd_size u16, pad u32. To the guest all but cmd is 0: guests compare the first word. */
#define NEEP_XD_HEADER_SIZE 8

enum neep_xd_command {
	NEEP_XD_INIT = 1,
	NEEP_XD_GET_IMAGE_REQUIREMENTS = 2,
	NEEP_XD_POLL = 3,
	NEEP_XD_SEND = 4,
	NEEP_XD_RECEIVE = 5, // to the guest
	NEEP_XD_READ = 6,    // to the guest
	NEEP_XD_WRITE = 7,
	NEEP_XD_CREATE_SENTINEL = 8,
	NEEP_XD_SIGNAL_SENTINEL = 9,
	NEEP_XD_DESTROY_SENTINEL = 10,
	NEEP_XD_READ_CREATE_EVENT = 11,
	NEEP_XD_IMPORT_VIRTIOFS = 12,
	NEEP_XD_ASSIGN_SOCKET_UUID = 13,
};

/* Sizes of commands with their headers; WRITE, READ, SEND and RECEIVE have data behind. */
#define NEEP_XD_INIT_LEGACY_SIZE  16 // one ring for both
#define NEEP_XD_INIT_SIZE         20
#define NEEP_XD_INIT_VERSION_SIZE 24 // and a protocol version
#define NEEP_XD_INIT_UUID_SIZE    36 // and the uuid of a socket that was handed over
#define NEEP_XD_REQUIREMENTS_SIZE 24
#define NEEP_XD_POLL_SIZE         16
#define NEEP_XD_TRANSFER_SIZE     352
#define NEEP_XD_WRITE_SIZE        24
#define NEEP_XD_EVENT_SIZE        16

/* A ring is a page that is written from its start. */
#define NEEP_XD_RING_SIZE 4096
/* What one message may take of a larger ring, if the guest says that it knows. */
#define NEEP_XD_MESSAGE_MAX 65536
/* libwayland's most fds of a message. */
#define NEEP_XD_IDS_MAX 28

/* Offsets in SEND and RECEIVE */
#define NEEP_XD_TRANSFER_COUNT 8
#define NEEP_XD_TRANSFER_LEN   12
#define NEEP_XD_TRANSFER_IDS   16
#define NEEP_XD_TRANSFER_TYPES 128
#define NEEP_XD_TRANSFER_SIZES 240
/* and in READ */
#define NEEP_XD_READ_ID      8
#define NEEP_XD_READ_HANG_UP 12
#define NEEP_XD_READ_LEN     16
/* and in the reply to GET_IMAGE_REQUIREMENTS, which has no header. */
#define NEEP_XD_REPLY_STRIDES  0
#define NEEP_XD_REPLY_OFFSETS  16
#define NEEP_XD_REPLY_MODIFIER 32
#define NEEP_XD_REPLY_SIZE     40
#define NEEP_XD_REPLY_BLOB_ID  48
#define NEEP_XD_REPLY_MAP_INFO 52
#define NEEP_XD_REPLY_MEMORY   56
#define NEEP_XD_REPLY_DEVICE   60
#define NEEP_XD_REPLY_LEN      64

enum neep_xd_id_type {
	NEEP_XD_ID_BLOB = 1,
	NEEP_XD_ID_READ_PIPE = 3,  // SEND
	NEEP_XD_ID_WRITE_PIPE = 4, // RECEIVE
	NEEP_XD_ID_EVENT = 5,      // RECEIVE
	NEEP_XD_ID_DMABUF = 0x101, // SEND, of NEEP_XD_EXTENSION_DMABUFS: a blob, as a dma-buf
};

/* Ids that the host gives start behind this one, */
#define NEEP_XD_ITEM_ID_BASE 1
/* and end here, where those of read pipes start, which guests count along. */
#define NEEP_XD_READ_ID_BASE UINT32_C(0x80000000)

/* Fence rings. Those above are an extension. */
enum neep_xd_ring {
	NEEP_XD_QUERY_RING = 0,
	NEEP_XD_CHANNEL_RING = 1,
};

#define NEEP_XD_CHANNEL_NONE 0

/* The capset, in words. */
enum neep_xd_capset_word {
	NEEP_XD_CAPSET_VERSION,
	NEEP_XD_CAPSET_CHANNELS, // bit n: channel type n
	NEEP_XD_CAPSET_DMABUF,
	NEEP_XD_CAPSET_EXTERNAL_GPU_MEMORY,
	NEEP_XD_CAPSET_EXTENSIONS, // behind what other hosts have: guests that ask for four words get four
	NEEP_XD_CAPSET_WORDS,
};

/* What nobody else offers. */
enum neep_xd_extension {
	/* A fence on a ring from 2 on completes when the pipe that the context's last WRITE went to has room. */
	NEEP_XD_EXTENSION_FLOW = 1 << 0,
	/* After an INIT of 24 bytes with protocol version 2 or higher READ and RECEIVE fill the channel ring, up to 64 KiB,
	 * instead of its first page. */
	NEEP_XD_EXTENSION_LONG_MESSAGES = 1 << 1,
	/* Blobs of this device are files in memory, which wl_shm takes: those of other contexts too. To a guest that says in INIT
	 * that it knows, NEEP_XD_ID_BLOB sends them as that. */
	NEEP_XD_EXTENSION_FILES = 1 << 2,
	/* A shareable guest blob that is all of a memory region, and that all of its file, is sent as this file. */
	NEEP_XD_EXTENSION_GUEST_FILES = 1 << 3,
	/* NEEP_XD_ID_DMABUF sends the same memory as a dma-buf; as a file where the kernel refuses that. */
	NEEP_XD_EXTENSION_DMABUFS = 1 << 4,
};

/* The protocol version of guests that know the extensions: from it on messages are long. Others send 0 and 1. */
#define NEEP_XD_VERSION_EXTENSIONS 2

#endif
