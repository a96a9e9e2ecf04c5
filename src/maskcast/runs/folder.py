"""A run folder and how results are written to it; docs/runs.md describes the format.

Every file is complete or absent. A state is written only when the masks of all frames up to it are
on disk, so a run can be continued after its process was killed or the power failed at any moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image

from maskcast.core.errors import DataError
from maskcast.core.files import path_inside, replacing
from maskcast.core.progress import Progress
from maskcast.core.types import ObjectMasks
from maskcast.runs.card import RunCard, write_card
from maskcast.runs.frame_log import FrameLog, LogEntry
from maskcast.runs.identity import RunIdentity
from maskcast.runs.layout import BACKWARD, FRAME_LOG, PROBABILITIES, STATES
from maskcast.runs.masks import FoundObject, flush_files, mask_store
from maskcast.runs.measuring import measure_objects
from maskcast.runs.other_ids import objects_with_other_ids, with_other_ids
from maskcast.runs.removal import remove_file
from maskcast.runs.request import RunRequest
from maskcast.runs.states import SavedStates

logger = logging.getLogger(__name__)

HALF_FILLED = "?"
"""Stands for the digest of the backward pass while a frame is being filled or cleared."""


class RunFolder:
    """One folder with the masks of one video; ``open_run`` returns it."""

    def __init__(
        self,
        path: Path,
        card: RunCard,
        frame_name: Callable[[int], str],
        *,
        count: int | None = None,
    ) -> None:
        """Describe a run folder, which need not exist.

        Args:
            path: path of the folder.
            card: the run card, which ``update`` writes; it says how masks are stored.
            frame_name: returns the name of the frame with an index.
            count: number of frames, if known.
        """
        self.path = path
        self.card = card
        self.count = count
        self.identity = RunIdentity(card.request)
        self.log = FrameLog(path / FRAME_LOG)
        self.states = SavedStates(path / STATES, self._digest_of_state)
        self.states_backward = SavedStates(
            path / STATES / BACKWARD, lambda _: self.identity.backward
        )
        self.masks = mask_store(card.masks, path, frame_name)
        self._frame_name = frame_name
        self._unflushed: set[Path] = set()

    def write_frame(
        self,
        frame_index: int,
        masks: ObjectMasks,
        *,
        probabilities: bool = False,
        begins_shot: bool = False,
    ) -> None:
        """Write the label map of a frame and log its objects. Raises ``OutputError``."""
        label_map = masks.label_map().cpu().numpy()
        objects = self._measure(frame_index, label_map, masks, probabilities)
        shown = self.identity.shown_ids(frame_index)
        label_map = with_other_ids(label_map, shown)
        objects = objects_with_other_ids(objects, shown)
        self._append(self._entry(frame_index, objects, begins_shot=begins_shot))
        self.masks.write(frame_index, label_map, objects)

    def fill_frame(
        self,
        frame_index: int,
        masks: ObjectMasks,
        ids: Collection[int],
        before: LogEntry | None,
        *,
        probabilities: bool = False,
    ) -> None:
        """Paint objects into the background of a frame before their first prompts.

        The operation is idempotent.

        Args:
            frame_index: index of a frame whose label map exists.
            masks: result of the backward pass.
            ids: ids of the objects whose first prompt comes later.
            before: what the forward pass logged about the frame.

        Raises:
            OutputError: a file cannot be written.
        """
        filling = masks.only(ids)
        there = self.masks.read(frame_index)
        there[np.isin(there, list(ids))] = 0
        filled = masks.label_map().cpu().numpy()
        free = (there == 0) & np.isin(filled, filling.ids)
        label_map = np.where(free, filled, there)
        others = {} if before is None else before.objects
        objects = {i: others[i] for i in others if i not in ids}
        objects |= self._measure(frame_index, label_map, filling, probabilities)
        entry = self._entry(
            frame_index, objects, begins_shot=before is not None and before.begins_shot
        )
        entry = replace(entry, backward=HALF_FILLED, filled=tuple(filling.ids))
        self._append(entry)
        self.masks.write(frame_index, label_map, objects)
        self._append(replace(entry, backward=self.identity.backward))

    def clear_fills(self, entries: Iterable[LogEntry]) -> list[LogEntry]:
        """Remove the objects that a backward pass has painted into frames.

        A damaged label map is deleted with a warning.

        Returns:
            the new log entries of the frames whose label maps were not damaged.

        Raises:
            OutputError: a frame cannot be written.
        """
        entries = list(entries)
        for entry in entries:
            self._append(replace(entry, backward=HALF_FILLED))
        self.flush()
        cleared = []
        for entry in entries:
            try:
                label_map = self.masks.read(entry.frame)
            except DataError as error:
                logger.warning("%s; it is computed again", error)
                self.masks.remove(entry.frame)
                continue
            after = entry.without_fills()
            label_map[np.isin(label_map, entry.filled)] = 0
            self.masks.write(entry.frame, label_map, after.objects)
            cleared.append(after)
            for object_id in entry.filled:
                remove_file(self.probability_path(entry.frame, object_id))
        self.masks.flush()
        for after in cleared:
            self._append(after)
        return cleared

    def change_ids(
        self,
        changes: Iterable[tuple[LogEntry, Mapping[int, int]]],
        progress: Progress | None = None,
    ) -> list[LogEntry]:
        """Write frames again with other ids of their objects. Soft masks are not changed.

        A damaged label map is deleted with a warning.

        Args:
            changes: log entries of frames whose label maps exist, and new ids by earlier id.
            progress: called after every frame.

        Returns:
            the new log entries of the frames whose label maps were not damaged.

        Raises:
            OutputError: a frame cannot be written.
        """
        changes = list(changes)
        for entry, _ in changes:  # without a digest, a frame that is interrupted is not valid
            self._append(replace(entry, digest=None))
        self.flush()
        changed = []
        for done, (entry, ids) in enumerate(changes, 1):
            if progress is not None:
                progress("ids", done, len(changes))
            try:
                label_map = self.masks.read(entry.frame)
            except DataError as error:
                logger.warning("%s; it is computed again", error)
                self.masks.remove(entry.frame)
                continue
            objects = objects_with_other_ids(entry.objects, ids)
            self.masks.write(entry.frame, with_other_ids(label_map, ids), objects)
            digest = self.identity.of_frame(entry.frame)
            changed.append(replace(entry, objects=objects, digest=digest))
        self.masks.flush()
        for entry in changed:
            self._append(entry)
        return changed

    def has_begun(self) -> bool:
        """Return whether any frame has been written."""
        return self.card.frames > 0 or any(True for _ in self.log.entries())

    def found_objects(self) -> dict[int, dict[int, FoundObject]]:
        """Return the logged objects, by frame index and object id."""
        return {frame_index: entry.objects for frame_index, entry in self.log.by_frame().items()}

    def absent_objects(self) -> dict[int, tuple[int, ...]]:
        """Return the ids of tracked objects with an empty mask, by frame, where there are some."""
        empty = (
            (
                entry.frame,
                tuple(i for i, logged in sorted(entry.objects.items()) if not logged.area),
            )
            for entry in self.log.entries()
        )
        return {frame: ids for frame, ids in dict(empty).items() if ids}

    def finished_frames(
        self, entries: Mapping[int, LogEntry], on_disk: int, also: Collection[int] = ()
    ) -> int:
        """Return how many frames, from the first on, have a label map of the current request.

        Args:
            entries: log entries by frame index.
            on_disk: number of frames known to be on disk, ``frames_on_disk()``.
            also: indices of further frames known to be on disk.
        """
        finished = 0
        while (self.count is None or finished < self.count) and self.has(entries.get(finished)):
            if finished >= on_disk and finished not in also:
                break
            finished += 1
        return finished

    def filled_steps(
        self,
        entries: Mapping[int, LogEntry],
        on_disk: int,
        also: Collection[int] = (),
        *,
        last: int | None = None,
    ) -> int:
        """Return how many steps of the backward pass, from the first on, are finished.

        Step n fills frame ``last_first_prompt - n``; step 0 has nothing to fill.

        Args:
            entries: log entries by frame index.
            on_disk: number of steps known to be on disk, ``steps_on_disk_backward()``.
            also: indices of further frames known to be on disk.
            last: frame on which the last object begins; by default that of the request.
        """
        last = self.card.request.last_first_prompt if last is None else last
        step = 1
        while step <= last:
            entry = entries.get(last - step)
            if entry is None or entry.backward != self.identity.backward:
                break
            if step >= on_disk and entry.frame not in also:
                break
            step += 1
        return step

    def frames_on_disk(self) -> int:
        """Return the number of frames, from the first on, that are known to be on disk."""
        return max(self.card.frames, *(number + 1 for number in self.states.numbers()), 0)

    def steps_on_disk_backward(self) -> int:
        """Return the number of steps of the backward pass that are known to be on disk."""
        steps = (number + 1 for number in self.states_backward.numbers())
        return max(self.card.frames_backward, *steps, 0)

    def is_valid(self, entry: LogEntry) -> bool:
        """Return whether a frame is a result of the current request."""
        return entry.digest == self.identity.of_frame(entry.frame)

    def has(self, entry: LogEntry | None) -> bool:
        """Return whether a frame is a result of the current request and its label map exists."""
        return entry is not None and self.is_valid(entry) and self.masks.has(entry.frame)

    def probability_path(self, frame_index: int, object_id: int) -> Path:
        """Return the path of an object's soft mask in a frame."""
        folder = self.path / PROBABILITIES / str(object_id)
        return path_inside(folder, self._frame_name(frame_index), ".png")

    def flush(self) -> None:
        """Flush everything that was written to disk. Raises ``OutputError``."""
        self.masks.flush()
        flush_files(self._unflushed, self.path)
        self._unflushed.clear()

    def update(self, **changes: Any) -> None:
        """Change entries of the run card and write it. Raises ``OutputError``."""
        self.card = replace(self.card, **changes)
        write_card(self.path, self.card)

    def adopt(self, request: RunRequest) -> None:
        """Replace the request; ``update`` writes it to the run card."""
        self.card = replace(self.card, request=request)
        self.identity = RunIdentity(request)

    def _digest_of_state(self, number: int) -> str:
        return self.identity.of_tracking(number)

    def _entry(
        self, frame_index: int, objects: dict[int, FoundObject], *, begins_shot: bool = False
    ) -> LogEntry:
        return LogEntry(
            frame=frame_index,
            mask=self.masks.path(frame_index).name,
            objects=objects,
            digest=self.identity.of_frame(frame_index),
            begins_shot=begins_shot,
        )

    def _append(self, entry: LogEntry) -> None:
        self.log.append(entry)
        self._unflushed.add(self.log.path)

    def _measure(
        self,
        frame_index: int,
        label_map: Int[np.ndarray, "height width"],
        masks: ObjectMasks,
        probabilities: bool,
    ) -> dict[int, FoundObject]:
        """Measure the objects in a frame; write their soft masks if requested."""
        if probabilities:
            soft_masks = masks.probs.float().cpu().numpy()
            self._write_probabilities(frame_index, masks.ids, soft_masks)
        return measure_objects(label_map, masks)

    def _write_probabilities(self, frame_index: int, ids: Iterable[int], soft_masks: Any) -> None:
        """Write soft masks under the ids that the frame shows; those of merged objects add up."""
        shown = self.identity.shown_ids(frame_index)
        together: dict[int, Any] = {}
        for object_id, soft in zip(ids, soft_masks, strict=True):
            one = shown.get(object_id, object_id)
            together[one] = np.minimum(together[one] + soft, 1) if one in together else soft
        for object_id, soft in together.items():
            self._write_probability(frame_index, object_id, soft)

    def _write_probability(self, frame_index: int, object_id: int, soft: Any) -> None:
        path = self.probability_path(frame_index, object_id)
        picture = Image.fromarray(np.round(soft * 65535).astype(np.uint16))
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")
        self._unflushed.add(path)
