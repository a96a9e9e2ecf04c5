"""The main figures of a batch as text, for the terminal and the report. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from maskcast.batch.totals import BatchTotals


def in_hours(seconds: float) -> str:
    """Return a time such as ``45 s``, ``12 min`` or ``3.4 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def named_figures(totals: BatchTotals) -> dict[str, str]:
    """Return the figures by name, in the order in which they are shown."""
    return dict(_figures(totals))


def _figures(totals: BatchTotals) -> Iterator[tuple[str, str]]:
    working = sum(bool(worker.job_id) for worker in totals.workers)
    yield "videos", str(totals.rows)
    yield "finished", str(totals.finished)
    yield "failed", str(len(totals.failed))
    if totals.changed:
        yield "changed, not segmented again", str(len(totals.changed))
    if totals.workers:
        yield "at work", str(working)
    yield "left", str(totals.left)
    yield "frames", str(totals.frames)
    hours = totals.worker_seconds / 3600
    if totals.at_work:
        yield "frames/s per worker at work", f"{totals.frames / totals.at_work:.2f}"
        yield "object-frames/s per worker at work", f"{totals.object_frames / totals.at_work:.2f}"
    yield "worker time", in_hours(totals.worker_seconds)
    yield (
        "of it at work, idle, lost",
        " · ".join(in_hours(seconds) for seconds in (totals.at_work, totals.idle, totals.lost)),
    )
    if hours and totals.video_seconds:
        yield "video-hours per worker-hour", f"{totals.video_seconds / 3600 / hours:.3f}"
    if totals.seconds_left is not None and totals.workers:
        yield "time left", in_hours(totals.seconds_left)
    if totals.cost is not None:
        yield "cost", f"{totals.cost:.2f}"
        if totals.video_seconds:
            yield "cost per video-hour", f"{totals.cost / (totals.video_seconds / 3600):.2f}"


def figures_as_json(totals: BatchTotals) -> dict[str, Any]:
    """Return the figures for programs; ``status --json`` prints them."""
    return {
        "rows": totals.rows,
        "finished": totals.finished,
        "failed": len(totals.failed),
        "changed": len(totals.changed),
        "left": totals.left,
        "frames": totals.frames,
        "object_frames": totals.object_frames,
        "video_seconds": round(totals.video_seconds, 3),
        "worker_seconds": {
            "total": round(totals.worker_seconds, 1),
            "at_work": round(totals.at_work, 1),
            "idle": round(totals.idle, 1),
            "lost": round(totals.lost, 1),
        },
        "seconds_left": totals.seconds_left,
        "cost": totals.cost,
        "failures": dict(totals.kinds),
        "workers": [vars(worker) for worker in totals.workers],
    }
