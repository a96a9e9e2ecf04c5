"""An engine whose workers are a script, and a clock that moves only while the dispatcher waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from maskcast.batch.dispatch import Dispatcher
from maskcast.batch.engine import (
    Assignment,
    VideoBegan,
    VideoEnded,
    VideoOutcome,
    WorkerEvent,
    WorkerLost,
    WorkerReady,
)
from maskcast.batch.job import ModelChoice, VideoJob, VideoSettings
from maskcast.batch.members import BatchEnding, QueuedVideo
from maskcast.batch.policy import BatchPolicy

Script = Callable[[int, Assignment], Iterable[tuple[float, WorkerEvent]]]
"""Returns what a worker does with a video: events, each some seconds after the one before."""

FINISHED = VideoOutcome(status="finished")


class Clock:
    """A time that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class PretendedEngine:
    """Workers that follow a script."""

    def __init__(self, script: Script, clock: Clock, *, ready_after: float = 1.0) -> None:
        self.clock = clock
        self.script = script
        self.ready_after = ready_after
        self.held: list[tuple[int, str, int]] = []
        """Worker, id and attempt of everything that was given."""
        self.at_work: dict[int, Assignment] = {}
        self.alive: set[int] = set()
        self.stopped: list[int] = []
        self.killed: list[int] = []
        self.started: list[float] = []
        self.obeys = True
        self.is_closed = False
        self._events: list[tuple[float, int, WorkerEvent]] = []
        self._order = count()
        self._numbers = count(1)

    def start_worker(self) -> int:
        worker = next(self._numbers)
        self.alive.add(worker)
        self.started.append(self.clock.now)
        self.add(self.ready_after, WorkerReady(worker, "pretended", "cpu"))
        return worker

    def add(self, seconds: float, event: WorkerEvent) -> None:
        heapq.heappush(self._events, (self.clock.now + seconds, next(self._order), event))

    def give(self, worker: int, work: Assignment) -> None:
        assert worker in self.alive
        assert worker not in self.at_work, "a worker has one video at a time"
        self.held.append((worker, work.job.id, work.attempt))
        self.at_work[worker] = work
        after = 0.0
        for seconds, event in self.script(worker, work):
            after += seconds
            self.add(after, event)

    def ask_to_stop(self, worker: int) -> None:
        self.stopped.append(worker)
        if self.obeys and worker in self.alive:
            if worker in self.at_work:
                outcome = VideoOutcome(status="interrupted")
                self.add(1.0, VideoEnded(worker, self.at_work[worker].job.id, outcome))
            self.add(1.5, WorkerLost(worker, "nobody"))

    def kill(self, worker: int) -> None:
        self.killed.append(worker)
        self.add(0.1, WorkerLost(worker, "video", "exit code -9, SIGKILL"))

    def events(self, timeout: float) -> Iterator[WorkerEvent]:
        due = self._events[0][0] if self._events else self.clock.now + timeout
        self.clock.now = max(self.clock.now, min(due, self.clock.now + timeout))
        while self._events and self._events[0][0] <= self.clock.now:
            event = heapq.heappop(self._events)[2]
            if event.worker not in self.alive:
                continue
            if isinstance(event, VideoEnded):
                if event.worker not in self.at_work:
                    continue
                del self.at_work[event.worker]
            if isinstance(event, WorkerLost):
                self.alive.discard(event.worker)
                self.at_work.pop(event.worker, None)
            yield event

    def close(self) -> None:
        self.is_closed = True


def finishing(worker: int, work: Assignment) -> Iterator[tuple[float, WorkerEvent]]:
    """Every video takes ten seconds."""
    yield 0.1, VideoBegan(worker, work.job.id)
    yield 10.0, VideoEnded(worker, work.job.id, FINISHED)


def failing(kind: Any, sentence: str = "it is broken") -> Script:
    """Every attempt fails."""

    def script(worker: int, work: Assignment) -> Iterator[tuple[float, WorkerEvent]]:
        outcome = VideoOutcome(status="failed", kind=kind, sentence=sentence)
        yield 0.1, VideoBegan(worker, work.job.id)
        yield 1.0, VideoEnded(worker, work.job.id, outcome)

    return script


def by_id(scripts: dict[str, Script]) -> Script:
    """Follow the script of a video; others finish."""
    return lambda worker, work: scripts.get(work.job.id, finishing)(worker, work)


def in_turn(*scripts: Script) -> Script:
    """Follow one script per attempt; the last one stays."""
    waiting = list(scripts)

    def script(worker: int, work: Assignment) -> Iterable[tuple[float, WorkerEvent]]:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(worker, work)

    return script


def queued(job_id: str, *, priority: int = 0, weights: str | None = None) -> QueuedVideo:
    """A video that waits."""
    settings = VideoSettings(model=ModelChoice(weights=weights))
    job = VideoJob(id=job_id, video=Path(f"{job_id}.mp4"), priority=priority, settings=settings)
    return QueuedVideo(Assignment(job=job, folder=Path(job_id), request="r", input="i"))


class Batch:
    """A dispatcher on a pretended engine, and everything that it records."""

    def __init__(
        self,
        videos: Iterable[str | QueuedVideo | None],
        script: Script = finishing,
        *,
        most_failed: int = 20,
        **policy: Any,
    ) -> None:
        self.clock = Clock()
        self.engine = PretendedEngine(script, self.clock)
        self.records: list[dict[str, Any]] = []
        queue = (queued(video) if isinstance(video, str) else video for video in videos)
        self.dispatcher = Dispatcher(
            iter(queue),
            self.engine,
            BatchPolicy(most_failed=most_failed, **policy),
            self.record,
            clock=self.clock,
            tick=self.tick,
        )
        self.ticks: list[Callable[[], None]] = []

    def record(self, name: str, **entries: Any) -> None:
        self.records.append({"event": name, "at": self.clock.now, **entries})

    def tick(self) -> None:
        for function in self.ticks:
            function()

    def run(self) -> BatchEnding:
        ending = self.dispatcher.run()
        assert self.engine.is_closed
        return ending

    def named(self, name: str, entry: str = "id") -> list[Any]:
        """An entry of all events with a name."""
        return [record.get(entry) for record in self.records if record["event"] == name]

    @property
    def order(self) -> list[str]:
        """Ids in the order in which they were given to workers."""
        return [job_id for _, job_id, _ in self.engine.held]
