#version 450
// Many copies of one lit mesh, spread over the target in a spiral.
layout(push_constant) uniform Frame {
	float angle;
	float count;
};
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 0) out vec3 lit_normal;
layout(location = 1) out vec3 colour;

mat3 turn(float a) {
	return mat3(cos(a), 0, -sin(a), 0, 1, 0, sin(a), 0, cos(a)) *
	       mat3(1, 0, 0, 0, cos(a * 0.7), sin(a * 0.7), 0, -sin(a * 0.7), cos(a * 0.7));
}

void main() {
	float place = float(gl_InstanceIndex) + 0.5;
	mat3 turned = turn(angle + place);
	vec3 at = turned * position * 0.25;
	float around = place * 2.39996323;
	at += vec3(cos(around), sin(around), 0) * 0.75 * sqrt(place / count);
	lit_normal = turned * normal;
	colour = fract(vec3(0.37, 0.61, 0.83) * place) * 0.5 + 0.5;
	gl_Position = vec4(at.xy, at.z * 0.4 + 0.5, 1.0);
}
