"""Settings for drawing, cropping and augmenting training clips. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from maskcast.core.config import require_range, require_rising


@dataclass(frozen=True, kw_only=True)
class ClipSampling:
    """Settings for drawing the frames of a clip; the defaults are those of LWL."""

    max_gap: int = 100
    """Maximum distance from the train frame, to either side, in annotated frames; at least 1."""
    gap_step: int = 5
    """Annotated frames by which the distance grows if there is no visible frame within it."""
    smallest_object: int = 10
    """Number of pixels that an object must exceed to count as visible; at least 0."""
    needs_earlier_frame: bool = True
    """Whether the train frame must have a visible frame before it. The published training does so,
    by accident: the first visible frame is never the train frame."""
    tries: int = 1000
    """Attempts to draw a train frame before the target is dropped, and to draw a target before the
    source fails; at least 1."""
    absent: float = 0.0
    """Probability, in [0, 1], that a clip has test frames without the object, if the object is
    absent from some frames after its first appearance."""
    distinct: bool = False
    """Whether to draw test frames without replacement, if the video has enough frames."""
    uniform_over: Literal["targets", "videos"] = "targets"
    """Whether to draw (video, object) pairs uniformly, or a video and then one of its objects, so
    that videos with many objects are not drawn more often."""
    fewest_visible: int | None = None
    """Annotated frames, at least 2, on which an object must be visible to be drawn. None requires
    more than twice the frames of a clip, as in the published training."""

    def __post_init__(self) -> None:
        require_range(self, "max_gap", "gap_step", "tries", least=1)
        require_range(self, "smallest_object", least=0)
        require_range(self, "absent", least=0, most=1)
        require_range(self, "fewest_visible", least=2)


@dataclass(frozen=True)
class BoxJitter:
    """Random shift and scale of a box before cropping."""

    log_size: float
    """Standard deviation of the logarithm of width and height; at least 0."""
    shift: tuple[float, float]
    """Width of the range of the centre's shift along x and y, at least 0, in units of the mean side
    of the jittered box."""

    def __post_init__(self) -> None:
        require_range(self, "log_size", "shift", least=0, below=inf)


TRAIN_JITTER = BoxJitter(0.25, (3.0, 3.0))
TEST_JITTER = BoxJitter(0.5, (5.5, 4.5))


@dataclass(frozen=True, kw_only=True)
class ClipProcessing:
    """Settings for cropping and augmenting the frames of a clip; the defaults are those of LWL."""

    size: tuple[int, int] = (480, 832)
    """Height and width of the crops in pixels."""
    search_area: float = 5.0
    """Ratio of the side of the crop to the side of the jittered box, both as geometric means;
    greater than 0."""
    grey: float = 0.05
    """Probability, in [0, 1], that the train frame is grey, and that all test frames are."""
    flip: float = 0.5
    """Probability, in [0, 1], that the train frame is mirrored, and that all test frames are."""
    train_jitter: BoxJitter = TRAIN_JITTER
    """Jitter of the box on the train frame."""
    test_jitter: BoxJitter = TEST_JITTER
    """Jitter of the box on each test frame, drawn independently."""
    rotation: float = 15.0
    """Maximum rotation in degrees, to either side; 0 for validation and the box encoder."""
    log_scale: float = 0.2
    """Maximum magnitude of the logarithm of the scale; 0 for validation and the box encoder."""
    brightness: float = 0.2
    """Maximum relative change of brightness, in [0, 1); 0 for validation."""
    keep_void: bool = False
    """Whether to keep 255 (void) in the masks instead of making it background, as LWL's loss, which
    has no void, requires."""
    box_jitter: tuple[float, float] = (0.0, 0.0)
    """Minimum and maximum shift of each side of a box, inwards or outwards, as a share of the box's
    width or height, in [0, 0.5). It applies to half of the boxes; (0, 0) keeps all boxes tight."""
    miss: float = 0.0
    """Probability, in [0, 1], that the crop of a test frame misses the object: it is taken around
    another object, if there is one, or anywhere else."""

    def __post_init__(self) -> None:
        require_range(self, "size", least=1)
        require_range(self, "search_area", above=0, below=inf)
        require_range(self, "rotation", "log_scale", least=0, below=inf)
        require_range(self, "grey", "flip", "miss", least=0, most=1)
        require_range(self, "brightness", least=0, below=1)
        require_range(self, "box_jitter", least=0, below=0.5)
        require_rising(self, "box_jitter")
