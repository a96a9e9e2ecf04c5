"""Folders of cut-out objects: RGBA pictures, to be pasted into made-up clips.

image    3 × height × width   float32, 0..1
alpha    height × width       float32, 0..1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from maskcast.core.errors import ConfigError, DataError
from maskcast.data.dataset import Faults
from maskcast.data.listing import IMAGE_ENDINGS, list_pictures
from maskcast.data.made_up import CutoutSource
from maskcast.data.made_up_stage import Cutout

MARGIN = 2
"""Transparent pixels around an object."""


class CutoutFolder:
    """Objects from RGBA pictures, uniformly over the pictures.

    Args:
        folders: each holds pictures with an alpha channel (WebP or PNG).

    Raises:
        DatasetError: a folder is not there or empty.
    """

    def __init__(self, *folders: Path) -> None:
        faults = Faults(f"the cut-outs in {', '.join(map(str, folders))}")
        self.files: tuple[Path, ...] = ()
        for folder in folders:
            found = list_pictures(folder, IMAGE_ENDINGS, faults)
            if not found and not faults.found:
                faults.add(f"{folder} contains no images")
            self.files += tuple(found.values())
        faults.raise_if_any()

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        cutout = read_cutout(self.files[int(generator.integers(len(self.files)))], resolution)
        if generator.uniform() < 0.5:
            return Cutout(cutout.image.flip(2), cutout.alpha.flip(1))
        return cutout


def read_cutout(path: Path, resolution: int) -> Cutout:
    """Read an object whose longer side becomes about ``resolution`` pixels, margin included.

    Raises:
        DataError: the file is not a picture with an alpha channel that shows something.
    """
    try:
        with Image.open(path) as file:
            if "A" not in file.getbands():
                raise DataError(f"{path} has no alpha channel; cut-outs must be RGBA images")
            pixels = np.asarray(file.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read {path} as an image: {error}") from error
    rows = np.flatnonzero((pixels[..., 3] > 127).any(axis=1))
    columns = np.flatnonzero((pixels[..., 3] > 127).any(axis=0))
    if len(rows) == 0:
        raise DataError(f"{path} is completely transparent; remove it")
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    layers = torch.from_numpy(np.array(part)).permute(2, 0, 1).float() / 255
    layers[:3] *= layers[3]  # transparent pixels have any colour, which must not blend in
    scale = (resolution - 2 * MARGIN) / max(part.shape[:2])
    size = [max(4, round(side * scale)) for side in part.shape[:2]]
    layers = functional.interpolate(
        layers.unsqueeze(0), size=size, mode="bilinear", antialias=True, align_corners=False
    )[0].clamp_(0, 1)
    layers = functional.pad(layers, (MARGIN,) * 4)
    return Cutout(layers[:3] / layers[3].clamp_min(1e-3), layers[3])


@dataclass(frozen=True)
class CutoutMix:
    """Several sources of cut-outs.

    Raises:
        ConfigError: there is not one positive weight for each source.
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
