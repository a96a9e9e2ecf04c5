"""Jitter, crop and augment the frames of a training clip.

    image    3 × height × width   uint8 RGB
    mask     height × width       uint8: 1 object, 0 background, 255 void

All random numbers come from the given generator, so that a clip depends only on its seed. Geometry
is drawn once and applied to image and mask together.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import cos, exp, radians, sin
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int8, Integer, UInt8
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from maskcast.core.types import Box
from maskcast.data.clips import DrawnClip, object_box
from maskcast.methods.lwl.training.clip_settings import ClipProcessing
from maskcast.methods.lwl.training.crops import (
    TrainingCrop,
    inside_major_area,
    jitter_box,
    part_of,
    training_crop,
)

VISIBLE_SHARE = 0.001
"""Minimum area of a visible object, as a share of the picture."""


class ClipSample(NamedTuple):
    """A clip for a training step; ``default_collate`` adds a batch axis in front."""

    images: UInt8[Tensor, "frames 3 height width"]
    """RGB; the first frame is the train frame, the others are test frames in temporal order."""
    masks: UInt8[Tensor, "frames height width"]
    """1 object, 0 background, and 255 void if it was kept."""
    boxes: Float[Tensor, "frames 4"]
    """x, y, width, height of the target in pixels of the crop, with the jitter of a user's boxes
    (``box_jitter``); may extend beyond the crop. All 0 on a frame without the target."""
    visible: Int8[Tensor, " frames"]
    """Ground truth of the target's presence in the crop: 1 visible (at least ``VISIBLE_SHARE`` of
    the picture), 0 absent (no pixel), -1 in between, to be ignored by losses."""
    name: str
    """Origin of the clip, for messages."""


def process_clip(
    clip: DrawnClip, processing: ClipProcessing, generator: np.random.Generator
) -> ClipSample:
    """Augment a clip in the order of LWL: grey, flip, jitter, crop, rotation, scale, brightness.

    Grey and flip are drawn once for the train frame and once for all test frames; everything else
    is drawn for each frame. Pixels stay 8-bit: brightness is rounded to the nearest level. A test
    frame without the object is cropped around its box on the last frame before it that shows it.

    Args:
        clip: the clip.
        processing: settings.
        generator: source of random numbers.

    Raises:
        DatasetError: the object is not on the train frame.
    """
    train = _draw_joint(processing, generator)
    test = _draw_joint(processing, generator)
    images, masks, targets, visible = [], [], [], []
    for index, (frame, mask, box) in enumerate(
        zip(clip.frames, clip.masks, _boxes_to_look_at(clip), strict=True)
    ):
        joint, jitter = (
            (train, processing.train_jitter) if index == 0 else (test, processing.test_jitter)
        )
        image, label, flipped = joint.apply(frame, mask, box)
        view = jitter_box(flipped, jitter, generator)
        if index > 0 and processing.miss and generator.uniform() < processing.miss:
            others = None if clip.others is None else joint.apply_to_labels(clip.others[index])
            view = _view_off_object(label, others, view, processing, generator) or view
        crop = training_crop(
            image,
            label if processing.keep_void else label.masked_fill(label > 1, 0),
            view,
            target=flipped,
            size=processing.size,
            search_area=processing.search_area,
        )
        affine = _draw_affine(processing, generator)
        image, turned = affine.apply(crop.image, crop.mask)
        images.append(_brighten(image, processing.brightness, generator))
        masks.append(turned)
        target = _box_in_sample(label, crop, affine)
        if target is not None and processing.box_jitter[1] > 0:
            target = _jitter_sides(target, processing.box_jitter, generator)
        targets.append([0.0] * 4 if target is None else [*astuple(target)])
        visible.append(_visibility(label, crop, turned, affine.scale))
    return ClipSample(
        torch.stack(images),
        torch.stack(masks),
        torch.tensor(targets),
        torch.tensor(visible, dtype=torch.int8),
        clip.name,
    )


def _boxes_to_look_at(clip: DrawnClip) -> list[Box]:
    """Return the object's box on each frame, or its last one if a test frame lacks the object."""
    boxes: list[Box] = []
    for index, mask in enumerate(clip.masks):
        if clip.boxes is not None:
            boxes.append(clip.boxes[index])
        elif index > 0 and not (mask == 1).any():
            boxes.append(boxes[-1])
        else:
            boxes.append(object_box(mask))
    return boxes


VIEW_TRIES = 12
"""Attempts to draw a view that misses the object before a smaller one is used."""
LEAST_STRIP = 0.3
"""Minimum ratio of the side of such a smaller crop to that of the largest crop."""


