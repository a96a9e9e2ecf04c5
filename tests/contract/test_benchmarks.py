"""Every entry of the catalogue of data sets, on an imitation: reader, scores, and archive."""

from __future__ import annotations

import inspect
import zipfile
from pathlib import Path

import pytest
import torch

from fixtures.imitations import BENCHMARKS
from maskcast.core.errors import DatasetError, UsageError
from maskcast.core.segmenter import VideoSegmenter
from maskcast.core.types import NO_PROMPTS, ObjectMasks
from maskcast.data.catalogue import DATASETS, open_dataset, protocol_of
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.predictions import open_predictions
from maskcast.evaluation.run import masks_folder, segment_dataset
from maskcast.evaluation.score import score_dataset
from maskcast.evaluation.scores import make_scores
from maskcast.evaluation.submission import build_submission, check_submission

BY_NAME = pytest.mark.parametrize("name", DATASETS)
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


@pytest.fixture
def imitation(tmp_path, request) -> Path:
    return BENCHMARKS[request.getfixturevalue("name")](tmp_path / "set")


def test_the_segmenter_of_this_file_is_one():
    assert isinstance(ByBrightness(), VideoSegmenter)


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
    dataset, run = open_dataset(name, imitation), tmp_path / "run"
    segment_dataset(ByBrightness, dataset, run, request={})
    if DATASETS[name].protocol is None:
        with pytest.raises(DatasetError):
            open_dataset(name, imitation, purpose="score")
        return
    truth, protocol = open_dataset(name, imitation, purpose="score"), protocol_of(name)
    predictions = open_predictions(masks_folder(run, dataset), [video.name for video in dataset])
    scored = score_dataset(truth, predictions, protocol)
    groups = groups_of(truth)
    scores = make_scores(truth, scored, protocol, results=str(run), groups=groups)
    assert len(scores.objects) == (2 if name == "davis2016" else 3)
    assert scores.dataset["J&F"] > 0.97  # JPEG may move a pixel
    assert not any(video.missing or video.faults or video.extra_objects for video in scored)
    unseen = DATASETS[name].unseen
    assert (groups is None) == (unseen is None)
    if groups is not None:
        assert set(groups.values()) == {"seen", "unseen"}


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
def test_from_the_videos_to_an_archive_for_the_server(name, imitation, tmp_path):
    dataset, run = open_dataset(name, imitation), tmp_path / "run"
    prefix, archive = DATASETS[name].server_prefix, tmp_path / "a.zip"
    if prefix is None:
        with pytest.raises(UsageError, match=f"'{name}' has no server"):
            build_submission(dataset, run, archive)
        return
    segment_dataset(ByBrightness, dataset, run, request={})
    count = build_submission(dataset, masks_folder(run, dataset), archive)
    assert check_submission(archive, dataset) == []
    with zipfile.ZipFile(archive) as opened:
        assert len(opened.namelist()) == count
        assert all(
            member.startswith((f"{prefix}ants/", f"{prefix}cows/")) for member in opened.namelist()
        )
