"""Training snippets: a few frames of a video, of one size, with one object.

    frames    time × height × width × 3   uint8 RGB
    labels    time × height × width       uint8: 1 object, 0 background, 255 void

A source has a number of targets, usually videos. A snippet depends only on its target and on the
generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from maskcast.core.errors import DatasetError
from maskcast.data.clips import AnnotatedVideo, ClipSource
from maskcast.data.dataset import VOID
from maskcast.data.visibility import PixelCounts, count_pixels, count_videos
from maskcast.methods.agame.training.config import SnippetConfig


class Snippet(NamedTuple):
    """A snippet for a training step."""

    frames: UInt8[Tensor, "time 3 height width"]
    labels: UInt8[Tensor, "time height width"]
    name: str
    """Origin of the snippet, for messages."""


@runtime_checkable
class SnippetSource(Protocol):
    """A source of snippets; it must be picklable, because every data-loading worker has a copy."""

    @property
    def name(self) -> str: ...
    def __len__(self) -> int:
        """Return the number of targets."""
        ...

    def draw(self, target: int, generator: np.random.Generator) -> Snippet:
        """Draw a snippet of a target, without augmentation."""
        ...


class VideoSnippets:
    """Snippets of annotated videos (map: snippets); a target is a video that is long enough.

    A video is long enough if it has ``length`` frames from the first frame with a visible object to
    the last annotated frame. A snippet starts on a frame with a visible object and continues with
    the following frames. Its object is drawn from those visible on its first frame.

    Args:
        name: name in messages.
        videos: annotated videos; every annotation is read once to find where objects are visible.
        config: shape of the snippets.
        candidate_pixels: number of pixels that an object must exceed on the resized first frame to
            be drawn. Published: 25 on DAVIS, 10 on YouTube-VOS.
        single_object: whether all ids form one object.
        keep_in: folder in which to cache the pixel counts.

    Raises:
        DatasetError: no video is long enough.
    """

    def __init__(
        self,
        name: str,
        videos: Sequence[AnnotatedVideo],
        config: SnippetConfig,
        *,
        candidate_pixels: int = 25,
        single_object: bool = False,
        keep_in: Path | None = None,
    ) -> None:
        self.name, self.config = name, config
        self.candidate_pixels, self.single_object = candidate_pixels, single_object
        counted = count_videos(videos, merged=single_object, keep_in=keep_in)
        lines = [_timeline(pixels, config.visible_pixels) for pixels in counted]
        pairs = [p for p in zip(videos, lines, strict=True) if p[1].starts(config.length)]
        self.videos = [video for video, _ in pairs]
        self.timelines = [line for _, line in pairs]
        if not self.videos:
            raise DatasetError(
                f"{name} has no video with {config.length} frames from the first visible object on"
            )

    def __len__(self) -> int:
        return len(self.videos)

    def draw(self, target: int, generator: np.random.Generator) -> Snippet:
        timeline = self.timelines[target]
        starts = timeline.starts(self.config.length)
        for _ in range(20):
            start = starts[generator.integers(len(starts))]
            snippet = self._read(target, timeline.frames[start:], generator)
            if snippet is not None:
                return snippet
        raise DatasetError(f"no object of {self.videos[target].name} is large enough for training")

    def first(self, target: int) -> Snippet | None:
        """Return the snippet that starts on the first visible frame, of the lowest candidate id."""
        timeline = self.timelines[target]
        return self._read(target, timeline.frames[timeline.starts(self.config.length)[0] :], None)

    def _read(
        self, target: int, frames: NDArray[np.int64], generator: np.random.Generator | None
    ) -> Snippet | None:
        """Read a snippet that starts on the first of these frames; None if that shows no object."""
        video, length = self.videos[target], self.config.length
        step = 1
        if generator is not None and self.config.longest_step > 1:
            longest = min(self.config.longest_step, (len(frames) - 1) // (length - 1))
            step = int(generator.integers(1, longest + 1))
        chosen = [int(index) for index in frames[::step][:length]]
        label_maps = [self._label_map(video, index) for index in chosen]
        counts = count_pixels(label_maps[0])
        candidates = np.flatnonzero(counts[1:] > self.candidate_pixels) + 1
        if not len(candidates):
            return None
        candidate = 0 if generator is None else int(generator.integers(len(candidates)))
        object_id = int(candidates[candidate])
        labels = [np.where(ids == VOID, ids, ids == object_id) for ids in label_maps]
        images = [_resized(video.read_frame(i), self.config.size, smooth=True) for i in chosen]
        name = f"{self.name}/{video.name}, object {object_id}, frames {chosen}"
        return _as_snippet(images, labels, name)

    def _label_map(self, video: AnnotatedVideo, index: int) -> UInt8[np.ndarray, "height width"]:
        """Return a resized label map; on a frame without annotation, it is all void.

        Void pixels of an annotation become background, as in the published training.
        """
        label_map = video.read_annotation(index)
        if label_map is None:
            return np.full(self.config.size, VOID, np.uint8)
        ids = np.where(label_map == VOID, 0, label_map).astype(np.uint8)
        return _resized(np.minimum(ids, 1) if self.single_object else ids, self.config.size)


class ClipSnippets:
    """Snippets from a source of clips, which are synthetic or made from single pictures.

    Args:
        source: the source of clips, which are resized.
        config: shape of the snippets.
    """

    def __init__(self, source: ClipSource, config: SnippetConfig) -> None:
        self.name, self.source, self.config = source.name, source, config

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, target: int, generator: np.random.Generator) -> Snippet:
        """Draw a clip; the target is ignored, because the source draws targets itself."""
        clip = self.source.draw(generator, self.config.length - 1)
        size = self.config.size
        labels = [_resized(np.where(mask == VOID, 0, mask), size) for mask in clip.masks]
        images = [_resized(frame, size, smooth=True) for frame in clip.frames]
        return _as_snippet(images, labels, clip.name)


@dataclass(frozen=True)
class _Timeline:
    """The frames of a video from its first to its last annotation."""

    frames: NDArray[np.int64]
    visible: NDArray[np.bool_]
    """Whether any object is visible, by position in ``frames``."""

    def starts(self, length: int) -> list[int]:
        """Return the positions at which a snippet can start."""
        last = len(self.frames) - length
        return [int(index) for index in np.flatnonzero(self.visible) if index <= last]


def augmented(snippet: Snippet, config: SnippetConfig, generator: np.random.Generator) -> Snippet:
    """Mirror a snippet, and zoom into it progressively, with the probabilities of the config."""
    frames, labels, name = snippet
    if generator.uniform() < config.flip:
        frames, labels = frames.flip(-1), labels.flip(-1)
    if config.zoom and generator.uniform() < 0.5:
        scale = 1 + 0.1 * float(generator.uniform())
        frames, labels = zoomed(frames, labels, scale)
    return Snippet(frames, labels, name)


def zoomed(
    frames: UInt8[Tensor, "time 3 height width"],
    labels: UInt8[Tensor, "time height width"],
    scale: float,
) -> tuple[UInt8[Tensor, "time 3 height width"], UInt8[Tensor, "time height width"]]:
    """Enlarge frame l (from 0) by ``scale`` to the power of l + 1, and crop its centre."""
    height, width = frames.shape[-2:]
    new_frames, new_labels = [], []
    for index, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        factor = scale ** (index + 1)
        size = (round(height * factor), round(width * factor))
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        image = functional.interpolate(frame[None].float(), size=size, mode="bilinear")
        ids = functional.interpolate(label[None, None], size=size, mode="nearest-exact")
        middle = (..., slice(top, top + height), slice(left, left + width))
        new_frames.append(image[0][middle].round().to(torch.uint8))
        new_labels.append(ids[0, 0][middle])
    return torch.stack(new_frames), torch.stack(new_labels)


def _timeline(counts: PixelCounts, visible_pixels: int) -> _Timeline:
    if not counts.frames:
        return _Timeline(np.zeros(0, np.int64), np.zeros(0, np.bool_))
    frames = np.arange(counts.frames[0], counts.frames[-1] + 1)
    visible = np.zeros(len(frames), np.bool_)
    for pixels in counts.by_object.values():
        visible[np.array(counts.frames) - frames[0]] |= pixels > visible_pixels
    return _Timeline(frames, visible)


def _resized(
    picture: UInt8[np.ndarray, "..."], size: tuple[int, int], *, smooth: bool = False
) -> UInt8[np.ndarray, "..."]:
    """Resize a picture: bilinear with antialiasing if smooth, else nearest-neighbour."""
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), method))


def _as_snippet(
    images: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.uint8]], name: str
) -> Snippet:
    frames = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return Snippet(frames, torch.from_numpy(np.stack(labels).astype(np.uint8)), name)
