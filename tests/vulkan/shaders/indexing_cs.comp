#version 450
#extension GL_EXT_nonuniform_qualifier : require
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Result {
    uint result[];
};
layout(std430, binding = 1) buffer Words {
    uint words[];
} buffers[];

void main() {
    uint i = gl_GlobalInvocationID.x;
    // Only every third descriptor is there.
    result[i] = buffers[nonuniformEXT(i * 3)].words[i];
}
