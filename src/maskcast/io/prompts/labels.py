"""Assign object ids to the labels of masks: numbers, colours and words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from maskcast.core.errors import PromptError
from maskcast.core.palette import PALETTE
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.prompts.marked_frame import Label, MarkedFrame

DAVIS_COLOURS = 22
"""Number of palette colours shared with DAVIS; a picture in only these colours keeps their ids."""


def settle_labels(
    assigned: Sequence[tuple[int, MarkedFrame]],
) -> tuple[dict[Label, int], list[str]]:
    """Assign an id to every text label, frame by frame, so that later masks never change ids.

    A frame painted only in DAVIS colours, like the label maps of this package, keeps the ids of
    these colours. Other colours and words get the lowest id that is neither the id of an earlier
    label nor a number in files of the same kind. So words and numbers in files of one kind are
    different objects, while a number in a label map can refer to an id assigned earlier.

    Returns:
        the ids by label, and a line of text for each text label.
    """
    davis = {f"#{r:02x}{g:02x}{b:02x}": i for i, (r, g, b) in enumerate(PALETTE[:DAVIS_COLOURS])}
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
        as_davis = len(words) == len(here) and all(
            text in davis and ids.get(text, davis[text]) == davis[text] for text in words
        )
        reserved = set().union(*(numbers[frame.kind] for frame in frames))
        for text in words:
            if text not in ids:
                free = lowest_free(reserved.union(ids.values()))
                ids[text] = davis[text] if as_davis else free
        texts.update(dict.fromkeys(words))
    return ids, [f"{text} gets object id {ids[text]}" for text in texts]


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
