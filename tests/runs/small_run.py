"""A run of the stand-in method over twelve small frames, for tests of run folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from contract.coloured_video import frames, true_mask
from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.renames import as_tracked
from maskcast.core.types import Absent, Frame
from maskcast.runs.card import RunCard
from maskcast.runs.fingerprint import prompt_fingerprints
from maskcast.runs.folder import RunFolder
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest
from maskcast.runs.segmentation import Passes, SavePolicy, segment_into

COUNT = 12
VIDEO = frames(COUNT)
FIRST = {0: {1: true_mask(1, 0), 2: true_mask(2, 0)}}
CORRECTED = {**FIRST, 8: {1: true_mask(1, 7)}}
LATE = {5: {1: true_mask(1, 5)}, 8: {2: true_mask(2, 8)}}
"""Objects that a backward pass has to fill in."""
BOTH = {"direction": "both"}
EVERY_3 = SavePolicy(frames=3, seconds=1e9)


class RecordingTracker(ColourTracker):
    """Notes the index of every frame that it segments."""

    def __init__(self, steps: list[int]) -> None:
        super().__init__(ColourConfig(), torch.zeros(()))
        self._steps = steps

    def step(self, state: Any, frame: Frame, *prompts: Any) -> Any:
        self._steps += (index for index, one in enumerate(VIDEO) if one.equal(frame))
        return super().step(state, frame, *prompts)


def request(
    prompts: Any = FIRST, *, ends: Any = None, renames: Any = None, **changes: Any
) -> RunRequest:
    entries = {"method": "colours", "weights": "none", "weights_sha256": "0" * 64}
    entries |= {"input": "video", "input_sha256": "1" * 64}
    marks = prompt_fingerprints(prompts, ends or {}, renames or {})
    return RunRequest(**(entries | {"prompts": marks} | changes))


def frame_name(frame_index: int) -> str:
    return [f"{i:05d}" for i in range(COUNT)][frame_index]


def open_in(folder: Path, asked: RunRequest, *, count: int = COUNT, **how: Any) -> RunFolder:
    names = [frame_name(i) for i in range(count)]
    return open_run(folder, asked, frame_name=names.__getitem__, count=count, **how)


def run_into(
    folder: Path,
    prompts: Any = FIRST,
    *,
    ends: Any = None,
    renames: Any = None,
    settings: dict[str, Any] | None = None,
    count: int = COUNT,
    stop: int | None = None,
    policy: SavePolicy = EVERY_3,
    steps: list[int] | None = None,
    until: int | None = None,
    passes: Passes = ("frames", "backward"),
    **how: Any,
) -> RunCard:
    """Segment the video as the command does.

    Args:
        stop: the frame at which Ctrl-C is pressed.
        steps: gets the index of every frame that is segmented, in both passes.
        until, passes: of ``segment_into``.
        how: of ``open_run``: overwrite, edited.
    """
    settings = settings or {}
    asked = request(prompts, ends=ends, renames=renames, settings=settings)
    run = open_in(folder, asked, count=count, **how)
    tracker = RecordingTracker(steps if steps is not None else [])

    tracked, ended = as_tracked(
        renames or {}, prompts, ends or {}, is_absence=lambda prompt: isinstance(prompt, Absent)
    )

    def taken(numbers: Iterator[int]) -> Iterator[Frame]:
        for frame_index in numbers:
            if frame_index == stop:
                raise KeyboardInterrupt
            yield VIDEO[frame_index]

    return segment_into(
        run,
        tracker,
        lambda first: taken(iter(range(first, count))),
        tracked,
        ends=ended,
        frames_backward=(
            (lambda first: taken(iter(range(first, -1, -1))))
            if settings.get("direction") == "both"
            else None
        ),
        count=count,
        policy=policy,
        probabilities=bool(settings.get("probabilities")),
        until=until,
        passes=passes,
    )


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def states_in(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / ".states").glob("*.safetensors"))


def aside_in(folder: Path) -> list[str]:
    """The names of all label maps and states that are set aside."""
    return sorted(
        path.name
        for path in (folder / ".states" / "aside").glob("*/*")
        if path.suffix in (".png", ".safetensors")
    )
