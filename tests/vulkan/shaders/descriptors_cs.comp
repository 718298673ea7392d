#version 450
layout(local_size_x = 64) in;
layout(binding = 0) uniform sampler nearest;
layout(binding = 1) uniform texture2D sampled;
layout(binding = 2) uniform sampler2D combined[3];
layout(binding = 3, r32ui) uniform uimage2D storage_image;
layout(binding = 4) uniform usamplerBuffer uniform_texels;
layout(binding = 5, r32ui) uniform uimageBuffer storage_texels;
layout(binding = 6) uniform Uniform {
    uvec4 uniform_words[16];
};
layout(std430, binding = 7) buffer Storage {
    uint storage_words[];
};
layout(binding = 8) uniform DynamicUniform {
    uvec4 dynamic_uniform_words[16];
};
layout(std430, binding = 9) buffer DynamicStorage {
    uint dynamic_storage_words[];
};

uint red(vec4 texel) {
    return uint(texel.r * 255.0 + 0.5);
}

void main() {
    uint i = gl_GlobalInvocationID.x;
    ivec2 place = ivec2(i % 8, i / 8);
    vec2 middle = (vec2(place) + 0.5) / 8.0;
    uint value = red(textureLod(sampler2D(sampled, nearest), middle, 0.0));
    value = value * 31 + red(textureLod(combined[0], middle, 0.0));
    value = value * 31 + red(textureLod(combined[1], middle, 0.0));
    value = value * 31 + red(textureLod(combined[2], middle, 0.0));
    value = value * 31 + texelFetch(uniform_texels, int(i)).r;
    value = value * 31 + uniform_words[i / 4][i % 4];
    value = value * 31 + dynamic_uniform_words[i / 4][i % 4];
    storage_words[i] = value;
    dynamic_storage_words[i] = value ^ 1;
    imageStore(storage_image, place, uvec4(value ^ 2));
    imageStore(storage_texels, int(i), uvec4(value ^ 3));
}
