"""Segment the videos of a manifest, or continue a batch; the use case of the command. No torch."""

from __future__ import annotations

import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maskcast.batch.batch_file import check_agreement, read_batch_file, write_batch_file
from maskcast.batch.dispatch import BatchEnding, Dispatcher
from maskcast.batch.engine import Engine
from maskcast.batch.job import BatchSettings, MakesSource, VideoSettings
from maskcast.batch.journal import Journal, read_journal
from maskcast.batch.layout import SHARDS, WORK
from maskcast.batch.manifest import Manifest
from maskcast.batch.metrics import METRICS_EVERY, write_metrics
from maskcast.batch.policy import BatchPolicy, most_failed
from maskcast.batch.processes import ProcessEngine
from maskcast.batch.rows import ModelFault, RowRules
from maskcast.batch.summaries import write_summaries
from maskcast.batch.totals import BatchTotals
from maskcast.batch.waiting import Choice, waiting_videos
from maskcast.batch.worker_line import WorkerSetup
from maskcast.core.config import config_to_dict
from maskcast.core.files import alone_in, check_writable
from maskcast.core.processors import ending_signals, processor_count

WATCH_EVERY = 0.5
"""Seconds between two calls of ``watch``."""


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """A manifest, the folder of its results, and how to segment its videos."""

    manifest: Path
    output: Path
    root: Path | None = None
    """Folder that relative paths start from and that no path may leave; None means the folder of
    the manifest, which paths may leave."""
    defaults: VideoSettings = field(default_factory=VideoSettings)
    """Settings of rows that have none of their own."""
    settings: BatchSettings = field(default_factory=BatchSettings)
    threads: int | None = None
    """CPU threads of each worker; None means those of the batch before, or cores / jobs."""
    policy: BatchPolicy = field(default_factory=BatchPolicy)
    max_failed: str = "5%"
    """Number of failed videos, or per cent of the rows, above which the batch stops."""
    choice: Choice = field(default_factory=Choice)
    shard: tuple[int, int] = (0, 1)
    """Index and number of the shards."""
    limit: int | None = None
    """Maximum number of rows."""
    scratch: Path | None = None
    """Folder of unfinished videos; None means one inside ``output``."""
    save_seconds: float = 30.0
    """How often states are saved."""
    price: float | None = None
    """Price of a worker-hour, for the cost."""
    metrics: Path | None = None
    """File of metrics in the text format of Prometheus, written every 15 s."""
    model_fault: ModelFault | None = None
    """Says what is wrong with weights and a method."""

    @property
    def work(self) -> Path:
        """Folder of unfinished videos."""
        return self.output / WORK if self.scratch is None else self.scratch


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """How a batch ended."""

    ending: BatchEnding
    totals: BatchTotals
    still_failed: int
    """Number of rows that failed in an earlier call and were not tried again."""
    total_rows: int
    """Number of rows of all shards."""


def run_batch(
    request: BatchRequest,
    make_source: MakesSource,
    *,
    watch: Callable[[BatchTotals], None] | None = None,
    make_engine: Callable[[WorkerSetup], Engine] | None = None,
) -> BatchResult:
    """Segment the videos of a manifest that are not finished.

    Ctrl-C and SIGTERM let all workers save their states and end; the same call continues.

    Args:
        request: the manifest and the settings.
        make_source: describes a segmenter; it must be picklable.
        watch: is called about twice per second with the figures so far.
        make_engine: starts workers; None means processes of this machine.

    Raises:
        UsageError: an argument is invalid.
        RunConflictError: the folder holds another batch, or another process works on this shard.
        DataError: the manifest cannot be used; all faults are listed.
        OutputError: the journal cannot be written; workers have saved their states.
    """
    check_writable(request.output)
    manifest = _read_manifest(request)
    _agreeing(request)  # before anything is written
    with alone_in(request.output / SHARDS / "{}-of-{}".format(*request.shard)):
        settings = _claim(request, manifest)
        totals = _totals_before(request.output)
        journal = Journal(request.output, request.shard)
        recorder = _Recorder(request, journal, totals, watch)
        recorder.begin(manifest)
        queue = waiting_videos(
            manifest,
            settings,
            request.choice,
            totals,
            recorder.record,
            output=request.output,
            work=request.work,
        )
        most = most_failed(request.max_failed, len(manifest))
        limit = request.choice.time_limit
        policy = replace(request.policy, most_failed=most, time_limit=limit)
        setup = _setup(request, settings, make_source)
        engine = ProcessEngine(setup) if make_engine is None else make_engine(setup)
        dispatcher = Dispatcher(queue, engine, policy, recorder.record, tick=recorder.tick)
        try:
            with _stopping(dispatcher.stop):
                ending = dispatcher.run()
        finally:
            journal.close()
            manifest.close()
        recorder.end()
    return BatchResult(
        ending=ending,
        totals=totals,
        still_failed=recorder.still_failed,
        total_rows=manifest.total_rows,
    )


