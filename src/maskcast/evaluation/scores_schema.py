"""Check the content of a ``scores.json``, which another program may have changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, TypeAlias

from maskcast.io.label_maps import LARGEST_ID

AnyTree: TypeAlias = Mapping[str, Any]


def check_scores(tree: AnyTree) -> None:
    """Check the entries that other modules use.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: an entry is missing or invalid.
    """
    for name in ("dataset", "videos", "objects", "protocol", "extra_objects"):
        _require(name, tree[name], dict)
    for name in ("run", "speed"):
        _require(name, tree.get(name, {}), dict)
        for key, value in tree.get(name, {}).items():
            _require(f"{key} of {name}", value, str, int, float, bool, dict, list, NoneType)
    _require("results", tree["results"], str)
    for name in ("missing", "faults", "wrong_names", "exchanged_ids"):
        is_added = name in ("wrong_names", "exchanged_ids")
        for text in _list(name, tree.get(name, []) if is_added else tree[name]):
            _require(f"an entry of {name}", text, str)
    for text in tree["extra_objects"].values():
        _require("an entry of extra_objects", text, str)
    _check_protocol(tree["protocol"])
    for level in (tree["dataset"], *tree["dataset"].get("groups", {}).values()):
        _check_figures(level, NoneType)
    for level in tree["videos"].values():
        _check_figures(level, NoneType)
    for entry in tree["objects"].values():
        _check_figures(entry)
        _check_object(entry, tree["videos"])


def _check_protocol(protocol: AnyTree) -> None:
    _require("dataset", protocol["dataset"], str)
    for name in ("split", "root"):
        _require(name, protocol[name], str, NoneType)
    for name, value in protocol.items():
        _require(name, value, str, int, float, bool, list, NoneType)
    _require("resolution", protocol.get("resolution"), str, NoneType)


def _check_figures(level: AnyTree, *others: type) -> None:
    """Check mean, recall and decay of J and F, and J&F: numbers, or values of ``others``."""
    for measure in ("J", "F"):
        for name in ("mean", "recall", "decay"):
            _require_share(f"{name} of {measure}", level[measure][name], *others)
    _require_share("J&F", level["J&F"], *others)
    if "V" in level:
        _require("V", level["V"], int, float, *others)


def _check_object(entry: AnyTree, videos: AnyTree) -> None:
    _require("the video of an object", entry["video"], str)
    _require("the id of an object", entry["id"], int)
    if not 1 <= entry["id"] <= LARGEST_ID:
        raise ValueError(f"an object has the id {entry['id']}")
    names, *curves = (_list(name, entry["per_frame"][name]) for name in ("names", "J", "F"))
    if entry["video"] not in videos or not names or {len(names)} != set(map(len, curves)):
        raise ValueError("its parts do not match")
    for name in names:
        _require("the name of a frame", name, str)
    for value in (value for curve in curves for value in curve):
        _require_share("a value of a frame", value)


def _require_share(name: str, value: Any, *others: type) -> None:
    """Require a number in [-1, 1]; decay and the variation may be negative."""
    _require(name, value, int, float, *others)
    if value is not None and not -1 <= value <= 1:
        raise ValueError(f"{name} must be in [-1, 1], got {value}")


def _list(name: str, value: Any) -> list[Any]:
    _require(name, value, list)
    entries: list[Any] = value
    return entries


def _require(name: str, value: Any, *kinds: type) -> None:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be {expected}, got {type(value).__name__}")
