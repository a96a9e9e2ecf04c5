"""One run folder: masks, run card, states to resume from, exports made from finished masks."""
