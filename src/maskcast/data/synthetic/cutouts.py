"""Sources of objects for synthetic clips: noise, pictures with masks, and RGBA pictures.

image    3 × height × width   float32, 0..1
alpha    height × width       float32, 0..1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from maskcast.core.errors import ConfigError, DataError, DatasetError
from maskcast.core.types import Box
from maskcast.data.clips import AnnotatedVideo, object_box, object_mask
from maskcast.data.dataset import Faults
from maskcast.data.listing import IMAGE_ENDINGS, list_pictures
from maskcast.data.resizing import resize_picture
from maskcast.data.synthetic import textures
from maskcast.data.synthetic.stage import Cutout
from maskcast.data.visibility import count_pixels, readable_annotations
from maskcast.io.pictures import open_picture

MARGIN = 2
"""Width of the transparent margin around an object, in pixels."""


@runtime_checkable
class CutoutSource(Protocol):
    """A source of objects."""

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        """Draw an object whose longer side is about ``resolution`` pixels."""
        ...


class ProceduralCutouts:
    """Objects from noise: silhouettes with textures, shaded like convex shapes."""

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        shape = choose(generator, list(textures.TRAINING_SHAPES.values()))
        texture = choose(generator, list(textures.TRAINING_TEXTURES.values()))
        alpha = shape(generator, resolution)
        image = texture(generator, (resolution, resolution))
        if generator.uniform() < 0.3:
            other = choose(generator, list(textures.TRAINING_TEXTURES.values()))
            part = textures.fractal_noise(generator, (resolution, resolution), cells=1.5, octaves=3)
            share = torch.sigmoid(30 * (part - 0.5))
            image = torch.lerp(image, other(generator, (resolution, resolution)), share)
        angle = generator.uniform(0, 2 * np.pi)
        light = (float(np.cos(angle)), float(np.sin(angle)))
        return Cutout(textures.shade(image, alpha, light, generator.uniform(0, 0.9)), alpha)


Option = TypeVar("Option")


def choose(generator: np.random.Generator, options: Sequence[Option]) -> Option:
    """Draw one of the options uniformly."""
    return options[int(generator.integers(len(options)))]


@dataclass(frozen=True)
class PictureObject:
    """One object in one picture."""

    picture: int
    """Index of the picture."""
    object_id: int
    pixels: int
    share: float
    """Area as a share of the picture, 0..1."""


def objects_of(pictures: Sequence[AnnotatedVideo], smallest: int = 10) -> list[PictureObject]:
    """List the objects with more than ``smallest`` pixels, by reading every mask once.

    Unreadable masks are logged and skipped.
    """
    objects = []
    for index, picture in enumerate(pictures):
        for _, label_map in readable_annotations(picture):
            counts = count_pixels(label_map, has_void=picture.has_void)
            for object_id in np.flatnonzero(counts > smallest):
                if object_id != 0:
                    pixels = int(counts[object_id])
                    share = pixels / label_map.size
                    objects.append(PictureObject(index, int(object_id), pixels, share))
    return objects


class PairCutouts:
    """Objects cut out of pictures, to be pasted into synthetic clips.

    Args:
        pictures: videos of one frame (``read_image_pairs``).
        share: range of an object's area, as a share of its picture.
        smallest: number of pixels that an object must exceed.

    Raises:
        DatasetError: no object has such a size.
    """

    def __init__(
        self,
        pictures: Sequence[AnnotatedVideo],
        *,
        share: tuple[float, float] = (0.01, 0.6),
        smallest: int = 300,
    ) -> None:
        self.pictures = pictures
        self.objects = [
            item for item in objects_of(pictures, smallest) if share[0] <= item.share <= share[1]
        ]
        if not self.objects:
            raise DatasetError(
                f"no object to cut out: none has more than {smallest} pixels and covers "
                f"{share[0]:g} to {share[1]:g} of its image"
            )

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        chosen = self.objects[generator.integers(len(self.objects))]
        picture = self.pictures[chosen.picture]
        label_map = picture.read_annotation(0)
        if label_map is None:
            raise DatasetError(f"the mask of {picture.name} no longer exists")
        mask = object_mask(label_map, chosen.object_id, has_void=picture.has_void) == 1
        cutout = cut_out(picture.read_frame(0), mask, resolution)
        if generator.uniform() < 0.5:
            return Cutout(cutout.image.flip(2), cutout.alpha.flip(1))
        return cutout


def cut_out(frame: np.ndarray, mask: np.ndarray, resolution: int | None = None) -> Cutout:
    """Cut an object out along its mask, with an edge that is soft over about one pixel.

    Args:
        frame: the picture.
        mask: the object.
        resolution: longer side of the result in pixels; None keeps the size.
    """
    box = _padded(object_box(mask.astype(np.uint8)), mask.shape)
    top, bottom, left, right = box
    picture = torch.from_numpy(np.array(frame[top:bottom, left:right])).permute(2, 0, 1)
    alpha = torch.from_numpy(mask[top:bottom, left:right].astype(np.float32))
    image = picture.float() / 255
    if resolution is not None:
        scale = resolution / max(alpha.shape)
        size = (max(8, round(alpha.shape[0] * scale)), max(8, round(alpha.shape[1] * scale)))
        image = resize_picture(image, size)
        alpha = resize_picture(alpha.unsqueeze(0), size)[0]
    return Cutout(image, _softened(alpha))


def _padded(box: Box, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    margin = 2
    return (
        max(0, int(box.y) - margin),
        min(size[0], int(box.y + box.height) + margin),
        max(0, int(box.x) - margin),
        min(size[1], int(box.x + box.width) + margin),
    )


def _softened(alpha: Float[Tensor, "height width"]) -> Float[Tensor, "height width"]:
    """Soften the edge inwards, so that no background is visible around the object."""
    mean = functional.avg_pool2d(alpha[None, None], 3, stride=1, padding=1, count_include_pad=False)
    soft = torch.minimum(((mean[0, 0] - 0.4) / 0.5).clamp_(0, 1), alpha)
    soft[0], soft[-1], soft[:, 0], soft[:, -1] = 0, 0, 0, 0
    return soft


class CutoutFolder:
    """Objects from folders of RGBA pictures, drawn uniformly over the pictures.

    Args:
        folders: folders of pictures with an alpha channel (WebP or PNG).

    Raises:
        DatasetError: a folder is missing or empty.
    """

    def __init__(self, *folders: Path) -> None:
        faults = Faults(f"the cut-outs in {', '.join(map(str, folders))}")
        self.files: tuple[Path, ...] = ()
        for folder in folders:
            pictures = list_pictures(folder, IMAGE_ENDINGS, faults)
            if not pictures and not faults.problems:
                faults.add(f"{folder} contains no images")
            self.files += tuple(pictures.values())
        faults.raise_if_any()

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        cutout = read_cutout(self.files[int(generator.integers(len(self.files)))], resolution)
        if generator.uniform() < 0.5:
            return Cutout(cutout.image.flip(2), cutout.alpha.flip(1))
        return cutout


def read_cutout(path: Path, resolution: int) -> Cutout:
    """Read an object and resize its longer side to about ``resolution`` pixels with the margin.

    Raises:
        DataError: the file is not a picture, has no alpha channel, or is completely transparent.
    """
    picture = open_picture(path)
    if "A" not in picture.getbands():
        raise DataError(f"{path} has no alpha channel; cut-outs must be RGBA images")
    pixels = np.asarray(picture.convert("RGBA"))
    rows = np.flatnonzero((pixels[..., 3] > 127).any(axis=1))
    columns = np.flatnonzero((pixels[..., 3] > 127).any(axis=0))
    if len(rows) == 0:
        raise DataError(f"{path} is completely transparent; remove it")
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    layers = torch.from_numpy(np.array(part)).permute(2, 0, 1).float() / 255
    layers[:3] *= layers[3]  # the arbitrary colour of transparent pixels must not blend in
    scale = (resolution - 2 * MARGIN) / max(part.shape[:2])
    size = [max(4, round(side * scale)) for side in part.shape[:2]]
    layers = functional.interpolate(
        layers.unsqueeze(0), size=size, mode="bilinear", antialias=True, align_corners=False
    )[0].clamp_(0, 1)
    layers = functional.pad(layers, (MARGIN,) * 4)
    return Cutout(layers[:3] / layers[3].clamp_min(1e-3), layers[3])


@dataclass(frozen=True)
class CutoutMix:
    """A mixture of several sources of cut-outs.

    Raises:
        ConfigError: the number of weights differs from that of sources, or a weight is not
            positive.
    """

    sources: Sequence[CutoutSource]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.weights) or not min(self.weights, default=0) > 0:
            raise ConfigError(
                f"{len(self.sources)} sources of cut-outs require one positive weight each, got "
                f"{list(self.weights)}"
            )

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        shares = np.array(self.weights) / sum(self.weights)
        source = self.sources[int(generator.choice(len(self.sources), p=shares))]
        return source.draw_cutout(generator, resolution)
