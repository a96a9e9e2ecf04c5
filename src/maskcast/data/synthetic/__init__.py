"""Synthetic clips: short videos with exact masks, rendered from a seed."""
