"""Draw snippets of consecutive frames with one object, as A-GAME trains on them.

    images   frames × 3 × height × width   uint8 RGB
    masks    frames × height × width       uint8: 1 the object, 0 all else, 255 where none is known

From "A Generative Appearance Model for End-to-End Video Object Segmentation", section 4: a start
frame, the frames after it without gaps, one of the objects that are visible on the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.clips import AnnotatedVideo, count_pixels
from maskcast.data.dataset import VOID


@dataclass(frozen=True, kw_only=True)
class SnippetConfig:
    """Which frames make a snippet, and how they are changed."""

    length: int = 8
    size: tuple[int, int] = (240, 432)
    """Height and width; the shape of the video is not kept."""
    visible_pixels: int = 100
    """A frame shows something if an id has more pixels than this, before it is resized."""
    candidate_pixels: int = 25
    """On the resized first frame a candidate has more pixels than this (YouTube-VOS: 10)."""
    native_size: tuple[int, int] | None = None
    """Only videos of this height and width (YouTube-VOS in training: 720 × 1280)."""
    flip: float = 0.5
    """Probability that the whole snippet is mirrored."""
    zoom: float = 0.0
    """Progressive zoom of the DAVIS-only recipe: 0.1 there. Half of the snippets grow by up to
    this share with every frame."""
    first_start_only: bool = False
    """Validation: begin on the first frame that shows something, follow the lowest id."""

    def __post_init__(self) -> None:
        if self.length < 1 or min(self.size) < 1:
            raise ConfigError(f"a snippet needs a positive length and size, got {self}")
        if not 0 <= self.flip <= 1 or self.zoom < 0:
            raise ConfigError(f"flip is a probability and zoom is not negative, got {self}")


class Snippet(NamedTuple):
    """A snippet as a training step takes it; its first mask is the given one."""

    images: UInt8[Tensor, "frames 3 height width"]
    masks: UInt8[Tensor, "frames height width"]
    name: str


@dataclass(frozen=True)
class _Sequence:
    """A viable video and the frames a snippet of it can start on."""

    video: AnnotatedVideo
    starts: NDArray[np.int64]


class Snippets:
    """Snippets of viable videos, one sequence an item.

    A video is viable if ``length`` frames or more reach from the first frame that shows something
    to the last annotated one. Every annotation is read once to find out.

    Raises:
        DatasetError: no video is viable.
    """

    def __init__(self, name: str, videos: Sequence[AnnotatedVideo], config: SnippetConfig) -> None:
        self.name = name
        self.config = config
        found = [_viable(video, config) for video in videos]
        self.sequences = [sequence for sequence in found if sequence is not None]
        if not self.sequences:
            raise DatasetError(f"no video of {name} has {config.length} frames with an object")

    def __len__(self) -> int:
        """Return the number of viable videos."""
        return len(self.sequences)

    def draw(self, place: int, generator: np.random.Generator) -> Snippet:
        """Draw a start frame and an object of one video, and change the frames.

        Raises:
            DatasetError: the first frame has no candidate once it is resized.
        """
        sequence = self.sequences[place]
        choices = sequence.starts[:1] if self.config.first_start_only else sequence.starts
        start = int(choices[int(generator.integers(len(choices)))])
        frames = range(start, start + self.config.length)
        images = torch.stack([self._image(sequence.video, index) for index in frames])
        labels = torch.stack([self._labels(sequence.video, index) for index in frames])
        ids = candidates(labels[0].numpy(), self.config.candidate_pixels)
        name = f"{self.name}/{sequence.video.name}, frames {start} to {frames[-1]}"
        if len(ids) == 0:
            raise DatasetError(f"{name}: every object is too small once the frame is resized")
        chosen = ids[0] if self.config.first_start_only else ids[int(generator.integers(len(ids)))]
        masks = _chosen_object(labels, int(chosen))
        return Snippet(*self._augment(images, masks, generator), f"{name}, object {chosen}")

    def _image(self, video: AnnotatedVideo, index: int) -> Tensor:
        image = torch.from_numpy(np.array(video.read_frame(index))).permute(2, 0, 1)
        resized: Tensor = transforms.resize(
            tv_tensors.Image(image), list(self.config.size), antialias=True
        )
        return resized.as_subclass(Tensor)

    def _labels(self, video: AnnotatedVideo, index: int) -> Tensor:
        """Resize a label map; a frame without annotation is ``MISSING`` everywhere."""
        label_map = video.read_annotation(index)
        if label_map is None:
            return torch.full(self.config.size, MISSING, dtype=torch.int16)
        labels = torch.from_numpy(label_map.astype(np.int16))
        if not video.has_void:
            labels[labels == VOID] = VOID + 1
        resized: Tensor = transforms.resize(
            tv_tensors.Mask(labels.unsqueeze(0)),
            list(self.config.size),
            interpolation=InterpolationMode.NEAREST_EXACT,
        )
        return resized.as_subclass(Tensor)[0]

    def _augment(
        self, images: Tensor, masks: Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        flip, grows, growth = generator.uniform(size=3)
        if flip < self.config.flip:
            images, masks = images.flip(-1), masks.flip(-1)
        if grows < 0.5 and self.config.zoom > 0:
            images, masks = zoom_in(images, masks, 1 + self.config.zoom * float(growth))
        return images.contiguous(), masks.contiguous()


MISSING = -1
"""In labels, while a snippet is made: this frame has no annotation."""


def _viable(video: AnnotatedVideo, config: SnippetConfig) -> _Sequence | None:
    """Find the frames that can begin a snippet; None if there are too few frames."""
    shows = []
    last_annotated = -1
    for index in range(len(video.frame_names)):
        label_map = video.read_annotation(index)
        if label_map is None:
            shows.append(False)
            continue
        if config.native_size is not None and label_map.shape != config.native_size:
            return None
        last_annotated = index
        counts = count_pixels(label_map, has_void=video.has_void)
        shows.append(bool((counts[1:] > config.visible_pixels).any()))
    visible = np.flatnonzero(shows)
    if len(visible) == 0 or last_annotated - visible[0] + 1 < config.length:
        return None
    starts = visible[visible + config.length <= last_annotated + 1]
    return _Sequence(video, starts) if len(starts) else None


def candidates(labels: Integer[np.ndarray, "height width"], more_than: int) -> NDArray[np.int64]:
    """Return the ids with more than some pixels, rising, without background and void."""
    counts = np.bincount(labels[labels > 0].ravel())
    counts[VOID : VOID + 1] = 0
    return np.asarray(np.flatnonzero(counts > more_than), dtype=np.int64)


def _chosen_object(
    labels: Integer[Tensor, "frames height width"], object_id: int
) -> UInt8[Tensor, "frames height width"]:
    """1 on the object, 0 on all else, void included; 255 on frames without annotation."""
    masks = (labels == object_id).to(torch.uint8)
    return masks.masked_fill_(labels == MISSING, VOID)


def zoom_in(
    images: UInt8[Tensor, "frames 3 height width"],
    masks: UInt8[Tensor, "frames height width"],
    factor: float,
) -> tuple[UInt8[Tensor, "frames 3 height width"], UInt8[Tensor, "frames height width"]]:
    """Scale frame l, from 0, by ``factor^(l + 1)`` and cut its middle out."""
    height, width = masks.shape[-2:]
    grown_images, grown_masks = [], []
    for place in range(len(images)):
        scale = factor ** (place + 1)
        size = [max(height, round(height * scale)), max(width, round(width * scale))]
        image = transforms.resize(tv_tensors.Image(images[place]), size, antialias=True)
        mask = transforms.resize(
            tv_tensors.Mask(masks[place].unsqueeze(0)),
            size,
            interpolation=InterpolationMode.NEAREST_EXACT,
        )
        cut = [height, width]
        grown_images.append(transforms.center_crop(image, cut).as_subclass(Tensor))
        grown_masks.append(transforms.center_crop(mask, cut).as_subclass(Tensor)[0])
    return torch.stack(grown_images), torch.stack(grown_masks)


@dataclass(frozen=True)
class _Place:
    source: int
    place: int


class SnippetEpoch:
    """The snippets of one epoch; item i depends on (seed, epoch, i) alone.

    Args:
        sources: snippets of each data set.
        draws: how many items; None: every viable video once, in random order.
        balanced: every data set is drawn from about equally often, whatever its size (stage 2).
        replacement: a video may be drawn again (the DAVIS-only recipe).

    Raises:
        ConfigError: without replacement there are fewer videos than draws.
    """

    def __init__(
        self,
        sources: Sequence[Snippets],
        *,
        epoch: int,
        seed: int,
        draws: int | None = None,
        balanced: bool = False,
        replacement: bool = False,
    ) -> None:
        self.sources = tuple(sources)
        self.epoch = epoch
        self.seed = seed
        places = [
            _Place(number, place)
            for number, source in enumerate(self.sources)
            for place in range(len(source))
        ]
        if draws is not None and draws > len(places) and not replacement:
            raise ConfigError(f"{draws} of {len(places)} videos cannot be drawn without repeating")
        chances = np.array([1 / len(self.sources[one.source]) for one in places])
        order = np.random.default_rng([seed, epoch]).choice(
            len(places),
            size=len(places) if draws is None else draws,
            replace=replacement,
            p=chances / chances.sum() if balanced else None,
        )
        self.places = [places[int(index)] for index in order]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Snippet:
        chosen = self.places[index]
        generator = np.random.default_rng([self.seed, self.epoch, index])
        return self.sources[chosen.source].draw(chosen.place, generator)

    def identity(self, index: int) -> str:
        """Return which video an item is from."""
        chosen = self.places[index]
        source = self.sources[chosen.source]
        return f"{source.name}/{source.sequences[chosen.place].video.name}"
