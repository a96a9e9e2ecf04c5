"""The protocols through which other packages use a method, and the only loop over frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from maskcast.core.device_memory import is_out_of_memory
from maskcast.core.errors import DeviceMemoryError, FrameError, PromptError, UsageError
from maskcast.core.input_checks import (
    check_absences,
    check_frame,
    check_frame_indices,
    check_range,
    checked_prompts,
    kind_of,
    size_of,
)
from maskcast.core.marks import NO_ENDS
from maskcast.core.overlap import read_ahead
from maskcast.core.progress import Progress
from maskcast.core.transfers import FrameUploads
from maskcast.core.types import NO_PROMPTS, Frame, ObjectMasks, Prompts

State = TypeVar("State")


@runtime_checkable
class VideoSegmenter(Protocol[State]):
    """Segments objects through a video. Holds weights and options, but no data of any video."""

    def start(self) -> State:
        """Return the state before any frame, without objects."""
        ...

    def step(
        self, state: State, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[State, ObjectMasks]:
        """Segment the next frame.

        A prompt for an unknown id starts that object on this frame. A prompt for a known id is a
        correction, which counts as ground truth from then on. The given state stays valid: to
        correct a frame that is already segmented, step again from the state before it.

        Args:
            state: the state that ``start`` or the previous step returned.
            frame: RGB, 0..1, on any device; all frames of a video have the same size.
            prompts: masks in the size of the frame, boxes in its pixels, or ``ABSENT``, by object
                id (1 or more). An object marked absent has an empty mask on this frame and stays
                tracked. ``segment_video`` checks frames and prompts; this does not.

        Returns:
            the state after this frame, and the masks of all objects in the size of the frame, on
            the segmenter's device, in float32.

        Raises:
            PromptError: an object is marked absent before its first mask or box, or the method
                does not support a prompt.
        """
        ...

    def remove_objects(self, state: State, ids: Collection[int]) -> State:
        """Return the state without these objects; ids that are not tracked are ignored."""
        ...


@runtime_checkable
class SearchesNewShots(Protocol[State]):
    """A segmenter that can search for its objects in a new shot; optional, others just go on."""

    def after_cut(self, state: State) -> State:
        """Return the state from which to segment the first frame of a new shot.

        The objects may be anywhere on that frame, or not on it. The given state stays valid.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SegmenterIdentity:
    """Everything that determines the masks of a segmenter, as recorded by runs and evaluations.

    The device and the number of threads are not part of it: a run may continue on another machine.
    """

    method: str
    weights: str | None
    """Name of the weights; None for a method without weights."""
    weights_sha256: str | None
    """SHA-256 of the weights file, in hexadecimal digits."""
    box_start: str | None
    """Name and SHA-256 of the weights of a separate model that turns boxes into masks, if any."""
    options: Mapping[str, str]
    """Settings of the method that differ from those in the file of the weights."""
    dtype: str
    """Data type in which the network computes; run cards keep it among their settings."""


@runtime_checkable
class BuiltSegmenter(Protocol):
    """A segmenter in memory, with its device and identity."""

    @property
    def segmenter(self) -> VideoSegmenter[Any]:
        """The segmenter; it accepts masks and boxes."""
        ...

    @property
    def device(self) -> torch.device:
        """Device on which it computes, and to which states must be loaded."""
        ...

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        """Return what determines the masks; see ``SegmenterSource.identity``."""
        ...


@runtime_checkable
class SegmenterSource(Protocol):
    """Builds a segmenter. It is small and picklable, so that worker processes build their own."""

    def build(self, *, progress: Progress | None = None) -> BuiltSegmenter:
        """Read the weights and build the segmenter.

        Args:
            progress: called during long work, such as fine-tuning.

        Raises:
            UsageError: the method, an option or the device is unknown or does not fit.
            MissingFileError, WeightsError: the weights are missing or damaged.
        """
        ...

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        """Return what determines the masks, without building the segmenter.

        Args:
            uses_boxes: whether prompts contain boxes. The model that turns boxes into masks is part
                of the identity only then.

        Raises:
            UsageError: the method is unknown, or is not the method of the weights.
            MissingFileError, WeightsError: the weights are missing or damaged.
        """
        ...


@dataclass(frozen=True)
class Step(Generic[State]):
    """One segmented frame, with the state from which to continue."""

    frame_index: int
    frame: Frame
    masks: ObjectMasks
    state: State
    """State after this frame; it may be kept, saved, or used to continue in several ways."""
    decode_seconds: float
    """Time to decode the frame, which usually overlaps with the previous step."""
    model_seconds: float
    """Time of the segmenter's step."""
    begins_shot: bool = False
    """Whether a shot cut was detected before this frame."""


def segment_video(
    segmenter: VideoSegmenter[State],
    frames: Iterable[Frame],
    prompts: Mapping[int, Prompts],
) -> Iterator[ObjectMasks]:
    """Yield the masks of every frame; ``prompts`` are by frame index, from 0.

    At most five frames are read ahead, so memory use does not grow with the length of the video,
    and the frames may come from a live camera.

    Raises:
        FrameError: a frame is not a float tensor of 3 × height × width in 0..1, or its size differs
            from the frames before it.
        PromptError: a prompt does not fit its frame (``MaskShapeError``: in size), an object is
            marked absent before its first mask, or, at the end, a prompt's frame has not come.
        DeviceMemoryError: the device is out of memory.
        UsageError: ``segmenter`` is not a segmenter.
    """
    for step in segment_steps(segmenter, frames, prompts):
        yield step.masks


