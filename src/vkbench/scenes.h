/* The scenes, one per file of that name. */
#ifndef NEEP_VKBENCH_SCENES_H
#define NEEP_VKBENCH_SCENES_H

#include "vkb.h"

extern const struct vkb_scene_impl vkb_scene_clear;
extern const struct vkb_scene_impl vkb_scene_mesh;
extern const struct vkb_scene_impl vkb_scene_textured;
extern const struct vkb_scene_impl vkb_scene_draws;
extern const struct vkb_scene_impl vkb_scene_compute;

/* Of the files of that name in shaders/. */
extern const struct vkb_shader vkb_shader_compute_comp;
extern const struct vkb_shader vkb_shader_draws_frag;
extern const struct vkb_shader vkb_shader_draws_vert;
extern const struct vkb_shader vkb_shader_mesh_frag;
extern const struct vkb_shader vkb_shader_mesh_vert;
extern const struct vkb_shader vkb_shader_textured_frag;
extern const struct vkb_shader vkb_shader_textured_vert;

/* One command of the draws scene, inside its pass: command `n` of a mix of four kinds, every fourth one a draw. */
void vkb_scene_draws_command(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t n);

#endif
