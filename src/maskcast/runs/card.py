"""The run card ``run.json``: what was asked, on what it ran, how far it came, how long it took."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.core.errors import ConfigError, DataError
from maskcast.core.files import write_text
from maskcast.runs.frame_log import DAMAGE
from maskcast.runs.layout import CARD
from maskcast.runs.masks import MaskForm
from maskcast.runs.request import RunRequest

LARGEST_COUNT = 2**53
"""Above any number of frames; a damaged card may hold more."""
FORMAT = 2
"""Of the run folder (docs/runs.md); version 0.1 wrote format 1, without saying so."""
Status = Literal["running", "interrupted", "stopped", "finished"]


@dataclass(frozen=True, kw_only=True)
class TimeSplit:
    """Seconds of work; the parts overlap, so they may sum to more than ``total``."""

    decode: float = 0.0
    model: float = 0.0
    write: float = 0.0
    total: float = 0.0

    def plus(self, other: TimeSplit) -> TimeSplit:
        """Return the sums."""
        parts = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return TimeSplit(**{name: round(seconds, 4) for name, seconds in parts.items()})


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """What a reader of the results may want to know later."""

    format: int = FORMAT
    """Of the run folder."""
    maskcast: str
    """Version."""
    torch: str
    """Version."""
    request: RunRequest
    masks: MaskForm = "png"
    """How masks are kept; in the file only if they are not PNGs."""
    status: Status = "running"
    note: str = ""
    """Why a stopped run stopped."""
    device: str = "cpu"
    threads: int = 1
    frames: int = 0
    """Finished frames, from the first on."""
    forward_finished: bool = False
    """Every frame is segmented; with ``direction`` both, the backward pass may be under way."""
    frames_backward: int = 0
    """Finished by the backward pass, from its last frame on."""
    resumed_from: int = 0
    """The frame this run continued from, counted from ``start``; 0 for a new run."""
    steps: int = 0
    """Frames segmented by all sessions together, repeated ones included."""
    seconds: TimeSplit = field(default_factory=TimeSplit)
    """Of all sessions together."""

    def __post_init__(self) -> None:
        counts = (self.frames, self.frames_backward, self.resumed_from, self.steps, self.threads)
        if not all(0 <= count < LARGEST_COUNT for count in counts):
            raise ConfigError(f"frame counts must be in [0, {LARGEST_COUNT - 1}]")


def write_card(folder: Path, card: RunCard) -> None:
    """Write ``run.json``; the entries of the request are at the top level.

    Raises:
        OutputError: it cannot be written.
    """
    content = config_to_dict(card)
    if card.masks == "png":
        del content["masks"]
    version = {name: content.pop(name) for name in ("format", "maskcast")}
    flat = {**version, **content.pop("request"), **content}
    write_text(folder / CARD, json.dumps(flat, indent=2, ensure_ascii=False) + "\n", sync=True)


def read_card(folder: Path) -> RunCard | None:
    """Read ``run.json``; None if there is none.

    Raises:
        DataError: it is damaged, was not written by maskcast, or by a later version.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    request_names = {f.name for f in fields(RunRequest)}
    try:
        flat = {"format": 1, **json.loads(path.read_text("utf-8"))}
        if flat["format"] not in (1, FORMAT):
            raise ConfigError(f"format {flat['format']!r}, expected {FORMAT}")
        request = {name: flat.pop(name) for name in request_names & set(flat)}
        return config_from_dict(RunCard, {**flat, "request": request})
    except (*DAMAGE, ConfigError) as error:
        raise DataError(f"{path} is not a run card of this version ({error})") from error
