"""How LWL decides whether an object is visible, and where it is searched for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import ceil, dist, sqrt
from typing import Any, NamedTuple

import numpy as np

from maskcast.methods.onnx_runtime.crops import Patch, Sighting, View, centred_on, margins, sighting
from maskcast.methods.onnx_runtime.lwl_memory import Memory, Slot
from maskcast.methods.onnx_runtime.prompts import VISIBLE, Array, Size, presence_from

USUAL_RATE = 0.4

USUAL_PIXELS = 480 * 854


class Judgement(NamedTuple):
    """Presence of an object, 0..1, and the measurements behind it."""

    presence: float
    confidence: float
    likeness: float | None = None


class Target(NamedTuple):
    """The state of one tracked object."""

    object_id: int
    frames: int
    view: View
    seen: Sighting | None
    tau: Array
    memory: Memory
    latest: Slot | None = None
    first: Array | None = None
    usual_likeness: float | None = None
    absent_frames: int = 0
    unlearnt: bool = False
    everywhere: bool = False


class FoundObject(NamedTuple):
    """The result for one object on a frame, before objects are merged."""

    target: Target
    logits: Array
    patch: Patch | None = None
    x: Array | None = None
    absent: bool = False
    judged: Judgement | None = None


class Located(NamedTuple):
    """The result for one object after merging."""

    is_present: bool
    seen: Sighting | None
    confidence: float = 1.0


def judge(target: Target, results: Mapping[str, Array], config: Mapping[str, Any]) -> Judgement:
    """Return the presence of an object, by the rule of the settings."""
    rule, absent = config["rule"], target.absent_frames > 0
    confidence = float(results["confidence"][0])
    presence = presence_from(confidence, config["thresholds"][absent])
    likeness = None
    if rule in ("likeness", "head-and-likeness"):
        likeness = max(float(results["likeness"][0]), 0.0)
        likeness = 1.0 if np.isnan(likeness) else likeness
        presence = _with_likeness(target, presence, confidence, likeness, config)
    if "visible" in results:
        limit = config["head_thresholds"][absent]
        by_head = presence_from(float(results["visible"][0]), limit)
        if rule == "head-and-likeness":
            by_head = min(presence, by_head) if absent else max(presence, by_head)
        presence = by_head
    return Judgement(presence, confidence, likeness)


def _with_likeness(
    target: Target,
    presence: float,
    confidence: float,
    likeness: float,
    config: Mapping[str, Any],
) -> float:
    alike, unlike = presence_from(likeness, config["likeness_from"]), config["certain_below"][1]
    if target.absent_frames:
        level = min(presence, alike)
    else:
        unsure = presence_from(confidence, config["certain_below"][0])
        level = min(max(presence, alike), unsure, presence_from(likeness, unlike))
    if target.usual_likeness is None:
        return level
    lowest = min(max(target.usual_likeness - config["largest_drop"], 1e-6), 1 - 1e-6)
    return min(level, presence_from(likeness, lowest))


def views_elsewhere(target: Target, frame_size: Size, crop_size: Size, search: str) -> list[View]:
    """Return further views in which to search for an absent object."""
    if not target.absent_frames or not (target.everywhere or search == "frame"):
        return []
    rows, columns = (
        _centres(length, target.view.scale * side)
        for length, side in zip(frame_size, crop_size, strict=True)
    )
    centres = sorted(product(rows, columns), key=lambda at: dist(at, target.view.position))
    views = [target.view._replace(position=position) for position in centres]
    if target.everywhere and target.absent_frames == 1:
        return views
    return [views[(target.absent_frames - 1) % len(views)]]


def _centres(length: int, side: float) -> list[float]:
    gaps = ceil(max(length - side, 0) / (2 / 3 * side))
    if gaps == 0:
        return [(length - 1) / 2]
    return [(side - 1) / 2 + gap * (length - side) / gaps for gap in range(gaps + 1)]


def locate(
    probs: Array, judged: Judgement, last: Sighting | None, *, minimum_mass: float
) -> Located:
    """Locate an object; probability far from its last position counts only if it is more."""
    height, width = probs.shape
    whole = close = margins(probs)
    if last is not None:
        shared = sqrt(last.size[0] * last.size[1])
        (top, bottom), (left, right) = (
            (max(0, int(at - reach)), max(0, int(at + reach) + 1))
            for at, reach in (
                (at, size + shared / 2) for at, size in zip(last.position, last.size, strict=True)
            )
        )
        window = np.zeros_like(probs)
        window[top:bottom, left:right] = probs[top:bottom, left:right]
        close = margins(window)
    chosen = close if 2 * close[:height].sum() >= whole[:height].sum() else whole
    minimum_mass = minimum_mass * height * width / USUAL_PIXELS
    seen = sighting(chosen, height=height, minimum_mass=minimum_mass)
    is_present = judged.presence >= VISIBLE
    return Located(is_present, seen if is_present else None, judged.confidence)


def last_extent(target: Target) -> Sighting | None:
    """Return the position of an object, with the larger one of its size and that in its view."""
    if target.seen is None:
        return None
    size = (
        max(target.seen.size[0], target.view.size[0]),
        max(target.seen.size[1], target.view.size[1]),
    )
    return Sighting(target.seen.position, size)


def after_return(view: View, seen: Sighting, frame_size: Size) -> View:
    """Return the view of an object that was found again, scaled to its current size."""
    sides = zip(seen.position, seen.size, frame_size, strict=True)
    if any(not 0 <= at - size / 2 <= at + size / 2 <= length - 1 for at, size, length in sides):
        return view._replace(position=seen.position)
    return centred_on(seen, view)
