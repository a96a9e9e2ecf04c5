"""The report is one file that says what the scores say; its figures come with their sources."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evaluation.small_sets import davis2017, write_predictions
from maskcast.cli.main import main
from maskcast.core.errors import UsageError
from maskcast.evaluation.charts import curves
from maskcast.evaluation.published import published_rows, published_tables
from maskcast.evaluation.report import (
    read_runs,
    total_difference,
    video_differences,
    write_report,
)

VIDEOS = {"ants": (1, 3), "cows": (1,)}


@pytest.fixture
def runs(tmp_path) -> list[Path]:
    """Two scored runs: one good, one worse on ants only."""
    davis2017(tmp_path / "set", {name: dict.fromkeys(ids, 0) for name, ids in VIDEOS.items()})
    for name, shift in (("good", 1), ("worse", 3)):
        write_predictions(tmp_path / f"{name}-masks", VIDEOS, shift=1)
        write_predictions(tmp_path / f"{name}-masks", {"ants": VIDEOS["ants"]}, shift=shift)
        places = ["--root", tmp_path / "set", "--results", tmp_path / f"{name}-masks"]
        arguments = ["score", "davis2017", *places, "-o", tmp_path / name, "--jobs", "1"]
        assert main([str(argument) for argument in arguments]) == 0
    return [tmp_path / "good", tmp_path / "worse"]


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """``<line …/>`` opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_one_file_that_needs_no_other(runs, tmp_path):
    assert write_report(read_runs(runs), tmp_path / "report.html") == []
    text = (tmp_path / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.sources
    allowed = ("data:image/jpeg;base64,", "#frames-")
    assert all(source.startswith(allowed) for source in page.sources)
    assert "http" not in text
    assert "<script" not in text


def test_it_says_what_the_scores_say(runs, tmp_path):
    write_report(read_runs(runs), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    # 7 × 7 squares one pixel apart share 42 of 56 pixels, three apart 28 of 70
    good, worse = 100 * 42 / 56, 100 * (2 * 28 / 70 + 42 / 56) / 3
    assert f"<td>{good:.1f}</td>" in text
    assert f"<td>{worse:.1f}</td>" in text
    assert "worse against good" in text
    assert "2 videos are a small sample" in text
    assert "Bhat et al." in text
    assert "all 30 videos" in text  # the published figures are of more videos


def test_one_video_has_no_interval_over_videos(runs, tmp_path):
    for run in runs:
        masks = tmp_path / f"{run.name}-masks"
        places = ["--root", tmp_path / "set", "--results", masks, "--videos", "ants"]
        arguments = ["score", "davis2017", *places, "-o", run, "--jobs", "1"]
        assert main([str(argument) for argument in arguments]) == 0
    write_report(read_runs(runs), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<p>1 video, " in text and "worse against good" in text
    assert "bootstrap interval" not in text and "small sample" not in text
    assert "One video does not show which run is better on others." in text


def test_differences_by_video_and_in_total(runs):
    good, worse = (run.scores for run in read_runs(runs))
    by_video = video_differences(good, worse)
    assert by_video["cows"].mean == by_video["cows"].low == 0
    ants = worse.videos["ants"]["J&F"] - good.videos["ants"]["J&F"]
    assert by_video["ants"].mean == pytest.approx(ants, abs=1e-12)
    assert by_video["ants"].is_clear
    total = total_difference(good, worse)
    assert total is not None
    assert total.mean == pytest.approx(ants / 2, abs=1e-12)
    assert not total.is_clear  # two videos, one of them without a difference


def test_differences_are_told_in_points(runs, tmp_path):
    found = read_runs(runs)
    total = total_difference(*(run.scores for run in found))
    write_report(found, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    told = re.search(r"differs by (\S+) points .* interval (\S+) to (\S+)\)", text)
    assert total is not None and told is not None
    figures = [float(value.replace("−", "-")) / 100 for value in told.groups()]
    assert figures == pytest.approx([total.mean, total.low, total.high], abs=1e-4)


def test_a_run_with_the_authors_weights_stands_beside_their_figures(runs, tmp_path, monkeypatch):
    rows = published_rows("davis2017", "val")
    row = replace(next(row for row in rows if row.weights == "lwl-boxinit"), videos=2)
    monkeypatch.setattr("maskcast.evaluation.report.published_rows", lambda *_: [row])
    good, worse = read_runs(runs)
    made = {"published": "lwl-boxinit", "init": "box", "options": {}, "dtype": "float32"}
    theirs = replace(good, scores=good.scores.with_entries(run=made))
    for shown, cell in (
        (theirs, f"J&amp;F {100 * good.scores.dataset['J&F']:.1f} </td>"),
        (good, ""),
    ):
        write_report([shown, worse], tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text("utf-8")
        published = text.partition('<tbody class="published">')[2].partition("</tbody>")[0]
        assert "LWL from boxes" in published
        assert ("J&amp;F" in published) == bool(cell)
        assert cell in published


def test_names_are_escaped(runs, tmp_path):
    hostile = [replace(run, name="<img src=x onerror=alert(1)>") for run in read_runs(runs)]
    write_report(hostile, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    Page(text)
    assert "<img src=x" not in text
    # title, table, heading of the comparison (twice), legend, curves, heading of the pictures
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") > 2 * 6
    assert "&amp;lt;" not in text  # escaped once


def test_without_the_masks_the_rest_is_still_reported(runs, tmp_path):
    (tmp_path / "set").rename(tmp_path / "moved")
    left_out = write_report(read_runs(runs), tmp_path / "report.html")
    assert [sentence.split(":")[0] for sentence in left_out] == [
        "no images of good",
        "no images of worse",
    ]
    assert "<svg" in (tmp_path / "report.html").read_text("utf-8")
    assert write_report(read_runs(runs), tmp_path / "report.html", root=tmp_path / "moved") == []


def test_runs_of_different_sets_are_not_compared(runs):
    path = runs[1] / "scores.json"
    path.write_text(path.read_text().replace('"split": "val"', '"split": "train"'))
    with pytest.raises(UsageError, match="different data sets: davis2017 train, davis2017 val"):
        read_runs(runs)


def test_curves_leave_gaps_where_there_is_no_value():
    values = [0.1, 0.2, math.nan, 0.4, 0.5]
    drawn = curves(["0", "1", "2", "3", "4"], {"run": {"J": values, "F": [1.0] * 5}})
    assert len(re.findall("<polyline", drawn)) == 3  # J in two pieces, F in one


def test_a_value_alone_between_gaps_is_a_dot():
    drawn = curves(["0", "1", "2"], {"run": {"J": [math.nan, 0.5, math.nan], "F": []}})
    (points,) = re.findall('<polyline[^>]* points="([^"]*)"', drawn)
    first, second = points.split()
    assert first == second


def test_published_figures_have_sources_and_agree_with_themselves():
    rows = published_rows(ablations=True)
    assert {row.method for row in rows} == {"lwl", "agame", "eosvos"}
    cells = [cell for table in published_tables() for row in table.rows for cell in row.cells]
    for row in filter(None, cells):
        assert re.search(r"(Table|table)", row.table), row
        assert row.paper
        figures = row.figures
        if {"J&F", "J", "F"} <= set(figures):
            assert figures["J&F"] == pytest.approx((figures["J"] + figures["F"]) / 2, abs=0.11)
        four = [figures[k] for k in ("J seen", "J unseen", "F seen", "F unseen") if k in figures]
        if len(four) == 4 and "average" not in row.remark:  # a misprint is remarked
            assert figures["G"] == pytest.approx(sum(four) / 4, abs=0.08), row


def test_published_figures_of_one_split():
    rows = published_rows("davis2017", "test-dev")
    assert [(row.name, row.figures["J&F"]) for row in rows] == [("e-OSVOS-50-OnA", 64.8)]


@pytest.fixture
def partial(runs, tmp_path) -> Path:
    """A run scored on one of the two videos."""
    places = ["--root", tmp_path / "set", "--results", tmp_path / "good-masks"]
    arguments = ["score", "davis2017", *places, "-o", tmp_path / "partial", "--videos", "cows"]
    assert main([str(argument) for argument in arguments]) == 0
    return tmp_path / "partial"


def test_runs_of_different_videos_are_compared_on_the_common_ones(runs, partial, tmp_path):
    write_report(read_runs([runs[1], partial]), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    Page(text)
    assert "partial lacks 1 of 2 videos: ants" in text
    assert "<th>J&amp;F, 1 common</th>" in text
    # cows: J is 42 of 56, F is 100 %; twice as a common figure, once as the only video of a run
    assert text.count(f"<td>{(100 * 42 / 56 + 100) / 2:.1f}</td>") == 3


def test_the_worst_objects_of_any_run_are_shown_for_all_and_linked(runs, tmp_path):
    write_report(read_runs(runs), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    links = re.findall(r'href="#([^"]+)"', text)
    assert sorted(links) == sorted(
        f"frames-{run}-{name}"
        for run in ("good", "worse")
        for name in ("ants_1", "ants_3", "cows_1")
    )
    assert all(text.count(f'id="{link}"') == 1 for link in links)


def test_there_are_no_empty_columns(runs, tmp_path):
    write_report(read_runs(runs), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "frames/s" not in text and ">here<" not in text and "common</th>" not in text
