"""How much room a run folder takes, and what of it can be given up. Imports no torch."""

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
    """Bytes of the files in a run folder."""

    masks: int
    soft_masks: int
    states: int
    aside: int
    """Results of earlier requests."""
    exports: int

    @property
    def total(self) -> int:
        """All of them together."""
        return sum(getattr(self, field.name) for field in fields(self))


def occupied(run: Path) -> Occupied:
    """Return how many bytes the files of a run folder take; unreadable ones count nothing."""
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
    """Say what cannot be resumed or undone without the states of a run, one line for each."""
    lost = []
    if room.states and card.status != "finished":
        lost.append(
            f"the run is not finished ({card.frames} frames are): it cannot be resumed, and will "
            "begin again at the first frame"
        )
    elif room.states:
        lost.append("a correction will compute all frames again, not only those after it")
    if room.aside:
        lost.append("an edit that is undone will be computed again, not brought back")
    return lost


def delete_states(run: Path) -> None:
    """Delete the states of a run and what was set aside; call it inside ``core.files.alone_in``.

    Raises:
        OutputError: something cannot be deleted.
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
