"""Render and record synthetic clips: layers over a scene, seen by a camera.

    canvas      3 × height × width   float32 RGB, about 0..1
    label map   height × width       uint8 object ids

Masks are exact: a pixel belongs to the front-most layer that covers at least half of it, before
blur.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import exp

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from maskcast.data.synthetic.motion import (
    Array,
    Motion,
    Wave,
    draw_wave,
    patch_of,
    sampling_grid,
    to_pixels,
)


@dataclass(frozen=True)
class Cutout:
    """An object to paste: its colours, and its coverage of each pixel."""

    image: Float[Tensor, "3 height width"]
    """RGB, 0..1."""
    alpha: Float[Tensor, "height width"]
    """Coverage, 0..1; 0 at the border."""


@dataclass(frozen=True)
class Layer:
    """A cut-out and its motion through the clip."""

    pixels: Float[Tensor, "1 4 height width"]
    """Colours multiplied by coverage, and coverage."""
    motion: Motion
    object_id: int
    """Object id; 0 if the layer is background."""
    shadow: Float[Tensor, "1 1 height width"] | None = None
    """Shadow on the ground; None for none."""


@dataclass(frozen=True)
class Stage:
    """The content of a clip."""

    scene: Float[Tensor, "1 3 height width"]
    """Background, RGB, 0..1."""
    extent: float
    """Ratio of the scene's sides to those of the frame; beyond its border the scene is mirrored."""
    camera: Motion
    layers: tuple[Layer, ...]
    """Layers from back to front."""


def as_layer(cutout: Cutout, motion: Motion, object_id: int, *, shadow: bool) -> Layer:
    """Return a layer with a cut-out; ``object_id`` is 0 if it is background."""
    pixels = torch.cat([cutout.image * cutout.alpha, cutout.alpha.unsqueeze(0)]).unsqueeze(0)
    blurred = _blurred(cutout.alpha[None, None], 0.06) if shadow else None
    return Layer(pixels, motion, object_id, blurred)


def _blurred(alpha: Tensor, share: float) -> Tensor:
    radius = max(1, int(share * max(alpha.shape[-2:])))
    for _ in range(2):
        alpha = functional.avg_pool2d(alpha, 2 * radius + 1, stride=1, padding=radius)
    return alpha


def render(
    stage: Stage, size: tuple[int, int], time: float
) -> tuple[Float[Tensor, "3 height width"], UInt8[Tensor, "height width"]]:
    """Return canvas and label map of one moment, drawn from back to front."""
    camera = to_pixels(size) @ np.linalg.inv(stage.camera.homography(time))
    canvas = _render_scene(stage, camera, size)
    label_map = torch.zeros(size, dtype=torch.uint8)
    for layer in stage.layers:
        homography = camera @ layer.motion.homography(time)
        if layer.shadow is not None:
            _cast_shadow(canvas, layer.shadow, homography, size)
        patch = patch_of(homography, size)
        if patch is None:
            continue
        grid = sampling_grid(homography, patch, layer.motion.bending, time)
        drawn = functional.grid_sample(layer.pixels, grid, align_corners=False)[0]
        top, bottom, left, right = patch
        region = canvas[:, top:bottom, left:right]
        region.mul_(1 - drawn[3]).add_(drawn[:3])
        label_map[top:bottom, left:right].masked_fill_(drawn[3] >= 0.5, layer.object_id)
    return canvas, label_map


def _render_scene(
    stage: Stage, camera: Array, size: tuple[int, int]
) -> Float[Tensor, "3 height width"]:
    half = stage.extent / 2 / min(size)
    extent = np.diag([half * size[1], half * size[0], 1])
    grid = sampling_grid(camera @ extent, (0, size[0], 0, size[1]))
    return functional.grid_sample(
        stage.scene, grid, padding_mode="reflection", align_corners=False
    )[0]


