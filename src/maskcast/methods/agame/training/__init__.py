"""How A-GAME is learnt; nothing here is needed to segment a video."""
