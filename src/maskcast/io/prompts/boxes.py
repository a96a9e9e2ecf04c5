"""Parse boxes written as ``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``, in pixels of the frame."""

from __future__ import annotations

from dataclasses import dataclass

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.marks import Box, pixels_if_normalised
from maskcast.core.numbers import finite_number, shortened, signed_number
from maskcast.io.label_maps import LARGEST_ID


@dataclass(frozen=True)
class TypedBox:
    """A box as the user wrote it; frame and id are optional."""

    text: str
    frame_key: str | None
    """Name or index of the frame; None for the first frame."""
    object_id: int | None
    """Object id; None if one is still to be assigned."""
    box: Box


def parse_box(text: str, size: tuple[int, int] | None) -> TypedBox:
    """Parse ``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT`` for frames of ``size`` (height, width).

    If ``size`` is None, a box may lie anywhere and be in fractions of the frame.

    Raises:
        UsageError: the text has another form, or a number is not finite.
        PromptError: a side is not positive, the id is out of range, or the
            box is not inside the frame, or in fractions of it.
    """
    front, colon, numbers = text.strip().rpartition(":")
    frame_key, _, typed_id = front.rpartition(":")
    sides = [finite_number(number) for number in numbers.split(",")]
    values = [side for side in sides if side is not None]
    if not len(sides) == len(values) == 4:
        raise UsageError(
            f"invalid box {shortened(text, 80)!r}; write [[FRAME:]ID:]X,Y,WIDTH,HEIGHT, such as "
            "200,120,80,160 or 12:3:200,120,80,160",
            options=("box",),
        )
    try:
        box = Box(*values)
    except PromptError as error:
        raise PromptError(
            f"box {shortened(text, 80)}: {error.summary}", options=("box",)
        ) from error
    if size is not None:
        _reject_normalised(text, box, size)
        _reject_outside(text, box, size)
    return TypedBox(text, frame_key or None, _read_id(text, typed_id) if colon else None, box)


def _read_id(text: str, typed_id: str) -> int:
    object_id = signed_number(typed_id)
    if object_id is None:
        raise UsageError(
            f"box {shortened(text, 80)}: the object id must be an integer, got "
            f"{shortened(typed_id)!r}",
            options=("box",),
        )
    if not 1 <= object_id <= LARGEST_ID:
        raise PromptError(
            f"box {shortened(text, 80)}: object ids must be in [1, {LARGEST_ID}], got "
            f"{shortened(typed_id)}",
            options=("box",),
        )
    return object_id


def _reject_normalised(text: str, box: Box, size: tuple[int, int]) -> None:
    if (hint := pixels_if_normalised(box, size)) is not None:
        raise PromptError(
            f"box {shortened(text, 80)} seems to be in fractions of the frame; in pixels it is "
            f"{hint}",
            options=("box",),
        )


def _reject_outside(text: str, box: Box, size: tuple[int, int]) -> None:
    height, width = size
    right, bottom = box.x + box.width, box.y + box.height
    if box.x >= 0 and box.y >= 0 and right <= width and bottom <= height:
        return
    left, top = max(box.x, 0), max(box.y, 0)
    inside_width, inside_height = min(right, width) - left, min(bottom, height) - top
    hint = ""
    if box.x < box.width <= width and box.y < box.height <= height and min(box.x, box.y) >= 0:
        corners = f"{box.x:g},{box.y:g},{box.width - box.x:g},{box.height - box.y:g}"
        hint = f"; if these are two corners, write {corners}"
    elif inside_width > 0 and inside_height > 0:
        hint = f"; the part inside is {left:g},{top:g},{inside_width:g},{inside_height:g}"
    raise PromptError(
        f"box {shortened(text, 80)} extends outside the frame, which is {width} wide and {height} "
        f"high{hint}",
        options=("box",),
    )
