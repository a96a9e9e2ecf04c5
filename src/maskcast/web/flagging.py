"""Frames to look at, in the form that the page lists. Imports no torch."""

from __future__ import annotations

from statistics import median
from typing import Any

from maskcast.runs.flags import FRAMES_BEFORE, Flag, FlagKind, find_flags, find_spots
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import FRAME_LOG
from maskcast.runs.masks import FoundByFrame
from maskcast.web.project import Project


def flags_of(project: Project) -> list[dict[str, Any]]:
    """Return the flags of a project, the worst first."""
    results, slots = project.results, project.slots
    entries = FrameLog(project.run / FRAME_LOG).by_frame()
    objects = {at: entry.objects for at, entry in entries.items() if results.stamp(at)}
    prompts = project.document.prompts
    prompted = {(at, object_id) for at, values in prompts.items() for object_id in values}
    shown = {known.id for known in project.document.objects}
    spots = find_spots(find_flags(objects, prompted=prompted))
    return [
        {
            "frame": spot.worst.frame,
            "slot": slots[spot.worst.object_id],
            "kind": str(spot.worst.kind),
            "text": _text(objects, spot.worst),
            "seen": seen_flag(project, spot.worst) in project.document.seen,
        }
        for spot in spots
        if spot.worst.object_id in shown
    ]


def seen_flag(project: Project, flag: Flag) -> tuple[int, int, str]:
    """Return the entry of a checked flag in the document, which is valid until its masks change."""
    return seen_entry(project, flag.frame, flag.object_id, str(flag.kind))


def seen_entry(project: Project, frame: int, object_id: int, kind: str) -> tuple[int, int, str]:
    """Return the entry for a frame, an object and a kind of flag."""
    return frame, object_id, f"{kind} {project.results.stamp(frame) or ''}".strip()


def _text(objects: FoundByFrame, flag: Flag) -> str:
    """Describe a flag by the log that it was found in; the results may change meanwhile."""
    logged = objects[flag.frame][flag.object_id]
    if flag.kind == FlagKind.JUMP:
        frames = range(max(flag.frame - FRAMES_BEFORE, 0), flag.frame)
        before = [objects.get(frame, {}).get(flag.object_id) for frame in frames]
        usual = median([one.area for one in before if one is not None and one.area] or [1])
        return f"area ×{logged.area / usual:.1f}"
    if flag.kind == FlagKind.UNSURE:
        if logged.presence is not None:
            return f"presence {logged.presence:.2f}"
        return (
            "confidence ?" if logged.confidence is None else f"confidence {logged.confidence:.2f}"
        )
    return str(flag.kind)
