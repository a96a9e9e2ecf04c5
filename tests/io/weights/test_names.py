"""Names mean shipped and installed weights; a file that has changed is noticed."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from fixtures.small_weights import CARD, install_filled, tensors, write
from maskcast.core.errors import (
    DataError,
    MissingFileError,
    UsageError,
    WeightsError,
)
from maskcast.io.weights.files import sha256_of, write_weights
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


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(partial(ThreadPoolExecutor, 8), id="threads"),
        pytest.param(partial(ProcessPoolExecutor, 2, get_context("spawn")), id="processes"),
    ],
)
def test_imports_of_one_name_at_the_same_time_leave_weights_with_their_own_card(pool):
    with pool() as running:
        paths = set(running.map(install_filled, range(1, 17)))
    (path,) = paths
    assert verify_weights("a") == sha256_of(path)
    weights = read_weights("a")
    card = json.loads(path.with_suffix(".json").read_text())
    assert {float(tensor.max()) for tensor in weights.tensors.values()} == {card["value"]}
    assert {file.name for file in path.parent.iterdir() if file.name[0] != "."} == {
        "a.safetensors",
        "a.json",
    }


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


def test_trainings_are_described_in_short(tmp_path):
    first = {"recipe": "small", "step": 513, "hours": 0.65, "packages": {"torch": "2.14.1"}}
    first |= {"started": "2026-11-30T19:35:56+0000", "commit": "2fee2b6"}
    card = {"started_from": "a trunk", "training": [first, {"by": "hand"}]}
    path = tmp_path / "mine.safetensors"
    write_weights(path, method="lwl", config={}, tensors=tensors(), card=card)
    assert describe_weights(path)[-3:] == [
        "from      a trunk",
        "training  small, 513 steps, 0.65 hours, 2026-11-30, commit 2fee2b6",
        "training  by: hand",
    ]


def test_a_home_that_is_not_there_hides_only_what_it_would_hold(tmp_path, monkeypatch):
    monkeypatch.delenv("MASKCAST_CACHE")
    monkeypatch.setenv("HOME", "/nowhere")
    write(tmp_path / "shipped" / "lwl-small.safetensors")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # no HOME, and no such user
    assert [weights.name for weights in installed_weights()] == ["lwl-small"]
    assert read_weights("lwl-small").name == "lwl-small"
    with pytest.raises(UsageError, match="in a home folder that does not exist; set the environ"):
        install_weights("lwl-a", method="lwl", config={}, tensors=tensors(), card=CARD)


@pytest.mark.parametrize("path", ["~no-such-user/w", "~no-such-user/w.safetensors"])
def test_a_path_of_an_unknown_user_does_not_exist(path):
    with pytest.raises(MissingFileError, match=r"~no-such-user/w(\.safetensors)? does not exist"):
        read_weights(path)


def test_a_cache_of_an_unknown_user_is_an_error(monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", "~no-such-user/cache")
    with pytest.raises(UsageError, match="~no-such-user/cache, is in a home folder"):
        list(installed_weights())


def test_what_a_killed_import_left_has_no_name_and_is_removed_by_the_next(tmp_path):
    left = write(tmp_path / "cache" / ".0123456789ab.part.safetensors")
    assert list(installed_weights()) == []
    install_weights("lwl-a", method="lwl", config={}, tensors=tensors(), card=CARD)
    assert not left.exists()


def test_pipes_in_the_cache_are_passed_over(tmp_path):
    (tmp_path / "cache").mkdir()
    os.mkfifo(tmp_path / "cache" / "x.safetensors")
    assert list(installed_weights()) == []
    with pytest.raises(WeightsError, match="no weights named 'x'"):
        read_weights("x")


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("a", torch.tensor([1.0, torch.nan]), "a has values that are infinite or not a number"),
        ("a", torch.tensor([-torch.inf], dtype=torch.float16), "a has values that are infinite"),
        ("b.running_var", torch.tensor([1.0, -1e-9]), "b.running_var is a variance with negative"),
        ("a", torch.zeros(2, dtype=torch.int64), "a is int64, expected one of float16"),
        ("a", torch.zeros(2, dtype=torch.complex64), "a is complex64, expected"),
        ("a", torch.zeros(2, dtype=torch.bool), "a is bool, expected"),
        ("a", torch.zeros((), dtype=torch.int8), "a is int8, expected"),
    ],
)
def test_tensors_that_no_network_has_are_neither_read_nor_installed(tmp_path, name, tensor, words):
    path = tmp_path / "x.safetensors"
    write_weights(path, method="lwl", config={}, tensors={name: tensor}, card={})
    for read in (read_weights, verify_weights):
        with pytest.raises(WeightsError, match=words):
            read(path)
    with pytest.raises(WeightsError, match=words):
        install_weights("x", method="lwl", config={}, tensors={name: tensor}, card={})
    assert not (tmp_path / "cache" / "x.safetensors").exists()
