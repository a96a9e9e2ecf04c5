"""The plumbing under the oracle tests overlooks nothing; needs no oracle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from oracle import plumbing
from oracle.plumbing import (
    OracleError,
    OracleFile,
    check_folder,
    claimed_files,
    numbered,
    stray_fixtures,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An oracle of one folder with two patterns, one of which is part of the other."""
    monkeypatch.setattr(plumbing, "ORACLE", tmp_path)
    monkeypatch.setattr(plumbing, "PATTERNS", {"lwl": ("tracker_*", "tracker_boxinit*")})
    claimed_files.cache_clear()
    (tmp_path / "lwl").mkdir()
    yield tmp_path / "lwl"
    claimed_files.cache_clear()


def test_the_longest_pattern_claims_a_file(folder: Path) -> None:
    for name in ("tracker_a.npz", "tracker_boxinit_b.npz", "README.md", "manifest_x.json"):
        (folder / name).touch()
    (folder / "pictures").mkdir()
    assert claimed_files("lwl") == {
        "tracker_*": (folder / "tracker_a.npz",),
        "tracker_boxinit*": (folder / "tracker_boxinit_b.npz",),
    }


def test_a_file_that_nobody_claims_is_an_error(folder: Path) -> None:
    (folder / "tracker_a.npz").touch()
    (folder / "unheard_of.npz").touch()
    assert claimed_files("lwl")["tracker_*"] == (folder / "tracker_a.npz",)  # which is still run
    with pytest.raises(OracleError, match=r"lwl/unheard_of\.npz"):
        check_folder("lwl")


def test_a_folder_without_fixtures_is_an_error(folder: Path) -> None:
    (folder / "README.md").touch()
    (folder / ".hidden").touch()
    with pytest.raises(OracleError, match="no fixture"):
        check_folder("lwl")


def test_arrays_in_other_folders_are_found(folder: Path) -> None:
    (folder / "more").mkdir()
    for place in (folder / "tracker_a.npz", folder / "more" / "b.npz", folder.parent / "c.npz"):
        place.touch()
    assert stray_fixtures() == ["c.npz", "lwl/more/b.npz"]


def test_no_array_lies_where_nobody_looks() -> None:
    assert stray_fixtures() == []


def test_without_an_oracle_there_is_nothing_to_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plumbing, "ORACLE", folder / "absent")
    monkeypatch.delenv("MASKCAST_ORACLE", raising=False)
    assert claimed_files("lwl") == {}
    with pytest.raises(pytest.skip.Exception):
        check_folder("lwl")


def test_a_wrong_name_for_the_oracle_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plumbing, "ORACLE", folder / "absent")
    monkeypatch.setenv("MASKCAST_ORACLE", str(folder / "absent"))
    with pytest.raises(OracleError, match="no folder"):
        check_folder("lwl")


@pytest.fixture
def file(tmp_path: Path) -> OracleFile:
    path = tmp_path / "lwl" / "some.npz"
    path.parent.mkdir()
    arrays = {"in/a": np.ones(2), "out/b": np.array([1.0, -20.0, np.nan]), "out/c_12": np.arange(3)}
    np.savez(path, **arrays)
    return OracleFile(path)


def test_deviations_are_counted_in_units_of_the_tolerance(file: OracleFile) -> None:
    file.compare("out/b", torch.tensor([1.0, -20.001, torch.nan]), relative=1e-4)
    assert (file.compared, file.worst) == (1, pytest.approx(0.5, rel=1e-3))
    with pytest.raises(AssertionError, match="out/b"):
        file.compare("out/b", torch.tensor([1.1, -20.0, torch.nan]))
    with pytest.raises(AssertionError, match="NaN"):
        file.compare("out/b", torch.tensor([1.0, -20.0, 0.0]))
    with pytest.raises(AssertionError, match="instead of"):
        file.compare("out/b", torch.zeros(2))
    assert file.worst == np.inf


def test_infinity_meets_infinity_and_widens_no_tolerance(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", a=np.array([np.inf, 1.0]))
    file = OracleFile(tmp_path / "some.npz")
    file.compare("a", np.array([np.inf, 1.0]))
    with pytest.raises(AssertionError):
        file.compare("a", np.array([np.inf, 1.1]))
    with pytest.raises(AssertionError):
        file.compare("a", np.array([9e9, 1.0]))


def test_exact_comparisons_and_labels(file: OracleFile) -> None:
    file.compare("out/c_12", np.arange(3), relative=0)
    with pytest.raises(AssertionError):
        file.compare("out/c_12", np.arange(3) + 1e-9, relative=0)
    file.compare_labels("out/c_12", np.array([0, 1, 7]), pixels=2)
    with pytest.raises(AssertionError):
        file.compare_labels("out/c_12", np.array([5, 6, 7]), pixels=2)


def test_arrays_that_nobody_looked_at_are_known(file: OracleFile) -> None:
    assert file.untouched() == ["in/a", "out/b", "out/c_12"]
    file.tensor("in/a")
    file.ignore("out/c")
    assert file.untouched() == ["out/b"]
    assert numbered(file.keys(), "out/c_") == [12]
