"""What is counted on clips with objects that leave and return, as plain functions of lists.

A track is one object from the frame after its first mask on. A frame is absent if it shows no pixel
of the object, and visible if the object covers at least 0.1 % of the picture; others count for J&F
only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import fmean
from typing import Any

VISIBLE_SHARE = 0.001
"""Share of the picture from which an object is visible."""
FOUND_IOU = 0.5
FOUND_WITHIN = 5
"""Frames, the first visible one included, within which a return must be found."""


@dataclass
class Track:
    """One object: the truth, and what was found. Lists have an entry for each frame."""

    object_id: int
    has_copies: bool = False
    """Whether the clip is known to show copies of the object."""
    share: list[float] = field(default_factory=list)
    """Share of the picture that shows the object, 0..1; 0 or 1 where judged by eye."""
    painted: list[int] = field(default_factory=list)
    """Pixels of the mask that was found."""
    J: list[float] = field(default_factory=list)
    """Region similarity; empty where the truth is known by eye only."""
    F: list[float] = field(default_factory=list)
    """Contour accuracy; the same."""
    on_copy: list[bool] = field(default_factory=list)
    """Whether at least half of the mask lies on one copy."""
    presence: list[float] = field(default_factory=list)
    """Empty where the method does not judge it."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, with figures rounded to four digits."""
        return {
            name: [round(one, 4) for one in value] if name in _ROUNDED else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Track:
        """Return what ``to_json`` has written."""
        return cls(**{each.name: entry[each.name] for each in fields(cls)})


_ROUNDED = ("share", "J", "F", "presence")


@dataclass(frozen=True)
class Counts:
    """Frames and events of several tracks."""

    absent: int = 0
    false: int = 0
    """Absent frames with a painted pixel."""
    visible: int = 0
    lost: int = 0
    """Visible frames without a painted pixel."""
    dropped: int = 0
    """Those of them on which the object had not been absent since it last had a mask; the others
    follow a return that was not found."""
    returns: int = 0
    found: int = 0
    """Returns with IoU 0.5, or by eye with a mask, within five frames."""
    with_copies: int = 0
    wrong: int = 0
    """Frames of objects with copies whose mask lies on a copy."""
    quality: float | None = None
    """J&F, 0..1: mean over frames, then over objects; absent frames count."""


def count(tracks: Sequence[Track]) -> Counts:
    """Count over all tracks together."""
    rows = [list(zip(track.share, track.painted, strict=True)) for track in tracks]
    pairs = [pair for row in rows for pair in row]
    returns = [found for track in tracks for found in _returns(track)]
    copied = [on for track in tracks if track.has_copies for on in track.on_copy]
    scores = [fmean([fmean(track.J), fmean(track.F)]) for track in tracks if track.J]
    return Counts(
        absent=sum(share == 0 for share, _ in pairs),
        false=sum(share == 0 and painted > 0 for share, painted in pairs),
        visible=sum(share >= VISIBLE_SHARE for share, _ in pairs),
        lost=sum(share >= VISIBLE_SHARE and painted == 0 for share, painted in pairs),
        dropped=sum(_dropped(track) for track in tracks),
        returns=len(returns),
        found=sum(returns),
        with_copies=len(copied),
        wrong=sum(copied),
        quality=fmean(scores) if scores else None,
    )


def _returns(track: Track) -> Iterator[bool]:
    """Yield for each return whether it was found."""
    was_absent = False
    for frame, share in enumerate(track.share):
        if share == 0:
            was_absent = True
        elif share >= VISIBLE_SHARE and was_absent:
            was_absent = False
            following = slice(frame, frame + FOUND_WITHIN)
            if track.J:
                yield any(J >= FOUND_IOU for J in track.J[following])
            else:
                yield any(painted > 0 for painted in track.painted[following])


def _dropped(track: Track) -> int:
    """Count visible frames that lost their mask without an absence before."""
    dropped, was_absent = 0, False
    for share, painted in zip(track.share, track.painted, strict=True):
        if share == 0:
            was_absent = True
        elif painted > 0:
            was_absent = False
        elif share >= VISIBLE_SHARE and not was_absent:
            dropped += 1
    return dropped


HEADER = (
    "| variant | clips | J&F | false masks | lost | dropped | returns found | wrong identity |",
    "|---|---|---|---|---|---|---|---|",
)


def row(variant: str, clips: str, counts: Counts) -> str:
    """Return one line of the table."""
    cells = (
        variant,
        clips,
        "–" if counts.quality is None else f"{100 * counts.quality:.1f}",
        _share(counts.false, counts.absent),
        _share(counts.lost, counts.visible),
        _share(counts.dropped, counts.visible),
        f"{counts.found} of {counts.returns}" if counts.returns else "–",
        _share(counts.wrong, counts.with_copies),
    )
    return f"| {' | '.join(cells)} |"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f} %)" if whole else "–"
