#version 450
layout(input_attachment_index = 0, binding = 0) uniform subpassInput before;
layout(location = 0) out vec4 pixel;

void main() {
    pixel = vec4(vec3(1) - subpassLoad(before).rgb, 1);
}
