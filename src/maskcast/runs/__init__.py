"""Run folders: masks, run card, saved states, and exports made from finished masks."""
