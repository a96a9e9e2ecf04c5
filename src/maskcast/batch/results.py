"""Where a video's results go, when they count as finished, and how they get there. No torch.

A video is segmented in a work folder of its own, which also keeps its states. Finished results are
moved to the folder of results, the run card last. The card is created only if there is none, so of
two processes that finish the same video, one succeeds.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcast.batch.engine import Assignment
from maskcast.batch.layout import INPUT, JOB, RUN, VIDEOS
from maskcast.core.errors import DataError, OutputError, RunConflictError
from maskcast.core.files import (
    alone_in,
    flush_to_disk,
    make_folder,
    remove_unfinished,
    replacing,
    write_text,
)
from maskcast.core.strict_json import parse_json, read_json
from maskcast.io.packed_masks import ZIP, write_mask_zip
from maskcast.runs.layout import CARD, EXPORTS, PROBABILITIES, STATES
from maskcast.runs.removal import remove, remove_file, remove_folder

LARGEST_RECORD = 2**22
"""Maximum size of ``job.json`` and of a run card in bytes."""
FOLDERS = (EXPORTS, PROBABILITIES, STATES)
"""Folders inside the results of a video."""


@dataclass(frozen=True)
class MadeFrom:
    """What results were made from; equal values mean equal results."""

    request: str
    """``job.request_digest``."""
    input: str | None
    """``job.input_digest``."""


def write_job(folder: Path, work: Assignment) -> None:
    """Write ``job.json``: what the results in a folder are made from. Raises ``OutputError``."""
    content = {"request": work.request, "input": work.input, "job": work.job.row()}
    write_text(folder / JOB, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_made_from(folder: Path) -> MadeFrom | None:
    """Read ``job.json``; return None if there is none, or it is damaged."""
    with suppress(DataError, LookupError, TypeError):
        return _made_from(read_json(folder / JOB, largest=LARGEST_RECORD))
    return None


def _made_from(content: Any) -> MadeFrom:
    return MadeFrom(str(content["request"]), content["input"])


def finished_content(card: bytes | None, job: bytes | None) -> MadeFrom | None:
    """Return what results were made from; None if their run card does not say finished.

    Args:
        card: the content of the run card; None if there is none.
        job: the content of ``job.json``.
    """
    with suppress(DataError, LookupError, TypeError):
        if card and job and parse_json(card)["status"] == "finished":
            return _made_from(parse_json(job))
    return None


def finished_from(folder: Path) -> MadeFrom | None:
    """Return what the finished results in a folder were made from; None if they are not finished.

    Results count as finished only if their run card says so.
    """
    with suppress(DataError, LookupError, TypeError):
        if read_json(folder / CARD, largest=LARGEST_RECORD)["status"] == "finished":
            return read_made_from(folder)
    return None


def commit(work: Path, output: Path, assignment: Assignment, *, keep_states: bool = False) -> bool:
    """Move finished results from a work folder to the folder of results.

    Args:
        work: the work folder of the video, with the finished run in ``run/``; locked by the caller.
        output: the folder of the batch.
        assignment: what the results are.
        keep_states: move the saved states too.

    Returns:
        whether these results are the ones kept; False if others had been finished before.

    Raises:
        RunConflictError: the folder has finished results of another request.
        OutputError: a file cannot be moved.
    """
    target = output / VIDEOS / assignment.folder
    with alone_in(target, wait=True):
        before = finished_from(target)
        if before == MadeFrom(assignment.request, assignment.input):
            return False
        if before is not None and not assignment.replaces:
            raise RunConflictError(
                f"{target} has finished results of another request", options=("redo_changed",)
            )
        _empty(target)
        for entry in _results(work / RUN, keep_states=keep_states):
            _move(entry, target / entry.name)
        write_job(target, assignment)
        with suppress(OSError):
            flush_to_disk(target)
        _create(target / CARD, (work / RUN / CARD).read_bytes())
    return True


def remove_work(work: Path, top: Path) -> None:
    """Delete the work folder of a video, and the folders above it that are now empty.

    Args:
        work: the work folder, which must not be locked by others.
        top: the folder that holds all work folders; it is kept.

    Raises:
        OutputError: a file cannot be deleted.
    """
    remove_folder(work / RUN)
    remove_folder(work / INPUT)
    remove_file(work / JOB)
    for folder in (work, *work.parents):
        if folder == top:
            return
        try:
            folder.rmdir()
        except OSError:  # it holds other videos
            return


def result_files(run: Path, keep_states: bool) -> Iterator[Path]:
    """Yield all files of a finished run but its card."""
    for entry in _results(run, keep_states=keep_states):
        yield from (path for path in sorted([entry, *entry.rglob("*")]) if path.is_file())


def pack_pictures(run: Path) -> None:
    """Write ``masks.zip`` with the PNGs of a finished run, which then belong to no result.

    Raises:
        DataError: the name of a frame cannot be stored in an archive.
        OutputError: the archive cannot be written.
    """
    pictures = sorted(run.glob("*.png"))
    write_mask_zip(run / ZIP, ((path.stem, path.read_bytes()) for path in pictures))


def _results(run: Path, *, keep_states: bool) -> Iterator[Path]:
    kept = {CARD} if keep_states else {CARD, STATES}
    if (run / ZIP).is_file():
        kept |= {path.name for path in run.glob("*.png")}
    for entry in sorted(run.iterdir()):
        if entry.name not in kept and not (entry.name.startswith(".") and entry.name != STATES):
            yield entry


def _empty(target: Path) -> None:
    """Delete what an earlier request, or a commit that was killed, has left; the card first."""
    remove_unfinished(target)
    entries = list(target.iterdir())
    others = [e.name for e in entries if e.is_dir() and e.name not in FOLDERS]
    if others:
        raise RunConflictError(
            f"{target} contains the folder {min(others)}, which is not part of a result; choose "
            "another id"
        )
    remove_file(target / CARD)
    for entry in entries:
        remove(entry)


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise OutputError(f"cannot write {target}: {error.strerror}") from error
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder with all files in it, to another file system."""
    if source.is_dir():
        make_folder(target)
        for entry in sorted(source.iterdir()):
            _copy(entry, target / entry.name)
        return
    with replacing(target, sync=True) as temporary:
        shutil.copyfile(source, temporary)


def _create(path: Path, content: bytes) -> None:
    """Write a file that must not exist, completely or not at all.

    Raises:
        RunConflictError: the file exists.
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(content)
        flush_to_disk(temporary)
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                with path.open("xb") as file:  # the file system has no hard links
                    file.write(content)
            else:
                raise
        temporary.unlink()
        with suppress(OSError):
            flush_to_disk(path.parent)
    except FileExistsError as error:
        raise RunConflictError(f"{path} was written by another process") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
