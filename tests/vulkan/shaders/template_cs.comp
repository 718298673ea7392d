#version 450
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Result {
    uint result[];
};
layout(binding = 1) uniform Words {
    uvec4 words[4];
} blocks[4];
layout(binding = 2) uniform sampler2D pictures[2];

void main() {
    uint i = gl_GlobalInvocationID.x;
    uvec4 w = i / 16 == 0 ? blocks[0].words[i % 4] : i / 16 == 1 ? blocks[1].words[i % 4]
        : i / 16 == 2 ? blocks[2].words[i % 4] : blocks[3].words[i % 4];
    vec2 middle = (vec2(i % 8, i / 8) + 0.5) / 8.0;
    uint first = uint(textureLod(pictures[0], middle, 0.0).r * 255.0 + 0.5);
    uint second = uint(textureLod(pictures[1], middle, 0.0).r * 255.0 + 0.5);
    result[i] = w[i / 4 % 4] + first * 65536 + second * 16777216;
}
