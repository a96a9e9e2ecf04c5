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
from oracle.plumbing import DATA, OracleFile, check_folder, each_file

PER_FRAME = 1e-12
STATISTICS = 1e-10
MEASURES = ("J", "F")
STATISTIC_NAMES = ("mean", "recall", "decay")


def test_the_folder_holds_what_is_known() -> None:
    check_folder("metrics")


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
    expected = json.loads(oracle.path.read_text("utf-8"))
    total = expected.pop("dataset")
    predictions = predictions_of(oracle, set(expected))
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


def predictions_of(oracle: OracleFile, sequences: set[str]) -> Path:
    """Return ``osvos_predictions`` for davis16_osvos, else the folder that has all sequences."""
    folder = oracle.path.parent
    named = folder / f"{oracle.path.stem.removeprefix('davis16_')}_predictions"
    if named.is_dir():
        return named
    others = [
        other
        for other in sorted(folder.glob("*predictions*"))
        if sequences <= {path.name for path in other.iterdir()}
    ]
    assert others, f"{folder} has no predictions for {oracle.name}"
    return others[0]


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
    assert set(tree["videos"]) == set(expected.get("sequences", tree["videos"]))


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
    """Return a data set of these real sequences; skip where they are absent."""
    found = {
        path.name: path
        for root in sorted(DATA.glob("davis16*"), reverse=True)
        for path in (root / "Annotations" / "480p").glob("*")
    }
    if missing := sorted(names - set(found)):
        if os.environ.get("MASKCAST_DATA"):
            pytest.fail(f"{DATA} has no davis16* with {missing}")
        pytest.skip("the real sequences are not there")
    narrowed = folder / "davis"
    lists = narrowed / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(sorted(names)))
    for name in names:
        for kind in ("Annotations", "JPEGImages"):
            source = found[name].parents[2] / kind / "480p" / name
            link = narrowed / kind / "480p" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                link.symlink_to(source)
    return narrowed
