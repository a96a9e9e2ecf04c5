"""Assign object ids to the labels of masks: numbers, colours and words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import PromptError
from maskcast.core.marks import Box
from maskcast.core.palette import PALETTE, Colour
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.prompts.marked_frame import Label, MarkedFrame


def count_from_one(marked: Sequence[MarkedFrame]) -> list[MarkedFrame]:
    """Return marked frames whose ids begin with 1, where a field of files counts from 0."""
    fields = {frame.numbered_by for frame in marked if frame.numbered_by and 0 in frame.marks}
    return [_shifted(frame) if frame.numbered_by in fields else frame for frame in marked]


def _shifted(frame: MarkedFrame) -> MarkedFrame:
    marks: dict[Label, MaskArray | Box] = {
        label + 1 if isinstance(label, int) else label: mark for label, mark in frame.marks.items()
    }
    note = f"its field {frame.numbered_by} counts from 0, so object ids are one higher"
    return replace(frame, marks=marks, notes=[*frame.notes, note])


def settle_labels(
    assigned: Sequence[tuple[int, MarkedFrame]],
) -> tuple[dict[Label, int], list[str]]:
    """Assign an id to every text label, frame by frame, so that later masks never change ids.

    A frame painted only in the colours of the palette, like the label maps of this package, keeps
    their ids. Other colours and words get the id that their file suggests, or else the lowest one,
    that is neither the id of an earlier label nor a number in files of the same kind. So words and
    numbers in files of one kind are different objects, while a number in a label map can refer to
    an id assigned earlier.

    Returns:
        the ids by label, and a line of text for each text label.
    """
    palette = {_text(colour): i for i, colour in enumerate(PALETTE) if i > 0}
    numbers: dict[str, set[int]] = {}
    for _, frame in assigned:
        numbers.setdefault(frame.kind, set()).update(_numbers(frame.marks))
    ids: dict[Label, int] = {}
    texts: dict[str, None] = {}
    for _, group in groupby(assigned, key=lambda pair: pair[0]):
        frames = [frame for _, frame in group]
        here = {label: None for frame in frames for label in frame.marks}
        words = [label for label in here if isinstance(label, str)]
        ids.update((number, number) for number in _numbers(here))
        as_palette = len(words) == len(here) and all(
            text in palette and ids.get(text, palette[text]) == palette[text] for text in words
        )
        suggested = {text: i for frame in frames for text, i in frame.suggested.items()}
        reserved = set().union(*(numbers[frame.kind] for frame in frames))
        for text in words:
            if text not in ids:
                taken = reserved.union(ids.values())
                wanted = suggested.get(text, 0)
                free = wanted if wanted and wanted not in taken else lowest_free(taken)
                ids[text] = palette[text] if as_palette else free
        texts.update(dict.fromkeys(words))
    return ids, [f"{text} gets object id {ids[text]}" for text in texts]


def _text(colour: Colour) -> str:
    return "#" + bytes(colour).hex()


def _numbers(labels: Iterable[Label]) -> list[int]:
    """Return the labels that are numbers; raise ``PromptError`` if one is not a valid id."""
    numbers = [label for label in labels if isinstance(label, int)]
    for object_id in numbers:
        if not 1 <= object_id <= LARGEST_ID:
            raise PromptError(f"object ids must be in [1, {LARGEST_ID}], got {object_id}")
    return numbers


def lowest_free(taken: Iterable[int]) -> int:
    """Return the lowest object id that is not taken."""
    used = set(taken)
    return next(object_id for object_id in range(1, LARGEST_ID) if object_id not in used)
