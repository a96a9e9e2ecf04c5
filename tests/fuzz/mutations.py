"""Damaged copies of good files, and JSON that resembles good JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

LONGEST_PIECE = 64


@st.composite
def damaged(draw: Callable, good: Sequence[bytes], most_edits: int = 6) -> bytes:
    """One of the files in which pieces were replaced, removed, repeated or inserted."""
    content = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, most_edits))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, LONGEST_PIECE))
        kind = draw(st.sampled_from(("replace", "remove", "repeat", "insert", "cut", "flip")))
        if kind == "replace":
            piece = draw(st.binary(max_size=8))
            content[at : at + len(piece)] = piece
        elif kind == "remove":
            del content[at : at + length]
        elif kind == "repeat":
            content[at:at] = content[at : at + length]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=16))
        elif kind == "cut":
            del content[at:]
        elif content[at : at + 1]:
            content[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


odd_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["01", "1", "-0", "9" * 400, "²", "\ud800", "\0", "../a", "a/b", "1e999", "NaN"]
    )
)
odd_values = st.recursive(
    odd_scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
"""Values that stand where others are expected."""
odd_names = st.text(max_size=6) | st.sampled_from(
    ["", "..", "../a", "a/b", "\0", "\ud800", "x" * 300]
)
"""Names that stand where others are expected."""


@st.composite
def resembling(draw: Callable, good: Sequence[Any], most_edits: int = 4) -> str:
    """The text of one of the trees with values replaced, removed, repeated, swapped or renamed."""
    tree = copy.deepcopy(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, most_edits))):
        holders = [node for node in _nodes(tree) if node and isinstance(node, dict | list)]
        if not holders:
            break
        holder = draw(st.sampled_from(holders))
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(st.sampled_from(keys))
        kind = draw(st.sampled_from(("replace", "remove", "repeat", "swap", "rename")))
        if kind == "replace":
            holder[key] = draw(odd_values)
        elif kind == "remove":
            del holder[key]
        elif kind == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == "rename" and isinstance(holder, dict):
            holder[draw(odd_names)] = holder.pop(key)
        else:
            other = draw(st.sampled_from(keys))
            holder[key], holder[other] = holder[other], holder[key]
    return json.dumps(tree)


def _nodes(tree: Any) -> list[Any]:
    """Every value of a tree, the tree itself first."""
    found = [tree]
    for node in found:
        if isinstance(node, dict):
            found += node.values()
        elif isinstance(node, list):
            found += node
    return found
