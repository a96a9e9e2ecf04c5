"""Render the clip of ``maskcast demo``: koi in a garden pond, seen from above, with exact masks.

Two koi are objects; a third, which looks like the first, is not. They cross one another and pass
under lily pads, over a bottom with moving light. Seeds, shapes (``koi``, ``lily pad``) and textures
(``koi skin``, ``pebbles``, ``pad``) are reserved: ``synthetic.clips.make_clip`` rejects the seeds
and draws other shapes and textures, so nothing is trained on what the demo shows.

World coordinates are in units of the frame's shorter side, with the origin in the middle and y
downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.errors import UsageError
from maskcast.data.synthetic.clips import FIRST_RESERVED_SEED, SyntheticClip
from maskcast.data.synthetic.koi import (
    PondView,
    draw_koi,
    draw_school,
    grid_of,
    look_up,
    soft_edge,
    window_around,
)
from maskcast.data.synthetic.textures import fractal_noise

DEMO_SEED = FIRST_RESERVED_SEED
DEMO_SHAPES = frozenset({"koi", "lily pad"})
DEMO_TEXTURES = frozenset({"koi skin", "pebbles", "pad"})


@dataclass(frozen=True)
class _Pad:
    """A lily pad that drifts slowly."""

    x: float
    y: float
    radius: float
    notch: float
    drift: tuple[float, float]
    tone: float


def make_demo_clip(
    *, frames: int = 72, size: tuple[int, int] = (270, 480), seed: int = DEMO_SEED
) -> SyntheticClip:
    """Render the clip of the demo, at 24 frames per second.

    Args:
        frames: number of frames, over which the paths of the fish are spread.
        size: height and width in pixels.
        seed: seed, at least ``FIRST_RESERVED_SEED``; lower seeds are for training.

    Raises:
        UsageError: the seed is too low.
    """
    if seed < FIRST_RESERVED_SEED:
        raise UsageError(
            f"seed must be at least {FIRST_RESERVED_SEED}, got {seed}; lower seeds are for "
            "training",
            options=("seed",),
        )
    generator = np.random.default_rng(seed)
    pond = _Pond(generator, size)
    shots = [pond.at(frame / max(1, frames - 1), frame / 24) for frame in range(frames)]
    return SyntheticClip(
        np.stack([shot[0] for shot in shots]), np.stack([shot[1] for shot in shots]), (1, 2)
    )


class _Pond:
    """The content of the pond, drawn once and rendered frame by frame."""

    def __init__(self, generator: np.random.Generator, size: tuple[int, int]) -> None:
        self.size = size
        unit = min(size)
        y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
        self.view = PondView((x + 0.5 - size[1] / 2) / unit, (y + 0.5 - size[0] / 2) / unit, unit)
        self.bottom = _pebbles(generator, size)
        self.light = [fractal_noise(generator, (256, 256), cells=7, octaves=2) for _ in range(2)]
        self.sky = fractal_noise(generator, (256, 256), cells=2, octaves=4)
        self.grain = torch.from_numpy(generator.standard_normal((3, *size), dtype=np.float32))
        wide = size[1] / unit / 2
        self.fish = draw_school(generator, wide)
        self.pads = (
            _Pad(0.30 * wide, 0.30, 0.17, 2.2, (-0.012, 0.004), 0.0),
            _Pad(0.62 * wide, 0.44, 0.13, 0.4, (-0.010, 0.006), 0.08),
            _Pad(-0.86 * wide, -0.42, 0.20, 5.0, (0.010, 0.004), 0.04),
        )

    def at(self, progress: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels and label map of a moment; ``progress`` runs from 0 to 1 over the clip."""
        view = _rippled(self.view, seconds)
        canvas = self._bottom_at(view, seconds)
        label_map = np.zeros(self.size, dtype=np.uint8)
        for koi in self.fish:
            draw_koi(canvas, label_map, koi, view, (progress, seconds))
        glitter = self._sky_at(seconds)
        canvas = canvas + (1 - canvas) * glitter
        for pad in self.pads:
            _draw_pad(canvas, label_map, pad, self.view, seconds)
        shift = [int(seconds * 997) % self.size[0], int(seconds * 1709) % self.size[1]]
        canvas = canvas + 0.008 * self.grain.roll(shift, dims=(1, 2))
        pixels = canvas.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        return pixels.permute(1, 2, 0).numpy(), label_map

    def _bottom_at(self, view: PondView, seconds: float) -> Float[Tensor, "3 height width"]:
        """Return the bottom of pebbles with moving light."""
        wide = self.size[1] / view.unit
        high = self.size[0] / view.unit
        grid = grid_of(view.x / (wide / 2) / 1.05, view.y / (high / 2) / 1.05)
        ground = look_up(self.bottom, grid)
        first = look_up(self.light[0][None, None], _wrapped(view, 0.9, 0.035 * seconds, 0.01))
        second = look_up(self.light[1][None, None], _wrapped(view, 0.9, -0.03 * seconds, 0.02))
        net = torch.exp(-22 * (first - second).abs())
        lit = ground * (0.95 + 0.75 * net)
        haze = torch.tensor([0.06, 0.27, 0.25]).view(3, 1, 1)
        return torch.lerp(lit, haze.expand_as(lit), 0.30)

    def _sky_at(self, seconds: float) -> Float[Tensor, "1 height width"]:
        """Return faint reflections of the sky."""
        clouds = look_up(self.sky[None, None], _wrapped(self.view, 0.5, 0.01 * seconds, 0.004))
        return 0.16 * ((clouds - 0.5) * 3).clamp(0, 1)


