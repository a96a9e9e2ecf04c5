"""What the dispatcher keeps about videos and workers. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from maskcast.batch.engine import Assignment
from maskcast.batch.job import ModelChoice

RecordEvent: TypeAlias = Callable[..., None]
"""Called with the name of an event and its entries."""


@dataclass(frozen=True)
class BatchEnding:
    """Why a batch ended."""

    reason: Literal["finished", "interrupted", "max-failed", "output", "unable"]
    sentence: str = ""
    exit_code: int = 0


@dataclass
class QueuedVideo:
    """A video that waits or is at work."""

    work: Assignment
    attempts: int = 0
    """Number of failed attempts that count."""
    machines: int = 0
    """Number of machines lost in a row."""
    busy_since: float | None = None
    """Time since when another process has locked its folder; None if none has."""


@dataclass
class KnownWorker:
    """A worker as the dispatcher sees it."""

    heard: float
    """Time of its last message, in seconds on the dispatcher's clock."""
    is_ready: bool = False
    is_leaving: bool = False
    video: QueuedVideo | None = None
    """Video at work; None if there is none."""
    has_begun: bool = False
    """Whether it has begun its video."""
    stalled_at: float | None = None
    """Time at which it was asked to end because it was silent; None if it was not."""
    model: ModelChoice | None = None
    """Model of its latest video; None before the first one."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a video."""
        return self.is_ready and self.video is None and not self.is_leaving
