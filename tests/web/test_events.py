"""Pages hear of everything, and can continue where they were."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from maskcast.web.events import Events


def hear(events: Events, after: int | None, count: int, meanwhile: Any = None) -> list[Any]:
    """The first lines of a stream."""

    async def listen() -> list[Any]:
        lines = []
        stream = events.stream(after)
        while len(lines) < count:
            line = await anext(stream)
            lines.append(json.loads(line))
            if meanwhile is not None and len(lines) == 1:
                asyncio.get_running_loop().call_soon(meanwhile)
        await stream.aclose()
        return lines

    return asyncio.run(asyncio.wait_for(listen(), 20))


def kinds(lines: list[Any]) -> list[str]:
    return [line["type"] for line in lines]


def test_a_new_page_hears_what_comes():
    events = Events()
    events.tell("flags")
    lines = hear(events, None, 2, lambda: events.tell("labels", to=3))
    assert kinds(lines) == ["hello", "labels"]
    assert (lines[0]["seq"], lines[1]["seq"], lines[1]["to"]) == (1, 2, 3)


def test_a_page_continues_where_it_was():
    events = Events()
    for number in range(5):
        events.tell("flags", number=number)
    lines = hear(events, 3, 3)
    assert [line.get("number") for line in lines] == [None, 3, 4]


def test_events_that_are_gone_mean_reload():
    events = Events(kept=2)
    for _ in range(5):
        events.tell("flags")
    assert kinds(hear(events, 3, 3)) == ["hello", "flags", "flags"]
    assert kinds(hear(events, 2, 2)) == ["hello", "reload"]
    assert kinds(hear(Events(), 17, 2)) == ["hello", "reload"]  # of an earlier server


def test_silence_is_broken_by_a_beat():
    assert kinds(hear(Events(beat=0.01), None, 3)) == ["hello", "beat", "beat"]


def test_streams_end_with_the_server():
    events = Events()

    async def listen() -> int:
        asyncio.get_running_loop().call_later(0.05, events.close)
        return len([line async for line in events.stream(None)])

    assert asyncio.run(asyncio.wait_for(listen(), 20)) == 1


def test_memory_does_not_grow_with_events():
    events = Events(kept=10)
    for _ in range(1000):
        events.tell("flags")
    assert len(events._lines) == 10
