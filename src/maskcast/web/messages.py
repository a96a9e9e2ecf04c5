"""What the server and its two worker processes say to each other. Imports no torch.

Every request has a number, and replies carry it. Masks travel as bits (``numpy.packbits``), by
their fingerprints where they are on the disk already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from maskcast.core.errors import MaskcastError
from maskcast.runs.masks import FoundObject

Direction = Literal["forward", "backward", "both"]


@dataclass(frozen=True, kw_only=True)
class VideoRange:
    """A video, and the part of it that is worked on."""

    path: str
    start: str | None = None
    """First frame, as a number or a time."""
    end: str | None = None
    """First frame that is left out, likewise."""
    on_bad_frame: Literal["stop", "hold"] = "stop"


@dataclass(frozen=True, kw_only=True)
class OpenVideo:
    """To the media worker: open a video and answer with ``Opened``."""

    video: VideoRange
    cache: str
    """Folder for decoded frames of this video."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A video that is open."""

    names: tuple[str, ...]
    """Name of each frame."""
    height: int
    width: int
    first: int
    """Index of the first frame in the whole video."""
    rate: float | None
    """Mean frames per second; None for a folder of frames."""
    times: tuple[float, ...] | None
    """Presentation times in seconds."""
    sha256: str
    """Fingerprint of the whole video."""


@dataclass(frozen=True, kw_only=True)
class GetPicture:
    """To the media worker: a frame as JPEG, answered with ``Jpeg``."""

    frame: int
    width: int
    """Largest length of the longer side in pixels; 0: as large as the frame."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """To the media worker: where the playhead is; not answered."""

    frame: int
    step: int
    """Direction of travel, and how far."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """To the media worker: check that a file is a video, answered with ``Done``."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """To the media worker: the first frame of a video, small, answered with ``Jpeg``."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """A picture."""

    content: bytes


@dataclass(frozen=True, kw_only=True)
class SegmenterChoice:
    """Which segmenter is built."""

    weights: str | None = None
    method: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """To the model worker: take up a run folder, or begin one; answered with ``Ready``."""

    video: VideoRange
    run: str
    segmenter: SegmenterChoice


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The run folder has a run card."""


@dataclass(frozen=True, kw_only=True)
class MakeMask:
    """To the model worker: turn a box into a mask, answered with ``Made``."""

    frame: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A mask, as bits."""

    bits: bytes


@dataclass(frozen=True, kw_only=True)
class ReadMasks:
    """To the model worker: read marks as ``--masks`` does, answered with ``MasksRead``."""

    path: str


@dataclass(frozen=True, kw_only=True)
class MasksRead:
    """Marks in a file or folder."""

    report: tuple[str, ...]
    masks: Mapping[int, Mapping[int, bytes]]
    """Bits of masks, by frame and object id."""
    values: Mapping[int, Mapping[int, str]]
    """Boxes and absences as on a run card, by frame and object id."""
    ends: tuple[tuple[int, int], ...]
    """Frame and object id."""


@dataclass(frozen=True, kw_only=True)
class TakeUp:
    """To the model worker: bring back results that fit these marks, answered with ``Done``."""

    marks: Mapping[str, str]
    """By ``FRAME:ID``, as on a run card."""


@dataclass(frozen=True, kw_only=True)
class TakenUp:
    """The run folder holds results of the marks that were sent, and its log has changed."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """To the model worker: compute masks; ``TakenUp``, ``Stepped`` and then ``Ended`` follow."""

    marks: Mapping[str, str]
    direction: Direction
    until: int | None = None
    """Frame before which the forward pass ends."""


@dataclass(frozen=True, kw_only=True)
class MakeExports:
    """To the model worker: make files from finished masks; ``Progressed``, then ``Ended``."""

    overlay: bool = False
    cutout: tuple[Literal["png", "prores", "vp9"], ...] = ()
    rle: bool = False
    tracks: bool = False
    contact_sheet: bool = False
    span: tuple[int, int] | None = None
    """First frame, and the frame after the last one."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """To the model worker: end the job in progress after its frame."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A frame has been written."""

    frame: int
    digest: str
    backward: str | None
    objects: Mapping[int, FoundObject]


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """How far a job is."""

    work: str
    done: int
    total: int | None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job has ended without an error: finished, or stopped because ``Stop`` was sent."""

    finished: bool
    files: tuple[str, ...] = ()
    """Names of exports."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A request without a result was carried out."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A request could not be carried out."""

    kind: str
    """Name of the error class."""
    message: str
    exit_code: int = 1
    """As of the command line; 1: an internal error."""


def failure_of(error: BaseException) -> Failed:
    """Describe an error, so that it can cross processes."""
    if isinstance(error, MaskcastError):
        return Failed(kind=type(error).__name__, message=str(error), exit_code=error.exit_code)
    return Failed(kind=type(error).__name__, message=f"internal error ({type(error).__name__})")


class WorkerError(Exception):
    """A worker process has answered with an error, or has died."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.message)
        self.failure = failure
