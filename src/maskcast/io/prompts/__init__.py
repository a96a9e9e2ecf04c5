"""Masks, boxes and marks that a person gave, read from files and text."""
