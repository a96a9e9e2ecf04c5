"""Jobs: tracking and exports, one at a time. Imports no torch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from maskcast.core.errors import UsageError
from maskcast.runs.layout import EXPORTS
from maskcast.web.downloads import ZIP
from maskcast.web.events import Events
from maskcast.web.exports_list import LABELS_FILE
from maskcast.web.messages import (
    Ended,
    Failed,
    MakeExports,
    Progressed,
    Stepped,
    Stop,
    TakenUp,
    Track,
    TrackingDirection,
    WorkerError,
    failure_of,
)
from maskcast.web.project import Project
from maskcast.web.results import stamp_of
from maskcast.web.worker import Worker

BETWEEN = 0.1
"""Minimum time between two events of one kind in seconds."""
RATE_OVER = 5.0
"""Interval over which the speed of a job is measured in seconds."""
MOST_WAITING = 16
PATIENCE = 20.0
"""Seconds in which a job that is stopped may finish its frame when the project is closed."""

logger = logging.getLogger(__name__)

State: TypeAlias = Literal["queued", "running", "stopping", "done", "stopped", "failed"]


@dataclass
class Job:
    """One job and its progress."""

    id: int
    what: Literal["track", "export"]
    direction: TrackingDirection | None = None
    until: int | None = None
    """Last frame of the forward pass."""
    export: MakeExports | None = None
    state: State = "queued"
    work: str = ""
    done: int = 0
    total: int | None = None
    note: str = ""
    error: dict[str, str] | None = None
    restarted: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    restart: bool = False
    """Whether the job must be started again because of an edit while it was running."""
    times: deque[tuple[float, int]] = field(default_factory=deque)

    def progress(self, work: str, done: int, total: int | None) -> None:
        """Record the progress."""
        if work != self.work:
            self.times.clear()
        self.work, self.done, self.total = work, done, total
        now = time.monotonic()
        self.times.append((now, done))
        while len(self.times) > 2 and now - self.times[0][0] > RATE_OVER:
            self.times.popleft()

    def rate(self) -> float | None:
        """Return the speed in frames per second, if known."""
        if len(self.times) < 2:
            return None
        (began, first), (now, last) = self.times[0], self.times[-1]
        return (last - first) / (now - began) if now > began and last > first else None

    def to_json(self) -> dict[str, Any]:
        """Return the job in the form that the page shows."""
        rate = self.rate()
        left = None if rate is None or self.total is None else (self.total - self.done) / rate
        names = {"frames": "forward"}
        return {
            "id": self.id,
            "what": self.what,
            "state": self.state,
            "direction": self.direction,
            "until": self.until,
            "pass": names.get(self.work, self.work),
            "done": self.done,
            "total": self.total,
            "rate": rate,
            "left": left,
            "note": self.note,
            "error": self.error,
            "files": self.files,
            "restarted": self.restarted,
        }


class Jobs:
    """The jobs of one project."""

    def __init__(self, project: Project, model: Worker, events: Events, lock: asyncio.Lock) -> None:
        """Start without jobs.

        Args:
            project: the open project.
            model: the model worker.
            events: receives the progress.
            lock: held while an edit is written.
        """
        self.resume_after_edits = True
        self.span: tuple[int, int] | None = None
        """Frames of the last export."""
        self._project, self._model, self._events, self._lock = project, model, events, lock
        self._queue: list[Job] = []
        self._number = 0
        self._working: asyncio.Task[None] | None = None
        self._reported = 0.0
        self._news = _LabelNews(project, events)

    @property
    def current(self) -> Job | None:
        """The running job."""
        return self._queue[0] if self._queue else None

    @property
    def waiting(self) -> list[Job]:
        """The waiting jobs, in order."""
        return self._queue[1:]

    def track(self, direction: TrackingDirection, until: int | None) -> Job:
        """Add a job that computes masks up to a frame. Raises ``UsageError``."""
        if not self._project.request().first_prompts():
            raise UsageError("no objects to track; mark one first")
        return self._add(what="track", direction=direction, until=until)

    def export(self, wanted: MakeExports) -> Job:
        """Add a job that makes exports. Raises ``UsageError``."""
        self.span = wanted.span
        return self._add(what="export", export=wanted)

    def stop(self, number: int) -> Job:
        """Stop a job after the current frame. Raises ``UsageError``."""
        for job in self._queue:
            if job.id == number:
                job.restart = False
                self._stop(job)
                return job
        raise UsageError(f"there is no job {number} in progress")

    def edited(self) -> None:
        """Apply an edit: a tracking job is started again or stopped."""
        job = self.current
        if job is None or job.what != "track" or job.state not in ("running", "stopping"):
            return
        if job.state == "running":
            job.restart = self.resume_after_edits
            self._model.tell(Stop())
            if not job.restart:
                job.state, job.note = "stopping", "stopped by an edit"

    async def close(self) -> None:
        """Stop all jobs and wait for the running one."""
        for job in list(self._queue):
            job.restart = False
            self._stop(job)
        if self._working is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._working), PATIENCE)
        if not self._working.done():  # a frame of a slow method; only this frame is lost
            self._model.kill()
            await self._working

    def _add(self, **content: Any) -> Job:
        if len(self._queue) >= MOST_WAITING:
            raise UsageError(f"{MOST_WAITING} jobs are waiting already")
        self._number += 1
        job = Job(id=self._number, **content)
        self._queue.append(job)
        self._tell(job)
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())
        return job

    def _stop(self, job: Job) -> None:
        if job.state == "running":
            job.state = "stopping"
            self._model.tell(Stop())
        elif job.state == "queued":
            job.state = "stopped"
            self._queue.remove(job)
        self._tell(job)

    async def _work(self) -> None:
        while self._queue:
            job = self._queue[0]
            try:
                await self._run(job)
            except WorkerError as error:
                self._fail(job, error.failure)
            except Exception as error:
                logger.exception("job %d", job.id)
                self._fail(job, failure_of(error))
            finally:
                self._queue.remove(job)
                await self._settle(job)

    async def _run(self, job: Job) -> None:
        ended = await self._once(job)
        while job.restart:
            job.restart, job.restarted = False, job.restarted + 1
            ended = await self._once(job)
        if not ended.finished:
            job.state = "stopped"
            return
        job.state = "done"
        if job.export is not None:
            labels = [{"name": LABELS_FILE, "bytes": None}] if job.export.labels else []
            job.files = [*labels, *(self._described(name) for name in ended.files)]

    async def _once(self, job: Job) -> Ended:
        async with self._lock:  # an edit that is being written comes first
            message = self._message(job)
        if job.state == "queued":
            job.state = "running"
            self._tell(job)

        def heard(reply: Any) -> None:
            self._hear(job, reply)

        ended: Ended = await self._model.ask(message, heard)
        self._news.flush()
        self._take_up()
        return ended

    def _message(self, job: Job) -> Track | MakeExports:
        if job.export is not None:
            return job.export
        assert job.direction is not None
        both = self._project.goes_backward or job.direction != "forward"
        return Track(
            marks=self._project.document.marks(goes_backward=both),
            direction=job.direction,
            until=None if job.until is None else job.until + 1,
        )

    def _hear(self, job: Job, reply: Any) -> None:
        match reply:
            case TakenUp():
                self._news.flush()
                self._take_up()
                self._project.note_marks()
            case Stepped():
                self._news.add(reply)
            case Progressed(work=work, done=done, total=total):
                job.progress(work, done, total)
                if time.monotonic() - self._reported > BETWEEN:
                    self._tell(job)

    def _take_up(self) -> None:
        """Read the log again; frames that were set aside or restored have other stamps."""
        before = self._project.results.snapshot()
        self._project.load_results()
        tell_changes(self._project, self._events, before)
        self._events.tell("outdated", **{"from": self._project.outdated_from()})

    async def _settle(self, job: Job) -> None:
        self._tell(job)
        if job.what == "track":
            self._events.tell("flags")

    def _fail(self, job: Job, failure: Failed) -> None:
        if failure.kind in ("WorkerDied", "DeviceMemoryError", "busy"):
            job.state, job.note = "stopped", failure.message
        else:
            job.state = "failed"
            job.error = {"kind": failure.kind, "message": failure.message}
        self._news.flush()
        self._take_up()

    def _described(self, name: str) -> dict[str, Any]:
        path = self._project.run / EXPORTS / name
        if path.is_dir():
            return {"name": f"{name}{ZIP}", "bytes": None}
        return {"name": name, "bytes": path.stat().st_size if path.is_file() else None}

    def _tell(self, job: Job) -> None:
        self._reported = time.monotonic()
        self._events.tell("job", **job.to_json())


class _LabelNews:
    """Collects written frames, and sends events about them at most ten times per second."""

    def __init__(self, project: Project, events: Events) -> None:
        self._project, self._events = project, events
        self._first = self._last = -1
        self._stamp = ""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, step: Stepped) -> None:
        """Add a frame."""
        stamp = stamp_of(step.digest, step.backward)
        self._project.results.step(step.frame, stamp, step.objects)
        adjoins = self._first - 1 <= step.frame <= self._last + 1
        if self._timer is not None and not (adjoins and stamp == self._stamp):
            self.flush()
        if self._timer is None:
            self._first = self._last = step.frame
            self._stamp = stamp
            self._timer = asyncio.get_running_loop().call_later(BETWEEN, self.flush)
        self._first, self._last = min(self._first, step.frame), max(self._last, step.frame)

    def flush(self) -> None:
        """Send an event about the collected frames."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        tell_labels(self._project, self._events, self._first, self._last, self._stamp)


def tell_labels(project: Project, events: Events, first: int, last: int, stamp: str | None) -> None:
    """Send an event that the masks of a range of frames have changed; None if they are deleted."""
    tracks = project.results.tracks(project.slots, first, last)
    events.tell("labels", **{"from": first, "to": last, "stamp": stamp, "tracks": tracks})


def tell_changes(project: Project, events: Events, before: list[str | None]) -> None:
    """Send events about all frames whose stamps differ from earlier ones."""
    for first, last, stamp in project.results.changes(before):
        tell_labels(project, events, first, last, stamp)
