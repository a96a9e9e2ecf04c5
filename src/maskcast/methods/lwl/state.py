"""What is known of the objects between two frames, and on a frame before they are merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from maskcast.methods.lwl.crop import Patch, Sighting, View
from maskcast.methods.lwl.memory import Memory, Slot


@dataclass(frozen=True)
class Target:
    """One object that is followed."""

    object_id: int
    frames: int
    """Frames since it was given, that one included."""
    view: View
    """Where it was looked for on the last frame."""
    seen: Sighting | None
    """Where it was found there; None if it was out of sight or absent."""
    tau: Float[Tensor, "1 D C K K"]
    memory: Memory
    latest: Slot | None
    """The last frame with its own prediction, to be remembered before the next one; None after a
    frame on which a person marked the object, which is remembered at once."""
    first: Float[Tensor, "first"] | None = None
    """``describe_first`` of the frame on which it was given; None where absence is not judged."""
    absent_frames: int = 0
    """Frames since it was visible; 0 where absence is not judged."""
    unlearnt: bool = False
    """Whether a frame was remembered since the target model was fitted."""


@dataclass(frozen=True)
class LWLState:
    """The objects followed, in the order in which they appeared."""

    targets: tuple[Target, ...] = ()


class Sample(NamedTuple):
    """What will be remembered of a prediction, once there is a merged mask to go with it."""

    patch: Patch
    x: Float[Tensor, "C h w"]


class Judgement(NamedTuple):
    """What a rule says about an object that was looked for."""

    presence: Float[Tensor, ""]
    """0..1."""
    confidence: Float[Tensor, ""]
    """Mean probability inside the mask, 0..1."""


class Found(NamedTuple):
    """An object on a frame, before the objects are merged."""

    target: Target
    logits: Float[Tensor, "height width"]
    sample: Sample | None = None
    """None where a person marked the object."""
    absent: bool = False
    """A person says that it is not on this frame."""
    judged: Judgement | None = None
    """None where absence is not judged."""
