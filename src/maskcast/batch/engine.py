"""What the dispatcher knows of worker processes: an interface, and messages. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from maskcast.batch.job import VideoJob

WorkerId: TypeAlias = int
"""Number of a worker; a replacement gets a new one."""
FailureKind: TypeAlias = Literal[
    "data",  # the video or its prompts cannot be used
    "conflict",  # another request has its results in the folder
    "time",  # over the time limit
    "transient",  # a fault of a disk or a network, when reading
    "output",  # results cannot be written
    "memory",  # out of memory
    "fault",  # any other exception
    "crash",  # the worker process died
    "stall",  # the worker process was silent for too long
    "machine",  # the machine died
    "busy",  # another process works on the video
]
"""Why an attempt failed."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A video to segment, and how."""

    job: VideoJob
    folder: Path
    """Path of its results, relative to the folders of results and of work."""
    request: str
    """``job.request_digest``."""
    input: str | None
    """``job.input_digest``."""
    attempt: int = 1
    """Number of the attempt, from 1."""
    replaces: bool = False
    """Replace finished results of another request."""


@dataclass(frozen=True, kw_only=True)
class VideoFigures:
    """Figures of a finished video."""

    frames: int = 0
    objects: int = 0
    video_seconds: float | None = None
    """Length of the segmented part; None for frames without times."""
    steps: int = 0
    """Frames segmented, including those computed again."""
    fetch: float = 0.0
    """Seconds for copying files from an object store, in this attempt."""
    decode: float = 0.0
    """Seconds of each kind of work, in all attempts that were not killed."""
    model: float = 0.0
    write: float = 0.0
    total: float = 0.0
    commit: float = 0.0
    lowest_confidence: float | None = None
    """Lowest mean probability of an object in a frame."""
    empty_frames: int = 0
    """Frames after the first prompt in which a tracked object has no pixel."""
    is_duplicate: bool = False
    """Whether another process had finished the same video; this result was dropped."""


@dataclass(frozen=True, kw_only=True)
class VideoOutcome:
    """How an attempt ended."""

    status: Literal["finished", "failed", "interrupted"]
    kind: FailureKind | None = None
    """The reason of a failure."""
    sentence: str = ""
    log: tuple[str, ...] = ()
    """Last lines of the traceback of a failure."""
    figures: VideoFigures = field(default_factory=VideoFigures)


@dataclass(frozen=True)
class WorkerReady:
    """A worker has built its segmenter and waits for work."""

    worker: WorkerId
    machine: str = ""
    device: str = ""
    process: int = 0
    """Process id on its machine."""


@dataclass(frozen=True)
class WorkerPending:
    """A worker waits for a machine that has room for it."""

    worker: WorkerId


@dataclass(frozen=True)
class WorkerUnable:
    """A worker cannot build the segmenter; it ends."""

    worker: WorkerId
    sentence: str
    exit_code: int = 3


@dataclass(frozen=True)
class VideoBegan:
    """A worker has begun to work on its video."""

    worker: WorkerId
    job_id: str


@dataclass(frozen=True)
class VideoBeat:
    """A worker has made progress; see ``core.progress``."""

    worker: WorkerId
    job_id: str
    work: str
    done: int
    total: int | None


@dataclass(frozen=True)
class VideoEnded:
    """An attempt has ended; the worker is free."""

    worker: WorkerId
    job_id: str
    outcome: VideoOutcome


@dataclass(frozen=True)
class WorkerLeaving:
    """A worker was asked by the system to end; it saves its state and takes no more work."""

    worker: WorkerId


@dataclass(frozen=True)
class WorkerLost:
    """A worker has ended."""

    worker: WorkerId
    blame: Literal["video", "machine", "nobody"]
    """Which of them may be the reason; ``nobody`` if the worker ended as intended."""
    note: str = ""
    """How it ended, such as the exit code."""


WorkerEvent: TypeAlias = (
    WorkerReady
    | WorkerPending
    | WorkerUnable
    | VideoBegan
    | VideoBeat
    | VideoEnded
    | WorkerLeaving
    | WorkerLost
)


@runtime_checkable
class Engine(Protocol):
    """Starts and ends workers, and carries messages to and from them."""

    def start_worker(self) -> WorkerId:
        """Start a worker; ``WorkerReady`` or ``WorkerUnable`` follows."""
        ...

    def give(self, worker: WorkerId, work: Assignment) -> None:
        """Let a worker that is ready and has no video segment one."""
        ...

    def ask_to_stop(self, worker: WorkerId) -> None:
        """Let a worker save the state of its video and end."""
        ...

    def kill(self, worker: WorkerId) -> None:
        """End a worker at once."""
        ...

    def events(self, timeout: float) -> Iterable[WorkerEvent]:
        """Return what has happened; wait for ``timeout`` seconds at most if nothing has."""
        ...

    def close(self) -> None:
        """End all workers; those that do not end by themselves are killed."""
        ...
