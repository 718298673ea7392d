#version 450
#extension GL_EXT_buffer_reference : require
// Follows a list through memory: each node says where the next one is.
layout(local_size_x = 1) in;
layout(buffer_reference) buffer Node;
layout(std430, buffer_reference, buffer_reference_align = 16) buffer Node {
    Node next;
    uint value;
    uint place;
};
layout(push_constant) uniform Push {
    Node first;
    uint count;
};

void main() {
    Node node = first;
    for (uint i = 0; i < count; i++) {
        node.value = node.value * 2 + i;
        node.place = i;
        node = node.next;
    }
}
