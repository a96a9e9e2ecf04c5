"""Show a batch on the terminal: a live table, or a line every 30 seconds."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maskcast.batch.figures import figures_as_json, in_hours, named_figures
from maskcast.batch.layout import FAILURES, REPORT, VIDEOS
from maskcast.batch.totals import BatchTotals, read_totals
from maskcast.cli.terminal import one_line, say, show
from maskcast.core.errors import MaskcastError, PartialResultError, UsageError
from maskcast.core.numbers import counted

if TYPE_CHECKING:
    from maskcast.batch.batch_run import BatchResult

LINE_EVERY = 30.0
"""Seconds between two lines, if standard error is not a terminal."""
LATEST_FAILURES = 3
MOST_WORKERS = 40
"""Number of workers in the table."""
WATCH_EVERY = 2.0
"""Seconds between two looks at the journal."""


class BatchDisplay:
    """Shows the figures of a batch on standard error while it runs."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._printed = time.monotonic()

    def __enter__(self) -> BatchDisplay:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, totals: BatchTotals) -> None:
        """Show new figures."""
        if self._live is not None:
            self._live.update(table_of(totals), refresh=True)
        elif time.monotonic() - self._printed >= LINE_EVERY:
            self._printed = time.monotonic()
            say(line_of(totals))


def line_of(totals: BatchTotals) -> str:
    """Return the figures in one line."""
    rate = sum(worker.rate for worker in totals.workers if worker.job_id)
    seconds = totals.seconds_left
    left = f", about {in_hours(seconds)}" if totals.left and seconds is not None else ""
    return (
        f"{totals.finished} finished, {len(totals.failed)} failed, {totals.left} left{left}; "
        f"{rate:.1f} frames/s"
    )


def table_of(totals: BatchTotals) -> Group:
    """Return a table of the workers, the figures, and the latest failures."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("worker", "video", "frame", "frames/s", "attempt"):
        table.add_column(name, justify="left" if name in ("worker", "video") else "right")
    for worker in totals.workers[:MOST_WORKERS]:
        total = "" if worker.total is None else f" of {worker.total}"
        table.add_row(
            Text(one_line(f"{worker.machine} {worker.device}")),
            Text(one_line(worker.job_id or "idle")),
            f"{worker.done}{total}" if worker.job_id else "",
            f"{worker.rate:.1f}" if worker.job_id else "",
            str(worker.attempt) if worker.job_id else "",
        )
    failures = [
        Text(one_line(f"failed: {job_id}: {video.sentence}"), style="red")
        for job_id, video in list(totals.failed.items())[-LATEST_FAILURES:]
    ]
    cost = "" if totals.cost is None else f", cost {totals.cost:.2f}"
    return Group(Text(line_of(totals) + cost), table, *failures)


def report_ending(output: str, result: BatchResult, *, is_pilot: bool) -> None:
    """Print the figures of a batch that has ended.

    Raises:
        PartialResultError: some videos failed.
        MaskcastError: the batch stopped early.
        KeyboardInterrupt: it was interrupted.
    """
    totals, ending = result.totals, result.ending
    if ending.reason == "interrupted":
        raise KeyboardInterrupt(
            f"stopped with {totals.finished} of {counted(totals.rows, 'video')} finished; run "
            "again to continue"
        )
    if ending.reason in ("unable", "output"):
        error = UsageError(ending.sentence) if ending.exit_code == 2 else None
        raise error or MaskcastError(ending.sentence)
    output = output.rstrip("/")
    print(f"{output}/{VIDEOS}: {line_of(totals).partition(';')[0]}")
    if totals.changed:
        one = len(totals.changed) == 1
        say(
            f"{counted(len(totals.changed), 'finished video')} {'has' if one else 'have'} another "
            f"row or input now; {'it is' if one else 'they are'} left alone without --redo-changed"
        )
    if is_pilot:
        _print_estimate(totals, result.total_rows)
    show(f"{output}/{REPORT}")
    if ending.reason == "max-failed":
        raise PartialResultError(f"stopped: {ending.sentence}")
    if failed := len(totals.failed):
        some = [f"{i}: {video.sentence}" for i, video in list(totals.failed.items())[:5]]
        some += [f"{failed - 5} more"] if failed > len(some) else []
        raise PartialResultError(
            f"{counted(failed, 'video')} failed; {output}/{FAILURES} is a manifest of them",
            details=some,
        )


def _print_estimate(totals: BatchTotals, rows: int) -> None:
    finished = max(totals.finished, 1)
    seconds = totals.worker_seconds / finished * rows
    cost = "" if totals.cost is None else f", cost {totals.cost / finished * rows:.2f}"
    print(f"estimate for all {rows} rows: {in_hours(seconds)} of worker time{cost}")


def print_status(folder: Path, *, as_json: bool, verify: bool) -> None:
    """Print the figures of a batch."""
    totals = read_totals(folder)
    figures = figures_as_json(totals)
    if verify:
        from maskcast.batch.collecting import finished_runs

        figures["verified"] = sum(1 for _ in finished_runs(folder))
    if as_json:
        print(json.dumps(figures))
        return
    for name, figure in named_figures(totals).items():
        print(f"{name:<34} {figure}")
    if verify:
        print(f"{'finished by their run cards':<34} {figures['verified']}")
    for worker in totals.workers:
        if worker.job_id:
            show(f"{worker.machine} {worker.device}: {worker.job_id}, {worker.work} {worker.done}")
    for job_id, video in list(totals.failed.items())[-LATEST_FAILURES:]:
        show(f"failed: {job_id}: {video.sentence}")


def watch_status(folder: Path) -> None:
    """Show a batch until it has ended or the user interrupts."""
    console = Console(file=sys.stdout)
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            totals = read_totals(folder)
            live.update(table_of(totals), refresh=True)
            if all(call.reason for call in totals.calls.values()):
                return
            time.sleep(WATCH_EVERY)
