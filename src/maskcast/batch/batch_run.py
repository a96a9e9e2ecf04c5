"""Segment the videos of a manifest, or continue a batch; the use case of the command. No torch."""

from __future__ import annotations

import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from maskcast.batch.addresses import Location, Url
from maskcast.batch.batch_file import check_agreement, read_batch_file, write_batch_file
from maskcast.batch.dispatch import Dispatcher
from maskcast.batch.engine import Engine
from maskcast.batch.job import BatchSettings, MakesSource, VideoSettings
from maskcast.batch.journal import Journal, read_journal
from maskcast.batch.layout import LOGS, SHARDS, WORK
from maskcast.batch.manifest import Manifest
from maskcast.batch.members import BatchEnding
from maskcast.batch.policy import BatchPolicy, most_failed
from maskcast.batch.processes import ProcessEngine
from maskcast.batch.ray_cluster import RayEngine
from maskcast.batch.ray_connection import RayOptions, join_cluster
from maskcast.batch.recorder import Recorder
from maskcast.batch.remote_batch import RemoteBatch
from maskcast.batch.rows import ModelFault, RowRules
from maskcast.batch.totals import BatchTotals
from maskcast.batch.waiting import Choice, waiting_videos
from maskcast.batch.worker_line import WorkerSetup
from maskcast.core.config import config_to_dict
from maskcast.core.device_names import SharedDtype
from maskcast.core.files import alone_in, check_writable
from maskcast.core.processors import ending_signals, processor_count
from maskcast.io.weights.names import cache_folder