def segment_steps(
    segmenter: VideoSegmenter[State],
    frames: Iterable[Frame],
    prompts: Mapping[int, Prompts],
    *,
    ends: Mapping[int, Collection[int]] = NO_ENDS,
    state: State | None = None,
    first_frame: int = 0,
    begins_shot: Callable[[Frame], bool] | None = None,
    new_objects: Callable[[int, ObjectMasks], Prompts] | None = None,
) -> Iterator[Step[State]]:
    """Yield every frame with its masks, the state after it, and the time it took.

    Args:
        segmenter: any method.
        frames: the frames from ``first_frame`` on.
        prompts: by frame index in the whole video.
        ends: ids of objects to remove before a frame, by frame index in the whole video. A prompt
            on that frame or a later one starts the object again.
        state: the state before ``first_frame``; None starts a new one.
        first_frame: index of the first frame given, in the whole video.
        begins_shot: is called with every frame in turn, and returns whether it begins a new shot
            (``io.video.shot_cuts.CutDetector.begins_shot``). A segmenter with ``after_cut`` then
            searches for its objects.
        new_objects: is called with the index and the masks of every frame in turn, and returns
            prompts of objects that begin on it, with ids that are not in use. If there are some,
            the frame is segmented again with them.

    Raises:
        FrameError: a frame is not a float tensor of 3 × height × width in 0..1, or its size differs
            from the frames before it.
        PromptError: a prompt does not fit its frame (``MaskShapeError``: in size), an object is
            marked absent before its first mask, or, at the end, a prompt's frame has not come.
        DeviceMemoryError: the device is out of memory.
        UsageError: ``segmenter`` is not a segmenter.
    """
    if not isinstance(segmenter, VideoSegmenter):
        raise UsageError(
            f"segmenter is {kind_of(segmenter)}; pass what maskcast.load_segmenter() returned",
            options=("segmenter",),
        )
    check_frame_indices(prompts)
    if state is None:  # otherwise the method knows which objects are tracked
        if new_objects is None:
            check_absences(prompts, ends)
        state = segmenter.start()
    size: torch.Size | None = None
    uploads = FrameUploads(getattr(segmenter, "device", None))
    coming = enumerate(read_ahead(_copies(frames, uploads)), first_frame)
    frame_index = first_frame - 1
    for frame_index, (frame, decode_seconds) in coming:
        check_frame(frame, frame_index)
        check_range(frame, frame_index)
        size = size or frame.shape
        if frame.shape != size:
            raise FrameError(
                f"frame {frame_index} is {size_of(frame)} but the frames before it are "
                f"{size[-2]}×{size[-1]}; all frames of a video must have the same size"
            )
        here = checked_prompts(prompts.get(frame_index, NO_PROMPTS), frame, frame_index)
        began = time.perf_counter()
        with _explained_if_out_of_memory(frame_index, frame):
            if ended := ends.get(frame_index, ()):
                state = segmenter.remove_objects(state, ended)
            is_new_shot = begins_shot is not None and begins_shot(frame)
            if is_new_shot and isinstance(segmenter, SearchesNewShots):
                state = segmenter.after_cut(state)
            before, (state, masks) = state, segmenter.step(state, frame, here)
            if new_objects is not None and (begun := new_objects(frame_index, masks)):
                here = {**here, **checked_prompts(begun, frame, frame_index)}
                state, masks = segmenter.step(before, frame, here)
            _wait_for(masks.probs)
        model_seconds = time.perf_counter() - began
        seconds = decode_seconds, model_seconds
        yield Step(frame_index, frame, masks, state, *seconds, begins_shot=is_new_shot)
    _reject_late_prompts(prompts, frame_index)


def _copies(frames: Iterable[Any], uploads: FrameUploads) -> Iterator[Any]:
    """Copy each frame before the next one is read, because many cameras fill one tensor again."""
    for frame in frames:
        yield uploads.sent(frame) if isinstance(frame, Tensor) else frame


def _reject_late_prompts(prompts: Mapping[int, Prompts], last_frame: int) -> None:
    late = sorted(index for index, here in prompts.items() if index > last_frame and here)
    if late:
        end = f"the last frame is {last_frame}" if last_frame >= 0 else "the video has no frames"
        raise PromptError(
            f"there are prompts for frame {late[0]}, but {end}; frames are counted from 0"
        )


@contextmanager
def _explained_if_out_of_memory(frame_index: int, frame: Frame) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"the device is out of memory on frame {frame_index}, which is {size_of(frame)}; use "
            "the CPU, a smaller video, or settings of the method that need less memory",
            options=("device",),
        ) from error


def _wait_for(tensor: Tensor) -> None:
    """Wait until an accelerator has finished, so that the measured time is complete."""
    if tensor.device.type != "cpu":
        torch.accelerator.synchronize(tensor.device)
