"""Files that summarise a batch: failed rows, a table of finished videos, the report. No torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from maskcast.batch.journal import JournalEvent, read_journal
from maskcast.batch.layout import FAILURES, REPORT, RESULTS
from maskcast.batch.report import render_report
from maskcast.batch.rows import EXTRA, FAILURE
from maskcast.batch.totals import BatchTotals
from maskcast.core.files import replacing, write_text

COLUMNS = (
    *("id", "frames", "objects", "video_seconds", "total", "fetch", "decode", "model", "write"),
    *("commit", "lowest_confidence", "empty_frames"),
)
"""Columns of ``results.csv``, before those of the fields ``x_…``."""
UNSAFE = ("=", "+", "-", "@", "\t", "\r")
"""First characters of texts that spreadsheets take for formulas."""


def write_summaries(output: Path, totals: BatchTotals) -> None:
    """Write ``failures.jsonl``, ``results.csv`` and ``report.html``.

    Raises:
        DataError: the journal cannot be read.
        OutputError: a file cannot be written.
    """
    write_text(output / FAILURES, "".join(_failures(totals)))
    _write_results(output)
    write_text(output / REPORT, render_report(totals))


def _failures(totals: BatchTotals) -> Iterator[str]:
    for video in totals.failed.values():
        failure = {
            "class": video.kind,
            "sentence": video.sentence,
            "attempts": video.attempts,
            "worker": video.worker,
            "log": list(video.log),
        }
        yield json.dumps({**video.row, FAILURE: failure}, ensure_ascii=False) + "\n"


def _write_results(output: Path) -> None:
    latest: dict[str, int] = {}
    names: dict[str, None] = {}
    for number, event in _finished(output):
        latest[str(event["id"])] = number
        names |= dict.fromkeys(name for name in event if name.startswith(EXTRA))
    with (
        replacing(output / RESULTS) as temporary,
        temporary.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file,
    ):
        table = csv.writer(file)
        table.writerow((*COLUMNS, *names))
        for number, event in _finished(output):
            if latest[str(event["id"])] == number:
                table.writerow(_cell(event.get(name)) for name in (*COLUMNS, *names))


def _finished(output: Path) -> Iterator[tuple[int, JournalEvent]]:
    events = (event for event in read_journal(output) if event["event"] == "finished")
    return ((number, event) for number, event in enumerate(events) if "id" in event)


def _cell(value: object) -> str:
    """Return a value as a cell that spreadsheets do not take for a formula."""
    if isinstance(value, bool | dict | list):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    is_text = isinstance(value, str) and text.startswith(UNSAFE)
    return f"'{text}" if is_text else text
