"""Crops of the frame: their position, cutting them, and pasting logits back.

    image    3 × height × width                any value range
    mask     height × width                    0..1
    crop     3 × crop_height × crop_width      the patch, resized
    logits   height × width                    of the whole frame; -100 outside the crop

Points and sizes are (row, column) in pixels; the centre of the first pixel is at 0. A scale is the
number of frame pixels per crop pixel.
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

from maskcast.core.areas import Area, area_inside, moments, window
from maskcast.core.tensors import Size
from maskcast.core.types import Box
from maskcast.methods.lwl.config import CropConfig
from maskcast.nn.resize import resize_bilinear

OUTSIDE_LOGIT = -100.0
SAFE = 1e-3
"""Added before a size is truncated. The side that limits a crop is an integer up to the last bit of
a float, and without this would be one pixel smaller on some machines."""

Pair: TypeAlias = tuple[float, float]
Extent: TypeAlias = tuple[Pair, Pair]
"""Upper left and lower right corner."""


@dataclass(frozen=True)
class View:
    """The region in which an object is searched for."""

    position: Pair
    """Centre of the object."""
    scale: float
    base_size: Pair
    """Size of the object in pixels of the crop; its aspect ratio stays that of the first frame."""

    @property
    def size(self) -> Pair:
        """Size of the object in pixels of the frame."""
        return self.base_size[0] * self.scale, self.base_size[1] * self.scale


@dataclass(frozen=True)
class Sighting:
    """Position and size of an object, measured on a probability map."""

    position: Pair
    """Centre of mass."""
    size: Pair
    """Four standard deviations along each axis."""


@dataclass(frozen=True)
class Patch:
    """A rectangle, which may extend beyond the frame, and the size that it is resized to."""

    output: Size
    step: int
    """Only every ``step``-th pixel is read; more than 1 if the patch is much larger than its
    output."""
    offset: Size
    """The first pixel that is read."""
    start: Size
    """Upper left corner in steps from ``offset``; may be negative."""
    stop: Size
    """Lower right corner in steps from ``offset``."""
    part: tuple[Size, Size] | None = None
    """Upper left and lower right corner of the part of the resized patch that is kept, which may
    extend beyond it; None keeps all."""

    @property
    def extent(self) -> Extent:
        """Upper left and lower right corner in pixels of the frame, as ``paste`` takes them."""
        top, left = (float(self.step * edge) for edge in self.start)
        bottom, right = (float(self.step * edge) for edge in self.stop)
        return (top, left), (bottom, right)


def first_view(box: Box, crop: CropConfig) -> View:
    """Return the first view of an object with this box."""
    position = box.y + (box.height - 1) / 2, box.x + (box.width - 1) / 2
    height, width = max(box.height, 1.0), max(box.width, 1.0)
    scale = crop.search_area * sqrt(height * width) / sqrt(crop.size[0] * crop.size[1])
    return View(position, scale, (height / scale, width / scale))


def follow(view: View, seen: Sighting | None, crop: CropConfig) -> View:
    """Return the next view; for an object out of sight (None), it is the last view."""
    wanted = centred_on(seen or Sighting(view.position, view.size), view)
    low, high = crop.scale_change
    scale = min(max(wanted.scale, low * view.scale), high * view.scale)
    return View(wanted.position, scale, view.base_size)


def centred_on(seen: Sighting, view: View) -> View:
    """Return a view centred on a sighting and scaled to its size, without limits on the change."""
    base_area = view.base_size[0] * view.base_size[1]
    return View(seen.position, sqrt(seen.size[0] * seen.size[1] / base_area), view.base_size)


def find(
    probs: Float[Tensor, "objects height width"], *, minimum_mass: float
) -> list[Sighting | None]:
    """Locate objects by mean and variance of their probability maps; None below the minimum."""
    margins = margins_of(probs).cpu().double().numpy()
    return [
        sighting(margin, height=probs.shape[1], minimum_mass=minimum_mass) for margin in margins
    ]


def margins_of(
    probs: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects height+width"]:
    """Return the sum of every row, followed by the sum of every column."""
    return torch.cat([probs.sum(dim=2), probs.sum(dim=1)], dim=1)


def sighting(margin: np.ndarray, *, height: int, minimum_mass: float) -> Sighting | None:
    """Locate an object by the sums of its rows and columns; None below the minimum."""
    if margin[:height].sum() < minimum_mass:
        return None
    (row, tall), (column, wide) = moments(margin[:height]), moments(margin[height:])
    return Sighting((row, column), (tall, wide))


def patch_at(frame_size: Size, centre: Pair, size: Pair, output: Size, *, inside: bool) -> Patch:
    """Return a patch of a given centre and size, in whole pixels.

    Args:
        frame_size: height and width of the frame that it will be cut from.
        centre: centre of the patch; truncated to whole pixels.
        size: size of the patch in pixels of the frame.
        output: height and width that it will be resized to.
        inside: whether to shrink the patch until one of its sides fits into the frame, and to move
            it inside ("inside-major"); otherwise the border is repeated.
    """
    if inside:
        shrink = max(1.0, min(size[0] / frame_size[0], size[1] / frame_size[1]))
        size = float(trunc(size[0] / shrink + SAFE)), float(trunc(size[1] / shrink + SAFE))
    step = max(1, trunc(min(size[0] / output[0], size[1] / output[1]) - 0.1))
    (off_y, y0, y1), (off_x, x0, x1) = (
        _interval(frame_size[axis], trunc(centre[axis]), size[axis] / step, step, inside=inside)
        for axis in (0, 1)
    )
    return Patch(output, step, (off_y, off_x), (y0, x0), (y1, x1))


def _interval(
    frame_length: int, centre: int, length: float, step: int, *, inside: bool
) -> tuple[int, int, int]:
    """Return the first pixel read, and start and stop, for one axis of a patch."""
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
    """Return the patch of a view, on every frame but the first (section 3.5).

    ``centre_shift`` is in pixels of the crop; see ``half_stride``.
    """
    (row, column), scale = view.position, view.scale
    centre = row + centre_shift[0] * scale, column + centre_shift[1] * scale
    size = scale * crop.size[0], scale * crop.size[1]
    return patch_at(frame_size, centre, size, crop.size, inside=True)


def shared_view(views: Sequence[View], crop: CropConfig) -> View:
    """Return the smallest view that contains several views."""
    centre, scales = [], []
    for axis, side in enumerate(crop.size):
        first = min(view.position[axis] - view.scale * side / 2 for view in views)
        last = max(view.position[axis] + view.scale * side / 2 for view in views)
        centre.append((first + last) / 2)
        scales.append((last - first) / side)
    return View((centre[0], centre[1]), max(scales), views[0].base_size)


def half_stride(crop_size: Size, feature_size: Size, kernel_size: int) -> Pair:
    """Return the shift of the crop, per axis, that aligns the filter's centre with the object's."""
    rows, columns = (
        (features + kernel_size) % 2 * side / (2 * features)
        for features, side in zip(feature_size, crop_size, strict=True)
    )
    return rows, columns


def cut_image(
    image: Float[Tensor, "channels height width"], patch: Patch
) -> Float[Tensor, "channels crop_height crop_width"]:
    """Cut an image and resize it bilinearly; outside the frame, the border is repeated."""
    pixels = image[:, patch.offset[0] :: patch.step, patch.offset[1] :: patch.step]
    cut = resize_bilinear(window(pixels, patch.start, patch.stop)[None], patch.output)[0]
    return cut if patch.part is None else window(cut, *patch.part)


def cut_mask(
    mask: Float[Tensor, "height width"], patch: Patch
) -> Float[Tensor, "crop_height crop_width"]:
    """Cut a mask and resize it with nearest-neighbour sampling; it is 0 outside the frame."""
    pixels = mask[patch.offset[0] :: patch.step, patch.offset[1] :: patch.step]
    (top, left), (bottom, right) = patch.start, patch.stop
    framed = functional.pad(pixels[None], (1, 1, 1, 1))  # with zeros, which are repeated outside
    cut = window(framed, (top + 1, left + 1), (bottom + 1, right + 1))
    cut = functional.interpolate(cut[None], size=patch.output, mode="nearest")[0]
    return (cut if patch.part is None else window(cut, *patch.part))[0]


def first_patch(view: View, frame_size: Size, crop: CropConfig) -> Patch:
    """Return the patch for the frame on which an object starts, shrunk and moved into the frame.

    It is a part of a patch of twice its size. Unlike in later patches, the centre is rounded, and
    the shift is a whole number of crop pixels.
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
    centre = float(round(view.position[0])), float(round(view.position[1]))
    extent = scale * doubled[0], scale * doubled[1]
    patch = patch_at(frame_size, centre, extent, doubled, inside=False)
    (top, left), (height, width) = corner, crop.size
    return replace(patch, part=((top, left), (top + height, left + width)))


