"""Count the available processors."""

from __future__ import annotations

import os


def processor_count() -> int:
    """Return the number of processors that this process may use; at least 1.

    Honours the processor affinity where the system has one (Linux; on Python 3.13 also
    ``PYTHON_CPU_COUNT``). macOS and Windows report all processors.
    """
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
