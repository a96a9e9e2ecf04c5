"""Start a run in a folder, or continue the one in it; docs/runs.md describes the rules."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from maskcast.core.errors import DataError, PromptError, RunConflictError
from maskcast.core.files import make_folder, remove_unfinished
from maskcast.core.progress import Progress
from maskcast.io.label_maps import LARGEST_ID
from maskcast.runs.card import FORMAT, RunCard, read_card
from maskcast.runs.export_record import remove_exports
from maskcast.runs.folder import RunFolder
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import EXPORTS, FRAME_LOG, STATES
from maskcast.runs.masks import MaskForm
from maskcast.runs.matching import match_results
from maskcast.runs.overwriting import remove_run
from maskcast.runs.removal import remove_folder
from maskcast.runs.request import RunRequest, claim, differences
from maskcast.runs.upgrade import upgrade

logger = logging.getLogger(__name__)


def open_run(
    path: Path,
    request: RunRequest,
    *,
    frame_name: Callable[[int], str],
    count: int | None = None,
    masks: MaskForm | None = None,
    overwrite: bool = False,
    edited: bool = False,
    progress: Progress | None = None,
) -> RunFolder:
    """Start a run in a folder, or continue the one in it.

    Call it inside ``core.files.alone_in``. Results in the folder that do not match the request are
    set aside or deleted; results that were set aside earlier and match it are restored.

    Args:
        path: the run folder; it is created if it does not exist.
        request: everything that determines the masks. It may differ from the request on the run
            card as far as ``request.differences`` allows.
        frame_name: returns the name of the frame with an index, and so of its label map.
        count: number of frames, if known.
        masks: how masks are stored; by default as in the folder, or as PNGs in a new one.
        overwrite: delete the results of an earlier run and start again.
        edited: accept changed and removed prompts and ends.
        progress: called for every frame whose masks get other ids.

    Raises:
        PromptError: an object id is too large for a label map.
        RunConflictError: the folder holds a different run, or other files.
        OutputError: the folder cannot be written to.
    """
    largest = max((object_id for _, object_id, _ in request.marks()), default=0)
    if largest > LARGEST_ID:
        raise PromptError(f"object ids in masks must be at most {LARGEST_ID}, got {largest}")
    fresh = RunCard(
        maskcast=version("maskcast"),
        torch=torch.__version__,
        request=request,
        masks=masks or "png",
    )
    if overwrite:
        remove_run(path, _names(frame_name, count))
        return _begin(RunFolder(path, fresh, frame_name, count=count))
    old = _card_in(path)
    if old is None:
        claim(path, None)
        return _begin(RunFolder(path, fresh, frame_name, count=count))
    _remove_unfinished(path)
    names = _logged_names(path, frame_name, count)
    run = RunFolder(path, old, names, count=count)
    conflicts = list(differences(old.request, request, edited=edited))
    if masks not in (None, old.masks):
        conflicts.append(f"masks were stored as {old.masks}, now {masks}")
    if conflicts and not run.has_begun():  # it failed before the first frame
        remove_exports(path)
        run = RunFolder(path, fresh, names, count=count)
    else:
        conflicts += _how_to_continue(old, request)
        accepting = _edited(old, request, masks)
        instead = "choose another folder, or overwrite its results"
        if accepting:
            instead = f"accept the edits, which keeps the run; {instead}"
        claim(path, conflicts, instead=instead, options=(*accepting, "output", "overwrite"))
        if old.format == 1:
            upgrade(run)
    if old.maskcast != version("maskcast") or old.torch != torch.__version__:
        logger.warning(
            "continuing a run that maskcast %s with PyTorch %s started", old.maskcast, old.torch
        )
    match_results(run, request, progress)
    return run


def _edited(old: RunCard, request: RunRequest, masks: MaskForm | None) -> tuple[str, ...]:
    """Return the option that accepts the differences, if all of them are edits."""
    others = any(differences(old.request, request, edited=True))
    return () if others or masks not in (None, old.masks) else ("edited",)


def _how_to_continue(old: RunCard, request: RunRequest) -> list[str]:
    """Say how to continue a run of another version whose weights or options differ."""
    before = old.request
    is_same = (before.weights_sha256, before.options) == (request.weights_sha256, request.options)
    if is_same or (old.format == FORMAT and old.maskcast == version("maskcast")):
        return []
    return [
        f"the run was started by version {old.maskcast}; to continue it, give the path of the "
        "weights file that it used"
    ]


def _begin(run: RunFolder) -> RunFolder:
    """Start in a folder without results; states of unknown origin are deleted."""
    remove_folder(run.path / STATES)
    make_folder(run.path)
    _remove_unfinished(run.path)
    run.update()
    return run


def _card_in(path: Path) -> RunCard | None:
    try:
        return read_card(path)
    except DataError as error:
        raise RunConflictError(
            f"{error.summary}; choose another folder, or overwrite the run",
            options=("output", "overwrite"),
        ) from error


def _remove_unfinished(path: Path) -> None:
    """Delete temporary files left behind by processes that were killed."""
    for folder in (path, path / STATES, path / EXPORTS, path / EXPORTS / "cutout"):
        remove_unfinished(folder)


def _logged_names(
    path: Path, frame_name: Callable[[int], str], count: int | None
) -> Callable[[int], str]:
    """Return ``frame_name``, extended to logged frames after the current end of the video."""
    entries = FrameLog(path / FRAME_LOG).entries()
    beyond = count or 0
    logged = {entry.frame: Path(entry.mask).stem for entry in entries if entry.frame >= beyond}

    def name(frame_index: int) -> str:
        try:
            return frame_name(frame_index)
        except LookupError:
            return logged[frame_index]

    return name


def _names(frame_name: Callable[[int], str], count: int | None) -> list[str]:
    """Return the names of the frames; none if their number is unknown."""
    return [] if count is None else [frame_name(frame_index) for frame_index in range(count)]
