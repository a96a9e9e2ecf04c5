"""Jitter, crop and change the frames of a training clip.

    image    3 × height × width   uint8 RGB
    mask     height × width       uint8: 1 object, 0 background, 255 void

Everything that is random draws from the generator that is passed in, so that a clip depends on
its seed alone. Geometry is drawn once and applied to image and mask together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, floor, inf, sqrt
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from maskcast.core.errors import ConfigError
from maskcast.core.types import Box
from maskcast.data.clips import DrawnClip, tight_box

VISIBLE_SHARE = 0.001
"""Share of the picture from which an object counts as visible."""


@dataclass(frozen=True)
class TrainingCrop:
    """One frame cut around its target and resized."""

    image: UInt8[Tensor, "3 height width"]
    mask: UInt8[Tensor, "height width"]
    target: Box
    """The target's box in pixels of the resized crop; it may reach beyond it."""
    area: tuple[int, int, int, int]
    """x, y, width and height of what was cut, in pixels of the frame; it may reach beyond it."""


def training_crop(
    image: UInt8[Tensor, "3 frame_height frame_width"],
    mask: UInt8[Tensor, "frame_height frame_width"],
    box: Box,
    *,
    target: Box | None = None,
    size: tuple[int, int] = (480, 832),
    search_area: float = 5.0,
) -> TrainingCrop:
    """Cut a patch around a (jittered) box and resize it, as LWL does in training.

    The patch has the shape of ``size`` and ``search_area²`` times the area of the box; it is
    shrunk until one of its sides fits into the frame ("inside-major") and moved into it. What
    still sticks out repeats the border of the image and is background in the mask.

    Published training treats the last column (row) of the frame as outside wherever the patch
    touches or passes the right (bottom) border; so do we, because weights were made with it.

    Args:
        image: the frame.
        mask: the object on it, any integers; resized to the nearest pixel.
        box: what to centre on, in pixels of the frame.
        target: the box to be mapped into the crop; ``box`` itself if not given.
        size: height and width of the result.
        search_area: side of the patch over side of the box, as a geometric mean.
    """
    frame_size = (image.shape[1], image.shape[2])
    x, y, width, height = _inside_major_area(box, frame_size, size, search_area)
    rows = _replicated_indices(y, height, image.shape[1])
    columns = _replicated_indices(x, width, image.shape[2])
    scale_x, scale_y = size[1] / width, size[0] / height
    mapped = target or box
    return TrainingCrop(
        _resize_bilinear(_cut(image, rows, columns), size),
        _cut_mask_to_size(mask, (x, y, width, height), size),
        Box(
            (mapped.x - x) * scale_x,
            (mapped.y - y) * scale_y,
            mapped.width * scale_x,
            mapped.height * scale_y,
        ),
        (x, y, width, height),
    )


def _inside_major_area(
    box: Box, frame_size: tuple[int, int], size: tuple[int, int], search_area: float
) -> tuple[int, int, int, int]:
    """Return x, y, width, height of the patch; sizes are rounded as in the published training."""
    frame_height, frame_width = frame_size
    ratio = np.sqrt(np.float32(box.width) * np.float32(box.height) / np.float32(size[0] * size[1]))
    width = ceil(np.float32(search_area) * np.float32(size[1]) * ratio)
    height = ceil(np.float32(search_area) * np.float32(size[0]) * ratio)
    shrink = max(1.0, min(width / frame_width, height / frame_height))
    width, height = max(1, floor(width / shrink)), max(1, floor(height / shrink))
    return (
        _inside(round(box.x + box.width / 2 - width / 2), width, frame_width),
        _inside(round(box.y + box.height / 2 - height / 2), height, frame_height),
        width,
        height,
    )


def _inside(start: int, length: int, frame_length: int) -> int:
    """Shift an interval into the frame; centre it if it is longer than the frame."""
    start += max(0, -start) + min(0, frame_length - (start + length))
    outside = (max(0, -start) + max(0, start + length - frame_length)) // 2
    return -outside if outside > 0 else start


def _last_inside(start: int, length: int, frame_length: int) -> int:
    """The last row or column that counts as inside: see the remark in ``training_crop``."""
    return frame_length - 2 if start + length >= frame_length else frame_length - 1


def _replicated_indices(start: int, length: int, frame_length: int) -> Tensor:
    """Rows or columns to read for a patch, the border repeated beyond the frame."""
    last = max(0, _last_inside(start, length, frame_length))
    return torch.arange(start, start + length).clamp_(0, last)


