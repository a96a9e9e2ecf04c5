"""Motion of layers in synthetic clips: smooth paths, affine, perspective and thin-plate motion.

Times are in frames (24 per second) and may be fractions. World coordinates are in units of the
frame's shorter side, with the origin in the middle of the frame, x to the right and y downwards.

    homography   3 × 3   maps points (x, y, 1) of a layer's own square, -1..1, into the world
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import pi
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Array: TypeAlias = NDArray[np.float64]

NODES = 13
"""Number of points along each side of a layer's patch at which the mapping is computed exactly."""


@dataclass(frozen=True)
class Wave:
    """A smooth random function of time that is 0 at time 0: two sines and a drift."""

    amplitudes: Array
    """Amplitudes of the two sines, in the unit of the moved quantity."""
    rates: Array
    """Angular frequencies, in radians per frame."""
    phases: Array
    """Phases at time 0, in radians."""
    drift: float
    """Drift per frame."""

    def at(self, time: float) -> float:
        """Return the value at a time."""
        swing = np.sin(self.rates * time + self.phases) - np.sin(self.phases)
        return float(self.amplitudes @ swing) + self.drift * time


def draw_wave(generator: np.random.Generator, amplitude: float, drift: float = 0.0) -> Wave:
    """Draw a wave with about this amplitude and periods of one to seven seconds."""
    rates = 2 * pi / np.exp(generator.uniform(np.log(24), np.log(170), 2))
    share = generator.uniform(0.3, 1)
    return Wave(
        amplitude * np.array([share, 0.5 * (1 - share)]),
        rates,
        generator.uniform(0, 2 * pi, 2),
        float(generator.normal(0, drift)) if drift else 0.0,
    )


@dataclass(frozen=True)
class Excursion:
    """A detour that starts and ends smoothly, long enough to leave the frame and return."""

    begin: float
    """Start, in frames."""
    end: float
    """End, in frames."""
    shift: tuple[float, float]
    """Shift (x, y) halfway, in world units."""

    def at(self, time: float) -> Array:
        """Return the shift (x, y) at a time."""
        progress = np.clip((time - self.begin) / (self.end - self.begin), 0, 1)
        return np.asarray(np.array(self.shift) * np.sin(pi * progress) ** 2)


@dataclass(frozen=True)
class Detour:
    """A detour that leaves the path, stays away, and may return."""

    begin: float
    """Time at which it leaves the path, in frames."""
    gone: float
    """Time at which the full shift is reached, in frames."""
    back: float
    """Time at which the return starts, in frames; infinity if there is none."""
    end: float
    """Time at which the path is reached again, in frames; infinity if it is not."""
    shift: tuple[float, float]
    """Full shift (x, y), in world units."""

    def share_at(self, time: float) -> float:
        """Return the share of the full shift at a time, 0..1."""
        if time <= self.back:
            return _eased(time, self.begin, self.gone)
        return 1 - _eased(time, self.back, self.end)

    def at(self, time: float) -> Array:
        """Return the shift (x, y) at a time."""
        return np.array(self.shift) * self.share_at(time)


@dataclass(frozen=True)
class Visit:
    """The opposite of a detour: on the path only while the detour has its full shift."""

    detour: Detour
    before: tuple[float, float]
    """Shift (x, y) from the path before the visit, in world units."""
    after: tuple[float, float]
    """Shift (x, y) from the path after the visit, in world units."""

    def at(self, time: float) -> Array:
        """Return the shift (x, y) at a time."""
        side = self.before if time <= self.detour.gone else self.after
        return np.array(side) * (1 - self.detour.share_at(time))


def _eased(time: float, begin: float, end: float) -> float:
    """Rise smoothly from 0 at ``begin`` to 1 at ``end``."""
    if time >= end:
        return 1.0
    progress = max(0.0, (time - begin) / (end - begin))
    return float(np.sin(pi / 2 * progress) ** 2)


