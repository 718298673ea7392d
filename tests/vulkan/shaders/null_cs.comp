#version 450
// Everything that it reads is null; it stores what it reads, and their sizes.
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Result {
    uvec4 result[];
};
layout(std430, binding = 1) buffer Storage {
    uint storage[64];
};
layout(binding = 2) uniform Words {
    uvec4 words[16];
};
layout(binding = 3) uniform sampler2D picture;
layout(binding = 4, rgba8) uniform image2D canvas;
layout(binding = 5) uniform usamplerBuffer texels;
layout(binding = 6, r32ui) uniform uimageBuffer storage_texels;

void main() {
    uint i = gl_GlobalInvocationID.x;
    storage[i] = i + 1;
    imageStore(canvas, ivec2(i % 8, i / 8), vec4(1));
    imageStore(storage_texels, int(i), uvec4(i + 1));
    memoryBarrier();
    vec4 colours = textureLod(picture, vec2(0.5), 0.0) + imageLoad(canvas, ivec2(i % 8, i / 8));
    result[i * 2] = uvec4(storage[i], words[i % 16].x, texelFetch(texels, int(i)).x,
        imageLoad(storage_texels, int(i)).x);
    result[i * 2 + 1] = uvec4(floatBitsToUint(colours.rgb), textureSize(texels) + imageSize(canvas).x);
}
