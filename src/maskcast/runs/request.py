"""The request of a run, and the check whether a folder may be used for it. Imports no torch.

Requests of any kind are compared with ``changed_entries``, and folders are taken with ``claim``:
runs of one video (``RunRequest``), evaluations and training runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maskcast.core.errors import ConfigError, OutputError, RunConflictError
from maskcast.core.renames import as_tracked
from maskcast.runs.fingerprint import ABSENT_MARK, END_MARK, RENAME_MARK

ADDABLE = {"direction": ("forward", "both"), "on_bad_frame": ("stop", "hold")}
"""Settings that may change from the first value (the default) to the second when a run continues;
finished frames stay valid."""
FREE = ("end",)
"""Settings that may change freely when a run continues; finished frames stay valid."""
RECOMPUTING = "probabilities"
"""Setting that may be switched on when a run continues; every frame is then computed again."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """Everything that determines the masks of a run, except device and threads."""

    method: str
    weights: str
    weights_sha256: str
    box_start: str | None = None
    """Name and hash of the weights that turn boxes into masks; None if they are not needed."""
    options: dict[str, str] = field(default_factory=dict)
    """Settings of the method, as given by the user."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the command (start, end, direction, dtype, …): numbers, strings and None."""
    input: str
    input_sha256: str
    prompts: dict[str, str] = field(default_factory=dict)
    """Fingerprints by ``FRAME:ID``, frames counted from ``start``; see
    ``fingerprint.prompt_fingerprints``."""

    def __post_init__(self) -> None:
        for key, value in self.prompts.items():
            if not re.fullmatch(r"[0-9]{1,12}:[0-9]{1,12}", key) or not isinstance(value, str):
                raise ConfigError("prompts must be texts named FRAME:ID")
            if value.startswith(RENAME_MARK) and not re.fullmatch("as [0-9]{1,12}", value):
                raise ConfigError(f"{value!r} is not the id of another object")

    @property
    def goes_backward(self) -> bool:
        """Whether a backward pass fills the frames before each object's first prompt."""
        return self.settings.get("direction") == "both"

    @property
    def last_first_prompt(self) -> int:
        """The frame on which the last object begins; 0 without objects."""
        return max((frame for frame, _ in self.first_prompts().values()), default=0)

    def marks(self) -> list[tuple[int, int, str]]:
        """Return the prompts as (frame, object id, value), sorted."""
        keys = ((key.split(":"), value) for key, value in self.prompts.items())
        return sorted((int(frame), int(object_id), value) for (frame, object_id), value in keys)

    def first_prompts(self) -> dict[int, tuple[int, str]]:
        """Return the frame and value of the first mask or box of every object."""
        first: dict[int, tuple[int, str]] = {}
        for frame_index, object_id, value in self.marks():
            if value not in (END_MARK, ABSENT_MARK) and not value.startswith(RENAME_MARK):
                first.setdefault(object_id, (frame_index, value))
        return first

    def renames(self) -> dict[int, dict[int, int]]:
        """Return the swaps and merges, as ``core.renames`` describes them."""
        renames: dict[int, dict[int, int]] = {}
        for frame_index, object_id, value in self.marks():
            if value.startswith(RENAME_MARK):
                other = int(value.removeprefix(RENAME_MARK))
                renames.setdefault(frame_index, {})[object_id] = other
        return renames

    def as_tracked(self) -> RunRequest:
        """Return the request that the method gets: without swaps and merges, in tracked ids."""
        if not (renames := self.renames()):
            return self
        prompts: dict[int, dict[int, str]] = {}
        ends: dict[int, set[int]] = {}
        for frame_index, object_id, value in self.marks():
            if value == END_MARK:
                ends.setdefault(frame_index, set()).add(object_id)
            elif not value.startswith(RENAME_MARK):
                prompts.setdefault(frame_index, {})[object_id] = value
        tracked, ended = as_tracked(renames, prompts, ends, is_absence=ABSENT_MARK.__eq__)
        marks = {(f, i): value for f, here in tracked.items() for i, value in here.items()}
        marks |= {(f, i): END_MARK for f, ids in ended.items() for i in ids}
        return replace(self, prompts={f"{f}:{i}": value for (f, i), value in marks.items()})

    def early_absences(self) -> list[tuple[int, int]]:
        """Return frame and object id of the absences before an object's first mask or box.

        A backward pass respects them.
        """
        first = self.first_prompts()
        return [
            (frame_index, object_id)
            for frame_index, object_id, value in self.marks()
            if value == ABSENT_MARK and object_id in first and frame_index < first[object_id][0]
        ]


