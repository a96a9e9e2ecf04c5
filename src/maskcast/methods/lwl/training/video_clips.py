"""Draw training clips of one object each from annotated videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from numpy.typing import NDArray

from maskcast.core.errors import DatasetError
from maskcast.data.clips import AnnotatedVideo, AnyLabelArray, DrawnClip, object_mask
from maskcast.data.dataset import VOID
from maskcast.data.visibility import count_videos
from maskcast.methods.lwl.training.clip_frames import ClipFrames, draw_absence, draw_clip_frames
from maskcast.methods.lwl.training.clip_settings import ClipSampling


@dataclass(frozen=True)
class _Target:
    """One object in one video."""

    video: int
    object_id: int
    frames: NDArray[np.int64]
    """Indices of the annotated frames of the video."""
    pixels: NDArray[np.int64]
    """Number of pixels of the object, by annotated frame."""
    visible: NDArray[np.bool_]
    """Whether the object is visible, by annotated frame."""

    @property
    def is_ever_absent(self) -> bool:
        """Whether a frame after the first visible one has no pixel of the object."""
        return bool((self.pixels[int(self.visible.argmax()) :] == 0).any())


class VideoClips:
    """Clips from annotated videos, with frames drawn by the rules of LWL.

    Targets that are visible on too few frames (``ClipSampling.fewest_visible``) are left out from
    the start, which is equivalent to drawing again.

    Args:
        name: name in messages.
        videos: annotated videos; every annotation is read once to find where objects are visible.
        test_frames: maximum number of test frames of a clip.
        sampling: settings; None uses the defaults.
        single_object: whether all non-zero labels form one object, as in DAVIS 2016.
        keep_in: folder in which to cache the pixel counts.

    Raises:
        DatasetError: no object is visible on enough frames.
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
            _Target(
                index, object_id, np.array(counts.frames), row, row > self.sampling.smallest_object
            )
            for index, counts in enumerate(counted)
            for object_id, row in counts.by_object.items()
        ]
        enough = self.sampling.fewest_visible or 2 * (1 + test_frames) + 1
        self.targets = [target for target in candidates if target.visible.sum() >= enough]
        if not self.targets:
            raise DatasetError(
                f"{name} has no object that is visible in at least {enough} annotated frames; "
                "training clips require that"
            )
        self._by_video = [
            [target for target in self.targets if target.video == video]
            for video in sorted({target.video for target in self.targets})
        ]

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        for _ in range(self.sampling.tries):
            target = self._draw_target(generator)
            drawn = self._draw_frames(generator, target, test_frames)
            if drawn is not None:
                return self._read(target, drawn)
        raise DatasetError(f"cannot draw a clip of {1 + test_frames} frames from {self.name}")

    def _draw_target(self, generator: np.random.Generator) -> _Target:
        targets = self.targets
        if self.sampling.uniform_over == "videos":
            targets = self._by_video[generator.integers(len(self._by_video))]
        return targets[generator.integers(len(targets))]

    def _draw_frames(
        self, generator: np.random.Generator, target: _Target, test_frames: int
    ) -> ClipFrames | None:
        chance = self.sampling.absent
        if chance and target.is_ever_absent and generator.uniform() < chance:
            drawn = draw_absence(generator, target.pixels, test_frames, self.sampling)
            if drawn is not None:
                return drawn
        return draw_clip_frames(generator, target.visible, test_frames, self.sampling)

    def _read(self, target: _Target, drawn: ClipFrames) -> DrawnClip:
        video = self.videos[target.video]
        indices = [int(target.frames[index]) for index in (drawn.train, *drawn.test)]
        label_maps = [video.read_annotation(index) for index in indices]
        read = [label_map for label_map in label_maps if label_map is not None]
        object_id = None if self.single_object else target.object_id
        return DrawnClip(
            f"{self.name}/{video.name}, object {target.object_id}, frames {indices}",
            tuple(video.read_frame(index) for index in indices),
            tuple(object_mask(labels, object_id, has_void=video.has_void) for labels in read),
            others=None
            if object_id is None
            else tuple(_others(labels, object_id, has_void=video.has_void) for labels in read),
        )


def _others(
    label_map: Integer[np.ndarray, "height width"], object_id: int, *, has_void: bool
) -> AnyLabelArray:
    """Return the label map without one object and without void."""
    others = np.array(label_map)
    others[(label_map == object_id) | (has_void & (label_map == VOID))] = 0
    return others
