"""How e-OSVOS is learnt; nothing here is needed to segment a video."""
