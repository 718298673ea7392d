"""Generates the Vulkan decoder from Khronos' registry and the table of the wire."""
