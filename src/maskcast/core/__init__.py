"""Words every room speaks: types, the segmenter protocol, states, palette, errors; no networks."""
