#version 450
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec3 color;
layout(location = 0) out vec3 world;
layout(location = 1) out vec3 world_normal;
layout(location = 2) out vec3 base;
layout(push_constant) uniform Push {
    mat4 camera;
    vec4 eye;
    vec4 turn; // cosine, sine
};

vec3 turned(vec3 v) {
    return vec3(turn.x * v.x + turn.y * v.z, v.y, turn.x * v.z - turn.y * v.x);
}

void main() {
    // The ground holds still, because its shadow belongs to the light.
    bool ground = position.y < -1.6199;
    world = ground ? position : turned(position);
    world_normal = ground ? normal : turned(normal);
    base = color;
    gl_Position = camera * vec4(world, 1);
}
