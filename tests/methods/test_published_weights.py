"""Authors' files become weights with a name, and authors' files again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskcast.core.config import config_to_dict
from maskcast.core.errors import MissingFileError, UsageError, WeightsError
from maskcast.io.weights.files import sha256_of, write_weights
from maskcast.io.weights.names import PublishedFile, read_weights
from maskcast.methods.catalogue import METHODS, choose_weights
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.method import network_of
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.published_weights import export_weights, import_weights
from maskcast.methods.spec import build


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return network_of(tiny(), None).state_dict()


@pytest.fixture
def lwl_reads_anything(monkeypatch, tensors) -> None:
    """The true readers want full-size networks; they have tests of their own."""

    def read(path: Path) -> tuple[LWLConfig, dict[str, torch.Tensor]]:
        if path.read_bytes() != b"lwl":
            raise WeightsError(f"{path.name} is no LWL file")
        return tiny(), tensors

    monkeypatch.setattr(
        "maskcast.methods.published_weights.METHODS",
        {"lwl": replace(METHODS["lwl"], read_published=read)},
    )


def test_a_known_file_gets_its_name_page_and_licence(tmp_path, lwl_reads_anything):
    source = tmp_path / "lwl_stage2.pth"
    source.write_bytes(b"lwl")
    installed = import_weights(str(source))
    assert installed == tmp_path / "cache" / "lwl-ytvos.safetensors"
    weights = read_weights("lwl-ytvos")
    assert weights.method == "lwl"
    assert weights.config == config_to_dict(tiny())
    assert weights.card["its sha256"] == sha256_of(source)
    assert "GPL" in weights.card["licence"]
    assert build(weights).start() is not None
    assert choose_weights("lwl-ytvos", None).sha256 == weights.sha256


def test_the_default_of_a_method_mentions_the_authors_weights(tmp_path, lwl_reads_anything, caplog):
    assert choose_weights(None, "lwl").name == "lwl-small"
    assert not caplog.messages
    (tmp_path / "lwl_stage2.pth").write_bytes(b"lwl")
    import_weights(str(tmp_path / "lwl_stage2.pth"))
    assert choose_weights(None, "lwl").name == "lwl-small"
    assert caplog.messages == [
        "lwl-small is used; the authors' weights of lwl are installed as lwl-ytvos"
    ]


def test_an_unknown_file_needs_a_name(tmp_path, lwl_reads_anything):
    source = tmp_path / "mine.pth"
    source.write_bytes(b"lwl")
    with pytest.raises(UsageError, match="choose a name for the weights"):
        import_weights(str(source))
    assert import_weights(str(source), name="mine").stem == "mine"


def test_published_weights_are_fetched_by_name_and_verified(
    tmp_path, lwl_reads_anything, monkeypatch
):
    source = tmp_path / "server" / "any.pth"
    source.parent.mkdir()
    source.write_bytes(b"lwl")
    file = PublishedFile(
        name="lwl-ytvos",
        method="lwl",
        file_name="lwl_stage2.pth",
        source=str(source),
        page="",
        licence="",
        sha256="0" * 64,
    )
    monkeypatch.setattr(
        "maskcast.methods.published_weights.published_files", lambda: {"lwl-ytvos": file}
    )
    with pytest.raises(WeightsError, match="SHA-256"):
        import_weights("lwl-ytvos")
    assert import_weights("lwl-ytvos", sha256=sha256_of(source)).stem == "lwl-ytvos"


def test_what_no_method_can_read_is_refused(tmp_path):
    source = tmp_path / "notes.txt"
    source.write_text("hello")
    with pytest.raises(WeightsError, match=r"notes\.txt"):
        import_weights(str(source))
    with pytest.raises(MissingFileError):
        import_weights(str(tmp_path / "none.pth"))
    with pytest.raises(UsageError, match="unknown method 'lvl'"):
        import_weights(str(source), method="lvl")
    with pytest.raises(WeightsError, match="SHA-256"):
        import_weights(str(source), sha256="0" * 64)
    assert not (tmp_path / "cache").exists()


def test_weights_inside_an_archive_are_explained():
    with pytest.raises(WeightsError, match=r"download https.*zip, unpack it, and import"):
        import_weights("eosvos-davis17")


def test_export_hands_config_and_tensors_to_the_method(tmp_path, tensors, monkeypatch):
    written = []
    method = replace(METHODS["lwl"], write_published=lambda *given: written.append(given))
    monkeypatch.setattr("maskcast.methods.published_weights.METHODS", {"lwl": method})
    own, config = tmp_path / "own.safetensors", config_to_dict(tiny())
    write_weights(own, method="lwl", config=config, tensors=tensors, card={})
    export_weights(str(own), tmp_path / "own.pth")
    ((path, found, given),) = written
    assert path == tmp_path / "own.pth"
    assert found == tiny()
    assert given["trunk.conv1.weight"].equal(tensors["trunk.conv1.weight"])


def test_weights_without_a_published_form_say_so(tmp_path, tensors):
    own = tmp_path / "own.safetensors"
    write_weights(own, method="telepathy", config={}, tensors=tensors, card={})
    with pytest.raises(WeightsError, match="cannot export weights of telepathy"):
        export_weights(str(own), tmp_path / "own.pth")
