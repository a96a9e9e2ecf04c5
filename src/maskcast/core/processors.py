"""What the system offers to a process: processors, and signals that ask it to end."""

from __future__ import annotations

import os
import signal


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


def ending_signals() -> list[signal.Signals]:
    """Return the signals other than Ctrl-C that ask a process to end, unless they are ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    kinds = [signal.SIGTERM] if hangup is None else [signal.SIGTERM, hangup]
    return [kind for kind in kinds if signal.getsignal(kind) is not signal.SIG_IGN]
