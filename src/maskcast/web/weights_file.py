"""Find the weights of a run, of which the run card has the name and the hash.

The path of weights given as a file is recorded beside the run.
"""

from __future__ import annotations

import json
from pathlib import Path

from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.earlier_weights import weights_begun_with
from maskcast.runs.frame_log import DAMAGE
from maskcast.web.layout import WEIGHTS


def note_file(run: Path, weights: str | None) -> None:
    """Record the path of weights, if they were given as a file. Raises ``OutputError``."""
    if weights is not None and Path(weights).is_file():
        path = str(Path(weights).absolute())
        write_text(run / WEIGHTS, json.dumps({"file": path}, ensure_ascii=False) + "\n")


def weights_of(run: Path) -> str | None:
    """Return the recorded file, or the name of the weights in the package with the recorded hash.

    The second finds the weights of version 0.1, which have another name since.
    """
    try:
        noted = Path(read_json(run / WEIGHTS)["file"])
    except (OSError, *DAMAGE):
        return weights_begun_with(run)
    return str(noted) if noted.is_file() else None
