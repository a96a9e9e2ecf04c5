"""Predictions in one file per video score, and are submitted, exactly like the same PNGs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation.small_sets import (
    FRAMES,
    SIZE,
    davis2017,
    label_map,
    members,
    square,
    write_image,
    write_predictions,
    zipped,
)
from maskcast.core.errors import DataError
from maskcast.data.catalogue import open_dataset, protocol_of
from maskcast.evaluation.predictions import open_predictions
from maskcast.evaluation.score import score_dataset
from maskcast.evaluation.scores import Scores, make_scores
from maskcast.evaluation.submission import build_submission
from maskcast.evaluation.worst_frames import worst_frames
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.io.packed_masks import write_mask_zip
from maskcast.runs.masks import RleMasks

VIDEOS = {"ants": {1: 0, 3: 0}, "cows": {1: 0, 2: 3}}
IDS = {name: tuple(objects) for name, objects in VIDEOS.items()}


def pack_lines(folder: Path, target: Path) -> None:
    """As a run keeps run lengths: at work, or finished."""
    paths = sorted(folder.glob("*.png"))
    store = RleMasks(target.parent, lambda frame_index: paths[frame_index].stem)
    for frame_index, path in enumerate(paths):
        label_map = read_label_map(path)
        store.write(frame_index, np.zeros_like(label_map), {})  # replaced by the next line
        store.write(frame_index, label_map, {})
    if target.suffix == ".gz":
        store.finish()
    assert target.is_file()


def pack_pngs(folder: Path, target: Path) -> None:
    frames = [(path.stem, path.read_bytes()) for path in sorted(folder.glob("*.png"))]
    write_mask_zip(target, frames)


FORMS: dict[str, Callable[[Path, Path], None]] = {
    "masks.jsonl": pack_lines,
    "masks.jsonl.gz": pack_lines,
    "masks.zip": pack_pngs,
}


def packed(results: Path, form: str) -> Path:
    """Return a copy of a folder of predictions with one file per video."""
    target = results.with_name(f"{results.name}-packed")
    for folder in (path for path in results.iterdir() if path.is_dir()):
        (target / folder.name).mkdir(parents=True)
        FORMS[form](folder, target / folder.name / form)
    return target


def tree_of(root: Path, results: Path, name: str = "davis2017") -> dict:
    dataset = open_dataset(name, root, purpose="score")
    predictions = open_predictions(results, [video.name for video in dataset])
    scored = score_dataset(dataset, predictions, protocol_of(name))
    return make_scores(dataset, scored, protocol_of(name), results="results", groups=None).tree


@pytest.fixture
def root(tmp_path) -> Path:
    return davis2017(tmp_path / "set", VIDEOS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", [lambda folder: folder, zipped])
def test_scores_are_those_of_the_same_pngs(root, tmp_path, form, around):
    results = write_predictions(tmp_path / "p", IDS, shift=2)
    (results / "ants" / "00002.png").unlink()
    painted = label_map((1, 2), 3)
    painted[-1, -1] = 70_000  # an id that the ground truth does not have
    write_label_map(results / "cows" / "00003.png", painted)
    expected = tree_of(root, results)
    assert expected["missing"] == ["ants/00002"]
    assert expected["extra_objects"] == {"cows_70000": "cows/00003"}
    assert tree_of(root, around(packed(results, form))) == expected


@pytest.mark.parametrize("form", FORMS)
def test_the_report_shows_the_same_pictures(root, tmp_path, form):
    results = write_predictions(tmp_path / "p", IDS, shift=2)
    tree = tree_of(root, results)
    expected = list(worst_frames(Scores(tree), results, root))
    assert len(expected) > 4
    assert list(worst_frames(Scores(tree), packed(results, form), root)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_set_with_a_folder_for_each_object(form, tmp_path):
    for object_id in (1, 2):
        for index in range(FRAMES):
            mask = square(object_id, index).astype(np.int32)
            path = f"Annotations_6fps/ants/{object_id - 1:03d}/{index:05d}.png"
            write_label_map(tmp_path / "set" / "sav_val" / path, mask)
            write_label_map(
                tmp_path / "p" / "ants" / f"{object_id - 1:03d}" / Path(path).name, mask
            )
            image = tmp_path / "set/sav_val/JPEGImages_24fps/ants" / f"{index:05d}.jpg"
            write_image(image, index)
    (tmp_path / "set" / "sav_val.txt").write_text("ants\n")
    dataset = open_dataset("sa-v", tmp_path / "set")
    ids = {folder: object_id for object_id, folder in dataset[0].object_names.items()}
    for index in range(FRAMES):
        painted = np.zeros(SIZE, np.int32)
        for object_id in (1, 2):
            painted[square(object_id, index)] = ids[f"{object_id - 1:03d}"]
        write_label_map(tmp_path / "whole" / "ants" / f"{index:05d}.png", painted)
    results = packed(tmp_path / "whole", form)
    build_submission(dataset, tmp_path / "p", tmp_path / "expected.zip")
    build_submission(dataset, results, tmp_path / "found.zip")
    assert members(tmp_path / "found.zip") == members(tmp_path / "expected.zip")
    assert len(members(tmp_path / "found.zip")) == 2 * FRAMES


def test_pngs_count_before_a_file_of_all_frames(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    stale = packed(write_predictions(tmp_path / "stale", IDS, shift=2), "masks.jsonl")
    expected = tree_of(root, results)
    for name in IDS:
        shutil.copy(stale / name / "masks.jsonl", results / name)
    assert tree_of(root, results) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_cannot_be_used_is_a_fault_of_each_frame(form, root, tmp_path):
    results = packed(write_predictions(tmp_path / "p", IDS), form)
    path = results / "cows" / form
    content = path.read_bytes()
    path.write_bytes(b"{}" if form == "masks.jsonl" else content[: len(content) // 2])
    tree = tree_of(root, results)
    assert len(tree["faults"]) == 4
    assert all(form in fault for fault in tree["faults"])
    assert tree["objects"]["cows_1"]["J"]["mean"] == 0
    assert tree["objects"]["ants_1"]["J"]["mean"] == 1


@pytest.mark.parametrize("form", FORMS)
def test_another_size_than_the_video_is_a_fault(form, root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    write_label_map(results / "ants" / "00002.png", label_map((1,), 2)[:-1])
    (fault,) = tree_of(root, packed(results, form))["faults"]
    assert "is 23×40, but the video is 24×40" in fault


def test_a_folder_of_other_videos(tmp_path):
    results = packed(write_predictions(tmp_path / "p", {"dogs": (1,)}), "masks.jsonl.gz")
    with pytest.raises(DataError, match="it has dogs, expected ants"):
        open_predictions(results, ["ants"])
