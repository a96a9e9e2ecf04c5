"""Saved states are a file format: names of their classes and fields stay readable.

A field may be added if it has a default, and its name belongs in the table below from then on.
Renaming or removing one makes states unreadable that users have on their disks.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest
import torch

from maskcast.methods.catalogue import METHODS

FIELDS = {
    "lwl": {
        "LWLState": "targets",
        "Target": "object_id memory tau view seen frames latest first absent_frames unlearnt",
        "Memory": "slots gammas newest absences",
        "Slot": "x label weight annotated",
        "Sighting": "position size",
        "View": "position scale base_size",
    },
    "agame": {
        "AgameState": "ids objects first_frames frame_index absent_for",
        "TrackedObjects": "mixture previous_mask part_of_first_frame first_mask",
        "Mixture": "means variances",
    },
    "eosvos": {
        "EOSVOSState": "objects",
        "TrackedObject": (
            "object_id given base round rounds map past previous_box start_box frames_since_start"
            " absences marked_absent presence"
        ),
        "AnnotatedFrame": "frame mask",
        "Round": "number frames",
    },
}
"""Saved fields by method and class, as version 0.1 and later ones wrote them."""


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
    pinned = {name: set(fields.split()) for name, fields in FIELDS.get(method, {}).items()}
    assert pinned, f"list the state classes of {method} and their fields in FIELDS"
    chosen = METHODS[method]
    segmenter = chosen.build(
        chosen.tiny(), None, device=torch.device("cpu"), dtype=torch.float32, progress=None
    )
    assert fields_of_states(type(segmenter.start())) == pinned
