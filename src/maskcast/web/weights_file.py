"""Record the path of weights given as a file, because the run card has only their hash."""

from __future__ import annotations

import json
from pathlib import Path

from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.frame_log import DAMAGE
from maskcast.web.layout import WEIGHTS


def note_file(run: Path, weights: str | None) -> None:
    """Record the path of weights, if they were given as a file. Raises ``OutputError``."""
    if weights is not None and Path(weights).is_file():
        path = str(Path(weights).absolute())
        write_text(run / WEIGHTS, json.dumps({"file": path}, ensure_ascii=False) + "\n")


def known_file(run: Path) -> str | None:
    """Return the recorded file, if it still exists."""
    try:
        noted = Path(read_json(run / WEIGHTS)["file"])
    except (OSError, *DAMAGE):
        return None
    return str(noted) if noted.is_file() else None
