"""A segmenter that may be used in any program: from several threads, with any defaults of torch."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Collection
from typing import Any, Generic, TypeVar

import torch

from maskcast.core.errors import UsageError
from maskcast.core.input_checks import check_frame, check_range, checked_prompts, kind_of
from maskcast.core.segmenter import VideoSegmenter
from maskcast.core.surroundings import own_surroundings
from maskcast.core.types import NO_PROMPTS, Frame, ObjectMasks, Prompts

State = TypeVar("State")


class GuardedSegmenter(Generic[State]):
    """Wraps a method's segmenter: checks what is passed, and lets in one thread at a time.

    Attributes of the method's segmenter are available as its own.
    """

    def __init__(self, method: VideoSegmenter[State], device: torch.device | str) -> None:
        self.method = method
        self._device = device
        self.device = torch.device(device)
        self._state_kind: type[State] | None = None
        self._lock = threading.RLock()
        _SEGMENTERS.add(self)

    def start(self) -> State:
        """Return the state before any frame, without objects."""
        with self._lock, own_surroundings(self._device):
            return self.method.start()

    def step(
        self, state: State, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[State, ObjectMasks]:
        """Segment the next frame; see ``VideoSegmenter``.

        Raises:
            FrameError: the frame is not a float tensor of 3 × height × width with values in 0..1.
            PromptError: a prompt does not fit the frame (``MaskShapeError``: in size).
            UsageError: the state is not one of this method, or the process was forked from one
                that has used a segmenter.
        """
        _reject_forked_process()
        self._check_state(state)
        check_frame(frame)
        check_range(frame)
        here = checked_prompts(prompts, frame) if prompts is not NO_PROMPTS else NO_PROMPTS
        with self._lock, own_surroundings(self._device):
            return self.method.step(state, _usual(frame), here)

    def remove_objects(self, state: State, ids: Collection[int]) -> State:
        """Return the state without these objects; ids that are not tracked are ignored.

        Raises:
            UsageError: the state is not one of this method.
        """
        self._check_state(state)
        with self._lock, own_surroundings(self._device):
            return self.method.remove_objects(state, ids)

    def _check_state(self, state: Any) -> None:
        if self._state_kind is None:
            self._state_kind = type(self.start())
        if not isinstance(state, self._state_kind):
            raise UsageError(
                f"state is {kind_of(state)}; pass what start() or the previous step() of this "
                "segmenter returned",
                options=("state",),
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return GuardedSegmenter, (self.method, self._device)

    def __getattr__(self, name: str) -> Any:
        if name == "method":  # not set yet, as in an unpickled copy
            raise AttributeError(name)
        return getattr(self.method, name)


def _usual(frame: Frame) -> Frame:
    """Return a frame in float32 that may take part in fine-tuning."""
    frame = frame.to(torch.float32)
    return frame.clone() if frame.is_inference() else frame


_SEGMENTERS: weakref.WeakSet[GuardedSegmenter[Any]] = weakref.WeakSet()


def _renew_locks() -> None:
    """Replace the locks in a forked child, where the threads that held them do not exist."""
    for segmenter in _SEGMENTERS:
        segmenter._lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)


class _Process:
    """The process that has used a segmenter with several threads."""

    number: int | None = None


def _reject_forked_process() -> None:
    """Raise ``UsageError`` instead of hanging: the threads of torch do not survive a fork."""
    here = os.getpid()
    if _Process.number is None:
        if torch.get_num_threads() > 1:
            _Process.number = here
    elif _Process.number != here:
        raise UsageError(
            f"this process was forked from process {_Process.number} after a segmenter had been "
            "used there, and torch's threads do not survive a fork; start worker processes with "
            "the method 'spawn' or 'forkserver' of multiprocessing, or call "
            "torch.set_num_threads(1) before the first use"
        )
