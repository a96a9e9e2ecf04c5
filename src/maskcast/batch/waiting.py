"""Choose the videos of a manifest that have to be segmented. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from maskcast.batch.addresses import Location
from maskcast.batch.engine import Assignment
from maskcast.batch.inputs import is_remote
from maskcast.batch.job import BatchSettings, VideoJob, input_digest, request_digest
from maskcast.batch.layout import VIDEOS
from maskcast.batch.manifest import Manifest
from maskcast.batch.members import QueuedVideo, RecordEvent
from maskcast.batch.remote_results import finished_in_store
from maskcast.batch.results import MadeFrom, finished_from, remove_work
from maskcast.batch.totals import BatchTotals, FailedVideo

LOOKED_UP_AT_ONCE = 32
"""Number of rows that are looked up in an object store at the same time."""
PAUSE_EVERY = 100
"""Number of rows after which the search for the next video pauses."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What happens to rows that an earlier call has processed."""

    retry_failed: bool = False
    """Segment videos again that have failed."""
    redo_changed: bool = False
    """Segment finished videos again whose row or input has changed."""
    time_limit: float | None = None
    """Time limit of rows that have none; a larger one than before continues a video."""


def waiting_videos(
    manifest: Manifest,
    settings: BatchSettings,
    choice: Choice,
    totals: BatchTotals,
    record: RecordEvent,
    *,
    output: Location,
    work: Path,
) -> Iterator[QueuedVideo | None]:
    """Yield the videos to segment in order, and None now and then while there are none.

    Args:
        manifest: the rows.
        settings: settings that all rows share.
        choice: what happens to rows that an earlier call has processed.
        totals: what the journal says of them.
        record: is called with the events ``kept``, ``changed`` and ``retried``.
        output: the folder of the batch.
        work: the folder of unfinished videos.
    """
    probed = _probed(manifest.jobs(), settings, output)
    for number, (assignment, before) in enumerate(probed, 1):
        job = assignment.job
        if before is not None and before == MadeFrom(assignment.request, assignment.input):
            if not totals.is_finished(job.id):
                record("kept", id=job.id)
            if (work / assignment.folder).exists():  # its dispatcher was killed at the very end
                remove_work(work / assignment.folder, work)
        elif before is not None and not choice.redo_changed:
            record("changed", id=job.id)
        elif (failed := totals.failed.get(job.id)) and not _is_tried_again(
            failed, assignment, choice
        ):
            record("still_failed", id=job.id)
        else:
            if job.id in totals.failed:
                record("retried", id=job.id)
            attempts = _attempts(job, assignment, totals)
            replaced = Assignment(**{**vars(assignment), "replaces": before is not None})
            yield QueuedVideo(replaced, attempts=attempts)
        if number % PAUSE_EVERY == 0:
            yield None


def _probed(
    jobs: Iterator[VideoJob], settings: BatchSettings, output: Location
) -> Iterator[tuple[Assignment, MadeFrom | None]]:
    """Yield what there is to do for each job, and what its finished results were made from.

    Jobs with files in an object store are looked up several at a time, each of which takes a few
    requests.
    """
    first = next(jobs, None)
    if first is None:
        return
    jobs = chain([first], jobs)
    if isinstance(output, Path) and not is_remote(first):
        for job in jobs:
            assignment = _assignment(job, settings)
            yield assignment, finished_from(output / VIDEOS / assignment.folder)
        return
    with ThreadPoolExecutor(LOOKED_UP_AT_ONCE) as threads:
        while chunk := list(islice(jobs, LOOKED_UP_AT_ONCE)):
            assignments = list(threads.map(lambda job: _assignment(job, settings), chunk))
            folders = [assignment.folder for assignment in assignments]
            if isinstance(output, Path):
                before = [finished_from(output / VIDEOS / folder) for folder in folders]
            else:
                before = finished_in_store(output, folders)
            yield from zip(assignments, before, strict=True)


def _assignment(job: VideoJob, settings: BatchSettings) -> Assignment:
    return Assignment(
        job=job,
        folder=settings.folder(job.id),
        request=request_digest(job, settings),
        input=input_digest(job),
    )


def _is_tried_again(failed: FailedVideo, work: Assignment, choice: Choice) -> bool:
    if choice.retry_failed or (failed.request, failed.input) != (work.request, work.input):
        return True
    limit = choice.time_limit if work.job.time_limit is None else work.job.time_limit
    return failed.kind == "time" and (limit is None or limit > (failed.limit or 0.0))


def _attempts(job: VideoJob, work: Assignment, totals: BatchTotals) -> int:
    """Return the number of failed attempts in earlier calls, of the same request."""
    request, attempts = totals.attempts.get(job.id, ("", 0))
    return attempts if request == work.request else 0
