"""What every room knows of a method: the protocol, and the only loop over frames."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar, runtime_checkable

from maskcast.core.types import NO_PROMPTS, Frame, ObjectMasks, Prompts

State = TypeVar("State")


@runtime_checkable
class VideoSegmenter(Protocol[State]):
    """Follows objects through a video. Holds weights and options, nothing about any video."""

    def start(self) -> State:
        """Return the state before any frame, without objects."""
        ...

    def step(
        self, state: State, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[State, ObjectMasks]:
        """Segment the next frame.

        A prompt for an unknown id begins that object on this frame; for a known id it is a
        correction, the truth from here on. The given state stays valid.
        """
        ...

    def remove_objects(self, state: State, ids: Collection[int]) -> State:
        """Forget these objects; ids that are not tracked are passed over."""
        ...


def segment_video(
    segmenter: VideoSegmenter[State],
    frames: Iterable[Frame],
    prompts: Mapping[int, Prompts],
) -> Iterator[ObjectMasks]:
    """Yield the masks of every frame; ``prompts`` are by frame index, from 0."""
    state = segmenter.start()
    for frame_index, frame in enumerate(frames):
        state, found = segmenter.step(state, frame, prompts.get(frame_index, NO_PROMPTS))
        yield found
