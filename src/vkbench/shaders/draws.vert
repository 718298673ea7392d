#version 450
// One small triangle per draw.
layout(push_constant) uniform Draw {
	vec2 place;
	uint colour;
};
layout(set = 0, binding = 0) uniform Palette {
	vec4 colours[16];
};
layout(location = 0) flat out vec4 shade;

void main() {
	const vec2 corner = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1);
	shade = colours[colour & 15u];
	gl_Position = vec4(place + corner * 0.03, 0.0, 1.0);
}