def paste(
    logits: Float[Tensor, "crop_height crop_width"],
    extent: Extent,
    frame_size: Size,
    *,
    exact: bool = False,
) -> Float[Tensor, "height width"]:
    """Paste the logits of a crop into the frame.

    As in the published code, both axes are resized by one factor, the geometric mean of theirs, and
    the corner is moved up and left by half a pixel before it is truncated. With ``exact``, the
    logits are pasted exactly where the crop was cut.
    """
    size, corner = _resized_to((logits.shape[0], logits.shape[1]), extent, exact=exact)
    resized = resize_bilinear(logits[None, None], size)[0, 0]
    whole = logits.new_full(frame_size, OUTSIDE_LOGIT)
    top, left, bottom, right = area_inside(size, corner, frame_size)
    whole[top:bottom, left:right] = resized[
        top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
    ]
    return whole


def pasted_part(crop_size: Size, extent: Extent, frame_size: Size, *, exact: bool = False) -> Area:
    """Return the part of the frame that ``paste`` writes into; outside are its constant logits."""
    return area_inside(*_resized_to(crop_size, extent, exact=exact), frame_size)


def _resized_to(crop_size: Size, extent: Extent, *, exact: bool) -> tuple[Size, Size]:
    """Return size and upper left corner of the pasted crop, which may leave the frame."""
    if not exact:
        return pasted_area(crop_size, extent)
    (top, left), (bottom, right) = extent
    return (int(bottom - top), int(right - left)), (int(top), int(left))


def pasted_area(crop_size: Size, extent: Extent) -> tuple[Size, Size]:
    """Return size and upper left corner of the area of the frame that a crop is pasted into."""
    start, stop = (np.array(corner, np.float32) for corner in extent)
    factors = (stop - start) / np.array(crop_size, np.float32)
    scale = float(np.sqrt(factors.prod()))  # ties are rounded as in the published single precision
    middle = ((start + stop - 1) / 2).tolist()
    size = max(1, floor(crop_size[0] * scale)), max(1, floor(crop_size[1] * scale))
    return size, (trunc(middle[0] - size[0] / 2), trunc(middle[1] - size[1] / 2))