@dataclass(frozen=True)
class Bending:
    """Thin-plate splines over a grid of 3 × 3 points that oscillate about their positions."""

    points: Array
    """Points (9 × 2) in the layer's square, -1..1."""
    amplitude: float
    """Amplitude of the oscillation, in units of half the layer's side."""
    rate: float
    """Angular frequency, in radians per frame."""
    directions: Array
    """Directions of the oscillation: 9 × 2, unit vectors."""
    phases: Array
    """9 phases, in radians."""
    inverse: Array = field(init=False, repr=False)
    """Inverse of the 12 × 12 interpolation matrix."""

    def __post_init__(self) -> None:
        count = len(self.points)
        affine = np.column_stack([np.ones(count), self.points])
        matrix = np.zeros((count + 3, count + 3))
        matrix[:count, :count] = _thin_plate_kernel(self.points, self.points)
        matrix[:count, count:] = affine
        matrix[count:, :count] = affine.T
        object.__setattr__(self, "inverse", np.linalg.inv(matrix))

    def at(self, time: float, positions: Array) -> Array:
        """Return the displacement of ``positions`` (n × 2) at a time; it is 0 at time 0."""
        swing = np.sin(self.rate * time + self.phases) - np.sin(self.phases)
        displacement = self.amplitude * swing[:, None] * self.directions
        coefficients = self.inverse[:, : len(self.points)] @ displacement
        kernel = _thin_plate_kernel(positions, self.points)
        count = len(self.points)
        bent = kernel @ coefficients[:count]
        return np.asarray(bent + coefficients[count] + positions @ coefficients[count + 1 :])


def _thin_plate_kernel(positions: Array, points: Array) -> Array:
    """Return ``r² log r``, the kernel with minimum bending energy."""
    squared = ((positions[:, None] - points[None]) ** 2).sum(axis=-1)
    return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-12)))


def draw_bending(generator: np.random.Generator, amplitude: float) -> Bending:
    """Draw the bending of a layer; ``amplitude`` is in units of half its side."""
    grid = np.array([(x, y) for y in (-0.7, 0.0, 0.7) for x in (-0.7, 0.0, 0.7)])
    directions = generator.uniform(0, 2 * pi, 9)
    return Bending(
        grid + generator.normal(0, 0.05, grid.shape),
        amplitude,
        2 * pi / generator.uniform(18, 90),
        np.column_stack([np.cos(directions), np.sin(directions)]),
        generator.uniform(0, 2 * pi, 9),
    )


@dataclass(frozen=True)
class Motion:
    """The position and shape of a layer as a function of time."""

    start: tuple[float, float]
    """Centre at time 0, in world units."""
    size: float
    """Half the side of the layer's square at time 0, in world units."""
    turn: float
    """Rotation at time 0, in radians."""
    aspect: float
    """Width over height of the content, as a factor on x."""
    path: tuple[Wave, Wave]
    """Motion of the centre along x and y, in world units."""
    rotation: Wave
    """Change of the rotation, in radians."""
    zoom: Wave
    """Change of the logarithm of the size."""
    tilt: tuple[Wave, Wave]
    """Perspective: how much farther away the right and the lower side are than the others."""
    bending: Bending | None = None
    """Bending of the layer; None keeps it flat."""
    excursion: Excursion | Detour | Visit | None = None
    """Departure from the path; None for none."""

    def centre(self, time: float) -> Array:
        """Return the centre in world coordinates at a time."""
        on_path = np.array(self.start) + [wave.at(time) for wave in self.path]
        return on_path if self.excursion is None else on_path + self.excursion.at(time)

    def homography(self, time: float) -> Array:
        """Return the mapping (3 × 3) from the layer's square to the world at a time."""
        x, y = self.centre(time)
        angle = self.turn + self.rotation.at(time)
        scale = self.size * np.exp(self.zoom.at(time))
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        tilt_x, tilt_y = (np.clip(wave.at(time), -0.45, 0.45) for wave in self.tilt)
        similarity = np.array(
            [[cosine * self.aspect, -sine, x], [sine * self.aspect, cosine, y], [0, 0, 1]]
        )
        perspective = np.array([[1, 0, 0], [0, 1, 0], [tilt_x, tilt_y, 1]])
        return np.asarray(similarity @ perspective)


def draw_motion(
    generator: np.random.Generator,
    *,
    start: tuple[float, float],
    size: float,
    aspect: float,
    pace: float,
) -> Motion:
    """Draw the motion of an object; a ``pace`` of 1 is walking speed, 3 is running."""
    bends = generator.uniform() < 0.7
    return Motion(
        start=start,
        size=size,
        turn=float(generator.normal(0, 0.35)),
        aspect=aspect,
        path=(
            draw_wave(generator, 0.22 * pace, 0.004 * pace),
            draw_wave(generator, 0.10 * pace, 0.002 * pace),
        ),
        rotation=draw_wave(generator, generator.uniform(0, 0.5) * pace, 0.003 * pace),
        zoom=draw_wave(generator, generator.uniform(0, 0.3) * pace),
        tilt=(
            draw_wave(generator, generator.uniform(0, 0.2)),
            draw_wave(generator, generator.uniform(0, 0.2)),
        ),
        bending=draw_bending(generator, generator.uniform(0.03, 0.14)) if bends else None,
    )


