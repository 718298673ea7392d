#version 450
layout(location = 0) in vec2 place;
layout(location = 1) in vec3 in_color;
layout(location = 0) out vec3 color;
layout(push_constant) uniform Push {
    vec3 offset;
    float factor;
};

void main() {
    // Instances go one cell down and get darker.
    gl_Position = vec4(place + offset.xy + vec2(0, 0.25 * gl_InstanceIndex), offset.z, 1);
    color = in_color * factor / float(1 + gl_InstanceIndex);
}
