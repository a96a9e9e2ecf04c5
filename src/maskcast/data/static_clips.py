"""Make clips from single pictures, in which an object and its background move independently.

The object is cut out of a picture, the hole is filled from its surroundings, and both are then
moved, rotated and bent independently. Other objects of the picture stay in the background as
distractors; a look-alike and an object of another picture (a stranger) may be pasted in. On the
first frame, the object is at its original position. In the label maps the object is 1, its
look-alike 2 and the stranger 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from maskcast.core.config import require_range
from maskcast.core.errors import DatasetError
from maskcast.data.clips import AnnotatedVideo, DrawnClip, object_box, object_mask
from maskcast.data.resizing import resize_picture
from maskcast.data.synthetic.absences import Absence, draw_absence
from maskcast.data.synthetic.clips import (
    SyntheticClip,
    look_alike,
    take_away,
    visible_clip,
    whole_clip,
)
from maskcast.data.synthetic.cutouts import CutoutSource, PairCutouts, PictureObject, cut_out
from maskcast.data.synthetic.motion import Motion, draw_camera, draw_motion
from maskcast.data.synthetic.stage import Film, FilmConfig, Layer, Stage, as_layer, render


@dataclass(frozen=True, kw_only=True)
class StaticConfig:
    """Settings of clips from single pictures. Probabilities, in [0, 1], are per clip."""

    pace: tuple[float, float] = (0.5, 2.0)
    """Range of the object's speed; 1 is walking speed."""
    camera_shake: tuple[float, float] = (0.3, 2.0)
    """Range of the strength of the background's motion."""
    look_alike: float = 0.35
    """Probability of a copy of the object that counts as background."""
    stranger: float = 0.3
    """Probability of an object from another picture, in front or behind; counts as background."""
    other_background: float = 0.25
    """Probability that the background is another picture."""
    longest_side: int = 480
    """Maximum side of pictures in pixels, at least 32; larger pictures are scaled down."""
    reach: float = 90.0
    """Maximum time from the first frame to the last, in frames; at least 1."""
    film: FilmConfig = field(default_factory=FilmConfig)
    """Settings of the recording."""

    def __post_init__(self) -> None:
        require_range(self, "look_alike", "stranger", "other_background", least=0, most=1)
        require_range(self, "longest_side", least=32)
        require_range(self, "reach", least=1)


class StaticClips:
    """A source of training clips from pictures with masks.

    Args:
        name: name in messages.
        pictures: videos of one frame (``maskcast.data.readers.image_pairs.read_image_pairs``).
        share: range of an object's area, as a share of its picture.
        uniform_over: ``targets`` draws objects uniformly; ``videos`` draws a picture and then one
            of its objects, so that pictures with many objects are not drawn more often.
        absent: probability, in [0, 1], that the object leaves the frame or is hidden in some test
            frames. If it is positive, test frames without the object are always kept.
        strangers: source of the other objects that are pasted in; None uses the pictures.
        config: settings; None uses the defaults.

    Raises:
        DatasetError: no object has such a size.
    """

    def __init__(
        self,
        name: str,
        pictures: Sequence[AnnotatedVideo],
        *,
        share: tuple[float, float] = (0.004, 0.7),
        uniform_over: Literal["targets", "videos"] = "targets",
        absent: float = 0.0,
        strangers: CutoutSource | None = None,
        config: StaticConfig | None = None,
    ) -> None:
        self.name = name
        self.pictures = pictures
        self.config = config or StaticConfig()
        self.cutouts = PairCutouts(pictures, share=share, smallest=100)
        groups: dict[int, list[PictureObject]] = {}
        for index, item in enumerate(self.cutouts.objects):
            group = item.picture if uniform_over == "videos" else index
            groups.setdefault(group, []).append(item)
        self.absent = absent
        require_range(self, "absent", least=0, most=1)
        self.strangers: CutoutSource = strangers or self.cutouts
        self._groups = list(groups.values())

    def __len__(self) -> int:
        return len(self.cutouts.objects)

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        group = self._groups[int(generator.integers(len(self._groups)))]
        chosen = group[int(generator.integers(len(group)))] if len(group) > 1 else group[0]
        frame, mask = self._read(chosen)
        size = (mask.shape[0], mask.shape[1])
        horizon = generator.uniform(8, self.config.reach)
        times = (0.0, *np.sort(generator.uniform(1, horizon, test_frames)))
        absence = None
        if self.absent and generator.uniform() < self.absent:
            absence = draw_absence(generator, times)
        stage = self._set_stage(generator, frame, mask, absence)
        film = Film.draw(generator, size, self.config.film)
        shots = [render(stage, size, time) for time in times]
        clip = SyntheticClip(
            np.stack([film.expose(shot[0], t) for shot, t in zip(shots, times, strict=True)]),
            np.stack([shot[1].numpy() for shot in shots]),
            (1,),
        )
        if (clip.label_maps[0] == 1).sum() <= 10:
            clip.label_maps[0] = mask  # the soft edge has removed a tiny object
        name = f"{self.name}/{self.pictures[chosen.picture].name}, object {chosen.object_id}"
        if self.absent:
            return whole_clip(name, clip, 1)
        return visible_clip(name, clip, 1, generator)

    def _read(self, chosen: PictureObject) -> tuple[np.ndarray, Bool[np.ndarray, "height width"]]:
        """Read a picture and the mask of one object, scaled down to ``longest_side``."""
        picture = self.pictures[chosen.picture]
        label_map = picture.read_annotation(0)
        if label_map is None:
            raise DatasetError(f"the mask of {picture.name} no longer exists")
        mask = object_mask(label_map, chosen.object_id, has_void=picture.has_void) == 1
        return _at_most(picture.read_frame(0), mask, self.config.longest_side)

    def _set_stage(
        self,
        generator: np.random.Generator,
        frame: np.ndarray,
        mask: np.ndarray,
        absence: Absence | None,
    ) -> Stage:
        config = self.config
        pace = float(generator.uniform(*config.pace))
        target = object_layer(generator, frame, mask, pace)
        layers = [target]
        size = (mask.shape[0], mask.shape[1])
        if generator.uniform() < config.look_alike:
            copy = look_alike(generator, target, _anywhere(generator, mask.shape), pace, 40.0)
            layers.insert(int(generator.integers(2)), replace(copy, object_id=2))
        if generator.uniform() < config.stranger:
            stranger = self._draw_stranger(generator, mask.shape, pace)
            layers.insert(int(generator.integers(len(layers) + 1)), stranger)
        if generator.uniform() < config.other_background:
            scene = self.draw_scene(generator, size)
        else:
            scene = fill_hole(torch.from_numpy(np.array(frame)).permute(2, 0, 1) / 255, mask)
        if absence is not None:
            layers = take_away(
                generator, layers, absence, size, cutouts=self.strangers, scenes=self
            )
        camera = draw_camera(generator, float(generator.uniform(*config.camera_shake)))
        return Stage(scene.unsqueeze(0), 1.0, camera, tuple(layers))

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        """Draw a picture and resize it to this height and width."""
        other = self.pictures[int(generator.integers(len(self.pictures)))].read_frame(0)
        return resize_picture(torch.from_numpy(np.array(other)).permute(2, 0, 1) / 255, size)

    def _draw_stranger(
        self, generator: np.random.Generator, size: tuple[int, ...], pace: float
    ) -> Layer:
        side = float(generator.uniform(0.08, 0.3))
        cutout = self.strangers.draw_cutout(generator, int(2.2 * side * min(size)))
        height, width = cutout.alpha.shape
        motion = draw_motion(
            generator,
            start=_anywhere(generator, size),
            size=side * height / max(height, width),
            aspect=width / height,
            pace=pace,
        )
        return as_layer(cutout, motion, 3, shadow=False)


