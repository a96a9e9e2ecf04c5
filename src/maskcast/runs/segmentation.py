"""Segment a video into a run folder: read, compute and write at the same time; stop and go on.

The forward pass goes over all frames. A backward pass may follow: it goes from the last of the
objects' first prompts down to frame 0, and fills only the frames before an object's first prompt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import torch

from maskcast.core.device import name_of
from maskcast.core.errors import ConfigError, MaskcastError
from maskcast.core.overlap import InBackground
from maskcast.core.progress import Progress
from maskcast.core.segmenter import Step, VideoSegmenter, segment_steps
from maskcast.core.types import Frame, Prompts
from maskcast.runs.card import RunCard, Status, TimeSplit
from maskcast.runs.folder import RunFolder
from maskcast.runs.states import SavedStates

State = TypeVar("State")

logger = logging.getLogger(__name__)

FramesFrom: TypeAlias = Callable[[int], Iterable[Frame]]
"""Gives frames from an index on."""


@dataclass(frozen=True, kw_only=True)
class SavePolicy:
    """How often the state is saved: an interruption costs at most this much work."""

    frames: int = 50
    """Frames between two states."""
    seconds: float = 5.0
    """Or seconds, if they are over earlier."""
    keep_every: int | None = None
    """Save and keep the states after every so many frames, beside the first and the last two."""

    def __post_init__(self) -> None:
        fewest = min(self.frames, 1 if self.keep_every is None else self.keep_every)
        if fewest < 1 or not self.seconds > 0:
            raise ConfigError(
                "states are saved every 1 or more frames, after more than 0 seconds, and kept "
                f"every 1 or more frames; got {self.frames}, {self.seconds:g} and {self.keep_every}"
            )


@dataclass(frozen=True, kw_only=True)
class _Pass(Generic[State]):
    """One way over a video, in steps numbered from 0."""

    name: Literal["frames", "backward"]
    frames_from: FramesFrom
    """By step number."""
    prompts: Mapping[int, Prompts]
    """By step number."""
    count: int | None
    states: SavedStates
    write: Callable[[Step[State]], None]
    written: Callable[[], int]
    """How many steps, from the first on, are written."""
    frame_of: Callable[[int], int]
    """Frame index of a step."""
    counter: Literal["frames", "frames_backward"]
    """Entry of the run card that counts finished steps."""


def segment_into(
    run: RunFolder,
    segmenter: VideoSegmenter[Any],
    frames_from: FramesFrom,
    prompts: Mapping[int, Prompts],
    *,
    frames_backward: FramesFrom | None = None,
    count: int | None = None,
    device: torch.device | str = "cpu",
    policy: SavePolicy | None = None,
    probabilities: bool = False,
    progress: Progress | None = None,
) -> RunCard:
    """Segment what the folder does not have yet, and return its run card.

    The result equals that of an unbroken run bit for bit on the processor with the same number
    of threads.

    Args:
        run: from ``open_run``.
        segmenter: built from what the run's request names.
        frames_from: ``FrameSource.frames``, or any other source that can begin at an index.
        prompts: by frame index.
        frames_backward: ``FrameSource.frames_backward``: from an index down to 0. If given, a
            backward pass fills the frames before objects' first prompts.
        count: number of frames, if known, for ``progress``.
        device: where saved states are put.
        policy: how often the state is saved.
        probabilities: write soft masks too.
        progress: called after every segmented frame.

    Raises:
        MaskcastError: a frame, a prompt, or the disk; what was finished stays and can be resumed.
        KeyboardInterrupt: likewise, after the state was saved.
    """
    if run.card.forward_finished and (painted := run.painted()) < run.card.frames:
        logger.warning("%s is gone: all from there on is made anew", run.masks.path(painted))
        run.forget_from(painted, run.card.request)
    if run.card.status == "finished":
        return run.card
    session = _Session(run, segmenter, policy or SavePolicy(), device, progress)
    with session:
        if not run.card.forward_finished:
            session.work_through(_forward(run, frames_from, prompts, count, probabilities))
            run.update(forward_finished=True)
        backward = _backward(run, frames_backward, prompts, probabilities)
        if backward is not None:
            session.work_through(backward)
    return run.card


def _forward(
    run: RunFolder,
    frames_from: FramesFrom,
    prompts: Mapping[int, Prompts],
    count: int | None,
    probabilities: bool,
) -> _Pass[Any]:
    def write(step: Step[Any]) -> None:
        run.write_frame(step.frame_index, step.masks, probabilities=probabilities)

    return _Pass(
        name="frames",
        frames_from=frames_from,
        prompts=prompts,
        count=count,
        states=run.states,
        write=write,
        written=run.painted,
        frame_of=lambda step: step,
        counter="frames",
    )


def _backward(
    run: RunFolder,
    frames_backward: FramesFrom | None,
    prompts: Mapping[int, Prompts],
    probabilities: bool,
) -> _Pass[Any] | None:
    """Begin each object on the frame of its first prompt, in falling order of frames."""
    first: dict[int, int] = {}
    for frame_index in sorted(prompts, reverse=True):
        first.update(dict.fromkeys(prompts[frame_index], frame_index))
    last = max(first.values(), default=0)
    if frames_backward is None or last == 0:
        return None

    found = run.found_objects()

    def write(step: Step[Any]) -> None:
        frame_index = last - step.frame_index
        later = {object_id for object_id, given in first.items() if given > frame_index}
        known = found.get(frame_index, {})
        others = {i: known[i] for i in known if i not in later}
        if later:
            run.fill_frame(frame_index, step.masks, later, others, probabilities=probabilities)

    begun = {
        last - frame_index: {
            i: p for i, p in prompts[frame_index].items() if first[i] == frame_index
        }
        for frame_index in sorted(set(first.values()), reverse=True)
        if frame_index > 0
    }
    return _Pass(
        name="backward",
        frames_from=lambda step: frames_backward(last - step),
        prompts=begun,
        count=last + 1,
        states=run.states_backward,
        write=write,
        written=lambda: last + 1,
        frame_of=lambda step: last - step,
        counter="frames_backward",
    )


class _Session:
    """From one start to one end of the process: keeps the run card true whatever happens."""

    def __init__(
        self,
        run: RunFolder,
        segmenter: VideoSegmenter[Any],
        policy: SavePolicy,
        device: torch.device | str,
        progress: Progress | None,
    ) -> None:
        self._run = run
        self._segmenter = segmenter
        self._policy = policy
        self._device = device
        self._progress = progress
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
            self._end("finished")
        elif isinstance(error, KeyboardInterrupt):
            self._end("interrupted")
            raise KeyboardInterrupt(
                f"stopped after {self._run.card.frames} frames; "
                "the same command again goes on from there"
            ) from error
        elif isinstance(error, MaskcastError):
            self._end("stopped", note=str(error))

    def work_through(self, way: _Pass[Any]) -> None:
        """Take every step of a pass that is not yet done."""
        newest = way.states.newest(
            type(self._segmenter.start()), before=way.written(), device=self._device
        )
        first, state = (newest[0] + 1, newest[1]) if newest else (0, None)
        self._run.update(**{way.counter: first})
        if way.name == "frames" or self._before.forward_finished:
            self._run.update(resumed_from=way.frame_of(first))
        steps = segment_steps(
            self._segmenter, way.frames_from(first), way.prompts, state=state, first_frame=first
        )
        background = InBackground()
        keeper = _Keeper(self._run, way, self._policy, background, saved=first - 1)
        try:
            with background:
                try:
                    for step in steps:
                        keeper.take(step)
                        self._count(step)
                        if self._progress:
                            self._progress(way.name, step.frame_index + 1, way.count)
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


class _Keeper:
    """Hands what a pass finds to the writer, and the state whenever it is due."""

    def __init__(
        self,
        run: RunFolder,
        way: _Pass[Any],
        policy: SavePolicy,
        background: InBackground,
        *,
        saved: int,
    ) -> None:
        self.last: Step[Any] | None = None
        self._run = run
        self._way = way
        self._policy = policy
        self._background = background
        self._saved = saved
        self._saved_at = time.perf_counter()

    def take(self, step: Step[Any]) -> None:
        """Write a step; save the state at the first objects, and when time or frames are up."""
        self.last = step
        self._background.do(partial(self._way.write, step))
        begun = bool(step.masks.ids) and self._saved < 0 and not self._way.states.numbers()
        late = time.perf_counter() - self._saved_at >= self._policy.seconds
        due = late or step.frame_index - self._saved >= self._policy.frames
        every = self._policy.keep_every
        if begun or due or (every is not None and step.frame_index % every == 0):
            self._save(step)

    def save_last(self) -> None:
        """Make the last step whole, whatever the interruption cut off, and keep its state."""
        if self.last is not None and self._saved < self.last.frame_index:
            self._background.do(partial(self._way.write, self.last))
            self._save(self.last)

    def _save(self, step: Step[Any]) -> None:
        number, keep_every = step.frame_index, self._policy.keep_every
        self._background.do(self._run.flush)
        save = partial(self._way.states.save, number, step.state, keep_every=keep_every)
        self._background.do(save)
        self._background.do(partial(self._run.update, **{self._way.counter: number + 1}))
        self._saved, self._saved_at = number, time.perf_counter()
