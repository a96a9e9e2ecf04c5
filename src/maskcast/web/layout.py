"""Names of the application's files and folders in a run folder. Imports nothing."""

from __future__ import annotations

APP = ".app"
HISTORY = ".app/history.jsonl"
DOCUMENTS = ".app/documents"
MASKS = ".app/masks"
WEIGHTS = ".app/weights.json"
"""The file of the weights, if they have no name: the run card does not say where it is."""
INCOMING = ".app/incoming"
"""Files that are being imported."""
PROMPTS = "prompts"
"""Label maps of the marks, in the form that ``--masks`` reads."""
UPLOADS = "uploads"
"""A folder in the root folder."""
RUNS = "maskcast-runs"
"""A folder in the root folder."""
