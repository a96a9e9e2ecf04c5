"""What a worker does: build a segmenter once, and segment one video after another with it."""

from __future__ import annotations

import faulthandler
import hashlib
import logging
import logging.handlers
import os
import platform
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from maskcast.batch.addresses import Url
from maskcast.batch.engine import (
    Assignment,
    FailureKind,
    VideoBeat,
    VideoBegan,
    VideoEnded,
    VideoFigures,
    VideoOutcome,
    WorkerEvent,
    WorkerReady,
    WorkerUnable,
)
from maskcast.batch.inputs import local_paths, with_local_files
from maskcast.batch.job import ModelChoice, VideoJob, input_digest
from maskcast.batch.layout import INPUT, RUN
from maskcast.batch.remote_results import (
    commit_to_store,
    forget_in_store,
    keep_in_store,
    take_from_store,
)
from maskcast.batch.results import (
    MadeFrom,
    commit,
    pack_pictures,
    read_made_from,
    remove_work,
    write_job,
)
from maskcast.batch.worker_line import WorkerLine, WorkerSetup
from maskcast.core.device import choose_device, make_deterministic, name_of, set_threads
from maskcast.core.device_memory import is_out_of_memory
from maskcast.core.errors import (
    DataError,
    DeviceMemoryError,
    MaskcastError,
    OutputError,
    RunConflictError,
    TransientError,
    UsageError,
)
from maskcast.core.files import alone_in, make_folder
from maskcast.core.heap import keep_freed_memory
from maskcast.core.segmenter import BuiltSegmenter
from maskcast.runs.card import RunCard, read_card
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import FRAME_LOG
from maskcast.runs.removal import remove_folder
from maskcast.runs.segmentation import SavePolicy
from maskcast.runs.video_request import VideoRequest, VideoResult
from maskcast.runs.video_run import run_video

logger = logging.getLogger(__name__)

LARGEST_LOG, OLD_LOGS = 10 * 2**20, 2
"""Size in bytes at which a log is rotated; number of old logs that are kept."""
LOG_LINES = 5
"""Number of lines of a traceback that are reported."""


def main(line: WorkerLine, setup: WorkerSetup) -> None:
    """Run a worker until it is asked to end."""
    log_to_file(setup)
    set_threads(setup.settings.threads)
    keep_freed_memory()
    if setup.settings.deterministic:
        make_deterministic()
    worker = VideoWorker(setup, line.send, line.stop)
    try:
        device = worker.prepare()
    except MaskcastError as error:
        line.send(WorkerUnable(setup.worker, str(error), error.exit_code))
        return
    line.send(WorkerReady(setup.worker, platform.node(), device, os.getpid()))
    while (work := line.next()) is not None:
        line.send(VideoEnded(setup.worker, work.job.id, worker.do(work)))


def log_to_file(setup: WorkerSetup) -> None:
    """Write warnings and tracebacks of this process to a log of limited size."""
    path = setup.logs / f"{setup.name}.log"
    make_folder(path.parent)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LARGEST_LOG, backupCount=OLD_LOGS, encoding="utf-8", errors="replace"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    faulthandler.enable(path.open("ab"))


