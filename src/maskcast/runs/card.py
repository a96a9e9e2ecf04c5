"""The run card ``run.json``: what was asked, on what it ran, how far it came, how long it took."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.core.errors import ConfigError, DataError
from maskcast.io.files import write_text

CARD = "run.json"
TAKEN_UP = {"direction": ("forward", "both"), "on_bad_frame": ("stop", "hold")}
"""Settings that a run may change to on the way: what it has found so far stays right."""
Status = Literal["running", "interrupted", "stopped", "finished"]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What decides the masks of a run, apart from device and threads."""

    method: str
    weights: str
    weights_sha256: str
    box_start: str | None = None
    """Weights and hash of the model that turned boxes into masks, where the method could not."""
    options: dict[str, str] = field(default_factory=dict)
    """Of the method, as given."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the command: start, end, direction, dtype, …; numbers, text and None."""
    input: str
    input_sha256: str
    prompts: dict[str, str] = field(default_factory=dict)
    """By ``FRAME:ID``, frames counted from ``start`` on (``fingerprint.prompt_fingerprints``)."""

    def __post_init__(self) -> None:
        if not all(re.fullmatch(r"[0-9]+:[0-9]+", place) for place in self.prompts):
            raise ConfigError("a prompt is not named FRAME:ID")


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
    """Everything a reader of the results may ask later."""

    maskcast: str
    """Version."""
    torch: str
    """Version."""
    request: RunRequest
    status: Status = "running"
    note: str = ""
    """Why a stopped run stopped."""
    device: str = "cpu"
    threads: int = 1
    frames: int = 0
    """Finished, from the first on."""
    forward_finished: bool = False
    """Every frame is segmented; with ``direction`` both, the backward pass may be under way."""
    frames_backward: int = 0
    """Finished by the backward pass, from its last frame on."""
    resumed_from: int = 0
    """The frame this run continued from, counted from ``start`` on; 0 for a fresh one."""
    steps: int = 0
    """Frames segmented by all sessions together, those done again after a resume included."""
    seconds: TimeSplit = field(default_factory=TimeSplit)
    """Of all sessions together."""


def write_card(folder: Path, card: RunCard) -> None:
    """Write ``run.json``; the request's entries stand at the top level.

    Raises:
        OutputError: it cannot be written.
    """
    content = config_to_dict(card)
    flat = {"maskcast": content.pop("maskcast"), **content.pop("request"), **content}
    write_text(folder / CARD, json.dumps(flat, indent=2, ensure_ascii=False) + "\n", sync=True)


def read_card(folder: Path) -> RunCard | None:
    """Read ``run.json``; None where there is none.

    Raises:
        DataError: it is damaged, or was not written by this command.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    request_names = {f.name for f in fields(RunRequest)}
    try:
        flat = json.loads(path.read_text("utf-8"))
        request = {name: flat.pop(name) for name in request_names & set(flat)}
        return config_from_dict(RunCard, {**flat, "request": request})
    except (ValueError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        raise DataError(f"{path} is not a run card of this version ({error})") from error


def differences(old: RunRequest, new: RunRequest) -> Iterator[str]:
    """Say in which ways a run differs from that on the card.

    What goes on with the run is no difference: added prompts, a backward pass, and bad frames held
    from now on.
    """
    if old.input_sha256 != new.input_sha256:
        yield f"the input was {old.input} with other content"
    if old.method != new.method:
        yield f"the method was {old.method}, now {new.method}"
    if old.weights_sha256 != new.weights_sha256:
        yield f"the weights were {old.weights} ({old.weights_sha256[:12]})"
    if old.box_start not in (None, new.box_start):
        yield f"boxes were turned into masks by {old.box_start}"
    yield from _changed("option", old.options, new.options)
    taken_up = {name: after for name, (_, after) in TAKEN_UP.items() if _takes_up(name, old, new)}
    yield from _changed("setting", {**old.settings, **taken_up}, new.settings)
    counted = "" if old.settings.get("start") is None else " after --start"
    for place, prompt in old.prompts.items():
        frame_index, object_id = place.split(":")
        if new.prompts.get(place) != prompt:
            change = "changed" if place in new.prompts else "removed"
            yield f"the prompt of object {object_id} on frame {frame_index}{counted} was {change}"


def first_new_prompt(old: RunRequest, new: RunRequest) -> int | None:
    """Return the first frame with a prompt that the old request does not have."""
    added = set(new.prompts) - set(old.prompts)
    return min((int(place.split(":")[0]) for place in added), default=None)


def adds_backward_pass(old: RunRequest, new: RunRequest) -> bool:
    """Return whether a run that went forward is now to go backward too."""
    return _takes_up("direction", old, new)


def _takes_up(setting: str, old: RunRequest, new: RunRequest) -> bool:
    return (old.settings.get(setting), new.settings.get(setting)) == TAKEN_UP[setting]


def _changed(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            was, now = ("not given" if of.get(name) is None else of[name] for of in (old, new))
            yield f"the {kind} {name} was {was}, now {now}"
