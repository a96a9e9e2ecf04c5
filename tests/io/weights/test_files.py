"""Weights files carry all that is needed; damage is noticed."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.small_weights import CARD, CONFIG, tensors, write
from maskcast.core.errors import OutputError, WeightsError
from maskcast.io.weights.files import read_file, sha256_of, write_weights


def test_round_trip(tmp_path):
    path = write(tmp_path / "mine.safetensors")
    found = read_file(path)
    assert (found.name, found.method, found.config, found.card) == ("mine", "lwl", CONFIG, CARD)
    assert found.sha256 == sha256_of(path)
    assert set(found.tensors) == set(tensors())
    for name, expected in tensors().items():
        assert found.tensors[name].dtype == expected.dtype
        assert torch.equal(found.tensors[name], expected)


def test_the_same_weights_make_the_same_file(tmp_path):
    one, two = write(tmp_path / "a.safetensors"), write(tmp_path / "b.safetensors")
    assert sha256_of(one) == sha256_of(two)


def test_damage_is_seen(tmp_path):
    path = write(tmp_path / "a.safetensors")
    whole = path.read_bytes()
    for content in (whole[:-5], whole[:20], b"", b"\xff" * 200):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="damaged"):
            read_file(path)


def test_a_file_that_was_read_before_is_checked_again_after_a_change(tmp_path):
    path = write(tmp_path / "a.safetensors")
    first = read_file(path)
    assert read_file(path).sha256 == first.sha256
    name = next(name for name, tensor in tensors().items() if tensor.is_floating_point())
    broken = tensors() | {name: torch.full_like(tensors()[name], float("nan"))}
    write_weights(path, method="lwl", config=CONFIG, tensors=broken, card=CARD)
    with pytest.raises(WeightsError, match="not a number"):
        read_file(path)


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file(tensors() | {"tied": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match="without the metadata that name its method"):
        read_file(path)
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="must be imported first") as caught:
        read_file(tmp_path / "a.pth")
    assert caught.value.options == ("import_weights",)
    pairs = '{"method": "lwl", "config": [[1, 2]], "card": {}}'
    for text in ("{", "[1]", "[" * 100_000, pairs):
        safetensors.torch.save_file({"a": torch.ones(1)}, path, metadata={"maskcast": text})
        with pytest.raises(WeightsError, match=r"metadata of .* are damaged"):
            read_file(path)


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
        found = read_file(path)
    except WeightsError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in found.tensors.values())
