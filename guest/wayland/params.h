/* zwp_linux_buffer_params_v1 of the proxy's own: the planes of a dma-buf, and the wl_buffer of them. */
#ifndef NEEP_WAYLAND_PARAMS_H
#define NEEP_WAYLAND_PARAMS_H

struct neep_wl_call;

/* Makes the object of zwp_linux_dmabuf_v1.create_params. Returns what handlers return. */
int neep_wl_params_create(struct neep_wl_call *call);

#endif
