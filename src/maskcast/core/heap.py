"""Keep the size of a long run steady, where memory is handed out by glibc."""

from __future__ import annotations

import ctypes
import os
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Numbers of these settings in ``malloc.h``."""
LARGEST_IN_HEAP = 32 * 2**20
"""Bytes; the most that glibc allows. It comes to this by itself once such a block was freed."""
KEPT = 2**31 - 1
"""Bytes."""
OF_THE_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the heap keep what one frame frees for the next one; returns whether that was set.

    By itself glibc gives the free end of the heap back to the system, or does not, depending on
    what lies behind it, and takes it again in the next frame: the size of the process goes up and
    down by some 60 MiB, and the system clears the same pages over and over. Nothing is set on
    other systems, or where the user has settings of glibc in the environment.
    """
    if sys.platform != "linux" or any(name in os.environ for name in OF_THE_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not mallopt(MMAP_THRESHOLD, LARGEST_IN_HEAP):
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT))
