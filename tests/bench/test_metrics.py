"""The benchmark of the metrics, on small frames and short videos; no times are judged."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.bench import metrics
from maskcast.bench.plain_metrics import plain_contour_accuracy, plain_region_similarity


@pytest.fixture
def small(monkeypatch):
    for name, value in {
        "FRAME_SIZE": (48, 64),
        "REPEATS": 1,
        "VIDEOS": 2,
        "FRAMES": 5,
        "OBJECTS": 3,
        "LENGTHS": (2, 4),
    }.items():
        monkeypatch.setattr(metrics, name, value)


def test_the_plain_transcription_by_hand():
    truth, prediction = np.zeros((2, 40, 40), np.bool_)
    truth[10:20, 10:20] = True
    prediction[10:20, 12:22] = True
    assert plain_region_similarity(prediction, truth) == 80 / 120
    # Both contours are rings of 40 pixels, in rows 9 and 19, two columns apart. The radius is 1:
    # 10 pixels in each of these rows match, and 2 more of the side inside the other ring.
    assert plain_contour_accuracy(prediction, truth) == pytest.approx(22 / 40)
    assert plain_contour_accuracy(truth, truth) == 1


def test_all_cases(small, monkeypatch):
    asked = []

    def run(root, *, jobs):
        videos = sorted(path.name for path in (root / "results").iterdir())
        frames = [len(list((root / "results" / name).iterdir())) for name in videos]
        asked.append((root.name, frames, jobs))
        return 2.0, 64.0

    monkeypatch.setattr(metrics, "_run", run)
    cases = metrics.bench()
    assert list(cases) == [
        *metrics.SHARES,
        "noise all over",
        "DAVIS-2017-val-sized set",
        "memory",
    ]
    assert all(case["times faster"] > 0 for case in list(cases.values())[:4])
    assert cases["DAVIS-2017-val-sized set"]["s, 2 processes"] == 2.0
    assert cases["memory"] == {"MB, 2 frames": 64.0, "MB, 4 frames": 64.0}
    whole = [("set", [3, 2], 1), ("set", [3, 2], 2), ("set", [3, 2], 1), ("set", [3, 2], 1)]
    assert asked == [*whole, ("2", [2], 1), ("4", [4], 1)]


def test_a_run_is_scored_in_a_process_of_its_own(small, tmp_path):
    metrics._write_set(tmp_path, {"v": (4, 2)})
    seconds, memory = metrics._run(tmp_path, jobs=1)
    assert seconds > 0
    assert 10 < memory < 2000
