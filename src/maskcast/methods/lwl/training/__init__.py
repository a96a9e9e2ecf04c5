"""Training of LWL; nothing here is needed to segment a video."""
