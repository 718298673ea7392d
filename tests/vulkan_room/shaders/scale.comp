#version 450
layout(local_size_x = 64) in;
layout(binding = 0) readonly buffer In { uint words[]; } source;
layout(binding = 1) writeonly buffer Out { uint words[]; } target;
layout(binding = 2) uniform Params { uint factor; uint addend; } params;

void main() {
	uint i = gl_GlobalInvocationID.x;
	target.words[i] = source.words[i] * params.factor + params.addend;
}
