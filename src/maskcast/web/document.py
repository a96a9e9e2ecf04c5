"""The document: all marks of a project, as an immutable value. Every edit returns a new one.

Prompts have the same values as on a run card (``runs.fingerprint``): ``mask <hash>``,
``box X,Y,W,H`` and ``absent``. Frames are counted from the first frame of the project. Imports no
torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from maskcast.core.errors import DataError, UsageError
from maskcast.core.palette import SHOWN
from maskcast.io.label_maps import LARGEST_ID
from maskcast.runs.fingerprint import ABSENT_MARK, END_MARK, RENAME_MARK
from maskcast.runs.frame_log import DAMAGE
from maskcast.runs.identity import digest_of
from maskcast.runs.objects import ObjectLook
from maskcast.web.renames import (
    Renamed,
    effective_renames,
    reject_ends_on,
    reject_lost_renames,
    reject_unfitting_marks,
)

MOST_OBJECTS = 254
"""Number of slots in a label map with one byte per pixel."""
COLOURS = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in SHOWN)
"""Colours of objects, as ``#rrggbb``."""
VALUE = re.compile(r"mask [0-9a-f]{32}|box [-+0-9.e]+(,[-+0-9.e]+){3}|absent")


@dataclass(frozen=True, kw_only=True)
class DocumentObject:
    """One object of a document."""

    id: int
    """Pixel value in the run folder."""
    slot: int
    """Pixel value between server and page, 1..254."""
    name: str
    colour: str
    """``#rrggbb``."""
    locked: bool = False
    """Whether painting other objects leaves its pixels unchanged."""

    def __post_init__(self) -> None:
        ObjectLook(name=self.name, colour=self.colour)
        if not 1 <= self.slot <= MOST_OBJECTS or not 1 <= self.id <= LARGEST_ID:
            raise UsageError(f"invalid object: id {self.id}, slot {self.slot}")


@dataclass(frozen=True)
class Document:
    """All marks of the user on a video."""

    objects: tuple[DocumentObject, ...] = ()
    prompts: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    """Values of prompts by frame and object id."""
    ends: frozenset[tuple[int, int]] = frozenset()
    """Pairs of a frame and the id of an object that is removed before it."""
    seen: frozenset[tuple[int, int, str]] = frozenset()
    """Frame, object id and kind of the flags that the user has looked at."""
    renames: frozenset[Renamed] = frozenset()
    """Swaps and merges, which only the command line adds."""

    def object_in(self, slot: int) -> DocumentObject:
        """Return the object of a slot. Raises ``UsageError``."""
        for known in self.objects:
            if known.slot == slot:
                return known
        raise UsageError(f"there is no object {slot}")

    def has_mask_before(self, object_id: int, frame: int) -> bool:
        """Return whether an object has a mask or box on an earlier frame."""
        return any(
            at < frame and values.get(object_id, ABSENT_MARK) != ABSENT_MARK
            for at, values in self.prompts.items()
        )

    def with_prompts(self, frame: int, changed: Mapping[int, str | None]) -> Document:
        """Set prompts of objects on a frame, where None removes one; ends there are removed."""
        here = {**self.prompts.get(frame, {}), **changed}
        kept = {object_id: value for object_id, value in here.items() if value is not None}
        others = {at: values for at, values in self.prompts.items() if at != frame}
        prompts = {**others, frame: kept} if kept else others
        ends = frozenset(end for end in self.ends if end[0] != frame or end[1] not in kept)
        return replace(self, prompts=prompts, ends=ends)

    def with_end(self, frame: int, object_id: int) -> Document:
        """End an object before a frame; its prompt there is removed. Raises ``UsageError``."""
        if not self.has_mask_before(object_id, frame):
            raise UsageError("an object cannot end before it is marked on an earlier frame")
        cleared = self.with_prompts(frame, {object_id: None})
        return replace(cleared, ends=cleared.ends | {(frame, object_id)})

    def without_end(self, frame: int, object_id: int) -> Document:
        """Remove the end of an object."""
        return replace(self, ends=self.ends - {(frame, object_id)})

    def with_object(self, added: DocumentObject) -> Document:
        """Add an object."""
        return replace(self, objects=(*self.objects, added))

    def with_changed(self, changed: DocumentObject) -> Document:
        """Replace the object that has the same id."""
        objects = tuple(changed if o.id == changed.id else o for o in self.objects)
        return replace(self, objects=objects)

    def without_object(self, object_id: int) -> Document:
        """Delete an object with all its marks."""
        prompts = {
            at: {i: value for i, value in values.items() if i != object_id}
            for at, values in self.prompts.items()
        }
        return Document(
            objects=tuple(o for o in self.objects if o.id != object_id),
            prompts={at: values for at, values in prompts.items() if values},
            ends=frozenset(end for end in self.ends if end[1] != object_id),
            seen=frozenset(flag for flag in self.seen if flag[1] != object_id),
            renames=frozenset(one for one in self.renames if object_id not in one[1:]),
        )

    def with_seen(self, flag: tuple[int, int, str], seen: bool) -> Document:
        """Record whether the user has looked at a flag."""
        return replace(self, seen=self.seen | {flag} if seen else self.seen - {flag})

    def carried(self, other: Document) -> Document:
        """Copy the values that are not part of the history from another document."""
        locked = {o.id: o.locked for o in other.objects}
        objects = tuple(replace(o, locked=locked.get(o.id, o.locked)) for o in self.objects)
        return replace(self, objects=objects, seen=other.seen)

    def marks(self, *, goes_backward: bool) -> dict[str, str]:
        """Return the marks as on a run card, by ``FRAME:ID``.

        Marks without effect are left out. These are absences of objects that have not started yet
        or have ended, and ends of objects that were never marked. A run in both directions respects
        absences before the first mask.
        """
        ends = {(at, i): END_MARK for at, i in self.ends if self.has_mask_before(i, at)}
        values = {(at, i): v for at, marks in self.prompts.items() for i, v in marks.items()}
        kept = {
            (at, i): value
            for (at, i), value in values.items()
            if value != ABSENT_MARK or self._is_effective(at, i, goes_backward)
        }
        renames = {(at, i): f"{RENAME_MARK}{other}" for at, i, other in self.effective_renames()}
        marks = {**kept, **ends, **renames}
        return {f"{at}:{i}": value for (at, i), value in sorted(marks.items())}

    def effective_renames(self) -> frozenset[Renamed]:
        """Return the swaps and merges whose objects are tracked on their frame."""
        return effective_renames(self.renames, self.prompts, self.ends)

    def check(self, before: Document | None = None) -> None:
        """Check that the marks fit the swaps and merges.

        Args:
            before: the document before an edit, whose swaps and merges must keep their effect
                unless the edit removes them.

        Raises:
            UsageError: a mark does not fit, or a swap or merge has lost its effect.
        """
        reject_ends_on(self.renames, self.prompts, self.ends)
        effective = self.effective_renames()
        if before is not None:
            without_effect = before.renames - before.effective_renames()
            reject_lost_renames(self.renames - without_effect, effective)
        marked = {(at, i) for at, values in self.prompts.items() for i in values} | self.ends
        reject_unfitting_marks(effective, marked)

    def values(self) -> Iterator[str]:
        """Yield the values of all prompts."""
        for values in self.prompts.values():
            yield from values.values()

    def _is_effective(self, frame: int, object_id: int, goes_backward: bool) -> bool:
        masks = [
            at
            for at, values in self.prompts.items()
            if values.get(object_id, ABSENT_MARK) != ABSENT_MARK
        ]
        earlier = max((at for at in masks if at < frame), default=None)
        if earlier is None:
            return goes_backward and bool(masks)
        return not any(i == object_id and earlier < at <= frame for at, i in self.ends)


