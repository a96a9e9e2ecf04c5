"""Fingerprints of videos and prompts, without reading hours of video. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maskcast.core.errors import MissingFileError
from maskcast.core.marks import Absent, Box
from maskcast.io.frame_folder import is_frame_file

WHOLE = 64 * 2**20
"""Bytes up to which a file is read as a whole; of larger ones ``PIECES`` pieces count."""
PIECES = 64
PIECE = 2**20
ABSENT_MARK = "absent"
"""Value of a prompt that says that its object is absent."""


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
        raise MissingFileError(f"there is no video file or folder of frames {path}")
    return _of_file(path)


def prompt_fingerprints(prompts: Mapping[int, Mapping[int, Any]]) -> dict[str, str]:
    """Return prompts by ``FRAME:ID``: boxes as numbers, masks as a hash of their pixels.

    Args:
        prompts: by frame index and object id: boxes, ``ABSENT``, or boolean masks of height × width
            as tensors or numpy arrays, which have the same fingerprint.
    """
    return {
        f"{frame_index}:{object_id}": _of_prompt(prompt)
        for frame_index, given in sorted(prompts.items())
        for object_id, prompt in sorted(given.items())
    }


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
