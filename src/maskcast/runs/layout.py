"""Names of the files and folders in a run folder; docs/runs.md describes them. Imports nothing."""

from __future__ import annotations

CARD = "run.json"
FRAME_LOG = "frames.jsonl"
OBJECTS = "objects.json"
PROBABILITIES = "probs"
EXPORTS = "exports"
EXPORT_RECORD = ".made.json"
"""A file in the folder of exports."""
STATES = ".states"
BACKWARD = "backward"
"""The folder in ``STATES`` that holds the states of the backward pass."""
ASIDE = "aside"
"""The folder in ``STATES`` that holds results of earlier requests."""
