"""What must outlive a power cut: wait until the disk itself has it."""

from __future__ import annotations

import os
from pathlib import Path


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has the content of a file, or the names in a folder.

    Raises:
        OSError: the disk reports a fault.
    """
    on_windows = os.name == "nt"
    if on_windows and path.is_dir():  # has no handle there that could be flushed
        return
    descriptor = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
