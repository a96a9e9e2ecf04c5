"""Draw short training clips of one object from annotated videos and single pictures.

    frames   height × width × 3   uint8 RGB, any number, in time order
    masks    height × width       uint8: 1 object, 0 background, 255 void

A source holds targets, (video, object) pairs, and draws one clip at a time with the generator it
is given, so that a clip depends on the generator's seed alone. The first frame of a clip is the
one a method adapts to (the train frame of LWL), the others are those it is to segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray

from maskcast.core.errors import ConfigError, DatasetError
from maskcast.core.types import Box
from maskcast.data.dataset import VOID
from maskcast.data.visibility import LabelledVideo, count_videos

Picture = UInt8[np.ndarray, "height width 3"]
BinaryMask = UInt8[np.ndarray, "height width"]


@runtime_checkable
class AnnotatedVideo(LabelledVideo, Protocol):
    """What sampling needs to know of a video (``maskcast.data.dataset.Video`` is one)."""

    def read_frame(self, frame_index: int, /) -> Picture: ...


@dataclass(frozen=True)
class DrawnClip:
    """Frames of one object as they were stored."""

    name: str
    """Where it is from, for messages: data set, video, object, frames."""
    frames: tuple[Picture, ...]
    masks: tuple[BinaryMask, ...]
    boxes: tuple[Box, ...] | None = None
    """Annotated boxes, by frame; None where the box is that of the mask."""


@runtime_checkable
class ClipSource(Protocol):
    """Where clips come from. Sources are picklable: loader processes each have a copy."""

    @property
    def name(self) -> str: ...
    def __len__(self) -> int:
        """Return the number of targets: (video, object) pairs, or objects in single pictures."""
        ...

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        """Draw one train frame and ``test_frames`` more of one target."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClipSampling:
    """Which frames of a video make a clip: LWL's settings."""

    max_gap: int = 100
    """Reach of a clip in annotated frames, to either side of the train frame."""
    gap_step: int = 5
    """How much the reach grows when it holds no visible frame."""
    smallest_object: int = 10
    """An object is visible where it has more pixels than this."""
    needs_earlier_frame: bool = True
    """The train frame has a visible frame before it, as in the published training (by accident:
    the first visible frame is then never the train frame)."""
    tries: int = 1000
    """Draws of a train frame before a target, and of targets before a source, is given up."""

    def __post_init__(self) -> None:
        if self.max_gap < 1 or self.gap_step < 1 or self.tries < 1 or self.smallest_object < 0:
            raise ConfigError(f"clip sampling needs positive numbers, got {self}")


@dataclass(frozen=True)
class ClipFrames:
    """The places of a clip's frames among the annotated frames of its video."""

    train: int
    test: tuple[int, ...]
    """Rising; a frame may come twice."""


def draw_clip_frames(
    generator: np.random.Generator,
    visible: NDArray[np.bool_],
    test_frames: int,
    sampling: ClipSampling,
) -> ClipFrames | None:
    """Draw the train frame, then the test frames after it, with replacement and in time order.

    Args:
        visible: for each annotated frame, whether the object is visible.

    Returns:
        The frames, or None if none were found in ``sampling.tries`` tries.
    """
    gap = sampling.max_gap
    before = np.concatenate([[0], np.cumsum(visible)])
    for _ in range(sampling.tries):
        bases = np.flatnonzero(visible[: max(0, len(visible) - test_frames)])
        if len(bases) == 0:
            return None
        base = int(bases[generator.integers(len(bases))])
        earlier = before[base] - before[max(0, base - gap)]
        later = np.flatnonzero(visible[base + 1 : base + gap]) + base + 1
        if (earlier or not sampling.needs_earlier_frame) and len(later):
            test = np.sort(later[generator.integers(len(later), size=test_frames)])
            return ClipFrames(base, tuple(int(place) for place in test))
        gap += sampling.gap_step
    return None


@dataclass(frozen=True)
class _Target:
    """One object in one video."""

    video: int
    object_id: int
    frames: NDArray[np.int64]
    """The annotated frames of the video."""
    visible: NDArray[np.bool_]
    """Whether the object is visible, by annotated frame."""


class VideoClips:
    """Clips from annotated videos: (video, object) pairs uniformly, frames as LWL draws them.

    Targets with too few visible frames for ``draw_clip_frames`` are left out at once, which is
    the same as drawing again: more than twice the number of frames in a clip must be visible.

    Args:
        name: for messages.
        videos: annotated videos; every annotation is read once to see where objects are visible.
        test_frames: the most a clip will be asked to have.
        single_object: all non-zero labels form one object, as in DAVIS 2016.
        keep_in: a folder in which the counts of pixels are kept for the next time.

    Raises:
        DatasetError: no object is visible often enough.
    """

    def __init__(
        self,
        name: str,
        videos: Sequence[AnnotatedVideo],
        *,
        test_frames: int = 3,
        sampling: ClipSampling | None = None,
        single_object: bool = False,
        keep_in: Path | None = None,
    ) -> None:
        self.name = name
        self.videos = videos
        self.sampling = sampling or ClipSampling()
        self.single_object = single_object
        counted = count_videos(videos, merged=single_object, keep_in=keep_in)
        candidates = [
            _Target(place, object_id, np.array(found.frames), row > self.sampling.smallest_object)
            for place, found in enumerate(counted)
            for object_id, row in found.by_object.items()
        ]
        enough = 2 * (1 + test_frames)
        self.targets = [target for target in candidates if target.visible.sum() > enough]
        if not self.targets:
            raise DatasetError(
                f"{name} holds no object that is visible in more than {enough} annotated frames; "
                "training clips need at least that many"
            )

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        for _ in range(self.sampling.tries):
            target = self.targets[generator.integers(len(self.targets))]
            drawn = draw_clip_frames(generator, target.visible, test_frames, self.sampling)
            if drawn is not None:
                return self._read(target, drawn)
        raise DatasetError(f"no clip of {1 + test_frames} frames can be drawn from {self.name}")

    def _read(self, target: _Target, drawn: ClipFrames) -> DrawnClip:
        video = self.videos[target.video]
        indices = [int(target.frames[place]) for place in (drawn.train, *drawn.test)]
        label_maps = [video.read_annotation(index) for index in indices]
        return DrawnClip(
            f"{self.name}/{video.name}, object {target.object_id}, frames {indices}",
            tuple(video.read_frame(index) for index in indices),
            tuple(
                object_mask(
                    label_map,
                    None if self.single_object else target.object_id,
                    has_void=video.has_void,
                )
                for label_map in label_maps
                if label_map is not None
            ),
        )


def object_mask(
    label_map: Integer[np.ndarray, "height width"],
    object_id: int | None,
    *,
    has_void: bool = True,
) -> BinaryMask:
    """Return 1 on an object (on every object if None), 255 on void, 0 elsewhere."""
    mask = (label_map > 0 if object_id is None else label_map == object_id).astype(np.uint8)
    if has_void:
        mask[label_map == VOID] = VOID
    return mask


def tight_box(mask: BinaryMask) -> Box:
    """The smallest box around an object; its width is ``x_max - x_min + 1``.

    Raises:
        DatasetError: the mask is empty.
    """
    columns = np.flatnonzero((mask == 1).any(axis=0))
    rows = np.flatnonzero((mask == 1).any(axis=1))
    if len(rows) == 0:
        raise DatasetError("a training mask is empty, so it has no box; leave this frame out")
    return Box(
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    )
