"""Draw the koi of the demo: their skin, their paths, and their bodies on a frame.

World coordinates are those of ``synthetic.demo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maskcast.data.synthetic.textures import fractal_noise

FloatArray: TypeAlias = NDArray[np.floating]
FloatColour: TypeAlias = tuple[float, float, float]
SPINE = 22
"""Number of points along a fish, including the tail fin."""
FISH_END = 1.24
"""End of the tail fin, in body lengths."""


@dataclass(frozen=True)
class Koi:
    """A fish and its path through the clip."""

    object_id: int
    """Object id; 0 for the fish that is not an object."""
    length: float
    skin: Float[Tensor, "1 3 across along"]
    course: FloatArray
    """Points on the path, evenly spaced in time from before the clip to after it."""
    phase: float
    fins: FloatColour


@dataclass(frozen=True)
class PondView:
    """World coordinates of the pixels of a frame."""

    x: FloatArray
    y: FloatArray
    unit: int
    """Pixels per world unit."""


def draw_school(generator: np.random.Generator, wide: float) -> tuple[Koi, ...]:
    """Draw the three fish, from the deepest upwards; ``wide`` is half the width of the world."""
    red, black = (0.90, 0.24, 0.05), (0.09, 0.09, 0.11)
    white, gold = (0.95, 0.92, 0.86), (0.96, 0.66, 0.16)

    def course(*points: tuple[float, float]) -> FloatArray:
        return np.array(points) * (wide, 1)

    look_alike = course(
        (1.55, 0.30),
        (1.0, 0.24),
        (0.60, 0.02),
        (0.20, -0.18),
        (-0.22, -0.30),
        (-0.66, -0.26),
        (-1, 0),
    )
    golden = course(
        (0.98, -0.80),
        (0.58, -0.10),
        (0.40, 0.10),
        (0.16, 0.30),
        (-0.14, 0.40),
        (-0.50, 0.34),
        (-1, 0),
    )
    red_and_white = course(
        (-1.2, 0.40),
        (-0.28, 0.16),
        (-0.06, 0.04),
        (0.20, 0.02),
        (0.44, 0.18),
        (0.74, 0.14),
        (1, -0.2),
    )
    return (
        Koi(
            0, 0.42, _koi_skin(generator, white, [(red, 0.42)]), look_alike, 0.5, (0.93, 0.9, 0.86)
        ),
        Koi(2, 0.46, _koi_skin(generator, gold, [(black, 0.34)]), golden, 2.1, (0.92, 0.74, 0.42)),
        Koi(
            1,
            0.50,
            _koi_skin(generator, white, [(red, 0.46)]),
            red_and_white,
            0.0,
            (0.95, 0.91, 0.88),
        ),
    )


def _koi_skin(
    generator: np.random.Generator, base: FloatColour, patches: Sequence[tuple[FloatColour, float]]
) -> Float[Tensor, "1 3 across along"]:
    """Draw the texture ``koi skin``: patches on a pale ground, scales, eyes; head at the left."""
    size = (96, 288)
    skin = torch.tensor(base).view(3, 1, 1).expand(3, *size).clone()
    for colour, cover in patches:
        noise = fractal_noise(generator, size, cells=1.6, octaves=4, roughness=0.4)
        level = torch.quantile(noise, 1 - cover)
        share = torch.sigmoid(60 * (noise - level))
        skin = torch.lerp(skin, torch.tensor(colour).view(3, 1, 1).expand_as(skin), share)
    along = torch.linspace(0, 1, size[1]).unsqueeze(0)
    across = torch.linspace(-1, 1, size[0]).unsqueeze(1)
    scales = torch.sin(along * 150) * torch.sin(across * 26 + along * 75)
    body = torch.sigmoid(40 * (along - 0.2))
    skin = skin * (1 - 0.10 * body * (scales > 0.2))
    eyes = ((along - 0.075) / 0.012) ** 2 + ((across.abs() - 0.72) / 0.14) ** 2
    skin = skin * (1 - 0.9 * torch.sigmoid(8 * (1 - eyes)))
    cheeks = ((along - 0.16) / 0.02) ** 2 + (across.abs() * 0.6) ** 2
    return (skin * (1 - 0.12 * torch.sigmoid(4 * (1 - cheeks)))).clamp_(0, 1).unsqueeze(0)


def draw_koi(
    canvas: Float[Tensor, "3 height width"],
    label_map: np.ndarray,
    koi: Koi,
    view: PondView,
    moment: tuple[float, float],
) -> None:
    """Paint a fish and its shadow in place; ``moment`` is (progress, seconds)."""
    spine = _spine(koi, *moment)
    window = window_around(spine, 0.3 * koi.length, view)
    if window is None:
        return
    x, y = view.x[window], view.y[window]
    along, aside = _along_spine(spine, x, y)
    along, aside = along * FISH_END, aside / koi.length
    pixel = 1 / (view.unit * koi.length)
    body = soft_edge(_body_width(along) - np.abs(aside), pixel) * (along < FISH_END - 0.01)
    rowing = 0.16 * np.sin(2.6 * moment[1] + koi.phase)
    fins = np.maximum(
        _tail(along, aside, pixel), _paired_fins(spine, koi.length, (x, y), pixel, rowing)
    )
    coverage = np.maximum(body, 0.72 * fins)
    _shade_below(canvas, coverage, window, view.unit)
    region = canvas[(slice(None), *window)]
    ray = 0.90 + 0.10 * np.sin(aside * 190 + along * 25)
    membrane = torch.tensor(koi.fins).view(3, 1, 1) * torch.from_numpy(ray).unsqueeze(0)
    region.lerp_(membrane, torch.from_numpy(0.72 * fins).unsqueeze(0))
    region.lerp_(_painted_skin(koi, along, aside), torch.from_numpy(body).unsqueeze(0))
    label_map[window][coverage >= 0.5] = koi.object_id


def _spine(koi: Koi, progress: float, seconds: float) -> FloatArray:
    """Return points along a fish, from head to tail, as it follows its path and beats its tail."""
    knots = len(koi.course) - 1
    times = np.linspace(0, knots, 600)
    track = _catmull_rom(koi.course, times)
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(track, axis=0), axis=1))])
    head = np.interp(1 + progress * (knots - 2), times, travelled)
    back = np.linspace(0, FISH_END, SPINE)
    distances = head - back * koi.length
    points = np.stack([np.interp(distances, travelled, track[:, axis]) for axis in (0, 1)], axis=-1)
    heading = np.gradient(points, axis=0)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-9
    swing = koi.length * (0.015 + 0.085 * back**2)
    beat = swing * np.sin(5.2 * back - 2 * pi * 1.15 * seconds + koi.phase)
    aside = np.stack([-heading[:, 1], heading[:, 0]], axis=-1)
    return np.asarray(points + beat[:, None] * aside, dtype=np.float32)


def _catmull_rom(points: FloatArray, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate a Catmull-Rom spline through points that are one unit of time apart."""
    clipped = times.clip(0, len(points) - 1 - 1e-6)
    index = clipped.astype(int)
    t = (clipped - index)[:, None]
    last = len(points) - 1
    p0, p1 = points[(index - 1).clip(0)], points[index]
    p2, p3 = points[(index + 1).clip(0, last)], points[(index + 2).clip(0, last)]
    return np.asarray(
        0.5
        * (
            2 * p1
            + (p2 - p0) * t
            + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
            + (3 * p1 - 3 * p2 + p3 - p0) * t**3
        )
    )


