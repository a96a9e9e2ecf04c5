"""How often a video is tried, and when a batch gives up. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from maskcast.batch.engine import FailureKind
from maskcast.core.config import require_range
from maskcast.core.errors import ConfigError
from maskcast.core.numbers import finite_number, shortened, whole_number

COUNTED: frozenset[FailureKind] = frozenset(
    ("transient", "output", "memory", "fault", "crash", "stall", "busy")
)
"""Failures that count as an attempt."""
FINAL: frozenset[FailureKind] = frozenset(("data", "conflict", "time"))
"""Failures after which a video is not tried again."""
BACKED_OFF: frozenset[FailureKind] = frozenset(("transient", "output", "memory", "busy"))
"""Failures after which some time passes before the next attempt."""
MOST_MACHINES = 10
"""Number of machines that a video may lose in a row before that counts as an attempt."""
PATIENCE = 10.0
"""Seconds that a worker gets to save its state before it is killed."""
STARTING = 120.0
"""Seconds in which a new worker loads its libraries and builds the segmenter on a busy machine."""
BUSY_FOR, BUSY_EVERY = 30.0, 2.0
"""Seconds to wait for a folder that another process has locked, and between two tries."""
IN_A_ROW = 3
"""Number of failures in a row that stop a batch: results cannot be written, workers do not start.
"""
FEWEST_FAILED = 20
"""Number of failed videos that ``max_failed`` in per cent always allows."""


@dataclass(frozen=True, kw_only=True)
class BatchPolicy:
    """When attempts end and are repeated, and when the batch stops."""

    jobs: int = 1
    """Number of workers; on a cluster, the largest number."""
    least_jobs: int | None = None
    """Number of workers to start at once; more are started one at a time, as each finds room. None
    means all."""
    attempts: int = 3
    """Attempts per video."""
    stall: float = 300.0
    """Seconds without progress after which a worker is stopped."""
    time_limit: float | None = None
    """Time limit in seconds of videos that have none of their own."""
    most_failed: int = FEWEST_FAILED
    """Number of failed videos above which the batch stops."""

    def __post_init__(self) -> None:
        require_range(self, "jobs", "attempts", least=1, most=10_000)
        require_range(self, "stall", above=0)
        require_range(self, "least_jobs", least=1, most=self.jobs)

    def delay(self, kind: FailureKind, attempts: int) -> float:
        """Return the seconds to wait before the next attempt, after ``attempts`` of them."""
        return min(5.0**attempts, 125.0) if kind in BACKED_OFF else 0.0


def most_failed(text: str, rows: int) -> int:
    """Return the number of videos that may fail, from a number or ``N%`` of the rows.

    Raises:
        ConfigError: the text is neither.
    """
    count = whole_number(text)
    if count is not None:
        return count
    share = finite_number(text.removesuffix("%"))
    if not text.endswith("%") or share is None or not 0 <= share <= 100:
        raise ConfigError(
            f"max_failed must be a number or per cent, such as 5%, got {shortened(text)!r}",
            options=("max_failed",),
        )
    return max(FEWEST_FAILED, int(rows * share / 100))


def workers_from(text: str) -> tuple[int, int]:
    """Return the smallest and the largest number of workers, from ``N`` or ``MIN:MAX``.

    Raises:
        ConfigError: the text has another form, or MIN is larger than MAX.
    """
    first, _, last = text.partition(":")
    least, most = whole_number(first), whole_number(last if ":" in text else first)
    if not least or not most or least > most:
        raise ConfigError(
            f"workers must be a number or MIN:MAX, such as 8:64, got {shortened(text)!r}",
            options=("workers",),
        )
    return least, most


def bytes_from(text: str) -> float:
    """Return a size such as ``500MB`` or ``50GB`` in bytes.

    Raises:
        ConfigError: the text is not a size greater than 0.
    """
    units = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
    unit = units.get(text[-2:].upper(), 0.0)
    number = finite_number(text[:-2] if unit else text)
    if number is None or number <= 0:
        raise ConfigError(
            f"max_input must be a size such as 500MB or 50GB, got {shortened(text)!r}",
            options=("max_input",),
        )
    return number * (unit or 1.0)


def seconds_from(text: str, option: str) -> float:
    """Return a time such as ``90``, ``30s``, ``5m`` or ``2h`` in seconds.

    Raises:
        ConfigError: the text is not a time greater than 0.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    unit = units.get(text[-1:], 0.0)
    number = finite_number(text[:-1] if unit else text)
    if number is None or number <= 0:
        raise ConfigError(
            f"{option} must be a time such as 90s, 5m or 2h, got {shortened(text)!r}",
            options=(option,),
        )
    return number * (unit or 1.0)
