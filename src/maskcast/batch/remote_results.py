"""Results and unfinished videos in an object store. Imports no torch.

A finished video is a folder with its files, uploaded together, and then its run card, which is
created only if there is none: of two processes that finish the same video, one succeeds. An
unfinished video that another machine may continue is an archive of its work folder.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from maskcast.batch.addresses import Url
from maskcast.batch.engine import Assignment
from maskcast.batch.layout import JOB, RESUME, RUN, VIDEOS
from maskcast.batch.results import MadeFrom, finished_content, result_files, write_job
from maskcast.batch.store import Store
from maskcast.core.errors import DataError, MissingFileError, RunConflictError
from maskcast.core.files import make_folder, replacing
from maskcast.runs.layout import CARD
from maskcast.runs.removal import remove_file, remove_folder


def finished_in_store(output: Url, folders: Sequence[Path]) -> list[MadeFrom | None]:
    """Return what the finished results in some folders were made from; None if not finished.

    Raises:
        TransientError: the store fails.
    """
    store = Store(output.joined(VIDEOS))
    names = [f"{folder.as_posix()}/{name}" for folder in folders for name in (CARD, JOB)]
    contents = store.read_many(names)
    pairs = zip(contents[::2], contents[1::2], strict=True)
    return [finished_content(card, job) for card, job in pairs]


def commit_to_store(
    work: Path, output: Url, assignment: Assignment, *, keep_states: bool = False
) -> bool:
    """Upload finished results; see ``results.commit``.

    Raises:
        RunConflictError: the folder has finished results of another request.
        OutputError: a file cannot be written.
        TransientError: the store fails.
    """
    store = Store(output.joined(VIDEOS).joined(assignment.folder.as_posix()))
    ours = MadeFrom(assignment.request, assignment.input)
    (before,) = finished_in_store(output, [assignment.folder])
    if before == ours:
        return False
    if before is not None and not assignment.replaces:
        raise RunConflictError(
            f"{store.url} has finished results of another request", options=("redo_changed",)
        )
    store.remove(CARD)
    for name in store.names(""):  # of an earlier request, or of a commit that was killed
        store.remove(name)
    run = work / RUN
    write_job(run, assignment)
    files = {path.relative_to(run).as_posix(): path for path in result_files(run, keep_states)}
    store.upload(files)
    try:
        store.create(CARD, (run / CARD).read_bytes())
    except RunConflictError:
        (first,) = finished_in_store(output, [assignment.folder])
        if first != ours:
            raise
        return False
    return True


def keep_in_store(work: Path, output: Url, folder: Path) -> None:
    """Upload the work folder of an unfinished video, without its input.

    Args:
        work: the work folder of the video, which no process is writing to.
        output: the folder of the batch.
        folder: path of the video's results, relative to those of all videos.

    Raises:
        OutputError: the store fails, or the disk is full.
    """
    if not (work / RUN / CARD).is_file():
        return
    archive = work / "resume.tar"
    try:
        with replacing(archive) as temporary, tarfile.open(temporary, "w") as members:
            for path in (work / JOB, *sorted((work / RUN).rglob("*"))):
                if path.is_file():
                    members.add(path, path.relative_to(work).as_posix(), recursive=False)
        Store(output.joined(RESUME)).upload({_archive_name(folder): archive})
    finally:
        remove_file(archive)


def take_from_store(work: Path, output: Url, folder: Path) -> None:
    """Unpack an unfinished video into its work folder, if it is not there but in the store.

    Raises:
        TransientError: the store fails.
        OutputError: the disk is full.
    """
    if (work / JOB).exists():
        return
    archive = work / "resume.tar"
    make_folder(work)
    try:
        Store(output.joined(RESUME)).download(_archive_name(folder), archive)
        with tarfile.open(archive) as members:
            members.extractall(work, filter="data")
    except MissingFileError:
        return
    except tarfile.TarError:  # the video is segmented from the beginning
        remove_folder(work / RUN)
        remove_file(work / JOB)
    finally:
        remove_file(archive)


def forget_in_store(output: Url, folder: Path) -> None:
    """Delete the archive of a video that is finished. Raises ``OutputError``."""
    Store(output.joined(RESUME)).remove(_archive_name(folder))


def _archive_name(folder: Path) -> str:
    if ".." in folder.parts:
        raise DataError(f"{folder} is outside the folder of the results")
    return f"{folder.as_posix()}.tar"
