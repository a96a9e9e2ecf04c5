"""How long fuzz targets run: ``MASKCAST_FUZZ_SECONDS`` for all of them together.

A target is a test in this folder that calls ``fuzz(examples, check)``. Without the variable it runs
a few examples, the same ones every time. With it, each target gets an equal share of the time and
other examples each time; hypothesis prints how to repeat the one that failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example")

SECONDS = float(os.environ.get("MASKCAST_FUZZ_SECONDS") or 0)
FEW = 25
"""Examples of a target without a time."""
ROUND = 100
"""Examples between two looks at the clock."""


class Fuzz(Protocol):
    """Check examples until the time is up."""

    def __call__(
        self, examples: SearchStrategy[Example], check: Callable[[Example], None]
    ) -> None: ...


def run_for(
    seconds: float, examples: SearchStrategy[Example], check: Callable[[Example], None]
) -> None:
    """Check a few examples, or as many as ``seconds`` allow if these are not 0."""
    end = time.monotonic() + seconds
    number = time.time_ns() if seconds else 0
    while True:
        _round(number, ROUND if seconds else FEW, examples, check)
        number += 1
        if time.monotonic() >= end:
            return


def _round(
    number: int,
    count: int,
    examples: SearchStrategy[Example],
    check: Callable[[Example], None],
) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(example=examples)
    def target(example: Example) -> None:
        check(example)

    target()
