"""What of the frame the network sees: where the crop lies, cutting it, and painting logits back.

    image    3 × height × width                any value range
    mask     height × width                    0..1
    crop     3 × crop_height × crop_width      the patch, resized
    logits   height × width                    of the whole frame; -100 outside the crop

Points and sizes are (row, column) in pixels, the centre of the first pixel at 0. A scale is pixels
of the frame per pixel of the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor, sqrt, trunc
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from maskcast.core.types import Box
from maskcast.methods.lwl.config import CropConfig
from maskcast.nn.resize import resize_bilinear

OUTSIDE_LOGIT = -100.0
SAFE = 1e-3
"""Added before a size is truncated: on the side that limits a crop it is an integer but for the
last bit of a float, and would come out one pixel smaller on some machines."""
BOX_MARGIN = 1.1
"""Sides of the patch around a box, over those of the box: at least so much, whatever its shape."""

Pair: TypeAlias = tuple[float, float]
Size: TypeAlias = tuple[int, int]
Extent: TypeAlias = tuple[Pair, Pair]
"""Upper left and lower right corner."""


@dataclass(frozen=True)
class View:
    """Where an object is looked for."""

    position: Pair
    """Centre of the object."""
    scale: float
    base_size: Pair
    """Size of the object in pixels of the crop; its shape is that of the first frame for ever."""

    @property
    def size(self) -> Pair:
        """Size of the object in pixels of the frame."""
        return self.base_size[0] * self.scale, self.base_size[1] * self.scale


@dataclass(frozen=True)
class Sighting:
    """Where a probability map says that an object is."""

    position: Pair
    """Centre of mass."""
    size: Pair
    """Four standard deviations along each axis."""


@dataclass(frozen=True)
class Patch:
    """A rectangle of the frame, perhaps reaching beyond it, and the size it is resized to."""

    output: Size
    step: int
    """Only every ``step``-th pixel is read where the patch is much larger than its output."""
    offset: Size
    """The first pixel that is read."""
    start: Size
    """In steps from ``offset``; may be negative."""
    stop: Size

    @property
    def extent(self) -> Extent:
        """Upper left and lower right corner in pixels of the frame, as ``paste`` takes them."""
        top, left = (float(self.step * edge) for edge in self.start)
        bottom, right = (float(self.step * edge) for edge in self.stop)
        return (top, left), (bottom, right)

    def box(self, box: Box) -> Box:
        """Return a box of the frame in pixels of the resized patch."""
        (top, left), (bottom, right) = self.extent
        down, across = self.output[0] / (bottom - top), self.output[1] / (right - left)
        return Box(
            (box.x - left) * across, (box.y - top) * down, box.width * across, box.height * down
        )


def first_view(box: Box, crop: CropConfig) -> View:
    """Return where to look for an object that was given by a box, or a mask with this box."""
    position = box.y + (box.height - 1) / 2, box.x + (box.width - 1) / 2
    height, width = max(box.height, 1.0), max(box.width, 1.0)
    scale = crop.search_area * sqrt(height * width) / sqrt(crop.size[0] * crop.size[1])
    return View(position, scale, (height / scale, width / scale))


def follow(view: View, seen: Sighting | None, crop: CropConfig) -> View:
    """Return where to look next; an object out of sight (None) is looked for where it was."""
    low, high = crop.scale_change
    wanted = centred_on(seen or Sighting(view.position, view.size), view)
    scale = min(max(wanted.scale, low * view.scale), high * view.scale)
    return View(wanted.position, scale, view.base_size)


def centred_on(seen: Sighting, view: View) -> View:
    """Return the view of an object that was found somewhere, whatever its size was before."""
    base_area = view.base_size[0] * view.base_size[1]
    return View(seen.position, sqrt(seen.size[0] * seen.size[1] / base_area), view.base_size)


def find(
    probs: Float[Tensor, "objects height width"], *, minimum_mass: float
) -> list[Sighting | None]:
    """Locate objects by mass and variance of their probability maps; None below the minimum."""
    margins = margins_of(probs).cpu().double().numpy()
    return [
        sighting(margin, height=probs.shape[1], minimum_mass=minimum_mass) for margin in margins
    ]


def margins_of(
    probs: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects height+width"]:
    """Return the mass of every row, then of every column."""
    return torch.cat([probs.sum(dim=2), probs.sum(dim=1)], dim=1)


def sighting(margin: np.ndarray, *, height: int, minimum_mass: float) -> Sighting | None:
    """Locate an object by the mass of its rows and columns; None below the minimum."""
    if margin[:height].sum() < minimum_mass:
        return None
    (row, tall), (column, wide) = _moments(margin[:height]), _moments(margin[height:])
    return Sighting((row, column), (tall, wide))


def _moments(mass: np.ndarray) -> Pair:
    """Mean, and four standard deviations, of where the mass lies."""
    positions = np.arange(len(mass))
    mean = float((positions * mass).sum() / mass.sum())
    variance = float((np.square(positions - mean) * mass).sum() / mass.sum())
    return mean, 4 * sqrt(max(variance, 0.0))


def patch_at(frame_size: Size, centre: Pair, size: Pair, output: Size, *, inside: bool) -> Patch:
    """Place a patch of a size around a centre, in whole pixels.

    Args:
        frame_size: of the image it will be cut from.
        centre: truncated to whole pixels.
        size: of the patch in pixels of the frame.
        output: height and width it will be resized to.
        inside: shrink the patch until one of its sides fits into the frame, and move it inside
            ("inside-major"); otherwise it stays as it is and the border is repeated.
    """
    if inside:
        shrink = max(1.0, min(size[0] / frame_size[0], size[1] / frame_size[1]))
        size = float(trunc(size[0] / shrink + SAFE)), float(trunc(size[1] / shrink + SAFE))
    step = max(1, trunc(min(size[0] / output[0], size[1] / output[1]) - 0.1))
    axes = [
        _interval(frame_size[axis], trunc(centre[axis]), size[axis] / step, step, inside=inside)
        for axis in (0, 1)
    ]
    (off_y, y0, y1), (off_x, x0, x1) = axes
    return Patch(output, step, (off_y, off_x), (y0, x0), (y1, x1))


def _interval(
    frame_length: int, centre: int, length: float, step: int, *, inside: bool
) -> tuple[int, int, int]:
    """Return first pixel read, start and stop of one axis of a patch."""
    offset = centre % step
    centre = (centre - offset) // step
    pixels = len(range(offset, frame_length, step))
    length = max(round(length), 2)
    start = centre - (length - 1) // 2
    stop = centre + length // 2 + 1
    if inside:
        shift = max(0, -start) - max(0, stop - pixels)
        start, stop = start + shift, stop + shift
        outside = (max(0, -start) + max(0, stop - pixels)) // 2
        if outside > 0:
            start, stop = -outside, stop - start - outside
    return offset, start, stop


def view_patch(view: View, frame_size: Size, crop: CropConfig, centre_shift: Pair) -> Patch:
    """Return the patch that shows a view on every frame but the first (section 3.5).

    Args:
        view: where to look.
        frame_size: height and width of the frame.
        crop: its settings.
        centre_shift: half a stride where the target model's response is not centred, in pixels
            of the crop.
    """
    centre = (
        view.position[0] + centre_shift[0] * view.scale,
        view.position[1] + centre_shift[1] * view.scale,
    )
    size = view.scale * crop.size[0], view.scale * crop.size[1]
    return patch_at(frame_size, centre, size, crop.size, inside=True)


def box_patch(box: Box, frame_size: Size, crop: CropConfig) -> Patch:
    """Return the patch in which the mask inside a box is looked for: it holds the whole box."""
    view = first_view(box, crop)
    fitting = max(box.height / crop.size[0], box.width / crop.size[1])
    view = replace(view, scale=max(view.scale, BOX_MARGIN * fitting))
    return view_patch(view, frame_size, crop, (0.0, 0.0))


def shared_view(views: Sequence[View], crop: CropConfig) -> View:
    """Return the smallest view that shows all that several views show."""
    half = [(view.scale * crop.size[0] / 2, view.scale * crop.size[1] / 2) for view in views]
    centre, sides = [], []
    for axis in (0, 1):
        first = min(v.position[axis] - h[axis] for v, h in zip(views, half, strict=True))
        last = max(v.position[axis] + h[axis] for v, h in zip(views, half, strict=True))
        centre.append((first + last) / 2)
        sides.append((last - first) / crop.size[axis])
    return View((centre[0], centre[1]), max(sides), views[0].base_size)


def half_stride(crop_size: Size, feature_size: Size, kernel_size: int) -> Pair:
    """Return how far the crop is moved so that a filter's centre meets the object's, per axis."""
    rows, columns = (
        (features + kernel_size) % 2 * side / (2 * features)
        for features, side in zip(feature_size, crop_size, strict=True)
    )
    return rows, columns


def cut_image(
    image: Float[Tensor, "channels height width"], patch: Patch
) -> Float[Tensor, "channels crop_height crop_width"]:
    """Cut and resize bilinearly; beyond the frame its border is repeated."""
    pixels = image[:, patch.offset[0] :: patch.step, patch.offset[1] :: patch.step]
    for axis in (1, 2):
        positions = torch.arange(patch.start[axis - 1], patch.stop[axis - 1], device=image.device)
        if patch.start[axis - 1] < 0 or patch.stop[axis - 1] > pixels.shape[axis]:
            pixels = pixels.index_select(axis, positions.clamp(0, pixels.shape[axis] - 1))
        else:
            pixels = pixels.narrow(axis, patch.start[axis - 1], len(positions))
    return resize_bilinear(pixels[None], patch.output)[0]


def cut_mask(
    mask: Float[Tensor, "height width"], patch: Patch
) -> Float[Tensor, "crop_height crop_width"]:
    """Cut and resize to the nearest pixel; beyond the frame there is no object."""
    pixels = mask[patch.offset[0] :: patch.step, patch.offset[1] :: patch.step]
    for axis in (0, 1):
        positions = torch.arange(patch.start[axis], patch.stop[axis], device=mask.device)
        shape = (-1, 1) if axis == 0 else (1, -1)
        within = ((positions >= 0) & (positions < pixels.shape[axis])).view(shape)
        pixels = pixels.index_select(axis, positions.clamp(0, pixels.shape[axis] - 1)) * within
    return functional.interpolate(pixels[None, None], size=patch.output, mode="nearest")[0, 0]


@dataclass(frozen=True)
class FirstPatch:
    """The crop of the frame where an object is given: cut from a patch of twice its size."""

    patch: Patch
    corner: Size
    """Upper left corner of the crop in the resized patch; it may leave it."""
    size: Size

    def image(
        self, image: Float[Tensor, "channels height width"]
    ) -> Float[Tensor, "channels crop_height crop_width"]:
        """Cut the crop of an image."""
        return self._cut(cut_image(image, self.patch))

    def mask(self, mask: Float[Tensor, "height width"]) -> Float[Tensor, "crop_height crop_width"]:
        """Cut the crop of a mask."""
        return self._cut(cut_mask(mask, self.patch)[None])[0]

    def _cut(self, pixels: Tensor) -> Tensor:
        for axis in (1, 2):
            first = self.corner[axis - 1]
            positions = torch.arange(first, first + self.size[axis - 1], device=pixels.device)
            pixels = pixels.index_select(axis, positions.clamp(0, pixels.shape[axis] - 1))
        return pixels


def first_patch(view: View, frame_size: Size, crop: CropConfig) -> FirstPatch:
    """Return the crop for the frame where an object is given: shrunk and moved into the frame.

    Unlike later ones its centre is rounded, and it is moved by whole pixels of the crop.
    """
    size = [view.scale * side for side in crop.size]
    shrink = max(1.0, min(size[0] / frame_size[0], size[1] / frame_size[1]))
    scale = view.scale / shrink
    corner = []
    for axis in (0, 1):
        length, position = size[axis] / shrink, view.position[axis]
        before = max(0.0, -(position - (length - 1) / 2))
        behind = max(0.0, position + length / 2 + 1 - frame_size[axis])
        shift = -(before - behind) / scale
        moved = trunc(shift + SAFE if shift > 0 else shift - SAFE)
        corner.append(crop.size[axis] // 2 - moved)
    doubled = 2 * crop.size[0], 2 * crop.size[1]
    patch = patch_at(
        frame_size,
        (float(round(view.position[0])), float(round(view.position[1]))),
        (scale * doubled[0], scale * doubled[1]),
        doubled,
        inside=False,
    )
    return FirstPatch(patch, (corner[0], corner[1]), crop.size)


def paste(
    logits: Float[Tensor, "crop_height crop_width"],
    extent: Extent,
    frame_size: Size,
    *,
    exact: bool = False,
) -> Float[Tensor, "height width"]:
    """Paint the logits of a crop back into the frame they were cut from.

    In the published code both axes are resized by one factor, the geometric mean of theirs, and
    the corner is half a pixel up and left of the crop's before it is truncated. ``exact`` paints
    just what was cut.
    """
    if exact:
        (top, left), (bottom, right) = extent
        size, corner = (int(bottom - top), int(right - left)), (int(top), int(left))
    else:
        size, corner = pasted_area((logits.shape[0], logits.shape[1]), extent)
    resized = resize_bilinear(logits[None, None], size)[0, 0]
    whole = logits.new_full(frame_size, OUTSIDE_LOGIT)
    top, left = max(0, corner[0]), max(0, corner[1])
    bottom = max(top, min(frame_size[0], corner[0] + size[0]))
    right = max(left, min(frame_size[1], corner[1] + size[1]))
    whole[top:bottom, left:right] = resized[
        top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
    ]
    return whole


def pasted_area(crop_size: Size, extent: Extent) -> tuple[Size, Size]:
    """Return size and upper left corner, in the frame, of what a crop is painted on."""
    start, stop = (np.array(corner, np.float32) for corner in extent)
    factors = (stop - start) / np.array(crop_size, np.float32)
    scale = float(np.sqrt(factors.prod()))  # single precision decides ties as published
    middle = ((start + stop - 1) / 2).tolist()
    size = max(1, floor(crop_size[0] * scale)), max(1, floor(crop_size[1] * scale))
    return size, (trunc(middle[0] - size[0] / 2), trunc(middle[1] - size[1] / 2))
