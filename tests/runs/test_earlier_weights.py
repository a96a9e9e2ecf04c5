"""A run continues with the weights that it began with, although the default has changed."""

from pathlib import Path

import pytest

from maskcast.io.weights.files import sha256_of
from maskcast.io.weights.names import SHIPPED
from maskcast.runs.card import RunCard, write_card
from maskcast.runs.earlier_weights import weights_begun_with
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


def test_other_folders_name_no_weights(tmp_path):
    assert weights_begun_with(tmp_path / "missing") is None
    assert weights_begun_with(begun_with(tmp_path, "0" * 64)) is None
    (tmp_path / "run.json").write_text("{")
    assert weights_begun_with(tmp_path) is None