def draw_camera(generator: np.random.Generator, shake: float) -> Motion:
    """Draw the motion of a hand-held camera, which pans, zooms and turns a little."""
    return Motion(
        start=(0.0, 0.0),
        size=1.0,
        turn=0.0,
        aspect=1.0,
        path=(
            draw_wave(generator, 0.12 * shake, 0.002 * shake),
            draw_wave(generator, 0.06 * shake),
        ),
        rotation=draw_wave(generator, 0.05 * shake),
        zoom=draw_wave(generator, 0.08 * shake),
        tilt=(draw_wave(generator, 0.03 * shake), draw_wave(generator, 0.03 * shake)),
    )


def meet(first: Motion, second: Motion, time: float) -> Motion:
    """Return ``second`` with its drift changed so that it meets ``first`` at a time."""
    missing = (first.centre(time) - second.centre(time)) / time
    path = tuple(
        Wave(wave.amplitudes, wave.rates, wave.phases, wave.drift + float(more))
        for wave, more in zip(second.path, missing, strict=True)
    )
    return replace(second, path=(path[0], path[1]))


def to_pixels(size: tuple[int, int]) -> Array:
    """Return the matrix from world coordinates to pixels of a frame of this height and width."""
    unit = min(size)
    return np.array([[unit, 0, size[1] / 2 - 0.5], [0, unit, size[0] / 2 - 0.5], [0, 0, 1.0]])


Window: TypeAlias = tuple[int, int, int, int]
"""Top, bottom, left and right of a region of the frame, as slice limits in pixels."""


def patch_of(homography: Array, size: tuple[int, int], margin: float = 1.25) -> Window | None:
    """Return the part of the frame that a layer can cover; None if it is outside or edge-on."""
    corners = np.array([(x, y, 1.0) for x in (-margin, margin) for y in (-margin, margin)])
    projected = corners @ homography.T
    if (projected[:, 2] < 0.05).any():
        return None
    points = projected[:, :2] / projected[:, 2:]
    left, top = np.floor(points.min(axis=0)).astype(int).clip(0)
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 1
    right, bottom = min(int(right), size[1]), min(int(bottom), size[0])
    if bottom - top < 2 or right - left < 2:
        return None
    return int(top), bottom, int(left), right


def sampling_grid(
    homography: Array, patch: Window, bending: Bending | None = None, time: float = 0.0
) -> Tensor:
    """Return the position in the layer's square for each pixel of a patch, for ``grid_sample``.

    Positions are computed exactly at ``NODES`` × ``NODES`` points and interpolated linearly.

    Returns:
        positions, 1 × height × width × 2, float32.
    """
    top, bottom, left, right = patch
    x, y = np.meshgrid(np.linspace(left, right - 1, NODES), np.linspace(top, bottom - 1, NODES))
    pixels = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    positions = np.linalg.inv(homography) @ pixels
    positions = (positions[:2] / positions[2:]).T
    if bending is not None:
        positions = positions - bending.at(time, positions)
    nodes = torch.from_numpy(positions.astype(np.float32)).view(1, NODES, NODES, 2)
    grid = functional.interpolate(
        nodes.permute(0, 3, 1, 2),
        size=(bottom - top, right - left),
        mode="bilinear",
        align_corners=True,
    )
    return grid.permute(0, 2, 3, 1)


def spread_out(
    generator: np.random.Generator, count: int, extent: tuple[float, float], tries: int = 6
) -> Sequence[tuple[float, float]]:
    """Draw positions within ±extent, far apart: each is the best of ``tries`` candidates."""
    positions: list[tuple[float, float]] = []
    for _ in range(count):
        candidates = generator.uniform(-1, 1, (tries, 2)) * extent
        if positions:
            gaps = np.linalg.norm(candidates[:, None] - np.array(positions)[None], axis=-1).min(
                axis=1
            )
            x, y = candidates[int(gaps.argmax())]
        else:
            x, y = candidates[0]
        positions.append((float(x), float(y)))
    return positions
