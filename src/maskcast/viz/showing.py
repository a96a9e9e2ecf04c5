"""Show the masks of a frame in a program or a notebook, in one call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Integer
from PIL import Image
from torch import Tensor

from maskcast.core.arrays import Picture
from maskcast.core.palette import Colour
from maskcast.core.types import Frame, ObjectMasks
from maskcast.viz.overlay import NOTHING, TINT, draw_overlay


def overlay(
    frame: Frame | Picture,
    masks: ObjectMasks | Integer[np.ndarray, "height width"],
    *,
    tint: float = TINT,
    colours: Mapping[int, Colour] = NOTHING,
    names: Mapping[int, str] = NOTHING,
) -> Picture:
    """Return a picture of a frame with its objects painted over it.

    Each object has a tint, a contour, and its name or id. Objects with a presence below 0.5 are
    listed in the top left corner.

    Args:
        frame: RGB, as a segmenter takes it (3 × height × width, 0..1) or as a picture in 8 bits
            (height × width × 3), which is not modified.
        masks: what ``segment_video`` yields, or object ids by pixel, 0 for background.
        tint: opacity of an object's colour, 0..1.
        colours: colours of objects by id, as (red, green, blue); others have those of DAVIS.
        names: names of objects by id.
    """
    absent: list[int] = []
    if isinstance(masks, ObjectMasks):
        absent, masks = _absent(masks), masks.label_map().cpu().numpy()
    picture = _picture(frame) if isinstance(frame, Tensor) else frame
    return draw_overlay(picture, masks, absent=absent, tint=tint, colours=colours, names=names)


def show(
    frame: Frame | Picture,
    masks: ObjectMasks | Integer[np.ndarray, "height width"],
    *,
    tint: float = TINT,
    colours: Mapping[int, Colour] = NOTHING,
    names: Mapping[int, str] = NOTHING,
) -> Image.Image:
    """Return the picture of ``overlay`` as a Pillow image.

    A notebook displays it if it is the last value of a cell. Elsewhere, call its ``show()`` or
    ``save(path)``. The arguments are those of ``overlay``.
    """
    return Image.fromarray(overlay(frame, masks, tint=tint, colours=colours, names=names))


def _picture(frame: Frame) -> Picture:
    pixels = frame.detach().clamp(0, 1).mul(255).round().byte()
    return np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())


def _absent(masks: ObjectMasks) -> list[int]:
    if masks.presence is None:
        return []
    probabilities = masks.presence.tolist()
    return [i for i, present in zip(masks.ids, probabilities, strict=True) if present < 0.5]
