"""Find oracle files by pattern, compare arrays with them, and say how close they came.

A test module asks for the files of one kind and gets them one by one as ``OracleFile``::

    from oracle.plumbing import OracleFile, each_file

    @each_file("lwl", "target_features*")
    def test_target_features(oracle: OracleFile) -> None:
        x = features(oracle.tensor("in/layer3"))
        oracle.compare("out/x", x)                     # within 1e-4 of the largest magnitude

Every array of a file has to be read or compared by the test (``ignore`` those that are not
meant to be), else the test fails: nothing is left out by accident. A kind without a file is
skipped. A file that no pattern claims and a folder without files fail ``check_folder``, which every
test module calls once, and hold up nothing else. Without the oracle folder all is skipped.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

TestFunction = TypeVar("TestFunction", bound=Callable[..., None])

CHECKOUT = Path(__file__).resolve().parents[2]
ORACLE = Path(os.environ.get("MASKCAST_ORACLE") or CHECKOUT / ".." / "shared" / "oracle").resolve()
DATA = Path(os.environ.get("MASKCAST_DATA") or CHECKOUT / ".." / "shared" / "data").resolve()

PATTERNS: Mapping[str, tuple[str, ...]] = {
    "lwl": (
        "learner_*",
        "backbone*",
        "target_features*",
        "label_encoder*",
        "decoder*",
        "box_encoder*",
        "lovasz*",
        "patch*",
        "first_crop*",
        "train_crop*",
        "memory*",
        "paste_state_merge*",
        "net_e2e*",
        "tracker_boxinit*",
        "tracker_*",
        "training*",
        "container_*",
    ),
    "agame": (
        "backbone*",
        "backbone_train*",
        "appearance*",
        "modules*",
        "aggregation*",
        "e2e_multi*",
        "e2e_midseq*",
        "e2e_single*",
        "e2e_coarse_first*",
        "train_step*",
        "container_*",
    ),
    "eosvos": (
        "anchors_transform.npz",
        "augment.npz",
        "backbone_fpn.npz",
        "box_propagation.npz",
        "inference.npz",
        "inner_sgd.npz",
        "losses.npz",
        "lovasz.npz",
        "merge.npz",
        "paste.npz",
        "radam.npz",
        "schedule.json",
        "sequence.npz",
        "targets.npz",
        "container_*",
    ),
    "metrics": ("frames*", "multi*", "davis16_*", "lvos*"),
}
"""Kinds of files by folder. Where several patterns match, the longest one claims the file."""


class OracleError(Exception):
    """The oracle folder does not hold what it should."""


@cache
def claimed_files(folder: str) -> Mapping[str, tuple[Path, ...]]:
    """Return the files of one folder by the pattern that claims them; "" for those of nobody."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ORACLE / folder).glob("[!._]*")):
        if path.is_dir() or path.name.startswith(("README", "manifest")):
            continue
        matching = [pattern for pattern in PATTERNS[folder] if fnmatch(path.name, pattern)]
        found.setdefault(max(matching, key=len, default=""), []).append(path)
    return {pattern: tuple(paths) for pattern, paths in found.items()}


def check_folder(folder: str) -> None:
    """Skip where there is no oracle.

    Raises:
        OracleError: ``MASKCAST_ORACLE`` names no folder, the folder is missing or holds no
            fixture, or no pattern claims a file.
    """
    if not ORACLE.is_dir():
        if os.environ.get("MASKCAST_ORACLE"):
            raise OracleError(f"MASKCAST_ORACLE names {ORACLE}, which is no folder")
        pytest.skip(f"there is no {ORACLE}")
    files = claimed_files(folder)
    if unclaimed := [f"{folder}/{path.name}" for path in files.get("", ())]:
        raise OracleError(f"no test knows what to do with {', '.join(unclaimed)}")
    if not files:
        raise OracleError(f"{ORACLE / folder} holds no fixture")


def stray_fixtures() -> list[str]:
    """Return arrays that lie in none of the folders, where no test looks for them."""
    arrays = sorted(path.relative_to(ORACLE) for path in ORACLE.rglob("*.npz"))
    return [str(path) for path in arrays if str(path.parent) not in PATTERNS]


def each_file(folder: str, *patterns: str) -> Callable[[TestFunction], TestFunction]:
    """Run a test once for every file of these kinds; it receives each as ``oracle``.

    Skipped where there is none. The test is bound to the real files, so it never runs elsewhere.
    """
    for pattern in patterns:
        if pattern not in PATTERNS[folder]:
            raise OracleError(f"{pattern!r} is no pattern of folder {folder!r}")
    files = [path for pattern in patterns for path in claimed_files(folder).get(pattern, ())]
    names = [f"{folder}/{path.name}" for path in files]
    return pytest.mark.parametrize("oracle", files, ids=names, indirect=True)


