"""Meta tasks: one object of one video, with a memory frame to adapt to and a query frame to test.

The task set T of section 3.2.1 contains every (video, object) pair once, so videos with many
objects are drawn more often. An item depends only on (seed, epoch, index).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as colour

from maskcast.core.errors import DataError
from maskcast.core.randomness import generator_of
from maskcast.data.clips import AnnotatedVideo
from maskcast.data.dataset import VOID, Dataset, Video
from maskcast.data.hold_outs import draw_balanced_hold_outs
from maskcast.data.training_sets import TrainingSets, nothing_to_train_on, split_youtube_vos
from maskcast.data.visibility import readable_annotations
from maskcast.io.label_maps import ids_in
from maskcast.methods.eosvos.augmentation import draw_visible_warp, flip, warp_frame, warp_label_map
from maskcast.methods.eosvos.network import AS_CODED, BoxOrder
from maskcast.methods.eosvos.targets import OBJECT
from maskcast.methods.eosvos.training.config import TaskConfig, TaskDataConfig
from maskcast.methods.eosvos.training.task_variations import (
    draw_box_order,
    draw_group,
    flip_labels,
    group_mask,
    paste_behind,
)

MOST_TRIES = 1000


class LabelledFrame(NamedTuple):
    """A frame and its label map: 1 object, 0 background, 255 void."""

    frame: Float[Tensor, "3 height width"]
    label: UInt8[Tensor, "height width"]


class MetaTask(NamedTuple):
    """D_train and D_test of one task, and the seed of all random numbers used in it."""

    memory: tuple[LabelledFrame, ...]
    """One frame for all inner steps, or one for each."""
    query: LabelledFrame
    seed: int
    box_order: BoxOrder = AS_CODED


@dataclass(frozen=True)
class TaskVideo:
    """A video and those of its objects that are used in tasks."""

    video: AnnotatedVideo
    objects: tuple[int | None, ...]
    """Object ids; None stands for all objects as one."""


@dataclass(frozen=True)
class OpenedTasks:
    """Training and held-out videos."""

    training: tuple[TaskVideo, ...]
    held_out: tuple[TaskVideo, ...]
    fingerprint: str


def open_tasks(config: TaskDataConfig) -> OpenedTasks:
    """Open all data sets that are set, and concatenate them without weights.

    Raises:
        ConfigError: no data set is set.
        DatasetError, MissingFileError: data are invalid, or a folder does not exist.
    """
    kept: list[AnnotatedVideo] = []
    apart: list[AnnotatedVideo] = []
    sets = TrainingSets(config.held_out)
    if config.youtube_vos is not None:
        kept += _youtube_vos(config.youtube_vos, config)
    named = [] if config.davis is None else [sets.davis(config.davis, year=config.davis_year)]
    named += [sets.videos("videos", config.videos)] if config.videos else []
    for videos in named:
        kept += videos.training
        apart += videos.held_out
    kept += sets.pictures("pictures", config.pictures)
    sets.check_hold_outs()
    if not kept:
        raise nothing_to_train_on("data.youtube_vos", "data.davis", "data.videos", "data.pictures")
    digest = hashlib.sha256()
    for video in (*kept, *apart):
        digest.update(f"{video.name}/{len(video.frame_names)};".encode())
    return OpenedTasks(
        _with_objects(kept, config), _with_objects(apart, config), digest.hexdigest()[:16]
    )


def _youtube_vos(root: Path, config: TaskDataConfig) -> Sequence[AnnotatedVideo]:
    """Return the videos of YouTube-VOS that are in neither of the two hold-outs."""

    def draw(dataset: Dataset) -> tuple[str, ...]:
        categories = {video.name: set(video.categories.values()) for video in dataset}
        first, second = draw_balanced_hold_outs(categories, counts=config.youtube_vos_hold_outs)
        return first + second

    listed = config.youtube_vos_held_out
    return split_youtube_vos(root, year=2019, listed=listed, draw=draw)[0].videos


def _with_objects(
    videos: Sequence[AnnotatedVideo], config: TaskDataConfig
) -> tuple[TaskVideo, ...]:
    if config.all_objects_as_one:
        return tuple(TaskVideo(video, (None,)) for video in videos)
    entries = [TaskVideo(video, _objects_of(video)) for video in videos]
    return tuple(entry for entry in entries if entry.objects)


def _objects_of(video: AnnotatedVideo) -> tuple[int, ...]:
    """Return the ids of a video's objects; unreadable masks are logged and skipped."""
    if isinstance(video, Video) and video.declared is not None:
        return video.object_ids
    ids = {
        object_id for _, label_map in readable_annotations(video) for object_id in ids_in(label_map)
    }
    return tuple(sorted(ids - {VOID} if video.has_void else ids))


