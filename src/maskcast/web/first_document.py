"""The first document of a run folder that the application has not opened before. No torch."""

from __future__ import annotations

from pathlib import Path

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import UsageError
from maskcast.runs.fingerprint import END_MARK, RENAME_MARK
from maskcast.runs.objects import ObjectLook, read_objects
from maskcast.runs.request import RunRequest
from maskcast.web.document import (
    COLOURS,
    MOST_OBJECTS,
    Document,
    DocumentObject,
    usual_name,
)
from maskcast.web.mask_files import MaskFiles, value_of
from maskcast.web.prompts_folder import PromptsFolder
from maskcast.web.renames import Renamed
from maskcast.web.results import Results, read_safely


def first_document(
    run: Path, request: RunRequest, results: Results, prompts: PromptsFolder, masks: MaskFiles
) -> Document:
    """Make a document from ``prompts/``, ``objects.json`` and the run card.

    A mask is restored from ``prompts/`` or from the run's label map, if it has the fingerprint on
    the run card. If it cannot be restored, the document has its value without a mask.

    Raises:
        DataError: a file is damaged.
        UsageError: there are more objects than slots.
    """
    size = masks.size
    document = prompts.read(size)
    on_card = marks_on_card(request)
    renames = on_card.renames
    if document is None:
        document = on_card
        find_masks(document, results, masks)
    else:
        renames |= document.renames
        for frame, values in on_card.prompts.items():
            boxes = {i: v for i, v in values.items() if v.startswith("box ")}
            document = document.with_prompts(frame, {**boxes, **document.prompts.get(frame, {})})
    looks = read_objects(run)
    ids = {i for values in document.prompts.values() for i in values} | {
        i for _, i in document.ends
    }
    objects = tuple(_objects(sorted(ids | set(looks)), looks))
    first = Document(objects, document.prompts, document.ends, renames=renames)
    first.check()
    return first


def marks_on_card(request: RunRequest) -> Document:
    """Return a document with the marks on a run card, without objects."""
    document, ends, renames = Document(), set(), set()
    for frame, object_id, value in request.marks():
        if value.startswith(RENAME_MARK):
            renames.add(Renamed(frame, object_id, int(value.removeprefix(RENAME_MARK))))
        elif value == END_MARK:
            ends.add((frame, object_id))
        else:
            document = document.with_prompts(frame, {object_id: value})
    return Document(prompts=document.prompts, ends=frozenset(ends), renames=frozenset(renames))


def find_masks(document: Document, results: Results, masks: MaskFiles) -> None:
    """Restore the masks of a document from the run's label maps, where they are still there."""
    for frame, values in document.prompts.items():
        for object_id, value in values.items():
            if value.startswith("mask ") and not masks.has(value):
                _find(value, frame, object_id, results, masks)


def _find(value: str, frame: int, object_id: int, results: Results, masks: MaskFiles) -> None:
    label_map = read_safely(results, frame) if frame < results.count else None
    if label_map is not None and label_map.shape == masks.size:
        mask: MaskArray = label_map == object_id
        if value_of(mask) == value:
            masks.put(mask)


def _objects(ids: list[int], looks: dict[int, ObjectLook]) -> list[DocumentObject]:
    if len(ids) > MOST_OBJECTS:
        raise UsageError(f"a project has at most {MOST_OBJECTS} objects, got {len(ids)}")
    taken = {object_id for object_id in ids if object_id <= MOST_OBJECTS}
    free = iter([slot for slot in range(1, MOST_OBJECTS + 1) if slot not in taken])
    objects = []
    for object_id in ids:
        slot = object_id if object_id in taken else next(free)
        look = looks.get(object_id, ObjectLook())
        objects.append(
            DocumentObject(
                id=object_id,
                slot=slot,
                name=look.name or usual_name(object_id),
                colour=look.colour or COLOURS[(slot - 1) % len(COLOURS)],
            )
        )
    return objects
