"""Videos, label maps and pictures, prompts, and weights.

Import from the modules themselves: only video files need PyAV, and training works without it.
"""
