"""The log gives back what it was given, whatever else is in the file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from maskcast.core.errors import OutputError
from maskcast.runs.frame_log import FrameLog, LogEntry
from maskcast.runs.masks import FoundObject

PLAIN = LogEntry(
    frame=3, mask="a.png", objects={1: FoundObject(5, 0.25, 0.75), 70000: FoundObject(0, None)}
)
FILLED = LogEntry(
    frame=4,
    mask="b.png",
    objects={1: FoundObject(5, 0.25), 2: FoundObject(7, 1.0)},
    digest="ab",
    backward="cd",
    filled=(2,),
)


def test_entries_are_read_back_and_the_last_one_about_a_frame_wins(tmp_path):
    log = FrameLog(tmp_path / "frames.jsonl")
    assert log.by_frame() == {}
    for entry in (PLAIN, FILLED, FILLED.without_fills()):
        log.append(entry)
    assert list(log.entries()) == [PLAIN, FILLED, FILLED.without_fills()]
    assert log.by_frame() == {3: PLAIN, 4: FILLED.without_fills()}
    assert FILLED.without_fills().objects == {1: FoundObject(5, 0.25)}
    log.replace([FILLED])
    assert log.by_frame() == {4: FILLED}


def test_the_lines_are_those_of_version_0_1_with_more_entries(tmp_path):
    log = FrameLog(tmp_path / "frames.jsonl")
    log.append(PLAIN)
    log.append(FILLED)
    lines = [json.loads(line) for line in log.path.read_text().split("\n") if line]
    assert lines[0] == {
        "frame": 3,
        "mask": "a.png",
        "objects": {"1": [5, 0.25, 0.75], "70000": [0, None, None]},
    }
    assert lines[1] | {"objects": 0} == {
        "frame": 4,
        "mask": "b.png",
        "objects": 0,
        "digest": "ab",
        "backward": "cd",
        "filled": [2],
    }


def test_a_cut_is_kept_whatever_is_filled_in_later(tmp_path):
    log = FrameLog(tmp_path / "frames.jsonl")
    log.append(replace(FILLED, begins_shot=True))
    log.append(PLAIN)
    assert '"cut": true' in log.path.read_text().splitlines()[1]
    assert "cut" not in log.path.read_text().splitlines()[2]
    assert log.by_frame()[4].without_fills().begins_shot
    assert not log.by_frame()[3].begins_shot


def test_lines_without_presence_are_read(tmp_path):
    log = FrameLog(tmp_path / "frames.jsonl")
    log.path.write_text(
        '{"frame": 3, "mask": "a.png", "objects": {"1": [5, 0.25], "2": [0, null]}}'
    )
    assert log.by_frame()[3].objects == {1: FoundObject(5, 0.25), 2: FoundObject(0, None)}


@pytest.mark.parametrize(
    "line",
    [
        *("", "5", "[]", "null", "\0\0", '{"frame": 1}', "[" * 100_000, '{"frame": 3, "mask": "a'),
        '{"frame": 1e400, "mask": "x", "objects": {}}',
        '{"frame": -1, "mask": "x", "objects": {}}',
        '{"frame": true, "mask": "x", "objects": {}}',
        '{"frame": 9, "mask": "x", "objects": {"x": [1, 0.5]}}',
        '{"frame": 9, "mask": "x", "objects": {"1": [1, NaN]}}',
        '{"frame": 9, "mask": "x", "objects": {"1": [1, 1' + "0" * 400 + "]}}",
        '{"frame": 9, "mask": "x", "objects": {"1": ["a", 0.5]}}',
        '{"frame": 9, "mask": "x", "objects": {"1": [1]}}',
        '{"frame": 9, "mask": "x", "objects": {"1": [1, 0.5, NaN]}}',
        '{"frame": 9, "mask": "x", "objects": {"1": [1, 0.5, "x"]}}',
        '{"frame": 9, "mask": "x", "objects": {"1": [1, 0.5, 0.5, 7]}}',
        '{"frame": 9, "mask": "x", "objects": {}, "digest": 5}',
        '{"frame": 9, "mask": "x", "objects": {}, "backward": "a", "filled": ["b"]}',
    ],
)
def test_damaged_lines_are_skipped(line, tmp_path):
    log = FrameLog(tmp_path / "frames.jsonl")
    log.append(PLAIN)
    with log.path.open("a") as file:
        file.write("\n" + line)
    log.append(FILLED)
    assert list(log.entries()) == [PLAIN, FILLED]


def test_a_log_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*frames.jsonl"):
        FrameLog(tmp_path / "none" / "frames.jsonl").append(PLAIN)
