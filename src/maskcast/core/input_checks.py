"""Check the frames and prompts that a program passes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isnan
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from maskcast.core.errors import FrameError, MaskShapeError, PromptError
from maskcast.core.marks import NO_ENDS, pixels_if_normalised
from maskcast.core.types import (
    NO_PROMPTS,
    Absent,
    Box,
    Frame,
    Prompts,
    split_prompts,
)

LEAST, MOST = -0.25, 1.25
"""Range of the values of a frame; it leaves room for the overshoot of resizing filters."""


def check_frame(frame: Any, frame_index: int | None = None) -> None:
    """Reject the formats of cameras and image libraries: arrays, bytes, height × width × 3.

    Args:
        frame: what was passed as a frame.
        frame_index: its index, for the message.

    Raises:
        FrameError: it is not a float tensor of 3 × height × width.
    """
    good = isinstance(frame, Tensor) and frame.is_floating_point()
    if not good or frame.ndim != 3 or frame.shape[0] != 3 or frame.numel() == 0:
        raise FrameError(
            f"{_frame(frame_index)} is {kind_of(frame)}; pass a float tensor of 3 × height × "
            "width, RGB, 0..1 (for an 8-bit image: torch.from_numpy(image).permute(2, 0, 1) / 255)"
        )


def check_range(frame: Frame, frame_index: int | None = None) -> None:
    """Reject NaN, infinite and negative values, and frames in 0..255.

    Raises:
        FrameError: a value is outside [``LEAST``, ``MOST``].
    """
    low, high = (float(value) for value in torch.aminmax(frame))  # NaN if any value is
    if low >= LEAST and high <= MOST:
        return
    if isnan(low):
        raise FrameError(f"{_frame(frame_index)} has values that are not a number (NaN)")
    if low >= 0:
        values, hint = f"up to {high:g}", "divide 8-bit values by 255"
    else:
        values, hint = f"from {low:g} to {high:g}", "undo the normalisation"
    raise FrameError(
        f"{_frame(frame_index)} has values {values} but they must be in [0, 1]; {hint}"
    )


def checked_prompts(prompts: Any, frame: Frame, frame_index: int | None = None) -> Prompts:
    """Return the prompts of a frame with plain integers as ids.

    Raises:
        MaskShapeError: a mask and the frame differ in size.
        PromptError: the prompts are not by object id, an id is not a positive integer, a mask is
            empty or not a boolean tensor, two masks overlap, or a box lies outside the frame or
            is in fractions of it.
    """
    if not isinstance(prompts, Mapping):
        raise PromptError(
            f"the prompts of {_frame(frame_index)} are {kind_of(prompts)}; pass a dictionary from "
            "object ids to masks, boxes or maskcast.ABSENT, such as {1: mask}"
        )
    by_id = {_object_id(object_id, frame_index): prompt for object_id, prompt in prompts.items()}
    check_prompts(by_id, frame, frame_index)
    return by_id


def check_prompts(
    prompts: Mapping[int, Tensor | Box | Absent], frame: Frame, frame_index: int | None
) -> None:
    """Reject prompts that are invalid for every method.

    Raises:
        MaskShapeError: a mask and the frame differ in size.
        PromptError: an id is not positive, a mask is empty or not a boolean tensor, two masks
            overlap, or a box lies outside the frame or is in fractions of it.
    """
    height, width = frame.shape[-2:]
    taken: Tensor | None = None
    for object_id, prompt in prompts.items():
        what = f"object {object_id} on {_frame(frame_index)}"
        if object_id < 1:
            raise PromptError(
                f"object ids must be positive, got {object_id} on {_frame(frame_index)}"
            )
        if isinstance(prompt, Absent):
            continue
        if isinstance(prompt, Box):
            outside = prompt.x >= width or prompt.y >= height
            if outside or prompt.x + prompt.width <= 0 or prompt.y + prompt.height <= 0:
                raise PromptError(
                    f"the box of {what} lies outside the frame, which is {size_of(frame)}"
                )
            if (hint := pixels_if_normalised(prompt, (height, width))) is not None:
                raise PromptError(
                    f"the box of {what} seems to be in fractions of the frame; in pixels it is "
                    f"({hint})"
                )
            continue
        if not isinstance(prompt, Tensor) or prompt.dtype != torch.bool or prompt.ndim != 2:
            raise PromptError(
                f"the mask of {what} is {kind_of(prompt)}; pass a boolean tensor of height × width "
                "(torch.from_numpy(label_map == 1)), a maskcast.Box or maskcast.ABSENT"
            )
        if prompt.shape != frame.shape[-2:]:
            raise MaskShapeError(
                f"the mask of {what} is {size_of(prompt)} but the frame is {size_of(frame)}; draw "
                "it at the size of the frame, or use maskcast.io.label_maps.resize_label_map"
            )
        if not prompt.any():
            raise PromptError(f"the mask of {what} is empty; mark at least one pixel")
        mask = prompt.cpu()
        if taken is not None and (mask & taken).any():
            raise PromptError(
                f"the mask of {what} overlaps another mask; assign each pixel to one object"
            )
        taken = mask if taken is None else mask | taken


def check_frame_indices(prompts: Any) -> None:
    """Reject prompts of a video that are not by frame index.

    Raises:
        PromptError: they are not a dictionary, or a key is not an index.
    """
    if not isinstance(prompts, Mapping):
        hint = "its by_frame" if hasattr(prompts, "by_frame") else "a dictionary"
        raise PromptError(
            f"the prompts of a video are {kind_of(prompts)}; pass {hint}, from frame indices to "
            "prompts by object id, such as {0: {1: mask}}"
        )
    for key in prompts:
        if not _is_whole(key) or key < 0:
            raise PromptError(
                f"prompts must be by frame index, an integer from 0, got {key!r}; such as "
                "{0: {1: mask}}"
            )


def check_absences(
    prompts: Mapping[int, Prompts], ends: Mapping[int, Collection[int]] = NO_ENDS
) -> None:
    """Reject absence marks of objects that are not tracked on their frame.

    Args:
        prompts: prompts of a whole video, by frame index.
        ends: ids of objects to remove before a frame, by frame index.

    Raises:
        PromptError: an object is marked absent before its first mask or box, or after its end.
    """
    known: set[int] = set()
    for frame_index in sorted({*prompts, *ends}):
        known -= set(ends.get(frame_index, ()))
        here = prompts.get(frame_index, NO_PROMPTS)
        if not isinstance(here, Mapping):
            return  # its frame will report it
        try:
            shown, _ = split_prompts(here, known)
        except PromptError as error:
            raise PromptError(f"frame {frame_index}: {error.summary}") from error
        known |= set(shown)


def kind_of(value: object) -> str:
    """Return the type of a value in words, with dtype and shape if it has them."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return f"a {type(value).__name__}"
    return f"a {type(value).__name__} of {getattr(value, 'dtype', '')} and shape {tuple(shape)}"


def size_of(picture: Tensor) -> str:
    """Return height and width in words."""
    return f"{picture.shape[-2]}×{picture.shape[-1]}"


def _object_id(key: Any, frame_index: int | None) -> int:
    if not _is_whole(key):
        raise PromptError(
            f"object ids must be positive integers, got {key!r} on {_frame(frame_index)}"
        )
    return int(key)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _frame(frame_index: int | None) -> str:
    return "the frame" if frame_index is None else f"frame {frame_index}"
