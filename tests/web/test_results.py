"""What a run folder has, frame by frame."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from maskcast.io.label_maps import write_label_map
from maskcast.runs.card import RunCard
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.masks import FoundObject, RleMasks
from maskcast.runs.request import RunRequest
from maskcast.web.results import Results, stamp_of

NAMES = tuple(f"{i:05d}" for i in range(6))
REQUEST = RunRequest(method="m", weights="w", weights_sha256="", input="v", input_sha256="")


def card(form: str = "png") -> RunCard:
    return RunCard(maskcast="0", torch="0", request=REQUEST, masks=form)


def log(folder: Path, *entries: tuple[int, str, dict]) -> None:
    lines = [
        {"frame": frame, "mask": f"{NAMES[frame]}.png", "objects": objects, "digest": digest}
        for frame, digest, objects in entries
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "frames.jsonl").write_text("\n".join(map(json.dumps, lines)))


def load(folder: Path, form: str = "png") -> Results:
    results = Results(folder, NAMES)
    results.load(card(form))
    return results


@pytest.fixture
def run(tmp_path) -> Path:
    log(tmp_path, *((i, "a" if i < 2 else "b", {"7": [4, 0.5]}) for i in range(5)))
    for name in NAMES[:4]:  # frame 4 is logged but was not written
        write_label_map(tmp_path / f"{name}.png", np.full((2, 2), 7, np.int32))
    return tmp_path


def test_frames_with_a_log_line_and_a_file_have_a_stamp(run):
    a, b = stamp_of("a", None), stamp_of("b", None)
    results = load(run)
    assert results.stamps() == [(0, 1, a), (2, 3, b)]
    assert results.last() == 3
    assert results.areas[7].tolist() == [4, 4, 4, 4, -1, -1]
    assert results.confidences[7][:4].tolist() == [0.5] * 4
    assert results.read(3).tolist() == [[7, 7], [7, 7]]
    assert a != b != stamp_of("b", "c")


def test_the_earlier_results_are_read_until_a_log_is_loaded(run, monkeypatch):
    results = load(run)
    before = (results.stamps(), results.areas[7].tolist())
    entries = FrameLog.entries

    def slowly(self):
        for entry in entries(self):
            assert (results.stamps(), results.areas[7].tolist()) == before
            yield entry

    monkeypatch.setattr(FrameLog, "entries", slowly)
    log(run, (0, "c", {"7": [3, 0.5]}))
    results.load(card())
    assert results.stamps() == [(0, 0, stamp_of("c", None))]
    assert results.areas[7].tolist() == [3, -1, -1, -1, -1, -1]


def test_changes_are_stretches_of_one_stamp(run):
    results = load(run)
    before = results.snapshot()
    results.step(3, "x", {7: FoundObject(1, 0.5)})
    results.step(4, "x", {7: FoundObject(1, 0.5), 9: FoundObject(2, None)})
    (run / "00000.png").unlink()
    assert list(results.changes(before)) == [(3, 4, "x")]
    assert results.areas[9].tolist() == [0, 0, 0, 0, 2, -1]
    results.load(card())
    assert list(results.changes(before)) == [(0, 0, None)]


def test_frames_that_were_set_aside_stand_in_for_missing_ones(run):
    shelf = run / ".states" / "aside" / "c"
    log(shelf, (3, "c", {"7": [1, 0.5]}), (5, "c", {"7": [1, 0.5]}))
    for frame in (3, 5):
        path = shelf / f"aside-{frame:08d}.png"
        write_label_map(path, np.eye(2, dtype=np.int32))
    results = load(run)
    assert results.stamp(3) == stamp_of("b", None)
    assert results.stamp(5) == stamp_of("c", None)
    assert [results.is_current(frame) for frame in (3, 4, 5)] == [True, False, False]
    assert results.read(5).tolist() == [[1, 0], [0, 1]]
    results.step(5, "new", {})
    assert results.is_current(5)


def test_masks_that_are_kept_as_run_lengths_are_read_too(tmp_path):
    store = RleMasks(tmp_path, NAMES.__getitem__)
    objects = {7: FoundObject(4, 0.5)}
    for frame in range(3):
        store.write(frame, np.full((2, 2), 7, np.int32), objects)
    log(tmp_path, *((i, "a", {"7": [4, 0.5]}) for i in range(3)))
    results = load(tmp_path, "rle")
    assert results.stamps() == [(0, 2, stamp_of("a", None))]
    assert results.path(1) is None
    assert results.read(1).tolist() == [[7, 7], [7, 7]]


def test_tracks_are_sent_by_slot_and_range(run):
    results = load(run)
    assert set(results.tracks({7: 1})) == {"1"}
    assert results.tracks({}) == {}
    area = base64.b64decode(results.tracks({7: 1}, 1, 2)["1"]["area"])
    assert np.frombuffer(area, "<i4").tolist() == [4, 4]
