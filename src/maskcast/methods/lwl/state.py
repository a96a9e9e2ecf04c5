"""The state between two frames, and the result for each object before objects are merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from maskcast.core.areas import Area
from maskcast.core.types import Box
from maskcast.methods.lwl.crop import Patch, Sighting, View
from maskcast.methods.lwl.memory import Memory, Slot
from maskcast.methods.lwl.presence import Judgement


@dataclass(frozen=True)
class Target:
    """The state of one tracked object."""

    object_id: int
    frames: int
    """Number of frames since the object started, including the first one."""
    view: View
    """Region that was searched on the last frame."""
    seen: Sighting | None
    """Position on the last frame; None if the object was out of sight or absent."""
    tau: Float[Tensor, "1 D C K K"]
    memory: Memory
    latest: Slot | None
    """The last frame with its prediction, which enters the memory before the next frame; None after
    a frame on which the user marked the object, because that frame enters the memory at once."""
    first: Float[Tensor, "first"] | None = None
    """``describe_first`` of the frame on which the object starts; None if absence is not
    detected."""
    usual_likeness: Float[Tensor, ""] | None = None
    """Similarity to the first frame, averaged over the last frames on which the object was visible;
    None if it is not compared, or not yet."""
    absent_frames: int = 0
    """Number of frames since the object was visible; 0 if absence is not detected."""
    unlearnt: bool = False
    """Whether a frame has entered the memory since the target model was last fitted."""
    everywhere: bool = False
    """Whether the object has not been found since a shot cut, so that it may be anywhere."""


@dataclass(frozen=True)
class LWLState:
    """The tracked objects, in the order in which they started."""

    targets: tuple[Target, ...] = ()


class Marked(NamedTuple):
    """A prompt for one object, converted to a mask, a box and logits."""

    soft_mask: Float[Tensor, "height width"]
    box: Box
    logits: Float[Tensor, "height width"]


class Sample(NamedTuple):
    """The crop and features of a prediction; with the merged mask they become a memory slot."""

    patch: Patch
    x: Float[Tensor, "C h w"]


class Found(NamedTuple):
    """The result for one object on a frame, before the objects are merged."""

    target: Target
    logits: Float[Tensor, "height width"]
    sample: Sample | None = None
    """None if the user marked the object on this frame."""
    absent: bool = False
    """Whether the user marked the object as absent from this frame."""
    judged: Judgement | None = None
    """None if absence is not detected."""
    area: Area | None = None
    """Where the logits may differ from ``OUTSIDE_LOGIT``; None: everywhere."""