def _rippled(view: PondView, seconds: float) -> PondView:
    """Distort the view slightly, like small waves on the water."""
    x = (
        view.x
        + 0.0035 * np.sin(19 * view.y + 2.1 * seconds)
        + 0.002 * np.sin(31 * view.x - seconds)
    )
    y = view.y + 0.0035 * np.sin(17 * view.x - 1.7 * seconds)
    return PondView(x.astype(np.float32), y.astype(np.float32), view.unit)


def _wrapped(view: PondView, scale: float, shift_x: float, shift_y: float) -> Tensor:
    """Return coordinates in a texture that is mirrored at its border."""
    return grid_of(view.x * scale + shift_x, view.y * scale + shift_y)


def _pebbles(generator: np.random.Generator, size: tuple[int, int]) -> Float[Tensor, "1 3 h w"]:
    """Draw the texture ``pebbles``: rounded stones of two sizes on a jittered grid."""
    ground = _stones(generator, size, cells=7)
    small = _stones(generator, size, cells=16)
    where = torch.sigmoid(24 * (fractal_noise(generator, size, cells=2, octaves=4) - 0.5))
    light = 0.75 + 0.5 * fractal_noise(generator, size, cells=1, octaves=2)
    return (torch.lerp(ground, small, where) * light).clamp_(0, 1).unsqueeze(0)


def _stones(
    generator: np.random.Generator, size: tuple[int, int], cells: int
) -> Float[Tensor, "3 height width"]:
    """Draw domed Voronoi cells, each with its own grey-brown colour."""
    spacing = min(size) / cells
    y, x = np.mgrid[: size[0], : size[1]] / spacing
    rows, columns = int(size[0] / spacing) + 4, int(size[1] / spacing) + 4
    jitter = generator.uniform(0.1, 0.9, (2, rows, columns))
    row, column = np.floor(y).astype(int) + 1, np.floor(x).astype(int) + 1
    nearest = np.full((2, *size), 9.0)
    owner = np.zeros(size, dtype=int)
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            r, c = row + step_y, column + step_x
            distance = np.hypot(y + 1 - r - jitter[0][r, c], x + 1 - c - jitter[1][r, c])
            closer = distance < nearest[0]
            nearest[1] = np.where(closer, nearest[0], np.minimum(nearest[1], distance))
            nearest[0] = np.where(closer, distance, nearest[0])
            owner = np.where(closer, r * columns + c, owner)
    rounded = np.minimum((nearest[1] - nearest[0]) * 2.2, 1.25 - 1.1 * nearest[0])
    dome = torch.from_numpy(rounded.clip(0, 1).astype(np.float32))
    tone = generator.uniform(0.20, 0.62, rows * columns)[owner]
    warmth = generator.normal(0, 0.035, rows * columns)[owner]
    stone = np.stack([tone + warmth, tone, tone - warmth - 0.02]).astype(np.float32)
    speckle = 0.85 + 0.3 * fractal_noise(generator, size, cells=cells * 2, octaves=3)
    return torch.from_numpy(stone) * (0.25 + 0.75 * dome.sqrt()) * speckle


def _draw_pad(
    canvas: Float[Tensor, "3 height width"],
    label_map: np.ndarray,
    pad: _Pad,
    view: PondView,
    seconds: float,
) -> None:
    """Paint the shape ``lily pad`` with the texture ``pad`` over everything, in place."""
    centre = np.array([[pad.x + pad.drift[0] * seconds, pad.y + pad.drift[1] * seconds]])
    window = window_around(centre, 1.2 * pad.radius, view)
    if window is None:
        return
    x, y = view.x[window] - centre[0, 0], view.y[window] - centre[0, 1]
    region = canvas[(slice(None), *window)]
    radius, angle = np.hypot(x, y) / pad.radius, np.arctan2(y, x)
    away = np.abs((angle - pad.notch - 0.04 * seconds + pi) % (2 * pi) - pi)
    border = 1 + 0.02 * np.sin(7 * angle) + 0.012 * np.sin(13 * angle + 1)
    pixel = 1 / (view.unit * pad.radius)
    notch = soft_edge((away - 0.20) * radius, pixel)
    cover = np.minimum(soft_edge(border - radius, pixel), notch)
    shade_radius = np.hypot(x - 0.02, y - 0.03) / pad.radius
    shade = 0.45 * ((1.06 - shade_radius) / 0.1 + 0.5).clip(0, 1)
    region.mul_(1 - torch.from_numpy(shade.astype(np.float32)))
    veins = np.exp(-((np.abs((angle * 16 / (2 * pi) + 0.5) % 1 - 0.5) / 0.05) ** 2)) * (
        radius > 0.1
    )
    tone = 0.9 + 0.16 * np.sin(3 * angle + 1.3) * radius + 0.18 * (x - y) / pad.radius
    tone = tone + 0.13 * veins - 0.12 * (radius > 0.95)
    green = torch.tensor([0.26 + pad.tone, 0.50 + pad.tone, 0.17]).view(3, 1, 1)
    painted = green * torch.from_numpy(tone.astype(np.float32))
    region.lerp_(painted.clamp(0, 1), torch.from_numpy(cover).unsqueeze(0))
    label_map[window][cover >= 0.5] = 0