class MetaTaskItems:
    """An epoch of tasks: shuffled passes over all (video, object) pairs."""

    def __init__(
        self,
        videos: Sequence[TaskVideo],
        config: TaskConfig,
        *,
        seed: int,
        epoch: int,
        inner_steps: int = 1,
    ) -> None:
        self.videos = videos
        self.config = config
        self.views = inner_steps if config.transforms == "step" else 1
        self.seed = seed
        self.epoch = epoch
        self._pairs = [
            (video_index, object_id)
            for video_index, entry in enumerate(videos)
            for object_id in entry.objects
        ]
        self._single = [
            video_index for video_index, entry in enumerate(videos) if len(entry.objects) == 1
        ]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> MetaTask:
        video_index, object_id = self._pair(index)
        config, generator = self.config, generator_of(self.seed, self.epoch, index)
        frames = self._two_frames(video_index, object_id, generator)
        if config.single_object_videos == "paste" and video_index in self._single:
            frames = self._with_another_object(frames, video_index, generator)
        if config.label_flips and _happens(config.label_flips, generator):
            labels = flip_labels([drawn.label for drawn in frames])
            frames = [d._replace(label=label) for d, label in zip(frames, labels, strict=True)]
        order = draw_box_order(generator) if config.box_orders else AS_CODED
        empty = config.empty_labels > 0 and _happens(config.empty_labels, generator)
        first, query = _augment(frames, config, generator)
        later = [_augment(frames[:1], config, generator)[0] for _ in range(self.views - 1)]
        memory = [first, *later]
        if empty:
            *memory, query = (one._replace(label=one.label * 0) for one in (*memory, query))
        seed = int(torch.randint(2**31, (), generator=generator))
        return MetaTask(tuple(memory), query, seed, order)

    def _two_frames(
        self, video_index: int, object_id: int | None, generator: torch.Generator
    ) -> list[_DrawnFrame]:
        """Return both frames of a task before augmentation."""
        video, objects = self.videos[video_index].video, self.videos[video_index].objects
        group: tuple[int, ...] | None = None if object_id is None else (object_id,)
        if object_id is not None and self.config.object_groups:
            group = draw_group(object_id, objects, generator)
        memory = _draw_visible(video, group, generator)
        if self.config.frames == "same":
            return [memory, memory]
        reach = self.config.reach
        return [
            memory,
            _draw_visible(video, group, generator, near=memory.frame_index, reach=reach),
        ]

    def _with_another_object(
        self, frames: Sequence[_DrawnFrame], video_index: int, generator: torch.Generator
    ) -> list[_DrawnFrame]:
        """Paste the object of another video with one object, if there is such a video."""
        others = [other for other in self._single if other != video_index]
        if not others:
            return list(frames)
        chosen = self.videos[others[int(torch.randint(len(others), (), generator=generator))]]
        (object_id,) = chosen.objects
        group = None if object_id is None else (object_id,)
        drawn_frames = []
        for drawn in frames:
            other = _draw_visible(chosen.video, group, generator)
            picture = paste_behind(drawn.frame, drawn.label, other.frame, other.label)
            drawn_frames.append(drawn._replace(frame=picture))
        return drawn_frames

    def identity(self, index: int) -> str:
        """Return the name of an item, for messages."""
        video_index, object_id = self._pair(index)
        return f"{self.videos[video_index].video.name}, object {object_id or 'all'}"

    def _pair(self, index: int) -> tuple[int, int | None]:
        turn, position = divmod(index, len(self._pairs))
        generator = generator_of(self.seed, self.epoch, turn, 0)
        order = torch.randperm(len(self._pairs), generator=generator)
        return self._pairs[int(order[position])]