def plan_batch(request: BatchRequest) -> dict[str, int]:
    """Return how many rows would be segmented, and how many are left alone and why.

    Nothing is written.

    Raises:
        DataError: the manifest cannot be used.
        RunConflictError: the folder holds another batch.
    """
    counts = {"to segment": 0, "finished": 0, "changed": 0, "failed before": 0}
    names = {"kept": "finished", "changed": "changed", "still_failed": "failed before"}
    manifest = _read_manifest(request)
    settings = _agreeing(request)
    if settings is None:
        counts["to segment"] = len(manifest)
        return counts

    def record(name: str, **_: object) -> None:
        if name in names:
            counts[names[name]] += 1

    totals = _totals_before(request.output)
    queue = waiting_videos(
        manifest, settings, request.choice, totals, record,
        output=request.output, work=request.work,
    )  # fmt: skip
    counts["to segment"] = sum(video is not None for video in queue)
    counts["finished"] = len(manifest) - sum(counts.values()) + counts["finished"]
    return counts


def _read_manifest(request: BatchRequest) -> Manifest:
    rules = RowRules(
        folder=(request.root or request.manifest.parent).absolute(),
        is_root=request.root is not None,
        defaults=request.defaults,
        model_fault=request.model_fault,
    )
    return Manifest(request.manifest, rules, shard=request.shard, limit=request.limit)


def _claim(request: BatchRequest, manifest: Manifest) -> BatchSettings:
    """Write ``batch.json``, or check that the batch in the folder has the same settings."""
    with alone_in(request.output / SHARDS, wait=True):
        settings = _agreeing(request)
        if settings is None:
            settings = replace(request.settings, threads=_threads(request))
            write_batch_file(request.output, manifest, _deciding(request, settings))
    return settings


def _agreeing(request: BatchRequest) -> BatchSettings | None:
    """Return the settings of the batch in the folder; None if there is none.

    Raises:
        RunConflictError: the batch has other settings, or the folder holds other files.
    """
    before = read_batch_file(request.output)
    if before is None:
        return None
    threads = before["threads"] if request.threads is None else request.threads
    settings = replace(request.settings, threads=threads)
    check_agreement(request.output, before, _deciding(request, settings))
    return settings


def _deciding(request: BatchRequest, settings: BatchSettings) -> dict[str, Any]:
    defaults = config_to_dict(request.defaults)
    deciding = {**defaults.pop("model"), **defaults, **settings.deciding()}
    deciding |= deciding.pop("exports")
    return {**deciding, "shards": request.shard[1]}


def _threads(request: BatchRequest) -> int:
    if request.threads is not None:
        return request.threads
    return max(processor_count() // request.policy.jobs, 1)


def _totals_before(output: Path) -> BatchTotals:
    totals = BatchTotals()
    for event in read_journal(output):
        totals.take(event)
    return totals


def _setup(request: BatchRequest, settings: BatchSettings, make_source: MakesSource) -> WorkerSetup:
    return WorkerSetup(
        make_source=make_source,
        settings=settings,
        output=request.output.absolute(),
        work=request.work.absolute(),
        model=request.defaults.model,
        name=f"{platform.node() or 'worker'}-{request.shard[0]}",
        save_seconds=request.save_seconds,
        time_limit=request.choice.time_limit,
    )


class _Recorder:
    """Passes events on to the journal and to the totals."""

    def __init__(
        self,
        request: BatchRequest,
        journal: Journal,
        totals: BatchTotals,
        watch: Callable[[BatchTotals], None] | None,
    ) -> None:
        self.still_failed = 0
        self._request = request
        self._journal = journal
        self._totals = totals
        self._watch = watch
        self._watched = self._measured = 0.0

    def begin(self, manifest: Manifest) -> None:
        self.record(
            "run",
            shard=self._request.shard,
            rows=len(manifest),
            manifest=self._request.manifest.name,
            sha256=manifest.sha256,
            jobs=self._request.policy.jobs,
            price=self._request.price,
            machine=platform.node(),
            maskcast=version("maskcast"),
        )

    def record(self, name: str, **entries: Any) -> None:
        event = {"at": round(time.time(), 3), "event": name, **entries}
        self._journal.write(event)
        self._totals.take(event)
        self.still_failed += name == "still_failed"

    def tick(self) -> None:
        now = time.monotonic()
        if self._watch is not None and now - self._watched >= WATCH_EVERY:
            self._watched = now
            self._watch(self._totals)
        if self._request.metrics is not None and now - self._measured >= METRICS_EVERY:
            self._measured = now
            write_metrics(self._totals, self._request.metrics)

    def end(self) -> None:
        write_summaries(self._request.output, self._totals)
        if self._request.metrics is not None:
            write_metrics(self._totals, self._request.metrics)


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function at Ctrl-C and SIGTERM instead of raising ``KeyboardInterrupt``."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, *ending_signals())}
    for kind in before:
        signal.signal(kind, lambda *_: stop())
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
