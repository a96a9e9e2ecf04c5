"""Tasks for meta-training: one object of one video, a frame to learn it from and one to test on.

    frame   height × width × 3   uint8 RGB
    mask    height × width       uint8: 1 object, 0 background, 255 void

As e-OSVOS draws them (specification, section 4): tasks uniformly over (video, object), both frames
uniformly over the whole video, independently, until the object is visible. Colours and mirroring
are drawn once per task and shared by both frames; turning and scaling are the method's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.clips import BinaryMask, DrawnClip, object_mask
from maskcast.data.dataset import Video
from maskcast.data.visibility import count_pixels


@dataclass(frozen=True)
class Task:
    """One object to be learnt; ``object_id`` None stands for all objects of the video as one."""

    video: Video
    object_id: int | None

    @property
    def name(self) -> str:
        return f"{self.video.name}, object {self.object_id or 'all'}"


def list_tasks(videos: Sequence[Video], *, single_object: bool = False) -> list[Task]:
    """List a task for each object, or one for each video with ``single_object`` (DAVIS 2016).

    The objects are those that the data set declares, or else those of the first annotation.

    Raises:
        DatasetError: there are none.
    """
    if single_object:
        tasks = [Task(video, None) for video in videos]
    else:
        tasks = [Task(video, each) for video in videos for each in _objects(video)]
    if not tasks:
        raise DatasetError("the videos hold no object to learn")
    return tasks


def _objects(video: Video) -> tuple[int, ...]:
    if video.declared is not None:
        return video.object_ids
    return video.objects_in(video.annotated_frames[0]) if video.annotated_frames else ()


@dataclass(frozen=True, kw_only=True)
class TaskSampling:
    """How the frames of a task are drawn."""

    test_within: int | None = None
    """The test frame is at most this many frames away from the train frame; None: anywhere."""
    tries: int = 1000

    def __post_init__(self) -> None:
        if self.tries < 1 or (self.test_within is not None and self.test_within < 0):
            raise ConfigError(f"frames of a task need a try and no negative distance, got {self}")


def draw_task_frames(
    task: Task, generator: np.random.Generator, sampling: TaskSampling | None = None
) -> DrawnClip:
    """Draw the train frame and the test frame of a task; they may be the same.

    Raises:
        DatasetError: the object was not visible in any frame that was drawn.
    """
    settings = sampling or TaskSampling()
    annotated = np.array(task.video.annotated_frames)
    train, train_mask = _draw_visible(task, annotated, generator, settings.tries)
    near = annotated
    if settings.test_within is not None:
        near = annotated[np.abs(annotated - train) <= settings.test_within]
    test, test_mask = _draw_visible(task, near, generator, settings.tries)
    return DrawnClip(
        f"{task.name}, frames {train} and {test}",
        (task.video.read_frame(train), task.video.read_frame(test)),
        (train_mask, test_mask),
    )


def _draw_visible(
    task: Task, frames: np.ndarray, generator: np.random.Generator, tries: int
) -> tuple[int, BinaryMask]:
    for _ in range(tries if len(frames) else 0):
        index = int(frames[int(generator.integers(len(frames)))])
        label_map = task.video.read_annotation(index)
        if label_map is None:
            continue
        mask = object_mask(label_map, task.object_id, has_void=task.video.has_void)
        if count_pixels(mask)[1:2].sum() > 0:
            return index, mask
    raise DatasetError(f"{task.name} was visible in none of {tries} frames that were drawn")


@dataclass(frozen=True)
class ColourJitter:
    """Changes of colour in the order they were drawn, each with its factor (hue: its shift)."""

    steps: tuple[tuple[str, float], ...]

    def apply(self, image: UInt8[Tensor, "3 height width"]) -> UInt8[Tensor, "3 height width"]:
        """Change an 8-bit image; every step rounds to 8 bits."""
        for name, amount in self.steps:
            image = _ADJUSTMENTS[name](image, amount)
        return image


_ADJUSTMENTS = {
    "brightness": transforms.adjust_brightness,
    "contrast": transforms.adjust_contrast,
    "saturation": transforms.adjust_saturation,
    "hue": transforms.adjust_hue,
}


@dataclass(frozen=True, kw_only=True)
class TaskAugmentation:
    """How strongly the colours of a task are changed, and how often it is mirrored."""

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1
    flip: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.flip <= 1 and 0 <= self.hue <= 0.5):
            raise ConfigError(f"flip is a probability and hue at most 0.5, got {self}")
        if min(self.brightness, self.contrast, self.saturation) < 0:
            raise ConfigError(f"changes of colour are not negative, got {self}")


def draw_colour_jitter(config: TaskAugmentation, generator: np.random.Generator) -> ColourJitter:
    """Draw a factor in 1 ± strength for each change, a shift for the hue, and their order."""
    steps = [
        (name, float(generator.uniform(max(0, 1 - strength), 1 + strength)))
        for name, strength in (
            ("brightness", config.brightness),
            ("contrast", config.contrast),
            ("saturation", config.saturation),
        )
    ]
    steps.append(("hue", float(generator.uniform(-config.hue, config.hue))))
    return ColourJitter(tuple(steps[place] for place in generator.permutation(4)))


def augment_task(
    clip: DrawnClip, config: TaskAugmentation, generator: np.random.Generator
) -> tuple[UInt8[Tensor, "frames 3 height width"], UInt8[Tensor, "frames height width"]]:
    """Change the colours of all frames of a task alike, and mirror all of them or none."""
    jitter = draw_colour_jitter(config, generator)
    mirrored = bool(generator.uniform() < config.flip)
    images = torch.stack(
        [jitter.apply(torch.from_numpy(np.array(frame)).permute(2, 0, 1)) for frame in clip.frames]
    )
    masks = torch.stack([torch.from_numpy(np.array(mask)) for mask in clip.masks])
    return (images.flip(-1), masks.flip(-1)) if mirrored else (images, masks)
