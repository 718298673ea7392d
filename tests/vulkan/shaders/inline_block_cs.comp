#version 450
layout(local_size_x = 16) in;
layout(binding = 0) uniform Block {
    uvec4 words[4];
};
layout(std430, binding = 1) buffer Result {
    uint result[];
};

void main() {
    uint i = gl_GlobalInvocationID.x;
    result[i] = words[i / 4][i % 4] * 3 + 1;
}