def _view_off_object(
    label: UInt8[Tensor, "height width"],
    others: Integer[np.ndarray, "height width"] | None,
    view: Box,
    processing: ClipProcessing,
    generator: np.random.Generator,
) -> Box | None:
    """Move a view so that its crop shows no pixel of the object; None if that is impossible.

    If there are other objects, half of the views are centred on one of them. If the object is so
    large that no crop of this size misses it, a smaller crop next to it is used.
    """
    size = (label.shape[0], label.shape[1])
    ids = np.zeros_like(label.numpy()) if others is None else others
    rivals = [int(object_id) for object_id in np.unique(ids) if object_id > 0]
    for _ in range(VIEW_TRIES):
        if rivals and generator.uniform() < 0.5:
            chosen = rivals[int(generator.integers(len(rivals)))]
            box = object_box(np.equal(ids, chosen).astype(np.uint8))
            centre = (box.x + box.width / 2, box.y + box.height / 2)
        else:
            row, column = generator.uniform(size=2) * size
            centre = (column, row)
        moved = Box(
            centre[0] - view.width / 2, centre[1] - view.height / 2, view.width, view.height
        )
        area = inside_major_area(moved, size, processing.size, processing.search_area)
        if not (part_of(label, area) == 1).any():
            return moved
    return _smaller_view_off_object(label, processing, generator)


def _smaller_view_off_object(
    label: UInt8[Tensor, "height width"],
    processing: ClipProcessing,
    generator: np.random.Generator,
) -> Box | None:
    """Return a view whose crop fits into the frame to the left, right, top or bottom of the object.

    The result is None if all four parts of the frame are too narrow.
    """
    height, width = label.shape
    box = object_box(label.numpy())
    right, bottom = box.x + box.width, box.y + box.height
    parts = [
        (0.0, 0.0, box.x, height),
        (right, 0.0, width - right, height),
        (0.0, 0.0, width, box.y),
        (0.0, bottom, width, height - bottom),
    ]
    aspect = processing.size[1] / processing.size[0]
    least = LEAST_STRIP * min(width, height * aspect)
    fitting = [part for part in parts if min(part[2], part[3] * aspect) >= least]
    if not fitting:
        return None
    x, y, part_width, part_height = fitting[int(generator.integers(len(fitting)))]
    crop_width = generator.uniform(least, min(part_width, part_height * aspect))
    crop_height = crop_width / aspect
    left = x + generator.uniform(0, part_width - crop_width)
    top = y + generator.uniform(0, part_height - crop_height)
    inner = max(1.0, crop_width - 2)  # sizes are rounded up
    side = inner / processing.search_area
    centre = (left + crop_width / 2, top + crop_height / 2)
    return Box(centre[0] - side / 2, centre[1] - side / aspect / 2, side, side / aspect)


def _box_in_sample(
    label: UInt8[Tensor, "frame_height frame_width"], crop: TrainingCrop, affine: _Affine
) -> Box | None:
    """Return the object's box in the finished sample; None on a frame without the object.

    Without an affine transform it is the box of the crop, which comes from the annotation if there
    is one. With one it is the tight box of the whole transformed object, including parts outside
    the crop.
    """
    if not (label == 1).any():
        return None
    if affine.is_identity:
        return crop.target
    rows = (label == 1).any(dim=1).nonzero()[:, 0]
    lines = (label[rows] == 1).to(torch.uint8)
    first = lines.argmax(dim=1)
    last = label.shape[1] - lines.flip(1).argmax(dim=1)
    # the corners of each row's first and last pixel determine the convex hull of the object
    columns = torch.cat([first, first, last, last]).double()
    heights = torch.cat([rows, rows + 1, rows, rows + 1]).double()
    x, y, width, height = crop.area
    crop_height, crop_width = crop.mask.shape
    points = torch.stack(
        [(columns - x) * crop_width / width, (heights - y) * crop_height / height], dim=1
    )
    turned = affine.move(points, (crop_height, crop_width))
    low, high = turned.amin(dim=0).tolist(), turned.amax(dim=0).tolist()
    return Box(low[0], low[1], high[0] - low[0], high[1] - low[1])