def _happens(chance: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < chance


class _DrawnFrame(NamedTuple):
    frame_index: int
    frame: UInt8[np.ndarray, "height width 3"]
    label: UInt8[np.ndarray, "height width"]


def _draw_visible(
    video: AnnotatedVideo,
    group: tuple[int, ...] | None,
    generator: torch.Generator,
    *,
    near: int = 0,
    reach: int | None = None,
) -> _DrawnFrame:
    """Draw frames uniformly until one shows an object of the group (any object if None)."""
    count = len(video.frame_names)
    low = 0 if reach is None else max(0, near - reach)
    high = count if reach is None else min(count, near + reach + 1)
    for _ in range(MOST_TRIES):
        index = int(torch.randint(low, high, (), generator=generator))
        label_map = video.read_annotation(index)
        if label_map is None:
            continue
        label = group_mask(label_map, group, has_void=video.has_void)
        if (label == OBJECT).any():
            return _DrawnFrame(index, video.read_frame(index), label)
    named = "any object" if group is None else f"object {' or '.join(map(str, group))}"
    raise DataError(f"{named} of {video.name} is not visible in {MOST_TRIES} random frames")


def _augment(
    drawn: Sequence[_DrawnFrame], config: TaskConfig, generator: torch.Generator
) -> list[LabelledFrame]:
    """Augment frames; those of a task share colours and flip, and every frame has its own warp."""
    change = _draw_colours(generator) if config.colour else None
    flipped = config.flip and _happens(0.5, generator)
    drawn_frames = []
    for item in drawn:
        pixels = torch.from_numpy(np.array(item.frame)).permute(2, 0, 1).contiguous()
        label = torch.from_numpy(np.array(item.label))
        frame = (pixels if change is None else change.apply(pixels)).to(torch.float32) / 255
        if flipped:
            frame, label = flip(frame, label)
        if config.warp:
            warp = draw_visible_warp(label, generator)
            frame, label = warp_frame(frame, warp), warp_label_map(label, warp)
        drawn_frames.append(LabelledFrame(frame.contiguous(), label.contiguous()))
    return drawn_frames


@dataclass(frozen=True)
class _ColourChange:
    """Factors of a colour change, and the order in which they are applied to the 8-bit picture."""

    order: tuple[int, ...]
    brightness: float
    contrast: float
    saturation: float
    hue: float

    def apply(self, pixels: UInt8[Tensor, "3 height width"]) -> UInt8[Tensor, "3 height width"]:
        for operation in self.order:
            if operation == 0:
                pixels = colour.adjust_brightness(pixels, self.brightness)
            elif operation == 1:
                pixels = colour.adjust_contrast(pixels, self.contrast)
            elif operation == 2:
                pixels = colour.adjust_saturation(pixels, self.saturation)
            else:
                pixels = colour.adjust_hue(pixels, self.hue)
        return pixels


def _draw_colours(generator: torch.Generator) -> _ColourChange:
    order = tuple(torch.randperm(4, generator=generator).tolist())
    u = torch.rand(4, generator=generator).tolist()
    factors = [0.8 + 0.4 * value for value in u[:3]]
    return _ColourChange(order, factors[0], factors[1], factors[2], 0.2 * u[3] - 0.1)
