"""Fuzz the readers of states, checkpoints, weights and archives."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch

from contract.coloured_video import frames, true_mask
from contract.stand_in import ColourConfig, ColourState, ColourTracker
from fixtures.small_weights import write as write_small_weights
from fuzz.budget import Fuzz
from fuzz.mutations import damaged
from maskcast.core.errors import DataError, StateError, TrainingError, WeightsError
from maskcast.core.state import load_state, save_state
from maskcast.evaluation.predictions import open_predictions
from maskcast.io.weights.checkpoints import read_foreign_checkpoint
from maskcast.io.weights.names import read_weights
from maskcast.training.checkpoints import CheckpointFolder, read_checkpoint

TRACKER = ColourTracker(ColourConfig(), torch.zeros(()))


def test_states(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "state.safetensors"
    frame = frames(1)[0]
    save_state(TRACKER.step(TRACKER.start(), frame, {1: true_mask(1, 0)})[0], path)

    def loads_or_rejects(content: bytes) -> None:
        path.write_bytes(content)
        try:
            state = load_state(path, ColourState)
        except StateError:
            return
        assert isinstance(state, ColourState)

    fuzz(damaged([path.read_bytes()]), loads_or_rejects)


def test_checkpoints(fuzz: Fuzz, tmp_path: Path):
    numbers = torch.arange(32, dtype=torch.float32)
    saved = {"step": 2, "module": {"weight": numbers}, "window": {"count": 1}}
    path = CheckpointFolder(tmp_path).save(saved, step=2, best=False, keep_last=1)

    def is_the_same_or_rejected(content: bytes) -> None:
        path.write_bytes(content)
        try:
            loaded = read_checkpoint(path)
        except TrainingError:
            return
        assert loaded["step"] == 2
        assert loaded["module"]["weight"].equal(numbers)

    fuzz(damaged([path.read_bytes()]), is_the_same_or_rejected)


def test_checkpoints_of_others(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "x.pth"
    torch.save({"net": {"weight": torch.arange(8.0)}, "epoch": 3}, path)
    new = path.read_bytes()
    torch.save({"weight": torch.arange(8.0)}, path, _use_new_zipfile_serialization=False)

    def reads_or_rejects(content: bytes) -> None:
        path.write_bytes(content)
        try:
            tree = read_foreign_checkpoint(path)
        except WeightsError:
            return
        assert isinstance(tree, dict)

    fuzz(damaged([new, path.read_bytes()]), reads_or_rejects)


def test_weights(fuzz: Fuzz, tmp_path: Path):
    path = write_small_weights(tmp_path / "x.safetensors")

    def reads_or_rejects(content: bytes) -> None:
        path.write_bytes(content)
        try:
            weights = read_weights(path)
        except WeightsError:
            return
        assert all(t.isfinite().all() for t in weights.tensors.values())

    fuzz(damaged([path.read_bytes()]), reads_or_rejects)


def test_archives(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("found/ants/00000.png", "found/ants/00001.png", "found/ants/masks.jsonl"):
            archive.writestr(name, bytes(range(200)) * 2)

    def reads_or_rejects(content: bytes) -> None:
        path.write_bytes(content)
        try:
            files = open_predictions(path, ["ants"]).files
            for name in files.names:
                files.read(name)
        except DataError:
            return

    fuzz(damaged([path.read_bytes()]), reads_or_rejects)