def _cut(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return image.index_select(1, rows).index_select(2, columns)


def _resize_bilinear(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Half-pixel bilinear without antialiasing, rounded to 8 bits; fast on channels-last data."""
    batch = image.unsqueeze(0).contiguous(memory_format=torch.channels_last)
    return functional.interpolate(batch, size=size, mode="bilinear", align_corners=False)[
        0
    ].contiguous()


def _cut_mask_to_size(
    mask: Tensor, area: tuple[int, int, int, int], size: tuple[int, int]
) -> Tensor:
    """Cut and resize in one step: row i of the result is row ``floor(i·height / size)``."""
    x, y, width, height = area
    rows = y + torch.arange(size[0]) * height // size[0]
    columns = x + torch.arange(size[1]) * width // size[1]
    last_row = _last_inside(y, height, mask.shape[0])
    last_column = _last_inside(x, width, mask.shape[1])
    outside_rows = (rows < 0) | (rows > last_row)
    outside_columns = (columns < 0) | (columns > last_column)
    cut = mask.index_select(0, rows.clamp(0, mask.shape[0] - 1))
    cut = cut.index_select(1, columns.clamp(0, mask.shape[1] - 1))
    cut[outside_rows] = 0
    cut[:, outside_columns] = 0
    return cut


@dataclass(frozen=True)
class BoxJitter:
    """How far a box is moved and resized before the crop."""

    log_size: float
    """Standard deviation of the logarithm of width and of height."""
    shift: tuple[float, float]
    """Range of the centre's shift along x and y, in units of the jittered box's mean side."""

    def __post_init__(self) -> None:
        if not all(0 <= amount < inf for amount in (self.log_size, *self.shift)):
            raise ConfigError(f"a box jitter is finite and not negative, got {self}")


def jitter_box(box: Box, jitter: BoxJitter, generator: np.random.Generator) -> Box:
    """Resize each axis by ``exp(a·n)``, ``n ~ N(0, 1)``; shift by ``b·u``, ``u ~ U(-½, ½)``."""
    noise = generator.standard_normal(2)
    width = box.width * exp(jitter.log_size * noise[0])
    height = box.height * exp(jitter.log_size * noise[1])
    shift = generator.uniform(-0.5, 0.5, 2) * jitter.shift * sqrt(width * height)
    centre_x = box.x + box.width / 2 + shift[0]
    centre_y = box.y + box.height / 2 + shift[1]
    return Box(centre_x - width / 2, centre_y - height / 2, width, height)


@dataclass(frozen=True, kw_only=True)
class ClipProcessing:
    """How the frames of a clip are changed before training: LWL's settings."""

    size: tuple[int, int] = (480, 832)
    """Height and width of the crops."""
    search_area: float = 5.0
    """Side of the crop over side of the (jittered) box, as a geometric mean."""
    grey: float = 0.05
    """Probability of a grey train frame, and of grey test frames."""
    flip: float = 0.5
    """Probability that the train frame is mirrored, and that the test frames are."""
    train_jitter: BoxJitter = BoxJitter(0.25, (3.0, 3.0))
    """Of the train frame's box."""
    test_jitter: BoxJitter = BoxJitter(0.5, (5.5, 4.5))
    """Of the test frames' boxes, each on its own."""
    rotation: float = 15.0
    """Degrees to either side; 0, with ``log_scale`` 0, for none (validation, box encoder)."""
    log_scale: float = 0.2
    """Range of the logarithm of the scale, to either side."""
    brightness: float = 0.2
    """Range of the factor on the pixels around 1; 0 in validation."""
    keep_void: bool = False
    """Leave 255 in the masks rather than background; LWL's loss knows no void."""

    def __post_init__(self) -> None:
        if min(self.size) < 1 or not 0 < self.search_area < inf:
            raise ConfigError(f"a crop needs a positive size and search area, got {self}")
        if not (0 <= self.rotation < inf and 0 <= self.log_scale < inf):
            raise ConfigError(f"rotation and log_scale are finite and not negative, got {self}")
        if not (0 <= self.grey <= 1 and 0 <= self.flip <= 1 and 0 <= self.brightness < 1):
            raise ConfigError(f"grey and flip are probabilities, brightness below 1, got {self}")


class ClipSample(NamedTuple):
    """A clip as a training step takes it; ``default_collate`` puts a batch axis before each."""

    images: UInt8[Tensor, "frames 3 height width"]
    """RGB; the first frame is the train frame, the others are test frames in time order."""
    masks: UInt8[Tensor, "frames height width"]
    """1 object, 0 background, and 255 void if it was kept."""
    boxes: Float[Tensor, "frames 4"]
    """x, y, width, height of the target in pixels of the crop, without the random affine."""
    visible: Int8[Tensor, " frames"]
    """Ground truth of the target's presence in the crop: 1 visible (at least ``VISIBLE_SHARE`` of
    the picture), 0 absent (not one pixel), -1 in between, to be left out of a loss."""
    name: str


def process_clip(
    clip: DrawnClip, processing: ClipProcessing, generator: np.random.Generator
) -> ClipSample:
    """Grey and mirror, jitter and crop, turn and scale, brighten: LWL's order.

    The train frame draws grey and flip for itself, the test frames draw them together; all else
    is drawn for each frame. Pixels stay 8-bit: brightness is rounded to the next level.
    """
    train = _draw_joint(processing, generator)
    test = _draw_joint(processing, generator)
    boxes = clip.boxes or tuple(tight_box(mask) for mask in clip.masks)
    images, masks, targets, visible = [], [], [], []
    for place, (frame, mask, box) in enumerate(zip(clip.frames, clip.masks, boxes, strict=True)):
        joint, jitter = (
            (train, processing.train_jitter) if place == 0 else (test, processing.test_jitter)
        )
        image, label, flipped = joint.apply(frame, mask, box)
        crop = training_crop(
            image,
            label if processing.keep_void else label.masked_fill(label > 1, 0),
            jitter_box(flipped, jitter, generator),
            target=flipped,
            size=processing.size,
            search_area=processing.search_area,
        )
        image, turned, scale = _turn_and_scale(crop.image, crop.mask, processing, generator)
        images.append(_brighten(image, processing.brightness, generator))
        masks.append(turned)
        targets.append([crop.target.x, crop.target.y, crop.target.width, crop.target.height])
        visible.append(_visibility(label, crop, turned, scale))
    return ClipSample(
        torch.stack(images),
        torch.stack(masks),
        torch.tensor(targets),
        torch.tensor(visible, dtype=torch.int8),
        clip.name,
    )


def _visibility(
    label: UInt8[Tensor, "frame_height frame_width"],
    crop: TrainingCrop,
    turned: UInt8[Tensor, "height width"],
    scale: float,
) -> int:
    """Return 1 if the crop shows the object, 0 if it does not, -1 if too little of it to say.

    Args:
        label: the frame's mask.
        crop: what was cut from the frame.
        turned: the crop's mask after the random affine.
        scale: of the random affine.
    """
    x, y, width, height = crop.area
    cut = int((label[max(0, y) : y + height, max(0, x) : x + width] == 1).sum())
    shown = int((turned == 1).sum())
    if cut == shown == 0:
        return 0
    pixels_per_pixel = width * height / (turned.numel() * scale**2)
    seen = min(cut, shown * pixels_per_pixel)
    return 1 if seen >= VISIBLE_SHARE * label.numel() else -1


@dataclass(frozen=True)
class _Joint:
    """Changes that frames of one group share."""

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


def _draw_joint(processing: ClipProcessing, generator: np.random.Generator) -> _Joint:
    grey, flip = generator.uniform(size=2)
    return _Joint(bool(grey < processing.grey), bool(flip < processing.flip))


def _published_grey(image: UInt8[Tensor, "3 height width"]) -> UInt8[Tensor, "3 height width"]:
    """BT.601 grey with the weights of red and blue exchanged, as published: it saw BGR as RGB."""
    weights = torch.tensor([0.114, 0.587, 0.299]).view(3, 1, 1)
    grey = (image * weights).sum(dim=0).round_().to(torch.uint8)
    return grey.expand(3, -1, -1)


def _turn_and_scale(
    image: UInt8[Tensor, "3 height width"],
    mask: UInt8[Tensor, "height width"],
    processing: ClipProcessing,
    generator: np.random.Generator,
) -> tuple[UInt8[Tensor, "3 height width"], UInt8[Tensor, "height width"], float]:
    """Rotate and scale about the centre; pixels from outside are black, and background.

    Returns:
        The image, the mask and the scale.
    """
    angle = float(generator.uniform(-processing.rotation, processing.rotation))
    scale = exp(generator.uniform(-processing.log_scale, processing.log_scale))
    if angle == 0 and scale == 1:
        return image, mask, scale

    def turn(picture: Tensor) -> Tensor:
        turned: Tensor = transforms.affine(
            picture, angle, [0, 0], scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR
        )
        return turned

    turned = turn(tv_tensors.Image(image)), turn(tv_tensors.Mask(mask.unsqueeze(0)))
    return turned[0].as_subclass(Tensor), turned[1].as_subclass(Tensor)[0], scale


def _brighten(
    image: UInt8[Tensor, "3 height width"], spread: float, generator: np.random.Generator
) -> UInt8[Tensor, "3 height width"]:
    factor = float(generator.uniform(1 - spread, 1 + spread))
    levels = (torch.arange(256) * factor).round_().clamp_(0, 255).to(torch.uint8)
    return levels.index_select(0, image.flatten().int()).view_as(image)
