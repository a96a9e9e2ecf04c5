"""Fingerprints of videos and prompts, without reading hours of video. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.core.marks import NO_ENDS, Absent, Box
from maskcast.io.video.frame_folder import is_frame_file

WHOLE = 64 * 2**20
"""Bytes up to which a file is read as a whole; of larger ones ``PIECES`` pieces count."""
PIECES = 64
PIECE = 2**20
ABSENT_MARK = "absent"
"""Value of a prompt that says that its object is not visible on its frame."""
END_MARK = "end"
"""Value of a prompt that ends its object before its frame."""


def fingerprint(path: Path) -> str:
    """Return a SHA-256 over a file, or over the names and contents of the frames in a folder.

    Other files in a folder, such as drawings kept beside their frames, do not count. Of a file
    above 64 MiB, its size and 64 pieces of 1 MiB, evenly spaced, are hashed.

    Raises:
        MissingFileError: there is neither a file nor a folder.
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
    prompts: Mapping[int, Mapping[int, Any]], ends: Mapping[int, Collection[int]] = NO_ENDS
) -> dict[str, str]:
    """Return marks by ``FRAME:ID``: boxes as numbers, masks as a hash of their pixels.

    Args:
        prompts: by frame index and object id: boxes, ``ABSENT``, or boolean masks of height × width
            as tensors or numpy arrays, which have the same fingerprint.
        ends: ids of the objects that end before a frame, by its index.

    Raises:
        PromptError: an object has a prompt and an end on the same frame.
    """
    marks = {
        (frame_index, object_id): _of_prompt(prompt)
        for frame_index, given in prompts.items()
        for object_id, prompt in given.items()
    }
    for frame_index, ended in ends.items():
        for object_id in ended:
            if (frame_index, object_id) in marks:
                raise PromptError(
                    f"object {object_id} has both a prompt and an end on frame {frame_index}; "
                    "remove one of them"
                )
            marks[frame_index, object_id] = END_MARK
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
