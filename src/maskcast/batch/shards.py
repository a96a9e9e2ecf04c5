"""Which part of a manifest a dispatcher works through. Imports no torch."""

from __future__ import annotations

import os

from maskcast.core.errors import UsageError
from maskcast.core.numbers import shortened, whole_number

VARIABLES = {"slurm": "SLURM_ARRAY_TASK_ID", "kubernetes": "JOB_COMPLETION_INDEX"}
"""Environment variables that hold the index of a task."""


def parse_shard(text: str) -> tuple[int, int]:
    """Return index and number of the shards, from ``I/N``, ``slurm/N`` or ``kubernetes/N``.

    The number is never taken from the environment, because an array in which only failed tasks are
    run again has another one.

    Raises:
        UsageError: the text has another form, the variable is not set, or the index is too large.
    """
    first, _, last = text.partition("/")
    source, count = VARIABLES.get(first), whole_number(last)
    if source is not None and source not in os.environ:
        raise UsageError(
            f"shard {text} needs the environment variable {source}, which is not set", options=_ME
        )
    index = whole_number(os.environ.get(source, "") if source else first)
    if index is None or not count:
        raise UsageError(
            f"shard must be INDEX/COUNT, slurm/COUNT or kubernetes/COUNT, got {shortened(text)!r}",
            options=_ME,
        )
    if index >= count:
        raise UsageError(
            f"shard {index} does not exist: {count} shards are counted from 0", options=_ME
        )
    return index, count


_ME = ("shard",)
