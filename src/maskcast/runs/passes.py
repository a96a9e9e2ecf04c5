"""The two passes over a video: forward over all frames, backward to fill the earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from maskcast.core.marks import NO_ENDS
from maskcast.core.segmenter import Step
from maskcast.core.types import Absent, Box, Frame, Mask, ObjectMasks, Prompts
from maskcast.runs.folder import RunFolder
from maskcast.runs.states import SavedStates

State = TypeVar("State")

FramesFrom: TypeAlias = Callable[[int], Iterable[Frame]]
"""Returns the frames from an index on."""


@dataclass(frozen=True, kw_only=True)
class Pass(Generic[State]):
    """One pass over a video, in steps numbered from 0."""

    name: Literal["frames", "backward"]
    frames_from: FramesFrom
    """Returns the frames from a step on."""
    prompts: Mapping[int, Prompts]
    """Prompts by step number."""
    ends: Mapping[int, Collection[int]] = field(default_factory=lambda: NO_ENDS)
    """Ids of the objects that are removed before a step, by step number."""
    new_objects: Callable[[int, ObjectMasks], Prompts] | None = None
    """Returns the prompts of objects that begin by themselves; see ``segment_steps``."""
    count: int | None
    """Number of steps, if known."""
    states: SavedStates
    write: Callable[[Step[State]], None]
    begin: Callable[[int], None]
    """Called with the number of the first step that this session takes."""
    written: int
    """Number of steps, from the first on, that are on disk."""
    frame_of: Callable[[int], int]
    """Returns the frame index of a step."""
    counter: Literal["frames", "frames_backward"]
    """Entry of the run card that counts finished steps."""
    keeps_states: bool
    """Whether states are kept for later corrections."""


def forward_pass(
    run: RunFolder,
    frames_from: FramesFrom,
    prompts: Mapping[int, Prompts],
    ends: Mapping[int, Collection[int]],
    *,
    count: int | None,
    probabilities: bool,
    backward_follows: bool = False,
    new_objects: Callable[[int, ObjectMasks], Prompts] | None = None,
) -> Pass[Any]:
    """Return the pass over all frames.

    If a backward pass follows, it handles the absence marks before an object's first prompt.
    """
    if backward_follows:
        prompts = _without_early_absences(prompts)

    def write(step: Step[Any]) -> None:
        run.write_frame(
            step.frame_index,
            step.masks,
            probabilities=probabilities,
            begins_shot=step.begins_shot,
        )

    def clear_fills(first: int) -> None:
        """Clear the objects that the backward pass filled into frames to be written again."""
        filled = (entry for entry in run.log.by_frame().values() if entry.filled)
        run.clear_fills(e for e in filled if e.frame >= first and run.masks.has(e.frame))

    return Pass(
        name="frames",
        frames_from=frames_from,
        prompts=prompts,
        ends=ends,
        new_objects=new_objects,
        count=count,
        states=run.states,
        write=write,
        begin=clear_fills,
        written=run.finished_frames(run.log.by_frame(), run.frames_on_disk()),
        frame_of=lambda step: step,
        counter="frames",
        keeps_states=True,
    )


def backward_pass(
    run: RunFolder,
    frames_backward: FramesFrom,
    prompts: Mapping[int, Prompts],
    *,
    probabilities: bool,
) -> Pass[Any] | None:
    """Return the pass that follows each object backwards from the frame of its first prompt.

    It visits frames in descending order. The result is None if no object begins after frame 0, or
    if the pass has finished already.
    """
    first = _first_prompts(prompts)
    last = max(first.values(), default=0)
    logged = run.log.by_frame()
    written = run.filled_steps(logged, run.steps_on_disk_backward(), last=last)
    if written > last:
        return None

    def write(step: Step[Any]) -> None:
        frame_index = last - step.frame_index
        later = {object_id for object_id, first_frame in first.items() if first_frame > frame_index}
        if later:
            before = logged.get(frame_index)
            run.fill_frame(frame_index, step.masks, later, before, probabilities=probabilities)

    by_step: dict[int, Prompts] = {}
    for frame_index in sorted(prompts, reverse=True):
        here = prompts[frame_index].items()
        begun = {i: prompt for i, prompt in here if first.get(i) == frame_index > 0}
        early = {i: prompt for i, prompt in here if _is_early(i, prompt, frame_index, first)}
        if begun or early:
            by_step[last - frame_index] = {**begun, **early}
    return Pass(
        name="backward",
        frames_from=lambda step: frames_backward(last - step),
        prompts=by_step,
        count=last + 1,
        states=run.states_backward,
        write=write,
        begin=lambda _: None,
        written=written,
        frame_of=lambda step: last - step,
        counter="frames_backward",
        keeps_states=False,
    )


def _first_prompts(prompts: Mapping[int, Prompts]) -> dict[int, int]:
    """Return the frame of the first mask or box of every object."""
    first: dict[int, int] = {}
    for frame_index in sorted(prompts, reverse=True):
        frame_prompts = prompts[frame_index].items()
        first.update(
            (i, frame_index) for i, prompt in frame_prompts if not isinstance(prompt, Absent)
        )
    return first


def _is_early(
    object_id: int, prompt: Mask | Box | Absent, frame_index: int, first: Mapping[int, int]
) -> bool:
    """Return whether a prompt marks an object absent before its first mask or box."""
    return isinstance(prompt, Absent) and frame_index < first.get(object_id, 0)


def _without_early_absences(prompts: Mapping[int, Prompts]) -> dict[int, Prompts]:
    first = _first_prompts(prompts)
    return {
        frame_index: {
            i: p for i, p in frame_prompts.items() if not _is_early(i, p, frame_index, first)
        }
        for frame_index, frame_prompts in prompts.items()
    }
