"""Settings of the detection of absent objects, which is not in the paper. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskcast.core.config import require_choice, require_range, require_rising


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """Detection of frames on which an object is not visible; not in the paper.

    An absent object has an empty mask, and is searched for where it was last seen.
    """

    rule: Literal["off", "confidence", "likeness", "head", "head-and-likeness"] = "off"
    """How absence is detected. ``off``: not at all, as published. ``confidence``: by the mean
    confidence inside the mask. ``likeness``: by the confidence and the similarity to the first
    frame. ``head``: by the network's presence head. ``head-and-likeness``: by both, which must
    agree on a change."""
    thresholds: tuple[float, float] = (0.8, 0.88)
    """Mean confidence, in [0, 1], below which a visible object becomes absent, and from which an
    absent one becomes visible."""
    likeness_from: float = 0.5
    """Similarity to the first frame, in [0, 1], from which an object stays visible although its
    mean confidence is below the first threshold; an absent object must have it to become visible.
    Used by ``likeness`` and ``head-and-likeness``, like the next two settings."""
    largest_drop: float = 0.2
    """How far, in [0, 1], the similarity may fall below its average over the last visible frames;
    beyond that, the object becomes absent, or stays so. 1 disables it."""
    certain_below: tuple[float, float] = (0.55, 0.25)
    """Mean confidence and similarity, in [0, 1]; a value below its limit makes the object absent,
    whatever the other value is."""
    head_thresholds: tuple[float, float] = (0.5, 0.5)
    """Like ``thresholds``, for the probability from the presence head."""
    remembered: int = 3
    """Maximum number of frames at the start of an absence that enter the memory, with an empty
    mask."""
    remembered_up_to: float = 0.6
    """Maximum mean confidence, in [0, 1], of a frame that enters the memory in an absence; 1
    accepts all."""
    search: Literal["exit", "frame"] = "exit"
    """Where an absent object is searched for. ``exit``: in the crop in which it was last seen.
    ``frame``: also in one other crop per frame, at a different position each time. After a shot cut
    both search the whole frame once, and then as ``frame`` does."""

    def __post_init__(self) -> None:
        require_choice(self, "rule", "search")
        limits = ("thresholds", "head_thresholds", "likeness_from", "certain_below")
        require_range(self, *limits, above=0, below=1, prefix="presence.")
        require_rising(self, "thresholds", "head_thresholds", prefix="presence.")
        require_range(self, "remembered", least=0, prefix="presence.")
        require_range(self, "remembered_up_to", "largest_drop", least=0, most=1, prefix="presence.")

    @property
    def uses_head(self) -> bool:
        """Whether the rule asks the network's presence head."""
        return self.rule in ("head", "head-and-likeness")
