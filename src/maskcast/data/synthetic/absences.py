"""Absences in synthetic clips: an object leaves the frame or is hidden for some frames.

They teach a network that an object may disappear and return.
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
"""Probability that an absence ends within the clip, if the clip has at least three frames."""
MARGIN = 1e-3
"""Minimum duration of a departure or a return, in frames."""


@dataclass(frozen=True)
class Absence:
    """The times of an absence, in frames."""

    begin: float
    """Start of the departure; until then the object is on its path."""
    gone: float
    """End of the departure; from then on the object is absent."""
    back: float
    """Start of the return, until which the object is absent; infinity if it does not return."""
    end: float
    """End of the return; from then on the object is on its path. Infinity if it does not return."""


def draw_absence(generator: np.random.Generator, times: Sequence[float]) -> Absence:
    """Draw an absence that covers some consecutive frames of a clip, but never the first frame.

    Args:
        generator: source of random numbers.
        times: times of at least two frames, in ascending order.
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
    """Move an object out of the frame, at a random side, during its absence."""
    x, y = generator.uniform(-1, 1, 2)
    half = np.array([size[1], size[0]]) / min(size) / 2
    extent = _radius(layer.motion)
    # far enough from anywhere in the frame, even if the camera follows a little
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
    """Return a layer that passes in front of an object and hides it during its absence.

    Args:
        generator: source of random numbers.
        layer: the object.
        absence: times of the absence.
        cutout: cut-out that hides the object.
        fills_square: whether the cut-out covers its whole square; if not, it is drawn larger.
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
    """Return a picture as an opaque cut-out that fills its square."""
    alpha = torch.ones(picture.shape[1:])
    alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1] = 0, 0, 0, 0
    return Cutout(picture, alpha)


def _radius(motion: Motion) -> float:
    """Return half the diagonal of an object at time 0, in world units."""
    return motion.size * float(np.hypot(1, motion.aspect))


def _detour(absence: Absence, shift: tuple[float, float]) -> Detour:
    return Detour(absence.begin, absence.gone, absence.back, absence.end, shift)
