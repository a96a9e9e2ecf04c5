"""The figures of the paper from finished runs, and the search for one rate."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from maskcast.core.config import config_to_dict
from maskcast.core.errors import DataError, UsageError
from maskcast.io.weights.files import write_weights
from maskcast.io.weights.names import read_weights
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.training.ladder import chart, figures, rate, read_point
from maskcast.methods.eosvos.training.parent_training import GRID
from maskcast.methods.eosvos.training.recipes import RECIPES

from .. import small
from .videos import write_video


def scored_run(folder, steps, score, **options):
    folder.mkdir()
    figures_of = {"mean": score, "recall": 1.0, "decay": 0.0}
    tree = {
        "schema": "maskcast-scores-1",
        "run": {
            "method": "eosvos",
            "weights": "some",
            "options": {"inner_steps": str(steps), **options},
        },
        "speed": {"model_frames_per_second": 10 / steps},
        "dataset": {"J": figures_of, "F": figures_of, "J&F": score},
        "protocol": {"name": "folder", "dataset": "folder", "split": "all", "root": "videos"},
        "results": "masks",
        **{name: {} for name in ("videos", "objects", "extra_objects")},
        **{name: [] for name in ("missing", "faults")},
    }
    (folder / "scores.json").write_text(json.dumps(tree))
    return folder


def test_both_figures_are_drawn_from_finished_runs(tmp_path):
    runs = [scored_run(tmp_path / str(n), n, 0.5 + n / 1000) for n in (10, 50, 100)]
    runs.append(scored_run(tmp_path / "ona", 50, 0.7, online_adaptation="true"))
    for path in figures(tuple(runs), output=tmp_path / "figures"):
        root = ET.parse(path).getroot()
        circles = [e for e in root.iter() if e.tag.endswith("circle")]
        lines = [e for e in root.iter() if e.tag.endswith("polyline")]
        assert (len(circles), len(lines)) == (4, 2)


def test_more_steps_stand_further_right_and_better_scores_higher(tmp_path):
    points = [read_point(scored_run(tmp_path / str(n), n, n / 100)) for n in (10, 90)]
    root = ET.fromstring(chart(points, [10.0, 90.0], "inner steps"))
    (ax, ay), (bx, by) = (
        (float(e.get("cx")), float(e.get("cy"))) for e in root.iter() if e.tag.endswith("circle")
    )
    assert bx > ax and by < ay  # y grows downwards


def test_curves_are_named_by_what_tells_them_apart(tmp_path):
    runs = [scored_run(tmp_path / "a", 10, 0.512, inner_batch="1")]
    runs.append(scored_run(tmp_path / "b", 10, 0.634, inner_batch="1", online_adaptation="true"))
    root = ET.fromstring(chart([read_point(run) for run in runs], [10.0, 10.0], "inner steps"))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"some", "some online_adaptation=true", "all with inner_batch=1"} <= set(texts)
    assert {"J&F", "0.50", "0.65"} <= set(texts)  # the axis, and what it reaches


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("eosvos-davis17", "eosvos-davis17"),
        ("runs/meta/weights.safetensors", "meta"),
        ("runs/parent-rate.safetensors", "parent-rate"),
    ],
)
def test_files_are_named_by_what_says_most(tmp_path, weights, name):
    run = scored_run(tmp_path / "a", 10, 0.5)
    tree = json.loads((run / "scores.json").read_text())
    tree["run"]["weights"] = weights
    (run / "scores.json").write_text(json.dumps(tree))
    assert read_point(run).weights == name


def test_runs_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(UsageError, match="finished evaluations"):
        figures((), output=tmp_path)
    folder = scored_run(tmp_path / "a", 1, 0.5)
    tree = json.loads((folder / "scores.json").read_text())
    del tree["run"]
    (folder / "scores.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match="do not contain the settings of the run"):
        read_point(folder)


def test_the_grid_search_stores_the_best_rate(tmp_path, capsys):
    write_video(tmp_path / "videos" / "one", frames=3, seed=1)
    write_video(tmp_path / "videos" / "apart", frames=2, seed=3)
    method = small.method(rate_level="single")
    write_weights(
        tmp_path / "parent.safetensors",
        method="eosvos",
        config=config_to_dict(method),
        tensors=learned_start_of(small.network(), level="single").state_dict(),
        card={},
    )
    found = rate(
        weights=str(tmp_path / "parent.safetensors"),
        videos=(tmp_path / "videos",),
        held_out=("apart",),
        output=tmp_path / "best.safetensors",
        inner_steps=1,
    )
    assert set(found) == set(GRID)
    stored = read_weights(str(tmp_path / "best.safetensors")).tensors["log_init_lr"].item()
    assert stored == pytest.approx(max(found, key=lambda value: found[value]), rel=1e-3)
    assert "best" in capsys.readouterr().out


def test_every_row_of_the_ladder_is_a_recipe():
    rows = {
        name: (
            r.config.method.rate_level,
            r.config.method.network.norm,
            r.config.method.network.mask_loss,
        )
        for name, r in RECIPES.items()
    }
    assert rows["eosvos-parent"] == rows["eosvos-single"] == ("single", "frozen_bn", "bce")
    assert rows["eosvos-neuron"] == ("neuron", "frozen_bn", "bce")
    assert rows["eosvos-groupnorm"] == ("neuron", "group", "bce")
    assert rows["eosvos-lovasz"] == rows["eosvos"] == ("neuron", "group", "lovasz_hinge")
    assert RECIPES["eosvos-davis17"].config.rate_rate == 0
