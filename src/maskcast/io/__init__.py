"""Video files, frame folders, label maps, safe reading of checkpoints, downloads with checksums.

Import from the modules themselves: only ``io.video`` needs PyAV, and training runs without it.
"""