BEAT_EVERY, MOST_FREQUENT = 2.0, 100
"""Seconds between two beats of a worker, with this many workers at most; with more, it grows."""


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """A manifest, the folder of its results, and how to segment its videos."""

    manifest: Path
    output: Location
    base: Location | None = None
    """Folder that relative paths start from; None means the folder of the manifest."""
    root: Location | None = None
    """Folder that relative paths start from and that no path may leave; None means ``base``, which
    paths may leave."""
    allowed: frozenset[str] = frozenset()
    """Protocols of addresses that the user allows; see ``addresses.location_of``."""
    manifest_name: str | None = None
    """Name of the manifest in messages and records; None means that of the file."""
    defaults: VideoSettings = field(default_factory=VideoSettings)
    """Settings of rows that have none of their own."""
    settings: BatchSettings = field(default_factory=BatchSettings)
    threads: int | None = None
    """CPU threads of each worker; None means those of the batch before, or cores / jobs (on Ray 1).
    """
    policy: BatchPolicy = field(default_factory=BatchPolicy)
    max_failed: str = "5%"
    """Number of failed videos, or per cent of the rows, above which the batch stops."""
    choice: Choice = field(default_factory=Choice)
    shard: tuple[int, int] = (0, 1)
    """Index and number of the shards."""
    limit: int | None = None
    """Maximum number of rows."""
    scratch: Path | None = None
    """Folder of unfinished videos; None means one inside ``output``, or one in the cache folder if
    that is an object store."""
    save_seconds: float = 30.0
    """How often states are saved."""
    save_remote: float = 300.0
    """Seconds between two copies of an unfinished video in an object store."""
    largest_input: float = 50e9
    """Maximum size in bytes of a file or folder that is copied from an object store."""
    price: float | None = None
    """Price of a worker-hour, for the cost."""
    ray: RayOptions | None = None
    """The Ray cluster that the workers run on; None means processes of this machine."""
    metrics: Path | None = None
    """File of metrics in the text format of Prometheus, written every 15 s."""
    model_fault: ModelFault | None = None
    """Says what is wrong with weights and a method."""
    choose_dtype: Callable[[], SharedDtype] | None = None
    """Chooses the data type of a new batch; one that was begun before keeps its own. None means the
    data type of ``settings``, for both."""

    @property
    def desk(self) -> Path:
        """Folder of settings, journal and summaries: the output, or a copy of what is there."""
        if isinstance(self.output, Path):
            return self.output
        return _cached(self.output) / "batch" if self.scratch is None else self.scratch / ".batch"

    @property
    def work(self) -> Path:
        """Folder of unfinished videos."""
        if self.scratch is not None:
            return self.scratch
        parent = self.output if isinstance(self.output, Path) else _cached(self.output)
        return parent / WORK


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
        make_engine: starts workers; None means what ``request.ray`` says.

    Raises:
        UsageError: an argument is invalid, or the Ray cluster cannot be joined.
        RunConflictError: the folder holds another batch, or another process works on this shard.
        DataError: the manifest cannot be used; all errors are listed.
        OutputError: the journal cannot be written; workers have saved their states.
    """
    check_writable(request.desk)
    manifest = _read_manifest(request)
    remote = _remote_of(request)
    _agreeing(request)  # before anything is written
    with _alone(request, remote):
        settings = _claim(request, manifest, remote)
        setup = _setup(request, settings, make_source)
        engine = _engine(request, setup) if make_engine is None else make_engine(setup)
        totals = _totals_before(request.desk)
        journal = Journal(
            request.desk, request.shard, on_part=None if remote is None else remote.add_part
        )
        recorder = Recorder(
            request.desk, journal, totals, watch=watch, metrics=request.metrics, remote=remote
        )
        recorder.record("run", **_described(request, manifest))
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
    _remote_of(request)
    settings = _agreeing(request)
    if settings is None:
        counts["to segment"] = len(manifest)
        return counts

    def record(name: str, **_: object) -> None:
        if name in names:
            counts[names[name]] += 1

    totals = _totals_before(request.desk)
    queue = waiting_videos(
        manifest, settings, request.choice, totals, record,
        output=request.output, work=request.work,
    )  # fmt: skip
    counts["to segment"] = sum(video is not None for video in queue)
    counts["finished"] = len(manifest) - sum(counts.values()) + counts["finished"]
    return counts


def _read_manifest(request: BatchRequest) -> Manifest:
    rules = RowRules(
        folder=_absolute(request.root or request.base or request.manifest.parent),
        is_root=request.root is not None,
        defaults=request.defaults,
        allowed=request.allowed,
        model_fault=request.model_fault,
    )
    return Manifest(
        request.manifest,
        rules,
        shard=request.shard,
        limit=request.limit,
        name=request.manifest_name,
    )


def _absolute(location: Location) -> Location:
    return location.absolute() if isinstance(location, Path) else location


def _cached(output: Url) -> Path:
    """Return the local folder of a batch in an object store, the same in every call."""
    name = blake2b(str(output).encode(), digest_size=8).hexdigest()
    return cache_folder() / "batch" / name


def _remote_of(request: BatchRequest) -> RemoteBatch | None:
    """Return the batch in an object store, its journal downloaded; None for one on the disk."""
    if isinstance(request.output, Path):
        return None
    remote = RemoteBatch(request.output, request.desk)
    remote.download()
    return remote


@contextmanager
def _alone(request: BatchRequest, remote: RemoteBatch | None) -> Iterator[None]:
    """Lock the shard. Raises ``RunConflictError`` if another process works on it."""
    lease = nullcontext() if remote is None else remote.alone(request.shard)
    with alone_in(request.desk / SHARDS / "{}-of-{}".format(*request.shard)), lease:
        yield


def _claim(request: BatchRequest, manifest: Manifest, remote: RemoteBatch | None) -> BatchSettings:
    """Write ``batch.json``, or check that the batch in the folder has the same settings."""
    with alone_in(request.desk / SHARDS, wait=True):
        settings = _agreeing(request)
        if settings is None:
            settings = replace(request.settings, threads=_threads(request))
            if request.choose_dtype is not None:
                settings = replace(settings, dtype=request.choose_dtype())
            write_batch_file(request.desk, manifest, _deciding(request, settings))
            if remote is not None:
                remote.claim_settings()
    return settings


def _agreeing(request: BatchRequest) -> BatchSettings | None:
    """Return the settings of the batch in the folder; None if there is none.

    Raises:
        RunConflictError: the batch has other settings, or the folder holds other files.
    """
    before = read_batch_file(request.desk)
    if before is None:
        return None
    threads = before["threads"] if request.threads is None else request.threads
    settings = replace(request.settings, threads=threads)
    if request.choose_dtype is not None:
        recorded = before.get("dtype", "float32")
        known = [name for name in get_args(SharedDtype) if name == recorded]
        settings = replace(settings, dtype=known[0] if known else settings.dtype)
    check_agreement(request.desk, before, _deciding(request, settings))
    return settings


def _deciding(request: BatchRequest, settings: BatchSettings) -> dict[str, Any]:
    defaults = config_to_dict(request.defaults)
    deciding = {**defaults.pop("model"), **defaults, **settings.deciding()}
    deciding |= deciding.pop("exports")
    return {**deciding, "shards": request.shard[1]}


def _threads(request: BatchRequest) -> int:
    if request.threads is not None:
        return request.threads
    return 1 if request.ray else max(processor_count() // request.policy.jobs, 1)


def _totals_before(output: Path) -> BatchTotals:
    totals = BatchTotals()
    for event in read_journal(output):
        totals.take(event)
    return totals


def _setup(request: BatchRequest, settings: BatchSettings, make_source: MakesSource) -> WorkerSetup:
    return WorkerSetup(
        make_source=make_source,
        settings=settings,
        output=_absolute(request.output),
        work=request.work.absolute(),
        logs=request.desk.absolute() / LOGS,
        model=request.defaults.model,
        name=f"{platform.node() or 'worker'}-{request.shard[0]}",
        save_seconds=request.save_seconds,
        save_remote=request.save_remote,
        largest_input=request.largest_input,
        time_limit=request.choice.time_limit,
        beat_every=max(BEAT_EVERY, BEAT_EVERY * request.policy.jobs / MOST_FREQUENT),
    )


def _engine(request: BatchRequest, setup: WorkerSetup) -> Engine:
    if request.ray is None:
        return ProcessEngine(setup)
    options = replace(request.ray, threads=setup.settings.threads)
    return RayEngine(setup, join_cluster(options))


def _described(request: BatchRequest, manifest: Manifest) -> dict[str, Any]:
    """Return the entries of the event that begins a call."""
    return {
        "shard": request.shard,
        "rows": len(manifest),
        "manifest": manifest.name,
        "sha256": manifest.sha256,
        "jobs": request.policy.jobs,
        "price": request.price,
        "machine": platform.node(),
        "maskcast": version("maskcast"),
    }


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
