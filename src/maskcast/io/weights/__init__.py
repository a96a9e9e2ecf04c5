"""Weights: files and names, downloads, and safe reading of checkpoints of others."""

from maskcast.io.weights.names import SHIPPED

__all__ = ["SHIPPED"]