class VideoWorker:
    """Keeps one segmenter, and segments videos with it."""

    def __init__(
        self, setup: WorkerSetup, send: Callable[[WorkerEvent], None], stop: threading.Event
    ) -> None:
        """Describe a worker.

        Args:
            setup: what it needs to know.
            send: is called with every event but the last of a video.
            stop: is set when the worker has to save its state and return.
        """
        self._setup = setup
        self._send = send
        self._stop = stop
        self._model: ModelChoice | None = None
        self._built: BuiltSegmenter | None = None
        self._watch = _Watch(setup, send, stop)

    def prepare(self) -> str:
        """Build the segmenter that most videos need, and return the name of its device.

        Raises:
            MaskcastError: it cannot be built.
        """
        return name_of(self._segmenter(self._setup.model).device)

    def do(self, work: Assignment) -> VideoOutcome:
        """Segment a video, and move its results to the folder of results."""
        folder = self._setup.work / work.folder
        try:
            with alone_in(folder):
                outcome = self._attempt(work, folder)
                if outcome.status == "finished" or not (folder / RUN).exists():
                    remove_work(folder, self._setup.work)
                elif outcome.kind in (None, "time"):  # another machine may continue
                    self._keep_in_store(work, folder)
                return outcome
        except RunConflictError as error:
            return _failed("busy", error)
        except OutputError as error:
            return _failed("output", error)

    def _attempt(self, work: Assignment, folder: Path) -> VideoOutcome:
        """Do one attempt; every exception becomes an outcome."""
        self._send(VideoBegan(self._setup.worker, work.job.id))
        try:
            logger.info("%s: attempt %d", work.job.id, work.attempt)
            return self._segment(work, folder)
        except KeyboardInterrupt:
            if self._watch.is_over:
                limit = self._watch.limit
                return VideoOutcome(
                    status="failed", kind="time", sentence=f"over the time limit of {limit:g} s"
                )
            return VideoOutcome(status="interrupted")
        except Exception as error:
            kind = kind_of(error)
            logger.warning("%s failed (%s): %s", work.job.id, kind, error, exc_info=kind == "fault")
            return _failed(kind, error)

    def _segment(self, work: Assignment, folder: Path) -> VideoOutcome:
        if work.input is None:  # the store failed, or a file is missing
            work = replace(work, input=input_digest(work.job))
        run, output = folder / RUN, self._setup.output
        if isinstance(output, Url):
            take_from_store(folder, output, work.folder)
        if read_made_from(folder) != MadeFrom(work.request, work.input):
            remove_folder(run)
            remove_folder(folder / INPUT)
            write_job(folder, work)
        before = _card(run)
        self._watch.begin(work.job, worked=before.seconds.total if before else 0.0)
        began = time.perf_counter()
        largest = self._setup.largest_input
        job = with_local_files(work.job, folder / INPUT, largest=largest)
        fetched = time.perf_counter() - began
        _check_content(job)
        segmenter = self._segmenter(job.settings.model)
        request = self._request(job, run)
        self._watch.copies = lambda: self._keep_in_store(work, folder)
        try:
            result = run_video(request, segmenter, progress=self._watch)
        except RunConflictError:  # by another version, or its card is damaged
            remove_folder(run)
            result = run_video(request, segmenter, progress=self._watch)
        figures = replace(_figures(result, run), fetch=round(fetched, 4))
        began = time.perf_counter()
        if self._setup.settings.form == "zip":
            pack_pictures(run)
        is_kept = self._commit(work, folder)
        seconds = time.perf_counter() - began
        figures = replace(figures, commit=round(seconds, 4), is_duplicate=not is_kept)
        return VideoOutcome(status="finished", figures=figures)

    def _commit(self, work: Assignment, folder: Path) -> bool:
        """Move or upload the results; return whether they are the ones kept."""
        output, keep_states = self._setup.output, self._setup.settings.keep_states
        if isinstance(output, Path):
            return commit(folder, output, work, keep_states=keep_states)
        is_kept = commit_to_store(folder, output, work, keep_states=keep_states)
        forget_in_store(output, work.folder)
        return is_kept

    def _keep_in_store(self, work: Assignment, folder: Path) -> None:
        """Copy an unfinished video to the store of the results, for another machine."""
        if isinstance(self._setup.output, Url):
            try:
                keep_in_store(folder, self._setup.output, work.folder)
            except OutputError as error:  # the copy on the disk is still there
                logger.warning("%s: %s", work.job.id, error)

    def _request(self, job: VideoJob, run: Path) -> VideoRequest:
        settings, shared = job.settings, self._setup.settings
        video, masks = local_paths(job)
        return VideoRequest(
            video=video,
            output=run,
            masks=masks,
            boxes=job.boxes,
            start=settings.start,
            end=settings.end,
            direction=settings.direction,
            on_bad_frame=settings.on_bad_frame,
            mask_threshold=settings.mask_threshold,
            form="rle" if shared.form == "rle" else "png",
            exports=shared.exports,
            deterministic=shared.deterministic,
            policy=SavePolicy(
                frames=self._setup.save_frames,
                seconds=self._setup.save_seconds,
                keep_every=25 if shared.keep_states else 0,
            ),
        )

    def _segmenter(self, model: ModelChoice) -> BuiltSegmenter:
        """Return the segmenter of a model, built if it is not the one before."""
        if self._built is None or self._model != model:
            self._built = None  # frees its memory before the next one is built
            source = self._setup.make_source(
                weights=model.weights,
                method=model.method,
                options=model.options,
                device=_device(self._setup),
                dtype=self._setup.settings.dtype,
            )
            self._built = source.build(progress=self._watch)
            self._model = model
        return self._built


