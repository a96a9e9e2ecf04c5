"""A local copy of a batch in an object store, for commands that only read it. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from maskcast.batch.addresses import Location
from maskcast.batch.layout import JOURNAL, VIDEOS
from maskcast.batch.store import Store
from maskcast.core.errors import DataError


@contextmanager
def local_batch(location: Location, *, with_results: bool) -> Iterator[Path]:
    """Yield the folder of a batch; that of a batch in an object store is a temporary copy.

    Args:
        location: the folder of the batch.
        with_results: copy the results too, not only the journal.

    Raises:
        TransientError: the store fails.
        OutputError: the disk is full.
    """
    if isinstance(location, Path):
        yield location
        return
    store = Store(location)
    with TemporaryDirectory() as name:
        for folder in (JOURNAL, VIDEOS) if with_results else (JOURNAL,):
            for file in store.names(folder):
                if ".." in file.split("/"):
                    raise DataError(f"{location} has a file with the unsafe name {file!r}")
                store.download(file, Path(name) / file)
        yield Path(name)
