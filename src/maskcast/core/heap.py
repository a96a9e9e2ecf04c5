"""Keep the memory use of long runs steady, and load large libraries without collecting garbage."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameter numbers of ``mallopt``, from ``malloc.h``."""
LARGEST_IN_HEAP = 32 * 2**20
"""Size in bytes from which blocks are mapped outside the heap. This is the maximum of glibc, which
also reaches it on its own once a block of that size has been freed."""
KEPT = 2**31 - 1
"""Free bytes that the heap keeps at its end."""
OF_THE_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the heap keep the memory that one frame frees for the next one; return whether it does.

    By default, glibc may return the free end of the heap to the system after each frame and request
    it again for the next: the process grows and shrinks by about 60 MiB, and the system clears the
    same pages again and again. Nothing is changed on other systems, or if the environment has
    settings for glibc's allocator.
    """
    if sys.platform != "linux" or any(name in os.environ for name in OF_THE_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not mallopt(MMAP_THRESHOLD, LARGEST_IN_HEAP):
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT))


@contextmanager
def quick_imports() -> Iterator[None]:
    """Do not collect garbage inside the block, which imports torch and what else a command needs.

    While modules are loaded, almost nothing becomes garbage, but Python traverses all objects again
    and again. Afterwards it no longer traverses those that were loaded, not even when it exits.
    Both together take a fifth of the time of ``import torch``. If torch has been loaded before,
    nothing changes after the block: objects of a running program must stay collectable.
    """
    was_enabled, is_early = gc.isenabled(), "torch" not in sys.modules
    gc.disable()
    try:
        yield
    finally:
        if is_early and "torch" in sys.modules:
            gc.freeze()
        if was_enabled:
            gc.enable()
