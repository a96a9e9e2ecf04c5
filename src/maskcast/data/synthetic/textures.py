"""Draw natural-looking textures and silhouettes from noise, for synthetic clips.

    texture     3 × height × width   float32 RGB, 0..1
    field       height × width       float32, 0..1
    silhouette  height × width       float32, 0..1: the object's coverage of each pixel

The shapes and textures of the demo are separate, in ``synthetic.demo``, so that training clips do
not resemble it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, pi
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from maskcast.core.tensors import Size

Texture: TypeAlias = Float[Tensor, "3 height width"]
Field: TypeAlias = Float[Tensor, "height width"]


def fractal_noise(
    generator: np.random.Generator,
    size: Size,
    *,
    cells: float = 3.0,
    octaves: int = 5,
    roughness: float = 0.55,
    stretch: float = 1.0,
) -> Field:
    """Draw smooth noise of several octaves, mapped to 0..1.

    Args:
        generator: source of random numbers.
        size: height and width.
        cells: number of bumps of the coarsest octave along the shorter side.
        octaves: number of octaves; each has half the bump size of the one before.
        roughness: ratio of an octave's amplitude to that of the one before.
        stretch: ratio of the length of bumps along x to their length along y.
    """
    shorter = min(size)
    total = torch.zeros(size)
    amplitude = 1.0
    for octave in range(octaves):
        spacing = shorter / (cells * 2**octave)
        if spacing < 1.5 and octave > 0:
            break
        height = ceil(size[0] / spacing) + 3
        width = ceil(size[1] / (spacing * stretch)) + 3
        nodes = torch.from_numpy(generator.standard_normal((1, 1, height, width), dtype=np.float32))
        mode = "bicubic" if octave == 0 else "bilinear"
        layer = functional.interpolate(nodes, size=size, mode=mode, align_corners=True)[0, 0]
        total += amplitude * layer
        amplitude *= roughness
    return spread(total)


def spread(field: Tensor) -> Tensor:
    """Map a field to 0..1, so that the range covers three standard deviations around the mean."""
    deviation = field.std().clamp_min(1e-6)
    return ((field - field.mean()) / (6 * deviation) + 0.5).clamp_(0, 1)


def draw_palette(generator: np.random.Generator, colours: int) -> Float[Tensor, "colours 3"]:
    """Draw matching colours from dark to light: mostly muted, with similar hues and an accent."""
    hue = generator.uniform() + generator.normal(0, 0.06, colours)
    if generator.uniform() < 0.5:
        hue[generator.integers(colours)] += generator.uniform(0.3, 0.6)
    saturation = generator.beta(2, 3) * generator.uniform(0.4, 1.2, colours)
    low, high = sorted(generator.uniform(0.08, 0.98, 2))
    value = np.linspace(low, max(high, low + 0.3), colours) + generator.normal(0, 0.04, colours)
    return hsv_to_rgb(hue, saturation.clip(0, 0.95), value.clip(0.03, 1))


def hsv_to_rgb(
    hue: np.ndarray, saturation: np.ndarray, value: np.ndarray
) -> Float[Tensor, "colours 3"]:
    """Convert HSV to RGB; hue is in turns, saturation and value are in 0..1."""
    sector = (np.array([5.0, 3.0, 1.0]) + hue[:, None] * 6) % 6
    ramp = np.minimum(sector, 4 - sector).clip(0, 1)
    rgb = value[:, None] * (1 - saturation[:, None] * ramp)
    return torch.from_numpy(rgb.astype(np.float32))


def colour_ramp(field: Field, palette: Float[Tensor, "colours 3"]) -> Texture:
    """Map a field to colours by interpolating in a palette."""
    steps = functional.interpolate(
        palette.T.unsqueeze(0), size=256, mode="linear", align_corners=True
    )[0]
    index = (field * 255).to(torch.int32).flatten()
    return steps.index_select(1, index).view(3, *field.shape)


def _ramp(size: Size, angle: float) -> Field:
    """Return the distance along a direction, in units of the shorter side."""
    y = torch.arange(size[0], dtype=torch.float32).unsqueeze(1) / min(size)
    x = torch.arange(size[1], dtype=torch.float32).unsqueeze(0) / min(size)
    return x * float(np.cos(angle)) + y * float(np.sin(angle))


def clouds(generator: np.random.Generator, size: Size) -> Texture:
    """Draw soft colour changes at all scales, like sky, plaster or cloth."""
    noise = fractal_noise(generator, size, cells=generator.uniform(1.5, 6))
    return colour_ramp(noise, draw_palette(generator, 4))


def marble(generator: np.random.Generator, size: Size) -> Texture:
    """Draw bands distorted by noise, like stone, wood or water."""
    bends = fractal_noise(generator, size, cells=generator.uniform(1.5, 4))
    along = _ramp(size, generator.uniform(0, pi))
    wave = torch.sin(2 * pi * (generator.uniform(1.5, 7) * along + generator.uniform(1, 4) * bends))
    return colour_ramp(wave / 2 + 0.5, draw_palette(generator, 4))


def stripes(generator: np.random.Generator, size: Size) -> Texture:
    """Draw two-coloured bands with soft edges and uneven width, like shirts or animals."""
    bends = fractal_noise(generator, size, cells=2, octaves=3)
    along = _ramp(size, generator.uniform(0, pi))
    wave = torch.sin(
        2 * pi * (generator.uniform(3, 12) * along + generator.uniform(0, 1.2) * bends)
    )
    return _two_coats(generator, size, torch.sigmoid(6 * wave))


def patches(generator: np.random.Generator, size: Size) -> Texture:
    """Draw irregular patches in two colours, like cattle or camouflage."""
    noise = fractal_noise(generator, size, cells=generator.uniform(1.5, 5), octaves=4)
    return _two_coats(generator, size, torch.sigmoid(28 * (noise - generator.uniform(0.4, 0.6))))


def cells(generator: np.random.Generator, size: Size) -> Texture:
    """Draw cells with seams, like cobbles, giraffes or cracked earth."""
    count = int(generator.integers(12, 50))
    half = (max(2, size[0] // 2), max(2, size[1] // 2))
    points = generator.uniform(0, 1, (count, 2)).astype(np.float32) * np.array(half, np.float32)
    y, x = np.mgrid[: half[0], : half[1]].astype(np.float32)
    distance = (y[None] - points[:, 0, None, None]) ** 2 + (x[None] - points[:, 1, None, None]) ** 2
    nearest = np.partition(distance, 1, axis=0)[:2]
    seam = torch.from_numpy(np.sqrt(nearest[1]) - np.sqrt(nearest[0]))
    seam = functional.interpolate(seam[None, None], size=size, mode="bilinear")[0, 0]
    return _two_coats(generator, size, torch.sigmoid(seam - 2.5))


def spots(generator: np.random.Generator, size: Size) -> Texture:
    """Draw round spots on a jittered grid, like ladybirds or dotted cloth."""
    spacing = min(size) / generator.uniform(3, 9)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) / spacing
    row, column = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    shift = generator.uniform(0.3, 0.7, (2, 64)).astype(np.float32)
    cell = (row * 31 + column * 17) % 64
    distance = np.hypot(y - row - shift[0][cell], x - column - shift[1][cell])
    field = torch.from_numpy(distance.astype(np.float32))
    return _two_coats(generator, size, torch.sigmoid(18 * (generator.uniform(0.18, 0.36) - field)))


def fibres(generator: np.random.Generator, size: Size) -> Texture:
    """Draw fine streaks along one direction, like fur, grass or brushed metal."""
    long_side = max(size)
    square = (long_side, long_side)
    stretch = generator.uniform(4, 12)
    noise = fractal_noise(generator, square, cells=generator.uniform(10, 24), stretch=stretch)
    if generator.uniform() < 0.5:
        noise = noise.T
    broad = fractal_noise(generator, size, cells=2, octaves=2)
    mixed = 0.6 * noise[: size[0], : size[1]] + 0.4 * broad
    return colour_ramp(mixed, draw_palette(generator, 4))


def _two_coats(generator: np.random.Generator, size: Size, share: Field) -> Texture:
    """Blend two mottled colours by a field."""
    mottled = fractal_noise(generator, size, cells=4, octaves=4) * 0.3 + 0.35
    first = colour_ramp(mottled, draw_palette(generator, 3))
    second = colour_ramp(mottled, draw_palette(generator, 3))
    return torch.lerp(first, second, share)


TextureMaker: TypeAlias = Callable[[np.random.Generator, Size], Texture]

TRAINING_TEXTURES: Mapping[str, TextureMaker] = {
    "clouds": clouds,
    "marble": marble,
    "stripes": stripes,
    "patches": patches,
    "cells": cells,
    "spots": spots,
    "fibres": fibres,
}


def _polar(size: int) -> tuple[Field, Field]:
    """Return radius (1 at the middle of each border) and angle of every pixel of a square."""
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) * 2 / size - 1
    y, x = axis.unsqueeze(1), axis.unsqueeze(0)
    return torch.hypot(x, y), torch.atan2(y, x)


def _inside(radius: Field, border: Field, size: int) -> Field:
    """Return the coverage of the region within a border, with an edge one pixel wide."""
    return ((border - radius) * size / 2 + 0.5).clamp_(0, 1)


def blob(generator: np.random.Generator, size: int) -> Field:
    """Draw a smooth shape with a few lobes."""
    radius, angle = _polar(size)
    border = torch.full_like(radius, 0.68)
    for lobes in range(2, 7):
        amplitude = generator.normal(0, 0.22 / lobes)
        border += amplitude * torch.cos(lobes * angle + generator.uniform(0, 2 * pi))
    return _inside(radius, border.clamp_(0.2, 0.96), size)


def polygon(generator: np.random.Generator, size: int) -> Field:
    """Draw a convex polygon, like boxes, signs or windows."""
    corners = int(generator.integers(3, 8))
    normals = np.sort(generator.uniform(-0.25, 0.25, corners)) + np.arange(corners)
    normals = normals * 2 * pi / corners + generator.uniform(0, 2 * pi)
    radius, angle = _polar(size)
    outside = torch.full_like(radius, -1.0)
    for normal in normals:
        reach = radius * torch.cos(angle - float(normal)) - generator.uniform(0.42, 0.62)
        outside = torch.maximum(outside, reach)
    outside = torch.maximum(outside, radius - 0.95)
    return (0.5 - outside * size / 2).clamp_(0, 1)


def star(generator: np.random.Generator, size: int) -> Field:
    """Draw rounded arms around a centre, like starfish, flowers or splashes."""
    arms = int(generator.integers(3, 9))
    radius, angle = _polar(size)
    wave = torch.cos(arms * angle + generator.uniform(0, 2 * pi)) / 2 + 0.5
    inner = generator.uniform(0.3, 0.55)
    border = inner + (0.93 - inner) * wave ** generator.uniform(0.6, 2)
    return _inside(radius, border, size)


def leaf(generator: np.random.Generator, size: int) -> Field:
    """Draw two arcs that meet in points, possibly with a wavy rim."""
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) * 2 / size - 1
    along, across = axis.unsqueeze(0), axis.unsqueeze(1)
    width = generator.uniform(0.25, 0.6)
    profile = width * (1 - (along / 0.95) ** 2).clamp_min(0) ** generator.uniform(0.6, 1.4)
    profile = profile * (
        1 + generator.uniform(0, 0.12) * torch.cos(along * generator.uniform(9, 30))
    )
    return ((profile - (across - 0.1 * torch.cos(2 * along)).abs()) * size / 2 + 0.5).clamp_(0, 1)


def limbs(generator: np.random.Generator, size: int) -> Field:
    """Draw a body with three to six jointed limbs, like people, animals or chairs."""
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) * 2 / size - 1
    y, x = axis.unsqueeze(1), axis.unsqueeze(0)
    half_length = generator.uniform(0.15, 0.4)
    inside = _capsule(x, y, (-half_length, 0), (half_length, 0), generator.uniform(0.16, 0.26))
    for _ in range(int(generator.integers(3, 7))):
        root = (generator.uniform(-half_length, half_length), generator.uniform(-0.1, 0.1))
        knee_angle = generator.uniform(0, 2 * pi)
        reach, width = generator.uniform(0.25, 0.42), generator.uniform(0.05, 0.13)
        knee = _step(root, knee_angle, reach)
        foot = _step(knee, knee_angle + generator.normal(0, 0.7), reach * generator.uniform(0.4, 1))
        inside = torch.maximum(inside, _capsule(x, y, root, knee, width))
        inside = torch.maximum(inside, _capsule(x, y, knee, foot, width * 0.8))
    return (inside * size / 2 + 0.5).clamp_(0, 1)


def _step(start: tuple[float, float], angle: float, reach: float) -> tuple[float, float]:
    x = start[0] + reach * float(np.cos(angle))
    y = start[1] + reach * float(np.sin(angle))
    return float(np.clip(x, -0.85, 0.85)), float(np.clip(y, -0.85, 0.85))


def _capsule(
    x: Tensor, y: Tensor, start: tuple[float, float], end: tuple[float, float], radius: float
) -> Field:
    """Return the signed distance to the border of a thick line, positive inside."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(dx * dx + dy * dy, 1e-6)
    share = (((x - start[0]) * dx + (y - start[1]) * dy) / length).clamp(0, 1)
    return radius - torch.hypot(x - start[0] - share * dx, y - start[1] - share * dy)


