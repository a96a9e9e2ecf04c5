"""Scenario 26: neither the page nor the server grows with the length of a video."""

from __future__ import annotations

import pytest

from web.browser.application import Server, Workbench
from web.browser.clips import write_clip

pytestmark = pytest.mark.browser

EARLY, COUNT = 300, 3000
SIZE = (48, 64)


def visited_heap(bench: Workbench, frames: range) -> int:
    """Look at some frames; return the bytes of JavaScript that are in use after that."""
    for frame in frames:
        bench.page.evaluate(f"maskcast.session.goTo({frame})")
        bench.settled()
    session = bench.context.new_cdp_session(bench.page)
    session.send("HeapProfiler.collectGarbage")
    used: int = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return used


def test_memory_does_not_grow_with_the_video(serve, visit, root):
    write_clip(root / "long.mp4", COUNT, SIZE)
    server: Server = serve("long.mp4")
    bench = visit(server).wait_for_workbench()
    bench.square((4, 4, 24, 24))
    bench.go_to(EARLY - 1)
    bench.press("o")
    assert bench.track("to the out point")["state"] == "done"
    heap, memory = visited_heap(bench, range(0, EARLY, 30)), server.memory()
    assert bench.track("to the end")["state"] == "done"
    assert bench.value("maskcast.session.results.done") == COUNT
    assert visited_heap(bench, range(COUNT - EARLY, COUNT, 30)) <= 1.1 * heap
    assert all(now <= 1.1 * before for before, now in zip(memory, server.memory(), strict=True))
