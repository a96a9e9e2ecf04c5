"""What a batch has done so far, added up from its events. Imports no torch.

The dispatcher feeds its events in as they happen; ``read_totals`` feeds in those of the journal, so
that a terminal, a report and another machine show the same figures.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from maskcast.batch.journal import JournalEvent, read_journal
from maskcast.core.errors import MissingFileError
from maskcast.core.numbers import counted

STAGES = ("fetch", "decode", "model", "write", "commit")
"""Kinds of work whose seconds are added up; they overlap."""
SLOWEST = 20
"""Number of videos in lists of the slowest and of the least certain ones."""
MOST_POINTS = 400
"""Number of points of the curve of finished videos."""


@dataclass
class FailedVideo:
    """A video that is not tried again."""

    kind: str
    sentence: str
    attempts: int = 0
    worker: int = 0
    row: Mapping[str, Any] = field(default_factory=dict)
    """The row of the manifest, with absolute paths."""
    log: tuple[str, ...] = ()
    request: str = ""
    input: str | None = None
    limit: float | None = None
    """The time limit of a video that took too long."""


@dataclass
class WorkerView:
    """A worker of a call that has not ended."""

    machine: str = ""
    device: str = ""
    since: float = 0.0
    """Time of its start."""
    job_id: str = ""
    """Video at work; empty if idle."""
    began: float = 0.0
    attempt: int = 1
    work: str = ""
    done: int = 0
    total: int | None = None
    beat: float = 0.0
    rate: float = 0.0
    """Frames per second."""


@dataclass
class CallTotals:
    """Figures of one call of the dispatcher."""

    shard: tuple[int, int] = (0, 1)
    rows: int = 0
    """Rows of its shard."""
    began: float = 0.0
    latest: float = 0.0
    """Time of its latest event."""
    finished: int = 0
    price: float | None = None
    """Price of a worker-hour."""
    reason: str = ""
    """Why it ended; empty while it runs, or if it was killed."""
    sentence: str = ""
    workers: dict[int, WorkerView] = field(default_factory=dict)


@dataclass
class MachineTotals:
    """Figures of all workers with one device of one machine."""

    videos: int = 0
    frames: int = 0
    seconds: float = 0.0
    """Time of finished attempts."""


@dataclass(frozen=True)
class VideoMark:
    """One video in a list of videos, with the figure it is listed for."""

    value: float
    job_id: str
    note: str = ""

    def __lt__(self, other: VideoMark) -> bool:
        return self.value < other.value


class BatchTotals:
    """Adds up the events of a batch."""

    def __init__(self) -> None:
        self.calls: dict[str, CallTotals] = {}
        """The latest call of each shard, by its name."""
        self.failed: dict[str, FailedVideo] = {}
        """Videos that are not tried again, by id."""
        self.attempts: dict[str, tuple[str, int]] = {}
        """Request and number of failed attempts of unfinished videos, by id."""
        self.changed: set[str] = set()
        """Ids of finished videos whose row or input has changed since."""
        self.frames = 0
        self.object_frames = 0
        self.video_seconds = 0.0
        self.stages = dict.fromkeys(STAGES, 0.0)
        """Seconds of each kind of work."""
        self.at_work = 0.0
        """Seconds that workers spent on attempts which finished."""
        self.lost = 0.0
        """Seconds that workers spent on attempts which failed or were interrupted."""
        self.worker_seconds = 0.0
        """Seconds for which workers existed."""
        self.kinds: Counter[str] = Counter()
        """Failed attempts, by kind."""
        self.machines: dict[str, MachineTotals] = {}
        """Figures by machine and device."""
        self.slowest: list[VideoMark] = []
        self.least_certain: list[VideoMark] = []
        self.vanishing: list[VideoMark] = []
        self.curve: list[tuple[float, int]] = []
        """Time and number of finished videos."""
        self._finished: set[int] = set()
        self._call = CallTotals()
        self._every = 1

    # figures

    @property
    def rows(self) -> int:
        """Number of rows of all shards that have begun."""
        return sum(call.rows for call in self.calls.values())

    @property
    def finished(self) -> int:
        """Number of finished videos."""
        return len(self._finished)

    @property
    def left(self) -> int:
        """Number of rows that are neither finished nor failed nor changed."""
        return max(self.rows - self.finished - len(self.failed), 0)

    @property
    def workers(self) -> list[WorkerView]:
        """The workers of all calls that have not ended."""
        calls = (call for call in self.calls.values() if not call.reason)
        return [worker for call in calls for worker in call.workers.values()]

    @property
    def idle(self) -> float:
        """Seconds for which workers had nothing to do or were starting."""
        return max(self.worker_seconds - self.at_work - self.lost, 0.0)

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the end, in seconds; None before the first video is finished."""
        running = [call for call in self.calls.values() if not call.reason]
        rate = sum(c.finished / (c.latest - c.began) for c in running if c.latest > c.began)
        return self.left / rate if rate else None

    @property
    def cost(self) -> float | None:
        """Cost so far; None without a price."""
        prices = [call.price for call in self.calls.values() if call.price is not None]
        return prices[-1] * self.worker_seconds / 3600 if prices else None

    def is_finished(self, job_id: str) -> bool:
        """Return whether the journal says that a video is finished."""
        return _hash(job_id) in self._finished

    # events

    def take(self, event: JournalEvent) -> None:
        """Add an event; unknown ones and those with damaged entries are ignored."""
        handler = getattr(self, f"_take_{event['event']}", None)
        if handler is None:
            return
        try:
            at = float(event["at"])
            self._pass_time(at)
            if event["event"] != "run":
                at = self._call.latest  # the clock of a machine may have been set back
            handler(event, at)
        except (KeyError, TypeError, ValueError, AttributeError):
            return

    def _pass_time(self, at: float) -> None:
        call = self._call
        elapsed = max(at - call.latest, 0.0) if call.latest else 0.0
        self.worker_seconds += elapsed * len(call.workers)
        call.latest = max(at, call.latest)

    def _take_run(self, event: JournalEvent, at: float) -> None:
        first, count = event["shard"]
        price = event.get("price")
        self._call = CallTotals(
            shard=(int(first), int(count)),
            rows=int(event["rows"]),
            began=at,
            latest=at,
            price=None if price is None else float(price),
        )
        self.calls[f"{first}/{count}"] = self._call

    def _take_starting(self, event: JournalEvent, at: float) -> None:
        self._call.workers[int(event["worker"])] = WorkerView(since=at)

    def _take_worker(self, event: JournalEvent, at: float) -> None:
        view = self._call.workers[event["worker"]]
        view.machine, view.device = str(event["machine"]), str(event["device"])

    def _take_began(self, event: JournalEvent, at: float) -> None:
        view = self._call.workers[event["worker"]]
        view.job_id, view.began, view.beat = str(event["id"]), at, at
        view.attempt, view.work, view.done, view.total = event["attempt"], "", 0, None
        view.rate = 0.0

    def _take_beat(self, event: JournalEvent, at: float) -> None:
        view = self._call.workers[event["worker"]]
        work, done = str(event["work"]), int(event["done"])
        if work == view.work and at > view.beat:
            view.rate = max(done - view.done, 0) / (at - view.beat)
        view.work, view.done, view.total, view.beat = work, done, event["total"], at

    def _take_finished(self, event: JournalEvent, at: float) -> None:
        job_id = str(event["id"])
        if (view := self._call.workers.get(event["worker"])) is not None:
            name = f"{view.machine} {view.device}".strip()
            machine = self.machines.setdefault(name, MachineTotals())
            machine.videos += 1
            machine.frames += int(event["frames"])
            machine.seconds += at - view.began
        self._settle(event, at, is_lost=False)
        self._forget(job_id)
        self._finished.add(_hash(job_id))
        self._call.finished += 1
        self.frames += int(event["frames"])
        self.object_frames += int(event["frames"]) * int(event["objects"])
        self.video_seconds += float(event["video_seconds"] or 0.0)
        for stage in STAGES:
            self.stages[stage] += float(event.get(stage, 0.0))
        self._note(event, job_id)
        if self._call.finished % self._every == 0:
            self.curve.append((at, self.finished))
        if len(self.curve) > MOST_POINTS:
            self.curve, self._every = self.curve[::2], self._every * 2

    def _take_kept(self, event: JournalEvent, at: float) -> None:
        self._finished.add(_hash(str(event["id"])))

    def _take_changed(self, event: JournalEvent, at: float) -> None:
        self.changed.add(str(event["id"]))
        self._finished.add(_hash(str(event["id"])))

    def _take_failed(self, event: JournalEvent, at: float) -> None:
        self.kinds[str(event["kind"])] += 1
        self._settle(event, at)
        self.attempts[str(event["id"])] = str(event["request"]), int(event["attempts"])

    def _take_interrupted(self, event: JournalEvent, at: float) -> None:
        self._settle(event, at)

    def _take_lost(self, event: JournalEvent, at: float) -> None:
        self._settle(event, at)
        self._call.workers.pop(event["worker"], None)

    def _take_left(self, event: JournalEvent, at: float) -> None:
        self._call.workers.pop(event["worker"], None)

    def _take_quarantined(self, event: JournalEvent, at: float) -> None:
        job_id = str(event["id"])
        self._forget(job_id)
        self.failed[job_id] = FailedVideo(
            kind=str(event["kind"]),
            sentence=str(event["sentence"]),
            attempts=int(event["attempts"]),
            worker=int(event["worker"]),
            row={**event["row"]},
            log=tuple(map(str, event["log"])),
            request=str(event["request"]),
            input=event.get("input"),
            limit=event.get("limit"),
        )

    def _take_retried(self, event: JournalEvent, at: float) -> None:
        self._forget(str(event["id"]))

    def _take_stopped(self, event: JournalEvent, at: float) -> None:
        self._call.reason, self._call.sentence = str(event["reason"]), str(event["sentence"])
        self._call.workers.clear()

    def _settle(self, event: JournalEvent, at: float, *, is_lost: bool = True) -> None:
        """Count the time of an attempt, and show its worker as idle."""
        view = self._call.workers.get(event["worker"])
        if view is None or not view.job_id:
            return
        if is_lost:
            self.lost += at - view.began
        else:
            self.at_work += at - view.began
        view.job_id = ""

    def _forget(self, job_id: str) -> None:
        self.failed.pop(job_id, None)
        self.attempts.pop(job_id, None)
        self.changed.discard(job_id)

    def _note(self, event: JournalEvent, job_id: str) -> None:
        _keep(
            self.slowest,
            VideoMark(float(event["total"]), job_id, counted(int(event["frames"]), "frame")),
        )
        confidence, empty = event["lowest_confidence"], int(event["empty_frames"])
        if confidence is not None:
            _keep(self.least_certain, VideoMark(-float(confidence), job_id))
        if empty:
            _keep(
                self.vanishing,
                VideoMark(empty, job_id, f"of {counted(int(event['frames']), 'frame')}"),
            )


def _keep(marks: list[VideoMark], mark: VideoMark) -> None:
    """Add a mark to the list of the largest ones, a heap."""
    if len(marks) < SLOWEST:
        heapq.heappush(marks, mark)
    else:
        heapq.heappushpop(marks, mark)


def _hash(job_id: str) -> int:
    return int.from_bytes(blake2b(job_id.encode(), digest_size=8).digest(), "big")


def read_totals(output: Path) -> BatchTotals:
    """Add up the journal of a batch.

    Raises:
        MissingFileError: the folder has no journal.
        DataError: a file cannot be read.
    """
    totals = BatchTotals()
    is_empty = True
    for event in read_journal(output):
        totals.take(event)
        is_empty = False
    if is_empty:
        raise MissingFileError(f"{output} has no journal of a batch", options=("output",))
    return totals
