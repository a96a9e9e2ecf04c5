"""``maskcast submit`` and ``maskcast report`` from the command line."""

from __future__ import annotations

import json
import zipfile

import pytest

from evaluation.small_sets import davis2017, write_predictions

VIDEOS = {"ants": (1, 3)}


@pytest.fixture
def place(tmp_path):
    davis2017(tmp_path / "set", {"ants": {1: 0, 3: 0}})
    write_predictions(tmp_path / "masks", VIDEOS)
    return tmp_path


def test_build_and_check(place, maskcast):
    known = ["davis2017", "--root", place / "set"]
    archive = place / "out.zip"
    outcome = maskcast("submit", *known, "--results", place / "masks", "-o", archive)
    assert outcome.exit_code == 0, outcome.error
    assert "6 masks of 1 video\n" in outcome.output
    assert "no problems found" in maskcast("submit", *known, "--check", archive).output
    alone = maskcast("submit", "--check", archive)
    assert alone.exit_code == 0
    assert "only checked with DATASET" in alone.error


def test_faults_are_listed_with_exit_code_3(place, maskcast):
    with zipfile.ZipFile(place / "bad.zip", "w") as archive:
        archive.writestr("mine/ants/00000.png", b"no picture")
    known = ["davis2017", "--root", place / "set"]
    outcome = maskcast("submit", *known, "--check", place / "bad.zip")
    assert outcome.exit_code == 3
    assert "bad.zip has 2 problems:" in outcome.error
    assert "mine encloses the videos" in outcome.error
    assert "ants is missing" in outcome.error


def test_120_problems_are_120_lines(place, maskcast):
    with zipfile.ZipFile(place / "bad.zip", "w") as archive:
        for number in range(120):
            archive.writestr(f"ants/{number:05d}.png", b"no picture")
    outcome = maskcast("submit", "--check", place / "bad.zip")
    first, *lines = [line for line in outcome.error.splitlines() if "DATASET" not in line]
    assert outcome.exit_code == 3
    assert first == f"maskcast: {place}/bad.zip has 120 problems:"
    assert len(lines) == 120
    for number, line in enumerate(lines):
        assert f"ants/{number:05d}.png" in line


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["davis2017"], 2, "requires DATASET, --root, --results and --output"),
        (["--check", "a.zip", "-o", "b.zip"], 2, "--check excludes --results"),
        (["--check", "absent.zip"], 3, "archive absent.zip does not exist"),
        (["--root", ".", "--check", "a.zip"], 2, "requires both DATASET and --root"),
        (
            ["davis2017", "--split", "val", "--check", "a.zip"],
            2,
            "requires both DATASET and --root",
        ),
    ],
)
def test_calls_that_make_no_sense(maskcast, arguments, exit_code, words):
    maskcast("submit", *arguments).assert_one_sentence(exit_code, words)


def test_a_report_from_the_command_line(place, maskcast):
    places = ["--root", place / "set", "--results", place / "masks"]
    maskcast("score", "davis2017", *places, "-o", place / "run", "--jobs", "1")
    outcome = maskcast("report", place / "run", "-o", place / "page.html")
    assert outcome.exit_code == 0, outcome.error
    assert outcome.output.split() == [str(place / "page.html")]
    assert (place / "page.html").read_text("utf-8").startswith("<!doctype html>")
    maskcast("report").assert_one_sentence(2, "no runs given; maskcast evaluate and maskcast score")
    maskcast("report", place / "nowhere", "-o", place / "p.html").assert_one_sentence(
        3, "score the results first (maskcast score, maskcast evaluate)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": None},
        {"objects": {"ants_1": {}}},
        {"videos": {}},
        {"dataset": {"J": {"mean": "much"}, "F": {"mean": 0.5}, "J&F": 0.5}},
        {"results": 3},
    ],
)
def test_a_report_of_damaged_scores_is_one_sentence(place, maskcast, change):
    places = ["--root", place / "set", "--results", place / "masks"]
    maskcast("score", "davis2017", *places, "-o", place / "run", "--jobs", "1")
    file = place / "run" / "scores.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change))
    maskcast("report", place / "run").assert_one_sentence(3, "scores.json is damaged (")


def test_davis_2016_has_no_server(place, maskcast):
    outcome = maskcast("submit", "davis2016", "--root", place / "set", "--check", place / "a.zip")
    assert outcome.exit_code == 2
    assert "there is no server for 'davis2016'" in outcome.error
