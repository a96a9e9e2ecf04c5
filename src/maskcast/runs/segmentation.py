"""Segment a video into a run folder. Reading, computing and writing overlap; a run can be resumed.

The forward pass goes over all frames. A backward pass may follow. It starts at the frame on which
the last object begins, goes down to frame 0, and fills only frames before an object's first prompt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeAlias

import torch

from maskcast.core.device import name_of
from maskcast.core.errors import ConfigError, MaskcastError
from maskcast.core.marks import NO_ENDS
from maskcast.core.numbers import counted
from maskcast.core.overlap import InBackground
from maskcast.core.progress import Progress
from maskcast.core.segmenter import Step, VideoSegmenter, segment_steps
from maskcast.core.transfers import own_stream
from maskcast.core.types import Frame, ObjectMasks, Prompts
from maskcast.io.video.shot_cuts import CutDetector
from maskcast.runs.card import RunCard, Status, TimeSplit
from maskcast.runs.folder import RunFolder
from maskcast.runs.passes import FramesFrom, Pass, backward_pass, forward_pass

Passes: TypeAlias = Collection[Literal["frames", "backward"]]
"""The passes over a video that a call takes."""


Resumes: TypeAlias = Callable[[Literal["frames", "backward"], int, int], None]
"""Gets the name of a pass, its first frame in this session, and the first frame that it lacks."""


@dataclass(frozen=True, kw_only=True)
class SavePolicy:
    """How often states are saved, which limits the work repeated after an interruption.

    A state is saved when ``frames`` frames or ``seconds`` seconds have passed since the last one.
    """

    frames: int = 50
    """Largest number of frames between two saved states; at least 1."""
    seconds: float = 5.0
    """Largest time between two saved states in seconds; greater than 0."""
    keep_every: int = 25
    """Number of frames between the states kept for later corrections; 0 keeps only the first and
    the last two."""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(
                f"save_frames must be at least 1, got {self.frames}",
                options=("save_frames",),
            )
        if not self.seconds > 0:
            raise ConfigError(
                f"save_seconds must be greater than 0, got {self.seconds:g}",
                options=("save_seconds",),
            )
        if self.keep_every < 0:
            raise ConfigError(
                f"keep_every must be at least 0, got {self.keep_every}",
                options=("keep_every",),
            )


def segment_into(
    run: RunFolder,
    segmenter: VideoSegmenter[Any],
    frames_from: FramesFrom,
    prompts: Mapping[int, Prompts],
    *,
    ends: Mapping[int, Collection[int]] = NO_ENDS,
    frames_backward: FramesFrom | None = None,
    count: int | None = None,
    device: torch.device | str = "cpu",
    policy: SavePolicy | None = None,
    probabilities: bool = False,
    until: int | None = None,
    passes: Passes = ("frames", "backward"),
    new_objects: Callable[[int, ObjectMasks], Prompts] | None = None,
    progress: Progress | None = None,
    resumes: Resumes | None = None,
) -> RunCard:
    """Segment the frames that the folder lacks, and return its run card.

    On a CPU with the same number of threads, the result of a resumed run is bit-identical to that
    of an uninterrupted run.

    Args:
        run: a run folder from ``open_run``.
        segmenter: built from the method, weights and options of the run's request.
        frames_from: ``FrameSource.frames``, or any other function that returns the frames from an
            index on.
        prompts: prompts by frame index.
        ends: ids of the objects that are removed before a frame, by frame index.
        frames_backward: ``FrameSource.frames_backward``, which returns the frames from an index
            down to 0. If given, a backward pass fills the frames before each object's first prompt.
        count: number of frames, if known, for ``progress``.
        device: device on which saved states are loaded.
        policy: how often states are saved.
        probabilities: write soft masks too.
        until: frame before which the forward pass pauses; its state is saved. The status of a run
            that is not complete is ``interrupted``.
        passes: which passes are taken now. A backward pass needs the frames up to the last of the
            objects' first prompts, and no later ones.
        new_objects: begins objects by itself in the forward pass; see ``segment_steps``.
        progress: called after every segmented frame.
        resumes: called before a pass of which some frames are finished.

    Raises:
        MaskcastError: a frame or prompt is invalid, or a file cannot be written; finished frames
            stay, and the run can be resumed.
        KeyboardInterrupt: the user interrupted; the state was saved.
    """
    if run.card.status == "finished":
        return run.card
    session = _Session(
        run, segmenter, policy or SavePolicy(), device, progress=progress, resumes=resumes
    )
    pauses = until is not None and (count is None or until < count)
    with session:
        if "frames" in passes and not run.card.forward_finished:
            session.work_through(
                forward_pass(
                    run,
                    frames_from,
                    prompts,
                    ends,
                    count=count,
                    probabilities=probabilities,
                    backward_follows=frames_backward is not None,
                    new_objects=new_objects,
                ),
                until=until if pauses else None,
            )
            if not pauses:
                run.update(forward_finished=True)
        if frames_backward is not None and "backward" in passes:
            backward = backward_pass(run, frames_backward, prompts, probabilities=probabilities)
            if backward is not None:
                session.work_through(backward)
        session.is_complete = run.card.forward_finished and (
            not run.card.request.goes_backward or "backward" in passes
        )
        if session.is_complete:
            run.masks.finish()
    return run.card


class _Session:
    """One session of a run; it keeps the run card up to date, also after errors."""

    def __init__(
        self,
        run: RunFolder,
        segmenter: VideoSegmenter[Any],
        policy: SavePolicy,
        device: torch.device | str,
        *,
        progress: Progress | None,
        resumes: Resumes | None,
    ) -> None:
        self._run = run
        self._segmenter = segmenter
        self._policy = policy
        self._device = device
        self._progress = progress
        self._resumes = resumes
        self.is_complete = False
        self._began = time.perf_counter()
        self._before = run.card
        self._steps = 0
        self._spent = TimeSplit()

    def __enter__(self) -> None:
        self._run.update(
            status="running",
            note="",
            device=name_of(torch.device(self._device)),
            threads=torch.get_num_threads(),
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        if error is None:
            self._end("finished" if self.is_complete else "interrupted")
        elif isinstance(error, KeyboardInterrupt):
            self._end("interrupted")
            raise KeyboardInterrupt(
                f"stopped after {counted(self._run.card.frames, 'frame')}; run again to continue "
                "from there"
            ) from error
        elif isinstance(error, MaskcastError):
            self._end("stopped", note=str(error))

    def work_through(self, way: Pass[Any], *, until: int | None = None) -> None:
        """Take all remaining steps of a pass, or those before ``until``."""
        if until is not None and way.written >= until:
            return
        newest = way.states.newest(
            type(self._segmenter.start()), before=way.written, device=self._device
        )
        first, state = (newest[0] + 1, newest[1]) if newest else (0, None)
        self._run.update(**{way.counter: first})
        if way.name == "frames" or self._before.forward_finished:
            self._run.update(resumed_from=way.frame_of(first))
        if self._resumes is not None and way.written > 0:
            self._resumes(way.name, way.frame_of(first), way.frame_of(way.written))
        way.begin(first)
        detector = CutDetector()
        steps = segment_steps(
            self._segmenter,
            _up_to(_frames_from(way, first, detector), None if until is None else until - first),
            way.prompts,
            ends=way.ends,
            state=state,
            first_frame=first,
            begins_shot=detector.begins_shot,
            new_objects=way.new_objects,
        )
        background = InBackground(within=partial(own_stream, self._device))
        keeper = _Keeper(self._run, way, self._policy, background, saved=first - 1)
        try:
            with background:
                try:
                    for step in steps:
                        keeper.take(step)
                        self._count(step)
                        if self._progress:
                            self._progress(way.name, step.frame_index + 1, until or way.count)
                    if until is not None:
                        keeper.save_last()
                except BaseException:
                    keeper.save_last()
                    raise
        finally:
            self._spent = self._spent.plus(TimeSplit(write=background.busy_seconds))
        if keeper.last is not None:
            self._run.flush()
            self._run.update(**{way.counter: keeper.last.frame_index + 1})

    def _count(self, step: Step[Any]) -> None:
        self._steps += 1
        self._spent = replace(
            self._spent,
            decode=self._spent.decode + step.decode_seconds,
            model=self._spent.model + step.model_seconds,
        )

    def _end(self, status: Status, note: str = "") -> None:
        spent = replace(self._spent, total=time.perf_counter() - self._began)
        self._run.update(
            status=status,
            note=note,
            steps=self._before.steps + self._steps,
            seconds=self._before.seconds.plus(spent),
        )


def _frames_from(way: Pass[Any], first: int, detector: CutDetector) -> Iterator[Frame]:
    """Return the frames from a step on; the detector sees the one before, as in an unbroken run."""
    frames = iter(way.frames_from(max(first - 1, 0)))
    if first > 0:
        for frame in islice(frames, 1):
            detector.begins_shot(frame)
    return frames


def _up_to(frames: Iterable[Frame], count: int | None) -> Iterable[Frame]:
    return frames if count is None else islice(frames, max(count, 0))


class _Keeper:
    """Passes the results of a pass to the background writer, and the state when it is due."""

    def __init__(
        self,
        run: RunFolder,
        way: Pass[Any],
        policy: SavePolicy,
        background: InBackground,
        *,
        saved: int,
    ) -> None:
        self.last: Step[Any] | None = None
        self._run = run
        self._way = way
        self._policy = policy
        self._every = policy.keep_every if way.keeps_states else 0
        self._background = background
        self._saved = saved
        self._saved_at = time.perf_counter()

    def take(self, step: Step[Any]) -> None:
        """Write a step; save the state at the first objects and as often as the policy says."""
        self.last = step
        self._background.do(partial(self._way.write, step))
        begun = bool(step.masks.ids) and self._saved < 0 and not self._way.states.numbers()
        late = time.perf_counter() - self._saved_at >= self._policy.seconds
        due = late or step.frame_index - self._saved >= self._policy.frames
        kept = bool(step.masks.ids) and self._way.states.is_due(step.frame_index, self._every)
        if begun or due or kept:
            self._save(step)

    def save_last(self) -> None:
        """Write the last step again, in case it was interrupted, and save its state."""
        if self.last is not None and self._saved < self.last.frame_index:
            self._background.do(partial(self._way.write, self.last))
            self._save(self.last)

    def _save(self, step: Step[Any]) -> None:
        number = step.frame_index
        self._background.do(self._run.flush)
        save = partial(self._way.states.save, number, step.state, keep_every=self._every)
        self._background.do(save)
        self._background.do(partial(self._run.update, **{self._way.counter: number + 1}))
        self._saved, self._saved_at = number, time.perf_counter()
