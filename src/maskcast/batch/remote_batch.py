"""A batch whose results are in an object store: its settings, journal, lease and summaries.

The dispatcher keeps a copy of them in a local folder, in the form of a batch on the disk, and
uploads what changes. Imports no torch.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskcast.batch.addresses import Url
from maskcast.batch.layout import BATCH, FAILURES, JOURNAL, REPORT, RESULTS, SHARDS
from maskcast.batch.store import Store
from maskcast.core.errors import DataError, OutputError, RunConflictError
from maskcast.core.files import path_inside, write_bytes
from maskcast.core.strict_json import parse_json

logger = logging.getLogger(__name__)

LEASE_EVERY = 60.0
"""Seconds between two renewals of a lease."""
LEASE_LASTS = 3 * LEASE_EVERY
"""Seconds after which a lease that was not renewed has ended."""


class RemoteBatch:
    """The files of a batch in a store, and their copies in a local folder."""

    def __init__(
        self, output: Url, folder: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Describe a batch; nothing is read.

        Args:
            output: the folder in the store.
            folder: the local folder.
            clock: returns the time in seconds since 1970.
        """
        self.store = Store(output)
        self.folder = folder
        self._clock = clock
        self._waiting: list[Path] = []
        self._lease = ""
        self._token = secrets.token_hex(8)
        self._renewed = 0.0

    def download(self) -> None:
        """Copy the settings and the journal to the local folder.

        Parts of the journal that only the local folder has are uploaded: their dispatcher was
        killed.

        Raises:
            TransientError: the store fails.
            OutputError: a file cannot be written.
        """
        content = self.store.read(BATCH)
        if content is not None:
            write_bytes(self.folder / BATCH, content)
        journal = self.folder / JOURNAL
        names = [name.rpartition("/")[2] for name in self.store.names(JOURNAL)]
        missing = [name for name in names if not path_inside(journal, name).is_file()]
        for name in missing:
            self.store.download(f"{JOURNAL}/{name}", path_inside(journal, name))
        self._waiting = [path for path in journal.glob("*.jsonl") if path.name not in names]
        self.upload_parts()

    def claim_settings(self) -> None:
        """Upload the settings that were just written to the local folder.

        Raises:
            RunConflictError: another process has written settings at the same time.
            OutputError: the store fails.
        """
        self.store.create(BATCH, (self.folder / BATCH).read_bytes())

    @contextmanager
    def alone(self, shard: tuple[int, int]) -> Iterator[None]:
        """Hold the lease of a shard.

        Raises:
            RunConflictError: another dispatcher holds it.
            OutputError: the store fails.
        """
        self._lease = f"{SHARDS}/{shard[0]}-of-{shard[1]}.json"
        holder, renewed = self._holder()
        if holder is not None and self._clock() - renewed < LEASE_LASTS:
            raise RunConflictError(
                f"another process works on this shard of {self.store.url}; if it was killed, wait "
                f"{LEASE_LASTS / 60:.0f} minutes",
                options=("output",),
            )
        if holder is not None:
            self.store.remove(self._lease)
        self.store.create(self._lease, self._lease_content())
        self._renewed = self._clock()
        try:
            yield
        finally:
            with suppress(OutputError):
                self.store.remove(self._lease)

    def renew(self) -> None:
        """Renew the lease if it is time to; call it often.

        Raises:
            RunConflictError: another dispatcher has taken the lease.
        """
        if self._clock() - self._renewed < LEASE_EVERY:
            return
        self._renewed = self._clock()
        try:
            holder, _ = self._holder()
            if holder not in (None, self._token):
                raise RunConflictError(
                    f"another process has taken over this shard of {self.store.url}",
                    options=("output",),
                )
            self.store.write(self._lease, self._lease_content())
        except OSError as error:  # the store may work again before the lease ends
            logger.warning("%s", error)

    def add_part(self, path: Path) -> None:
        """Upload a part of the journal, and those that could not be uploaded before."""
        self._waiting.append(path)
        self.upload_parts()

    def upload_parts(self) -> None:
        """Upload the parts of the journal that are not in the store; keep them if it fails."""
        files = {f"{JOURNAL}/{path.name}": path for path in self._waiting}
        try:
            self.store.upload(files)
            self._waiting.clear()
        except OutputError as error:
            logger.warning("%s", error)

    def upload_summaries(self) -> None:
        """Upload the failed rows, the table of results and the report.

        Raises:
            OutputError: the store fails, or a part of the journal is still missing there.
        """
        paths = [self.folder / name for name in (FAILURES, RESULTS, REPORT)]
        self.store.upload({path.name: path for path in paths if path.is_file()})
        if self._waiting:
            raise OutputError(
                f"the journal could not be written to {self.store.url}; run the batch again to "
                "write it"
            )

    def _holder(self) -> tuple[str | None, float]:
        content = self.store.read(self._lease)
        try:
            lease = parse_json(content) if content is not None else {}
            return lease.get("token"), float(lease.get("renewed", 0))
        except (DataError, AttributeError, TypeError, ValueError):
            return "", 0.0

    def _lease_content(self) -> bytes:
        return json.dumps({"token": self._token, "renewed": self._clock()}).encode()
