#version 450
// The tint comes from a vertex buffer that is null.
layout(location = 0) in vec3 tint;
layout(location = 0) out vec3 color;

void main() {
    gl_Position = vec4(gl_VertexIndex % 3 == 1 ? 3 : -1, gl_VertexIndex % 3 == 2 ? 3 : -1, 0, 1);
    color = tint + vec3(0.2, 0.4, 0.6);
}
