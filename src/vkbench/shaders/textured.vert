#version 450
// Quads of 64x64 pixels of a target of 256x256, blended over each other.
layout(push_constant) uniform Frame {
	float angle;
	float count;
};
layout(location = 0) out vec2 texel;

void main() {
	const vec2 corner = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1);
	float place = float(gl_InstanceIndex) + angle;
	vec2 at = fract(vec2(0.75487767, 0.56984029) * place) * 1.5 - 1.0;
	texel = corner * 1.5 + fract(place * 0.1);
	gl_Position = vec4(at + corner * 0.5, 0.0, 1.0);
}
