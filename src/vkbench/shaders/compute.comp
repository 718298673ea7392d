#version 450
// Integer hashing: exact on every device.
layout(local_size_x = 64) in;
layout(push_constant) uniform Frame {
	uint seed;
	uint rounds;
};
layout(set = 0, binding = 0) buffer Values {
	uint values[];
};

void main() {
	uint x = gl_GlobalInvocationID.x ^ seed;
	for (uint i = 0u; i < rounds; i++) {
		x ^= x >> 16;
		x *= 0x7feb352du;
		x ^= x >> 15;
		x *= 0x846ca68bu;
		x += i;
	}
	values[gl_GlobalInvocationID.x] = x;
}
