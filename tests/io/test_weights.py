"""Weights carry all that is needed, by name or by path; damage is seen."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcast.core.errors import (
    DataError,
    MissingFileError,
    OutputError,
    UsageError,
    WeightsError,
)
from maskcast.io.weights import (
    PublishedFile,
    cache_folder,
    describe_weights,
    find_weights,
    install_weights,
    installed_weights,
    read_weights,
    sha256_of,
    verify_weights,
    write_weights,
)

CONFIG = {"backbone": "resnet18", "layers": [1, 2], "rate": 0.5, "nested": {"on": True}}
CARD = {"licence": "Apache-2.0", "data": "made-up clips", "scores": {"J": 0.7}}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("maskcast.io.weights.SHIPPED", tmp_path / "shipped")


def tensors() -> dict[str, torch.Tensor]:
    weight = torch.arange(6.0).reshape(2, 3)
    return {"weight": weight.half(), "tied": weight.t(), "same": weight, "count": torch.tensor(3)}


def write(path: Path) -> Path:
    write_weights(path, method="lwl", config=CONFIG, tensors=tensors(), card=CARD)
    return path


def test_round_trip(tmp_path):
    path = write(tmp_path / "mine.safetensors")
    found = read_weights(path)
    assert (found.name, found.method, found.config, found.card) == ("mine", "lwl", CONFIG, CARD)
    assert found.sha256 == sha256_of(path)
    assert set(found.tensors) == set(tensors())
    for name, expected in tensors().items():
        assert found.tensors[name].dtype == expected.dtype
        assert torch.equal(found.tensors[name], expected)
    assert read_weights(str(path)) is not None


def test_the_same_weights_make_the_same_file(tmp_path):
    one, two = write(tmp_path / "a.safetensors"), write(tmp_path / "b.safetensors")
    assert sha256_of(one) == sha256_of(two)


def test_names_mean_shipped_then_installed_files(tmp_path):
    install_weights("lwl-a", method="lwl", config={}, tensors=tensors(), card=CARD)
    write(tmp_path / "shipped" / "lwl-small.safetensors")
    assert find_weights("lwl-a") == cache_folder() / "lwl-a.safetensors"
    assert read_weights("lwl-small").name == "lwl-small"
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


def test_damage_is_seen(tmp_path):
    path = write(tmp_path / "a.safetensors")
    whole = path.read_bytes()
    for content in (whole[:-5], whole[:20], b"", b"\xff" * 200):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="damaged"):
            read_weights(path)


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file(tensors() | {"tied": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match="without the metadata of maskcast weights"):
        read_weights(path)
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="must be imported first") as caught:
        read_weights(tmp_path / "a.pth")
    assert caught.value.options == ("import_weights",)
    for text in ("{", "[1]", "[" * 100_000):
        safetensors.torch.save_file({"a": torch.ones(1)}, path, metadata={"maskcast": text})
        with pytest.raises(WeightsError, match=r"metadata of .* are damaged"):
            read_weights(path)


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


def test_a_file_system_without_room_is_one_sentence(tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*: the file is too large"):
            write_weights(
                tmp_path / "x.safetensors",
                method="lwl",
                config=CONFIG,
                tensors={"x": torch.zeros(10_000)},
                card=CARD,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_changed_byte_never_escapes(tmp_path_factory, place, value):
    path = write(tmp_path_factory.mktemp("flip") / "a.safetensors")
    changed = bytearray(path.read_bytes())
    changed[place % len(changed)] = value
    path.write_bytes(changed)
    try:
        found = read_weights(path)
    except WeightsError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in found.tensors.values())
