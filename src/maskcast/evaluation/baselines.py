"""Baselines that every method should beat: the first mask, copied or moved.

Both are ordinary segmenters without weights. Their scores show how easy a data set is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterIdentity, VideoSegmenter
from maskcast.core.types import NO_PROMPTS, Box, Frame, Mask, ObjectMasks, Prompts, masks_and_boxes

SEARCH_SHARE = 0.1
"""Maximum shift of an object between two frames, as a share of the frame's longer side."""
LEAST_VISIBLE = 0.5
"""Minimum share of an object's pixels that must lie inside the frame at any tested shift."""


@dataclass(frozen=True)
class Template:
    """The pixels of one object on the frame on which it was marked."""

    object_id: int
    mask: Mask
    pixels: Float[Tensor, "3 height width"]
    """The frame, 0 outside the mask."""
    offset: tuple[int, int] = (0, 0)
    """Shift of the mask since then, in (rows, columns)."""


@dataclass(frozen=True)
class Templates:
    """State of both baselines."""

    objects: tuple[Template, ...] = ()


class FirstMask:
    """Repeats the given mask of each object on every frame, in place or where it fits best.

    With ``moves`` the mask is shifted as a whole. Of all shifts by up to ``SEARCH_SHARE`` of the
    longer side since the previous frame, it takes the one with the smallest mean squared difference
    between the object's first pixels and the frame, over the pixels inside the frame.
    """

    def __init__(self, *, moves: bool) -> None:
        self.moves = moves

    def start(self) -> Templates:
        """Return the state without objects."""
        return Templates()

    def step(
        self, state: Templates, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[Templates, ObjectMasks]:
        """Place the known masks, then add the given ones; boxes become filled rectangles."""
        objects = {
            template.object_id: _placed(template, frame) if self.moves else template
            for template in state.objects
            if template.object_id not in prompts
        }
        for object_id, prompt in masks_and_boxes(prompts).items():
            mask = _filled(prompt, frame) if isinstance(prompt, Box) else prompt.to(frame.device)
            objects[object_id] = Template(object_id, mask, frame * mask)
        after = Templates(tuple(objects[object_id] for object_id in sorted(objects)))
        return after, _painted(after, frame, prompts)

    def remove_objects(self, state: Templates, ids: Collection[int]) -> Templates:
        """Return the state without these objects."""
        return Templates(tuple(t for t in state.objects if t.object_id not in ids))


def copy_first() -> VideoSegmenter[Templates]:
    """Return the baseline that copies the first mask."""
    return FirstMask(moves=False)


def shift_first() -> VideoSegmenter[Templates]:
    """Return the baseline that shifts the first mask to where it fits best."""
    return FirstMask(moves=True)


BASELINES: Mapping[str, Callable[[], VideoSegmenter[Templates]]] = {
    "copy-first": copy_first,
    "shift-first": shift_first,
}
"""Baselines by method name, as ``maskcast evaluate --method`` accepts it."""


@dataclass(frozen=True)
class BaselineSource:
    """A baseline by name; a ``SegmenterSource``."""

    method: str

    def build(self, *, progress: Progress | None = None) -> BuiltBaseline:
        """Build the baseline."""
        return BuiltBaseline(BASELINES[self.method](), self)

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        """Return what determines the masks, which is the name alone."""
        return SegmenterIdentity(
            method=self.method,
            weights=None,
            weights_sha256=None,
            box_start=None,
            options={},
            dtype="float32",
        )


@dataclass(frozen=True)
class BuiltBaseline:
    """A baseline that ``BaselineSource.build`` has built; a ``BuiltSegmenter``."""

    segmenter: VideoSegmenter[Templates]
    source: BaselineSource

    @property
    def device(self) -> torch.device:
        """The CPU, on which masks are copied and moved."""
        return torch.device("cpu")

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        """Return what determines the masks, which is the name alone."""
        return self.source.identity(uses_boxes=uses_boxes)


def _painted(state: Templates, frame: Frame, prompts: Prompts) -> ObjectMasks:
    """Return the masks without overlaps: given masks take precedence, then lower ids."""
    height, width = frame.shape[-2:]
    ids = tuple(template.object_id for template in state.objects)
    probs = frame.new_zeros((len(ids), height, width))
    free = torch.ones((height, width), dtype=torch.bool, device=frame.device)
    order = sorted(range(len(ids)), key=lambda slot: (ids[slot] not in prompts, ids[slot]))
    for slot in order:
        template = state.objects[slot]
        mask = _shifted(template.mask, template.offset) & free
        probs[slot] = mask.to(frame.dtype)
        free &= ~mask
    return ObjectMasks(ids, probs)


def _placed(template: Template, frame: Frame) -> Template:
    """Return the template at the shift that fits the frame best.

    Σ m (I − T)² = Σ m I² − 2 Σ m T I + Σ m T², each sum a correlation over all shifts at once.
    """
    if not template.mask.any():
        return template
    height, width = frame.shape[-2:]
    size = (2 * height, 2 * width)  # room for shifts to both sides

    def spectrum(picture: Tensor) -> Tensor:
        transformed: Tensor = torch.fft.rfft2(picture.float(), s=size)
        return transformed

    mask, inside = spectrum(template.mask), spectrum(torch.ones_like(template.mask))
    squared = spectrum(frame.square().sum(0)) * mask.conj()
    squared -= 2 * (spectrum(frame) * spectrum(template.pixels).conj()).sum(0)
    squared += inside * spectrum(template.pixels.square().sum(0)).conj()
    squares: Tensor = torch.fft.irfft2(squared, s=size)
    visible: Tensor = torch.fft.irfft2(inside * mask.conj(), s=size).round()
    difference = squares / visible.clamp(min=1)
    difference[visible < LEAST_VISIBLE * float(template.mask.sum())] = torch.inf
    reach = int(SEARCH_SHARE * max(height, width))
    row, column = template.offset
    rows = torch.arange(max(row - reach, 1 - height), min(row + reach, height - 1) + 1)
    columns = torch.arange(max(column - reach, 1 - width), min(column + reach, width - 1) + 1)
    window = difference[rows[:, None] % size[0], columns[None, :] % size[1]]
    best = int(window.argmin())
    if not torch.isfinite(window.flatten()[best]):
        return template
    offset = (int(rows[best // len(columns)]), int(columns[best % len(columns)]))
    return replace(template, offset=offset)


def _shifted(mask: Mask, offset: tuple[int, int]) -> Mask:
    """Shift a mask by (rows, columns), filling with background."""
    rows, columns = offset
    height, width = mask.shape
    moved = torch.zeros_like(mask)
    moved[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = mask[
        max(-rows, 0) : height - max(rows, 0), max(-columns, 0) : width - max(columns, 0)
    ]
    return moved


def _filled(box: Box, frame: Frame) -> Mask:
    height, width = frame.shape[-2:]
    mask = torch.zeros((height, width), dtype=torch.bool, device=frame.device)
    left, top = max(int(box.x), 0), max(int(box.y), 0)
    mask[top : int(box.y + box.height) + 1, left : int(box.x + box.width) + 1] = True
    return mask