def differences(old: RunRequest, new: RunRequest, *, edited: bool = False) -> Iterator[str]:
    """Describe the differences that prevent a run from continuing.

    A run can continue with further prompts and ends, a different end of the video, an added
    backward pass, added soft masks, or bad frames held from now on.

    Args:
        old: the request on the run card.
        new: the current request.
        edited: accept changed and removed prompts and ends too.
    """
    if old.input_sha256 != new.input_sha256:
        yield f"the input was {old.input} with different content"
    if old.method != new.method:
        yield f"the method was {old.method}, now {new.method}"
    if old.weights_sha256 != new.weights_sha256:
        yield (
            f"the weights were {old.weights} ({old.weights_sha256[:12]}), now {new.weights} "
            f"({new.weights_sha256[:12]}); to continue, give the earlier weights"
        )
    if not edited and old.box_start not in (None, new.box_start):
        yield f"boxes were converted to masks by {old.box_start}"
    yield from changed_entries(old.options, new.options, kind="option")
    accepted = {name: new.settings.get(name) for name in _accepted_settings(old, new)}
    yield from changed_entries({**old.settings, **accepted}, new.settings, kind="setting")
    if not edited:
        yield from _changed_prompts(old, new)


def changed_entries(
    old: Mapping[str, Any], new: Mapping[str, Any], *, kind: str = "", ignored: Collection[str] = ()
) -> Iterator[str]:
    """Describe the entries in which two mappings differ, by name.

    Args:
        old: entries of the earlier request; None means that an entry was not given.
        new: entries of the current request.
        kind: word for an entry in the messages, such as option or setting; none if empty.
        ignored: names of entries that may differ.
    """
    prefix = f"the {kind} " if kind else ""
    for name in sorted({*old, *new} - set(ignored)):
        if old.get(name) != new.get(name):
            was, now = ("not given" if of.get(name) is None else of[name] for of in (old, new))
            yield f"{prefix}{name} was {was}, now {now}"


def claim(
    folder: Path,
    differing: Collection[str] | None,
    *,
    kind: str = "run",
    instead: str = "choose another folder, or overwrite its results",
    options: tuple[str, ...] = ("output", "overwrite"),
) -> None:
    """Check that a folder may be used.

    Args:
        folder: path of the folder, which need not exist.
        differing: differences between its request and the current one; None if it has no request.
        kind: word for its content in the message: run, evaluation, training run.
        instead: what to do about a conflict, for the message.
        options: names of the options that resolve a conflict, for the message.

    Raises:
        RunConflictError: the folder holds a different run, or other files.
        OutputError: the folder cannot be read.
    """
    if differing:
        raise RunConflictError.listing(
            f"{folder} contains a different {kind} ({instead})", list(differing), options=options
        )
    others = _visible_files(folder) if differing is None else []
    if others:
        raise RunConflictError(
            f"{folder} contains files but no {kind} ({min(others)}, …); {instead}", options=options
        )


def first_difference(old: RunRequest, new: RunRequest) -> int | None:
    """Return the first frame whose results differ between two requests of one run.

    This is the first frame whose prompts, absences or ends were added, changed or removed. It is 0
    if the backward pass filled in an object whose first prompt, or an absence before it, changed.
    The result is None if there is no difference.
    """
    if old.goes_backward:
        if old.early_absences() != new.early_absences():
            return 0
        earlier, later = old.first_prompts(), new.first_prompts()
        if any(first[0] > 0 and later.get(i) != first for i, first in earlier.items()):
            return 0
    return min((mark[0] for mark in set(old.marks()) ^ set(new.marks())), default=None)


def _accepted_settings(old: RunRequest, new: RunRequest) -> Iterator[str]:
    yield from (name for name in FREE if name in new.settings or name in old.settings)
    for name, (usual, added) in ADDABLE.items():
        if old.settings.get(name) in (None, usual) and new.settings.get(name) == added:
            yield name
    if new.settings.get(RECOMPUTING):
        yield RECOMPUTING


def _changed_prompts(old: RunRequest, new: RunRequest) -> Iterator[str]:
    counted = "" if old.settings.get("start") is None else " after the start"
    for key, prompt in old.prompts.items():
        frame_index, object_id = key.split(":")
        if new.prompts.get(key) != prompt:
            what = _kind_of(prompt)
            change = "changed" if key in new.prompts else "removed"
            yield f"the {what} of object {object_id} on frame {frame_index}{counted} was {change}"


def _visible_files(folder: Path) -> list[str]:
    try:
        return [file.name for file in folder.iterdir() if not file.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"cannot use the output folder {folder}: {error.strerror}") from error


def _kind_of(mark: str) -> str:
    if mark.startswith(RENAME_MARK):
        return "swap or merge"
    return "end" if mark == END_MARK else "prompt"