def oracle_weights(folder: str, manifest: str = "manifest.json") -> dict[str, Tensor]:
    """Rebuild the parameters behind a folder's fixtures from their names and shapes."""
    return {name: torch.from_numpy(array) for name, array in _weights(folder, manifest).items()}


@cache
def _weights(folder: str, manifest: str) -> dict[str, np.ndarray[Any, Any]]:
    spec = importlib.util.spec_from_file_location("oracle_weights", ORACLE / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = module.oracle_state_dict(module.load_manifest(ORACLE / folder / manifest))
    return {name: np.asarray(array) for name, array in state.items()}


class OracleFile:
    """One fixture file: its arrays, and a record of how close we came to them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"{path.parent.name}/{path.name}"
        self.compared = 0
        self.worst = 0.0
        self._arrays = dict(np.load(path)) if path.suffix == ".npz" else {}
        self._untouched = set(self._arrays)

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def keys(self, prefix: str = "") -> list[str]:
        """Return the names that begin with ``prefix``, in the file's order."""
        return [key for key in self._arrays if key.startswith(prefix)]

    def array(self, key: str) -> np.ndarray[Any, Any]:
        """Return one array."""
        self._untouched.discard(key)
        return self._arrays[key]

    def tensor(self, key: str) -> Tensor:
        """Return one array as a tensor."""
        return torch.from_numpy(np.array(self.array(key)))

    def ignore(self, prefix: str) -> None:
        """Leave out arrays that are for information only."""
        self._untouched -= set(self.keys(prefix))

    def untouched(self) -> list[str]:
        """Return the arrays that were neither read, compared nor ignored."""
        return sorted(self._untouched)

    def compare(
        self,
        key: str,
        found: Tensor | np.ndarray[Any, Any] | float,
        *,
        relative: float = 1e-4,
        absolute: float = 0.0,
    ) -> None:
        """Compare with the array of that name; NaN has to meet NaN.

        Args:
            key: name of the expected array.
            found: what we computed; must have the same shape.
            relative: tolerance as a part of the largest expected magnitude.
            absolute: tolerance added to it; both 0 asks for equality.
        """
        self.compare_values(key, found, self.array(key), relative=relative, absolute=absolute)

    def compare_values(
        self,
        what: str,
        found: Any,
        expected: Any,
        *,
        relative: float = 1e-4,
        absolute: float = 0.0,
    ) -> None:
        """Like ``compare``, with a value that does not come straight from the file."""
        found, expected = as_float64(found), as_float64(expected)
        self.require_same_shape(what, found.shape, expected.shape)
        if not np.array_equal(np.isnan(found), np.isnan(expected)):
            self.record(f"{what} has NaN in other places", np.inf)
        differ = (found != expected) & ~np.isnan(expected)
        difference = np.abs(found[differ] - expected[differ]).max(initial=0.0)
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        tolerance = relative * largest + absolute
        if tolerance == 0:
            self.record(what, 0.0 if difference == 0 else np.inf)
        else:
            self.record(what, float(difference / tolerance))

    def compare_labels(
        self, key: str, found: Tensor | np.ndarray[Any, Any], *, pixels: float
    ) -> None:
        """Compare integer maps of which up to ``pixels`` places may differ."""
        expected = self.array(key)
        found = np.asarray(found)
        self.require_same_shape(key, found.shape, expected.shape)
        self.record(key, int((found != expected).sum()) / pixels)

    def require_same_shape(
        self, what: str, found: tuple[int, ...], expected: tuple[int, ...]
    ) -> None:
        """Fail where the shapes differ."""
        if found != expected:
            self.record(f"{what} is {tuple(found)} instead of {tuple(expected)}", np.inf)

    def record(self, what: str, deviation: float) -> None:
        """Note one comparison by its deviation in units of its tolerance; fail above 1."""
        self.compared += 1
        self.worst = max(self.worst, deviation)
        assert deviation <= 1, f"{self.name}, {what}: {deviation:.3g} of the tolerance"


def as_float64(values: Any) -> np.ndarray[Any, Any]:
    """Return any array, tensor or number as a float64 array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def numbered(keys: Iterable[str], stem: str) -> list[int]:
    """Return the numbers n of the keys ``stem`` + n, in increasing order."""
    tails = (key.removeprefix(stem) for key in keys if key.startswith(stem))
    return sorted(int(tail) for tail in tails if tail.isdigit())
