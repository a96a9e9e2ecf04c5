"""Absences in synthetic clips: an object leaves the frame, or something hides it, for some frames.

Clips of single pictures teach a network in this way that an object may be gone, and come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.data.synthetic.motion import Detour, Motion, Visit, draw_motion
from maskcast.data.synthetic.stage import Cutout, Layer, as_layer

RETURNING = 0.75
"""Share of the absences that end within the clip, where it has at least three frames."""
MARGIN = 1e-3
"""Least duration of a departure or a return, in frames."""


@dataclass(frozen=True)
class Absence:
    """When an object is gone; times are in frames."""

    begin: float
    """Last moment at which it is where it would be without the absence."""
    gone: float
    """First moment at which it is gone."""
    back: float
    """Last moment at which it is gone; infinity if it does not return."""
    end: float
    """First moment at which it is where it would be again; infinity if it does not return."""


def draw_absence(generator: np.random.Generator, times: Sequence[float]) -> Absence:
    """Draw which frames of a clip lack an object: some in a row, never the first.

    Args:
        times: of the frames, rising; at least two.
    """
    last = len(times) - 1
    if last >= 2 and generator.uniform() < RETURNING:
        first = int(generator.integers(1, last))
        until = int(generator.integers(first, last))
        back, end = times[until], max(times[until + 1], times[until] + MARGIN)
    else:
        first = int(generator.integers(1, last + 1))
        back = end = inf
    return Absence(times[first - 1], max(times[first], times[first - 1] + MARGIN), back, end)


def leave_frame(
    generator: np.random.Generator, layer: Layer, absence: Absence, size: tuple[int, int]
) -> Layer:
    """Move an object out of the frame, to a random side, while it is absent."""
    x, y = generator.uniform(-1, 1, 2)
    half = np.array([size[1], size[0]]) / min(size) / 2
    extent = _radius(layer.motion)
    # from anywhere in the frame past the nearer border, and a camera that follows a little
    distance = 2 * half + extent * generator.uniform(1.1, 2.5)
    sideways = abs(x) * half[0] > abs(y) * half[1]
    shift = (
        (np.sign(x) * distance[0], y * half[1])
        if sideways
        else (
            x * half[0],
            np.sign(y) * distance[1],
        )
    )
    detour = _detour(absence, (float(shift[0]), float(shift[1])))
    return replace(layer, motion=replace(layer.motion, excursion=detour))


def hide(
    generator: np.random.Generator,
    layer: Layer,
    absence: Absence,
    *,
    cutout: Cutout,
    fills_square: bool,
) -> Layer:
    """Make something pass in front of an object that hides it while it is absent.

    Args:
        cutout: what hides it.
        fills_square: whether the cutout covers its whole square; if not, it is drawn larger.
    """
    radius = _radius(layer.motion)
    size = radius * generator.uniform(1.1, 1.5) * (1.0 if fills_square else 1.6)
    aspect = float(np.exp(generator.uniform(0, 0.5)))
    motion = draw_motion(generator, start=layer.motion.start, size=size, aspect=aspect, pace=0.3)
    away = (size * np.hypot(1, aspect) + radius) * generator.uniform(1.0, 2.0, 2)
    angles = generator.uniform(0, 2 * np.pi, 2)
    before, after = np.column_stack([np.cos(angles), np.sin(angles)]) * away[:, None]
    visit = Visit(
        _detour(absence, (0.0, 0.0)),
        (float(before[0]), float(before[1])),
        (float(after[0]), float(after[1])),
    )
    followed = replace(
        motion,
        path=layer.motion.path,
        zoom=layer.motion.zoom,
        turn=0.2 * motion.turn,
        bending=None,
        excursion=visit,
    )
    return as_layer(cutout, followed, 0, shadow=False)


def board(picture: Float[Tensor, "3 height width"]) -> Cutout:
    """Return a picture as something opaque that fills its square."""
    alpha = torch.ones(picture.shape[1:])
    alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1] = 0, 0, 0, 0
    return Cutout(picture, alpha)


def _radius(motion: Motion) -> float:
    """Return half the diagonal of an object at time zero, in units of the world."""
    return motion.size * float(np.hypot(1, motion.aspect))


def _detour(absence: Absence, shift: tuple[float, float]) -> Detour:
    return Detour(absence.begin, absence.gone, absence.back, absence.end, shift)