def _jitter_sides(box: Box, shift: tuple[float, float], generator: np.random.Generator) -> Box:
    """Shift each side of half of the boxes inwards or outwards by a share of the box's size."""
    if generator.uniform() < 0.5:
        return box
    moves = generator.uniform(*shift, 4) * generator.choice([-1.0, 1.0], 4)
    left, right = box.x - moves[0] * box.width, box.x + (1 + moves[1]) * box.width
    top, bottom = box.y - moves[2] * box.height, box.y + (1 + moves[3]) * box.height
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def _visibility(
    label: UInt8[Tensor, "frame_height frame_width"],
    crop: TrainingCrop,
    turned: UInt8[Tensor, "height width"],
    scale: float,
) -> int:
    """Return 1 if the crop shows the object, 0 if it does not, -1 if it shows too little of it.

    Args:
        label: mask of the frame.
        crop: the crop.
        turned: mask of the crop after the random affine transform.
        scale: scale of the random affine transform.
    """
    cut = int((part_of(label, crop.area) == 1).sum())
    shown = int((turned == 1).sum())
    if cut == shown == 0:
        return 0
    pixels_per_pixel = crop.area[2] * crop.area[3] / (turned.numel() * scale**2)
    seen = min(cut, shown * pixels_per_pixel)
    return 1 if seen >= VISIBLE_SHARE * label.numel() else -1


@dataclass(frozen=True)
class _Joint:
    """Changes common to all frames of a group."""

    grey: bool
    flip: bool

    def apply(self, frame: np.ndarray, mask: np.ndarray, box: Box) -> tuple[Tensor, Tensor, Box]:
        image = torch.from_numpy(np.array(frame)).permute(2, 0, 1)
        label = torch.from_numpy(np.array(mask))
        if self.grey:
            image = _published_grey(image)
        if self.flip:
            image, label = image.flip(2), label.flip(1)
            box = Box(image.shape[2] - box.x - box.width, box.y, box.width, box.height)
        return image, label, box

    def apply_to_labels(self, label_map: np.ndarray) -> np.ndarray:
        return label_map[:, ::-1] if self.flip else label_map


def _draw_joint(processing: ClipProcessing, generator: np.random.Generator) -> _Joint:
    grey, flip = generator.uniform(size=2)
    return _Joint(bool(grey < processing.grey), bool(flip < processing.flip))


def _published_grey(image: UInt8[Tensor, "3 height width"]) -> UInt8[Tensor, "3 height width"]:
    """Convert to BT.601 grey with red and blue exchanged, as published: it read BGR as RGB."""
    weights = torch.tensor([0.114, 0.587, 0.299]).view(3, 1, 1)
    grey = (image * weights).sum(dim=0).round_().to(torch.uint8)
    return grey.expand(3, -1, -1)


@dataclass(frozen=True)
class _Affine:
    """A rotation and a scale about the centre."""

    angle: float
    """Angle in degrees, clockwise."""
    scale: float

    @property
    def is_identity(self) -> bool:
        return self.angle == 0 and self.scale == 1

    def apply(
        self, image: UInt8[Tensor, "3 height width"], mask: UInt8[Tensor, "height width"]
    ) -> tuple[UInt8[Tensor, "3 height width"], UInt8[Tensor, "height width"]]:
        """Transform image and mask; pixels from outside are black and background."""
        if self.is_identity:
            return image, mask

        def turn(picture: Tensor) -> Tensor:
            turned: Tensor = transforms.affine(
                picture,
                self.angle,
                [0, 0],
                self.scale,
                [0.0, 0.0],
                interpolation=InterpolationMode.BILINEAR,
            )
            return turned

        turned = turn(tv_tensors.Image(image)), turn(tv_tensors.Mask(mask.unsqueeze(0)))
        return turned[0].as_subclass(Tensor), turned[1].as_subclass(Tensor)[0]

    def move(
        self, points: Float[Tensor, "points 2"], size: tuple[int, int]
    ) -> Float[Tensor, "points 2"]:
        """Transform points (x, y) of a picture of this height and width."""
        cosine, sine = cos(radians(self.angle)), sin(radians(self.angle))
        centre = points.new_tensor([size[1] / 2, size[0] / 2])
        turn = points.new_tensor([[cosine, -sine], [sine, cosine]])
        moved: Tensor = self.scale * (points - centre) @ turn.T + centre
        return moved


def _draw_affine(processing: ClipProcessing, generator: np.random.Generator) -> _Affine:
    angle = float(generator.uniform(-processing.rotation, processing.rotation))
    return _Affine(angle, exp(generator.uniform(-processing.log_scale, processing.log_scale)))


def _brighten(
    image: UInt8[Tensor, "3 height width"], spread: float, generator: np.random.Generator
) -> UInt8[Tensor, "3 height width"]:
    factor = float(generator.uniform(1 - spread, 1 + spread))
    levels = (torch.arange(256) * factor).round_().clamp_(0, 255).to(torch.uint8)
    return levels.index_select(0, image.flatten().int()).view_as(image)
