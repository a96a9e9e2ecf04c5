"""What every package uses: types, the segmenter protocol, states, palette, errors; no networks."""
