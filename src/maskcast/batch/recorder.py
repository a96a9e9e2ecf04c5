"""Pass the events of a batch on to its journal, its figures, and whoever watches. No torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskcast.batch.journal import Journal
from maskcast.batch.metrics import METRICS_EVERY, write_metrics
from maskcast.batch.remote_batch import RemoteBatch
from maskcast.batch.summaries import write_summaries
from maskcast.batch.totals import BatchTotals

WATCH_EVERY = 0.5
"""Seconds between two calls of ``watch``."""


class Recorder:
    """Records events, and keeps everything that is computed from them up to date."""

    def __init__(
        self,
        desk: Path,
        journal: Journal,
        totals: BatchTotals,
        *,
        watch: Callable[[BatchTotals], None] | None = None,
        metrics: Path | None = None,
        remote: RemoteBatch | None = None,
    ) -> None:
        """Describe where events go.

        Args:
            desk: the folder of the summaries.
            journal: gets every event.
            totals: adds them up.
            watch: is called with the figures about twice per second.
            metrics: the file of metrics, written every 15 s.
            remote: the batch in an object store; its lease is renewed.
        """
        self.still_failed = 0
        """Number of rows that failed in an earlier call and are not tried again."""
        self._desk = desk
        self._journal = journal
        self._totals = totals
        self._watch = watch
        self._metrics = metrics
        self._remote = remote
        self._watched = self._measured = 0.0

    def record(self, name: str, **entries: Any) -> None:
        """Record an event. Raises ``OutputError`` if the journal cannot be written."""
        event = {"at": round(time.time(), 3), "event": name, **entries}
        self._journal.write(event)
        self._totals.take(event)
        self.still_failed += name == "still_failed"

    def tick(self) -> None:
        """Write figures and renew the lease when they are due.

        Raises:
            OutputError: a file cannot be written.
            RunConflictError: another dispatcher has taken over the batch in the object store.
        """
        now = time.monotonic()
        if self._remote is not None:
            self._remote.renew()
            self._journal.end_part()
        if self._watch is not None and now - self._watched >= WATCH_EVERY:
            self._watched = now
            self._watch(self._totals)
        if self._metrics is not None and now - self._measured >= METRICS_EVERY:
            self._measured = now
            write_metrics(self._totals, self._metrics)

    def end(self) -> None:
        """Write the summaries. Raises ``OutputError``."""
        write_summaries(self._desk, self._totals)
        if self._remote is not None:
            self._remote.upload_summaries()
        if self._metrics is not None:
            write_metrics(self._totals, self._metrics)
