#version 450
// Fills words with a hash of their place: every bit depends on every other, so a wrong byte anywhere shows.
layout(local_size_x = 256) in;
layout(std430, binding = 0) buffer Words {
    uint words[];
};
layout(push_constant) uniform Push {
    uint seed;
    uint count;
};

uint hash(uint x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

void main() {
    uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < count; i += step) {
        words[i] = hash(i + seed);
    }
}
