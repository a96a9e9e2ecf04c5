"""Figures of a batch in the text format of Prometheus, for a collector of files. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from maskcast.batch.totals import BatchTotals
from maskcast.core.files import write_text

METRICS_EVERY = 15.0
"""Seconds between two versions of the file."""
Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Labels of a value, each a pair of name and content."""


def write_metrics(totals: BatchTotals, path: Path) -> None:
    """Write the file, replacing an earlier version at once. Raises ``OutputError``."""
    write_text(path, "".join(_lines(totals)))


def _lines(totals: BatchTotals) -> Iterator[str]:
    at_work = sum(bool(worker.job_id) for worker in totals.workers)
    kinds = Counter(video.kind for video in totals.failed.values())
    videos = {_labels(state="finished", **{"class": ""}): float(totals.finished)}
    videos |= {_labels(state="failed", **{"class": kind}): float(n) for kind, n in kinds.items()}
    yield from _metric("videos_total", "counter", "Videos by state.", videos)
    yield from _metric("frames_total", "counter", "Segmented frames.", {(): totals.frames})
    seconds = {**totals.stages, "idle": totals.idle, "lost": totals.lost}
    by_stage = {_labels(stage=stage): value for stage, value in seconds.items()}
    yield from _metric("worker_seconds_total", "counter", "Seconds of work by stage.", by_stage)
    states = {"working": at_work, "idle": len(totals.workers) - at_work}
    workers = {_labels(state=state): float(n) for state, n in states.items()}
    yield from _metric("workers", "gauge", "Workers by state.", workers)
    yield from _metric("queue_rows", "gauge", "Rows that are not finished.", {(): totals.left})
    if totals.seconds_left is not None:
        left = {(): totals.seconds_left}
        yield from _metric("eta_seconds", "gauge", "Estimated seconds until the end.", left)
    failures = {_labels(**{"class": kind}): float(n) for kind, n in totals.kinds.items()}
    yield from _metric("failures_total", "counter", "Failed attempts by class.", failures)


def _labels(**labels: str) -> Labels:
    return tuple(labels.items())


def _metric(name: str, kind: str, text: str, samples: Mapping[Any, float]) -> Iterator[str]:
    full = f"maskcast_batch_{name}"
    yield f"# HELP {full} {text}\n# TYPE {full} {kind}\n"
    for labels, value in samples.items():
        shown = ",".join(f'{label}="{content}"' for label, content in labels)
        yield f"{full}{'{' + shown + '}' if shown else ''} {value:.10g}\n"
