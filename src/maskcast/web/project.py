"""An open project: one video, its run folder, its document, and the results. Imports no torch.

Methods that write are called in a thread, one at a time.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from maskcast.core.errors import UsageError
from maskcast.core.files import alone_in, make_folder
from maskcast.runs.card import RunCard, read_card
from maskcast.runs.fingerprint import ABSENT_MARK, END_MARK
from maskcast.runs.identity import RunIdentity
from maskcast.runs.layout import ASIDE, STATES
from maskcast.runs.objects import ObjectLook, write_objects
from maskcast.runs.request import RunRequest, first_difference
from maskcast.web.clip_file import note_count
from maskcast.web.document import (
    COLOURS,
    MOST_OBJECTS,
    Document,
    DocumentObject,
    usual_name,
)
from maskcast.web.first_document import find_masks, first_document
from maskcast.web.folders import refuse_links
from maskcast.web.foreign_marks import has_foreign_marks, note_marks, with_foreign_marks
from maskcast.web.history import EditHistory
from maskcast.web.layout import APP, MASKS
from maskcast.web.mask_files import MaskFiles
from maskcast.web.messages import Opened, SegmenterChoice, VideoRange
from maskcast.web.prompts_folder import PromptsFolder
from maskcast.web.renames import list_changes
from maskcast.web.results import Results


class Project:
    """One video and its run folder, which must have a run card."""

    def __init__(
        self,
        run: Path,
        video: VideoRange,
        opened: Opened,
        choice: SegmenterChoice,
        cache_key: str,
    ) -> None:
        """Read the application's files in the folder, or create them.

        Raises:
            DataError: the run card or a mark is damaged.
            OutputError: the folder cannot be written to.
        """
        self.run, self.video, self.opened, self.choice = run, video, opened, choice
        self.cache_key = cache_key
        self.size = (opened.height, opened.width)
        self.masks = MaskFiles(run / MASKS, self.size)
        self.results = Results(run, opened.names)
        self.load_results()
        self.prompts = PromptsFolder(run, opened.names, opened.first, self.masks)
        base = first_document(run, self.card.request, self.results, self.prompts, self.masks)
        self.history = EditHistory(run, base)
        documents = [*self.history.documents(), self.document]
        self.slots = _slots(documents, self.results.ids())
        self.masks.sweep({value for document in documents for value in document.values()})
        self.prompts.tidy(self.document, self.size, goes_backward=self.goes_backward)
        self.take_foreign_marks()
        note_count(run, self.count)
        if self.document.objects:
            self._write_objects(self.document)
        content = [str(run), cache_key, opened.sha256, sorted(self.slots.items())]
        self.key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def document(self) -> Document:
        """The current document."""
        return self.history.current

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.opened.names)

    @property
    def goes_backward(self) -> bool:
        """Whether the run was tracked in both directions."""
        return self.card.request.goes_backward

    def load_results(self) -> None:
        """Read the run card and the log again. Raises ``DataError``."""
        card = read_card(self.run)
        if card is None:
            raise UsageError(f"the run card of {self.run} is missing")
        self.card: RunCard = card
        self.results.load(card)

    def note_marks(self) -> None:
        """Record that the marks on the card are those of this application. Raises OutputError."""
        note_marks(self.run, self.card.request)

    @property
    def has_foreign_marks(self) -> bool:
        """Whether the command line has changed the marks on the card."""
        return has_foreign_marks(self.run, self.card.request, self.history.documents())

    def take_foreign_marks(self) -> None:
        """Take over marks that the command line has put on the card, as a step of the history.

        Raises:
            UsageError: there are more objects than slots.
            OutputError: the step cannot be written.
        """
        if self.has_foreign_marks:
            document = with_foreign_marks(self.document, self.card.request, self.object_of)
            find_masks(document, self.results, self.masks)
            self.do("marks of the command line", None, document)
        self.note_marks()

    def request(self, document: Document | None = None) -> RunRequest:
        """Return the request of a run with the marks of a document, by default the current one."""
        marks = (document or self.document).marks(goes_backward=self.goes_backward)
        return replace(self.card.request, prompts=marks)

    def outdated_from(self) -> int | None:
        """Return the first frame whose masks do not match the document; None if all do."""
        first = first_difference(self.card.request, self.request())
        last = self.results.last()
        return first if first is not None and first <= last else None

    def can_bring_back(self) -> bool:
        """Return whether results that match the document were set aside."""
        request = self.request()
        first = first_difference(self.card.request, request)
        if first is None or not request.first_prompts():
            return False
        identity = RunIdentity(request)
        digest = identity.of_frame(first)
        folder = self.run / STATES / ASIDE
        return any((folder / name).is_dir() for name in (digest, f"{digest}-{identity.backward}"))

    def do(self, did: str, frame: int | None, document: Document) -> None:
        """Add a step to the history, on disk when this returns.

        Raises:
            UsageError: a mark does not fit a swap or a merge, or takes its effect away.
            OutputError: it cannot be written.
        """
        if document == self.document:
            return
        document.check(self.document)
        self._write(document)
        self.history.do(did, frame, document)

    def move(self, direction: str) -> dict[str, Any]:
        """Undo or redo a step, and describe it.

        Raises:
            UsageError: there is no such step.
            DataError, OutputError: the history cannot be read or written.
        """
        before = self.document
        step = self.history.move(direction)
        if step is None:
            raise UsageError(f"there is nothing to {direction}")
        self._write(self.document, before)
        return {"did": step.did, "frame": step.frame}

    def amend(self, document: Document) -> None:
        """Change values outside the history: locks and seen flags. Raises ``OutputError``."""
        if document != self.document:
            self.history.amend(document)

    def new_object(self, name: str | None, colour: str | None) -> DocumentObject:
        """Return a new object, which is not in the document yet. Raises ``UsageError``."""
        slot = self._free_slot(None)
        ids = set(self.slots)
        return self._object(slot if slot not in ids else max(ids) + 1, slot, name, colour)

    @property
    def next_slot(self) -> int | None:
        """The slot of the next object; None if all are used."""
        return _free_slot(self.slots, None)

    def object_of(self, object_id: int) -> DocumentObject:
        """Return a new object with an id from a file. Raises ``UsageError``."""
        return self._object(object_id, self._free_slot(object_id), None, None)

    def _free_slot(self, object_id: int | None) -> int:
        """Return the slot of an object."""
        if object_id is not None and object_id in self.slots:
            return self.slots[object_id]
        slot = _free_slot(self.slots, object_id)
        if slot is None:
            raise UsageError(
                f"a project has at most {MOST_OBJECTS} objects, including deleted ones"
            )
        return slot

    def _object(
        self, object_id: int, slot: int, name: str | None, colour: str | None
    ) -> DocumentObject:
        added = DocumentObject(
            id=object_id,
            slot=slot,
            name=name or usual_name(object_id),
            colour=colour or COLOURS[(slot - 1) % len(COLOURS)],
        )
        self.slots[object_id] = slot
        return added

    def painted(
        self, frame: int, slots: list[int], view: UInt8[np.ndarray, "height width"]
    ) -> Document:
        """Return the document after painting, in which the given slots have the masks in view.

        Painting takes pixels from other objects that are marked on the frame, except from locked
        ones. Masks are written to disk.

        Raises:
            UsageError: there is no such object, or it is locked.
            OutputError: a mask cannot be written.
        """
        document = self.document
        touched = [document.object_in(slot) for slot in slots]
        if locked := [known.name for known in touched if known.locked]:
            raise UsageError(f"{locked[0]} is locked")
        return self.with_masks(document, frame, {o.id: view == o.slot for o in touched})

    def with_masks(
        self, document: Document, frame: int, masks: Mapping[int, Bool[np.ndarray, "height width"]]
    ) -> Document:
        """Return a document with these masks on a frame, by object id; see ``painted``."""
        locked = {known.id for known in document.objects if known.locked}
        here = document.prompts.get(frame, {})
        others = {i: self.masks.get(value) for i, value in here.items() if i not in masks}
        changed: dict[int, str | None] = {}
        for object_id, painted in masks.items():
            mask = painted.copy()
            for other, owned in others.items():
                if owned is not None and other in locked:
                    mask &= ~owned
            changed[object_id] = self._value(document, frame, object_id, mask)
        taken = np.any([*masks.values()], axis=0) if masks else np.zeros(self.size, dtype=bool)
        for other, owned in others.items():
            if owned is not None and other not in locked and (owned & taken).any():
                rest = owned & ~taken
                changed[other] = self.masks.put(rest) if rest.any() else None
        return document.with_prompts(frame, changed)

    def command(self) -> str:
        """Return the command line that continues this run."""
        request = self.request()
        words = ["maskcast", "segment", self.video.path]
        if any(value.startswith("mask ") for value in request.prompts.values()):
            words += ["--masks", str(self.prompts.path)]
        else:
            words += self._marks_as_options(request)
        for frame, object_id, value in request.marks():
            if value.startswith("box "):
                words += ["--box", f"{frame + self.opened.first}:{object_id}:{value[4:]}"]
        words += ["--weights", self.choice.weights or request.weights]
        for name, value in request.options.items():
            words += ["--option", f"{name}={value}"]
        for name in ("start", "end", "direction", "on_bad_frame", "dtype"):
            setting = request.settings.get(name)
            if setting not in (None, _USUAL.get(name)):
                words += [f"--{name.replace('_', '-')}", str(setting)]
        words += ["-o", str(self.run), "--edited"]
        return shlex.join(words)

    def _marks_as_options(self, request: RunRequest) -> list[str]:
        """Return the options for marks that stand in ``marks.json`` if there are masks."""
        first, words = self.opened.first, []
        for frame, object_id, value in request.marks():
            if option := {ABSENT_MARK: "--absent", END_MARK: "--end-object"}.get(value):
                words += [option, f"{frame + first}:{object_id}"]
        for frame, is_swap, ids in list_changes(self.document.effective_renames()):
            option = "--swap" if is_swap else "--merge"
            words += [option, f"{frame + first}:{','.join(map(str, ids))}"]
        return words

    def _value(
        self, document: Document, frame: int, object_id: int, mask: Bool[np.ndarray, "height width"]
    ) -> str | None:
        """Return the value of a painted mask; an empty one marks an absence, or nothing."""
        if mask.any():
            return self.masks.put(mask)
        before = document.has_mask_before(object_id, frame)
        anywhere = self.goes_backward and document.has_mask_before(object_id, self.count)
        return ABSENT_MARK if before or anywhere else None

    def _write(self, document: Document, before: Document | None = None) -> None:
        """Write ``prompts/`` and the names and colours of objects. Raises ``OutputError``."""
        old = before or self.document
        if _marks_of(old) != _marks_of(document):
            frames = [
                at
                for at in sorted({*old.prompts, *document.prompts})
                if old.prompts.get(at) != document.prompts.get(at)
            ]
            self.prompts.write(document, frames, self.size, goes_backward=self.goes_backward)
        if old.objects != document.objects:
            self._write_objects(document)

    def _write_objects(self, document: Document) -> None:
        write_objects(self.run, {o.id: _look_of(o) for o in document.objects})


_USUAL = {"direction": "forward", "on_bad_frame": "stop", "dtype": "float32"}


def _marks_of(document: Document) -> tuple[Any, ...]:
    return document.prompts, document.ends, document.renames


def _look_of(known: DocumentObject) -> ObjectLook:
    """Return name and colour as exports show them; a name that was not chosen is not shown."""
    name = None if known.name == usual_name(known.id) else known.name
    return ObjectLook(name=name, colour=known.colour)


def lock_run(run: Path) -> ExitStack:
    """Lock a run folder for this application until the result is closed.

    Raises:
        RunConflictError: another application has the folder open.
        DataError: a folder in it is a link.
        OutputError: the folder cannot be written to.
    """
    make_folder(run)
    refuse_links(run)
    stack = ExitStack()
    stack.enter_context(alone_in(run / APP))
    return stack


def _slots(documents: list[Document], others: set[int]) -> dict[int, int]:
    """Return the slot of every object id that was ever used."""
    slots: dict[int, int] = {}
    for document in documents:
        for known in document.objects:
            if known.slot not in slots.values():
                slots.setdefault(known.id, known.slot)
    for object_id in sorted(others - set(slots)):
        slot = _free_slot(slots, object_id)
        if slot is not None:
            slots[object_id] = slot
    return slots


def _free_slot(slots: Mapping[int, int], object_id: int | None) -> int | None:
    """Return the slot with the value of an id if it is free, or else the first free slot."""
    taken = set(slots.values())
    candidates: list[int] = [*range(1, MOST_OBJECTS + 1)]
    if object_id is not None and object_id <= MOST_OBJECTS:
        candidates.insert(0, object_id)
    return next((slot for slot in candidates if slot not in taken), None)
