"""What pages and servers looked like when a test failed, for the report of the failure."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from playwright.sync_api import Error

STATE = """
(() => {
  if (!window.maskcast) return { page: document.body.innerText.slice(0, 500) };
  const { session, look, stage } = maskcast;
  const project = session.project.value;
  return {
    hello: session.hello.value !== null,
    project: project && { key: project.key, revision: project.revision, run: project.run,
      prompts: project.prompts, outdated_from: project.outdated_from },
    job: session.job.value,
    worker: session.worker.value,
    reachable: session.reachable.value,
    edits: session.edits.state.value,
    boxesPending: session.boxesPending.value,
    frame: look.frame.value,
    tool: look.tool.value,
    slot: look.slot.value,
    shown: stage.value?.frame.value,
    current: stage.value?.current,
    trouble: stage.value?.trouble.value?.message,
    missing: stage.value?.missing?.(),
    toasts: session.toasts.shown.value.map((toast) => toast.text),
    sent: session.api.sent,
    dialog: maskcast.dialog.value,
    focus: document.activeElement?.outerHTML.slice(0, 120),
    visible: document.visibilityState,
  };
})()
"""
KEPT = 60
"""Number of requests that are listed."""


class Traffic:
    """The last requests of a page, and those that have no answer yet."""

    def __init__(self, page: Any) -> None:
        self._began = time.monotonic()
        self._log: deque[str] = deque(maxlen=KEPT)
        self._open: dict[Any, float] = {}
        page.on("request", self._sent)
        page.on("requestfinished", lambda request: self._ended(request, "answered"))
        page.on("requestfailed", lambda request: self._ended(request, f"failed {request.failure}"))

    def _sent(self, request: Any) -> None:
        self._open[request] = time.monotonic() - self._began

    def _ended(self, request: Any, how: str) -> None:
        now, sent = time.monotonic() - self._began, self._open.pop(request, 0.0)
        self._log.append(f"{sent:7.2f} {now:7.2f} {_named(request)} {how}")

    def lines(self) -> list[str]:
        """Return the last requests in order of their ends, then those without an end."""
        waiting = [f"{sent:7.2f}       … {_named(r)}" for r, sent in self._open.items()]
        return [*self._log, *waiting, f"{time.monotonic() - self._began:7.2f} now"]


def _named(request: Any) -> str:
    return f"{request.method} /{request.url.split('/', 3)[-1]}"


class Output:
    """Reads what a process prints, so that it never waits for a reader; keeps the last lines."""

    def __init__(self, stream: Any) -> None:
        self.lines: deque[str] = deque(maxlen=400)
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            self.lines.append(line.rstrip("\n"))


def describe(tab: Any, picture: Path | None) -> str:
    """Return what a tab shows, what it has asked and what its server has printed."""
    try:
        state = json.dumps(tab.page.evaluate(STATE), indent=1)
        if picture is not None:
            tab.page.screenshot(path=picture, timeout=10_000)
    except Error as error:
        state = f"the page does not answer: {error}"
    parts = [state, "console:", *tab.troubles, "requests:", *tab.traffic.lines()]
    return "\n".join([*parts, "server:", *tab.server.output])
