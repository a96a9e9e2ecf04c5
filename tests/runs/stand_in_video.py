"""Requests of runs over the coloured video, and the segmenters that tests of runs use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from contract.coloured_video import frames, true_mask
from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.segmenter import BuiltSegmenter, SegmenterIdentity, VideoSegmenter
from maskcast.core.types import Box, ObjectMasks
from maskcast.io.label_maps import write_label_map
from maskcast.methods.box_start import BoxStart
from maskcast.runs.video_request import VideoRequest


class Built:
    """The stand-in, as a batch keeps it."""

    segmenter: VideoSegmenter[Any] = ColourTracker(ColourConfig(), torch.zeros(()))
    device = torch.device("cpu")

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        return SegmenterIdentity(
            method="colours",
            weights="none",
            weights_sha256="0" * 64,
            box_start="boxes" if uses_boxes else None,
            options={},
            dtype="float32",
        )


class Source(Built):
    """Counts how often a segmenter is built."""

    def __init__(self) -> None:
        self.built = 0

    def build(self, *, progress: object = None) -> BuiltSegmenter:
        self.built += 1
        return Built()


class Boxed(Built):
    """The stand-in, with boxes, from which another segmenter makes masks."""

    def __init__(self, box_segmenter: Any) -> None:
        tracker = ColourTracker(ColourConfig(), torch.zeros(()))
        self.segmenter = BoxStart(tracker, lambda: box_segmenter)


class WholeBoxes:
    """Takes a box for the mask of its object, or only a part of its width."""

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def start(self):
        return None

    def step(self, state, frame, prompts):
        probs = frame.new_zeros(len(prompts), *frame.shape[-2:])
        for slot, prompt in enumerate(prompts.values()):
            if isinstance(prompt, Box):
                x, y, width = int(prompt.x), int(prompt.y), int(self.share * prompt.width)
                probs[slot, y : y + int(prompt.height), x : x + width] = 1
            else:
                probs[slot] = prompt.float()
        return state, ObjectMasks(tuple(prompts), probs)

    def remove_objects(self, state, ids):
        return state


def request_in(
    folder: Path, *, count: int, ids: tuple[int, ...] = (1,), first: int = 0, **settings: Any
) -> VideoRequest:
    """Write the coloured video and a mask of its first frame; return the request to segment it.

    Args:
        folder: gets ``video``, ``first.png`` and, from the run, ``out``.
        count: number of frames.
        ids: the objects in the mask.
        first: number in the name of the first frame.
        settings: further fields of the request.
    """
    (folder / "video").mkdir()
    for number, frame in enumerate(frames(count), first):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "video" / f"{number:05d}.png")
    mask = sum(np.where(true_mask(i, 0).numpy(), i, 0) for i in ids)
    write_label_map(folder / "first.png", np.asarray(mask))
    return VideoRequest(
        video=folder / "video", masks=[folder / "first.png"], output=folder / "out", **settings
    )
