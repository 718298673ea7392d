#version 450
layout(location = 0) in vec3 lit_normal;
layout(location = 1) in vec3 colour;
layout(location = 0) out vec4 pixel;

void main() {
	const vec3 light = normalize(vec3(0.4, -0.7, -0.6));
	vec3 n = normalize(lit_normal);
	float diffuse = max(dot(n, light), 0.0);
	float shine = pow(max(dot(reflect(-light, n), vec3(0, 0, -1)), 0.0), 16.0);
	pixel = vec4(colour * (0.15 + 0.85 * diffuse) + 0.4 * shine, 1.0);
}
