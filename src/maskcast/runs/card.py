"""The run card ``run.json``: the request, the software and device, the progress, the timing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypeAlias

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.core.errors import ConfigError, DataError
from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.frame_log import DAMAGE
from maskcast.runs.layout import CARD
from maskcast.runs.masks import MaskForm
from maskcast.runs.request import RunRequest

LARGEST_COUNT = 2**53
"""Larger than any number of frames; a larger count means that the card is damaged."""
FORMAT = 2
"""Format of the run folder (docs/runs.md). Version 0.1 wrote format 1 and did not record it."""
Status: TypeAlias = Literal["running", "interrupted", "stopped", "finished"]


@dataclass(frozen=True, kw_only=True)
class TimeSplit:
    """Seconds spent on each kind of work; the parts overlap and may sum to more than ``total``."""

    decode: float = 0.0
    model: float = 0.0
    write: float = 0.0
    total: float = 0.0

    def plus(self, other: TimeSplit) -> TimeSplit:
        """Return the sum, part by part."""
        parts = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return TimeSplit(**{name: round(seconds, 4) for name, seconds in parts.items()})


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """The request of a run, its progress, and the software and device that it used.

    A session is the time from one start of the process to its end.
    """

    format: int = FORMAT
    """Format of the run folder."""
    maskcast: str
    """Version of maskcast."""
    torch: str
    """Version of PyTorch."""
    request: RunRequest
    prompt_files: tuple[str, ...] = ()
    """Mask files and corrections of the last call, as they were given; for the record only."""
    masks: MaskForm = "png"
    """How masks are stored; written to the file only if they are not PNGs."""
    status: Status = "running"
    note: str = ""
    """Reason why a stopped run stopped."""
    device: str = "cpu"
    threads: int = 1
    frames: int = 0
    """Number of finished frames, counted from the first frame."""
    forward_finished: bool = False
    """Whether every frame is segmented; with ``direction`` both, the backward pass may follow."""
    frames_backward: int = 0
    """Number of steps that the backward pass has finished, counted from its first step."""
    resumed_from: int = 0
    """Frame from which this run continued, counted from ``start``; 0 for a new run."""
    steps: int = 0
    """Frames segmented in all sessions together, including those computed again."""
    seconds: TimeSplit = field(default_factory=TimeSplit)
    """Time of all sessions together."""

    def __post_init__(self) -> None:
        counts = (self.frames, self.frames_backward, self.resumed_from, self.steps, self.threads)
        if not all(0 <= count < LARGEST_COUNT for count in counts):
            raise ConfigError(f"frame counts must be in [0, {LARGEST_COUNT - 1}]")


def write_card(folder: Path, card: RunCard) -> None:
    """Write ``run.json``; the entries of the request are at the top level.

    Raises:
        OutputError: the file cannot be written.
    """
    content = config_to_dict(card)
    if card.masks == "png":
        del content["masks"]
    version = {name: content.pop(name) for name in ("format", "maskcast")}
    flat = {**version, **content.pop("request"), **content}
    write_text(folder / CARD, json.dumps(flat, indent=2, ensure_ascii=False) + "\n", sync=True)


def read_card(folder: Path) -> RunCard | None:
    """Read ``run.json``; return None if the folder has none.

    Raises:
        DataError: the file is damaged, or was written by another program or a later version.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    request_names = {f.name for f in fields(RunRequest)}
    try:
        flat = {"format": 1, **read_json(path)}
        if flat["format"] not in (1, FORMAT):
            raise ConfigError(f"format {flat['format']!r}, expected {FORMAT}")
        request = {name: flat.pop(name) for name in request_names & set(flat)}
        return config_from_dict(RunCard, {**flat, "request": request})
    except (*DAMAGE, ConfigError) as error:
        raise DataError(f"{path} is not a run card of this version ({error})") from error
