"""Names of the files and folders in a run folder; docs/runs.md describes them. Imports nothing."""

from __future__ import annotations

CARD = "run.json"
FRAME_LOG = "frames.jsonl"
OBJECTS = "objects.json"
PROBABILITIES = "probs"
EXPORTS = "exports"
EXPORT_RECORD = ".made.json"
"""In the folder of exports."""
STATES = ".states"
BACKWARD = "backward"
"""In the folder of states: those of the backward pass."""
ASIDE = "aside"
"""In the folder of states: results of earlier requests."""
