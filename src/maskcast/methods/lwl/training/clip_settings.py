"""How training clips are drawn, cropped and changed: settings alone, which need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from maskcast.core.config import require_range, require_rising


@dataclass(frozen=True, kw_only=True)
class ClipSampling:
    """Which frames of a video make a clip: LWL's settings."""

    max_gap: int = 100
    """Reach of a clip in annotated frames, to either side of the train frame."""
    gap_step: int = 5
    """How much the reach grows when it holds no visible frame."""
    smallest_object: int = 10
    """An object is visible where it has more pixels than this."""
    needs_earlier_frame: bool = True
    """The train frame has a visible frame before it, as in the published training (by accident:
    the first visible frame is then never the train frame)."""
    tries: int = 1000
    """Draws of a train frame before a target, and of targets before a source, is given up."""
    absent: float = 0.0
    """Probability that a clip has test frames without the object, where the object is absent from
    some frames after its first appearance."""
    distinct: bool = False
    """Draw test frames without replacement, as far as the video has enough of them."""
    uniform_over: Literal["targets", "videos"] = "targets"
    """``videos``: draw a video, then one of its objects, so that a video with many objects is not
    drawn more often than others."""
    fewest_visible: int | None = None
    """An object is a target if it is visible on at least this many annotated frames; if not given,
    on more than twice the frames of a clip, as in the published training."""

    def __post_init__(self) -> None:
        require_range(self, "max_gap", "gap_step", "tries", least=1)
        require_range(self, "smallest_object", least=0)
        require_range(self, "absent", least=0, most=1)
        require_range(self, "fewest_visible", least=2)


@dataclass(frozen=True)
class BoxJitter:
    """How far a box is moved and resized before the crop."""

    log_size: float
    """Standard deviation of the logarithm of width and of height."""
    shift: tuple[float, float]
    """Range of the centre's shift along x and y, in units of the jittered box's mean side."""

    def __post_init__(self) -> None:
        require_range(self, "log_size", "shift", least=0, below=inf)


TRAIN_JITTER = BoxJitter(0.25, (3.0, 3.0))
TEST_JITTER = BoxJitter(0.5, (5.5, 4.5))


@dataclass(frozen=True, kw_only=True)
class ClipProcessing:
    """How the frames of a clip are changed before training: LWL's settings."""

    size: tuple[int, int] = (480, 832)
    """Height and width of the crops."""
    search_area: float = 5.0
    """Side of the crop over side of the (jittered) box, as a geometric mean."""
    grey: float = 0.05
    """Probability of a grey train frame, and of grey test frames."""
    flip: float = 0.5
    """Probability that the train frame is mirrored, and that the test frames are."""
    train_jitter: BoxJitter = TRAIN_JITTER
    """Of the train frame's box."""
    test_jitter: BoxJitter = TEST_JITTER
    """Of the test frames' boxes, each on its own."""
    rotation: float = 15.0
    """Degrees to either side; 0, with ``log_scale`` 0, for none (validation, box encoder)."""
    log_scale: float = 0.2
    """Range of the logarithm of the scale, to either side."""
    brightness: float = 0.2
    """Range of the factor on the pixels around 1; 0 in validation."""
    keep_void: bool = False
    """Leave 255 in the masks rather than background; LWL's loss knows no void."""
    box_jitter: tuple[float, float] = (0.0, 0.0)
    """Least and most shift of each side of a box, inwards or outwards, as a share of the box's
    width or height. Half of the boxes stay tight. (0, 0): all boxes are tight."""
    miss: float = 0.0
    """Probability that a test frame is cropped where its object is not: around another object of
    the frame if there is one, or anywhere."""

    def __post_init__(self) -> None:
        require_range(self, "size", least=1)
        require_range(self, "search_area", above=0, below=inf)
        require_range(self, "rotation", "log_scale", least=0, below=inf)
        require_range(self, "grey", "flip", "miss", least=0, most=1)
        require_range(self, "brightness", least=0, below=1)
        require_range(self, "box_jitter", least=0, below=0.5)
        require_rising(self, "box_jitter")
