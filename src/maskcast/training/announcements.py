"""Say at the start of a run what it starts from, and soon how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from maskcast.core.training import Task, ValidatesInParts

STEPS_TIMED = 4
"""Steps after the first one from which the time left is estimated."""


def describe_start(config: Any, start_from: str | None) -> str:
    """Say which weights a new run starts from.

    Args:
        config: settings of the recipe; ``trunk_weights``, if it has that, is the file of a trunk.
        start_from: name or file of the weights of a whole network.
    """
    if start_from is not None:
        return f"the network starts from the weights {start_from}"
    if not hasattr(config, "trunk_weights"):
        return "the network starts as the recipe says, not from other weights"
    if config.trunk_weights is not None:
        return f"the trunk starts from {config.trunk_weights}, everything else from random weights"
    return (
        "the whole network, its trunk included, starts from random weights; the setting "
        "trunk_weights names the file of a trained trunk"
    )


def describe_first_validation(task: Task) -> str:
    """Say that a validation precedes the first step, and in how many parts it is."""
    parts = task.validation_parts() if isinstance(task, ValidatesInParts) else 0
    unit = "part" if parts == 1 else "parts"
    return f"validating before the first step, in {parts} {unit}; this can take minutes"


class Pace:
    """Measures the first steps of a session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()

    def after(self, steps: int, *, left: int) -> str | None:
        """Return a line after the first step, and after the step that ends the measurement.

        Args:
            steps: finished steps of this session.
            left: steps until the end of the run.
        """
        seconds = self._clock() - self._since
        if steps == 1:
            self._since = self._clock()
            return f"the first step took {seconds:.1f} s, loading of data included"
        if steps == 1 + STEPS_TIMED and left:
            whole = in_hours(seconds / STEPS_TIMED * left)
            return f"about {whole} left for {left} steps, without validation"
        return None


def in_hours(seconds: float) -> str:
    """Format a time for people, such as ``2 h 05 min``, ``12 min`` or ``40 s``."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if seconds >= 90 else f"{seconds:.0f} s"