def changed_frames(before: Document, after: Document) -> list[int] | None:
    """Return the frames whose prompts have changed; None if objects have changed too."""
    if before.objects != after.objects:
        return None
    frames = {*before.prompts, *after.prompts}
    changed = {at for at in frames if before.prompts.get(at) != after.prompts.get(at)}
    changed |= {at for at, _ in before.ends ^ after.ends}
    return sorted(changed | {at for at, _, _ in before.renames ^ after.renames})


def usual_name(object_id: int) -> str:
    """Return the name of an object that no one has named."""
    return f"object {object_id}"


def to_json(document: Document) -> dict[str, Any]:
    """Convert a document to JSON, with entries in a fixed order."""
    renames = {"renames": sorted(map(list, document.renames))} if document.renames else {}
    return {
        "objects": [vars(known) for known in document.objects],
        "prompts": {
            str(at): {str(i): values[i] for i in sorted(values)}
            for at, values in sorted(document.prompts.items())
        },
        "ends": sorted(map(list, document.ends)),
        "seen": sorted(map(list, document.seen)),
        **renames,
    }


def from_json(tree: Any) -> Document:
    """Read a document.

    Raises:
        DataError: it is damaged.
    """
    try:
        objects = tuple(DocumentObject(**_object(known)) for known in tree["objects"])
        prompts = {
            _whole(int(at)): {_whole(int(i)): _value(value) for i, value in values.items()}
            for at, values in tree["prompts"].items()
        }
        ends = frozenset((_whole(at), _whole(i)) for at, i in tree["ends"])
        seen = frozenset((_whole(at), _whole(i), str(kind)) for at, i, kind in tree["seen"])
        renames = frozenset(Renamed(*map(_whole, entry)) for entry in tree.get("renames", []))
    except DAMAGE as error:
        raise DataError(f"damaged document: {error}") from error
    if len({o.id for o in objects}) < len(objects) or len({o.slot for o in objects}) < len(objects):
        raise DataError("damaged document: two objects have the same id or slot")
    return Document(objects, prompts, ends, seen, renames)


def digest(document: Document) -> str:
    """Return the digest of a document, which is its file name."""
    return digest_of(to_json(document))


def _object(tree: Any) -> dict[str, Any]:
    kinds = {"id": int, "slot": int, "name": str, "colour": str, "locked": bool}
    if set(tree) != set(kinds) or any(type(tree[name]) is not kind for name, kind in kinds.items()):
        raise TypeError(f"invalid object {str(tree)[:80]}")
    return dict(tree)


def _value(value: Any) -> str:
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        raise ValueError(f"invalid prompt {str(value)[:60]!r}")
    return value


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"invalid number {str(number)[:40]}")
    return number
