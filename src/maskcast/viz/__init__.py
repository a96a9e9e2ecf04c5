"""Draw overlays, contact sheets and plots."""
