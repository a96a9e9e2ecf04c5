"""Segment a video into a run folder: read, compute and write at the same time; stop and go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from maskcast.core.errors import ConfigError, MaskcastError
from maskcast.core.overlap import InBackground
from maskcast.core.segmenter import Step, VideoSegmenter, segment_steps
from maskcast.core.types import Frame, Prompts
from maskcast.runs.card import RunCard, Status, TimeSplit
from maskcast.runs.folder import RunFolder

StepDone = Callable[[Step[Any]], None]


@dataclass(frozen=True, kw_only=True)
class SavePolicy:
    """How often the state is saved: an interruption costs at most this much work."""

    frames: int = 50
    """Frames between two states."""
    seconds: float = 5.0
    """Or seconds, if they are over earlier."""
    keep_every: int | None = None
    """Keep the states after every so many frames, beside the first and the last two."""

    def __post_init__(self) -> None:
        fewest = min(self.frames, 1 if self.keep_every is None else self.keep_every)
        if fewest < 1 or not self.seconds > 0:
            raise ConfigError(f"states are saved every 1 or more frames or seconds, got {self}")


def segment_into(
    run: RunFolder,
    segmenter: VideoSegmenter[Any],
    frames_from: Callable[[int], Iterable[Frame]],
    prompts: Mapping[int, Prompts],
    *,
    device: torch.device | str = "cpu",
    policy: SavePolicy | None = None,
    probabilities: bool = False,
    on_start: Callable[[int], None] | None = None,
    on_step: StepDone | None = None,
) -> RunCard:
    """Segment what the folder does not have yet, and return its run card.

    The result equals that of an unbroken run bit for bit on the processor with the same number
    of threads.

    Args:
        run: from ``open_run``.
        segmenter: built from what the run's request names.
        frames_from: gives the frames from an index on; ``FrameSource.frames`` does.
        prompts: by frame index.
        device: where saved states are put.
        policy: how often the state is saved.
        probabilities: write soft masks too.
        on_start: told the index of the first frame to be segmented.
        on_step: told about every segmented frame.

    Raises:
        MaskcastError: a frame, a prompt, or the disk; what was finished stays and can be resumed.
        KeyboardInterrupt: likewise, after the state was saved.
    """
    if run.card.status == "finished":
        return run.card
    resume = run.resume_point(type(segmenter.start()), device)
    run.update(
        status="running",
        note="",
        frames=resume.frame_index,
        resumed_from=resume.frame_index,
        device=str(device),
        threads=torch.get_num_threads(),
    )
    if on_start:
        on_start(resume.frame_index)
    steps = segment_steps(
        segmenter,
        frames_from(resume.frame_index),
        prompts,
        state=resume.state,
        first_frame=resume.frame_index,
    )
    _Session(run, policy or SavePolicy(), probabilities).work_through(steps, on_step)
    return run.card


class _Session:
    """From one start to one end of the process: what it wrote and how long it took."""

    def __init__(self, run: RunFolder, policy: SavePolicy, probabilities: bool) -> None:
        self._run = run
        self._policy = policy
        self._probabilities = probabilities
        self._began = time.perf_counter()
        self._before = run.card
        self._last: Step[Any] | None = None
        self._saved = run.card.frames - 1
        self._saved_at = self._began
        self._steps = 0
        self._decode = 0.0
        self._model = 0.0

    def work_through(self, steps: Iterable[Step[Any]], on_step: StepDone | None) -> None:
        background = InBackground()
        try:
            with background:
                try:
                    for step in steps:
                        self._take(step, background)
                        if on_step:
                            on_step(step)
                except BaseException:
                    self._save_last(background)
                    raise
        except KeyboardInterrupt as interrupt:
            self._end("interrupted", background)
            raise KeyboardInterrupt(
                f"stopped after {self._run.card.frames} frames; "
                "the same command again goes on from there"
            ) from interrupt
        except MaskcastError as error:
            self._end("stopped", background, note=str(error))
            raise
        self._end("finished", background)

    def _take(self, step: Step[Any], background: InBackground) -> None:
        self._last = step
        self._steps += 1
        self._decode += step.decode_seconds
        self._model += step.model_seconds
        self._write(step, background)
        first_objects = bool(step.masks.ids) and self._saved < 0 and not self._run.state_frames()
        since = time.perf_counter() - self._saved_at
        due = step.frame_index - self._saved >= self._policy.frames or since >= self._policy.seconds
        if first_objects or due:
            self._save(step, background)

    def _write(self, step: Step[Any], background: InBackground) -> None:
        background.do(
            partial(
                self._run.write_frame,
                step.frame_index,
                step.masks,
                probabilities=self._probabilities,
            )
        )

    def _save(self, step: Step[Any], background: InBackground) -> None:
        save = self._run.save_state
        keep = self._policy.keep_every
        background.do(partial(save, step.frame_index, step.state, keep_every=keep))
        background.do(partial(self._run.update, frames=step.frame_index + 1))
        self._saved, self._saved_at = step.frame_index, time.perf_counter()

    def _save_last(self, background: InBackground) -> None:
        """Make the last frame whole, whatever the interruption cut off, and keep its state."""
        if self._last is not None and self._saved < self._last.frame_index:
            self._write(self._last, background)
            self._save(self._last, background)

    def _end(self, status: Status, background: InBackground, note: str = "") -> None:
        frames = self._run.card.frames
        if self._last is not None and status == "finished":
            frames = self._last.frame_index + 1
        spent = TimeSplit(
            decode=self._decode,
            model=self._model,
            write=background.busy_seconds,
            total=time.perf_counter() - self._began,
        )
        self._run.update(
            status=status,
            note=note,
            frames=frames,
            steps=self._before.steps + self._steps,
            seconds=self._before.seconds.plus(spent),
        )
