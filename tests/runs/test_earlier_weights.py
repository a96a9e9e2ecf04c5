"""A run continues with the weights and data type that it began with, whatever the default is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskcast.io.weights.files import sha256_of
from maskcast.io.weights.names import SHIPPED, install_weights
from maskcast.runs.card import RunCard, write_card
from maskcast.runs.earlier_weights import dtype_begun_with, weights_begun_with
from runs.small_run import request

SHIPPED_NAMES = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def begun_with(folder: Path, sha256: str) -> Path:
    asked = request(method="lwl", weights="lwl-small", weights_sha256=sha256)
    write_card(folder, RunCard(maskcast="0.1.0", torch="2.7", request=asked))
    return folder


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_weights_are_recognised_by_their_content(tmp_path, name):
    folder = begun_with(tmp_path, sha256_of(SHIPPED / f"{name}.safetensors"))
    assert weights_begun_with(folder) == name
    assert weights_begun_with(folder, method="lwl") == name
    assert weights_begun_with(folder, method="agame") is None


def test_weights_of_the_user_are_recognised_under_their_name(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    tensors = {"w": torch.ones(1)}
    for name in ("agame", "other"):
        install_weights(name, method="agame", config={}, tensors=tensors, card={"of": name})
    sha256 = sha256_of(tmp_path / "cache" / "agame.safetensors")
    asked = request(method="agame", weights="agame", weights_sha256=sha256)
    write_card(tmp_path, RunCard(maskcast="0.1.0", torch="2.7", request=asked))
    assert weights_begun_with(tmp_path, method="agame") == "agame"
    write_card(
        tmp_path, RunCard(maskcast="0.1.0", torch="2.7", request=replace(asked, weights="other"))
    )
    assert weights_begun_with(tmp_path, method="agame") is None


def test_other_folders_name_no_weights(tmp_path):
    assert weights_begun_with(tmp_path / "missing") is None
    assert weights_begun_with(begun_with(tmp_path, "0" * 64)) is None
    (tmp_path / "run.json").write_text("{")
    assert weights_begun_with(tmp_path) is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": "float32"}, "float32"),
        ({"direction": "both"}, "float32"),
        ({"dtype": "auto"}, None),
        ({"dtype": 32}, None),
    ],
)
def test_the_data_type_is_that_of_the_card_or_float32(tmp_path, settings, expected):
    asked = request(settings=settings)
    write_card(tmp_path, RunCard(maskcast="0.1.0", torch="2.7", request=asked))
    assert dtype_begun_with(tmp_path) == expected


def test_other_folders_name_no_data_type(tmp_path):
    assert dtype_begun_with(tmp_path / "missing") is None
    (tmp_path / "run.json").write_text("{")
    assert dtype_begun_with(tmp_path) is None
