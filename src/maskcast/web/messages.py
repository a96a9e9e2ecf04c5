"""Messages between the server and its two worker processes. Imports no torch.

Every request has a number, which its replies contain. Masks are sent as bits (``numpy.packbits``),
or as fingerprints if they are on disk already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from maskcast.core.errors import MaskcastError
from maskcast.runs.export_settings import Exports
from maskcast.runs.masks import FoundObject

TrackingDirection: TypeAlias = Literal["forward", "backward", "both"]


@dataclass(frozen=True, kw_only=True)
class VideoRange:
    """A video, and the range of frames to use."""

    path: str
    start: str | None = None
    """First frame, as a number or a time."""
    end: str | None = None
    """First frame that is left out, as a number or a time."""
    on_bad_frame: Literal["stop", "hold"] = "stop"


@dataclass(frozen=True, kw_only=True)
class OpenVideo:
    """To the media worker: open a video and answer with ``Opened``."""

    video: VideoRange
    cache: str
    """Folder for decoded frames of this video."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Properties of the open video."""

    names: tuple[str, ...]
    """Names of the frames."""
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
    """Maximum length of the longer side in pixels; 0 keeps the size of the frame."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """To the media worker: the position of the playhead; there is no reply."""

    frame: int
    step: int
    """TrackingDirection and step of playback."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """To the media worker: check that a file is a video, answered with ``Done``."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """To the media worker: a thumbnail of the first frame of a video, answered with ``Jpeg``."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """A picture as JPEG."""

    content: bytes


@dataclass(frozen=True, kw_only=True)
class SegmenterChoice:
    """The segmenter to build."""

    weights: str | None = None
    method: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """To the model worker: continue a run folder, or start one; answered with ``Ready``."""

    video: VideoRange
    run: str
    segmenter: SegmenterChoice


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The run folder has a run card."""


@dataclass(frozen=True, kw_only=True)
class MakeMask:
    """To the model worker: convert a box into a mask, answered with ``Made``."""

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
    renames: tuple[tuple[int, int, int], ...] = ()
    """Frame, object id and the id that masks show from there on."""


@dataclass(frozen=True, kw_only=True)
class TakeUp:
    """To the model worker: restore results that match these marks, answered with ``Done``."""

    marks: Mapping[str, str]
    """Marks by ``FRAME:ID``, as on a run card."""


@dataclass(frozen=True, kw_only=True)
class TakenUp:
    """The run folder holds results of the marks that were sent, and its log has changed."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """To the model worker: compute masks; ``TakenUp``, ``Stepped`` and then ``Ended`` follow."""

    marks: Mapping[str, str]
    direction: TrackingDirection
    until: int | None = None
    """Frame before which the forward pass ends."""


@dataclass(frozen=True, kw_only=True)
class MakeExports:
    """To the model worker: make files from finished masks; ``Progressed``, then ``Ended``."""

    wanted: Exports
    labels: bool = False
    """Whether the label maps are to be downloaded, which are there already."""
    span: tuple[int, int] | None = None
    """First frame, and the frame after the last one."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """To the model worker: stop the running job after the current frame."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A frame has been written."""

    frame: int
    digest: str
    backward: str | None
    objects: Mapping[int, FoundObject]


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """The progress of a job."""

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
    """A request without a result has succeeded."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A request has failed."""

    kind: str
    """Name of the error class."""
    message: str
    exit_code: int = 1
    """Exit code that the command line would have; 1 for an internal error."""


def failure_of(error: BaseException) -> Failed:
    """Convert an error to a message between processes."""
    if isinstance(error, MaskcastError):
        return Failed(kind=type(error).__name__, message=str(error), exit_code=error.exit_code)
    return Failed(kind=type(error).__name__, message=f"internal error ({type(error).__name__})")


class WorkerError(Exception):
    """A worker process has answered with an error, or has died."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.message)
        self.failure = failure
