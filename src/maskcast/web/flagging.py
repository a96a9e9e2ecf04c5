"""Frames to look at, in the form that the page lists. Imports no torch."""

from __future__ import annotations

from statistics import median
from typing import Any

from maskcast.runs.flags import FRAMES_BEFORE, Flag, FlagKind, find_flags, find_spots
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import FRAME_LOG
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
            "text": _text(project, spot.worst),
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


def _text(project: Project, flag: Flag) -> str:
    if flag.kind == FlagKind.JUMP:
        areas = project.results.areas[flag.object_id]
        before = [int(area) for area in areas[max(flag.frame - FRAMES_BEFORE, 0) : flag.frame]]
        usual = median([area for area in before if area > 0] or [1])
        return f"area ×{areas[flag.frame] / usual:.1f}"
    if flag.kind == FlagKind.UNSURE:
        return f"confidence {project.results.confidences[flag.object_id][flag.frame]:.2f}"
    return str(flag.kind)
