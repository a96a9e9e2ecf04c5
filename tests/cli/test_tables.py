"""The table of scores: which videos it shows, and what stands in its cells."""

from __future__ import annotations

import pytest

from maskcast.cli.tables import MOST_VIDEOS, print_corrections, print_scores
from maskcast.evaluation.correction_curve import CorrectionCurve
from maskcast.evaluation.scores import Scores
from maskcast.metrics.frame import FrameScore


def entry(overall: float, **more: float) -> dict[str, object]:
    summary = {"mean": overall, "recall": 1.0, "decay": -0.05}
    return {"J": summary, "F": summary, "J&F": overall, **more}


def table_of(
    videos: dict[str, dict[str, object]],
    dataset: dict[str, object],
    capsys,
    *,
    skip_first: bool = True,
    skip_last: bool = True,
) -> list[str]:
    protocol = {"dataset": "lvos", "split": "valid", "name": "LVOS"} | {
        "skip_first": skip_first,
        "skip_last": skip_last,
    }
    print_scores(Scores({"videos": videos, "dataset": dataset, "protocol": protocol}))
    return capsys.readouterr().out.splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_figures_are_per_cent_and_groups_stand_between_videos_and_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    groups = {"seen": entry(0.5, V=0.1), "unseen": entry(0.25, V=0.2)}
    dataset = entry(0.375, V=0.15) | {"groups": groups}
    lines = table_of({"ants": entry(0.876, V=0.02)}, dataset, capsys)
    rows = [cells(line) for line in lines if "│" in line]
    figures = ["100.0", "-5.0"]
    assert rows == [
        ["ants", "87.6", "87.6", *figures, "87.6", *figures, "2.0"],
        ["seen", "50.0", "50.0", *figures, "50.0", *figures, "10.0"],
        ["unseen", "25.0", "25.0", *figures, "25.0", *figures, "20.0"],
        ["all", "37.5", "37.5", *figures, "37.5", *figures, "15.0"],
    ]


def test_exchanged_ids_are_printed_below_the_table(capsys):
    protocol = {"dataset": "lvos", "split": "valid", "name": "LVOS"}
    tree = {"videos": {"ants": entry(0.0)}, "dataset": entry(0.0), "protocol": protocol}
    print_scores(Scores({**tree, "exchanged_ids": ["ants: were the ids exchanged?"]}))
    assert capsys.readouterr().out.splitlines()[-1] == "ants: were the ids exchanged?"


def test_of_many_videos_the_worst_are_shown_from_the_worst_on(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    shares = [((7 * number) % 50) / 50 for number in range(50)]
    videos = {f"v{number}": entry(share) for number, share in enumerate(shares)}
    lines = table_of(videos, entry(0.5), capsys)
    shown = [cells(line)[0] for line in lines if "│" in line][:-1]
    assert shown == sorted(videos, key=lambda name: videos[name]["J&F"])[:MOST_VIDEOS]


@pytest.mark.parametrize(
    ("skip_first", "skip_last", "words"),
    [
        (True, True, "all annotated ones but its first one, whose mask is given, and the last one"),
        (True, False, "all annotated ones but its first one, whose mask is given"),
        (False, True, "all annotated ones but the last one"),
        (
            False,
            False,
            "all annotated ones; score --skip-first leaves out the first one of each object",
        ),
    ],
)
def test_the_frames_that_count_are_named_below_the_table(capsys, skip_first, skip_last, words):
    lines = table_of(
        {"ants": entry(0.5)}, entry(0.5), capsys, skip_first=skip_first, skip_last=skip_last
    )
    assert lines[-1] == f"frames of an object that count: {words}"


def test_corrections_are_shown_with_what_the_first_one_gains(capsys):
    scores = (FrameScore(0.5, 0.7), FrameScore(0.8, 1.0))
    print_corrections(CorrectionCurve(scores, (0.25, 0.75), (1, None, 3)))
    printed = capsys.readouterr().out
    rows = [cells(line) for line in printed.splitlines() if "│" in line]
    assert rows == [["0", "60.0", "50.0", "70.0"], ["1", "90.0", "80.0", "100.0"]]
    assert "25 frames after the first correction: 25.0 -> 75.0" in printed
    assert "2 of 3 videos reach a J&F of 90.0, after 2.0 corrections on average" in printed


@pytest.mark.parametrize(
    ("dataset", "title"),
    [("folder", "own data: 1 video"), ("davis2017", "davis2017 all, rules of any")],
)
def test_a_table_is_named_after_its_data(dataset, title, capsys):
    protocol = {"dataset": dataset, "split": "all", "name": "any"}
    tree = {"protocol": protocol, "dataset": entry(0.5), "videos": {"cows": entry(0.5)}}
    print_scores(Scores({**tree, "objects": {}}))
    assert capsys.readouterr().out.splitlines()[0].strip() == title
