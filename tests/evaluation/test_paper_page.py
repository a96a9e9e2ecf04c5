"""The page of a paper: every figure and its commands, runs where they belong, and the charts."""

from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evaluation.small_sets import davis2017, write_predictions
from maskcast.cli.main import main
from maskcast.core.config import with_options
from maskcast.core.errors import UsageError
from maskcast.data.catalogue import DATASETS
from maskcast.evaluation.paper_charts import ChartPoint, scatter
from maskcast.evaluation.paper_commands import commands_for
from maskcast.evaluation.paper_figures import speed_charts, steps_charts
from maskcast.evaluation.paper_page import write_paper_page
from maskcast.evaluation.published import PublishedRow, published_tables
from maskcast.evaluation.report import Run, read_runs
from maskcast.evaluation.scores import Scores
from maskcast.evaluation.strips import video_strips
from maskcast.methods.catalogue import METHODS, published_files
from maskcast.methods.recipes import recipes

PAPERS = ("lwl", "agame", "eosvos")


class Page(HTMLParser):
    """The cells of a page's tables, by row, and what it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.sources: list[str] = []
        self.is_in_cell = False
        self.feed(path.read_text("utf-8"))
        self.rows = [[cell.strip() for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.is_in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.is_in_cell = self.is_in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.is_in_cell:
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """Return the figures of the first row whose name starts so."""
        return next(row[1:] for row in self.rows if row and row[0].startswith(name))


def scores(
    *,
    dataset: str = "davis2017",
    videos: int = 30,
    figure: float = 0.7,
    speed: float = 2.0,
    **run: Any,
) -> Scores:
    def entry(J: float, F: float) -> dict[str, Any]:
        J_and_F = {
            name: {"mean": value, "recall": 0.9, "decay": 0.1}
            for name, value in (("J", J), ("F", F))
        }
        return {**J_and_F, "J&F": (J + F) / 2}

    usual = {"method": "eosvos", "weights": "eosvos-davis17", "published": "eosvos-davis17"}
    usual |= {"init": "mask", "dtype": "float32", "weights_sha256": "0" * 64}
    return Scores(
        {
            "dataset": entry(figure - 0.02, figure + 0.02),
            "videos": {f"v{index}": entry(0.6, 0.7) for index in range(videos)},
            "objects": {},
            "protocol": {"dataset": dataset, "split": "val"},
            "run": {**usual, "options": {}, **run},
            "speed": {"model_frames_per_second": speed},
            "results": "masks",
            "missing": [],
            "faults": [],
            "extra_objects": {},
        }
    )


def own_cells() -> list[tuple[PublishedRow, str]]:
    tables = published_tables()
    cells = [(cell, table.label) for table in tables for row in table.rows for cell in row.cells]
    return [(cell, label) for cell, label in cells if cell is not None and cell.method is not None]


@pytest.mark.parametrize("paper", PAPERS)
def test_a_page_without_runs_has_every_figure(paper, tmp_path):
    assert write_paper_page(paper, [], tmp_path / "page.html") == []
    page = Page(tmp_path / "page.html")
    assert page.sources == []  # it needs no other file
    shown = [float(cell) for row in page.rows for cell in row if re.fullmatch(r"[\d.]+", cell)]
    printed = [
        value
        for table in published_tables(paper)
        for row in table.rows
        for cell in row.cells
        if cell is not None
        for value in (*cell.figures.values(), cell.frames_per_second)
        if value is not None
    ]
    assert sorted(shown) == sorted(printed)


def test_rows_have_the_figures_under_their_columns(tmp_path):
    write_paper_page("eosvos", [], tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    # Table 2: J, decay, F, speed; J, decay, F, J&F; and no test-dev
    assert page.row("MetaVOS") == [
        *("81.5", "5.0", "82.7", "4.0", "63.9", "14.4", "70.7", "67.3"),
        *["–"] * 4,
    ]
    assert page.row("e-OSVOS-T-OnA, T = 100") == ["74.8"]


def test_every_command_can_be_given():
    """Recipes, weights, data sets, splits and settings of the commands exist."""
    known = recipes()
    for cell, label in own_cells():
        for command in commands_for(cell, label):
            words = shlex.split(command)
            options = dict(pairwise(words))
            if words[:2] == ["maskcast", "train"]:
                settings = {
                    flag.removeprefix("--").replace("-", "_"): value
                    for flag, value in options.items()
                    if flag.startswith(("--model", "--data"))
                }
                assert settings
                with_options(known[words[2]].config, settings)
            elif words[:2] == ["maskcast", "evaluate"]:
                assert options.get("--split", "val") in ("val", *DATASETS[words[2]].splits)
                weights = options["--weights"]
                assert weights in published_files() or weights.startswith("runs/")
                chosen = dict(word.split("=") for word in words if re.fullmatch(r"\w+=\w+", word))
                with_options(METHODS[cell.method or ""].config(), chosen)


def test_every_figure_of_our_methods_has_commands():
    without = [cell.name for cell, label in own_cells() if not commands_for(cell, label)]
    assert set(without) == {"A-GAME (earlier version)"}


def test_a_run_fills_the_line_of_its_weights_and_settings(tmp_path):
    same = scores(options={"inner_steps": "50"}, figure=0.731)
    fewer = scores(options={"inner_steps": "50"}, figure=0.5, videos=29)
    trained = "elsewhere/eosvos-lovasz/weights.safetensors"
    row = {"inner_steps": "100", "propagation": "extend"}
    ours = scores(weights=trained, published=None, options=row, figure=0.69)
    other = scores(dataset="davis2016", videos=10, figure=0.44, weights="small", published=None)
    runs = [
        Run(name, each, Path("masks"))
        for name, each in (("same", same), ("fewer", fewer), ("ours", ours), ("different", other))
    ]
    write_paper_page("eosvos", runs, tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    here = page.row("here: same")
    assert [cell for cell in here if cell] == ["71.1", "10.0", "75.1", "73.1"]
    assert here.index("71.1") == 4  # below DAVIS 2017
    assert page.row("here: ours") == ["69.0"]
    assert page.row("fewer")[0] == "50.0"  # below Table 1, with what differs
    assert "29 of 30 videos" in (tmp_path / "page.html").read_text("utf-8")
    write_paper_page("lwl", runs, tmp_path / "page.html")
    assert Page(tmp_path / "page.html").row("different") == ["44.0", "42.0", "46.0"]


def test_figure_1_has_published_methods_and_all_runs():
    runs = {
        "full": scores(options={"inner_steps": "50"}),
        "lwl": scores(dataset="davis2016", videos=10, method="lwl", speed=5.0),
    }
    first, second = speed_charts(published_tables("eosvos"), runs)
    for name in ("STM", "PReMVOS†", "e-OSVOS-100-OnA", "full"):
        assert f">{name}<" in first.picture
    assert ">lwl<" not in first.picture  # other videos: not on the same axes
    assert ">lwl<" in second.picture
    assert "STM" not in second.picture
    assert "davis2016 val, 10 videos" in second.caption


def test_figure_3_joins_runs_that_differ_in_steps_only():
    runs = {
        name: scores(weights="w", figure=figure, options={"inner_steps": steps, **more})
        for name, figure, steps, more in (
            ("a", 0.61, "10", {}),
            ("b", 0.62, "50", {}),
            ("c", 0.63, "50", {"online_adaptation": "true"}),
        )
    }
    runs["default"] = scores(weights="w")  # does not state its steps
    (chart,) = steps_charts(published_tables("eosvos"), runs)
    assert chart.curves[-2:] == ("w", "w online_adaptation=true")
    assert chart.curves[0] == "parent training + single LR"
    assert {">61.0<", ">62.0<", ">63.0<", ">42.7<", ">74.8<"} <= set(
        re.findall(r">[\d.]+<", chart.picture)
    )
    assert ">70.0<" not in re.findall(r"<text[^>]*fill[^>]*>[^<]*<", chart.picture)


def test_runs_that_do_not_state_their_steps_are_named(tmp_path):
    runs = [
        Run("default", scores(), Path("masks")),
        Run("ten", scores(options={"inner_steps": "10"}), Path("masks")),
        Run("lwl", scores(method="lwl"), Path("masks")),
    ]
    (line,) = write_paper_page("eosvos", runs, tmp_path / "page.html")
    assert line.startswith("default is not in the figure of steps")


def test_labels_of_near_points_do_not_overlap():
    drawn = scatter([ChartPoint(1.0, 50 + i / 10, f"point {i}") for i in range(4)], "x", "y")
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">point', drawn)
    assert len(set(places)) == 4
    boxes = [(float(x), float(y)) for x, y in places]
    for index, (x, y) in enumerate(boxes):
        for other_x, other_y in boxes[index + 1 :]:
            assert abs(x - other_x) > 7 * 6 or abs(y - other_y) >= 13


@pytest.fixture
def scored(tmp_path) -> Path:
    """A run of which one video is worse than the others."""
    videos = {"ants": (1, 3), "bees": (1,), "cows": (1,)}
    davis2017(tmp_path / "set", {name: dict.fromkeys(ids, 0) for name, ids in videos.items()})
    write_predictions(tmp_path / "masks", videos)
    write_predictions(tmp_path / "masks", {"bees": (1,)}, shift=3)
    arguments = [
        "--root",
        tmp_path / "set",
        "--results",
        tmp_path / "masks",
        "-o",
        tmp_path / "run",
    ]
    assert main(["score", "davis2017", *map(str, arguments), "--jobs", "1"]) == 0
    return tmp_path / "run"


def test_strips_show_the_best_videos_and_then_the_worst(scored):
    (run,) = read_runs([scored])
    strips = video_strips(run.scores, run.masks)
    assert [(strip.video, strip.is_failure) for strip in strips] == [
        ("ants", False),
        ("cows", False),
        ("bees", True),
    ]
    assert [name for name, _ in strips[0].frames] == [f"{index:05d}" for index in range(6)]
    assert all(url.startswith("data:image/jpeg") for strip in strips for _, url in strip.frames)


def test_the_command_writes_a_page_of_runs_and_says_what_it_left_out(scored, tmp_path, capsys):
    text = (scored / "scores.json").read_text()
    (scored / "scores.json").write_text(
        text.replace('"schema"', '"run": {"method": "lwl"}, "schema"')
    )
    page = tmp_path / "page.html"
    assert main(["report", str(scored), "--paper", "lwl", "-o", str(page)]) == 0
    assert page.read_text("utf-8").count("data:image/jpeg") == 3 * 6
    (tmp_path / "set").rename(tmp_path / "moved")
    assert main(["report", str(scored), "--paper", "lwl", "-o", str(page)]) == 0
    assert "no images of run" in capsys.readouterr().err
    assert "No run with images was given" in page.read_text("utf-8")


def test_names_of_runs_are_escaped(tmp_path):
    hostile = "<img src=x>"
    runs = [Run(hostile, scores(options={"inner_steps": "50"}), Path("masks"))]
    write_paper_page("eosvos", runs, tmp_path / "page.html")
    assert hostile not in (tmp_path / "page.html").read_text("utf-8")


def test_an_unknown_paper_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="available: lwl, agame, eosvos"):
        write_paper_page("osvos", [], tmp_path / "page.html")


def test_a_paper_is_not_written_into_a_table(tmp_path, capsys):
    (tmp_path / "results.md").write_text("mine")
    arguments = ["report", "--paper", "lwl", "--published", str(tmp_path / "results.md")]
    assert main(arguments) == 2
    assert "--paper and --published exclude each other" in capsys.readouterr().err
    assert (tmp_path / "results.md").read_text() == "mine"
