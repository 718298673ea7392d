/* vhost-user-neep with the fake 3D component, for guests: linked with main.c, in whose place of neep_daemon_create() it
 * stands (the linker's --wrap). In the environment, NEEP_FAKE_SPLIT=1 keeps packed rings from being offered, and
 * NEEP_FAKE_2D=1 the fake from being there. */
#include <stdlib.h>

#include <linux/virtio_config.h>

#include "daemon/daemon.h"
#include "support/fake_component.h"
#include "util/macros.h"
#include "vhost_user/server.h"

struct neep_daemon *__real_neep_daemon_create(const struct neep_options *options, struct neep_error *error);
struct neep_daemon *__wrap_neep_daemon_create(const struct neep_options *options, struct neep_error *error);
struct neep_vhost_user *__real_neep_vhost_user_create(struct neep_loop *loop, int owned_fd,
	struct neep_vhost_user_device *device, const struct neep_vhost_user_options *options,
	struct neep_error *error);
struct neep_vhost_user *__wrap_neep_vhost_user_create(struct neep_loop *loop, int owned_fd,
	struct neep_vhost_user_device *device, const struct neep_vhost_user_options *options,
	struct neep_error *error);

struct neep_daemon *__wrap_neep_daemon_create(const struct neep_options *options, struct neep_error *error) {
	if (getenv("NEEP_FAKE_2D") != NULL) {
		return __real_neep_daemon_create(options, error);
	}
	static const struct neep_component_impl *const extra[] = { &neep_fake_impl };
	static struct neep_options with_fake; // borrowed by the daemon
	with_fake = *options;
	with_fake.capset_mask |= NEEP_FAKE_CAPSET_MASK;
	return neep_daemon_create_with(&with_fake, extra, NEEP_ARRAY_LEN(extra), error);
}

static uint64_t (*daemon_features)(struct neep_vhost_user_device *device);

static uint64_t split_features(struct neep_vhost_user_device *device) {
	return daemon_features(device) & ~(UINT64_C(1) << VIRTIO_F_RING_PACKED);
}

struct neep_vhost_user *__wrap_neep_vhost_user_create(struct neep_loop *loop, int owned_fd,
	struct neep_vhost_user_device *device, const struct neep_vhost_user_options *options,
	struct neep_error *error) {
	static struct neep_vhost_user_device_impl impl;
	if (getenv("NEEP_FAKE_SPLIT") != NULL && device->impl != &impl) {
		impl = *device->impl;
		daemon_features = impl.features;
		impl.features = split_features;
		device->impl = &impl;
	}
	return __real_neep_vhost_user_create(loop, owned_fd, device, options, error);
}
