"""J, F and what is made of them against the official tools; tolerances are the oracle README's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maskcast.cli.main import main
from maskcast.metrics.boundary import contour_accuracy
from maskcast.metrics.frame import score_object
from maskcast.metrics.region import region_similarity
from oracle.plumbing import DATA, OracleFile, each_file

PER_FRAME = 1e-12
STATISTICS = 1e-10
MEASURES = ("J", "F")
STATISTIC_NAMES = ("mean", "recall", "decay")


def scored(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run ``maskcast score`` and return its ``scores.json``."""
    assert main(["score", *arguments, "-o", str(folder), "--jobs", "1"]) == 0
    tree: dict[str, Any] = json.loads((folder / "scores.json").read_text("utf-8"))
    return tree


@each_file("metrics", "frames*")
def test_single_frames(oracle: OracleFile) -> None:
    J, F = oracle.array("J"), oracle.array("F")
    oracle.ignore("names")
    for index in range(len(J)):
        truth, prediction = (oracle.array(f"{kind}_{index}") > 0 for kind in ("gt", "pred"))
        key = f"void_{index}"
        void = oracle.array(key) > 0 if key in oracle else None
        found = (
            region_similarity(prediction, truth, void),
            contour_accuracy(prediction, truth, void),
        )
        assert score_object(prediction, truth, void) == found
        expected = (J[index], F[index])
        oracle.compare_values(key, found, expected, relative=0, absolute=PER_FRAME)


@each_file("metrics", "davis16_*")
def test_published_predictions(oracle: OracleFile, tmp_path: Path) -> None:
    """Folders of predictions are named like the file: ``osvos_predictions`` for davis16_osvos."""
    expected = json.loads(oracle.path.read_text("utf-8"))
    total = expected.pop("dataset")
    method = oracle.path.stem.split("_", 1)[1]
    predictions = oracle.path.parent / f"{method}_predictions"
    root = davis16_with(set(expected), tmp_path)
    tree = scored(["davis2016", "--root", str(root), "--results", str(predictions)], tmp_path / "o")
    assert set(tree["videos"]) == set(expected)
    for name, figures in expected.items():
        found = tree["objects"][f"{name}_1"]
        for measure in MEASURES:
            values = found["per_frame"][measure]
            per_frame = figures[f"{measure}_frames"]
            oracle.compare_values(name, values, per_frame, relative=0, absolute=PER_FRAME)
            compare_statistics(oracle, name, found[measure], figures[measure])
    for measure in MEASURES:
        compare_statistics(oracle, "dataset", tree["dataset"][measure], total[measure])
        for statistic in STATISTIC_NAMES:  # to the last digit
            assert tree["dataset"][measure][statistic] == total[measure][statistic]


@each_file("metrics", "multi*")
def test_several_objects(oracle: OracleFile, tmp_path: Path) -> None:
    expected = json.loads(oracle.path.read_text("utf-8"))
    root = oracle.path.with_suffix("")
    arguments = ["davis2017", "--root", str(root), "--results", str(root / "predictions")]
    tree = scored(arguments, tmp_path)
    assert set(tree["objects"]) == set(expected["objects"])
    for name, figures in expected["objects"].items():
        for measure in MEASURES:
            compare_statistics(oracle, name, tree["objects"][name][measure], figures[measure])
    for measure in MEASURES:
        found, figures = tree["dataset"][measure], expected["dataset"][measure]
        compare_statistics(oracle, "dataset", found, figures)
    both = (tree["dataset"]["J&F"], expected["dataset"]["J&F"])
    oracle.compare_values("J&F", *both, relative=0, absolute=STATISTICS)


@each_file("metrics", "lvos*")
def test_long_videos(oracle: OracleFile, tmp_path: Path) -> None:
    expected = json.loads(oracle.path.read_text("utf-8"))
    objects = expected.pop("per_object")
    root = oracle.path.with_suffix("")
    arguments = ["lvos", "--root", str(root), "--results", str(root / "predictions")]
    tree = scored(arguments, tmp_path)
    assert set(tree["objects"]) == set(objects)

    def compare(what: str, found: dict[str, Any], figures: dict[str, float]) -> None:
        for measure in MEASURES:
            both = (found[measure]["mean"], figures[measure])
            oracle.compare_values(what, *both, relative=0, absolute=PER_FRAME)
        oracle.compare_values(what, found["V"], figures["V"], relative=0, absolute=STATISTICS)

    for name, figures in objects.items():
        compare(name, tree["objects"][name], figures)
    for group, entry in tree["dataset"]["groups"].items():
        compare(group, entry, {m: expected.pop(f"{m}_{group}") for m in ("J", "F", "V")})
    compare("all", tree["dataset"], {m: expected.pop(m) for m in ("J", "F", "V")})
    both = (tree["dataset"]["J&F"], expected.pop("J&F"))
    oracle.compare_values("J&F", *both, relative=0, absolute=STATISTICS)
    assert not expected


def compare_statistics(
    oracle: OracleFile, what: str, found: dict[str, float], expected: dict[str, float]
) -> None:
    both = [[each[name] for name in STATISTIC_NAMES] for each in (found, expected)]
    oracle.compare_values(what, *both, relative=0, absolute=STATISTICS)


def davis16_with(names: set[str], folder: Path) -> Path:
    """Return the root of the real sequences, narrowed to these names; skip where it is absent."""
    for root in sorted(DATA.glob("davis16*")):
        annotations = root / "Annotations" / "480p"
        if not annotations.is_dir() or not names <= {path.name for path in annotations.iterdir()}:
            continue
        narrowed = folder / "davis"
        (narrowed / "ImageSets" / "2016").mkdir(parents=True)
        (narrowed / "ImageSets" / "2016" / "val.txt").write_text("\n".join(sorted(names)))
        for kind in ("Annotations", "JPEGImages"):
            if (root / kind).is_dir():
                (narrowed / kind).symlink_to(root / kind)
        return narrowed
    if os.environ.get("MASKCAST_DATA"):
        pytest.fail(f"{DATA} has no davis16* with {sorted(names)}")
    pytest.skip("the real sequences are not there")
