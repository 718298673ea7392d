#version 450
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint factor = 1;
layout(constant_id = 2) const float scale = 1.0;
layout(constant_id = 3) const bool add = false;
layout(constant_id = 4) const int minus = 0;
layout(std430, binding = 0) buffer Result {
    uint result[];
};
layout(push_constant) uniform Push {
    uint first;
    uint words[31];
};

void main() {
    uint i = gl_GlobalInvocationID.x;
    uint value = words[i % 31] * factor + uint(float(i) * scale) - uint(minus);
    result[first + i] = add ? value + 1000000 : value;
}
