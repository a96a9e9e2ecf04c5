"""One run folder in the model worker, for tracking and exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Integer

from maskcast.core.arrays import LabelArray
from maskcast.core.device import make_deterministic
from maskcast.core.errors import PromptError, RunConflictError, UsageError
from maskcast.core.files import alone_in
from maskcast.core.progress import Progress
from maskcast.core.renames import as_tracked
from maskcast.core.segmenter import SegmenterIdentity
from maskcast.core.types import ABSENT, Absent, Box, Prompts
from maskcast.io.prompts.reading import GivenPrompts, read_prompts
from maskcast.io.video.source import open_frames
from maskcast.methods.spec import SegmenterSpec, SpecifiedSegmenter
from maskcast.runs.card import RunCard, read_card
from maskcast.runs.exports import export
from maskcast.runs.fingerprint import (
    ABSENT_MARK,
    END_MARK,
    RENAME_MARK,
    fingerprint,
    prompt_fingerprints,
)
from maskcast.runs.folder import RunFolder
from maskcast.runs.masks import FoundObject, MaskStore
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest, differences
from maskcast.runs.segmentation import Passes, segment_into
from maskcast.web.layout import MASKS
from maskcast.web.mask_files import MaskFiles
from maskcast.web.messages import Made, MakeExports, MakeMask, OpenRun, Stepped, Track


class ModelRun:
    """A video, its run folder, and the segmenter, which is built when it is first needed."""

    def __init__(self, asked: OpenRun) -> None:
        """Continue the run in the folder, or start one.

        Raises:
            UsageError, DataError: weights or video cannot be used.
            RunConflictError: the folder holds a different run, or other files.
        """
        self._path = Path(asked.run)
        card = read_card(self._path)
        settings = {} if card is None else card.request.settings
        video, chosen = asked.video, asked.segmenter
        self._holds = video.on_bad_frame == "hold"
        if chosen.threads is not None:
            torch.set_num_threads(chosen.threads)
        if settings.get("deterministic"):
            make_deterministic()
        self._frames = open_frames(
            Path(video.path), start=video.start, end=video.end, on_bad_frame=video.on_bad_frame
        )
        self._spec = SegmenterSpec(
            weights=chosen.weights,
            method=chosen.method,
            options=dict(chosen.options),
            device=chosen.device,
            dtype=settings.get("dtype", "float32"),
        )
        self._masks = MaskFiles(self._path / MASKS, self._frames.size)
        self._built: SpecifiedSegmenter | None = None
        self._base = self._request_of(asked, card)
        if card is None:
            with alone_in(self._path):
                self._open(self._base)
        else:
            self._check(card)

    def make_mask(self, asked: MakeMask) -> Made:
        """Return the mask that the method finds in a box."""
        picture = self._frames.picture(asked.frame)
        frame = torch.from_numpy(picture).permute(2, 0, 1).float().div_(255)
        segmenter = self._segmenter().segmenter
        _, masks = segmenter.step(segmenter.start(), frame, {1: Box(*asked.box)})
        mask = (masks.label_map() == 1).cpu().numpy()
        if not mask.any():
            raise PromptError("no object was found in the box; paint it instead")
        return Made(bits=np.packbits(mask).tobytes())

    def read_masks(self, path: str) -> GivenPrompts:
        """Read marks as ``--masks`` does."""
        frames = self._frames
        return read_prompts([path], names=frames.names, size=frames.size, first=frames.first)

    def take_up(self, marks: Mapping[str, str]) -> None:
        """Restore results that match these marks, and set aside those that do not."""
        with alone_in(self._path):
            self._open(self._request(marks))

    def track(
        self,
        asked: Track,
        *,
        progress: Progress,
        taken_up: Callable[[], None],
        written: Callable[[Stepped], None],
    ) -> None:
        """Compute masks, in one direction or in both.

        Args:
            asked: the request.
            progress: called after every frame.
            taken_up: called when the folder contains only results that match these marks.
            written: called after each frame that was written.
        """
        request = self._request(asked.marks, backward=asked.direction != "forward")
        if not request.first_prompts():
            raise UsageError("no objects to track; mark one first")
        with alone_in(self._path):
            run = self._open(request)
            taken_up()
            prompts, ends = self._prompts(request, run)
            reporting = _Reporting(run, written)
            run.masks = reporting
            for passes, until in _plan(asked, request):
                reporting.fills = "backward" in passes
                self._segment(run, prompts, ends, passes=passes, until=until, progress=progress)

    def export(self, asked: MakeExports, *, progress: Progress) -> tuple[str, ...]:
        """Make exports from finished masks, and return their names."""
        card = read_card(self._path)
        if card is None:
            raise UsageError("there are no masks to export")
        with alone_in(self._path):
            run = self._open(card.request)
            made = export(run, self._frames, asked.wanted, span=asked.span, progress=progress)
        return tuple(path.name for path in made)

    def _segment(
        self,
        run: RunFolder,
        prompts: Mapping[int, Prompts],
        ends: Mapping[int, frozenset[int]],
        *,
        passes: Passes,
        until: int | None,
        progress: Progress,
    ) -> None:
        frames, backward = self._frames, run.card.request.goes_backward
        built = self._segmenter(progress)
        segment_into(
            run,
            built.segmenter,
            frames.frames,
            prompts,
            ends=ends,
            frames_backward=frames.frames_backward if backward else None,
            count=frames.count,
            device=built.device,
            until=until,
            passes=passes,
            probabilities=bool(run.card.request.settings.get("probabilities")),
            progress=progress,
        )

    def _segmenter(self, progress: Progress | None = None) -> SpecifiedSegmenter:
        if self._built is None:
            self._built = self._spec.build(progress=progress)
        return self._built

    def _open(self, request: RunRequest) -> RunFolder:
        names = self._frames.names
        return open_run(
            self._path,
            request,
            frame_name=names.__getitem__,
            count=self._frames.count,
            edited=True,
        )

    def _request_of(self, asked: OpenRun, card: RunCard | None) -> RunRequest:
        """Return the request without prompts."""
        if card is not None:
            return replace(card.request, prompts={})
        identity = self._identity(uses_boxes=False)
        settings: dict[str, Any] = {
            "start": asked.video.start,
            "end": asked.video.end,
            "direction": "forward",
            "dtype": identity.dtype,
            "on_bad_frame": asked.video.on_bad_frame,
            "deterministic": False,
        }
        return RunRequest(
            method=identity.method,
            weights=identity.weights or "",
            weights_sha256=identity.weights_sha256 or "",
            options=dict(identity.options),
            settings=settings,
            input=asked.video.path,
            input_sha256=fingerprint(Path(asked.video.path)),
        )

    def _request(self, marks: Mapping[str, str], *, backward: bool = False) -> RunRequest:
        """Return the request with these marks; a backward pass is kept once it was requested."""
        card = read_card(self._path)
        base = self._base if card is None else card.request
        settings = base.settings | ({"direction": "both"} if backward else {})
        if self._holds:
            settings["on_bad_frame"] = "hold"
        uses_boxes = any(value.startswith("box ") for value in marks.values())
        box_start = self._identity(uses_boxes=True).box_start if uses_boxes else None
        return replace(base, settings=settings, box_start=box_start, prompts=dict(marks))

    def _check(self, card: RunCard) -> None:
        """Reject a run with different weights or a different method."""
        identity = self._identity(uses_boxes=False)
        now = replace(
            card.request,
            method=identity.method,
            weights=identity.weights or "",
            weights_sha256=identity.weights_sha256 or "",
            options=dict(identity.options),
        )
        if problems := list(differences(card.request, now, edited=True)):
            raise RunConflictError(f"{self._path} contains a different run", details=problems)

    def _identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        return self._spec.identity(uses_boxes=uses_boxes)

    def _prompts(
        self, request: RunRequest, run: RunFolder
    ) -> tuple[dict[int, dict[int, Any]], dict[int, frozenset[int]]]:
        """Return the marks of a request as prompts and ends, by frame, with tracked ids.

        Raises:
            PromptError: a required mask is missing.
        """
        prompts: dict[int, dict[int, Any]] = {}
        ends: dict[int, frozenset[int]] = {}
        resumed = _resumed_at(run)
        for frame, object_id, value in request.marks():
            if value == END_MARK:
                ends[frame] = ends.get(frame, frozenset()) | {object_id}
            elif value.startswith(RENAME_MARK):
                continue
            elif (prompt := self._prompt(value)) is not None:
                prompts.setdefault(frame, {})[object_id] = prompt
            elif frame >= resumed or request.goes_backward:
                raise PromptError(
                    f"the mask of object {object_id} on frame {frame} is not in the run folder; "
                    "mark the object there again"
                )
        return as_tracked(
            request.renames(), prompts, ends, is_absence=lambda mark: isinstance(mark, Absent)
        )

    def _prompt(self, value: str) -> torch.Tensor | Box | Absent | None:
        if value == ABSENT_MARK:
            return ABSENT
        if value.startswith("box "):
            return Box(*(float(number) for number in value[4:].split(",")))
        mask = self._masks.get(value)
        return None if mask is None else torch.from_numpy(mask)


class _Reporting:
    """A ``MaskStore`` that reports which frames were written."""

    def __init__(self, run: RunFolder, written: Callable[[Stepped], None]) -> None:
        self.fills = False
        self._run, self._masks, self._written = run, run.masks, written

    def path(self, frame_index: int) -> Path:
        return self._masks.path(frame_index)

    def has(self, frame_index: int) -> bool:
        return self._masks.has(frame_index)

    def read(self, frame_index: int) -> LabelArray:
        return self._masks.read(frame_index)

    def write(
        self,
        frame_index: int,
        label_map: Integer[np.ndarray, "height width"],
        objects: Mapping[int, FoundObject],
    ) -> None:
        self._masks.write(frame_index, label_map, objects)
        identity = self._run.identity
        step = Stepped(
            frame=frame_index,
            digest=identity.of_frame(frame_index),
            backward=identity.backward if self.fills else None,
            objects=dict(objects),
        )
        self._written(step)

    def copy_to(
        self, other: MaskStore, frame_index: int, objects: Mapping[int, FoundObject]
    ) -> None:
        self._masks.copy_to(other, frame_index, objects)

    def remove(self, frame_index: int) -> None:
        self._masks.remove(frame_index)

    def flush(self) -> None:
        self._masks.flush()

    def finish(self) -> None:
        self._masks.finish()


def mark_of(prompt: Box | Absent) -> str:
    """Return the value of a box or an absence on a run card."""
    return prompt_fingerprints({0: {1: prompt}})["0:1"]


def _plan(asked: Track, request: RunRequest) -> list[tuple[Passes, int | None]]:
    """Return the passes to run, and the frame at which the forward pass pauses."""
    forward: tuple[Literal["frames"]] = ("frames",)
    backward: tuple[Literal["backward"]] = ("backward",)
    last = request.last_first_prompt + 1
    if asked.direction == "forward":
        fills = request.goes_backward and asked.until is None
        return [(forward, asked.until), *([(backward, None)] if fills else [])]
    until = last if asked.direction == "backward" else asked.until
    if until is not None:
        until = max(until, last)
    return [(forward, until), (backward, None)]


def _resumed_at(run: RunFolder) -> int:
    """Return the frame from which a run continues."""
    written = run.finished_frames(run.log.by_frame(), run.frames_on_disk())
    states = (n for n in run.states.numbers() if n < written and run.states.is_valid(n))
    return max(states, default=-1) + 1
