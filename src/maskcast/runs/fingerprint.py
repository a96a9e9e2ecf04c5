"""Fingerprints of videos and prompts; large files are sampled. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.core.marks import NO_ENDS, Absent, Box
from maskcast.core.renames import NO_RENAMES, Renames
from maskcast.io.video.frame_folder import is_frame_file

WHOLE = 64 * 2**20
"""Largest size in bytes of a file that is hashed whole; of larger files, ``PIECES`` pieces are."""
PIECES = 64
PIECE = 2**20
ABSENT_MARK = "absent"
"""Value of a prompt that marks its object as not visible on its frame."""
END_MARK = "end"
"""Value of a prompt that removes its object before its frame."""
RENAME_MARK = "as "
"""Begins the value of a mark that shows its object under another id from its frame on."""


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the frames in a folder.

    Other files in a folder, such as drawings kept beside the frames, do not count. For a file
    larger than 64 MiB, the hash covers its size and 64 evenly spaced pieces of 1 MiB.

    Raises:
        MissingFileError: the path is neither a file nor a folder.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        frames = (file for file in path.iterdir() if is_frame_file(file) and file.is_file())
        for file in sorted(frames):
            digest.update(f"{file.name}\0{_of_file(file)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    if not path.exists():
        raise MissingFileError(f"{path} is neither a video file nor a folder of frames")
    return _of_file(path)


def prompt_fingerprints(
    prompts: Mapping[int, Mapping[int, Any]],
    ends: Mapping[int, Collection[int]] = NO_ENDS,
    renames: Renames = NO_RENAMES,
) -> dict[str, str]:
    """Return the fingerprint of every prompt by ``FRAME:ID``.

    A box is written as its numbers, a mask as a hash of its pixels.

    Args:
        prompts: boxes, ``ABSENT``, or boolean masks of height × width, by frame index and object
            id. A tensor and an equal numpy array have the same fingerprint.
        ends: ids of the objects that are removed before a frame, by frame index.
        renames: swaps and merges.

    Raises:
        PromptError: an object has a prompt and an end on the same frame.
    """
    marks = {
        (frame_index, object_id): _of_prompt(prompt)
        for frame_index, here in prompts.items()
        for object_id, prompt in here.items()
    }
    for frame_index, ended in ends.items():
        for object_id in ended:
            if (frame_index, object_id) in marks:
                raise PromptError(
                    f"object {object_id} has both a prompt and an end on frame {frame_index}; "
                    "remove one of them"
                )
            marks[frame_index, object_id] = END_MARK
    for frame_index, change in renames.items():
        for object_id, other in change.items():
            marks[frame_index, object_id] = f"{RENAME_MARK}{other}"
    return {f"{frame}:{object_id}": mark for (frame, object_id), mark in sorted(marks.items())}


def _of_file(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(str(size).encode())
        for piece in range(PIECES):
            file.seek((size - PIECE) * piece // (PIECES - 1))
            digest.update(file.read(PIECE))
    return digest.hexdigest()


def _of_prompt(prompt: Any) -> str:
    if isinstance(prompt, Absent):
        return ABSENT_MARK
    if isinstance(prompt, Box):
        return f"box {prompt.x!r},{prompt.y!r},{prompt.width!r},{prompt.height!r}"
    mask = prompt if isinstance(prompt, np.ndarray) else prompt.cpu().numpy()
    digest = hashlib.sha256(f"{mask.shape}".encode() + np.ascontiguousarray(mask).tobytes())
    return f"mask {digest.hexdigest()[:32]}"
