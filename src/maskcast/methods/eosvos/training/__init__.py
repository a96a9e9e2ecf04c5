"""Training of e-OSVOS; nothing here is needed to segment a video."""
