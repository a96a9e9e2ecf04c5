"""Give videos to workers, count attempts, and decide what happens after a failure.

The dispatcher does no input or output of its own: workers are reached through an ``Engine``, events
are recorded through a function, and the clock is passed in. Imports no torch.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any, Literal

from maskcast.batch.engine import (
    Engine,
    FailureKind,
    VideoBeat,
    VideoBegan,
    VideoEnded,
    WorkerEvent,
    WorkerId,
    WorkerLeaving,
    WorkerLost,
    WorkerReady,
    WorkerUnable,
)
from maskcast.batch.members import BatchEnding, KnownWorker, QueuedVideo, RecordEvent
from maskcast.batch.policy import (
    BUSY_EVERY,
    BUSY_FOR,
    COUNTED,
    FINAL,
    IN_A_ROW,
    MOST_MACHINES,
    PATIENCE,
    STARTING,
    BatchPolicy,
)
from maskcast.core.numbers import counted

AHEAD = 32
"""Number of rows among which a worker looks for one with its model."""
WAIT = 0.5
"""Maximum time in seconds to wait for events."""


class Dispatcher:
    """Works through a queue of videos."""

    def __init__(
        self,
        queue: Iterator[QueuedVideo | None],
        engine: Engine,
        policy: BatchPolicy,
        record: RecordEvent,
        *,
        clock: Callable[[], float] = time.monotonic,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a batch; ``run`` does it.

        Args:
            queue: yields videos in the order of their work, and None where it takes a while to find
                the next one.
            engine: starts workers.
            policy: numbers of workers and attempts, and limits.
            record: is called with every event, from the thread that calls ``run``.
            clock: returns the time in seconds.
            tick: is called at least every second.
        """
        self._queue = queue
        self._tick = tick
        self._has_more = True
        self._engine = engine
        self._policy = policy
        self._record = record
        self._clock = clock
        self._ahead: deque[QueuedVideo] = deque()
        self._again: deque[QueuedVideo] = deque()
        self._delayed: list[tuple[float, int, QueuedVideo]] = []
        self._order = count()
        self._workers: dict[WorkerId, KnownWorker] = {}
        self._failed = 0
        self._sentences: Counter[str] = Counter()
        self._unwritten: list[WorkerId] = []
        self._failed_starts = 0
        self._ending: BatchEnding | None = None
        self._stops = 0

    def stop(self) -> None:
        """Let all workers save their states and end; called again, end them at once.

        May be called by a signal handler.
        """
        self._stops += 1

    def run(self) -> BatchEnding:
        """Do all videos, or stop early.

        Raises:
            OutputError: ``record`` cannot write; workers were asked to save their states.
        """
        try:
            ending = self._work()
        finally:
            self._wind_up()
        self._record("stopped", reason=ending.reason, sentence=ending.sentence)
        return ending

    def _work(self) -> BatchEnding:
        while self._ending is None and not self._stops:
            self._prepare()
            if self._is_over():
                return BatchEnding("finished")
            self._listen(self._timeout())
            self._check_silence()
            self._tick()
        return self._ending or BatchEnding("interrupted", exit_code=130)

    # what is done next

    def _prepare(self) -> None:
        """Read ahead, start workers, and give videos to idle ones."""
        self._read_ahead()
        now = self._clock()
        while self._delayed and self._delayed[0][0] <= now:
            self._again.append(heapq.heappop(self._delayed)[2])
        idle = [w for w, member in self._workers.items() if member.is_idle]
        for worker in idle:
            video = self._next_for(self._workers[worker])
            if video is None:
                break
            self._give(worker, video)
        self._start_workers()

    def _read_ahead(self) -> None:
        while self._has_more and len(self._ahead) < AHEAD:
            try:
                video = next(self._queue)
            except StopIteration:
                self._has_more = False
                return
            if video is None:
                return
            self._ahead.append(video)

    def _next_for(self, member: KnownWorker) -> QueuedVideo | None:
        """Take the next video, preferably one of the highest priority with the worker's model."""
        if self._again:
            return self._again.popleft()
        if not self._ahead:
            return None
        first = self._ahead[0].work.job.priority
        for position, video in enumerate(self._ahead):
            job = video.work.job
            if job.settings.model == member.model and job.priority == first:
                del self._ahead[position]
                return video
        return self._ahead.popleft()

    def _give(self, worker: WorkerId, video: QueuedVideo) -> None:
        member = self._workers[worker]
        member.video, member.has_begun, member.stalled_at = video, False, None
        member.model, member.heard = video.work.job.settings.model, self._clock()
        self._engine.give(worker, replace(video.work, attempt=video.attempts + 1))

    def _start_workers(self) -> None:
        staying = [member for member in self._workers.values() if not member.is_leaving]
        free = sum(member.video is None for member in staying)
        waiting = len(self._again) + len(self._ahead)
        wanted = min(self._policy.jobs - len(staying), waiting - free, self._startable(staying))
        for _ in range(wanted):
            worker = self._engine.start_worker()
            self._record("starting", worker=worker)
            self._workers[worker] = KnownWorker(heard=self._clock())

    def _startable(self, staying: list[KnownWorker]) -> int:
        """Return how many workers may start: the smallest number at once, then one at a time."""
        least = self._policy.jobs if self._policy.least_jobs is None else self._policy.least_jobs
        starting = sum(not member.is_ready for member in staying)
        return max(least - len(staying), 1 - starting)

    def _is_over(self) -> bool:
        at_work = any(member.video is not None for member in self._workers.values())
        return not (self._has_more or self._ahead or self._again or self._delayed or at_work)

    def _timeout(self) -> float:
        if self._has_more and len(self._ahead) < AHEAD:
            return 0.0
        due = self._delayed[0][0] - self._clock() if self._delayed else WAIT
        return min(max(due, 0.0), WAIT)

    # what has happened

    def _listen(self, timeout: float) -> None:
        for event in self._engine.events(timeout):
            member = self._workers.get(event.worker)
            if member is not None:
                member.heard = self._clock()
                self._take(event, member)

    def _take(self, event: WorkerEvent, member: KnownWorker) -> None:
        match event:
            case WorkerReady(worker, machine, device, process):
                member.is_ready, self._failed_starts = True, 0
                self._record(
                    "worker", worker=worker, machine=machine, device=device, process=process
                )
            case WorkerUnable(_, sentence, exit_code):
                self._end("unable", sentence, exit_code)
            case VideoBegan(worker, job_id):
                member.has_begun = True
                attempt = member.video.attempts + 1 if member.video else 1
                self._record("began", id=job_id, worker=worker, attempt=attempt)
            case VideoBeat(worker, job_id, work, done, total):
                self._record("beat", id=job_id, worker=worker, work=work, done=done, total=total)
            case WorkerLeaving():
                member.is_leaving = True
            case WorkerLost():
                self._lost(event, member)
            case VideoEnded():
                self._ended(event, member)

    def _ended(self, event: VideoEnded, member: KnownWorker) -> None:
        video, member.video = member.video, None
        if video is None:
            return
        outcome = event.outcome
        job = video.work.job
        if outcome.status == "finished":
            self._unwritten.clear()
            figures = vars(outcome.figures)
            self._record("finished", id=job.id, worker=event.worker, **figures, **job.extra)
        elif outcome.status == "interrupted" and member.stalled_at is None:
            self._record("interrupted", id=job.id, worker=event.worker)
            self._again.appendleft(video)
        else:
            kind = "stall" if member.stalled_at is not None else outcome.kind or "fault"
            sentence = outcome.sentence or "no progress"
            self._failed_attempt(video, event.worker, kind, sentence, outcome.log)
            if kind == "memory":
                self._dismiss(event.worker)

    def _lost(self, event: WorkerLost, member: KnownWorker) -> None:
        del self._workers[event.worker]
        video = member.video
        if video is None:
            self._record("left", worker=event.worker, note=event.note)
            if not member.is_ready:
                self._failed_to_start(event.note)
            return
        self._record("lost", worker=event.worker, id=video.work.job.id, note=event.note)
        if member.stalled_at is not None:
            sentence = f"no progress for {self._policy.stall:g} s"
            self._failed_attempt(video, event.worker, "stall", sentence)
        elif event.blame == "machine":
            self._lost_machine(video, event)
        elif event.blame == "video" and member.has_begun:
            sentence = f"the worker process died ({event.note})"
            self._failed_attempt(video, event.worker, "crash", sentence)
        else:
            self._again.appendleft(video)

    def _lost_machine(self, video: QueuedVideo, event: WorkerLost) -> None:
        video.machines += 1
        if video.machines < MOST_MACHINES:
            self._again.appendleft(video)
            return
        video.machines = 0
        sentence = f"{MOST_MACHINES} machines died in a row"
        self._failed_attempt(video, event.worker, "crash", sentence)

    def _failed_to_start(self, note: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= IN_A_ROW:
            self._end("unable", f"worker processes die before they are ready ({note})", 3)

    def _failed_attempt(
        self,
        video: QueuedVideo,
        worker: WorkerId,
        kind: FailureKind,
        sentence: str,
        log: tuple[str, ...] = (),
    ) -> None:
        job = video.work.job
        if kind == "busy" and self._waits(video):
            return
        video.busy_since = None
        video.attempts += kind in COUNTED
        self._record(
            "failed", id=job.id, worker=worker, kind=kind, sentence=sentence,
            attempts=video.attempts, request=video.work.request,
        )  # fmt: skip
        self._unwritten = [*self._unwritten, worker] if kind == "output" else []
        if self._cannot_write():
            self._again.appendleft(video)
            self._end("output", sentence, 3)
        elif kind in FINAL or video.attempts >= self._policy.attempts:
            self._quarantine(video, worker, kind, sentence, log)
        elif delay := self._policy.delay(kind, video.attempts):
            self._delay(video, delay)
        else:
            self._again.appendleft(video)

    def _waits(self, video: QueuedVideo) -> bool:
        """Wait for another process that has locked the folder; return whether there is time."""
        now = self._clock()
        video.busy_since = now if video.busy_since is None else video.busy_since
        if now - video.busy_since >= BUSY_FOR:
            return False
        self._delay(video, BUSY_EVERY)
        return True

    def _delay(self, video: QueuedVideo, seconds: float) -> None:
        heapq.heappush(self._delayed, (self._clock() + seconds, next(self._order), video))

    def _cannot_write(self) -> bool:
        latest = self._unwritten[-IN_A_ROW:]
        distinct = min(IN_A_ROW, self._policy.jobs)
        return len(latest) == IN_A_ROW and len(set(latest)) >= distinct

    def _quarantine(
        self,
        video: QueuedVideo,
        worker: WorkerId,
        kind: FailureKind,
        sentence: str,
        log: tuple[str, ...],
    ) -> None:
        job = video.work.job
        self._failed += 1
        self._sentences[sentence.replace(job.id, "…")] += 1
        limit = self._policy.time_limit if job.time_limit is None else job.time_limit
        details: dict[str, Any] = {"limit": limit} if kind == "time" else {}
        self._record(
            "quarantined", id=job.id, worker=worker, kind=kind, sentence=sentence,
            attempts=video.attempts, log=list(log), row=job.row(), request=video.work.request,
            input=video.work.input, **details,
        )  # fmt: skip
        if self._failed > self._policy.most_failed:
            commonest = "; ".join(f"{n}× {text}" for text, n in self._sentences.most_common(3))
            self._end("max-failed", f"{counted(self._failed, 'video')} failed: {commonest}", 4)

    # ending

    def _end(
        self, reason: Literal["max-failed", "output", "unable"], sentence: str, exit_code: int
    ) -> None:
        self._ending = self._ending or BatchEnding(reason, sentence, exit_code)

    def _dismiss(self, worker: WorkerId) -> None:
        self._workers[worker].is_leaving = True
        self._engine.ask_to_stop(worker)

    def _check_silence(self) -> None:
        now = self._clock()
        for worker, member in list(self._workers.items()):
            silence = now - member.heard
            if member.stalled_at is not None:
                if now - member.stalled_at > PATIENCE:
                    self._engine.kill(worker)
            elif silence > self._limit(member):
                member.stalled_at = now
                self._dismiss(worker)

    def _limit(self, member: KnownWorker) -> float:
        """Return the seconds for which a worker may be silent."""
        if not member.is_ready:
            return max(self._policy.stall, STARTING)
        return math.inf if member.video is None else self._policy.stall

    def _wind_up(self) -> None:
        """Let workers with a video save it, for ``PATIENCE`` seconds at most; end all."""
        try:
            deadline = self._clock() + PATIENCE
            busy = [w for w, member in self._workers.items() if member.video is not None]
            for worker in busy:
                self._dismiss(worker)
            while self._stops < 2 and self._clock() < deadline:
                if not any(member.video is not None for member in self._workers.values()):
                    break
                self._listen(WAIT)
            for worker, member in list(self._workers.items()):
                if member.video is not None:
                    self._engine.kill(worker)
        finally:
            self._engine.close()
