"""Names mean shipped and installed weights; a file that has changed is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.small_weights import CARD, tensors, write
from maskcast.core.errors import (
    DataError,
    MissingFileError,
    UsageError,
    WeightsError,
)
from maskcast.io.weights.files import sha256_of
from maskcast.io.weights.names import (
    PublishedFile,
    cache_folder,
    describe_weights,
    find_weights,
    install_weights,
    installed_weights,
    read_weights,
    verify_weights,
)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("maskcast.io.weights.names.SHIPPED", tmp_path / "shipped")


def test_names_mean_shipped_then_installed_files(tmp_path):
    install_weights("lwl-a", method="lwl", config={}, tensors=tensors(), card=CARD)
    write(tmp_path / "shipped" / "lwl-small.safetensors")
    assert find_weights("lwl-a") == cache_folder() / "lwl-a.safetensors"
    path = write(tmp_path / "mine.safetensors")
    assert read_weights("lwl-small").name == "lwl-small"
    assert read_weights(str(path)).name == read_weights(path).name == "mine"
    assert [(w.name, w.shipped, w.method) for w in installed_weights()] == [
        ("lwl-small", True, "lwl"),
        ("lwl-a", False, "lwl"),
    ]
    card = json.loads((cache_folder() / "lwl-a.json").read_text())
    assert card["sha256"] == sha256_of(find_weights("lwl-a"))
    assert card["licence"] == "Apache-2.0"


def test_unknown_names_say_what_there_is(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights named 'lwl'; installed: none"):
        read_weights("lwl")
    install_weights("lwl-small", method="lwl", config={}, tensors=tensors(), card={})
    with pytest.raises(WeightsError, match=r"\(did you mean lwl-small\?\); installed: lwl-small"):
        read_weights("lwl-smal")
    with pytest.raises(
        MissingFileError, match=r"weights file .*absent\.safetensors does not exist"
    ):
        read_weights(tmp_path / "absent.safetensors")
    with pytest.raises(DataError, match=r"must not|weights file .* does not exist"):
        read_weights("..")


def test_published_names_say_how_to_get_them():
    published = {
        "lwl-ytvos": PublishedFile(
            name="lwl-ytvos",
            method="lwl",
            file_name="lwl_stage2.pth",
            source="drive:1Xnm",
            page="https://example.org/zoo",
            licence="not stated",
        )
    }
    with pytest.raises(
        WeightsError, match=r"download lwl_stage2\.pth from https://example\.org/zoo"
    ):
        read_weights("lwl-ytvos", published)


def test_a_change_after_installation_is_seen():
    path = install_weights("a", method="lwl", config={}, tensors=tensors(), card={})
    assert verify_weights("a") == sha256_of(path)
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(WeightsError, match="have changed since they were installed"):
        verify_weights("a")


def test_names_that_lead_out_of_the_cache_are_refused():
    for name in ("../a", "a/b", "a\nb", "x" * 300):
        with pytest.raises(DataError):
            install_weights(name, method="lwl", config={}, tensors=tensors(), card={})


@pytest.mark.parametrize("name", ["lwl-small", "mine.safetensors"])
def test_names_that_mean_something_else_are_refused(name, tmp_path):
    write(tmp_path / "shipped" / "lwl-small.safetensors")
    with pytest.raises(UsageError, match="choose another one"):
        install_weights(name, method="lwl", config={}, tensors=tensors(), card={})


def test_a_description(tmp_path):
    lines = describe_weights(write(tmp_path / "mine.safetensors"))
    text = "\n".join(lines)
    assert "weights   mine" in text
    assert "19 in 4 tensors" in text  # 6 + 6 + 6 + 1
    assert "licence   Apache-2.0" in text
