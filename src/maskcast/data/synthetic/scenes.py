"""Sources of backgrounds for synthetic clips: noise or photographs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from maskcast.core.errors import DatasetError
from maskcast.data.clips import AnnotatedVideo
from maskcast.data.resizing import resize_picture
from maskcast.data.synthetic import textures
from maskcast.data.synthetic.cutouts import ProceduralCutouts, choose


@runtime_checkable
class SceneSource(Protocol):
    """A source of backgrounds."""

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        """Draw a picture of this height and width, 0..1."""
        ...


class ProceduralScenes:
    """Scenes from noise: a ground with sky, or a wall, with clutter."""

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        makers = list(textures.TRAINING_TEXTURES.values())
        height, width = size[0] // 2, size[1] // 2
        half = (height, width)
        scene = choose(generator, makers)(generator, half)
        if generator.uniform() < 0.6:
            horizon = generator.uniform(0.2, 0.6)
            rim = textures.fractal_noise(generator, (4, width), cells=0.6, octaves=5)[0]
            border = (horizon + generator.uniform(0.02, 0.3) * (rim - 0.5)) * height
            rows = torch.arange(height, dtype=torch.float32).unsqueeze(1)
            sky = textures.clouds(generator, half) * 0.5 + 0.4
            scene = torch.lerp(scene, sky, torch.sigmoid(border - rows))
        light = textures.fractal_noise(generator, half, cells=1, octaves=2)
        scene = scene * (0.6 + 0.7 * light)
        scene = functional.interpolate(scene.unsqueeze(0), size=size, mode="bilinear")[0]
        for _ in range(int(generator.integers(2, 9))):
            _paste_clutter(generator, scene)
        return scene.clamp_(0, 1)


def _paste_clutter(generator: np.random.Generator, scene: Float[Tensor, "3 height width"]) -> None:
    """Paste one object into a scene, in place."""
    height, width = scene.shape[-2:]
    resolution = int(generator.uniform(0.12, 0.5) * height)
    cutout = ProceduralCutouts().draw_cutout(generator, max(16, resolution))
    side = cutout.alpha.shape[-1]
    top = int(generator.integers(0, max(1, height - side)))
    left = int(generator.integers(0, max(1, width - side)))
    region = scene[:, top : top + side, left : left + side]
    alpha = cutout.alpha[: region.shape[1], : region.shape[2]]
    region.lerp_(cutout.image[:, : region.shape[1], : region.shape[2]], alpha)


class PhotoScenes:
    """Backgrounds from photographs: a random part of a random picture, possibly mirrored.

    Raises:
        DatasetError: there are no photographs.
    """

    def __init__(self, photographs: Iterable[AnnotatedVideo]) -> None:
        self.photographs = tuple(photographs)
        if not self.photographs:
            raise DatasetError("no photographs for backgrounds")

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        photograph = self.photographs[generator.integers(len(self.photographs))].read_frame(0)
        aspect = size[1] / size[0]
        height, width = photograph.shape[:2]
        largest = min(height, width / aspect)
        part_height = int(largest * generator.uniform(0.7, 1))
        part_width = int(part_height * aspect)
        top = int(generator.integers(0, height - part_height + 1))
        left = int(generator.integers(0, width - part_width + 1))
        part = photograph[top : top + part_height, left : left + part_width]
        if generator.uniform() < 0.5:
            part = part[:, ::-1]
        picture = torch.from_numpy(np.array(part)).permute(2, 0, 1).float() / 255
        return resize_picture(picture, size)
