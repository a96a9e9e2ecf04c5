"""The weights of a run that is opened in the browser."""

from pathlib import Path

from maskcast.io.weights.files import sha256_of
from maskcast.io.weights.names import SHIPPED
from maskcast.runs.card import RunCard, write_card
from maskcast.web.weights_file import note_file, weights_of
from runs.small_run import request


def test_a_run_of_0_1_has_the_weights_of_0_1(tmp_path: Path) -> None:
    sha256 = sha256_of(SHIPPED / "lwl-small-0.1.safetensors")
    asked = request(method="lwl", weights="lwl-small", weights_sha256=sha256)
    write_card(tmp_path, RunCard(maskcast="0.1.0", torch="2.7", request=asked))
    assert weights_of(tmp_path) == "lwl-small-0.1"


def test_a_file_is_remembered_while_it_exists(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    file.touch()
    (tmp_path / "run/.app").mkdir(parents=True)
    note_file(tmp_path / "run", str(file))
    assert weights_of(tmp_path / "run") == str(file)
    file.unlink()
    assert weights_of(tmp_path / "run") is None


def test_other_folders_have_no_weights_of_their_own(tmp_path: Path) -> None:
    assert weights_of(tmp_path) is None
