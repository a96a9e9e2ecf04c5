"""Validate a task in several processes, and compare the result with the best one so far."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping

from torch import Tensor

from maskcast.core.errors import DataError
from maskcast.core.training import CombinesParts, Task, ValidatesInParts
from maskcast.training.logs import LossWindow
from maskcast.training.processes import from_all

logger = logging.getLogger(__name__)


def validation_values(task: Task, *, rank: int, processes: int) -> dict[str, float]:
    """Return the validation values, the same in every process.

    They are empty if the task has no validation, or none of its data can be read.

    Args:
        task: the task, in evaluation mode.
        rank: index of this process, which validates every ``processes``-th part.
        processes: number of processes, all of which must call this function.
    """
    if not isinstance(task, ValidatesInParts):
        return {}
    mine = range(rank, task.validation_parts(), processes)
    shares = from_all({part: readable_values(task.validate_part, part) for part in mine})
    by_part = {part: values for share in shares for part, values in share.items()}
    readable = [by_part[part] for part in sorted(by_part) if by_part[part]]
    if readable and isinstance(task, CombinesParts):
        return dict(task.combine_parts(readable))
    window = LossWindow()
    for values in readable:
        window.add(values)
    return window.means()


def readable_values(
    validate: Callable[..., Mapping[str, float | Tensor]], *part: int
) -> dict[str, float]:
    """Return the values of a validation; log a warning and return none if data are unreadable."""
    try:
        return {name: float(value) for name, value in validate(*part).items()}
    except (DataError, OSError) as error:
        logger.warning("skipped in validation: %s", error)
        return {}


def is_better(value: float, best: float | None, *, highest: bool) -> bool:
    """Return whether a value is better than the best one so far; one that is not finite never is.

    Args:
        value: the new value.
        best: the best value so far; None if there is none.
        highest: whether higher values are better.
    """
    if best is None or not math.isfinite(value):
        return math.isfinite(value)
    return value > best if highest else value < best
