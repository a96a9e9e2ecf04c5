"""Settings of the detection of absent objects, which is not in the paper. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from maskcast.core.config import require_choice, require_range, require_rising

PresenceRule: TypeAlias = Literal["off", "confidence"]


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """Detection of frames on which an object is not visible; not in the paper.

    The confidence is the score of the best box, or 0 if there is none or its mask is empty. An
    absent object has an empty mask, does not take part in adaptation, and is searched for where it
    was last seen.
    """

    rule: PresenceRule = "off"
    """How absence is detected. ``off``: not at all, as published. ``confidence``: by the
    confidence."""
    thresholds: tuple[float, float] = (0.8, 0.88)
    """Confidence, in [0, 1], below which a visible object becomes absent, and from which an absent
    one becomes visible. A box is only detected if its score exceeds network.score_threshold."""

    def __post_init__(self) -> None:
        require_choice(self, "rule")
        require_range(self, "thresholds", above=0, below=1, prefix="presence.")
        require_rising(self, "thresholds", prefix="presence.")
