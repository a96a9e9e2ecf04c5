"""Weights: files and names, downloads, and safe reading of untrusted checkpoints."""

from maskcast.io.weights.names import SHIPPED

__all__ = ["SHIPPED"]
