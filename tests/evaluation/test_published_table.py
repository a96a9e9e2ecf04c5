"""The column beside the published figures: which run fills it, which does not, what stays."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest

from maskcast.core.errors import DataError
from maskcast.evaluation.published import published_rows
from maskcast.evaluation.published_table import (
    BEGIN,
    END,
    fill_published_table,
)
from maskcast.evaluation.scores import Scores
from maskcast.methods.catalogue import published_files

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"


def entry(J: float, F: float) -> dict[str, object]:
    def summary(mean: float) -> dict[str, float]:
        return {"mean": mean, "recall": 0.9, "decay": 0.1}

    return {"J": summary(J), "F": summary(F), "J&F": (J + F) / 2}


def boxes_on_davis_2017() -> dict[str, object]:
    """``scores.json`` of a run that followed LWL's Table 4 on DAVIS 2017; no real figures."""
    return {
        "maskcast": "0.1.0",
        "dataset": entry(0.6789, 0.7311),
        "videos": {f"v{index}": entry(0.6, 0.7) for index in range(30)},
        "protocol": {"dataset": "davis2017", "split": "val"},
        "run": {
            "method": "lwl",
            "weights": "lwl-boxinit",
            "weights_sha256": "0123456789abcdef",
            "published": "lwl-boxinit",
            "init": "box",
            "options": {},
            "dtype": "float32",
        },
        "missing": [],
        "faults": [],
        "extra_objects": {},
    }


@pytest.fixture
def page(tmp_path) -> Path:
    path = tmp_path / "results.md"
    path.write_text(f"# Results\n\nbefore\n\n{BEGIN}\n{END}\n\nafter\n")
    return path


def own_cells(page: Path) -> dict[tuple[str, str], str]:
    """Return the last column by method and data set."""
    rows = [line.strip("|").split("|") for line in page.read_text("utf-8").splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 6]
    return {(row[0], row[1]): row[-1] for row in cells[2:]}


def test_a_run_with_the_authors_weights_fills_its_row_alone(page):
    filled = fill_published_table(page, [Scores(boxes_on_davis_2017())])
    assert [(row.name, row.dataset) for row in filled] == [("LWL from boxes", "davis2017")]
    own = {place: cell for place, cell in own_cells(page).items() if cell}
    assert own == {
        ("LWL from boxes", "davis2017 val (30)"): (
            "J&F 70.50, J 67.89, F 73.11 (maskcast 0.1.0, weights 01234567…)"
        )
    }
    text = page.read_text("utf-8")
    assert text.startswith("# Results\n\nbefore\n")
    assert text.endswith("\nafter\n")


def change(tree: dict, place: str, value: object) -> dict:
    changed = deepcopy(tree)
    *folders, last = place.split("/")
    inside = changed
    for folder in folders:
        inside = inside[folder]
    inside[last] = value
    return changed


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("run/published", None),  # a file of the same name that was not the authors'
        ("run/published", "lwl-ytvos"),
        ("run/init", "mask"),
        ("run/options", {"learner.update_steps": "5"}),
        ("run/dtype", "bfloat16"),
        ("protocol/split", "train"),
        ("protocol/dataset", "davis2016"),
        ("videos", {"only": entry(0.6, 0.7)}),
        ("missing", ["v0/00001"]),
        ("run", {}),  # of maskcast score
    ],
)
def test_any_other_run_leaves_the_column_empty(page, place, value):
    assert fill_published_table(page, [Scores(change(boxes_on_davis_2017(), place, value))]) == []
    assert not any(own_cells(page).values())


def test_what_was_filled_in_stays_until_the_row_changes(page):
    fill_published_table(page, [Scores(boxes_on_davis_2017())])
    before = page.read_text("utf-8")
    fill_published_table(page)
    assert page.read_text("utf-8") == before
    page.write_text(before.replace("J&F 70.8", "J&F 71.8"))  # somebody misread the paper
    fill_published_table(page)
    assert not any(own_cells(page).values())


def test_groups_are_needed_for_the_overall_figure(page):
    tree = change(boxes_on_davis_2017(), "protocol/dataset", "youtube-vos-2018")
    tree = change(tree, "protocol/split", "valid")
    tree = change(tree, "videos", {f"v{index}": entry(0.6, 0.7) for index in range(474)})
    assert fill_published_table(page, [Scores(tree)]) == []
    tree["dataset"]["groups"] = {"seen": entry(0.7, 0.8), "unseen": entry(0.6, 0.7)}
    assert len(fill_published_table(page, [Scores(tree)])) == 1
    own = own_cells(page)[("LWL from boxes", "youtube-vos-2018 valid (474)")]
    assert own.startswith("G 70.50, J seen 70.00, J unseen 60.00, F seen 80.00, F unseen 70.00 (")


def test_a_page_without_the_marked_lines_stays_as_it_is(tmp_path):
    page = tmp_path / "notes.md"
    page.write_text("mine\n")
    with pytest.raises(DataError, match="has no place for the table"):
        fill_published_table(page)
    assert page.read_text() == "mine\n"


def test_the_table_of_the_docs_is_the_one_that_is_written(tmp_path):
    written = Path(shutil.copy(RESULTS, tmp_path))
    fill_published_table(written)
    assert written.read_text("utf-8") == RESULTS.read_text("utf-8")


def test_rows_name_weights_that_can_be_imported():
    named = {row.weights: row.method for row in published_rows() if row.weights is not None}
    assert {name: published_files()[name].method for name in named} == named
    assert set(named) == set(published_files())
