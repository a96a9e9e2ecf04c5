"""Disk usage of a run folder, and which parts of it can be deleted. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from maskcast.io.packed_masks import PACKED_NAMES
from maskcast.runs.card import RunCard
from maskcast.runs.layout import ASIDE, EXPORTS, PROBABILITIES, STATES
from maskcast.runs.removal import remove_folder


@dataclass(frozen=True, kw_only=True)
class Occupied:
    """Disk usage of a run folder in bytes."""

    masks: int
    soft_masks: int
    states: int
    aside: int
    """Results of earlier requests."""
    exports: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return sum(getattr(self, field.name) for field in fields(self))


def occupied(run: Path) -> Occupied:
    """Return the disk usage of a run folder in bytes; unreadable files count as 0."""
    aside = _size(_files(run / STATES / ASIDE))
    masks = (path for path in _entries(run) if path.suffix == ".png" or path.name in PACKED_NAMES)
    return Occupied(
        masks=_size(masks),
        soft_masks=_size(_files(run / PROBABILITIES)),
        states=_size(_files(run / STATES)) - aside,
        aside=aside,
        exports=_size(_files(run / EXPORTS)),
    )


def lost_by_cleaning(card: RunCard, room: Occupied) -> list[str]:
    """Describe what deleting the states of a run makes impossible or slower, one line each."""
    lost = []
    if room.states and card.status != "finished":
        lost.append(
            f"the run is not finished ({card.frames} frames are): it cannot be resumed and will "
            "start again at the first frame"
        )
    elif room.states:
        lost.append("a correction will compute all frames again, not only those that follow it")
    if room.aside:
        lost.append("undoing an edit will compute its frames again instead of restoring them")
    return lost


def delete_states(run: Path) -> None:
    """Delete the states of a run and the results set aside.

    Call it inside ``core.files.alone_in``.

    Raises:
        OutputError: a file or folder cannot be deleted.
    """
    remove_folder(run / STATES)


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _files(folder: Path) -> Iterable[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _size(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(OSError):
            total += path.stat().st_size
    return total