def _cast_shadow(
    canvas: Float[Tensor, "3 height width"],
    shadow: Float[Tensor, "1 1 shadow_height shadow_width"],
    homography: Array,
    size: tuple[int, int],
) -> None:
    """Darken the ground below and to the right of a layer, in place."""
    shift = np.eye(3)
    shift[:2, 2] = 0.03 * min(size), 0.05 * min(size)
    moved = shift @ homography
    patch = patch_of(moved, size, margin=1.0)
    if patch is None:
        return
    drawn = functional.grid_sample(shadow, sampling_grid(moved, patch), align_corners=False)[0]
    top, bottom, left, right = patch
    canvas[:, top:bottom, left:right].mul_(1 - 0.5 * drawn)


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """Settings of the recording of clips. Probabilities, in [0, 1], are per clip."""

    blur: float = 0.3
    """Probability of a blur along rows or columns over 3 or 5 pixels."""
    noise: float = 0.6
    """Probability of noise with a standard deviation of up to 0.03, relative to white."""
    jpeg: float = 0.5
    """Probability that frames are compressed as JPEG, with a quality from 35 to 94."""
    light_change: float = 0.12
    """Relative amplitude of the change of contrast over time."""


GRAIN_MARGIN = 32
"""Pixels by which the noise picture is larger than a frame."""


@dataclass(frozen=True)
class Film:
    """The recording of one clip."""

    contrast: float
    """Factor on the distance from middle grey."""
    gamma: float
    """Exponent of the brightness, applied first."""
    tint: tuple[float, float, float]
    """Factors on red, green and blue."""
    flicker: Wave
    """Relative change of the contrast over time."""
    blur: int
    """Length of the blur in pixels; 1 disables it."""
    blur_is_vertical: bool
    grain: Float[Tensor, "3 height width"] | None
    """A picture of the sensor noise, of which every frame uses another part; None disables it."""
    quality: int | None
    """Quality of the JPEG compression; None disables it."""

    @classmethod
    def draw(
        cls, generator: np.random.Generator, size: tuple[int, int], config: FilmConfig
    ) -> Film:
        """Draw the recording of a clip with frames of this height and width."""
        grain = None
        if generator.uniform() < config.noise:
            larger = (3, size[0] + GRAIN_MARGIN, size[1] + GRAIN_MARGIN)
            noise = generator.standard_normal(larger, dtype=np.float32)
            grain = torch.from_numpy(noise * np.float32(generator.uniform(0, 0.03)))
        red, green, blue = generator.normal(1, 0.05, 3).tolist()
        return cls(
            contrast=float(generator.uniform(0.8, 1.15)),
            gamma=float(exp(generator.normal(0, 0.15))),
            tint=(red, green, blue),
            flicker=draw_wave(generator, config.light_change),
            blur=int(generator.choice([3, 3, 5])) if generator.uniform() < config.blur else 1,
            blur_is_vertical=bool(generator.uniform() < 0.3),
            grain=grain,
            quality=int(generator.integers(35, 95)) if generator.uniform() < config.jpeg else None,
        )

    def expose(
        self, image: Float[Tensor, "3 height width"], time: float
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Turn a canvas into a frame: blur, noise, 8 bits, tone, compression."""
        if self.blur > 1:
            kernel = (self.blur, 1) if self.blur_is_vertical else (1, self.blur)
            padding = (kernel[0] // 2, kernel[1] // 2)
            image = functional.avg_pool2d(
                image, kernel, stride=1, padding=padding, count_include_pad=False
            )
        if self.grain is not None:
            top, left = (int(time * rate) % GRAIN_MARGIN for rate in (997, 1709))
            height, width = image.shape[1:]
            image = image + self.grain[:, top : top + height, left : left + width]
        levels = image.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
        picture = Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())
        picture = picture.point(self._tone_curves(time))
        return np.asarray(picture if self.quality is None else _compressed(picture, self.quality))

    def _tone_curves(self, time: float) -> list[int]:
        """Return the output level for each input level of red, then of green and of blue."""
        light = np.linspace(0, 1, 256) ** self.gamma - 0.5
        gain = np.array(self.tint) * self.contrast * (1 + self.flicker.at(time))
        curves = (gain[:, None] * light + 0.5) * 255
        return [int(level) for level in curves.round().clip(0, 255).ravel()]


def _compressed(picture: Image.Image, quality: int) -> Image.Image:
    """Compress a picture as JPEG, and return the decoded result."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)
