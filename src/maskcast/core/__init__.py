"""Foundations of all packages: types, the segmenter protocol, states, palette, errors."""
