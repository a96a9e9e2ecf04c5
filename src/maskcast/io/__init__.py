"""Videos, label maps and pictures, prompts, and weights.

Import from the modules themselves: only ``io.video`` needs PyAV, and training runs without it.
"""
