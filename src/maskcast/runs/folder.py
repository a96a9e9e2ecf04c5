"""A run folder that survives interruptions, and the rules by which a run goes on.

    run.json              the run card
    <frame>.png           one label map per frame
    probs/<id>/<frame>.png   soft masks, 16 bits, on request
    frames.jsonl          per finished frame: area and mean confidence of every object
    .states/<frame>.safetensors   the state after that frame; of the backward pass in backward/
    exports/              what was made from the finished masks

Every file is whole or absent. A state is written when the disk has the masks of all frames up to
it, so a process that is killed at any moment, or a power cut, leaves a folder to continue from.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image

from maskcast.core.errors import DataError, OutputError, PromptError, RunConflictError
from maskcast.core.types import ObjectMasks
from maskcast.io.files import path_inside, replacing
from maskcast.io.label_maps import LARGEST_ID
from maskcast.runs.card import (
    CARD,
    RunCard,
    RunRequest,
    adds_backward_pass,
    differences,
    first_new_prompt,
    read_card,
    write_card,
)
from maskcast.runs.masks import FoundObject, MaskStore, PngMasks, flush_files
from maskcast.runs.states import SavedStates

STATES = ".states"
FRAME_LOG = "frames.jsonl"
PROBABILITIES = "probs"
EXPORTS = "exports"

logger = logging.getLogger(__name__)


class RunFolder:
    """One folder with the masks of one video. Made by ``open_run``."""

    def __init__(self, path: Path, card: RunCard, frame_name: Callable[[int], str]) -> None:
        self.path = path
        self.card = card
        self.states = SavedStates(path / STATES)
        self.states_backward = SavedStates(path / STATES / "backward")
        self.masks: MaskStore = PngMasks(path, frame_name)
        self._frame_name = frame_name
        self._unflushed: set[Path] = set()

    def write_frame(
        self, frame_index: int, masks: ObjectMasks, *, probabilities: bool = False
    ) -> None:
        """Paint the label map of a frame, and note its objects. Raises ``OutputError``."""
        self._write(frame_index, masks.label_map().cpu().numpy(), masks, {}, probabilities)

    def fill_frame(
        self,
        frame_index: int,
        masks: ObjectMasks,
        ids: Collection[int],
        others: Mapping[int, FoundObject],
        *,
        probabilities: bool = False,
    ) -> None:
        """Paint objects into a frame before their first prompt, where it shows nothing else.

        Doing it again changes nothing.

        Args:
            frame_index: a frame whose label map is there.
            masks: what the backward pass found.
            ids: the objects whose first prompt comes later.
            others: what the forward pass noted of all other objects.

        Raises:
            OutputError: it cannot be written.
        """
        wanted = torch.tensor([object_id in ids for object_id in masks.ids], dtype=torch.bool)
        filling = ObjectMasks(
            tuple(object_id for object_id in masks.ids if object_id in ids),
            masks.probs[wanted.to(masks.probs.device)],
        )
        there = self.masks.read(frame_index)
        there[np.isin(there, list(ids))] = 0
        found = masks.label_map().cpu().numpy()
        free = (there == 0) & np.isin(found, filling.ids)
        label_map = np.where(free, found, there)
        self._write(frame_index, label_map, filling, others, probabilities)

    def found_objects(self) -> dict[int, dict[int, FoundObject]]:
        """Read the log of finished frames: by frame and object id; a later line replaces."""
        return {frame_index: objects for frame_index, _, objects in self._log_entries()}

    def has_begun(self) -> bool:
        """Return whether the label map of any frame was written."""
        return self.card.frames > 0 or any(True for _ in self._log_entries())

    def painted(self) -> int:
        """Return how many frames from the first on have their label map."""
        count, most = 0, max(self.card.frames, *(n + 1 for n in self.states.numbers()), 0)
        while count < most and self.masks.has(count):
            count += 1
        return count

    def flush(self) -> None:
        """Wait until the disk has all that was written. Raises ``OutputError``."""
        self.masks.flush()
        flush_files(self._unflushed, self.path)
        self._unflushed.clear()

    def update(self, **changes: Any) -> None:
        """Change entries of the run card and write it. Raises ``OutputError``."""
        self.card = replace(self.card, **changes)
        write_card(self.path, self.card)

    def forget_from(self, frame_index: int, request: RunRequest) -> None:
        """Take up a request with new prompts: what they outdate is deleted.

        States go first and masks last, so that an interruption in between does no harm.
        """
        self.states_backward.forget_from(0)
        self.states.forget_from(frame_index)
        frames = self.card.frames
        kept = min(frames, frame_index)
        self.reopen(request, frames=kept, forward_finished=False, frames_backward=0)
        for outdated in range(frame_index, frames):
            self.masks.remove(outdated)

    def reopen(self, request: RunRequest, **changes: Any) -> None:
        """Take up a request that adds to the run: what is finished stays, exports are made anew."""
        self.update(request=request, status="interrupted", **changes)
        shutil.rmtree(self.path / EXPORTS, ignore_errors=True)

    def clear(self) -> None:
        """Delete what the run made; files of anyone else stay."""
        painted = {self.path / Path(mask).name for _, mask, _ in self._log_entries()}
        shutil.rmtree(self.path / STATES, ignore_errors=True)
        (self.path / CARD).unlink(missing_ok=True)
        for mask in filter(Path.is_file, painted):
            mask.unlink()
        for made in (PROBABILITIES, EXPORTS):
            shutil.rmtree(self.path / made, ignore_errors=True)
        (self.path / FRAME_LOG).unlink(missing_ok=True)

    def _write(
        self,
        frame_index: int,
        label_map: Int[np.ndarray, "height width"],
        masks: ObjectMasks,
        others: Mapping[int, FoundObject],
        probabilities: bool,
    ) -> None:
        name, objects = self.masks.path(frame_index).name, dict(others)
        for object_id, soft in zip(masks.ids, masks.probs.float().cpu().numpy(), strict=True):
            inside = label_map == object_id
            area = int(inside.sum())
            confidence = round(float(soft[inside].mean(dtype=np.float64)), 5) if area else None
            objects[object_id] = FoundObject(area, confidence)
            if probabilities:
                self._write_probability(frame_index, object_id, soft)
        noted = {str(i): (found.area, found.confidence) for i, found in objects.items()}
        self._log({"frame": frame_index, "mask": name, "objects": noted})
        self.masks.write(frame_index, label_map, objects)
        self._unflushed.add(self.path / FRAME_LOG)

    def _write_probability(self, frame_index: int, object_id: int, soft: Any) -> None:
        folder = self.path / PROBABILITIES / str(object_id)
        path = path_inside(folder, self._frame_name(frame_index), ".png")
        picture = Image.fromarray(np.round(soft * 65535).astype(np.uint16))
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")
        self._unflushed.add(path)

    def _log(self, entry: dict[str, Any]) -> None:
        try:
            with (self.path / FRAME_LOG).open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(entry))  # a line that was cut off stays alone
        except OSError as error:
            raise OutputError(f"cannot write {self.path / FRAME_LOG}: {error.strerror}") from error

    def _log_entries(self) -> Iterator[tuple[int, str, dict[int, FoundObject]]]:
        """Yield frame index, file name of the mask, and objects; damaged lines are passed over."""
        path = self.path / FRAME_LOG
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(ValueError, LookupError, TypeError, AttributeError):
                    entry = json.loads(line)  # empty, or cut off when the process was killed
                    found = {int(i): FoundObject(*known) for i, known in entry["objects"].items()}
                    yield int(entry["frame"]), str(entry["mask"]), found


def open_run(
    path: Path,
    request: RunRequest,
    *,
    frame_name: Callable[[int], str],
    overwrite: bool = False,
) -> RunFolder:
    """Begin a run in a folder, or take up the one that is there.

    Args:
        path: made if need be.
        request: prompts beyond those on the card there continue that run from before the first of
            them, a backward pass is added to what went forward, and bad frames may be held from
            now on; any other difference is refused, unless that run failed before its first mask.
        frame_name: gives the name of a frame, and so of its label map, by index.
        overwrite: delete what an earlier run left, and begin anew.

    Raises:
        PromptError: an id is too large to be painted.
        RunConflictError: the folder holds a different run, or files of something else.
        OutputError: it cannot be written to.
    """
    ids = [int(place.split(":")[1]) for place in request.prompts]
    if max(ids, default=0) > LARGEST_ID:
        raise PromptError(f"masks are written with ids up to {LARGEST_ID}, got {max(ids)}")
    old = None if overwrite else _card_in(path)
    run = RunFolder(path, old or _fresh_card(request), frame_name)
    if overwrite and (path / CARD).is_file():
        run.clear()
    if old is None:
        if not overwrite:
            _refuse_other_files(path)
        run.update()
        return run
    found = list(differences(old.request, request))
    if found and not run.has_begun():  # it failed before there was anything to keep
        run.card = _fresh_card(request)
        run.update()
        return run
    if found:
        raise RunConflictError(
            f"{path} holds a different run: {'; '.join(found)}. "
            "Choose another folder with -o, or give --overwrite"
        )
    if old.maskcast != version("maskcast") or old.torch != torch.__version__:
        logger.warning(
            "going on with a run that maskcast %s, torch %s began", old.maskcast, old.torch
        )
    new_from = first_new_prompt(old.request, request)
    if new_from is not None:
        run.forget_from(new_from, request)
    elif adds_backward_pass(old.request, request):
        run.reopen(request)
    elif old.request.settings != request.settings:
        run.update(request=request)
    return run


def _card_in(path: Path) -> RunCard | None:
    try:
        return read_card(path)
    except DataError as error:
        raise RunConflictError(
            f"{error}; choose another folder with -o, or give --overwrite"
        ) from error


def _fresh_card(request: RunRequest) -> RunCard:
    return RunCard(maskcast=version("maskcast"), torch=torch.__version__, request=request)


def _refuse_other_files(path: Path) -> None:
    try:
        others = [file.name for file in path.iterdir() if not file.name.startswith(".")]
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot use the output folder {path}: {error.strerror}") from error
    if others:
        raise RunConflictError(
            f"{path} holds files but no run ({min(others)}, …); choose another folder with -o, "
            "or give --overwrite to write among them"
        )