def _along_spine(spine: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each point's position along the spine (0 head, 1 end) and its signed distance."""
    segments = len(spine) - 1
    nearest = np.full_like(x, np.inf)
    along, aside = np.zeros_like(x), np.zeros_like(x)
    for index, ((x0, y0), (x1, y1)) in enumerate(pairwise(spine.tolist())):
        step_x, step_y = x1 - x0, y1 - y0
        squared_length = step_x * step_x + step_y * step_y + 1e-12
        dx, dy = x - x0, y - y0
        share = ((dx * step_x + dy * step_y) / squared_length).clip(0, 1)
        squared = (dx - share * step_x) ** 2 + (dy - share * step_y) ** 2
        closer = squared < nearest
        np.copyto(nearest, squared, where=closer)
        np.copyto(along, (index + share) / segments, where=closer)
        np.copyto(aside, step_x * dy - step_y * dx, where=closer)
    return along, np.copysign(np.sqrt(nearest), aside)


def _body_width(along: FloatArray) -> FloatArray:
    """Return half the width of the shape ``koi`` along the body; 1 is the root of the tail."""
    knots = [0, 0.03, 0.10, 0.22, 0.36, 0.55, 0.75, 0.92, 1.0, FISH_END]
    width = [0.035, 0.052, 0.078, 0.105, 0.115, 0.098, 0.064, 0.034, 0.026, 0.0]
    return np.interp(along, knots, width).astype(np.float32)


def _painted_skin(
    koi: Koi, along: FloatArray, aside: FloatArray
) -> Float[Tensor, "3 height width"]:
    """Return the skin wrapped around the body, with darker sides and a shine along the back."""
    across = (aside / _body_width(along.clip(0, 1))).clip(-1, 1)
    skin = look_up(koi.skin, grid_of(along.clip(0, 1) * 2 - 1, across))
    dorsal = np.exp(-((across / 0.09) ** 2)) * ((along > 0.33) & (along < 0.72))
    shine = 0.2 * np.exp(-(((across + 0.28) / 0.22) ** 2)) * (along < 0.9)
    relief = 1.06 - 0.5 * across**2 - 0.15 * dorsal
    painted = skin * torch.from_numpy(relief.astype(np.float32))
    return (painted + torch.from_numpy(shine.astype(np.float32))).clamp_(0, 1)


def soft_edge(inside: FloatArray, pixel: float) -> FloatArray:
    """Return the coverage for a signed distance, with an edge one pixel wide."""
    return np.asarray((inside / pixel + 0.5).clip(0, 1), dtype=np.float32)


def _tail(along: FloatArray, aside: FloatArray, pixel: float) -> FloatArray:
    """Return the coverage of the forked tail fin."""
    reach = ((along - 0.93) / (FISH_END - 0.93)).clip(0, 1)
    width = 0.024 + 0.10 * reach**1.3
    fork = FISH_END - 0.015 - 0.11 * (1 - (np.abs(aside) / 0.10).clip(0, 1))
    fin = np.minimum(soft_edge(width - np.abs(aside), pixel), soft_edge(fork - along, pixel))
    return np.asarray(fin * (along > 0.93))


def _paired_fins(
    spine: FloatArray,
    length: float,
    points: tuple[FloatArray, FloatArray],
    pixel: float,
    rowing: float,
) -> FloatArray:
    """Return the coverage of the pectoral and pelvic fins, which point outwards and back."""
    x, y = points
    coverage = np.zeros_like(x)
    for position, reach, wide in ((0.22, 0.20, 0.055), (0.56, 0.11, 0.035)):
        node = int(position / FISH_END * (SPINE - 1))
        back = spine[node + 1] - spine[node - 1]
        back = back / (np.linalg.norm(back) + 1e-9)
        for side in (-1.0, 1.0):
            angle = side * (0.85 + rowing)
            cosine, sine = np.cos(angle), np.sin(angle)
            axis = (back[0] * cosine - back[1] * sine, back[0] * sine + back[1] * cosine)
            root = spine[node] + 0.075 * length * side * np.array([-back[1], back[0]])
            along = ((x - root[0]) * axis[0] + (y - root[1]) * axis[1]) / (length * reach)
            off = ((y - root[1]) * axis[0] - (x - root[0]) * axis[1]) / length
            width = wide * np.sqrt((along * (1.06 - along)).clip(0)) * (0.8 + along)
            coverage = np.maximum(coverage, soft_edge(width - np.abs(off), pixel) * (width > 0))
    return coverage.astype(np.float32)


def _shade_below(
    canvas: Float[Tensor, "3 height width"],
    coverage: FloatArray,
    window: tuple[slice, slice],
    unit: int,
) -> None:
    """Darken the bottom next to and below a fish, in place."""
    radius = unit // 40
    soft = functional.avg_pool2d(
        torch.from_numpy(coverage)[None], 2 * radius + 1, stride=1, padding=radius
    )[0]
    top, left = window[0].start + unit // 18, window[1].start + unit // 28
    region = canvas[:, top : top + soft.shape[0], left : left + soft.shape[1]]
    region.mul_(1 - 0.45 * soft[: region.shape[1], : region.shape[2]])


def window_around(points: FloatArray, margin: float, view: PondView) -> tuple[slice, slice] | None:
    """Return the part of the frame around some points; None if they are outside."""
    height, width = view.x.shape
    low = (points.min(axis=0) - margin) * view.unit + (width / 2, height / 2)
    high = (points.max(axis=0) + margin) * view.unit + (width / 2, height / 2)
    left, top = (int(max(0, value)) for value in low)
    right, bottom = min(width, int(high[0]) + 1), min(height, int(high[1]) + 1)
    if right - left < 2 or bottom - top < 2:
        return None
    return slice(top, bottom), slice(left, right)


def grid_of(x: FloatArray, y: FloatArray) -> Float[Tensor, "1 height width 2"]:
    """Return coordinates, -1..1 inside a texture, as ``look_up`` takes them."""
    return torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32)).unsqueeze(0)


def look_up(
    texture: Float[Tensor, "1 channels rows columns"], grid: Float[Tensor, "1 height width 2"]
) -> Float[Tensor, "channels height width"]:
    """Return a texture at the points of a grid; it is mirrored at its border."""
    return functional.grid_sample(texture, grid, padding_mode="reflection", align_corners=False)[0]
