"""Saved states are a file format: names of their classes and fields stay readable.

``STATE_FIELDS`` of each method's ``contract.py`` lists them, as version 0.1 and later ones wrote
them. A field may be added if it has a default, and its name belongs in the list from then on.
Renaming or removing one makes states unreadable that users have on their disks.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest
import torch

from contract.parts import PARTS
from maskcast.methods.catalogue import METHODS


def dataclasses_in(hint: Any) -> list[type[Any]]:
    """Return the dataclasses that a type hint names, at any depth."""
    if dataclasses.is_dataclass(hint):
        return [hint]
    return [kind for part in get_args(hint) for kind in dataclasses_in(part)]


def fields_of_states(kind: type[Any]) -> dict[str, set[str]]:
    """Return the saved fields of a state class and of all classes inside it, by class name."""
    found: dict[str, set[str]] = {}
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        if each.__name__ not in found:
            hints = get_type_hints(each)
            names = [field.name for field in dataclasses.fields(each) if field.init]
            found[each.__name__] = set(names)
            waiting += [inner for name in names for inner in dataclasses_in(hints[name])]
    return found


@pytest.mark.parametrize("method", METHODS)
def test_names_in_saved_states_stay(method):
    pinned = {name: set(fields.split()) for name, fields in PARTS[method].STATE_FIELDS.items()}
    chosen = METHODS[method]
    segmenter = chosen.build(
        chosen.tiny(), None, device=torch.device("cpu"), dtype=torch.float32, progress=None
    )
    assert fields_of_states(type(segmenter.start())) == pinned