class _Watch:
    """The progress of a video: reports it, and interrupts the video when it has to end."""

    def __init__(
        self, setup: WorkerSetup, send: Callable[[WorkerEvent], None], stop: threading.Event
    ) -> None:
        self.limit: float | None = None
        self.is_over = False
        """Whether the time limit was exceeded."""
        self._setup, self._send, self._stop = setup, send, stop
        self._job_id = ""
        self._deadline = float("inf")
        self._sent = self._copied = 0.0
        self.copies: Callable[[], None] = lambda: None
        """Copies the unfinished video to where other machines find it."""

    def begin(self, job: VideoJob, *, worked: float) -> None:
        """Begin with a video that has been worked on for some seconds before."""
        self._job_id, self.is_over, self._sent = job.id, False, 0.0
        self._copied = time.monotonic()
        self.limit = self._setup.time_limit if job.time_limit is None else job.time_limit
        left = float("inf") if self.limit is None else self.limit - worked
        self._deadline = time.monotonic() + left

    def __call__(self, work: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        self.is_over = now > self._deadline
        if self._stop.is_set() or self.is_over:
            raise KeyboardInterrupt
        if now - self._sent >= self._setup.beat_every and self._job_id:
            self._sent = now
            self._send(VideoBeat(self._setup.worker, self._job_id, work, done, total))
        if now - self._copied >= self._setup.save_remote and self._job_id:
            self.copies()
            self._copied = time.monotonic()


def kind_of(error: Exception) -> FailureKind:
    """Return the kind of failure that an exception means."""
    is_memory = isinstance(error, RuntimeError) and is_out_of_memory(error)
    if is_memory or isinstance(error, DeviceMemoryError | MemoryError):
        return "memory"
    kinds: tuple[tuple[type[Exception], FailureKind], ...] = (
        (RunConflictError, "conflict"),
        (DataError, "data"),
        (UsageError, "data"),
        (OutputError, "output"),
        (TransientError, "transient"),
        (OSError, "transient"),
    )
    return next((kind for of, kind in kinds if isinstance(error, of)), "fault")


def _failed(kind: FailureKind, error: Exception) -> VideoOutcome:
    is_expected = isinstance(error, MaskcastError)
    sentence = str(error) if is_expected else f"{type(error).__name__}: {error}"
    lines = traceback.format_exception(error)[-LOG_LINES:] if kind == "fault" else []
    log = tuple(line.rstrip() for line in lines)
    return VideoOutcome(status="failed", kind=kind, sentence=sentence, log=log)


def _card(run: Path) -> RunCard | None:
    try:
        return read_card(run)
    except DataError:
        return None


def _check_content(job: VideoJob) -> None:
    """Raise ``DataError`` if the video does not have the SHA-256 of its row."""
    if job.sha256 is None:
        return
    video, _ = local_paths(job)
    try:
        with video.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"{video} must be a file, because its row has a sha256") from error
    if actual != job.sha256:
        raise DataError(f"{video} has the SHA-256 {actual}, expected {job.sha256}")


def _device(setup: WorkerSetup) -> str:
    """Return the device of a worker: with ``auto``, workers take the GPUs in turn."""
    device = choose_device(setup.settings.device)
    if setup.settings.device in ("auto", "cuda") and device.type == "cuda":
        return f"cuda:{setup.slot % torch.cuda.device_count()}"
    return str(device)


def _figures(result: VideoResult, run: Path) -> VideoFigures:
    card = result.card
    entries = FrameLog(run / FRAME_LOG).by_frame().values()
    logged = [known for entry in entries for known in entry.objects.values()]
    confidences = [known.confidence for known in logged if known.confidence is not None]
    return VideoFigures(
        **vars(card.seconds),
        frames=card.frames,
        objects=len({object_id for _, object_id, _ in card.request.marks()}),
        video_seconds=result.video_seconds,
        steps=card.steps,
        lowest_confidence=min(confidences, default=None),
        empty_frames=sum(any(not o.area for o in e.objects.values()) for e in entries),
    )
