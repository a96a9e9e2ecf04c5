"""Detect that another program writes to the run folder of a project. Imports no torch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from maskcast.core.errors import MaskcastError, RunConflictError
from maskcast.core.files import alone_in
from maskcast.runs.card import read_card
from maskcast.runs.layout import CARD
from maskcast.web.events import Events
from maskcast.web.jobs import Jobs, tell_changes
from maskcast.web.project import Project

EVERY = 2.0
"""Seconds between two checks of the run card."""


class CardWatch:
    """Checks the run card while no job of this server runs."""

    def __init__(
        self, project: Project, jobs: Jobs, events: Events, take_marks: Callable[[], None]
    ) -> None:
        """Start to watch.

        Args:
            project: the open project.
            jobs: its jobs.
            events: receives changes.
            take_marks: called when another program has finished with other marks on the card.
        """
        self.external: dict[str, Any] | None = None
        """Progress of another program; None if none writes to the folder."""
        self._project, self._jobs, self._events = project, jobs, events
        self._take_marks = take_marks
        self._seen = self._time()
        self._is_closed = asyncio.Event()

    def close(self) -> None:
        """End ``work``."""
        self._is_closed.set()

    async def work(self) -> None:
        """Check until closed."""
        while not self._is_closed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_closed.wait(), EVERY)
            if not self._is_closed.is_set():
                self.look()

    def look(self) -> None:
        """Load what another program has written since the last check."""
        now = self._time()
        if self._jobs.current is not None or now == self._seen:
            self._seen = now
            if self.external is None or self._jobs.current is not None:
                return
        self._seen = now
        with suppress(MaskcastError):
            card = read_card(self._project.run)
            busy = card is not None and card.status == "running" and self._is_locked()
            external = {"frames": card.frames, "note": _NOTE} if card and busy else None
            before = self._project.results.snapshot()
            self._project.load_results()
            tell_changes(self._project, self._events, before)
            if not busy and self._project.has_foreign_marks:
                self._take_marks()
            if external != self.external:
                self.external = external
                self._events.tell("external", **(external or {"frames": None, "note": ""}))
                self._events.tell("outdated", **{"from": self._project.outdated_from()})

    def refuse(self) -> None:
        """Raise ``RunConflictError`` if another program writes to the folder.

        Marks that another program has left on the card are taken over first.
        """
        self.look()
        if self.external is not None or self._is_locked():
            raise RunConflictError(_NOTE)

    def _is_locked(self) -> bool:
        if self._jobs.current is not None:
            return False
        try:
            with alone_in(self._project.run):
                return False
        except RunConflictError:
            return True
        except MaskcastError:
            return False

    def _time(self) -> float:
        with suppress(OSError):
            return (self._project.run / CARD).stat().st_mtime
        return 0.0


_NOTE = "another program is writing to this run folder; wait until it has finished"
