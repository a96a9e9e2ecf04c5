"""Prompts on the first frames of objects: masks, tight boxes, or jittered boxes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from maskcast.core.boxes import published_box
from maskcast.core.errors import UsageError
from maskcast.core.types import Absent, Box, Mask, Prompts
from maskcast.data.dataset import Video

Init: TypeAlias = Literal["mask", "box"]
"""Prompts for the method: the given masks, or tight boxes around them."""


@dataclass(frozen=True)
class Start:
    """Kind of the prompts on the first frames of objects.

    Raises:
        UsageError: the jitter is out of range, or is set for masks.
    """

    init: Init = "mask"
    """Start from the given masks, or from tight boxes around them."""
    box_jitter: float = 0.0
    """Largest displacement of each side of a box, 0 to below 0.5, relative to its width (left and
    right) or height (top and bottom). The displacement is uniform and depends only on the name of
    the video, the id of the object and this value."""

    def __post_init__(self) -> None:
        if not 0 <= self.box_jitter < 0.5:
            raise UsageError(
                f"the jitter of boxes must be at least 0 and below 0.5, got {self.box_jitter}",
                options=("box_jitter",),
            )
        if self.box_jitter and self.init != "box":
            raise UsageError("only boxes can be jittered", options=("init", "box_jitter"))

    @property
    def request(self) -> dict[str, Any]:
        """Entries of ``evaluation.json``; the jitter only if it is not 0."""
        return {"init": self.init} | ({"box_jitter": self.box_jitter} if self.box_jitter else {})


FROM_MASKS = Start()
"""Start from the given masks."""


def given_prompts(video: Video, start: Start) -> dict[int, Prompts]:
    """Return the prompts of a video by frame index.

    Where given masks overlap (SA-V), the lower id wins.
    """
    prompts: dict[int, Prompts] = {}
    for frame_index, masks in video.given_masks().items():
        taken = np.zeros(video.size, np.bool_)
        here: dict[int, Mask | Box | Absent] = {}
        for object_id, mask in masks.items():
            if start.init == "box":
                box = published_box(mask)
                here[object_id] = _jittered(box, start.box_jitter, video, object_id)
            elif (visible := mask & ~taken).any():
                here[object_id] = torch.from_numpy(visible)
                taken |= visible
        prompts[frame_index] = here
    return prompts


def _jittered(box: Box, share: float, video: Video, object_id: int) -> Box:
    """Move the sides of a box, and keep it inside the frame and at least one pixel wide and high.

    The generator is seeded by video and object, so the order of videos does not matter.
    """
    if share == 0:
        return box
    height, width = video.size
    digest = blake2b(f"{video.name}/{object_id}".encode(), digest_size=8).digest()
    left, right, top, bottom = np.random.default_rng(list(digest)).uniform(-share, share, 4)
    x = float(np.clip(box.x + left * box.width, 0, width - 1))
    y = float(np.clip(box.y + top * box.height, 0, height - 1))
    x_end = float(np.clip(box.x + (1 + right) * box.width, x + 1, width))
    y_end = float(np.clip(box.y + (1 + bottom) * box.height, y + 1, height))
    return Box(x, y, x_end - x, y_end - y)
