/* What glslangValidator made of shaders/. */
#include <stdint.h>

#include "neep_vkb_compute_comp.h"
#include "neep_vkb_draws_frag.h"
#include "neep_vkb_draws_vert.h"
#include "neep_vkb_mesh_frag.h"
#include "neep_vkb_mesh_vert.h"
#include "neep_vkb_textured_frag.h"
#include "neep_vkb_textured_vert.h"
#include "scenes.h"

#define SHADER(array) \
	{ (array), sizeof(array) }

const struct vkb_shader vkb_shader_compute_comp = SHADER(neep_vkb_compute_comp);
const struct vkb_shader vkb_shader_draws_frag = SHADER(neep_vkb_draws_frag);
const struct vkb_shader vkb_shader_draws_vert = SHADER(neep_vkb_draws_vert);
const struct vkb_shader vkb_shader_mesh_frag = SHADER(neep_vkb_mesh_frag);
const struct vkb_shader vkb_shader_mesh_vert = SHADER(neep_vkb_mesh_vert);
const struct vkb_shader vkb_shader_textured_frag = SHADER(neep_vkb_textured_frag);
const struct vkb_shader vkb_shader_textured_vert = SHADER(neep_vkb_textured_vert);
