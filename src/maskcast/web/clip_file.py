"""Record the number of frames of a clip, which the run card does not have. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.card import LARGEST_COUNT, RunCard
from maskcast.runs.frame_log import DAMAGE
from maskcast.web.layout import CLIP


def note_count(run: Path, count: int) -> None:
    """Record the number of frames. Raises ``OutputError``."""
    if known_count(run) != count:
        write_text(run / CLIP, json.dumps({"count": count}) + "\n")


def known_count(run: Path) -> int | None:
    """Return the recorded number of frames; None if there is none."""
    try:
        count = int(read_json(run / CLIP)["count"])
    except (OSError, *DAMAGE):
        return None
    return count if 0 < count < LARGEST_COUNT else None


def total_of(run: Path, card: RunCard) -> int | None:
    """Return the number of frames of a run's clip; None if nothing in the folder says it."""
    if card.status == "finished" or card.forward_finished:
        return card.frames
    return known_count(run)
