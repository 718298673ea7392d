#version 450
layout(location = 0) in vec3 world;
layout(location = 1) in vec3 world_normal;
layout(location = 2) in vec3 base;
layout(location = 0) out vec4 pixel;
layout(push_constant) uniform Push {
    mat4 camera;
    vec4 eye;
    vec4 turn;
};

const vec3 sky = vec3(0.72, 0.80, 0.95), earth = vec3(0.42, 0.34, 0.26), backdrop = vec3(0.80, 0.83, 0.87);

void main() {
    vec3 to_eye = normalize(eye.xyz - world);
    vec3 n = normalize(world_normal);
    n = dot(n, to_eye) < 0.0 ? -n : n;
    vec3 key = normalize(vec3(0.55, 0.80, 0.60)), fill = normalize(vec3(-0.80, 0.25, 0.35));
    vec3 halfway = normalize(key + to_eye);
    float shine = pow(max(dot(n, halfway), 0.0), 38.0) * 0.28;
    float rim = pow(1.0 - max(dot(n, to_eye), 0.0), 4.0) * 0.22;
    vec3 light = mix(earth, sky, n.y * 0.5 + 0.5) * 0.46 + vec3(1.05, 0.98, 0.86) * max(dot(n, key), 0.0) * 0.95
        + vec3(0.55, 0.66, 0.90) * max(dot(n, fill), 0.0) * 0.22;
    vec3 color = base * light + shine + rim * sky;
    if (world.y < -1.6199) {
        float far = smoothstep(1.5, 7.5, length(world.xz));
        color = mix(base * 1.34, backdrop, far);
    }
    pixel = vec4(color, 1);
}