def object_layer(
    generator: np.random.Generator, frame: np.ndarray, mask: np.ndarray, pace: float
) -> Layer:
    """Return a layer with a cut-out object that starts at its position in the picture."""
    cutout = cut_out(frame, mask)
    height, width = cutout.alpha.shape
    box = object_box(mask.astype(np.uint8))
    unit = min(mask.shape)
    centre = (
        (box.x + box.width / 2 - mask.shape[1] / 2) / unit,
        (box.y + box.height / 2 - mask.shape[0] / 2) / unit,
    )
    motion: Motion = draw_motion(
        generator, start=centre, size=height / 2 / unit, aspect=width / height, pace=pace
    )
    return as_layer(cutout, replace(motion, turn=0.0), 1, shadow=False)


def fill_hole(
    image: Float[Tensor, "3 height width"], mask: Bool[np.ndarray, "height width"]
) -> Float[Tensor, "3 height width"]:
    """Fill the area of an object with smooth colours from its surroundings.

    Known pixels are averaged at coarser and coarser scales until none is missing; the averages then
    fill the unknown pixels of the finer scales.
    """
    hole = torch.from_numpy(mask).float()[None, None]
    known = 1 - functional.max_pool2d(hole, 9, stride=1, padding=4)
    return _filled(image.unsqueeze(0) * known, known)[0]


def _filled(colours: Tensor, known: Tensor) -> Tensor:
    """Keep known colours, and fill unknown ones from half the resolution."""
    if min(known.shape[-2:]) <= 2 or bool((known > 0).all()):
        mean = colours.sum(dim=(2, 3), keepdim=True) / known.sum().clamp_min(1e-6)
        return torch.where(known > 0, colours / known.clamp_min(1e-6), mean)
    half_known = functional.avg_pool2d(known, 2, ceil_mode=True)
    half = _filled(functional.avg_pool2d(colours, 2, ceil_mode=True), half_known)
    coarse = functional.interpolate(half, size=known.shape[-2:], mode="bilinear")
    return torch.where(known > 0, colours / known.clamp_min(1e-6), coarse)


def _anywhere(generator: np.random.Generator, size: tuple[int, ...]) -> tuple[float, float]:
    x, y = generator.uniform(-0.45, 0.45, 2) * (size[1], size[0]) / min(size)
    return float(x), float(y)


def _at_most(
    frame: np.ndarray, mask: Bool[np.ndarray, "height width"], longest: int
) -> tuple[np.ndarray, Bool[np.ndarray, "new_height new_width"]]:
    """Scale a picture and its mask down to a maximum side; smaller ones are kept."""
    scale = longest / max(mask.shape)
    if scale >= 1:
        return frame, mask
    size = (max(1, round(mask.shape[0] * scale)), max(1, round(mask.shape[1] * scale)))
    image = torch.from_numpy(np.array(frame)).permute(2, 0, 1)
    small = resize_picture(image / 255, size).mul(255).round().to(torch.uint8)
    label = torch.from_numpy(mask)[None, None].to(torch.uint8)
    small_mask = functional.interpolate(label, size=size, mode="nearest-exact")[0, 0].bool()
    return small.permute(1, 2, 0).numpy(), small_mask.numpy()
