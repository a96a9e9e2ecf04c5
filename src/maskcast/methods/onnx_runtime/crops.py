"""The crops of LWL: where they are cut, cutting them, and pasting logits back.

Points and sizes are (row, column) in pixels; a scale is the number of frame pixels per pixel of the
crop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, sqrt, trunc
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from maskcast.methods.onnx_runtime.prompts import Array, Box, Size
from maskcast.methods.onnx_runtime.resampling import OUTSIDE_LOGIT, resize

Pair: TypeAlias = tuple[float, float]

SAFE = 0.001

BOX_MARGIN = 1.1

STRIDE = 16


class View(NamedTuple):
    """The region in which an object is searched for."""

    position: Pair
    scale: float
    base_size: Pair

    @property
    def size(self) -> Pair:
        """Size of the object in pixels of the frame."""
        return self.base_size[0] * self.scale, self.base_size[1] * self.scale


class Sighting(NamedTuple):
    """Centre of mass of an object, and four standard deviations along each axis."""

    position: Pair
    size: Pair


class Patch(NamedTuple):
    """A rectangle of the frame, of which every ``step``-th pixel is read, and its output size."""

    output: Size
    step: int
    offset: Size
    start: Size
    stop: Size

    @property
    def extent(self) -> tuple[Pair, Pair]:
        """Upper left and lower right corner in pixels of the frame."""
        (top, left), (bottom, right) = self.start, self.stop
        step = float(self.step)
        return (step * top, step * left), (step * bottom, step * right)

    def image(self, frame: Array) -> Array:
        """Cut and resize an image; outside the frame, the border is repeated."""
        pixels = frame[:, self.offset[0] :: self.step, self.offset[1] :: self.step]
        rows, columns = (
            np.clip(np.arange(first, last), 0, length - 1)
            for first, last, length in zip(self.start, self.stop, pixels.shape[1:], strict=True)
        )
        return resize(pixels[:, rows[:, None], columns], self.output)

    def mask(self, mask: Array) -> Array:
        """Cut and resize a mask to the nearest pixels; it is 0 outside the frame."""
        pixels = mask[self.offset[0] :: self.step, self.offset[1] :: self.step]
        chosen, inside = [], []
        for axis in (0, 1):
            length, new = self.stop[axis] - self.start[axis], self.output[axis]
            scale = np.float32(length) / np.float32(new)
            source = np.floor(np.arange(new, dtype=np.float32) * scale).astype(np.int64)
            at = self.start[axis] + np.minimum(source, length - 1)
            inside.append((at >= 0) & (at < pixels.shape[axis]))
            chosen.append(np.clip(at, 0, pixels.shape[axis] - 1))
        cut = pixels[chosen[0][:, None], chosen[1]].astype(np.float32)
        result: Array = cut * (inside[0][:, None] & inside[1])
        return result


class FirstPatch(NamedTuple):
    """The crop of the frame on which an object starts, cut from a patch of twice its size."""

    patch: Patch
    corner: Size
    size: Size

    def image(self, frame: Array) -> Array:
        """Cut the crop out of an image."""
        return self._cut(self.patch.image(frame))

    def mask(self, mask: Array) -> Array:
        """Cut the crop out of a mask."""
        return self._cut(self.patch.mask(mask))

    def _cut(self, pixels: Array) -> Array:
        rows, columns = (
            np.clip(np.arange(first, first + side), 0, length - 1)
            for first, side, length in zip(self.corner, self.size, pixels.shape[-2:], strict=True)
        )
        result: Array = pixels[..., rows[:, None], columns]
        return result


class Geometry:
    """Where crops are cut, by the settings ``crop`` and ``network`` of the card."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.crop, kernel = config["crop"], config["network"]["kernel_size"]
        self.size: Size = (self.crop["size"][0], self.crop["size"][1])
        features = [-(-side // STRIDE) for side in self.size]
        self.shift = [
            (count + kernel) % 2 * side / (2 * count)
            for count, side in zip(features, self.size, strict=True)
        ]

    def first_view(self, box: Box) -> View:
        position = box.y + (box.height - 1) / 2, box.x + (box.width - 1) / 2
        height, width = max(box.height, 1.0), max(box.width, 1.0)
        scale = self.crop["search_area"] * sqrt(height * width) / sqrt(self.size[0] * self.size[1])
        return View(position, scale, (height / scale, width / scale))

    def follow(self, view: View, seen: Sighting | None) -> View:
        wanted = centred_on(seen or Sighting(view.position, view.size), view)
        low, high = self.crop["scale_change"]
        scale = min(max(wanted.scale, low * view.scale), high * view.scale)
        return View(wanted.position, scale, view.base_size)

    def patch(self, view: View, frame_size: Size, shift: Sequence[float] | None = None) -> Patch:
        shift = self.shift if shift is None else shift
        (row, column), scale = view.position, view.scale
        centre = row + shift[0] * scale, column + shift[1] * scale
        size = scale * self.size[0], scale * self.size[1]
        return patch_at(frame_size, centre, size, self.size, inside=True)

    def box_patch(self, box: Box, frame_size: Size) -> Patch:
        view = self.first_view(box)
        fitting = max(box.height / self.size[0], box.width / self.size[1])
        view = view._replace(scale=max(view.scale, BOX_MARGIN * fitting))
        return self.patch(view, frame_size, (0.0, 0.0))

    def first_patch(self, view: View, frame_size: Size) -> FirstPatch:
        size = [view.scale * side for side in self.size]
        shrink = max(1.0, min(size[0] / frame_size[0], size[1] / frame_size[1]))
        scale = view.scale / shrink
        corner = []
        for axis in (0, 1):
            length, position = size[axis] / shrink, view.position[axis]
            before = max(0.0, -(position - (length - 1) / 2))
            behind = max(0.0, position + length / 2 + 1 - frame_size[axis])
            shift = -(before - behind) / scale
            corner.append(self.size[axis] // 2 - trunc(shift + (SAFE if shift > 0 else -SAFE)))
        doubled = 2 * self.size[0], 2 * self.size[1]
        centre = float(round(view.position[0])), float(round(view.position[1]))
        extent = scale * doubled[0], scale * doubled[1]
        patch = patch_at(frame_size, centre, extent, doubled, inside=False)
        return FirstPatch(patch, (corner[0], corner[1]), self.size)

    def paste(self, logits: Array, patch: Patch, frame_size: Size, *, exact: bool) -> Array:
        (y0, x0), (y1, x1) = patch.extent
        size, corner = (int(y1 - y0), int(x1 - x0)), (int(y0), int(x0))
        if not exact:
            size, corner = self._pasted_area(patch)
        resized = resize(logits, size)
        whole = np.full(frame_size, OUTSIDE_LOGIT, np.float32)
        top, left = max(0, corner[0]), max(0, corner[1])
        bottom = max(top, min(frame_size[0], corner[0] + size[0]))
        right = max(left, min(frame_size[1], corner[1] + size[1]))
        whole[top:bottom, left:right] = resized[
            top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
        ]
        return whole

    def _pasted_area(self, patch: Patch) -> tuple[Size, Size]:
        start, stop = (np.array(corner, np.float32) for corner in patch.extent)
        factors = (stop - start) / np.array(self.size, np.float32)
        scale = float(np.sqrt(factors.prod()))
        middle = ((start + stop - 1) / 2).tolist()
        size = max(1, floor(self.size[0] * scale)), max(1, floor(self.size[1] * scale))
        return size, (trunc(middle[0] - size[0] / 2), trunc(middle[1] - size[1] / 2))


def patch_at(frame_size: Size, centre: Pair, size: Pair, output: Size, *, inside: bool) -> Patch:
    """Return a patch in whole pixels; with ``inside`` it is shrunk and moved into the frame."""
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
    offset = centre % step
    centre = (centre - offset) // step
    pixels = len(range(offset, frame_length, step))
    whole = max(round(length), 2)
    start, stop = centre - (whole - 1) // 2, centre + whole // 2 + 1
    if inside:
        shift = max(0, -start) - max(0, stop - pixels)
        start, stop = start + shift, stop + shift
        outside = (max(0, -start) + max(0, stop - pixels)) // 2
        if outside > 0:
            start, stop = -outside, stop - start - outside
    return offset, start, stop


def centred_on(seen: Sighting, view: View) -> View:
    """Return a view centred on a sighting and scaled to its size."""
    area = view.base_size[0] * view.base_size[1]
    return View(seen.position, sqrt(seen.size[0] * seen.size[1] / area), view.base_size)


def sighting(margin: Array, *, height: int, minimum_mass: float) -> Sighting | None:
    """Locate an object by the sums of its rows and columns; None below the minimum."""
    if margin[:height].sum() < minimum_mass:
        return None
    (row, tall), (column, wide) = _moments(margin[:height]), _moments(margin[height:])
    return Sighting((row, column), (tall, wide))


def _moments(mass: Array) -> Pair:
    positions = np.arange(len(mass))
    mean = float((positions * mass).sum() / mass.sum())
    variance = float((np.square(positions - mean) * mass).sum() / mass.sum())
    return mean, 4 * sqrt(max(variance, 0.0))


def margins(probs: Array) -> Array:
    """Return the sum of every row, followed by the sum of every column."""
    return np.concatenate([probs.sum(axis=1), probs.sum(axis=0)]).astype(np.float64)
