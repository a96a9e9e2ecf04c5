"""Training of A-GAME; nothing here is needed to segment a video."""
