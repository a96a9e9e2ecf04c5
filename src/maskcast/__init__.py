"""Give one mask, get the whole video."""
