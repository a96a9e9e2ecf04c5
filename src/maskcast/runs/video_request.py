"""What is asked of a run of one video, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskcast.io.video.reader import OnBadFrame
from maskcast.runs.card import RunCard
from maskcast.runs.export_settings import Exports
from maskcast.runs.masks import MaskForm
from maskcast.runs.occupied import Occupied
from maskcast.runs.segmentation import SavePolicy


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """The video to segment, its prompts, and where to write the results."""

    video: Path
    """A video file, or a folder of frames."""
    output: Path
    """The run folder; it is created if it does not exist."""
    masks: Sequence[Path] = ()
    """Mask files, or folders of them; see ``io.prompts.reading.read_prompts``."""
    boxes: Sequence[str] = ()
    """``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``."""
    corrected: Sequence[Path] = ()
    """Corrected masks, which show the whole frame: objects that they lack are absent."""
    absent: Sequence[str] = ()
    """``FRAMES:ID[,ID]``: the objects are not visible on these frames."""
    ends: Sequence[str] = ()
    """``FRAME:ID``: remove the object before that frame."""
    swaps: Sequence[str] = ()
    """``FRAME:ID,ID``: the objects have each other's ids from that frame on."""
    merges: Sequence[str] = ()
    """``FRAME:ID,ID[,ID]``: the other objects are part of the first one from that frame on."""
    detections: Path | None = None
    """Boxes of a detector; those that match no object begin one (``runs.new_objects``)."""
    detection_score: float = 0.5
    """Smallest score of the boxes to use, in [0, 1]."""
    names: Sequence[str] = ()
    """``ID=NAME``: names of objects, added to those in ``objects.json``."""
    colours: Sequence[str] = ()
    """``ID=#rrggbb``: colours of objects, likewise."""
    mask_threshold: int | None = None
    """Smallest grey value (1 to 255) at which a pixel of a soft mask belongs to object 1."""
    start: str | None = None
    """First frame to segment, as a number or a time (12.5s, 1:02)."""
    end: str | None = None
    """First frame not to segment, as a number or a time."""
    direction: Literal["forward", "both"] = "forward"
    """``both`` also fills the frames before each object's first prompt."""
    on_bad_frame: OnBadFrame = "stop"
    """``stop`` raises an error at a frame that cannot be read; ``hold`` repeats the one before."""
    probabilities: bool = False
    """Write soft masks too."""
    form: MaskForm | None = None
    """How masks are stored; None means as in the folder, or as PNGs in a new one."""
    exports: Exports = field(default_factory=Exports)
    """Files to make from the finished masks."""
    policy: SavePolicy = field(default_factory=SavePolicy)
    """How often states are saved."""
    deterministic: bool = False
    """Whether the process computes deterministically (``core.device``); part of the request."""
    overwrite: bool = False
    """Delete the results of an earlier run in the folder."""
    edited: bool = False
    """Accept prompts and ends that were changed or removed since the last call."""
    only_prompts: bool = False
    """Segment nothing, and make no exports but pictures of the masks and boxes
    (``runs.prompt_pictures``). The same request without it goes on."""


@dataclass(frozen=True, kw_only=True)
class VideoResult:
    """The results of a finished run."""

    card: RunCard
    exports: Sequence[Path]
    """Paths of the exports, in the order of the fields of ``Exports``."""
    room: Occupied
    """Disk usage of the run folder."""
    objects: Sequence[str] = ()
    """Lines about objects that are absent, unsure, or change abruptly on some frames; few, with the
    object that has most such frames first."""
    video_seconds: float | None = None
    """Length of the segmented part in seconds; None for frames without times."""
