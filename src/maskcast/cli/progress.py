"""Progress on the terminal, without loading what draws bars if there is no terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskcast.cli.bars import Bars

AS_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Environment variables that may ask for bars on a stream that is not a terminal."""


class TerminalProgress:
    """Shows bars on standard error, one per kind of work; nothing if it is not a terminal."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        if is_terminal or any(os.environ.get(name) for name in AS_TERMINAL):
            from maskcast.cli.bars import Bars

            self._bars = Bars()

    def __enter__(self) -> TerminalProgress:
        if self._bars is not None:
            self._bars.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.__exit__()

    def __call__(self, work: str, done: int, total: int | None) -> None:
        """Update the bar of a kind of work, such as fine-tuning; remove it when finished."""
        if self._bars is not None:
            self._bars(work, done, total)
