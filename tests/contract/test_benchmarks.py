"""Every entry of the catalogue of data sets, on an imitation: reader, scores, and archive."""

from __future__ import annotations

import inspect
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from evaluation.small_sets import FRAMES
from fixtures.imitations import BENCHMARKS
from maskcast.core.errors import UsageError
from maskcast.core.segmenter import (
    BuiltSegmenter,
    SegmenterIdentity,
    SegmenterSource,
    VideoSegmenter,
)
from maskcast.core.types import NO_PROMPTS, ObjectMasks
from maskcast.data.catalogue import DATASETS, DatasetChoice, open_dataset, protocol_of
from maskcast.evaluation.evaluate import evaluate_dataset
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.run import masks_folder, segment_dataset
from maskcast.evaluation.score_results import score_results
from maskcast.evaluation.submission import build_submission, check_submission
from maskcast.metrics.protocols import with_choices

BY_NAME = pytest.mark.parametrize("name", DATASETS)
IMAGES = ("JPEGImages", "JPEGImages_24fps", "frames")
"""Folders of images in the layouts."""
NEAR = 0.09
"""Brightness; objects are 0.2 apart, and JPEG changes few pixels by more than this."""


class ByBrightness:
    """A segmenter that finds the squares of the imitations again; the state is their brightness."""

    def start(self):
        return {}

    def step(self, state, frame, prompts=NO_PROMPTS):
        grey = frame.mean(dim=0)
        state = state | {i: float(grey[mask].median()) for i, mask in prompts.items()}
        masks = [(grey - level).abs() < NEAR for level in state.values()]
        return state, ObjectMasks(tuple(state), torch.stack(masks).float())

    def remove_objects(self, state, ids):
        return {i: level for i, level in state.items() if i not in ids}


class Source:
    """A ``SegmenterSource`` of it."""

    def build(self, *, progress=None):
        return self

    segmenter, device = ByBrightness(), torch.device("cpu")

    def identity(self, *, uses_boxes):
        return SegmenterIdentity(
            method="brightness",
            weights=None,
            weights_sha256=None,
            box_start=None,
            options={},
            dtype="float32",
        )


@pytest.fixture
def imitation(tmp_path, request) -> Path:
    return BENCHMARKS[request.getfixturevalue("name")](tmp_path / "set")


def test_the_segmenter_of_this_file_is_one():
    assert isinstance(ByBrightness(), VideoSegmenter)
    assert isinstance(Source(), SegmenterSource)
    assert isinstance(Source(), BuiltSegmenter)


@BY_NAME
def test_the_entry_fits_its_reader(name, imitation):
    entry = DATASETS[name]
    assert set(entry.choices) <= set(inspect.signature(entry.open).parameters)
    assert set(entry.hidden) <= set(entry.splits)
    assert (entry.unseen is not None) == (entry.protocol is not None and entry.protocol.grouped)
    dataset = open_dataset(name, imitation)
    assert dataset.name == name
    assert dataset.split == (entry.splits[0] if entry.splits else "all")
    assert {video.name for video in dataset} == {"ants", "cows"}


@BY_NAME
def test_from_the_videos_to_scores(name, imitation, tmp_path):
    choice, run, told = DatasetChoice(name=name, root=imitation), tmp_path / "run", []
    made = evaluate_dataset(choice, Source(), run, progress=lambda *now: told.append(now))
    assert made.masks == run / "masks" / (DATASETS[name].server_prefix or "")
    assert made.timing.frames == 2 * FRAMES
    assert told[:2] == [("videos", 1, 2), ("videos", 2, 2)]
    if DATASETS[name].protocol is None:
        assert made.scores is None
        return
    assert told[2:] == [("scoring", 1, 2), ("scoring", 2, 2)]
    assert made.scores is not None
    assert len(made.scores.objects) == (2 if name == "davis2016" else 3)
    assert made.scores.dataset["J&F"] > 0.97  # JPEG may move a pixel
    assert made.scores.complete
    groups = {entry.get("group") for entry in made.scores.objects.values()}
    assert groups == ({"seen", "unseen"} if DATASETS[name].unseen else {None})
    protocol = with_choices(protocol_of(name), skip_first=True)
    again = score_results(choice, made.masks, protocol, jobs=1)
    assert again.objects == made.scores.objects


def test_scores_are_written_with_what_made_the_masks(tmp_path):
    choice = DatasetChoice(name="folder", root=BENCHMARKS["folder"](tmp_path), videos=("cows",))
    evaluate_dataset(choice, Source(), tmp_path / "run", weights="given", jobs=2)
    tree = json.loads((tmp_path / "run" / "scores.json").read_text())
    request = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert list(tree["videos"]) == ["cows"]
    made_by = {
        "method": "brightness",
        "weights": "given",
        "weights_sha256": None,
        "options": {},
        "dtype": "float32",
        "init": "mask",
    }
    assert tree["run"] == made_by | {"published": None}
    assert request == made_by | {"dataset": "folder", "split": "all"}


@BY_NAME
def test_a_list_of_unseen_names_is_taken_instead(name, imitation, tmp_path):
    names = tmp_path / "unseen.txt"
    names.write_text("cat\nants\n")
    if DATASETS[name].protocol is None:
        return
    truth = open_dataset(name, imitation, purpose="score")
    if DATASETS[name].unseen is None:
        with pytest.raises(UsageError, match="has no unseen group"):
            groups_of(truth, names)
        return
    assert groups_of(truth, names)["ants_1"] == "unseen"
    assert groups_of(truth, names)["cows_2"] == "seen"


@BY_NAME
@pytest.mark.parametrize("how", ["missing", "empty", "empty for each video"])
def test_scoring_needs_no_images(name, imitation, tmp_path, how):
    if DATASETS[name].protocol is None:
        return
    with_images = open_dataset(name, imitation, purpose="score")
    for folder in [path for path in imitation.rglob("*") if path.name in IMAGES and path.is_dir()]:
        videos = [path.name for path in folder.iterdir() if path.is_dir()]
        shutil.rmtree(folder)
        for made in {"missing": [], "empty": ["."]}.get(how, videos):
            (folder / made).mkdir(parents=True)
    truth = open_dataset(name, imitation, purpose="score")
    assert [video.name for video in truth] == [video.name for video in with_images]
    for video, before in zip(truth, with_images, strict=True):
        assert (video.frame_names, video.objects) == (before.frame_names, before.objects)
        assert video.annotated_frames == before.annotated_frames


@BY_NAME
def test_from_the_videos_to_an_archive_for_the_server(name, imitation, tmp_path):
    dataset, run = open_dataset(name, imitation), tmp_path / "run"
    prefix, archive = DATASETS[name].server_prefix, tmp_path / "a.zip"
    if prefix is None:
        with pytest.raises(UsageError, match=f"there is no server for '{name}'"):
            build_submission(dataset, run, archive)
        return
    segment_dataset(Source(), dataset, run, request={})
    count = build_submission(dataset, masks_folder(run, dataset), archive)
    assert check_submission(archive, dataset) == []
    with zipfile.ZipFile(archive) as opened:
        assert len(opened.namelist()) == count
        assert all(
            member.startswith((f"{prefix}ants/", f"{prefix}cows/")) for member in opened.namelist()
        )