ShapeMaker: TypeAlias = Callable[[np.random.Generator, int], Field]

TRAINING_SHAPES: Mapping[str, ShapeMaker] = {
    "blob": blob,
    "polygon": polygon,
    "star": star,
    "leaf": leaf,
    "limbs": limbs,
}


RELIEF = 48
"""Side of the square on which the relief of a silhouette is computed, in pixels."""


def shade(texture: Texture, silhouette: Field, light: tuple[float, float], depth: float) -> Texture:
    """Shade a texture as if its silhouette bulged towards the viewer.

    Args:
        texture: the texture.
        silhouette: coverage of the object.
        light: direction of the light source, x and y, each in -1..1.
        depth: strength of the bulge; 0 keeps the texture flat.
    """
    side = silhouette.shape[-1]
    height = functional.interpolate(silhouette[None, None], size=(RELIEF, RELIEF), mode="area")
    for _ in range(2):
        height = functional.avg_pool2d(height, 9, stride=1, padding=4, count_include_pad=False)
    height = height[0, 0].clamp_min(0).sqrt() * RELIEF / 4
    slope_y, slope_x = torch.gradient(height)
    lit = 1 + depth * (slope_x * light[0] + slope_y * light[1])
    lit = functional.interpolate(
        lit.clamp_(0.35, 1.6)[None, None], size=(side, side), mode="bilinear"
    )[0, 0]
    return (texture * lit).clamp_(0, 1)
