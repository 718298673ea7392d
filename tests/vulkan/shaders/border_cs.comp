#version 450
layout(local_size_x = 1) in;
layout(binding = 0) uniform sampler2D borders[4];
layout(std430, binding = 1) buffer Result {
    vec4 result[];
};

void main() {
    // Beside the picture there is only its border.
    result[0] = textureLod(borders[0], vec2(2.0), 0.0);
    result[1] = textureLod(borders[1], vec2(2.0), 0.0);
    result[2] = textureLod(borders[2], vec2(2.0), 0.0);
    result[3] = textureLod(borders[3], vec2(2.0), 0.0);
}
