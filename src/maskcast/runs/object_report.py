"""Say in a few lines on which frames objects of a run are absent, unsure, or change abruptly.

    object 2: absent on 74-103; unsure on 112-118

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from maskcast.runs.flags import GAP, FlagKind, find_flags, histories
from maskcast.runs.masks import FoundByFrame

MOST_OBJECTS = 5
"""Number of objects with a line of their own."""
MOST_CUTS = 5
"""Number of shot cuts that a line names."""
MOST_STRETCHES = 3
"""Number of stretches of one kind that a line names."""
NO_NAMES: Mapping[int, str] = MappingProxyType({})
"""No names of objects."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive frames, both ends included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.last - self.first + 1


@dataclass(frozen=True, kw_only=True)
class ObjectReport:
    """The frames of one object that a person should look at."""

    object_id: int
    absent: tuple[Stretch, ...] = ()
    """The mask is empty, although the user has not marked the object as absent on every frame."""
    unsure: tuple[Stretch, ...] = ()
    """Flagged as unsure."""
    jumps: tuple[Stretch, ...] = ()
    """Flagged for a jump of the area that is not near an absence."""

    @property
    def frames(self) -> int:
        """Number of frames concerned."""
        return sum(stretch.length for stretch in (*self.absent, *self.unsure, *self.jumps))

    def line(self, frame_key: Callable[[int], str], name: str | None = None) -> str:
        """Return the report in one line.

        Args:
            frame_key: returns how a frame is called, by its index.
            name: name of the object, shown after its id.
        """
        kinds = {"absent": self.absent, "unsure": self.unsure, "area jumps": self.jumps}
        parts = [f"{kind} on {_named(of, frame_key)}" for kind, of in kinds.items() if of]
        shown = f"{self.object_id} ({name})" if name else f"{self.object_id}"
        return f"object {shown}: {'; '.join(parts)}"


def report_objects(
    logged: FoundByFrame, prompted: Collection[tuple[int, int]] = ()
) -> list[ObjectReport]:
    """Return a report for each object that needs one; the object with most frames comes first.

    Shot cuts, on which every object is unsure, are not part of it.

    Args:
        logged: entries of the log.
        prompted: frames and ids of masks, boxes and absences that a person gave.
    """
    flags = find_flags(logged, prompted=prompted)
    reports = []
    for object_id, history in histories(logged).items():
        empty = _stretches((frame for frame, one in history if not one.area), gap=1)
        by_kind = {
            kind: _stretches(f.frame for f in flags if (f.object_id, f.kind) == (object_id, kind))
            for kind in (FlagKind.UNSURE, FlagKind.JUMP)
        }
        report = ObjectReport(
            object_id=object_id,
            absent=tuple(s for s in empty if not _is_given(s, object_id, prompted)),
            unsure=tuple(by_kind[FlagKind.UNSURE]),
            jumps=tuple(s for s in by_kind[FlagKind.JUMP] if not _is_near(s, empty)),
        )
        reports.append(report)
    concerned = [report for report in reports if report.frames]
    return sorted(concerned, key=lambda report: (-report.frames, report.object_id))


def describe_objects(
    reports: Sequence[ObjectReport],
    frame_key: Callable[[int], str],
    most: int = MOST_OBJECTS,
    *,
    names: Mapping[int, str] = NO_NAMES,
) -> list[str]:
    """Return a line for each of the first objects, and one that counts the others.

    Args:
        reports: the objects, in their order.
        frame_key: returns how a frame is called, by its index.
        most: number of objects with a line of their own.
        names: names of objects by id, shown after the ids.
    """
    lines = [report.line(frame_key, names.get(report.object_id)) for report in reports[:most]]
    if others := len(reports) - len(lines):
        lines.append(f"{others} more {'object' if others == 1 else 'objects'} with such frames")
    return lines


def describe_cuts(frames: Sequence[int], frame_key: Callable[[int], str]) -> list[str]:
    """Return at most one line, about the frames that begin a new shot."""
    shown = ", ".join(map(frame_key, frames[:MOST_CUTS]))
    others = f" and {len(frames) - MOST_CUTS} more" if len(frames) > MOST_CUTS else ""
    return [f"all objects: unsure on {shown}{others}, after a shot cut"] if frames else []


def describe_late_starts(starts: Mapping[int, int], frame_key: Callable[[int], str]) -> list[str]:
    """Return at most one line, about objects that a forward run does not find on early frames.

    Args:
        starts: index of the frame with the first mask or box of each object, by object id.
        frame_key: returns how a frame is called, by its index.
    """
    late = sorted((start, object_id) for object_id, start in starts.items() if start > 0)
    shown = [f"object {object_id} before frame {frame_key(start)}" for start, object_id in late]
    if not shown:
        return []
    if len(shown) > MOST_OBJECTS:
        shown[MOST_OBJECTS:] = [f"{len(shown) - MOST_OBJECTS} more on later frames"]
    return [
        f"masks stay empty before the first mask or box of an object ({', '.join(shown)}); to fill "
        "them, set direction to both"
    ]


def describe_resumption(first: int, lacking: int, frame_key: Callable[[int], str]) -> str:
    """Return the line that says where a run goes on.

    Args:
        first: index of the frame that is segmented first.
        lacking: index of the first frame without a result.
        frame_key: returns how a frame is called, by its index.
    """
    if first == 0 < lacking:
        start, missing = frame_key(first), frame_key(lacking)
        return f"starting again at frame {start}: no state before frame {missing} is saved"
    return f"resuming at frame {frame_key(first)}, after the nearest saved state"


def _stretches(frames: Iterable[int], gap: int = GAP) -> list[Stretch]:
    """Join frames that are at most ``gap`` apart; they must be in ascending order."""
    stretches: list[Stretch] = []
    for frame in frames:
        if stretches and frame - stretches[-1].last <= gap:
            stretches[-1] = Stretch(stretches[-1].first, frame)
        else:
            stretches.append(Stretch(frame, frame))
    return stretches


def _is_given(stretch: Stretch, object_id: int, prompted: Collection[tuple[int, int]]) -> bool:
    frames = range(stretch.first, stretch.last + 1)
    return all((frame, object_id) in prompted for frame in frames)


def _is_near(stretch: Stretch, others: Iterable[Stretch]) -> bool:
    return any(s.first - GAP <= stretch.last and stretch.first <= s.last + GAP for s in others)


def _named(stretches: Sequence[Stretch], frame_key: Callable[[int], str]) -> str:
    """Name the longest stretches in their order, and count the others."""
    longest = sorted(stretches, key=lambda stretch: -stretch.length)[:MOST_STRETCHES]
    shown = [
        frame_key(s.first) if s.length == 1 else f"{frame_key(s.first)}-{frame_key(s.last)}"
        for s in sorted(longest, key=lambda stretch: stretch.first)
    ]
    others = len(stretches) - len(shown)
    return ", ".join(shown) + (f" and {others} more" if others else "")
