"""Read the user's masks, boxes and marks from files and text."""
