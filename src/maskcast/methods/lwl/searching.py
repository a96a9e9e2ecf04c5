"""Where an object is on a frame, and where to search for it while it is absent.

probs      objects × height × width   merged; 0 for absent objects
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, dist, sqrt
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.tensors import Size
from maskcast.methods.lwl.crop import Sighting, View, centred_on, margins_of, sighting
from maskcast.methods.lwl.state import Target
from maskcast.nn.presence import VISIBLE

USUAL_PIXELS = 480 * 854
"""Frame size in pixels to which ``crop.minimum_mass`` refers; it is scaled with the frame size."""


class Located(NamedTuple):
    """The result for one object on the last frame, in CPU memory."""

    is_present: bool
    seen: Sighting | None
    """Position; None if the object is absent or too small to be tracked."""
    confidence: float = 1.0
    """Mean probability inside the mask, 0..1; 1 if absence is not detected."""


def locate(
    probs: Float[Tensor, "objects height width"],
    presence: Float[Tensor, "objects"],
    confidence: Float[Tensor, "objects"],
    last: Sequence[Sighting | None],
    *,
    minimum_mass: float,
) -> list[Located]:
    """Locate objects by their merged probabilities, with one transfer to CPU memory.

    Probability far from the last position of the object, such as that of a similar object, counts
    only if it is the larger part.

    Args:
        probs: merged probabilities; 0 everywhere for absent objects.
        presence: presence of the objects.
        confidence: confidence of the objects, which is copied to the result.
        last: position of each object on the previous frame, and its size.
        minimum_mass: sum of probabilities below which an object is too small to be tracked, on a
            frame of 480×854.
    """
    height, width = probs.shape[-2:]
    minimum_mass = minimum_mass * height * width / USUAL_PIXELS
    everywhere = margins_of(probs)
    near = torch.stack(
        [
            whole if seen is None else _margins_near(seen, mass)
            for whole, mass, seen in zip(everywhere, probs, last, strict=True)
        ]
    )
    judged = torch.stack([presence, confidence], dim=1)
    table = torch.cat([judged, everywhere, near], dim=1).cpu().double().numpy()
    located = []
    for row in table:
        whole, close = np.split(row[2:], 2)
        chosen = close if 2 * close[:height].sum() >= whole[:height].sum() else whole
        seen = sighting(chosen, height=height, minimum_mass=minimum_mass)
        is_present = bool(row[0] >= VISIBLE)
        located.append(Located(is_present, seen if is_present else None, float(row[1])))
    return located


def last_extent(target: Target) -> Sighting | None:
    """Return the position of an object, with the larger one of its size and that in its view.

    The view shrinks slowly, so that parts that come out from behind something are near.
    """
    if target.seen is None:
        return None
    height, width = map(max, target.seen.size, target.view.size)
    return Sighting(target.seen.position, (height, width))


def _margins_near(seen: Sighting, mass: Float[Tensor, "height width"]) -> Tensor:
    """Return the sums of rows and columns in a window around the object's last position.

    The window reaches about an object's size beyond the object: parts that an occluder separates
    are inside, similar things elsewhere in the frame are not.
    """
    shared = sqrt(seen.size[0] * seen.size[1])
    (top, bottom), (left, right) = (
        (max(0, int(at - reach)), max(0, int(at + reach) + 1))
        for at, reach in (
            (at, size + shared / 2) for at, size in zip(seen.position, seen.size, strict=True)
        )
    )
    height, width = mass.shape
    margins = mass.new_zeros(height + width)
    window = mass[top:bottom, left:right]
    margins[top : min(bottom, height)] = window.sum(dim=1)
    margins[height + left : height + min(right, width)] = window.sum(dim=0)
    return margins


def view_after_return(view: View, seen: Sighting, frame_size: Size) -> View:
    """Return the view of an object that was found again, scaled to its current size.

    If the object touches the border of the frame, the view keeps its size.
    """
    sides = zip(seen.position, seen.size, frame_size, strict=True)
    if any(not 0 <= at - size / 2 <= at + size / 2 <= length - 1 for at, size, length in sides):
        return View(seen.position, view.scale, view.base_size)
    return centred_on(seen, view)


def search_view(view: View, absent_frames: int, frame_size: Size, crop_size: Size) -> View:
    """Return one of ``search_views``; after the farthest one, the search starts again.

    Args:
        view: view in which the object was last seen.
        absent_frames: number of frames since it was visible, at least 1.
        frame_size: height and width of the frame.
        crop_size: height and width of the network's input.
    """
    views = search_views(view, frame_size, crop_size)
    return views[(absent_frames - 1) % len(views)]


def search_views(view: View, frame_size: Size, crop_size: Size) -> list[View]:
    """Return additional views in which to search for an absent object, as large as the last one.

    The views cover the frame and overlap by a third. The nearest to the last view comes first.

    Args:
        view: view in which the object was last seen.
        frame_size: height and width of the frame.
        crop_size: height and width of the network's input.
    """
    rows, columns = (
        _centres(length, view.scale * side)
        for length, side in zip(frame_size, crop_size, strict=True)
    )
    positions = sorted(product(rows, columns), key=lambda position: dist(position, view.position))
    return [View(position, view.scale, view.base_size) for position in positions]


def _centres(length: int, side: float) -> list[float]:
    """Return the centres of intervals that cover a length and overlap by a third."""
    gaps = ceil(max(length - side, 0) / (2 / 3 * side))
    if gaps == 0:
        return [(length - 1) / 2]
    return [(side - 1) / 2 + gap * (length - side) / gaps for gap in range(gaps + 1)]
